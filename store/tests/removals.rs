//! A store whose process is killed at random moments while it keeps and removes output: no record names a file that is not
//! there, and a start leaves no file that no record names.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop where it fails"
)]

use std::{
    collections::BTreeSet,
    hash::{BuildHasher as _, RandomState},
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    thread,
    time::Duration,
};

use lictor_core::{
    audit::AuditEvent,
    clock::Timestamp,
    digest::Digest,
    guard::Guard,
    id::{InvocationId, JobId},
    invocation::{Invocation, InvocationState},
    job::{Counts, Job, Limits, Origin, Target},
    name::{HostAlias, PrincipalName, SiteName, TenantName},
    outcome::Outcome,
    output::{Output, StreamSummary},
    principal::{Principal, PrincipalKind, Via},
    retention::{OutputRemoved, RetentionLimit},
};
use lictor_store::{
    Change, EndedJob, Store as _, Write,
    embedded::{EmbeddedStore, OpenError},
};

/// Names the directory of the store; set in the process that is killed.
const DIR: &str = "LICTOR_REMOVALS_DIR";
/// The first job that the process keeps.
const FIRST: &str = "LICTOR_REMOVALS_FIRST";
/// How many kills.
const ROUNDS: u64 = 5;
/// Jobs of one round: more than it can keep.
const ROUND_JOBS: u64 = 1_000_000;
/// Jobs under way at once: they share what they print.
const WRITERS: u64 = 4;
/// Different outputs: few, so that they are kept and removed at the same time.
const OUTPUTS: u64 = 3;
/// A killed process lets go of its files by itself; one that goes on lets go of sled's lock a moment after the drop.
const OPEN_TRIES: u32 = 500;
const AT: Timestamp = Timestamp::from_micros(1);
const HOSTS: [&str; 2] = ["a", "b"];

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

fn change() -> Change {
    Change::new(AT, AuditEvent::ControllerStarted { name: "test".into() })
}

fn job(n: u64) -> Job {
    Job {
        id: JobId::from_bytes(u128::from(n).to_be_bytes()),
        principal: Principal {
            tenant: TenantName::new("default").unwrap(),
            kind: PrincipalKind::User,
            name: PrincipalName::new("ops").unwrap(),
        },
        origin: Origin::new(Via::Cli, "test"),
        target: Target::Hosts(vec![HostAlias::new("a").unwrap()]),
        command: lictor_core::command::Command::from_argv(&["id"]).unwrap(),
        context: lictor_core::context::Context::default(),
        policy_version: 1,
        created_at: AT,
        queue_until: AT,
        cancel_requested: None,
        invocations: 2,
        timeout: None,
        output_bytes: None,
        rollout: lictor_core::rollout::Rollout::default(),
        progress: lictor_core::rollout::Progress::default(),
        detached: false,
        approval: None,
    }
}

/// The invocations of a job, which print one of a few things.
fn invocations(job: &Job, n: u64) -> [Invocation; 2] {
    let bytes = vec![b'0' + u8::try_from(n % OUTPUTS).unwrap(); 5_000];
    HOSTS.map(|host| Invocation {
        redactions: 0,
        id: InvocationId::derive(job.id, host, 1),
        job: job.id,
        host: HostAlias::new(host).unwrap(),
        site: SiteName::new("eu").unwrap(),
        attempt: 1,
        wave: 1,
        guard: Guard::Journal,
        state: InvocationState::Ended(Outcome::Succeeded),
        version: 1,
        limits: Limits { timeout: Duration::from_secs(5), output_bytes: 1 << 20 },
        rule: None,
        started_at: None,
        ended_at: None,
        address: None,
        output: Output {
            stdout: StreamSummary {
                bytes_total: 5_000,
                digest: Some(Digest::of(&bytes)),
                head: bytes.clone(),
                tail: vec![],
            },
            ..Output::default()
        },
        resolution: None,
        output_removed: None,
        last_agent: None,
    })
}

/// Keeps a job, removes what it printed, and removes it, each acknowledged before the next; every third stays as it is.
async fn keep_and_remove(store: &EmbeddedStore, n: u64) {
    let job = job(n);
    let invocations = invocations(&job, n);
    let end = EndedJob { job: job.id, ended_at: AT, output_bytes: 10_000, version: 1 };
    let mut keep = change().write(Write::CreateJob(job.clone()));
    for invocation in &invocations {
        keep = keep.write(Write::CreateInvocation(invocation.clone()));
    }
    let counts = Some(Counts::default());
    let _ = store.commit(keep).await.unwrap();
    let ended = change().write(Write::UpdateJob { job, counts, version: 2 }).write(Write::PutEnded(end));
    let _ = store.commit(ended).await.unwrap();
    if n.is_multiple_of(3) {
        return;
    }
    let end = EndedJob { output_bytes: 0, version: 2, ..end };
    let mut remove = change().write(Write::PutEnded(end));
    for mut invocation in invocations.clone() {
        invocation.version = 2;
        invocation.output.stdout.head.clear();
        let limit = RetentionLimit::Bytes(0);
        invocation.output_removed = Some(OutputRemoved { at: AT, limit });
        remove = remove.write(Write::UpdateInvocation(invocation.into()));
    }
    let _ = store.commit(remove).await.unwrap();
    let mut forget = change().write(Write::RemoveJob { ended: end, version: 2 });
    for Invocation { id, job, host, attempt, .. } in invocations {
        forget = forget.write(Write::RemoveInvocation { id, job, host, attempt, version: 2 });
    }
    let _ = store.commit(forget).await.unwrap();
}

/// Not a test by itself: what the killed process runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keeps_and_removes_until_it_is_killed() {
    let (Some(dir), Ok(first)) = (std::env::var_os(DIR), std::env::var(FIRST)) else { return };
    let store = Arc::new(open(Path::new(&dir)));
    let first: u64 = first.parse().unwrap();
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let store = Arc::clone(&store);
        writers.spawn(async move {
            for n in (first + writer..).step_by(usize::try_from(WRITERS).unwrap()) {
                keep_and_remove(&store, n).await;
                println!("\nremoved {n}");
            }
        });
    }
    writers.join_next().await.unwrap().unwrap();
}

fn killed_round(dir: &Path, first: u64, lines: u64, delay: Duration) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "keeps_and_removes_until_it_is_killed", "--nocapture"])
        .env(DIR, dir)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(child.stdout.take().unwrap());
    let (mut text, mut seen) = (String::new(), 0);
    while seen < lines {
        text.clear();
        assert!(output.read_line(&mut text).unwrap() > 0, "the process ended by itself");
        seen += u64::from(text.starts_with("removed "));
    }
    // Not to wait for anything, but to kill at no moment in particular.
    thread::sleep(delay);
    child.kill().unwrap();
    assert!(!child.wait().unwrap().success());
}

fn files(dir: &Path) -> BTreeSet<String> {
    let Ok(folders) = std::fs::read_dir(dir.join("output")) else { return BTreeSet::new() };
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    files.map(|file| file.unwrap().file_name().into_string().unwrap()).collect()
}

/// Reads everything that is recorded; answers which files it needs.
async fn needed(store: &EmbeddedStore) -> BTreeSet<String> {
    let (mut needed, mut before) = (BTreeSet::new(), None);
    loop {
        let page = store.jobs(before, 100).await.unwrap();
        let Some(last) = page.last() else { return needed };
        before = Some(last.job.id);
        for kept in page {
            let ids = store.invocation_ids(kept.job.id, None, 9).await.unwrap();
            assert_eq!(ids.len(), HOSTS.len(), "a job is removed as a whole");
            let ended = store.ended_job(kept.job.id).await.unwrap();
            assert_eq!(ended.is_some(), kept.counts.is_some());
            for id in ids {
                let invocation = store.invocation(id).await.unwrap().unwrap();
                let head = &invocation.output.stdout.head;
                assert_eq!(head.is_empty(), invocation.output_removed.is_some());
                assert!(ended.is_none_or(|ended| head.is_empty() == (ended.output_bytes == 0)));
                if !head.is_empty() {
                    needed.insert(Digest::of(head).to_string());
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kills_leave_neither_records_without_their_files_nor_files_without_records() {
    let dir = tempfile::tempdir().unwrap();
    for round in 0..ROUNDS {
        let random = RandomState::new().hash_one(round);
        killed_round(
            dir.path(),
            1 + round * ROUND_JOBS,
            1 + random % 60,
            Duration::from_micros((random >> 32) % 5_000),
        );
        // What a write leaves that was cut off.
        let half = dir.path().join("output/00").join(format!("{}.new-7", "0".repeat(64)));
        std::fs::create_dir_all(half.parent().unwrap()).unwrap();
        std::fs::write(&half, "ha").unwrap();
        let store = open(dir.path());
        let expected = needed(&store).await;
        assert!(files(dir.path()).is_superset(&expected));
        assert!(store.remove_orphans().await.unwrap() >= 1);
        assert_eq!(files(dir.path()), expected);
        assert_eq!(needed(&store).await, expected);
    }
}
