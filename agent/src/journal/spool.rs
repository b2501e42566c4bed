//! Kept output that is too large for the journal: one file per invocation, synced before its end is written down.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use lictor_core::{id::InvocationId, limits::MAX_DOWNLOAD_BYTES, output::Output};

use super::{DIRECTORY_MODE, create_private_dir, open_private};

/// Most bytes that wait for the controller before another file of a host is taken: four of the largest. What commands print
/// is always taken; it is small.
const MAX_KEPT_BYTES: u64 = 4 * MAX_DOWNLOAD_BYTES;
/// Free space that files of hosts leave on the disk for the journal and for what commands print.
const MIN_FREE_BYTES: u64 = 128 * 1024 * 1024;

/// The directory of spool files.
#[derive(Debug, Clone)]
pub(crate) struct Spool(Arc<Place>);

#[derive(Debug)]
struct Place {
    directory: PathBuf,
    /// Bytes of all files.
    bytes: AtomicU64,
}

/// A file of a host on its way. Dropped before its end it leaves nothing.
#[derive(Debug)]
pub(crate) struct Spooling {
    spool: Spool,
    invocation: InvocationId,
    file: File,
    bytes: u64,
    finished: bool,
}

/// Why a file of a host cannot be kept until the controller has it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unkept {
    /// Others wait.
    #[error("the agent keeps {0} bytes for the controller already; try again when it has taken them")]
    Full(u64),
    /// The disk is needed for other things.
    #[error("the agent's disk is nearly full; free some of it")]
    DiskFull,
    /// The disk does not take it.
    #[error("the agent cannot keep it: {0}")]
    Disk(#[from] io::Error),
}

impl Spool {
    /// Uses `spool` under the state directory, and removes files of invocations for which `wanted` says no.
    pub(crate) fn open(state: &Path, wanted: impl Fn(InvocationId) -> bool) -> io::Result<Self> {
        let directory = state.join("spool");
        create_private_dir(&directory)?;
        fs::set_permissions(&directory, fs::Permissions::from_mode(DIRECTORY_MODE))?;
        let mut bytes = 0;
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            let known = entry.file_name().to_str().and_then(|name| name.parse().ok()).is_some_and(&wanted);
            if known {
                bytes += entry.metadata()?.len();
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(Self(Arc::new(Place { directory, bytes: AtomicU64::new(bytes) })))
    }

    pub(crate) fn path(&self, invocation: InvocationId) -> PathBuf {
        self.0.directory.join(invocation.to_string())
    }

    /// Writes and syncs the kept bytes of `output`: stdout head and tail, then stderr head and tail.
    pub(crate) fn write(&self, invocation: InvocationId, output: &Output) -> io::Result<()> {
        let mut file = open_private(&self.path(invocation), true)?;
        for stream in [&output.stdout, &output.stderr] {
            file.write_all(&stream.head)?;
            file.write_all(&stream.tail)?;
        }
        let bytes = output.stdout.bytes_kept() + output.stderr.bytes_kept();
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        self.sync(&file)
    }

    /// Begins the file of an invocation that comes piece by piece.
    pub(crate) fn begin(&self, invocation: InvocationId) -> io::Result<Spooling> {
        let file = open_private(&self.path(invocation), true)?;
        Ok(Spooling { spool: self.clone(), invocation, file, bytes: 0, finished: false })
    }

    /// Removes the file, if there is one.
    pub(crate) fn remove(&self, invocation: InvocationId) {
        let path = self.path(invocation);
        let bytes = fs::metadata(&path).map_or(0, |file| file.len());
        // A file that stays is removed at the next start.
        if fs::remove_file(path).is_ok() {
            self.give_back(bytes);
        }
    }

    fn give_back(&self, bytes: u64) {
        let less = |kept: u64| Some(kept.saturating_sub(bytes));
        let _ = self.0.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_all()?;
        File::open(&self.0.directory)?.sync_all()
    }

    /// Counts `more` bytes in, if there is room for them.
    fn take_room(&self, more: u64) -> Result<(), Unkept> {
        let disk = rustix::fs::statvfs(&self.0.directory);
        let free = disk.map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        if free.saturating_sub(more) < MIN_FREE_BYTES {
            return Err(Unkept::DiskFull);
        }
        let enough = |kept: u64| kept.checked_add(more).filter(|sum| *sum <= MAX_KEPT_BYTES);
        let taken = self.0.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough);
        taken.map(|_| ()).map_err(Unkept::Full)
    }
}

impl Spooling {
    /// Takes the next bytes: into the page cache, which is shorter than a hand-over to another thread.
    pub(crate) fn push(&mut self, data: &[u8]) -> Result<(), Unkept> {
        self.spool.take_room(data.len() as u64)?;
        self.bytes += data.len() as u64;
        self.file.write_all(data).map_err(Unkept::Disk)
    }

    /// Syncs everything; the file stays until it is removed.
    pub(crate) fn finish(mut self) -> Result<(), Unkept> {
        self.spool.sync(&self.file)?;
        self.finished = true;
        Ok(())
    }
}

impl Drop for Spooling {
    fn drop(&mut self) {
        if !self.finished {
            // A file that stays is removed at the next start.
            let _ = fs::remove_file(self.spool.path(self.invocation));
            self.spool.give_back(self.bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_breaks_off_leaves_nothing_and_room_comes_back() {
        let state = tempfile::tempdir().unwrap();
        let spool = Spool::open(state.path(), |_| true).unwrap();
        let id = |number: u8| InvocationId::from_bytes([number; 16]);
        let used = || spool.0.bytes.load(Ordering::Relaxed);
        let mut broken = spool.begin(id(1)).unwrap();
        broken.push(b"half a f").unwrap();
        assert_eq!(used(), 8);
        drop(broken);
        assert!(used() == 0 && !spool.path(id(1)).exists());
        let mut whole = spool.begin(id(2)).unwrap();
        whole.push(b"a whole").unwrap();
        whole.push(b" file").unwrap();
        whole.finish().unwrap();
        assert_eq!(fs::read(spool.path(id(2))).unwrap(), b"a whole file");
        assert_eq!(Spool::open(state.path(), |_| true).unwrap().0.bytes.load(Ordering::Relaxed), 12);
        spool.0.bytes.store(MAX_KEPT_BYTES - 3, Ordering::Relaxed);
        let mut more = spool.begin(id(3)).unwrap();
        assert!(matches!(more.push(b"four"), Err(Unkept::Full(_))));
        more.push(b"two").unwrap();
        drop(more);
        spool.0.bytes.store(12, Ordering::Relaxed);
        spool.remove(id(2));
        assert_eq!(used(), 0);
    }
}
