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
/// Bytes of a file after which they are synced: the journal, which syncs on the same disk, then never waits for all of it.
const SYNC_EVERY_BYTES: u64 = 8 * 1024 * 1024;

/// The directory of spool files.
#[derive(Debug, Clone)]
pub(crate) struct Spool(Arc<Place>);

#[derive(Debug)]
struct Place {
    directory: PathBuf,
    /// Bytes of all files, and those that files on their way will have.
    bytes: AtomicU64,
}

/// A file of a host on its way. Dropped before its end it leaves nothing. All of it works on a disk: not for whoever has
/// others to serve.
#[derive(Debug)]
pub(crate) struct Spooling {
    spool: Spool,
    invocation: InvocationId,
    file: File,
    bytes: u64,
    /// Bytes for which there is room.
    room: u64,
    /// Bytes since the last sync.
    unsynced: u64,
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

    /// Writes and syncs the kept bytes of `output`: stdout head and tail, then stderr head and tail. What cannot be written
    /// whole leaves nothing.
    pub(crate) fn write(&self, invocation: InvocationId, output: &Output) -> io::Result<()> {
        let path = self.path(invocation);
        let written = self.write_to(&path, output);
        if written.is_err() {
            // A file that stays is removed at the next start.
            let _ = fs::remove_file(path);
        }
        written
    }

    fn write_to(&self, path: &Path, output: &Output) -> io::Result<()> {
        let mut file = open_private(path, true)?;
        for stream in [&output.stdout, &output.stderr] {
            file.write_all(&stream.head)?;
            file.write_all(&stream.tail)?;
        }
        self.sync(&file)?;
        let bytes = output.stdout.bytes_kept() + output.stderr.bytes_kept();
        self.0.bytes.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    }

    /// Begins the file of an invocation that comes piece by piece, if there is room for the `expected` bytes.
    pub(crate) fn begin(&self, invocation: InvocationId, expected: u64) -> Result<Spooling, Unkept> {
        self.take_room(expected)?;
        match open_private(&self.path(invocation), true) {
            Ok(file) => Ok(Spooling {
                spool: self.clone(),
                invocation,
                file,
                bytes: 0,
                room: expected,
                unsynced: 0,
                finished: false,
            }),
            Err(error) => {
                self.give_back(expected);
                Err(Unkept::Disk(error))
            }
        }
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

    /// Whether the disk has room for `more` bytes.
    fn look_at_disk(&self, more: u64) -> Result<(), Unkept> {
        let disk = rustix::fs::statvfs(&self.0.directory);
        let free = disk.map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        if free.saturating_sub(more) < MIN_FREE_BYTES { Err(Unkept::DiskFull) } else { Ok(()) }
    }

    /// Counts `more` bytes in, if there is room for them.
    fn take_room(&self, more: u64) -> Result<(), Unkept> {
        self.look_at_disk(more)?;
        let enough = |kept: u64| kept.checked_add(more).filter(|sum| *sum <= MAX_KEPT_BYTES);
        let taken = self.0.bytes.fetch_update(Ordering::Relaxed, Ordering::Relaxed, enough);
        taken.map(|_| ()).map_err(Unkept::Full)
    }
}

impl Spooling {
    /// Takes the next bytes. What is more than was expected is taken as long as there is room for it.
    pub(crate) fn push(&mut self, data: &[u8]) -> Result<(), Unkept> {
        let bytes = self.bytes.saturating_add(data.len() as u64);
        // Others fill the disk, too.
        self.spool.look_at_disk(data.len() as u64)?;
        if let Some(more) = bytes.checked_sub(self.room).filter(|more| *more > 0) {
            self.spool.take_room(more)?;
            self.room = bytes;
        }
        self.file.write_all(data)?;
        self.bytes = bytes;
        self.unsynced += data.len() as u64;
        if self.unsynced >= SYNC_EVERY_BYTES {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// Syncs everything; the file stays until it is removed.
    pub(crate) fn finish(mut self) -> Result<(), Unkept> {
        self.spool.sync(&self.file)?;
        self.finished = true;
        // Whoever removes the file gives back its length.
        self.spool.give_back(self.room.saturating_sub(self.bytes));
        Ok(())
    }
}

impl Drop for Spooling {
    fn drop(&mut self) {
        if !self.finished {
            // A file that stays is removed at the next start.
            let _ = fs::remove_file(self.spool.path(self.invocation));
            self.spool.give_back(self.room);
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
        let mut broken = spool.begin(id(1), 20).unwrap();
        broken.push(b"half a f").unwrap();
        assert_eq!(used(), 20, "there is room for all of it from the start");
        drop(broken);
        assert!(used() == 0 && !spool.path(id(1)).exists());
        // One grew, and one became shorter.
        let mut whole = spool.begin(id(2), 7).unwrap();
        whole.push(b"a whole").unwrap();
        whole.push(b" file").unwrap();
        whole.finish().unwrap();
        let mut short = spool.begin(id(4), 100).unwrap();
        short.push(b"short").unwrap();
        short.finish().unwrap();
        assert_eq!(used(), 17);
        spool.remove(id(4));
        assert_eq!(used(), 12);
        assert_eq!(fs::read(spool.path(id(2))).unwrap(), b"a whole file");
        assert_eq!(Spool::open(state.path(), |_| true).unwrap().0.bytes.load(Ordering::Relaxed), 12);
        spool.0.bytes.store(MAX_KEPT_BYTES - 3, Ordering::Relaxed);
        assert!(matches!(spool.begin(id(3), 4), Err(Unkept::Full(_))));
        assert!(!spool.path(id(3)).exists());
        let mut more = spool.begin(id(3), 0).unwrap();
        assert!(matches!(more.push(b"four"), Err(Unkept::Full(_))));
        more.push(b"two").unwrap();
        drop(more);
        spool.0.bytes.store(12, Ordering::Relaxed);
        spool.remove(id(2));
        assert_eq!(used(), 0);
    }
}
