//! What the system is asked for, seen from outside: a sync stands before every acknowledgement, and one that failed is
//! never tried again until it succeeds.
//!
//! The store runs in a process under `strace`, which also makes a sync fail.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

use std::{
    collections::HashMap,
    path::Path,
    process::{Command, Output},
};

use lictor_core::{audit::AuditEvent, clock::Timestamp, digest::Digest};
use lictor_store::{Change, KeptPolicy, Store as _, Write, embedded::EmbeddedStore};

/// Names the directory of the store; set in the process that is traced.
const DIR: &str = "LICTOR_SYNCS_DIR";
/// Starts a line that says that a change was acknowledged, or that it was not.
const ACKNOWLEDGED: &str = "acknowledged ";
const REFUSED: &str = "refused ";
/// Changes that the process commits, one after another.
const CHANGES: u64 = 40;
/// Large changes: fewer than fill a journal file, so that nothing but a start and an end syncs the state.
const LARGE_CHANGES: u64 = 10;
/// The sync that fails.
const FAILS: u64 = 10;

/// A call of the process, as `strace` tells it.
#[derive(Debug)]
struct Call {
    name: String,
    arguments: String,
    /// What it returned.
    result: String,
    /// Where in the trace it begins and ends.
    span: (usize, usize),
}

fn change(number: u64) -> Change {
    let event = AuditEvent::ControllerStarted { name: format!("number {number}") };
    Change::new(Timestamp::from_micros(number), event)
}

/// Not a test by itself: what the traced process runs.
#[tokio::test]
async fn commits_one_change_after_another() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = EmbeddedStore::open(Path::new(&dir)).unwrap();
    for number in 1..=CHANGES {
        match store.commit(change(number)).await {
            Ok(recorded) => println!("\n{ACKNOWLEDGED}{number} {}", recorded.first_index()),
            Err(error) => println!("\n{REFUSED}{number} {error}"),
        }
    }
}

/// Not a test by itself: what the traced process runs. Closes the store and waits until it can be opened again.
#[tokio::test]
async fn commits_large_values_and_starts_again() {
    let Some(dir) = std::env::var_os(DIR) else { return };
    let store = EmbeddedStore::open(Path::new(&dir)).unwrap();
    for number in 1..=LARGE_CHANGES {
        let _ = store.commit(large_change(number)).await.unwrap();
    }
    drop(store);
    while EmbeddedStore::open(Path::new(&dir)).is_err() {
        tokio::task::yield_now().await;
    }
}

fn traced(dir: &Path, more: &[&str]) -> (Output, Vec<Call>) {
    traced_as("commits_one_change_after_another", dir, more)
}

fn traced_as(process: &str, dir: &Path, more: &[&str]) -> (Output, Vec<Call>) {
    let trace = dir.join("trace");
    let output = Command::new("strace")
        .args(["-f", "-y", "-s", "64", "-e", "trace=write,writev,pwrite64,fdatasync,fsync"])
        .args(more)
        .arg("-o")
        .arg(&trace)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", process, "--nocapture"])
        .env(DIR, dir.join("store"))
        .output()
        .unwrap_or_else(|error| panic!("strace cannot be started ({error}); scripts/test installs it"));
    (output, calls(&std::fs::read_to_string(trace).unwrap()))
}

/// Every call in the order in which they ended.
fn calls(trace: &str) -> Vec<Call> {
    let mut begun: HashMap<&str, (String, String, usize)> = HashMap::new();
    let mut calls = Vec::new();
    for (at, line) in trace.lines().enumerate() {
        let Some((thread, rest)) = line.split_once(' ') else { continue };
        let rest = rest.trim_start();
        let (name, arguments, from, ended) = if let Some(resumed) = rest.strip_prefix("<... ") {
            let Some((name, arguments, from)) = begun.remove(thread) else { continue };
            (name, arguments, from, resumed)
        } else {
            let Some((name, rest)) = rest.split_once('(') else { continue };
            if let Some(arguments) = rest.strip_suffix(" <unfinished ...>") {
                begun.insert(thread, (name.to_owned(), arguments.to_owned(), at));
                continue;
            }
            (name.to_owned(), rest.to_owned(), at, rest)
        };
        let result = ended.rsplit_once(" = ").map_or("", |(_, result)| result).to_owned();
        calls.push(Call { name, arguments, result, span: (from, at) });
    }
    calls
}

impl Call {
    fn of_journal(&self) -> bool {
        self.arguments.split(',').next().is_some_and(|file| file.contains(".journal>"))
    }
    fn writes_journal(&self) -> bool {
        self.of_journal() && self.name.contains("write")
    }
    fn syncs_journal(&self) -> bool {
        self.of_journal() && self.name == "fdatasync"
    }
    fn says(&self, what: &str) -> bool {
        self.name == "write" && self.arguments.starts_with("1<") && self.arguments.contains(what)
    }
}

fn said(output: &Output, what: &str) -> Vec<String> {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.lines().filter_map(|line| line.strip_prefix(what)).map(str::to_owned).collect()
}

#[test]
fn a_sync_of_the_journal_that_succeeded_stands_before_every_acknowledgement() {
    let dir = tempfile::tempdir().unwrap();
    let (output, calls) = traced(dir.path(), &[]);
    assert_eq!(said(&output, ACKNOWLEDGED).len() as u64, CHANGES, "{output:?}");
    let mut before = 0;
    let mut acknowledged = 0;
    for call in calls.iter().filter(|call| call.says(ACKNOWLEDGED)) {
        let since = |c: &&Call| c.span.0 >= before && c.span.1 <= call.span.0;
        let written = calls.iter().filter(since).filter(|c| c.writes_journal()).map(|c| c.span.1).max();
        let written = written.unwrap_or_else(|| panic!("nothing was written before {call:?}"));
        let synced =
            calls.iter().filter(since).any(|c| c.syncs_journal() && c.result == "0" && c.span.0 > written);
        assert!(synced, "acknowledged without a sync of what was written: {call:?}");
        before = call.span.0;
        acknowledged += 1;
    }
    assert_eq!(acknowledged, CHANGES);
}

#[tokio::test]
async fn a_sync_that_fails_is_not_tried_again_and_nothing_is_acknowledged_from_then_on() {
    let dir = tempfile::tempdir().unwrap();
    let inject = format!("inject=fdatasync:error=EIO:when={FAILS}");
    let (output, calls) = traced(dir.path(), &["-e", &inject]);
    let numbers = |what: &str| -> Vec<u64> {
        said(&output, what).iter().map(|line| line.split(' ').next().unwrap().parse().unwrap()).collect()
    };
    assert_eq!(numbers(ACKNOWLEDGED), (1..FAILS).collect::<Vec<_>>(), "{output:?}");
    assert_eq!(numbers(REFUSED), (FAILS..=CHANGES).collect::<Vec<_>>());
    let syncs: Vec<&Call> = calls.iter().filter(|call| call.syncs_journal()).collect();
    assert!(syncs.last().unwrap().result.contains("EIO"), "{syncs:?}");
    assert_eq!(syncs.len() as u64, FAILS, "it was tried again");
    let failed = syncs.last().unwrap().span.1;
    assert!(
        !calls.iter().any(|call| call.writes_journal() && call.span.0 > failed),
        "it was written to again"
    );

    // What was acknowledged is there; what was written and not synced may be.
    let store = EmbeddedStore::open(&dir.path().join("store")).unwrap();
    let size = store.audit_head().await.unwrap().size;
    assert!((FAILS - 1..=FAILS).contains(&size), "{size}");
    for (entry, number) in store.audit(0, usize::MAX).await.unwrap().iter().zip(1..) {
        let record: serde_json::Value = serde_json::from_slice(&entry.content).unwrap();
        assert_eq!(record["name"], format!("number {number}"));
    }
}

/// A change so large that sled keeps it in a file of its own.
fn large_change(number: u64) -> Change {
    let source = "x".repeat(1 << 20);
    let policy = KeptPolicy {
        version: number,
        digest: Digest::of(source.as_bytes()),
        source,
        changed_by: "test".into(),
        changed_at: Timestamp::from_micros(number),
        note: String::new(),
    };
    change(number).write(Write::PutPolicy(policy))
}

/// How often each file of large values was synced.
fn blob_syncs(calls: &[Call]) -> HashMap<String, usize> {
    let mut counts = HashMap::new();
    for call in calls.iter().filter(|call| call.name == "fsync" && call.result == "0") {
        let path = call.arguments.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        if let Some((_, name)) = path.and_then(|(path, _)| path.rsplit_once("/blobs/")) {
            *counts.entry(name.to_owned()).or_default() += 1;
        }
    }
    counts
}

#[test]
fn each_file_of_large_values_is_synced_once_and_not_again_at_every_start() {
    let dir = tempfile::tempdir().unwrap();
    let (output, calls) = traced_as("commits_large_values_and_starts_again", dir.path(), &[]);
    assert!(output.status.success(), "{output:?}");
    let mut synced = blob_syncs(&calls);
    assert!(synced.len() >= 5, "{synced:?}");
    assert!(synced.values().all(|count| *count == 1), "{synced:?}");
    // What was written last may have been left to the next start.
    synced.extend(blob_syncs(&traced(dir.path(), &[]).1));
    for entry in std::fs::read_dir(dir.path().join("store/state/blobs")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        assert!(synced.contains_key(&name), "{name} was never synced");
    }
}
