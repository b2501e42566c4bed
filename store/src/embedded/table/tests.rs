//! A table against a model, and audit records in and out of packs.

use std::path::Path;

use proptest::prelude::*;

use super::{super::payloads::End, *};

/// What is done to a table, one after another.
#[derive(Debug, Clone)]
enum Step {
    Put(Vec<(u8, Option<u8>)>),
    Save,
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => proptest::collection::vec((0u8..12, any::<Option<u8>>()), 1..6).prop_map(Step::Put),
        1 => Just(Step::Save),
        1 => Just(Step::Reopen),
    ]
}

fn open(dir: &Path) -> Table {
    // sled's threads let go of its lock a moment after the last table is dropped.
    let db = loop {
        match sled::open(dir) {
            Ok(db) => break db,
            Err(_) => thread::yield_now(),
        }
    };
    let tree = db.open_tree("lictor").unwrap();
    let end = tree.get(keys::PAYLOADS).unwrap().map_or_else(End::default, |end| End::decode(&end).unwrap());
    let payloads = PayloadFiles::open(dir.join("payloads"), end).unwrap();
    Table::new(db, tree, dir.to_owned(), payloads)
}

fn key(n: u8) -> Vec<u8> {
    vec![b'z', n]
}

fn all(entries: Merged) -> Vec<(u8, u8)> {
    entries.map(|entry| entry.unwrap()).map(|(key, value)| (key[1], value[0])).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_in_sled_and_what_is_not_yet_the_newest_is_read(steps in proptest::collection::vec(step(), 1..30)) {
        let dir = tempfile::tempdir().unwrap();
        let mut table = open(dir.path());
        let mut model = BTreeMap::new();
        for step in steps {
            match step {
                Step::Put(changes) => {
                    let ops = changes.iter().map(|(n, value)| Op { key: key(*n), value: value.map(|v| vec![v]) });
                    table.put(ops.collect(), Position::default());
                    for (n, value) in changes {
                        match value {
                            Some(value) => model.insert(n, value),
                            None => model.remove(&n),
                        };
                    }
                }
                Step::Save => table.save().unwrap(),
                Step::Reopen => {
                    table.save().unwrap();
                    drop(table);
                    table = open(dir.path());
                }
            }
            for n in 0..12 {
                prop_assert_eq!(table.get(&key(n)).unwrap().map(|value| value[0]), model.get(&n).copied());
            }
            let forward: Vec<_> = model.iter().map(|(n, value)| (*n, *value)).collect();
            prop_assert_eq!(&all(table.scan_prefix(b"z")), &forward);
            prop_assert_eq!(all(table.range(key(3), key(9))), forward.iter().copied().filter(|(n, _)| (3..9).contains(n)).collect::<Vec<_>>());
            let back: Vec<_> = forward.into_iter().rev().collect();
            prop_assert_eq!(all(table.scan_prefix_back(b"z")), back);
        }
    }

    #[test]
    fn audit_records_are_read_whether_they_are_packed_or_not(
        parts in proptest::collection::vec((1usize..30, any::<bool>()), 1..8),
        from in 0u64..120,
        limit in 1usize..200,
    ) {
        let dir = tempfile::tempdir().unwrap();
        let table = open(dir.path());
        // The first one as all were kept before.
        table.tree().insert(keys::audit(0), b"{\"n\":0}").unwrap();
        let mut next = 1;
        for (count, save) in parts {
            let ops = (0..count).map(|_| {
                next += 1;
                let payload = if next % 3 == 0 { Vec::new() } else { format!("{{\"p\":{}}}", next - 1).into_bytes() };
                let value = entry::encode(format!("{{\"n\":{}}}", next - 1).into_bytes(), &payload);
                Op { key: keys::audit(next - 1), value: Some(value) }
            });
            table.put(ops.collect(), Position::default());
            if save {
                table.save().unwrap();
            }
        }
        let page = table.audit(from, limit).unwrap();
        let expected: Vec<_> = (from..next).take(limit).map(|n| (n, format!("{{\"n\":{n}}}"))).collect();
        for entry in page.iter().filter(|entry| entry.index > 0) {
            let payload = if entry.index % 3 == 2 { String::new() } else { format!("{{\"p\":{}}}", entry.index) };
            prop_assert_eq!(&entry.payload, payload.as_bytes());
        }
        let read: Vec<_> = page.into_iter().map(|e| (e.index, String::from_utf8(e.content.to_vec()).unwrap())).collect();
        prop_assert_eq!(read, expected);
    }
}

#[test]
fn what_comes_and_goes_never_reaches_sled() {
    let dir = tempfile::tempdir().unwrap();
    let table = open(dir.path());
    let op = |value: Option<Vec<u8>>| Op { key: key(1), value };
    table.put(vec![op(Some(vec![1])), op(None)], Position::default());
    table.save().unwrap();
    assert_eq!(table.tree().len(), 1, "only how far the journal was applied");
    assert!(table.get(&key(1)).unwrap().is_none());
}

#[test]
fn the_first_key_behind_a_prefix() {
    assert_eq!(after_prefix(b"a").as_deref(), Some(b"b".as_slice()));
    assert_eq!(after_prefix(&[1, 0xff]).as_deref(), Some([2].as_slice()));
    assert_eq!(after_prefix(&[0xff]), None);
}
