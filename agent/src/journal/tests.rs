//! What the journal promises, whatever happens to its file.

use std::{collections::HashSet, sync::Arc, time::Duration};

use lictor_certs::evidence::Evidence;
use lictor_core::{
    clock::{Clock, Timestamp},
    frame,
    guard::Guard,
    id::InvocationId,
    job::Limits,
    limits::REPLAY_WINDOW,
    outcome::{Exit, Outcome, Unknown, Unreachable},
    output::{Output, StreamSummary},
};
use proptest::prelude::*;

use super::{
    Journal, JournalError, Shared, Writer,
    held::Held,
    image::{Image, Stand, push},
    record::Record,
};
use crate::{
    ended::{Ended, Kept, SpooledOutput},
    ssh::address::Networks,
};

#[derive(Debug)]
struct Fixed;
impl Clock for Fixed {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(1_000_000_000_000)
    }
}

fn id(n: u8) -> InvocationId {
    InvocationId::from_bytes([n; 16])
}

fn at(n: u64) -> Timestamp {
    Timestamp::from_micros(n)
}

fn ended(n: u8, outcome: Outcome) -> Ended {
    let stream = StreamSummary { bytes_total: 3, digest: None, head: vec![0, 255, n], tail: Vec::new() };
    let mut timing = lictor_core::output::timing::Timing::default();
    timing.note(lictor_core::output::StreamName::Stdout, 0, u64::from(n));
    let output = Output { stdout: stream, stderr: StreamSummary::default(), timing };
    Ended {
        started_at: Some(at(5)),
        address: "[::1]:22".into(),
        output: Kept::Inline(output),
        ..Ended::not_run(id(n), outcome, at(6))
    }
}

fn held(n: u8) -> Held {
    let mut networks = Networks::default();
    networks.restrict(vec!["10.0.0.0/8".parse().unwrap()], ["10.1.0.0/16".parse().unwrap()]);
    networks.restrict(vec!["::/0".parse().unwrap(), "10.0.0.0/9".parse().unwrap()], []);
    let limits = Limits { timeout: Duration::from_millis(1_234), output_bytes: 99 };
    Held { invocation: id(n), at: at(7), host: "web-1".parse().unwrap(), limits, networks }
}

#[test]
fn what_was_started_detached_is_found_again_until_it_has_ended() {
    let mut image = Image::default();
    image.apply(Record::Accepted(id(1), at(1)));
    image.apply(Record::Detached(Box::new(held(1))));
    image.apply(Record::Starting(id(1), at(2)));
    let again = Image::read(&image.to_frames()).image;
    assert_eq!(again.clone().into_parts().0, [(id(1), Stand::Detached(Box::new(held(1))))].into());
    image.apply(Record::Done(Box::new(ended(1, Outcome::Succeeded))));
    image.apply(Record::Detached(Box::new(held(1))));
    assert!(matches!(image.into_parts().0[&id(1)], Stand::Done(_)));
}

#[test]
fn every_record_reads_back_as_it_was_written() {
    let mut outcomes = vec![
        Outcome::Denied { code: "A".into(), reason: "b".into() },
        Outcome::Expired,
        Outcome::Skipped,
        Outcome::Cancelled,
        Outcome::Succeeded,
        Outcome::Failed(Exit::Code(3)),
        Outcome::Failed(Exit::Signal("KILL".into())),
        Outcome::TimedOut,
        Outcome::Killed,
    ];
    outcomes.extend(Unreachable::ALL.map(|reason| Outcome::Unreachable { reason, detail: "d".into() }));
    outcomes.extend(Unknown::ALL.map(Outcome::Unknown));
    let mut records = vec![
        Record::Identity("x".into()),
        Record::Accepted(id(1), at(1)),
        Record::Starting(id(1), at(2)),
        Record::Forgotten(id(1), at(3)),
        Record::Detached(Box::new(held(1))),
    ];
    for outcome in outcomes {
        let inline = ended(7, outcome);
        let Kept::Inline(output) = &inline.output else { unreachable!() };
        let spooled = Ended { output: Kept::Spooled(SpooledOutput::of(output)), ..inline.clone() };
        let file = Kept::Spooled(SpooledOutput { is_file: true, ..SpooledOutput::of(output) });
        let file = Ended { output: file, ..inline.clone() };
        let evidence = Evidence {
            statement: vec![0, 1, 255],
            signature: vec![2],
            certificates: vec![vec![3; 600], Vec::new()],
        };
        records.push(Record::Done(Box::new(Ended { guard: Guard::Host, ..inline.clone() })));
        let proven = Ended { evidence: Some(evidence), ..inline.clone() };
        records.extend([inline, spooled, file, proven].map(|ended| Record::Done(Box::new(ended))));
    }
    for record in records {
        assert_eq!(Record::decode(&record.encode()).unwrap(), record);
    }
    // As it was written before there was evidence.
    let old = br#"{"V1":{"Done":{"invocation":"inv_00000000000000000000000000","outcome":"Succeeded","started_at":1,"ended_at":2,"address":"","spooled":false,"stdout":{"total":0,"digest":null,"head_bytes":0,"tail_bytes":0,"head":"","tail":""},"stderr":{"total":0,"digest":null,"head_bytes":0,"tail_bytes":0,"head":"","tail":""}}}}"#;
    assert!(matches!(Record::decode(old), Ok(Record::Done(ended)) if ended.evidence.is_none()));
    // As it was written before files of hosts were told from what commands printed.
    let old = String::from_utf8(old.to_vec()).unwrap().replace(r#""spooled":false"#, r#""spooled":true"#);
    let Ok(Record::Done(ended)) = Record::decode(old.as_bytes()) else { panic!("{old}") };
    assert!(matches!(ended.output, Kept::Spooled(output) if !output.is_file));
    assert!(Record::decode(br#"{"V2":{}}"#).is_err());
    assert!(Record::decode(br#"{"V1":{"Accepted":{"invocation":"inv_x","at":1}}}"#).is_err());
}

#[derive(Debug, Clone)]
enum Op {
    Accept(u8),
    Start(u8),
    End(u8),
    Forget(u8),
}

fn record(op: &Op) -> Record {
    match op {
        Op::Accept(n) => Record::Accepted(id(*n), at(1)),
        Op::Start(n) => Record::Starting(id(*n), at(2)),
        Op::End(n) => Record::Done(Box::new(ended(*n, Outcome::Succeeded))),
        Op::Forget(n) => Record::Forgotten(id(*n), at(4)),
    }
}

fn ops() -> impl Strategy<Value = Vec<Op>> {
    let op = (0..4u8, 0..6u8).prop_map(|(kind, n)| match kind {
        0 => Op::Accept(n),
        1 => Op::Start(n),
        2 => Op::End(n),
        _ => Op::Forget(n),
    });
    proptest::collection::vec(op, 0..40)
}

proptest! {
    /// Wherever the file is cut, what was written whole before the cut is known: a start is never lost.
    #[test]
    fn a_cut_anywhere_loses_only_what_was_not_yet_whole(ops in ops(), cut in 0.0..1.0f64) {
        let mut file = Vec::new();
        let mut ends = vec![0];
        for op in &ops {
            push(&record(op), &mut file);
            ends.push(file.len());
        }
        let length = (file.len() as f64 * cut) as usize;
        let whole = ends.iter().filter(|end| **end <= length).count() - 1;
        let readable = Image::read(&file[..length]);
        prop_assert_eq!(readable.length, ends[whole]);
        prop_assert_eq!(readable.lost, 0);
        let mut expected = Image::default();
        ops[..whole].iter().for_each(|op| expected.apply(record(op)));
        prop_assert_eq!(&readable.image, &expected);
        let (live, tombstones) = readable.image.into_parts();
        let mut begun: HashSet<u8> = HashSet::new();
        for op in &ops[..whole] {
            if let Op::Start(n) = op { begun.insert(*n); }
        }
        for n in begun {
            let known = live.get(&id(n)).is_some_and(|s| *s != Stand::Accepted) || tombstones.contains(id(n));
            prop_assert!(known, "{n} was started and is not known to have been");
        }
    }

    /// A rewritten file says the same.
    #[test]
    fn compaction_changes_nothing(ops in ops()) {
        let mut image = Image::default();
        ops.iter().for_each(|op| image.apply(record(op)));
        prop_assert_eq!(Image::read(&image.to_frames()).image, image);
    }

    /// Damage in the middle is noticed as loss; at the very end it may be a torn write.
    #[test]
    fn damage_before_the_last_record_is_loss(ops in ops(), place in any::<prop::sample::Index>()) {
        prop_assume!(ops.len() >= 2);
        let mut file = Vec::new();
        let mut last = 0;
        for op in &ops {
            last = file.len();
            push(&record(op), &mut file);
        }
        let byte = place.index(last);
        file[byte] ^= 0x55;
        prop_assert!(Image::read(&file).lost > 0);
    }
}

#[tokio::test]
async fn synced_records_are_there_when_the_journal_is_opened_again() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Journal::open(dir.path(), Arc::new(Fixed));
    let (journal, image) = open().unwrap();
    assert!(image.into_parts().0.is_empty());
    let tickets: Vec<_> = (0..50).map(|n| journal.append([Record::Starting(id(n), at(1))])).collect();
    for ticket in tickets {
        ticket.synced().await.unwrap();
    }
    journal.append([Record::Accepted(id(100), at(1))]).synced().await.unwrap();
    assert!(matches!(open().unwrap_err(), JournalError::InUse(_)));
    let identity = journal.identity().to_owned();
    drop(journal);
    let (journal, image) = open().unwrap();
    assert_eq!(journal.identity(), identity);
    let (live, _) = image.into_parts();
    let starting = live.values().filter(|stand| **stand == Stand::Starting(at(1))).count();
    assert_eq!((live.len(), starting), (51, 50));
    assert_eq!(live.get(&id(100)), Some(&Stand::Accepted), "told apart, because it certainly did not run");
}

#[tokio::test]
async fn a_torn_end_is_cut_off_and_what_follows_is_readable() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Journal::open(dir.path(), Arc::new(Fixed)).unwrap();
    let (journal, _) = open();
    journal.append([Record::Starting(id(1), at(1))]).synced().await.unwrap();
    drop(journal);
    let path = dir.path().join("journal");
    let mut file = std::fs::read(&path).unwrap();
    frame::write(b"half", 0, &mut file);
    std::fs::write(&path, &file).unwrap();
    let (journal, _) = open();
    journal.append([Record::Starting(id(2), at(1))]).synced().await.unwrap();
    drop(journal);
    assert_eq!(open().1.into_parts().0.len(), 2);
}

#[tokio::test]
async fn a_damaged_journal_keeps_its_name_until_another_with_a_new_identity_is_whole() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Journal::open(dir.path(), Arc::new(Fixed));
    let (journal, _) = open().unwrap();
    let identity = journal.identity().to_owned();
    for n in 1..4 {
        journal.append([Record::Starting(id(n), at(1))]).synced().await.unwrap();
    }
    drop(journal);
    let [path, next, aside] =
        ["journal", "journal.next", "journal.damaged"].map(|name| dir.path().join(name));
    let mut damaged = std::fs::read(&path).unwrap();
    let mut two = Vec::new();
    (1..4).for_each(|n| push(&Record::Starting(id(n), at(1)), &mut two));
    let second = damaged.len() - two.len() * 2 / 3;
    damaged[second + 20] ^= 0x55;
    std::fs::write(&path, &damaged).unwrap();
    for obstacle in [&aside, &next] {
        std::fs::create_dir(obstacle).unwrap();
        assert!(matches!(open(), Err(JournalError::Io { .. })));
        assert_eq!(std::fs::read(&path).unwrap(), damaged, "as if it had crashed there");
        std::fs::remove_dir(obstacle).unwrap();
    }
    let (journal, image) = open().unwrap();
    let new = journal.identity().to_owned();
    assert_ne!(new, identity);
    assert_eq!(image.into_parts().0.into_keys().collect::<Vec<_>>(), [id(1)]);
    assert_eq!(std::fs::read(&aside).unwrap(), damaged);
    journal.append([Record::Starting(id(9), at(1))]).synced().await.unwrap();
    drop(journal);
    let (journal, image) = open().unwrap();
    assert_eq!((journal.identity(), image.into_parts().0.len()), (new.as_str(), 2));
}

#[tokio::test]
async fn a_large_journal_is_rewritten_and_keeps_what_matters() {
    let dir = tempfile::tempdir().unwrap();
    let open = || Journal::open(dir.path(), Arc::new(Fixed)).unwrap();
    let (journal, _) = open();
    let identity = journal.identity().to_owned();
    let big = |n: u8| {
        let stream =
            StreamSummary { bytes_total: 1 << 20, digest: None, head: vec![n; 1 << 20], tail: Vec::new() };
        Ended {
            output: Kept::Inline(Output { stdout: stream, ..Output::default() }),
            ..ended(n, Outcome::Succeeded)
        }
    };
    journal.append([Record::Starting(id(200), at(1))]).synced().await.unwrap();
    for n in 0..10 {
        let records = [
            Record::Starting(id(n), at(1)),
            Record::Done(Box::new(big(n))),
            Record::Forgotten(id(n), Fixed.now()),
        ];
        journal.append(records).synced().await.unwrap();
    }
    let old = Fixed.now().minus(REPLAY_WINDOW).minus(std::time::Duration::from_secs(1));
    journal.append([Record::Forgotten(id(201), old)]).synced().await.unwrap();
    drop(journal);
    assert!(std::fs::metadata(dir.path().join("journal")).unwrap().len() < 8 << 20);
    let (journal, image) = open();
    assert_eq!(journal.identity(), identity);
    let (live, tombstones) = image.into_parts();
    assert!(matches!(live.get(&id(200)), Some(Stand::Starting(_))));
    assert!((0..10).all(|n| tombstones.contains(id(n))));
}

#[tokio::test]
async fn on_a_full_disk_nothing_starts_any_more() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), Arc::new(Fixed)).unwrap();
    assert!(journal.accepts());
    drop(journal);
    let mut writer =
        Writer::open(dir.path().join("journal"), dir.path().join("reserve"), Arc::new(Fixed)).unwrap();
    // /dev/full refuses every write, as a full disk does.
    writer.file = std::fs::File::options().write(true).open("/dev/full").unwrap();
    let shared = Arc::new(Shared::default());
    let lock = std::fs::File::open(dir.path().join("lock")).unwrap();
    let thread = std::thread::spawn({
        let shared = Arc::clone(&shared);
        move || writer.run(&shared)
    });
    let journal = Journal { shared, thread: Some(thread), identity: String::new(), _lock: lock };
    assert!(journal.append([Record::Starting(id(1), at(1))]).synced().await.is_err());
    assert!(!journal.accepts());
    drop(journal);
    assert_eq!(Journal::open(dir.path(), Arc::new(Fixed)).unwrap().1.into_parts().0.len(), 0);
    assert!(dir.path().join("reserve").exists(), "the reserve is there again");
}

fn writer(dir: &std::path::Path) -> Writer {
    Writer::open(dir.join("journal"), dir.join("reserve"), Arc::new(Fixed)).unwrap()
}

#[test]
fn what_is_written_after_a_rewrite_is_in_the_file_that_has_the_name() {
    let dir = tempfile::tempdir().unwrap();
    let mut writer = writer(dir.path());
    for n in 0..3 {
        let records = [Record::Starting(id(n), at(1))];
        writer.write(records.iter()).unwrap();
        records.into_iter().for_each(|record| writer.image.apply(record));
        writer.compact_at = 0;
        writer.compact_if_large().unwrap();
        writer.write([Record::Starting(id(100 + n), at(1))].iter()).unwrap();
        writer.image.apply(Record::Starting(id(100 + n), at(1)));
        let readable = Image::read(&std::fs::read(dir.path().join("journal")).unwrap());
        assert_eq!((readable.lost, readable.image), (0, writer.image.clone()));
    }
}

#[tokio::test]
async fn a_rewrite_that_fails_half_way_ends_the_journal() {
    let dir = tempfile::tempdir().unwrap();
    let (journal, _) = Journal::open(dir.path(), Arc::new(Fixed)).unwrap();
    drop(journal);
    let mut writer = writer(dir.path());
    writer.compact_at = 0;
    // No file can take the name of a directory.
    std::fs::remove_file(dir.path().join("journal")).unwrap();
    std::fs::create_dir(dir.path().join("journal")).unwrap();
    let shared = Arc::new(Shared::default());
    let lock = std::fs::File::open(dir.path().join("lock")).unwrap();
    let thread = std::thread::spawn({
        let shared = Arc::clone(&shared);
        move || writer.run(&shared)
    });
    let journal = Journal { shared, thread: Some(thread), identity: String::new(), _lock: lock };
    journal.append([Record::Starting(id(1), at(1))]).synced().await.unwrap();
    let end = Record::Done(Box::new(ended(1, Outcome::Succeeded)));
    assert!(journal.append([end]).synced().await.is_err());
    assert!(!journal.accepts());
}

#[test]
fn nobody_else_can_read_what_is_kept() {
    use std::os::unix::fs::PermissionsExt as _;
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let (journal, _) = Journal::open(&state, Arc::new(Fixed)).unwrap();
    let spool = super::spool::Spool::open(&state, |_| true).unwrap();
    spool.write(id(1), &Output::default()).unwrap();
    drop(journal);
    let mode = |path: std::path::PathBuf| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode(state.clone()), mode(state.join("spool"))), (0o700, 0o700));
    for file in [state.join("journal"), state.join("lock"), state.join("reserve"), spool.path(id(1))] {
        assert_eq!(mode(file.clone()), 0o600, "{}", file.display());
    }
}
