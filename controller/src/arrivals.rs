//! Files that downloads bring: on disk from their first byte, hashed as they come, and kept only if every byte is what the
//! agent read. What commands print comes another way, through memory.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, TryLockError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lictor_core::{
    digest::{Digest, Sha256Stream},
    id::InvocationId,
    name::{AgentName, SiteName},
    output::{Output, StreamName},
};
use lictor_proto::limits::{MAX_FILE_UPLOADS, MAX_UPLOADS};
use tokio::runtime::Handle;

use crate::{live::Claim, served::Moment};

#[cfg(test)]
mod tests;

/// Free space that files leave on the disk: four times that below which nothing is recorded any more.
const MIN_FREE_BYTES: u64 = 256 * 1024 * 1024;
/// An agent of which nothing came for so long brings nothing: far above the time between two pieces.
const STILL_COMES: Duration = Duration::from_secs(30);
/// Bytes of a file after which they are synced: the commit that keeps the file holds up its job, and has little left to sync.
const SYNC_EVERY_BYTES: u64 = 8 * 1024 * 1024;
/// Files of one agent that are open at once: more uploads than this it never has under way.
const MAX_OPEN_EACH: usize = (MAX_UPLOADS + MAX_FILE_UPLOADS) as usize;
/// Only this process reads them: a file may be anything.
const DIRECTORY_MODE: u32 = 0o700;
/// As the directory.
const FILE_MODE: u32 = 0o600;

/// Every file that is on its way.
#[derive(Debug)]
pub struct Arrivals {
    dir: PathBuf,
    under_way: Mutex<HashMap<InvocationId, Arc<Arriving>>>,
    /// Tells files apart that were begun for one invocation: a store may still have the earlier one under another name.
    begun: AtomicU64,
    /// Bytes of all files that are on their way.
    bytes: Arc<AtomicU64>,
    /// Bytes that are kept of jobs that have not ended, which nothing removes yet.
    kept_of_live: AtomicU64,
    /// Most bytes of both.
    most: u64,
}

/// One file on its way. Dropped, it leaves nothing; a store that kept it has its own name for it.
#[derive(Debug)]
pub struct Arriving {
    path: PathBuf,
    from: Bringer,
    /// Held while bytes are written: pieces of a stream that was cut and of the one after it may meet. Nothing once the file
    /// is whole: a store may name the same bytes from then on, so nobody may write to them.
    open: Mutex<Option<Open>>,
    came: Mutex<Came>,
    /// Those of all files.
    all_bytes: Arc<AtomicU64>,
}

/// A file that is written to.
#[derive(Debug)]
struct Open {
    file: File,
    /// Bytes since the last sync.
    unsynced: u64,
}

/// Who brings a file.
pub(crate) type Bringer = (SiteName, AgentName);

/// How far a file is. Never held while a disk works.
#[derive(Debug)]
struct Came {
    bytes: u64,
    hash: Sha256Stream,
    last: Moment,
}

/// A piece of a file.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Piece<'a> {
    /// Position of its first byte.
    pub(crate) offset: u64,
    /// Its bytes.
    pub(crate) data: &'a [u8],
    /// Most bytes that the file may have.
    pub(crate) most: u64,
    /// When it came.
    pub(crate) at: Moment,
}

// === impl Arrivals ===

impl Arrivals {
    /// Uses `arriving` in the directory of the controller's state; removes what an earlier run left there: agents send it
    /// again.
    ///
    /// # Errors
    /// When the directory cannot be used.
    pub fn open(state: &Path) -> io::Result<Self> {
        let dir = state.join("arriving");
        fs::DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(&dir)?;
        for file in fs::read_dir(&dir)? {
            fs::remove_file(file?.path())?;
        }
        Ok(Self {
            dir,
            under_way: Mutex::default(),
            begun: AtomicU64::new(0),
            bytes: Arc::default(),
            kept_of_live: AtomicU64::new(0),
            most: u64::MAX,
        })
    }

    /// Takes no more bytes than that at once, with what is kept of jobs that have not ended: what retention keeps of those
    /// that have.
    #[must_use]
    pub fn within(self, most: u64) -> Self {
        Self { most, ..self }
    }

    /// Notes how many bytes are kept of jobs that have not ended.
    pub(crate) fn kept_of_live(&self, bytes: u64) {
        self.kept_of_live.store(bytes, Ordering::Relaxed);
    }

    /// Takes the next piece of a file; answers whether the file is longer by it. What came before is passed over, and what
    /// lies behind a gap is left out: an agent sends a file in order, from its start whenever it begins again.
    ///
    /// Works on a disk: not for whoever answers others.
    ///
    /// # Errors
    /// When it cannot be written, or there is no room for it.
    pub(crate) fn take(&self, from: Bringer, id: InvocationId, piece: &Piece<'_>) -> io::Result<bool> {
        let arriving = self.arriving(from, id, piece.at)?;
        let mut open = lock(&arriving.open);
        let have = arriving.has_come(piece.at);
        let Some(file) = open.as_mut() else { return Ok(false) };
        let known = usize::try_from(have.saturating_sub(piece.offset)).unwrap_or(usize::MAX);
        let new = piece.data.get(known..).unwrap_or_default();
        let end = have.saturating_add(new.len() as u64);
        if new.is_empty() || piece.offset > have || end > piece.most {
            return Ok(false);
        }
        let more = new.len() as u64;
        self.take_room(more)?;
        if let Err(error) = file.write(new, have) {
            self.bytes.fetch_sub(more, Ordering::Relaxed);
            drop(open);
            // What a disk did not take, it may not have taken earlier either: all of it is to be sent again.
            self.abandon(id, &arriving);
            return Err(error);
        }
        let mut came = lock(&arriving.came);
        came.hash.update(new);
        came.bytes = end;
        Ok(true)
    }

    /// Counts `more` bytes in, if there is room for them.
    fn take_room(&self, more: u64) -> io::Result<()> {
        let disk = rustix::fs::statvfs(&self.dir);
        let free = disk.map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        if free.saturating_sub(more) < MIN_FREE_BYTES {
            return Err(io::Error::other("the disk of the controller has no room for files of hosts"));
        }
        let kept = self.kept_of_live.load(Ordering::Relaxed);
        let enough =
            |coming: u64| coming.checked_add(more).filter(|coming| coming.saturating_add(kept) <= self.most);
        let taken = self.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough);
        taken.map(|_| ()).map_err(|coming| {
            io::Error::other(format!(
                "{coming} bytes are on their way and {kept} are kept of jobs that have not ended; together they may be {} (retention.outputs.bytes)",
                self.most
            ))
        })
    }

    /// The output that a result claims, its file if all of it is here and is what the agent read, and whether nothing more has
    /// to come. Nothing is written to that file any more.
    pub(crate) fn finish(
        &self,
        id: InvocationId,
        claims: &[(StreamName, Claim); 2],
    ) -> (Output, Option<Arc<Arriving>>, bool) {
        let [(_, stdout), (_, stderr)] = claims;
        let output = only_counts(claims);
        let (kept, total) = (stdout.head_bytes.saturating_add(stdout.tail_bytes), stdout.summary.bytes_total);
        let only = stderr.head_bytes == 0 && stderr.tail_bytes == 0;
        if only && kept == 0 {
            return (output, None, true);
        }
        let arriving = lock(&self.under_way).get(&id).cloned();
        let file = arriving.filter(|file| only && kept == total && file.seal(total, stdout.summary.digest));
        let whole = file.is_some();
        (output, file, whole)
    }

    /// Nothing more is awaited of these. To be called once whoever brings them sees that they have ended: what comes later
    /// begins anew.
    pub(crate) fn forget(&self, ids: impl Iterator<Item = InvocationId>) {
        let mut under_way = lock(&self.under_way);
        if under_way.is_empty() {
            return;
        }
        let gone: Vec<_> = ids.filter_map(|id| under_way.remove(&id)).collect();
        drop(under_way);
        drop(gone);
    }

    /// Forgets this file, and not one that was begun after it.
    fn abandon(&self, id: InvocationId, arriving: &Arc<Arriving>) {
        let mut under_way = lock(&self.under_way);
        if under_way.get(&id).is_some_and(|known| Arc::ptr_eq(known, arriving)) {
            under_way.remove(&id);
        }
    }

    /// Whether this agent is bringing something: it then has no time for the rest, and is not silent.
    pub(crate) fn come_from(&self, site: &SiteName, agent: &AgentName, now: Moment) -> bool {
        lock(&self.under_way).values().any(|arriving| {
            let theirs = arriving.from.0 == *site && arriving.from.1 == *agent;
            theirs && now.since(lock(&arriving.came).last) <= STILL_COMES
        })
    }

    fn arriving(&self, from: Bringer, id: InvocationId, at: Moment) -> io::Result<Arc<Arriving>> {
        let known = lock(&self.under_way).get(&id).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        // Opened while nobody waits for the list.
        let path = self.dir.join(format!("{id}-{}", self.begun.fetch_add(1, Ordering::Relaxed)));
        let file = File::options().write(true).create_new(true).mode(FILE_MODE).open(&path)?;
        let begun = Arc::new(Arriving {
            path,
            from,
            open: Mutex::new(Some(Open { file, unsynced: 0 })),
            came: Mutex::new(Came { bytes: 0, hash: Sha256Stream::default(), last: at }),
            all_bytes: Arc::clone(&self.bytes),
        });
        let mut under_way = lock(&self.under_way);
        if let Some(faster) = under_way.get(&id) {
            return Ok(Arc::clone(faster));
        }
        let oldest = oldest_beyond(MAX_OPEN_EACH - 1, &begun.from, &under_way);
        let given_up = oldest.and_then(|oldest| under_way.remove(&oldest));
        under_way.insert(id, Arc::clone(&begun));
        drop(under_way);
        if let Some(given_up) = given_up {
            tracing::warn!(file = %given_up.path.display(), "an agent began too many files; of this one nothing came for longest, and it is to be sent again");
        }
        Ok(begun)
    }
}

/// If this agent has more than `most` files open: the one of which nothing came for longest.
fn oldest_beyond(
    most: usize,
    from: &Bringer,
    under_way: &HashMap<InvocationId, Arc<Arriving>>,
) -> Option<InvocationId> {
    let theirs = under_way.iter().filter(|(_, arriving)| arriving.from == *from && arriving.is_open());
    let mut theirs: Vec<_> = theirs.map(|(id, arriving)| (lock(&arriving.came).last, *id)).collect();
    if theirs.len() <= most {
        return None;
    }
    theirs.sort_unstable();
    theirs.first().map(|(_, id)| *id)
}

/// What is said of output, without its bytes.
pub(crate) fn only_counts([(_, stdout), (_, stderr)]: &[(StreamName, Claim); 2]) -> Output {
    Output { stdout: stdout.summary.clone(), stderr: stderr.summary.clone(), ..Output::default() }
}

// === impl Open ===

impl Open {
    /// Writes bytes at their place: a piece of which a part was written before is written again.
    fn write(&mut self, new: &[u8], at: u64) -> io::Result<()> {
        self.file.write_all_at(new, at)?;
        self.unsynced = self.unsynced.saturating_add(new.len() as u64);
        if self.unsynced >= SYNC_EVERY_BYTES {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(())
    }
}

// === impl Arriving ===

impl Arriving {
    /// Where it is, for as long as this is there.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Bytes that are here; notes that something came.
    fn has_come(&self, at: Moment) -> u64 {
        let mut came = lock(&self.came);
        came.last = at;
        came.bytes
    }

    /// Whether more can be written to it. Whoever writes just now can.
    fn is_open(&self) -> bool {
        !matches!(self.open.try_lock(), Ok(open) if open.is_none())
    }

    /// Whether it is this; if so, nothing is written to it any more.
    fn seal(&self, bytes: u64, digest: Option<Digest>) -> bool {
        let mut open = match self.open.try_lock() {
            Ok(open) => open,
            Err(TryLockError::Poisoned(open)) => open.into_inner(),
            // Whoever writes asks again after that.
            Err(TryLockError::WouldBlock) => return false,
        };
        let whole = self.is(bytes, digest);
        if whole {
            *open = None;
        }
        whole
    }

    fn is(&self, bytes: u64, digest: Option<Digest>) -> bool {
        let came = lock(&self.came);
        if came.bytes != bytes {
            return false;
        }
        let same = digest == Some(came.hash.clone().finish());
        if !same {
            tracing::error!(file = %self.path.display(), "what came of a file is not what its agent read; it is not kept");
        }
        same
    }
}

impl Drop for Arriving {
    fn drop(&mut self) {
        let came = self.came.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.all_bytes.fetch_sub(came.bytes, Ordering::Relaxed);
        let open = self.open.get_mut().unwrap_or_else(PoisonError::into_inner).take();
        let path = std::mem::take(&mut self.path);
        let remove = move || {
            // What cannot be removed is removed at the next start.
            let _ = fs::remove_file(path);
            drop(open);
        };
        // A disk takes its time over a large file, and whoever drops this may have others to answer.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is whole before the lock is let go.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
