//! A power cut at every place in the journal: what was synced is there, what was not is gone, torn, or whole. Every
//! acknowledged change must be there, in order, and the store must go on.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

mod payloads;

use std::{
    fs::{self, File},
    io::{Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use lictor_core::{
    audit::AuditEvent,
    clock::Timestamp,
    digest::Digest,
    frame,
    merkle::{Frontier, leaf_hash},
};
use lictor_store::{
    Change, KeptPolicy, Store as _, Write,
    embedded::{EmbeddedStore, OpenError},
};

/// Changes that are acknowledged, one after another.
const CHANGES: u64 = 140;
/// What is left of the write that was under way, each at every change: 560 crash points.
const LEFT: [Left; 4] = [Left::Nothing, Left::Start, Left::Sectors, Left::Everything];
/// What a disk writes as a whole.
const SECTOR: usize = 512;
/// Threads that try crash points.
const WORKERS: usize = 4;
/// One that was just closed lets go of sled's lock a moment later.
const OPEN_TRIES: u32 = 500;

/// What is left of bytes that were written and not synced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Left {
    Nothing,
    /// A first part.
    Start,
    /// Some of its sectors.
    Sectors,
    Everything,
}

impl Left {
    /// What is left of these bytes: another part of them each `turn`.
    fn of(self, bytes: &[u8], turn: usize) -> Vec<u8> {
        let mut left = bytes.to_vec();
        match self {
            Self::Nothing => left.clear(),
            // Another length each time.
            Self::Start => left.truncate(turn * 7919 % bytes.len().max(1)),
            Self::Sectors => {
                for (n, sector) in left.chunks_mut(SECTOR).enumerate() {
                    if (turn + n).is_multiple_of(3) {
                        sector.fill(0);
                    }
                }
            }
            Self::Everything => {}
        }
        left
    }
}

/// The disk as it was: the tree that was synced last, and every byte that was ever written to the journal.
struct Recorded {
    dir: tempfile::TempDir,
    journal: PathBuf,
    length: u64,
    /// Where each frame ends.
    ends: Vec<usize>,
    bytes: Vec<u8>,
}

/// In memory where there is such a place: nothing here is about the disk of this machine.
fn fast_dir() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory).unwrap() } else { tempfile::tempdir().unwrap() }
}

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
    // Of uneven length: within a sector, over its end, and over many.
    let source = format!("{number} ").repeat(usize::try_from(number * 7919 % 700).unwrap());
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

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

/// Where each frame of a journal file ends.
fn frame_ends(bytes: &[u8]) -> Vec<usize> {
    let (mut ends, mut at) = (Vec::new(), 0);
    while let Some((length, _)) = frame::read_header(&bytes[at..]).filter(|(length, _)| *length > 0) {
        at += frame::HEADER_BYTES + length;
        ends.push(at);
    }
    ends
}

/// A journal file of so many bytes: what was synced, then what is left of a write, then zeros.
fn write_journal(path: &Path, length: u64, synced: &[u8], rest: &[u8]) {
    let mut file = File::create_new(path).unwrap();
    file.set_len(length).unwrap();
    file.write_all(synced).unwrap();
    file.write_all(rest).unwrap();
}

async fn record() -> Recorded {
    let dir = fast_dir();
    let whole = dir.path().join("whole");
    drop(open(&whole));
    // Opened and closed once more, so that nothing writes to it while it is copied.
    drop(open(&whole));
    copy(&whole.join("state"), &dir.path().join("synced"));
    let store = open(&whole);
    for number in 1..=CHANGES {
        let recorded = store.commit(change(number)).await.unwrap();
        assert_eq!(recorded.first_index(), number - 1);
    }
    let mut files: Vec<PathBuf> =
        fs::read_dir(whole.join("journal")).unwrap().map(|e| e.unwrap().path()).collect();
    files.sort();
    let journal = files.pop().unwrap();
    let mut bytes = fs::read(&journal).unwrap();
    let length = bytes.len() as u64;
    let ends = frame_ends(&bytes);
    assert_eq!(ends.len() as u64, CHANGES, "each change has a frame of its own");
    bytes.truncate(*ends.last().unwrap());
    Recorded { dir, journal, length, ends, bytes }
}

impl Recorded {
    /// The disk after a power cut when `acknowledged` changes were.
    fn cut(&self, acknowledged: usize, left: Left) -> tempfile::TempDir {
        let dir = tempfile::tempdir_in(self.dir.path()).unwrap();
        copy(&self.dir.path().join("synced"), &dir.path().join("state"));
        fs::create_dir(dir.path().join("journal")).unwrap();
        let synced = if acknowledged == 0 { 0 } else { self.ends[acknowledged - 1] };
        let under_way = self.ends.get(acknowledged).map_or(&[][..], |end| &self.bytes[synced..*end]);
        let rest = left.of(under_way, acknowledged);
        // A new file is filled with zeros and synced before the first frame; the rest of it stays so.
        let path = dir.path().join("journal").join(self.journal.file_name().unwrap());
        write_journal(&path, self.length, &self.bytes[..synced], &rest);
        dir
    }
}

/// What a store that comes back must have.
async fn check(dir: &Path, acknowledged: usize, left: Left) {
    let store = open(dir);
    let size = store.audit_head().await.unwrap().size;
    let may_be =
        if left == Left::Nothing { acknowledged..=acknowledged } else { acknowledged..=acknowledged + 1 };
    assert!(may_be.contains(&usize::try_from(size).unwrap()), "{size} after {acknowledged} and {left:?}");
    let mut frontier = Frontier::default();
    for (entry, number) in store.audit(0, usize::MAX).await.unwrap().iter().zip(1u64..) {
        frontier.push(leaf_hash(&entry.content));
        let record: serde_json::Value = serde_json::from_slice(&entry.content).unwrap();
        assert_eq!(
            record["name"],
            format!("number {number}"),
            "in the order in which they were acknowledged"
        );
        // The state beside the records: all of it now and then, and always what changed last.
        if !acknowledged.is_multiple_of(10) && number + 4 < size {
            continue;
        }
        let policy = store.policy(Some(number)).await.unwrap().unwrap();
        assert_eq!(policy.digest, Digest::of(policy.source.as_bytes()));
    }
    assert_eq!(frontier.head(), store.audit_head().await.unwrap());
    assert!(store.policy(Some(size + 1)).await.unwrap().is_none(), "state without its record");
    let next = store.commit(change(size + 1)).await.unwrap();
    assert_eq!(next.first_index(), size);
}

#[test]
fn every_acknowledged_change_survives_a_power_cut_at_every_place_in_the_journal() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let recorded = runtime().block_on(record());
    let changes = usize::try_from(CHANGES).unwrap();
    let points: Vec<(usize, Left)> =
        (0..changes).flat_map(|acknowledged| LEFT.map(|left| (acknowledged, left))).collect();
    assert!(points.len() >= 500);
    thread::scope(|scope| {
        for worker in 0..WORKERS {
            let (recorded, points) = (&recorded, &points);
            scope.spawn(move || {
                let runtime = runtime();
                for (acknowledged, left) in points.iter().skip(worker).step_by(WORKERS) {
                    let dir = recorded.cut(*acknowledged, *left);
                    runtime.block_on(check(dir.path(), *acknowledged, *left));
                }
            });
        }
    });
}

#[test]
fn a_lost_sync_in_the_middle_is_not_taken_for_the_end() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let recorded = runtime.block_on(record());
    let dir = recorded.cut(usize::try_from(CHANGES).unwrap(), Left::Nothing);
    let path = dir.path().join("journal").join(recorded.journal.file_name().unwrap());
    let mut file = File::options().read(true).write(true).open(path).unwrap();
    // A disk that lied: the last part of the tenth frame is gone, and later ones are not.
    let at = recorded.ends[9] as u64 - 4;
    file.seek(SeekFrom::Start(at)).unwrap();
    let mut before = [0; 4];
    file.read_exact(&mut before).unwrap();
    file.seek(SeekFrom::Start(at)).unwrap();
    file.write_all(&before.map(|byte| !byte)).unwrap();
    let error = EmbeddedStore::open(dir.path()).unwrap_err();
    assert!(matches!(error, OpenError::Damaged { .. }), "{error:?}");
}
