//! A store whose process is killed at random moments keeps every change that it acknowledged, in order.
//!
//! Kills are aimed: some come whenever they come, others while the store opens, while the journal goes to its next file,
//! or while the state is written. What is on the disk afterwards says where each one hit; the last line counts them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

use std::{
    collections::BTreeMap,
    ffi::CStr,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    mem::MaybeUninit,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

use lictor_core::{
    audit::AuditEvent,
    clock::Timestamp,
    digest::Digest,
    frame,
    merkle::{Frontier, leaf_hash, proof::verify_consistency},
};
use lictor_store::{
    AuditEntry, Change, KeptCheckpoint, KeptPolicy, Store as _, Write,
    embedded::{EmbeddedStore, OpenError},
    record::Commitment,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use rustix::fs::inotify;

/// Names the directory of the store; set in the process that is killed.
const DIR: &str = "LICTOR_KILL_DIR";
/// The first number that the process commits.
const FIRST: &str = "LICTOR_KILL_FIRST";
/// How long a change is at most.
const BYTES: &str = "LICTOR_KILL_BYTES";
/// How many kills; 8 if it is not set.
const ROUNDS: &str = "LICTOR_KILL_ROUNDS";
/// Repeats the kills of a run that failed, as far as the machine does.
const SEED: &str = "LICTOR_KILL_SEED";
/// Lines that say that the store is about to be opened, that it is open, and that a number was acknowledged.
const OPENING: &str = "opening";
const OPENED: &str = "opened";
const ACKNOWLEDGED: &str = "acknowledged ";
/// Numbers of one round: more than it can commit.
const ROUND_NUMBERS: u64 = 1_000_000;
/// Changes under way at once, so that frames hold several.
const WRITERS: u64 = 8;
/// The first writer signs a head after so many of its changes.
const SIGNED_EVERY: u64 = 8;
/// Records read at once.
const PAGE: usize = 1000;
/// A killed process lets go of its files by itself; one that goes on lets go of sled's lock a moment after the drop.
const OPEN_TRIES: u32 = 500;
/// A journal file, once it is whole.
const JOURNAL_FILE_BYTES: u64 = 16 * 1024 * 1024;
/// Longest change: most are short, …
const LIGHT_BYTES: usize = 8_000;
/// … and some so long that a few fill a journal file, and a frame takes long enough to be torn.
const HEAVY_BYTES: usize = 2_000_000;
/// A file counts as being written when it was written this long before the kill: what a file's time can tell apart, twice.
const JUST_NOW: Duration = Duration::from_millis(10);
/// After how many kills a store gives way to a new one, for each of those that are killed side by side: one is always
/// young, and one grows old.
const LIVES: [u64; 4] = [20, 60, 120, 250];
/// Everything that a store ever acknowledged is read again after so many kills, and at its end.
const WHOLE_EVERY: u64 = 25;
/// One in so many kills is followed by another one before anybody looks.
const UNSEEN_ONE_IN: u32 = 4;
/// What kills are aimed at, again and again in this order.
const AIMS: [Aim; 20] = [
    Aim::Load,
    Aim::Opening,
    Aim::Rotation,
    Aim::State,
    Aim::Frame,
    Aim::Load,
    Aim::Opening,
    Aim::Load,
    Aim::Load,
    Aim::Opening,
    Aim::Load,
    Aim::Load,
    Aim::State,
    Aim::Load,
    Aim::Opening,
    Aim::Load,
    Aim::Load,
    Aim::Opening,
    Aim::Load,
    Aim::Load,
];

/// What a kill is aimed at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Aim {
    /// Any moment under load.
    Load,
    /// A moment before the store is open.
    Opening,
    /// The journal goes to its next file.
    Rotation,
    /// sled is given what the journal already has.
    State,
    /// A long frame is written.
    Frame,
}

/// Where a kill hit, as the disk tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Moment {
    OpeningBeforeJournal,
    OpeningInJournal,
    OpeningBehindJournal,
    Rotating,
    FrameTorn,
    PayloadsWritten,
    StateWritten,
    FrameUnacknowledged,
    BetweenFrames,
}

fn open(dir: &Path) -> EmbeddedStore {
    let mut trouble = None;
    for _ in 0..OPEN_TRIES {
        match EmbeddedStore::open(dir) {
            Ok(store) => return store,
            Err(error @ (OpenError::Sled { .. } | OpenError::InUse(_))) => trouble = Some(error),
            Err(error) => panic!("{error:?}"),
        }
        thread::sleep(Duration::from_millis(10));
    }
    panic!("the store cannot be opened: {trouble:?}");
}

fn change(number: u64, bytes: usize) -> Change {
    // Of uneven length, so that frames end and files are changed anywhere.
    let length = usize::try_from(number * 7919).unwrap() % bytes;
    let source = "x".repeat(length);
    let at = Timestamp::from_micros(number);
    let (digest, note) = (Digest::of(source.as_bytes()), "n".repeat(1 + length % 300));
    let policy = KeptPolicy {
        version: number,
        digest,
        source,
        changed_by: "test".into(),
        changed_at: at,
        note: note.clone(),
    };
    let event = AuditEvent::PolicyChanged { version: number, digest, by: "test".into(), note: Some(note) };
    Change::new(at, event).write(Write::PutPolicy(policy))
}

/// Not a test by itself: what the killed process runs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commits_numbers_until_it_is_killed() {
    let (Some(dir), Ok(first)) = (std::env::var_os(DIR), std::env::var(FIRST)) else { return };
    let bytes = std::env::var(BYTES).unwrap().parse().unwrap();
    println!("\n{OPENING}");
    let store = Arc::new(open(Path::new(&dir)));
    println!("\n{OPENED}");
    let next = Arc::new(AtomicU64::new(first.parse().unwrap()));
    let mut writers = tokio::task::JoinSet::new();
    for writer in 0..WRITERS {
        let (store, next) = (Arc::clone(&store), Arc::clone(&next));
        writers.spawn(async move {
            for round in 1.. {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let recorded = store.commit(change(number, bytes)).await.unwrap();
                println!("\n{ACKNOWLEDGED}{number} {} {writer}", recorded.first_index());
                if writer == 0 && u64::is_multiple_of(round, SIGNED_EVERY) {
                    let head = store.audit_head().await.unwrap();
                    // An hour apart now and then, so that some stay and some are replaced.
                    let at = Timestamp::from_micros(number * 60_000_000);
                    let note = head.root.to_string();
                    store.keep_checkpoint(KeptCheckpoint { size: head.size, note, at }).await.unwrap();
                }
            }
        });
    }
    writers.join_next().await.unwrap().unwrap();
}

/// The index of a number's record, and which writer committed it.
type Acknowledged = BTreeMap<u64, (u64, u64)>;

/// A process that was killed.
struct Killed {
    acknowledged: Acknowledged,
    /// How long it took to open the store, if it came so far.
    opened: Option<Duration>,
    at: SystemTime,
}

/// The lines of a process, as they come.
struct Lines {
    output: BufReader<std::process::ChildStdout>,
    text: String,
}

impl Lines {
    /// Reads on until `count` lines with this beginning have come.
    fn wait_for(&mut self, beginning: &str, count: u64) {
        let mut seen = 0;
        while seen < count {
            let start = self.text.len();
            let read = self.output.read_line(&mut self.text).unwrap();
            assert!(read > 0, "the process ended by itself: {}", self.text);
            seen += u64::from(self.text[start..].starts_with(beginning));
        }
    }
}

/// Tells of what happens to files in a directory.
struct Watch(std::os::fd::OwnedFd);

impl Watch {
    fn on(dir: &Path, what: inotify::WatchFlags) -> Self {
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC).unwrap();
        inotify::add_watch(&watch, dir, what).unwrap();
        Self(watch)
    }
    /// Waits until it has happened to files with such names `count` times.
    fn wait_for(&self, is_meant: impl Fn(&CStr) -> bool, count: usize) {
        let mut room = [MaybeUninit::uninit(); 4096];
        let mut events = inotify::Reader::new(&self.0, &mut room);
        let mut seen = 0;
        while seen < count {
            seen += usize::from(events.next().unwrap().file_name().is_some_and(&is_meant));
        }
    }
}

/// Runs the process until it is killed. `opening`: how long opening takes, more or less.
fn killed_round(dir: &Path, first: u64, aim: Aim, opening: Duration, random: &mut StdRng) -> Killed {
    let heavy = matches!(aim, Aim::Rotation | Aim::Frame);
    let journal = dir.join("journal");
    std::fs::create_dir_all(&journal).unwrap();
    let made = Watch::on(&journal, inotify::WatchFlags::CREATE);
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "commits_numbers_until_it_is_killed", "--nocapture"])
        .env(DIR, dir)
        .env(FIRST, first.to_string())
        .env(BYTES, if heavy { HEAVY_BYTES } else { LIGHT_BYTES }.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = Lines { output: BufReader::new(child.stdout.take().unwrap()), text: String::new() };
    lines.wait_for(OPENING, 1);
    let started = Instant::now();
    let mut opened = None;
    if aim != Aim::Opening {
        lines.wait_for(OPENED, 1);
        opened = Some(started.elapsed());
    }
    let within = match aim {
        Aim::Load => {
            lines.wait_for(ACKNOWLEDGED, random.random_range(1..150));
            Duration::from_millis(5)
        }
        Aim::Opening => opening,
        Aim::Rotation => {
            // The first file is made when the store is opened.
            made.wait_for(|_| true, 2);
            Duration::from_millis(60)
        }
        Aim::State => {
            let files = dir.join(if random.random() { "payloads" } else { "state" });
            // Room is reserved first, then it is written.
            Watch::on(&files, inotify::WatchFlags::MODIFY).wait_for(|_| true, 2);
            Duration::from_millis(8)
        }
        Aim::Frame => {
            lines.wait_for(ACKNOWLEDGED, random.random_range(1..8));
            Duration::from_millis(100)
        }
    };
    // Not to wait for anything, but to kill at no moment in particular.
    thread::sleep(within.mul_f64(random.random_range(0.0..1.0)));
    let at = SystemTime::now();
    child.kill().unwrap();
    lines.output.read_to_string(&mut lines.text).unwrap();
    assert!(!child.wait().unwrap().success());

    if opened.is_none() && lines.text.lines().any(|line| line == OPENED) {
        opened = Some(within);
    }
    let whole_lines = lines.text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let acknowledged = whole_lines.filter_map(|line| {
        let mut parts = line.strip_prefix(ACKNOWLEDGED)?.split(' ').map(|n| n.parse().unwrap());
        Some((parts.next()?, (parts.next()?, parts.next()?)))
    });
    Killed { acknowledged: acknowledged.collect(), opened, at }
}

/// The last frame of a journal, as a kill left it.
struct Tail {
    newest: Option<(PathBuf, u64)>,
    /// Records in all frames of the newest file.
    records: u64,
    torn: bool,
}

fn newest_journal(dir: &Path) -> Option<(PathBuf, u64)> {
    let files = std::fs::read_dir(dir.join("journal")).ok()?.map(|entry| entry.unwrap().path());
    files.max().map(|path| (path.clone(), std::fs::metadata(path).unwrap().len()))
}

fn tail(dir: &Path) -> Tail {
    let newest = newest_journal(dir);
    let bytes = newest.as_ref().map(|(path, _)| std::fs::read(path).unwrap()).unwrap_or_default();
    let (mut rest, mut records) = (&bytes[..], 0);
    while let Some((length, sum)) = frame::read_header(rest).filter(|(length, _)| *length > 0) {
        let payload = rest[frame::HEADER_BYTES..].get(..length);
        let Some(payload) = payload.filter(|payload| crc32fast::hash(payload) == sum) else { break };
        let member = br#""kind":"policy_changed""#;
        records += payload.windows(member.len()).filter(|window| window == member).count() as u64;
        rest = &rest[frame::HEADER_BYTES + length..];
    }
    Tail { newest, records, torn: rest.iter().any(|byte| *byte != 0) }
}

/// Where a kill hit. `before`: the newest journal file when the process began.
fn moment(dir: &Path, killed: &Killed, before: Option<&Path>, tail: &Tail) -> Moment {
    let made = tail.newest.as_ref().filter(|(path, _)| Some(path.as_path()) != before);
    let whole = tail.newest.as_ref().is_none_or(|(_, length)| *length >= JOURNAL_FILE_BYTES);
    if killed.opened.is_none() {
        return match made {
            None => Moment::OpeningBeforeJournal,
            Some(_) if !whole => Moment::OpeningInJournal,
            Some(_) => Moment::OpeningBehindJournal,
        };
    }
    let just_written =
        |path: &Path| std::fs::metadata(path).unwrap().modified().unwrap() + JUST_NOW >= killed.at;
    let mut payloads = std::fs::read_dir(dir.join("payloads")).unwrap().map(|entry| entry.unwrap().path());
    let acknowledged = killed.acknowledged.len() as u64;
    if !whole {
        Moment::Rotating
    } else if tail.torn {
        Moment::FrameTorn
    } else if payloads.any(|path| just_written(&path)) {
        Moment::PayloadsWritten
    } else if just_written(&dir.join("state/db")) {
        Moment::StateWritten
    } else if tail.records > acknowledged {
        Moment::FrameUnacknowledged
    } else {
        Moment::BetweenFrames
    }
}

/// What was found in all rounds.
#[derive(Debug, Default)]
struct Tally {
    stores: u64,
    acknowledged: u64,
    lost: u64,
    reordered: u64,
    torn: u64,
    looks: u64,
    whole_looks: u64,
    checkpoints: u64,
    longest: u64,
    slowest_opening: Duration,
    moments: BTreeMap<Moment, u64>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.stores += other.stores;
        self.acknowledged += other.acknowledged;
        self.lost += other.lost;
        self.reordered += other.reordered;
        self.torn += other.torn;
        self.looks += other.looks;
        self.whole_looks += other.whole_looks;
        self.checkpoints += other.checkpoints;
        self.longest = self.longest.max(other.longest);
        self.slowest_opening = self.slowest_opening.max(other.slowest_opening);
        for (moment, count) in other.moments {
            *self.moments.entry(moment).or_default() += count;
        }
    }
}

/// One store, and what is known of it.
struct Trial {
    dir: tempfile::TempDir,
    acknowledged: Acknowledged,
    /// Numbers from here on were acknowledged since the last look.
    unseen_from: u64,
    /// Everything up to the last look.
    seen: Frontier,
    kills: u64,
}

impl Trial {
    fn new(first: u64) -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { dir, acknowledged: BTreeMap::new(), unseen_from: first, seen: Frontier::default(), kills: 0 }
    }

    /// Opens the store and holds against it what it acknowledged since the last look, or ever. What it had at the last
    /// look must be the beginning of what it has.
    async fn look(&mut self, whole: bool, tally: &mut Tally) {
        let started = Instant::now();
        let store = open(self.dir.path());
        tally.slowest_opening = tally.slowest_opening.max(started.elapsed());
        let (before, head) = (self.seen.head(), store.audit_head().await.unwrap());
        let proof = store.consistency_proof(before.size, head.size).await.unwrap();
        let proof = proof.unwrap_or_else(|| panic!("{} records, and there were {}", head.size, before.size));
        verify_consistency(&before, &head, &proof).unwrap();

        let mut frontier = if whole { Frontier::default() } else { self.seen.clone() };
        let first = frontier.size();
        let mut numbers = Vec::new();
        loop {
            let page = store.audit(frontier.size(), PAGE).await.unwrap();
            for entry in &page {
                if frontier.size() == before.size {
                    assert_eq!(frontier.head(), before, "what was there at the last look has changed");
                }
                assert_eq!(entry.index, frontier.size());
                frontier.push(leaf_hash(&entry.content));
                numbers.push(number_of(entry));
            }
            if page.len() < PAGE {
                break;
            }
        }
        assert_eq!(frontier.head(), head);

        let mut last = [None; WRITERS as usize];
        let from = if whole { 0 } else { self.unseen_from };
        for (number, (index, writer)) in self.acknowledged.range(from..) {
            // A writer asks for the next once the last was acknowledged, so the log has them in this order.
            let last = &mut last[usize::try_from(*writer).unwrap()];
            let in_order = Some(index) > *last && *index >= first;
            *last = Some(index);
            let recorded = index.checked_sub(first).and_then(|at| numbers.get(usize::try_from(at).ok()?));
            let policy = store.policy(Some(*number)).await.unwrap();
            let kept = policy.is_some_and(|p| p.digest == Digest::of(p.source.as_bytes()));
            let elsewhere = recorded != Some(number) && numbers.contains(number);
            if !in_order || elsewhere {
                tally.reordered += 1;
                eprintln!("number {number} was acknowledged at {index} and is not there");
            } else if recorded != Some(number) || !kept {
                tally.lost += 1;
                eprintln!(
                    "number {number}, acknowledged at {index}: {recorded:?} is there; its policy: {kept}"
                );
            }
        }
        for checkpoint in store.checkpoints(PAGE).await.unwrap() {
            let signed = store.audit_head_at(checkpoint.size).await.unwrap();
            let signed = signed.unwrap_or_else(|| panic!("a head of {} records was signed", checkpoint.size));
            assert_eq!(signed.root.to_string(), checkpoint.note);
            tally.checkpoints += 1;
        }
        self.unseen_from = self.acknowledged.keys().next_back().map_or(self.unseen_from, |last| last + 1);
        self.seen = frontier;
        tally.looks += 1;
        tally.whole_looks += u64::from(whole);
        tally.longest = tally.longest.max(head.size);
    }
}

/// The number that a record was made of; its payload must be what it commits to.
fn number_of(entry: &AuditEntry) -> u64 {
    let commitment = Commitment::of(&entry.content).unwrap().unwrap();
    commitment.fits(&entry.payload).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&entry.content).unwrap();
    record["policy_version"].as_u64().unwrap()
}

/// So many kills, of stores that live so long.
async fn kills(rounds: u64, life: u64, aims: impl Iterator<Item = Aim>, mut random: StdRng) -> Tally {
    let mut tally = Tally::default();
    let mut trial = Trial::new(1);
    let mut opening = Duration::from_millis(200);
    for (round, aim) in (0..rounds).zip(aims) {
        let before = newest_journal(trial.dir.path()).map(|(path, _)| path);
        let first = 1 + round * ROUND_NUMBERS;
        let killed = killed_round(trial.dir.path(), first, aim, opening, &mut random);
        let tail = tail(trial.dir.path());
        let moment = moment(trial.dir.path(), &killed, before.as_deref(), &tail);
        let count = killed.acknowledged.len();
        println!("round {round}, kill {}: {aim:?}, {moment:?}, {count} acknowledged", trial.kills);
        tally.acknowledged += count as u64;
        tally.torn += u64::from(killed.opened.is_some() && tail.torn);
        *tally.moments.entry(moment).or_default() += 1;
        opening = killed.opened.unwrap_or(opening);
        trial.acknowledged.extend(killed.acknowledged);
        trial.kills += 1;

        let ends = trial.kills == life || round + 1 == rounds;
        let whole = ends || trial.kills.is_multiple_of(WHOLE_EVERY);
        if whole || !random.random_ratio(1, UNSEEN_ONE_IN) {
            trial.look(whole, &mut tally).await;
        }
        assert_eq!((tally.lost, tally.reordered), (0, 0), "in round {round}");
        if ends {
            tally.stores += 1;
            let files = std::fs::read_dir(trial.dir.path().join("journal")).unwrap().count();
            assert!(files <= 2, "{files} journal files");
            trial = Trial::new(first + ROUND_NUMBERS);
        }
    }
    tally
}

#[test]
fn every_acknowledged_change_survives_kills_at_random_moments() {
    let number = |name: &str| std::env::var(name).ok().map(|n| n.parse::<u64>().unwrap());
    let rounds = number(ROUNDS).unwrap_or(8);
    let seed = number(SEED).unwrap_or_else(rand::random);
    println!("{SEED}={seed}");
    let started = Instant::now();
    let mut tally = Tally::default();
    let lanes = LIVES.len() as u64;
    thread::scope(|scope| {
        let lanes = LIVES.iter().zip(0u64..).map(|(life, lane)| {
            let rounds = rounds / lanes + u64::from(lane < rounds % lanes);
            // Each begins elsewhere, so that a few rounds have all aims.
            let aims = AIMS.into_iter().cycle().skip(usize::try_from(lane * 3).unwrap());
            let random = StdRng::seed_from_u64(seed ^ lane);
            scope.spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(kills(rounds, *life, aims, random))
            })
        });
        for lane in lanes.collect::<Vec<_>>() {
            tally.add(lane.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
    });
    assert!(tally.acknowledged > 0);
    // Not by a macro, so that it is seen of a test that passes as well.
    let seconds = started.elapsed().as_secs();
    writeln!(std::io::stderr(), "{rounds} kills of a writing store in {seconds} s: {tally:?}").unwrap();
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
