//! What a store finds wrong with what it kept, and does not pass over.

use lictor_core::{audit::AuditEvent, clock::Timestamp, frame};

use super::{batch::Op, *};

fn change(n: u64) -> Change {
    Change::new(Timestamp::from_micros(n), AuditEvent::ControllerStarted { name: n.to_string() })
}

#[tokio::test]
async fn a_hole_in_the_audit_log_is_an_error_and_shifts_no_record() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    for n in 0..4 {
        let _ = store.commit(change(n)).await.unwrap();
    }
    // As they were kept before packs, so that one can be taken out.
    store.table.save().unwrap();
    let tree = store.table.tree();
    for entry in store.audit(0, 10).await.unwrap() {
        tree.insert(keys::audit(entry.index), entry.content.to_vec()).unwrap();
    }
    for missing in [0, 1, 3] {
        let content = tree.remove(keys::audit(missing)).unwrap().unwrap();
        let error = store.audit(0, 10).await.unwrap_err();
        assert!(matches!(&error, StoreError::Corrupt(why) if why.contains(&missing.to_string())), "{error}");
        tree.insert(keys::audit(missing), content).unwrap();
    }
    assert_eq!(store.audit(1, 2).await.unwrap().iter().map(|e| e.index).collect::<Vec<_>>(), [1, 2]);
    assert!(store.audit(9, 2).await.unwrap().is_empty());
}

#[tokio::test]
async fn damage_before_later_changes_is_refused_by_file_and_offset() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    for n in 0..3 {
        let _ = store.commit(change(n)).await.unwrap();
    }
    // As if the tree had lost everything since the start, so that the journal is needed.
    store.table.save().unwrap();
    store.table.tree().remove(keys::APPLIED).unwrap();
    drop(store);
    let file = dir.path().join("journal/000000000001.journal");
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[frame::HEADER_BYTES + 10] ^= 1;
    std::fs::write(&file, bytes).unwrap();

    // sled's threads let go of its own lock a moment after the store is dropped.
    let error = loop {
        match EmbeddedStore::open(dir.path()).unwrap_err() {
            OpenError::Sled { .. } | OpenError::InUse(_) => tokio::task::yield_now().await,
            error => break error,
        }
    };
    let OpenError::Damaged { source, .. } = error else { panic!("{error:?}") };
    assert!(source.to_string().contains("000000000001.journal is damaged at offset 0"), "{source}");
}

#[tokio::test]
async fn a_change_that_is_too_large_is_refused_and_the_writer_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let mut large = Planned::new(change(0)).unwrap();
    large.ops.push(Op { key: b"z".to_vec(), value: Some(vec![0; frame::MAX_PAYLOAD_BYTES]) });
    let (refused, next) = tokio::join!(store.committer.commit(large), store.commit(change(1)));
    assert!(refused.unwrap_err().to_string().contains("nothing of it was written"));
    assert_eq!(next.unwrap().first_index(), 0);
    assert_eq!(store.audit_head().await.unwrap().size, 1);
    assert_eq!(store.audit(0, 10).await.unwrap().len(), 1);
}
