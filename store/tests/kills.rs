//! A store whose process is killed at random moments keeps every change that it acknowledged.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

use std::{
    collections::BTreeMap,
    hash::{BuildHasher as _, RandomState},
    io::{BufRead as _, BufReader, Read as _},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use lictor_core::{
    audit::AuditEvent,
    clock::Timestamp,
    digest::Digest,
    merkle::{Frontier, leaf_hash},
};
use lictor_store::{
    Change, KeptPolicy, Store as _, Write,
    embedded::{EmbeddedStore, OpenError},
};

/// Names the directory of the store; set in the process that is killed.
const DIR: &str = "LICTOR_KILL_DIR";
/// The first number that the process commits.
const FIRST: &str = "LICTOR_KILL_FIRST";
/// How many kills; 6 if it is not set.
const ROUNDS: &str = "LICTOR_KILL_ROUNDS";
/// Starts a line that says that a number was acknowledged.
const ACKNOWLEDGED: &str = "acknowledged ";
/// Numbers of one round: more than it can commit.
const ROUND_NUMBERS: u64 = 1_000_000;
/// Changes under way at once, so that frames hold several.
const WRITERS: u64 = 8;
/// Records read at once.
const PAGE: usize = 1000;
/// A killed process lets go of its files by itself; one that goes on lets go of sled's lock a moment after the drop.
const OPEN_TRIES: u32 = 500;

fn open(dir: &Path) -> EmbeddedStore {
    for _ in 0..OPEN_TRIES {
        match EmbeddedStore::open(dir) {
            Ok(store) => return store,
            Err(OpenError::Sled { .. } | OpenError::InUse(_)) => thread::sleep(Duration::from_millis(10)),
            Err(error) => panic!("{error:?}"),
        }
    }
    panic!("the store stays locked");
}

fn change(number: u64) -> Change {
    // Of uneven length, so that files are changed in the middle of a round as well.
    let source = "x".repeat(usize::try_from(number * 7919 % 40_000).unwrap());
    let at = Timestamp::from_micros(number);
    let policy = KeptPolicy {
        version: number,
        digest: Digest::of(source.as_bytes()),
        source,
        changed_by: "test".into(),
        changed_at: at,
        note: String::new(),
    };
    let event = AuditEvent::ControllerStarted { name: format!("number {number}") };
    Change::new(at, event).write(Write::PutPolicy(policy))
}

/// Not a test by itself: what the killed process runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_numbers_until_it_is_killed() {
    let (Some(dir), Ok(first)) = (std::env::var_os(DIR), std::env::var(FIRST)) else { return };
    let store = Arc::new(open(Path::new(&dir)));
    let next = Arc::new(AtomicU64::new(first.parse().unwrap()));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        writers.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let recorded = store.commit(change(number)).await.unwrap();
                println!("\n{ACKNOWLEDGED}{number} {} {writer}", recorded.first_index());
            }
        });
    }
    writers.join_next().await.unwrap().unwrap();
}

/// The index of a number's record, and which writer committed it.
type Acknowledged = BTreeMap<u64, (u64, u64)>;

/// Runs the process until it is killed; returns the acknowledged numbers with the indices of their records.
fn killed_round(dir: &Path, first: u64, lines: u64, delay: Duration) -> Acknowledged {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "commits_numbers_until_it_is_killed", "--nocapture"])
        .env(DIR, dir)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let mut text = String::new();
    let mut seen = 0;
    while seen < lines {
        let start = text.len();
        assert!(output.read_line(&mut text).unwrap() > 0, "the process ended by itself: {text}");
        seen += u64::from(text[start..].starts_with(ACKNOWLEDGED));
    }
    // Not to wait for anything, but to kill at no moment in particular.
    thread::sleep(delay);
    child.kill().unwrap();
    output.read_to_string(&mut text).unwrap();
    assert!(!child.wait().unwrap().success());

    let whole_lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    whole_lines
        .filter_map(|line| {
            let mut parts = line.strip_prefix(ACKNOWLEDGED)?.split(' ').map(|n| n.parse().unwrap());
            Some((parts.next()?, (parts.next()?, parts.next()?)))
        })
        .collect()
}

async fn check(store: &EmbeddedStore, acknowledged: &Acknowledged) {
    let mut frontier = Frontier::default();
    let mut names = Vec::new();
    loop {
        let page = store.audit(frontier.size(), PAGE).await.unwrap();
        for entry in &page {
            frontier.push(leaf_hash(&entry.content));
            let record: serde_json::Value = serde_json::from_slice(&entry.content).unwrap();
            names.push(record["name"].as_str().unwrap().to_owned());
        }
        if page.len() < PAGE {
            break;
        }
    }
    assert_eq!(frontier.head(), store.audit_head().await.unwrap());
    let mut last = [None; WRITERS as usize];
    for (number, (index, writer)) in acknowledged {
        // A writer asks for the next once the last was acknowledged, so the log has them in this order.
        let last = &mut last[usize::try_from(*writer).unwrap()];
        assert!(Some(index) > *last, "number {number} was recorded before what was acknowledged before it");
        *last = Some(index);
        let policy = store.policy(Some(*number)).await.unwrap();
        assert!(policy.is_some_and(|p| p.digest == Digest::of(p.source.as_bytes())), "number {number}");
        assert_eq!(names[usize::try_from(*index).unwrap()], format!("number {number}"));
    }
}

#[tokio::test]
async fn every_acknowledged_change_survives_kills_at_random_moments() {
    let rounds: u64 = std::env::var(ROUNDS).map_or(6, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    for round in 0..rounds {
        let random = RandomState::new().hash_one(round);
        // Every third process is killed while it opens, or soon after.
        let lines = if round % 3 == 2 { 0 } else { 1 + random % 1500 };
        let delay = Duration::from_micros((random >> 32) % if lines == 0 { 300_000 } else { 5_000 });
        println!("round {round}: {lines} lines, then {delay:?}");
        acknowledged.extend(killed_round(dir.path(), 1 + round * ROUND_NUMBERS, lines, delay));
        check(&open(dir.path()), &acknowledged).await;
    }
    assert!(!acknowledged.is_empty());
    let files = std::fs::read_dir(dir.path().join("journal")).unwrap().count();
    assert!(files <= 2, "{files} journal files");
}

#[test]
fn starts_that_fail_leave_no_files_behind() {
    let dir = tempfile::tempdir().unwrap();
    let journal_files = || std::fs::read_dir(dir.path().join("journal")).unwrap().count();
    // Outputs are opened after the journal.
    std::fs::write(dir.path().join("output"), "in the way").unwrap();
    let mut failed = 0;
    while failed < 5 {
        match EmbeddedStore::open(dir.path()) {
            Err(OpenError::Io { .. }) => failed += 1,
            Err(OpenError::Sled { .. } | OpenError::InUse(_)) => thread::sleep(Duration::from_millis(10)),
            other => panic!("{other:?}"),
        }
    }
    assert!(journal_files() <= 2, "{} files after failed starts", journal_files());
    std::fs::remove_file(dir.path().join("output")).unwrap();
    for _ in 0..3 {
        drop(open(dir.path()));
    }
    assert!(journal_files() <= 2, "{} files after starts without a change", journal_files());
}
