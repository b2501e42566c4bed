//! Files that downloads bring: on disk from their first byte, hashed as they come, and kept only if every byte is what the
//! agent read. What commands print comes another way, through memory.

use std::{
    collections::HashMap,
    fs::{self, File},
    io,
    os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lictor_core::{
    digest::{Digest, Sha256Stream},
    id::InvocationId,
    name::{AgentName, SiteName},
    output::{Output, StreamName},
};

use crate::{live::Claim, served::Moment};

/// Free space that files leave on the disk: four times that below which nothing is recorded any more.
const MIN_FREE_BYTES: u64 = 256 * 1024 * 1024;
/// An agent of which nothing came for so long brings nothing: far above the time between two pieces.
const STILL_COMES: Duration = Duration::from_secs(30);
/// Only this process reads them: a file may be anything.
const DIRECTORY_MODE: u32 = 0o700;
/// As the directory.
const FILE_MODE: u32 = 0o600;

/// Every file that is on its way.
#[derive(Debug)]
pub struct Arrivals {
    dir: PathBuf,
    under_way: Mutex<HashMap<InvocationId, Arc<Arriving>>>,
}

/// One file on its way. Dropped, it leaves nothing; a store that kept it has its own name for it.
#[derive(Debug)]
pub struct Arriving {
    path: PathBuf,
    from: Bringer,
    /// Held while bytes are written: pieces of a stream that was cut and of the one after it may meet.
    file: Mutex<File>,
    came: Mutex<Came>,
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
        Ok(Self { dir, under_way: Mutex::default() })
    }

    /// Takes the next piece of a file. What came before is passed over, and what lies behind a gap is left out: an agent
    /// sends a file in order, from its start whenever it begins again.
    ///
    /// # Errors
    /// When it cannot be written.
    pub(crate) fn take(&self, from: Bringer, id: InvocationId, piece: &Piece<'_>) -> io::Result<()> {
        let arriving = self.arriving(from, id, piece.at)?;
        let file = lock(&arriving.file);
        let have = arriving.has_come(piece.at);
        let known = usize::try_from(have.saturating_sub(piece.offset)).unwrap_or(usize::MAX);
        let new = piece.data.get(known..).unwrap_or_default();
        let end = have.saturating_add(new.len() as u64);
        if new.is_empty() || piece.offset > have || end > piece.most {
            return Ok(());
        }
        let disk = rustix::fs::statvfs(&self.dir);
        let free = disk.map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        if free.saturating_sub(new.len() as u64) < MIN_FREE_BYTES {
            return Err(io::Error::other("the disk of the controller has no room for files of hosts"));
        }
        // At its place: a piece of which a part was written before is written again.
        file.write_all_at(new, have)?;
        let mut came = lock(&arriving.came);
        came.hash.update(new);
        came.bytes = end;
        Ok(())
    }

    /// The output that a result claims, its file if all of it is here and is what the agent read, and whether nothing more has
    /// to come.
    pub(crate) fn finish(
        &self,
        id: InvocationId,
        [(_, stdout), (_, stderr)]: &[(StreamName, Claim); 2],
    ) -> (Output, Option<Arc<Arriving>>, bool) {
        let output =
            Output { stdout: stdout.summary.clone(), stderr: stderr.summary.clone(), ..Output::default() };
        let (kept, total) = (stdout.head_bytes.saturating_add(stdout.tail_bytes), stdout.summary.bytes_total);
        let only = stderr.head_bytes == 0 && stderr.tail_bytes == 0;
        if only && kept == 0 {
            return (output, None, true);
        }
        let arriving = lock(&self.under_way).get(&id).cloned();
        let file = arriving.filter(|file| only && kept == total && file.is(total, stdout.summary.digest));
        let whole = file.is_some();
        (output, file, whole)
    }

    /// Nothing more is awaited of these.
    pub(crate) fn forget(&self, ids: impl Iterator<Item = InvocationId>) {
        let mut under_way = lock(&self.under_way);
        if under_way.is_empty() {
            return;
        }
        let gone: Vec<_> = ids.filter_map(|id| under_way.remove(&id)).collect();
        drop(under_way);
        // Their files are removed here, while nobody waits.
        drop(gone);
    }

    /// Whether this agent is bringing something: it then has no time for the rest, and is not silent.
    pub(crate) fn come_from(&self, site: &SiteName, agent: &AgentName, now: Moment) -> bool {
        lock(&self.under_way).values().any(|arriving| {
            let theirs = arriving.from.0 == *site && arriving.from.1 == *agent;
            theirs && now.since(lock(&arriving.came).last) <= STILL_COMES
        })
    }

    fn arriving(&self, from: Bringer, id: InvocationId, at: Moment) -> io::Result<Arc<Arriving>> {
        let mut under_way = lock(&self.under_way);
        if let Some(arriving) = under_way.get(&id) {
            return Ok(Arc::clone(arriving));
        }
        let path = self.dir.join(id.to_string());
        let file = File::options().write(true).create(true).truncate(true).mode(FILE_MODE).open(&path)?;
        let came = Came { bytes: 0, hash: Sha256Stream::default(), last: at };
        let (file, came) = (Mutex::new(file), Mutex::new(came));
        let arriving = Arc::new(Arriving { path, from, file, came });
        under_way.insert(id, Arc::clone(&arriving));
        Ok(arriving)
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
        // What cannot be removed is removed at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every change is whole before the lock is let go.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use lictor_core::output::StreamSummary;

    use super::*;

    const MOST: u64 = 100;

    fn claims(bytes: &[u8]) -> [(StreamName, Claim); 2] {
        let total = bytes.len() as u64;
        let digest = Some(Digest::of(bytes));
        let summary = StreamSummary { bytes_total: total, digest, ..StreamSummary::default() };
        let stdout = Claim { summary, head_bytes: total, tail_bytes: 0 };
        [(StreamName::Stdout, stdout), (StreamName::Stderr, Claim::default())]
    }

    #[test]
    fn a_file_comes_together_from_its_start_whatever_is_sent_again_and_is_kept_only_whole_and_the_same() {
        let state = tempfile::tempdir().unwrap();
        let arrivals = Arrivals::open(state.path()).unwrap();
        let (id, at) = (InvocationId::from_bytes([1; 16]), Moment::default());
        let from = || (SiteName::new("eu").unwrap(), AgentName::new("a").unwrap());
        let take = |offset, data: &[u8]| {
            arrivals.take(from(), id, &Piece { offset, data, most: MOST, at }).unwrap();
        };
        let (site, agent) = from();
        assert!(!arrivals.come_from(&site, &agent, at));
        take(0, b"abc");
        take(5, b"behind a gap");
        take(3, b"de");
        // The stream broke, and begins again.
        take(0, b"abcdef");
        take(6, &[b'x'; 100]);
        assert!(arrivals.come_from(&site, &agent, at));
        assert!(!arrivals.come_from(&site, &agent, at.plus(STILL_COMES * 2)));
        for other in [&b"abcde"[..], b"abcdeF", b"abcdefg"] {
            let (_, file, whole) = arrivals.finish(id, &claims(other));
            assert!(file.is_none() && !whole);
        }
        let (output, file, whole) = arrivals.finish(id, &claims(b"abcdef"));
        let path = file.as_ref().unwrap().path().to_owned();
        assert_eq!(
            (output.stdout.bytes_total, whole, fs::read(&path).unwrap()),
            (6, true, b"abcdef".to_vec())
        );
        arrivals.forget(std::iter::once(id));
        assert!(path.exists(), "somebody has it");
        drop(file);
        assert!(!path.exists());
        take(0, b"abc");
        drop(Arrivals::open(state.path()).unwrap());
        assert_eq!(fs::read_dir(state.path().join("arriving")).unwrap().count(), 0);
    }
}
