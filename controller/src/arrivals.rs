//! Files that downloads bring: on disk from their first byte, hashed as they come, and kept only if every byte is what the
//! agent read. What commands print comes another way, through memory.

use std::{
    cmp::Reverse,
    collections::HashMap,
    fs, io,
    os::unix::fs::DirBuilderExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lictor_core::{
    id::InvocationId,
    name::{AgentName, SiteName},
    output::{Output, StreamName},
};
use lictor_proto::limits::{MAX_FILE_UPLOADS, MAX_SMALL_FILE_UPLOADS};

pub use file::Arriving;
use file::Untaken;

use crate::{live::Claim, served::Moment};

mod file;
#[cfg(test)]
mod tests;

/// Free space that files leave on the disk: four times that below which nothing is recorded any more.
const MIN_FREE_BYTES: u64 = 256 * 1024 * 1024;
/// An agent of which nothing came for so long brings nothing: far above the time between two pieces.
const STILL_COMES: Duration = Duration::from_secs(30);
/// Files of one agent that are open at once: more of them it never sends at once. The others rest: some are whole and wait
/// for their results, which bring an end. Of those there are as many as the agent has invocations that have not ended, which
/// a hello bounds: what has ended is forgotten, and nothing is begun for it.
const MAX_OPEN_EACH: usize = (MAX_FILE_UPLOADS + MAX_SMALL_FILE_UPLOADS) as usize;
/// Only this process reads them: a file may be anything.
const DIRECTORY_MODE: u32 = 0o700;

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

/// Who brings a file.
pub(crate) type Bringer = (SiteName, AgentName);

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

    /// Takes the next piece of a file; answers whether the file is longer by it. What came before is passed over: an agent
    /// sends a file in order, from its start whenever it begins again.
    ///
    /// Works on a disk: not for whoever answers others.
    ///
    /// # Errors
    /// When it cannot be written, there is no room for it, or what lies before it is not here: all of the file is to be sent
    /// again. Without room nothing of it stays, so that others can come to their end.
    pub(crate) fn take(&self, from: Bringer, id: InvocationId, piece: &Piece<'_>) -> io::Result<bool> {
        let arriving = self.arriving(from, id, piece.at)?;
        let was_open = arriving.is_open();
        let taken = arriving.push(piece, |more| self.take_room(more));
        if !was_open && arriving.is_open() {
            self.let_others_rest(&arriving);
        }
        match taken {
            Ok(longer) => Ok(longer),
            Err(Untaken::Refused(error)) => Err(error),
            Err(Untaken::Broken(error)) => {
                self.abandon(id, &arriving);
                Err(error)
            }
        }
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
            let (their_site, their_agent) = arriving.bringer();
            their_site == site && their_agent == agent && now.since(arriving.last()) <= STILL_COMES
        })
    }

    fn arriving(&self, from: Bringer, id: InvocationId, at: Moment) -> io::Result<Arc<Arriving>> {
        let known = lock(&self.under_way).get(&id).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        // Made while nobody waits for the list.
        let path = self.dir.join(format!("{id}-{}", self.begun.fetch_add(1, Ordering::Relaxed)));
        let begun = Arc::new(Arriving::begin(path, from, at, Arc::clone(&self.bytes))?);
        let mut under_way = lock(&self.under_way);
        if let Some(faster) = under_way.get(&id) {
            return Ok(Arc::clone(faster));
        }
        under_way.insert(id, Arc::clone(&begun));
        Ok(begun)
    }

    /// Sees to it that no more than [`MAX_OPEN_EACH`] files of its agent are open, `opened` among them: of those that rest
    /// nothing came for longest.
    fn let_others_rest(&self, opened: &Arc<Arriving>) {
        let mut others: Vec<_> = lock(&self.under_way)
            .iter()
            .filter(|(_, other)| {
                other.bringer() == opened.bringer() && other.is_open() && !Arc::ptr_eq(other, opened)
            })
            .map(|(id, other)| (other.last(), *id, Arc::clone(other)))
            .collect();
        others.sort_unstable_by_key(|(last, id, _)| Reverse((*last, *id)));
        for (_, id, other) in others.into_iter().skip(MAX_OPEN_EACH - 1) {
            if let Err(error) = other.rest() {
                tracing::error!(file = %other.path().display(), %error, "a file of a host could not be synced, and is given up");
                self.abandon(id, &other);
            }
        }
    }
}

/// What is said of output, without its bytes.
pub(crate) fn only_counts([(_, stdout), (_, stderr)]: &[(StreamName, Claim); 2]) -> Output {
    Output { stdout: stdout.summary.clone(), stderr: stderr.summary.clone(), ..Output::default() }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is whole before the lock is let go.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
