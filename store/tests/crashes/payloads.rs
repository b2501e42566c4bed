//! A power cut at every place in a journal of several files, between payloads that are kept and erased: what was
//! acknowledged is there and is what its record commits to, and nothing of what was erased is in any file.

use std::{collections::BTreeSet, ffi::OsString};

use lictor_core::{
    name::{PrincipalName, TenantName},
    principal::{Principal, PrincipalKind},
};
use lictor_store::record::Commitment;

use super::*;

/// What every payload has, and nothing else: behind it stands the number of the record.
const MARK: &str = "typed-by-somebody-";
/// So long that a few of them fill a journal file.
const LONG: usize = 3 * 1024 * 1024;
/// A file of payloads that was never synced to its end has this behind what was.
const TAIL: &str = "tail";
/// What a search passes over when it has nothing else: what files are filled with, and what is long here.
const BLOCK: usize = 4096;

/// One change. Each makes one record, whose index is the number of the change.
#[derive(Debug, Clone, Copy)]
enum Step {
    /// A record with a payload, beside a policy of so many bytes.
    Keep(usize),
    /// Erases the payloads of records from the first to before the second.
    Erase(usize, usize),
}

/// A file of the journal.
struct Segment {
    name: OsString,
    length: u64,
    /// The number of the change in its first frame.
    first: usize,
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

/// Every byte that was ever written to the journal, and what was safe beside it when each of its files began.
struct Log {
    dir: tempfile::TempDir,
    steps: Vec<Step>,
    segments: Vec<Segment>,
}

/// Files that end because they are full, and because something is erased: from the same file, and from earlier ones.
fn steps() -> Vec<Step> {
    let mut steps = vec![Step::Keep(100); 8];
    steps.push(Step::Erase(2, 5));
    steps.extend([Step::Keep(700); 3]);
    steps.extend([Step::Keep(LONG); 6]);
    steps.extend([Step::Keep(10); 2]);
    steps.extend([Step::Erase(0, 2), Step::Erase(6, 14)]);
    steps.extend([Step::Keep(50); 2]);
    steps
}

fn change_of(number: usize, step: Step) -> Change {
    let count = number as u64 + 1;
    let at = Timestamp::from_micros(count);
    let bytes = match step {
        Step::Keep(bytes) => bytes,
        Step::Erase(from, to) => {
            let event = AuditEvent::ControllerStarted { name: number.to_string() };
            return Change::new(at, event).write(Write::ErasePayloads(vec![(from as u64, to as u64)]));
        }
    };
    let by = Principal {
        tenant: TenantName::new("default").unwrap(),
        kind: PrincipalKind::User,
        name: PrincipalName::new("ops").unwrap(),
    };
    // Of uneven length, so that payloads begin anywhere.
    let query = format!("{}{}", mark(number), "t".repeat(number * 7919 % 600));
    let source = "x".repeat(bytes);
    let digest = Digest::of(source.as_bytes());
    let note = String::new();
    let policy =
        KeptPolicy { version: count, digest, source, changed_by: "test".into(), changed_at: at, note };
    let event = AuditEvent::AuditRead { by, from: 0, count: 1, query: Some(query) };
    Change::new(at, event).write(Write::PutPolicy(policy))
}

fn mark(number: usize) -> String {
    format!("{MARK}{number}-")
}

/// Keeps the newest file of a journal in another directory: it goes on being written, and is not removed there.
fn link_newest(journal: &Path, links: &Path) {
    let newest = fs::read_dir(journal).unwrap().map(|entry| entry.unwrap().path()).max().unwrap();
    let link = links.join(newest.file_name().unwrap());
    if !link.exists() {
        fs::hard_link(newest, link).unwrap();
    }
}

async fn record_payloads() -> Log {
    let dir = fast_dir();
    let (whole, links) = (dir.path().join("whole"), dir.path().join("links"));
    drop(open(&whole));
    // Opened once more, so that nothing writes to it while it is copied.
    let (store, steps) = (open(&whole), steps());
    copy_safe(&whole, &dir.path().join("safe-0"));
    fs::create_dir(&links).unwrap();
    link_newest(&whole.join("journal"), &links);
    for (number, step) in steps.iter().enumerate() {
        let recorded = store.commit(change_of(number, *step)).await.unwrap();
        assert_eq!(recorded.first_index(), number as u64);
        link_newest(&whole.join("journal"), &links);
    }
    drop(store);
    let mut files: Vec<PathBuf> = fs::read_dir(&links).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut segments, mut first) = (Vec::new(), 0);
    for file in files {
        let mut bytes = fs::read(&file).unwrap();
        let (length, ends) = (bytes.len() as u64, frame_ends(&bytes));
        bytes.truncate(ends.last().copied().unwrap_or_default());
        let (name, next) = (file.file_name().unwrap().to_owned(), first + ends.len());
        segments.push(Segment { name, length, first, ends, bytes });
        first = next;
    }
    assert_eq!(first, steps.len(), "each change has a frame of its own");
    let log = Log { dir, steps, segments };
    log.make_safe();
    log
}

/// Copies what is safe beside the journal.
fn copy_safe(from: &Path, to: &Path) {
    for part in ["state", "payloads"] {
        copy(&from.join(part), &to.join(part));
    }
}

impl Log {
    /// What was safe when this segment was begun: everything before it.
    fn safe(&self, segment: usize) -> PathBuf {
        self.dir.path().join(format!("safe-{segment}"))
    }

    /// Whether this segment was begun because the one before it had what was erased.
    fn is_behind_erasure(&self, segment: usize) -> bool {
        let before = self.segments[segment].first.checked_sub(1);
        before.is_some_and(|number| matches!(self.steps[number], Step::Erase(..)))
    }

    /// A segment is begun once everything before it is safe, which a start sees to as well.
    fn make_safe(&self) {
        for index in 1..self.segments.len() {
            let before = &self.segments[index - 1];
            let at = self.dir.path().join(format!("replayed-{index}"));
            copy(&self.safe(index - 1), &at);
            fs::create_dir(at.join("journal")).unwrap();
            write_journal(&at.join("journal").join(&before.name), before.length, &before.bytes, &[]);
            drop(open(&at));
            // Opened once more, so that nothing writes to it while it is copied.
            let store = open(&at);
            copy_safe(&at, &self.safe(index));
            drop(store);
        }
    }

    /// The disk after a power cut when `acknowledged` changes were.
    fn cut(&self, acknowledged: usize, left: Left, tail: bool) -> tempfile::TempDir {
        let at = self.segments.iter().rposition(|segment| segment.first <= acknowledged).unwrap();
        let segment = &self.segments[at];
        let dir = tempfile::tempdir_in(self.dir.path()).unwrap();
        copy(&self.safe(at), dir.path());
        let journal = dir.path().join("journal");
        fs::create_dir(&journal).unwrap();
        // A full file is kept beside the next one; one with what was erased is not.
        if at > 0 && !self.is_behind_erasure(at) {
            let before = &self.segments[at - 1];
            write_journal(&journal.join(&before.name), before.length, &before.bytes, &[]);
        }
        let done = acknowledged - segment.first;
        let synced = if done == 0 { 0 } else { segment.ends[done - 1] };
        let rest = left.of(&segment.bytes[synced..segment.ends[done]], acknowledged);
        write_journal(&journal.join(&segment.name), segment.length, &segment.bytes[..synced], &rest);
        if tail {
            let payloads = dir.path().join("payloads");
            let newest = fs::read_dir(&payloads).unwrap().map(|entry| entry.unwrap().path()).max();
            let newest = newest.unwrap_or_else(|| payloads.join("000000000000.payloads"));
            let mut bytes = fs::read(&newest).unwrap_or_default();
            bytes.extend(format!("{{\"query\":\"{MARK}{TAIL}-\"}}").into_bytes());
            fs::write(newest, bytes).unwrap();
        }
        dir
    }

    /// What a store that comes back must have, and what it must not.
    async fn check(&self, dir: &Path, acknowledged: usize, left: Left) {
        let store = open(dir);
        let size = usize::try_from(store.audit_head().await.unwrap().size).unwrap();
        let may_be =
            if left == Left::Nothing { acknowledged..=acknowledged } else { acknowledged..=acknowledged + 1 };
        assert!(may_be.contains(&size), "{size} after {acknowledged} and {left:?}");
        let is_erased = |number: usize| {
            let erases =
                |step: &Step| matches!(step, Step::Erase(from, to) if (*from..*to).contains(&number));
            self.steps[..size].iter().any(erases)
        };
        let mut frontier = Frontier::default();
        for (number, entry) in store.audit(0, usize::MAX).await.unwrap().iter().enumerate() {
            frontier.push(leaf_hash(&entry.content));
            let commitment = Commitment::of(&entry.content).unwrap();
            assert_eq!(commitment.is_some(), matches!(self.steps[number], Step::Keep(_)), "record {number}");
            let Some(commitment) = commitment else { continue };
            if is_erased(number) {
                assert!(entry.payload.is_empty(), "record {number} after {acknowledged} and {left:?}");
                continue;
            }
            assert_eq!(commitment.fits(&entry.payload), Ok(()), "record {number} after {acknowledged}");
            assert!(String::from_utf8_lossy(&entry.payload).contains(&mark(number)));
        }
        assert_eq!(frontier.size(), size as u64);
        assert_eq!(frontier.head(), store.audit_head().await.unwrap());
        for number in size.saturating_sub(3)..size {
            let policy = store.policy(Some(number as u64 + 1)).await.unwrap();
            assert_eq!(policy.is_some(), matches!(self.steps[number], Step::Keep(_)), "policy {number}");
            assert!(policy.is_none_or(|policy| policy.digest == Digest::of(policy.source.as_bytes())));
        }
        assert!(store.policy(Some(size as u64 + 1)).await.unwrap().is_none(), "state without its record");
        let found = marks(dir);
        for number in (0..size).filter(|number| matches!(self.steps[*number], Step::Keep(_))) {
            let is_there = found.contains(&number.to_string());
            assert_eq!(is_there, !is_erased(number), "{number} after {acknowledged} and {left:?}: {found:?}");
        }
        assert!(!found.contains(TAIL), "what nothing knows of is cut off");

        // It goes on; and once everything is erased, no copy is left, also not of what was torn.
        let next = store.commit(change_of(size, Step::Keep(10))).await.unwrap();
        assert_eq!(next.first_index(), size as u64);
        let _ = store.commit(change_of(size + 1, Step::Erase(0, size + 1))).await.unwrap();
        assert_eq!(marks(dir), BTreeSet::new(), "after {acknowledged} and {left:?}");
    }
}

/// What stands behind the marks in all files below a directory.
fn marks(dir: &Path) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(marks(&path));
            continue;
        }
        // sled removes files of its own at any time.
        let bytes = fs::read(&path).unwrap_or_default();
        let is_dull = |block: &[u8]| block == [0_u8; BLOCK] || block == [b'x'; BLOCK];
        let bytes: Vec<u8> = bytes.chunks(BLOCK).filter(|block| !is_dull(block)).flatten().copied().collect();
        let text = String::from_utf8_lossy(&bytes);
        found.extend(
            text.split(MARK).skip(1).map(|rest| rest.chars().take_while(|c| *c != '-').collect::<String>()),
        );
    }
    found
}

#[test]
fn what_was_acknowledged_is_there_and_what_was_erased_is_nowhere_after_a_power_cut_at_every_place() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let log = runtime().block_on(record_payloads());
    let behind_erasures = (1..log.segments.len()).filter(|at| log.is_behind_erasure(*at)).count();
    assert_eq!(behind_erasures, 3, "each erasure begins a file");
    assert!(log.segments.len() > behind_erasures + 1, "and so does what does not fit into one");
    let points: Vec<(usize, Left, bool)> = (0..log.steps.len())
        .flat_map(|acknowledged| {
            LEFT.into_iter()
                .enumerate()
                .map(move |(n, left)| (acknowledged, left, (acknowledged + n).is_multiple_of(2)))
        })
        .collect();
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (log, points) = (&log, &points);
            scope.spawn(move || {
                let runtime = runtime();
                for (acknowledged, left, tail) in points.iter().skip(worker).step_by(WORKERS) {
                    let dir = log.cut(*acknowledged, *left, *tail);
                    runtime.block_on(log.check(dir.path(), *acknowledged, *left));
                }
            });
        }
    });
}
