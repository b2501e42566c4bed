//! What was started here, on disk before it is started: an append-only file with one sync for many records.
//!
//! `journal` holds frames of [`record::Record`]; [`spool`] holds output that is too large for it; `lock` keeps a second
//! agent out; `reserve` is space that is freed when the disk is full, so that ends can still be written down.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Seek as _, Write as _},
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Condvar, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use lictor_core::clock::Clock;
use tokio::sync::watch;

pub(crate) mod held;
pub(crate) mod image;
pub(crate) mod record;
pub(crate) mod spool;
pub(crate) mod tombstones;

#[cfg(test)]
mod tests;

use image::{Image, Readable};
use record::Record;

/// A journal above this is rewritten without what is settled; reading this much at startup takes milliseconds.
const COMPACT_ABOVE_BYTES: u64 = 8 * 1024 * 1024;
/// A rewritten journal may grow to this multiple of its size before the next rewrite, so that rewriting stays rare.
const COMPACT_GROWTH: u64 = 4;
/// What is kept here holds commands' output: nobody else may read it.
pub(crate) const FILE_MODE: u32 = 0o600;
/// As [`FILE_MODE`], for directories.
pub(crate) const DIRECTORY_MODE: u32 = 0o700;
/// Records that wait for the next append; more are written by themselves.
const MAX_LATER: usize = 1024;
/// From so many invocations under way, an append waits a moment for others: they share a write and a sync. Below it none
/// waits.
const MANY_IN_FLIGHT: u32 = 64;
/// The moment: in a few times what a sync takes, tens of others come.
const GATHER: Duration = Duration::from_millis(1);
/// Space kept for the ends of what is running when the disk is full: 256 inline results.
const RESERVE_BYTES: usize = 8 * 1024 * 1024;

/// The journal of one agent.
#[derive(Debug)]
pub(crate) struct Journal {
    shared: Arc<Shared>,
    thread: Option<std::thread::JoinHandle<()>>,
    identity: String,
    /// Held as long as the journal is: the operating system lets go of it however the process ends.
    _lock: File,
}

/// Tells when records are on disk.
#[derive(Debug, Clone)]
pub(crate) struct Ticket(watch::Receiver<Option<bool>>);

/// The records are not on disk and will not be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JournalDown;

/// The journal could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// Another agent works in this directory.
    #[error("{} is in use by another agent; each needs a state_dir of its own", .0.display())]
    InUse(PathBuf),
    /// Files.
    #[error("{}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    wake: Condvar,
    /// Invocations under way; what is appended comes from them.
    in_flight: AtomicU32,
}

#[derive(Debug, Default)]
struct Queue {
    appends: Vec<Append>,
    /// Records that nobody waits for: they go with the next append.
    later: Vec<Record>,
    /// The disk failed once: nothing new is accepted any more.
    degraded: bool,
    closed: bool,
}

/// Records that become durable together, and who waits for them.
#[derive(Debug)]
struct Append {
    records: Vec<Record>,
    done: watch::Sender<Option<bool>>,
}

/// The thread's own: the file and what it says.
struct Writer {
    path: PathBuf,
    reserve: PathBuf,
    file: File,
    length: u64,
    compact_at: u64,
    image: Image,
    clock: Arc<dyn Clock>,
    /// A rewrite failed half-way: after a crash the name may be that of another file, so nothing written here counts.
    misplaced: bool,
}

// === impl Journal ===

impl Journal {
    /// Opens the journal in `directory`, creating it if needed, and tells what it said.
    ///
    /// # Errors
    /// When another agent has it, or files cannot be read or written.
    pub(crate) fn open(directory: &Path, clock: Arc<dyn Clock>) -> Result<(Self, Image), JournalError> {
        let at = |path: &Path| {
            let path = path.to_owned();
            move |source| JournalError::Io { path, source }
        };
        create_private_dir(directory).map_err(at(directory))?;
        let lock_path = directory.join("lock");
        let lock = open_private(&lock_path, false).map_err(at(&lock_path))?;
        lock.try_lock().map_err(|error| match error {
            fs::TryLockError::WouldBlock => JournalError::InUse(directory.to_owned()),
            fs::TryLockError::Error(source) => JournalError::Io { path: lock_path, source },
        })?;
        let (path, reserve) = (directory.join("journal"), directory.join("reserve"));
        let writer = Writer::open(path.clone(), reserve, clock).map_err(at(&path))?;
        let image = writer.image.clone();
        let shared = Arc::new(Shared::default());
        let thread = std::thread::Builder::new()
            .name("journal".into())
            .spawn({
                let shared = Arc::clone(&shared);
                move || writer.run(&shared)
            })
            .map_err(at(&path))?;
        let identity = image.identity().unwrap_or_default().to_owned();
        Ok((Self { shared, thread: Some(thread), identity, _lock: lock }, image))
    }

    /// Queues records; the ticket tells when all of them are on disk. Never waits for the disk.
    pub(crate) fn append(&self, records: impl IntoIterator<Item = Record>) -> Ticket {
        let (sender, receiver) = watch::channel(None);
        let mut queue = self.shared.lock();
        if queue.closed {
            sender.send_replace(Some(false));
        } else {
            queue.appends.push(Append { records: records.into_iter().collect(), done: sender });
            self.shared.wake.notify_one();
        }
        Ticket(receiver)
    }

    /// Queues a record that need not be on disk soon: it goes with the next append, which saves a sync of its own.
    pub(crate) fn append_later(&self, record: Record) {
        let mut queue = self.shared.lock();
        if !queue.closed {
            queue.later.push(record);
            if queue.later.len() >= MAX_LATER {
                self.shared.wake.notify_one();
            }
        }
    }

    /// Tells how many invocations are under way, so that the appends of many share their syncs.
    pub(crate) fn expect_from(&self, in_flight: u32) {
        self.shared.in_flight.store(in_flight, Ordering::Relaxed);
    }

    /// Made with the journal; another value tells the controller that what was written down here before is lost.
    pub(crate) fn identity(&self) -> &str {
        &self.identity
    }

    /// Whether new work may be written down. Once the disk has failed, only ends are still written.
    pub(crate) fn accepts(&self) -> bool {
        let queue = self.shared.lock();
        !queue.degraded && !queue.closed
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.shared.lock().closed = true;
        self.shared.wake.notify_one();
        if let Some(thread) = self.thread.take() {
            // What was queued is written before the thread ends; a panic there has been printed.
            let _ = thread.join();
        }
    }
}

// === impl Ticket ===

impl Ticket {
    /// Waits until the records are on disk.
    pub(crate) async fn synced(mut self) -> Result<(), JournalDown> {
        match self.0.wait_for(Option::is_some).await.map(|state| *state) {
            Ok(Some(true)) => Ok(()),
            _ => Err(JournalDown),
        }
    }
}

// === impl Shared ===

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Writer ===

impl Writer {
    fn open(path: PathBuf, reserve: PathBuf, clock: Arc<dyn Clock>) -> io::Result<Self> {
        let mut file = open_private(&path, false)?;
        let bytes = fs::read(&path)?;
        let Readable { mut image, length, lost } = Image::read(&bytes);
        let mut length = length as u64;
        if lost > 0 {
            (file, length) = put_in_place_of_damaged(&path, &bytes, lost, &mut image)?;
        } else if length < bytes.len() as u64 {
            tracing::warn!(bytes = bytes.len() as u64 - length, "the journal's torn end was cut off");
            file.set_len(length)?;
        }
        file.seek(io::SeekFrom::End(0))?;
        file.sync_all()?;
        sync_directory_of(&path)?;
        if fs::metadata(&reserve).is_ok_and(|m| m.len() < RESERVE_BYTES as u64) || !reserve.exists() {
            open_private(&reserve, true)?.write_all(&vec![0; RESERVE_BYTES])?;
        }
        let mut writer = Self {
            path,
            reserve,
            file,
            length,
            compact_at: COMPACT_ABOVE_BYTES,
            image,
            clock,
            misplaced: false,
        };
        if writer.image.identity().is_none() {
            let identity = new_identity();
            writer.write(std::iter::once(&identity))?;
            writer.image.apply(identity);
        }
        writer.compact_if_large()?;
        Ok(writer)
    }

    fn run(mut self, shared: &Shared) {
        loop {
            let appends = {
                let mut queue = shared.lock();
                while queue.appends.is_empty() && queue.later.len() < MAX_LATER && !queue.closed {
                    queue = shared.wake.wait(queue).unwrap_or_else(PoisonError::into_inner);
                }
                if shared.in_flight.load(Ordering::Relaxed) >= MANY_IN_FLIGHT && !queue.closed {
                    drop(queue);
                    std::thread::sleep(GATHER);
                    queue = shared.lock();
                }
                let later = std::mem::take(&mut queue.later);
                if !later.is_empty() {
                    // Nobody listens to this one.
                    queue.appends.insert(0, Append { records: later, done: watch::Sender::new(None) });
                }
                if queue.appends.is_empty() {
                    return;
                }
                std::mem::take(&mut queue.appends)
            };
            match self.write(appends.iter().flat_map(|a| &a.records)) {
                Ok(()) => appends.into_iter().for_each(|append| self.settle(append, true)),
                Err(error) => {
                    tracing::error!(%error, path = %self.path.display(), "the journal cannot be written; nothing new is accepted");
                    shared.lock().degraded = true;
                    self.write_from_reserve(appends);
                }
            }
            if self.misplaced {
                continue;
            }
            if let Err(error) = self.compact_if_large() {
                if self.misplaced {
                    tracing::error!(%error, path = %self.path.display(), "the journal was rewritten and may be lost; nothing is accepted until a restart");
                    shared.lock().degraded = true;
                    continue;
                }
                tracing::warn!(%error, "the journal could not be rewritten; it goes on growing");
                self.compact_at = self.length.saturating_mul(COMPACT_GROWTH);
            }
        }
    }

    fn settle(&mut self, append: Append, good: bool) {
        if good {
            append.records.into_iter().for_each(|record| self.image.apply(record));
        }
        append.done.send_replace(Some(good));
    }

    fn write<'a>(&mut self, records: impl Iterator<Item = &'a Record>) -> io::Result<()> {
        if self.misplaced {
            return Err(io::Error::other("an earlier rewrite failed"));
        }
        let mut bytes = Vec::new();
        records.for_each(|record| image::push(record, &mut bytes));
        let written = self.file.write_all(&bytes).and_then(|()| self.file.sync_data());
        match written {
            Ok(()) => self.length += bytes.len() as u64,
            // Half a frame in the middle would hide everything after it.
            Err(_) => {
                self.file.set_len(self.length)?;
                self.file.seek(io::SeekFrom::Start(self.length))?;
            }
        }
        written
    }

    /// With the reserve freed, ends are written; starts are not, so nothing begins on a failing disk.
    fn write_from_reserve(&mut self, appends: Vec<Append>) {
        let _ = fs::remove_file(&self.reserve);
        for append in appends {
            let only_ends =
                append.records.iter().all(|r| matches!(r, Record::Done(_) | Record::Forgotten(..)));
            let good = only_ends && self.write(append.records.iter()).is_ok();
            self.settle(append, good);
        }
    }

    fn compact_if_large(&mut self) -> io::Result<()> {
        if self.length <= self.compact_at {
            return Ok(());
        }
        self.image.expire(self.clock.now());
        let next_path = self.path.with_extension("next");
        let (next, length) = write_anew(&next_path, &self.image)?;
        // From here until the directory is synced nobody knows which file the name will be after a crash.
        self.misplaced = true;
        fs::rename(&next_path, &self.path)?;
        // The handle that was written is kept: opened anew, the name could be another file already.
        self.file = next;
        self.length = length;
        self.compact_at = COMPACT_ABOVE_BYTES.max(self.length.saturating_mul(COMPACT_GROWTH));
        sync_directory_of(&self.path)?;
        self.misplaced = false;
        Ok(())
    }
}

/// Keeps a damaged journal aside and puts what could be read of it in its place, under a new identity. Until the name is
/// the new file's, it is the damaged one's: no crash leaves a journal that looks whole and has the old identity.
fn put_in_place_of_damaged(
    path: &Path,
    bytes: &[u8],
    lost: usize,
    image: &mut Image,
) -> io::Result<(File, u64)> {
    let (aside, next_path) = (path.with_extension("damaged"), path.with_extension("next"));
    let mut kept = open_private(&aside, true)?;
    kept.write_all(bytes)?;
    kept.sync_all()?;
    sync_directory_of(path)?;
    tracing::error!(records = lost, kept = %aside.display(), "the journal is damaged; it gets a new identity, so that the controller knows");
    image.apply(new_identity());
    let next = write_anew(&next_path, image)?;
    fs::rename(&next_path, path)?;
    Ok(next)
}

/// Another one than any before.
fn new_identity() -> Record {
    Record::Identity(format!("{:032x}", rand::random::<u128>()))
}

/// Writes a file at `path` that says what `image` says, and syncs it; gives its length, too.
fn write_anew(path: &Path, image: &Image) -> io::Result<(File, u64)> {
    let bytes = image.to_frames();
    let mut file = open_private(path, true)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    Ok((file, bytes.len() as u64))
}

/// Makes the names in the directory of `path` durable.
fn sync_directory_of(path: &Path) -> io::Result<()> {
    let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty());
    File::open(directory.unwrap_or_else(|| Path::new(".")))?.sync_all()
}

/// Opens `path` for reading and writing, made if needed, for its owner alone.
pub(crate) fn open_private(path: &Path, truncate: bool) -> io::Result<File> {
    let mut options = OpenOptions::new();
    let file = options.create(true).truncate(truncate).read(true).write(true).mode(FILE_MODE).open(path)?;
    // The mode above is for a file that is made now.
    file.set_permissions(fs::Permissions::from_mode(FILE_MODE))?;
    Ok(file)
}

/// Makes a directory for its owner alone; one that is there stays as it is.
pub(crate) fn create_private_dir(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(path)
}
