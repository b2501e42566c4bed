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

/// Whether these bytes stand in any file of the directory.
fn is_anywhere(dir: &Path, bytes: &[u8]) -> bool {
    std::fs::read_dir(dir).unwrap().any(|entry| {
        let path = entry.unwrap().path();
        if path.is_dir() {
            return is_anywhere(&path, bytes);
        }
        std::fs::read(path).unwrap().windows(bytes.len()).any(|window| window == bytes)
    })
}

fn denied(n: u64, command: &str) -> Change {
    let event = AuditEvent::RequestDenied {
        principal: lictor_core::principal::Principal {
            tenant: "default".parse().unwrap(),
            kind: lictor_core::principal::PrincipalKind::User,
            name: "ada".parse().unwrap(),
        },
        origin: lictor_core::job::Origin::new(lictor_core::principal::Via::Cli, "test 1"),
        target: lictor_core::job::Target::Tag("web".parse().unwrap()),
        command: command.into(),
        context: lictor_core::context::Context::default(),
        request_digest: Digest::of(command.as_bytes()),
        code: "E_EXPANSION".into(),
        reason: format!("{command} is refused"),
        rule: None,
        policy_version: 1,
    };
    Change::new(Timestamp::from_micros(n), event)
}

#[tokio::test]
async fn an_erased_payload_is_in_no_file_any_more_and_the_log_is_what_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let (secret, other) = (b"the-secret-of-ada".as_slice(), b"what-others-said".as_slice());
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    for n in 0..20 {
        let command = if n % 2 == 0 { text(secret) } else { text(other) };
        let _ = store.commit(denied(n, &command)).await.unwrap();
        if n == 9 {
            store.table.save().unwrap();
        }
    }
    let before = store.audit(0, 99).await.unwrap();
    let frontier = store.audit_head_at(20).await.unwrap();
    assert!(is_anywhere(dir.path(), secret) && is_anywhere(dir.path(), other));
    let ranges = (0..20).filter(|n| n % 2 == 0).map(|n| (n, n + 1)).collect();
    let erasing = change(20).write(crate::Write::ErasePayloads(ranges));
    let (first, second) = tokio::join!(store.commit(erasing), store.commit(denied(21, "later")));
    assert_eq!((first.unwrap().first_index(), second.unwrap().first_index()), (20, 21));

    assert!(!is_anywhere(dir.path(), secret), "the bytes are gone from every file");
    assert!(is_anywhere(dir.path(), other));
    assert_eq!(store.audit_head_at(20).await.unwrap(), frontier);
    let entries = store.audit(0, 99).await.unwrap();
    for (entry, was) in entries.iter().zip(&before) {
        assert_eq!(entry.content, was.content);
        let expected = if entry.index % 2 == 0 { Bytes::new() } else { was.payload.clone() };
        assert_eq!(entry.payload, expected, "{}", entry.index);
        assert!(!was.payload.is_empty());
    }
    drop(store);
    // sled's threads let go of its own lock a moment after the store is dropped.
    let store = loop {
        match EmbeddedStore::open(dir.path()) {
            Ok(store) => break store,
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert_eq!(store.audit(0, 99).await.unwrap(), entries);
    assert!(!is_anywhere(dir.path(), secret));
}

#[tokio::test]
async fn an_erasure_that_a_crash_interrupted_is_ended_by_the_next_start() {
    an_interrupted_erasure_is_ended(false).await;
}

#[tokio::test]
async fn an_erasure_of_which_only_the_journal_knows_is_ended_by_the_next_start() {
    an_interrupted_erasure_is_ended(true).await;
}

async fn an_interrupted_erasure_is_ended(all_but_the_journal: bool) {
    let dir = tempfile::tempdir().unwrap();
    let secret = b"the-secret-of-ada".as_slice();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let _ = store.commit(denied(0, "the-secret-of-ada")).await.unwrap();
    store.table.save().unwrap();
    let applied = read_applied(store.table.tree()).unwrap();
    drop(store);
    // The frame of an erasure stands in the journal, and nothing else was done.
    let journal_dir = dir.path().join("journal");
    let end = Journal::replay(&journal_dir, applied, |_, _| Ok(())).unwrap();
    let mut journal = Journal::start(&journal_dir, end).unwrap();
    let op = Op { key: keys::erased(0), value: Some(1u64.to_be_bytes().to_vec()) };
    journal.append(&batch::encode(&[op])).unwrap();
    drop(journal);
    if all_but_the_journal {
        apply(dir.path());
    }
    assert!(is_anywhere(dir.path(), secret));
    let store = loop {
        match EmbeddedStore::open(dir.path()) {
            Ok(store) => break store,
            Err(OpenError::Damaged { source, .. }) => panic!("{source}"),
            Err(_) => tokio::task::yield_now().await,
        }
    };
    assert!(store.audit(0, 9).await.unwrap()[0].payload.is_empty());
    assert!(!is_anywhere(dir.path(), secret));
}

/// What a start does with the journal, up to where it would forget what was erased.
fn apply(dir: &Path) {
    let db = loop {
        match sled::open(dir.join("state")) {
            Ok(db) => break db,
            Err(_) => std::thread::yield_now(),
        }
    };
    let tree = db.open_tree("lictor").unwrap();
    let payloads = PayloadFiles::open(dir.join("payloads"), read_payloads_end(&tree).unwrap()).unwrap();
    let mut replayed = Replayed::new(&tree, &payloads);
    let replay = |frame: &[u8], position| replayed.take(batch::decode(frame)?, position);
    Journal::replay(&dir.join("journal"), read_applied(&tree).unwrap(), replay).unwrap();
    assert!(replayed.finish().unwrap());
    save_tree(&db, &tree, &dir.join("state")).unwrap();
}

/// Opens the store again; sled's threads let go of its own lock a moment after it is dropped.
async fn reopen(dir: &Path, store: EmbeddedStore) -> EmbeddedStore {
    drop(store);
    loop {
        match EmbeddedStore::open(dir) {
            Ok(store) => return store,
            Err(OpenError::Damaged { source, .. }) => panic!("{source}"),
            Err(_) => tokio::task::yield_now().await,
        }
    }
}

/// A job that has ended on one host, where it printed more than a record holds.
fn ended_job() -> (lictor_core::job::Job, lictor_core::invocation::Invocation, EndedJob) {
    use lictor_core::{invocation, job, output, principal};
    let at = Timestamp::from_micros(1);
    let bytes = vec![b'x'; 5_000];
    let job = job::Job {
        id: JobId::from_bytes([7; 16]),
        principal: principal::Principal {
            tenant: "default".parse().unwrap(),
            kind: principal::PrincipalKind::User,
            name: "ada".parse().unwrap(),
        },
        origin: job::Origin::new(principal::Via::Cli, "test 1"),
        target: job::Target::Tag("web".parse().unwrap()),
        command: lictor_core::command::Command::from_argv(&["id"]).unwrap(),
        context: lictor_core::context::Context::default(),
        policy_version: 1,
        created_at: at,
        queue_until: at,
        cancel_requested: None,
        invocations: 1,
        timeout: None,
        output_bytes: None,
        rollout: lictor_core::rollout::Rollout::default(),
        progress: lictor_core::rollout::Progress::default(),
        detached: false,
        approval: None,
    };
    let invocation = invocation::Invocation {
        id: InvocationId::derive(job.id, "web-1", 1),
        job: job.id,
        host: HostAlias::new("web-1").unwrap(),
        site: SiteName::new("eu").unwrap(),
        attempt: 1,
        wave: 1,
        state: invocation::InvocationState::Ended(lictor_core::outcome::Outcome::Succeeded),
        version: 1,
        limits: job::Limits { timeout: std::time::Duration::from_secs(5), output_bytes: 1 << 20 },
        rule: None,
        started_at: None,
        ended_at: Some(Timestamp::from_micros(5)),
        address: None,
        output: output::Output {
            stdout: output::StreamSummary {
                bytes_total: bytes.len() as u64,
                digest: Some(Digest::of(&bytes)),
                head: bytes,
                tail: vec![],
            },
            ..output::Output::default()
        },
        resolution: None,
        output_removed: None,
        last_agent: None,
        guard: lictor_core::guard::Guard::Journal,
        redactions: 0,
    };
    let end = EndedJob { job: job.id, ended_at: Timestamp::from_micros(9), output_bytes: 5_000, version: 1 };
    (job, invocation, end)
}

#[tokio::test]
async fn files_that_nobody_needs_go_again_once_every_record_can_be_read_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = EmbeddedStore::open(dir.path()).unwrap();
    let (job, invocation, end) = ended_job();
    let counts = Some(lictor_core::job::Counts::default());
    for writes in [
        vec![crate::Write::CreateJob(job.clone()), crate::Write::CreateInvocation(invocation.clone())],
        vec![crate::Write::UpdateJob { job, counts, version: 2 }, crate::Write::PutEnded(end)],
    ] {
        let _ = store.commit(writes.into_iter().fold(change(0), Change::write)).await.unwrap();
    }
    // As an older version leaves it, which knows nothing of the indexes; and one record is damaged.
    store.table.save().unwrap();
    let key = keys::invocation(invocation.id);
    let file = Digest::of(&invocation.output.stdout.head);
    let good = store.table.tree().insert(key.clone(), batch::value(1, b"{")).unwrap().unwrap();
    assert!(store.table.tree().remove(keys::file_use(file, invocation.id)).unwrap().is_some());
    assert!(store.table.tree().remove(keys::INDEXED).unwrap().is_some());
    let nobodys = b"nobody needs this".to_vec();
    store.outputs.write(Digest::of(&nobodys), outputs::Source::Bytes(nobodys)).await.unwrap();

    // The second start finds indexes that are whole but for that record.
    let mut store = reopen(dir.path(), store).await;
    for _ in 0..2 {
        assert!(store.table.get(keys::UNREADABLE).unwrap().is_some());
        assert_eq!(store.remove_orphans().await.unwrap(), 0, "it may be the one that the record names");
        store = reopen(dir.path(), store).await;
    }

    let before = store.ended_job(end.job).await.unwrap().unwrap();
    store.table.tree().insert(key, good).unwrap();
    let store = reopen(dir.path(), store).await;
    assert!(store.table.get(keys::UNREADABLE).unwrap().is_none());
    assert_eq!(store.remove_orphans().await.unwrap(), 1);
    assert_eq!(store.invocation(invocation.id).await.unwrap(), Some(invocation), "what is named stays");
    let after = store.ended_job(end.job).await.unwrap().unwrap();
    assert_eq!((before.ended_at.as_micros(), before.output_bytes), (1, 0), "its end could not be read");
    assert_eq!((after.ended_at.as_micros(), after.output_bytes), (5, 5_000), "it counts again");
}
