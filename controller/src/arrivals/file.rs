//! One file on its way: how far it is, who writes to it, and when nobody may any more.

use std::{
    fs::{self, File},
    io, mem,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, TryLockError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use lictor_core::digest::{Digest, Sha256Stream};
use tokio::runtime::Handle;

use super::{Bringer, Piece, lock};
use crate::served::Moment;

/// Bytes of a file after which they are synced: the commit that keeps the file holds up its job, and has little left to sync.
const SYNC_EVERY_BYTES: u64 = 8 * 1024 * 1024;
/// Only this process reads it: it may be anything.
const FILE_MODE: u32 = 0o600;

/// One file on its way. Dropped, it leaves nothing; a store that kept it has its own name for it.
#[derive(Debug)]
pub struct Arriving {
    path: PathBuf,
    from: Bringer,
    /// Held while bytes are written: pieces of a stream that was cut and of the one after it may meet.
    hand: Mutex<Hand>,
    /// Whether that is open. Changed by whoever holds it, and read by whoever must not.
    is_open: AtomicBool,
    /// Whether whoever holds it works on a piece: that can take a disk its time, and who did it asks for the end after it.
    is_written: AtomicBool,
    came: Mutex<Came>,
    /// Those of all files.
    all_bytes: Arc<AtomicU64>,
}

/// What writes to a file.
#[derive(Debug)]
enum Hand {
    Open(Open),
    /// Nothing has it open, and a piece of it opens it.
    Resting,
    /// It is whole: a store may name the same bytes from then on, so nobody may write to them.
    Sealed,
}

/// A file that is written to.
#[derive(Debug)]
struct Open {
    file: File,
    /// Bytes since the last sync.
    unsynced: u64,
}

/// How far a file is. Never held while a disk works.
#[derive(Debug)]
struct Came {
    bytes: u64,
    hash: Sha256Stream,
    last: Moment,
}

/// Why a piece was not taken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Untaken {
    /// The file is to be sent again, from what is here of it or from its start.
    #[error(transparent)]
    Refused(io::Error),
    /// What a disk did not take, it may not have taken earlier either: the file is of no use any more.
    #[error(transparent)]
    Broken(io::Error),
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

    /// Gives its part back to the disk.
    fn empty(&mut self) -> io::Result<()> {
        self.file.set_len(0)?;
        self.unsynced = 0;
        Ok(())
    }
}

// === impl Arriving ===

impl Arriving {
    /// Begins it at `path`, where nothing is.
    pub(super) fn begin(
        path: PathBuf,
        from: Bringer,
        at: Moment,
        all_bytes: Arc<AtomicU64>,
    ) -> io::Result<Self> {
        File::options().write(true).create_new(true).mode(FILE_MODE).open(&path)?;
        Ok(Self {
            path,
            from,
            hand: Mutex::new(Hand::Resting),
            is_open: AtomicBool::new(false),
            is_written: AtomicBool::new(false),
            came: Mutex::new(Came { bytes: 0, hash: Sha256Stream::default(), last: at }),
            all_bytes,
        })
    }

    /// Where it is, for as long as this is there.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Who brings it.
    pub(super) const fn bringer(&self) -> &Bringer {
        &self.from
    }

    /// When something of it came.
    pub(super) fn last(&self) -> Moment {
        lock(&self.came).last
    }

    /// Takes the next piece, if there is `room` for as many bytes; answers whether the file is longer by it.
    pub(super) fn push(
        &self,
        piece: &Piece<'_>,
        room: impl FnOnce(u64) -> io::Result<()>,
    ) -> Result<bool, Untaken> {
        let mut hand = lock(&self.hand);
        self.is_written.store(true, Ordering::Release);
        let taken = self.push_by(&mut hand, piece, room);
        self.is_written.store(false, Ordering::Release);
        drop(hand);
        taken
    }

    fn push_by(
        &self,
        hand: &mut Hand,
        piece: &Piece<'_>,
        room: impl FnOnce(u64) -> io::Result<()>,
    ) -> Result<bool, Untaken> {
        let have = self.has_come(piece.at);
        if matches!(hand, Hand::Sealed) {
            return Ok(false);
        }
        let Some(before) = have.checked_sub(piece.offset) else {
            // Left out in silence, the file would never be whole, and its agent would think that it is here.
            let why = format!("{have} bytes of the file are here, and these follow {}", piece.offset);
            return Err(Untaken::Refused(io::Error::other(why)));
        };
        let new = usize::try_from(before).ok().and_then(|known| piece.data.get(known..)).unwrap_or_default();
        let more = new.len() as u64;
        let end = have.saturating_add(more);
        if new.is_empty() || end > piece.most {
            return Ok(false);
        }
        self.wake(hand).map_err(Untaken::Broken)?;
        let open = match hand {
            Hand::Open(open) => open,
            Hand::Resting | Hand::Sealed => return Ok(false),
        };
        if let Err(no_room) = room(more) {
            // What is here of it would keep others from their end, as theirs keeps this one.
            open.empty().map_err(Untaken::Broken)?;
            self.begin_again();
            return Err(Untaken::Refused(no_room));
        }
        if let Err(error) = open.write(new, have) {
            self.all_bytes.fetch_sub(more, Ordering::Relaxed);
            return Err(Untaken::Broken(error));
        }
        let mut came = lock(&self.came);
        came.hash.update(new);
        came.bytes = end;
        Ok(true)
    }

    /// Bytes that are here; notes that something came.
    fn has_come(&self, at: Moment) -> u64 {
        let mut came = lock(&self.came);
        came.last = at;
        came.bytes
    }

    /// Whether something has it open.
    pub(super) fn is_open(&self) -> bool {
        self.is_open.load(Ordering::Acquire)
    }

    /// Opens it if it rests.
    fn wake(&self, hand: &mut Hand) -> io::Result<()> {
        match hand {
            Hand::Open(_) | Hand::Sealed => {}
            Hand::Resting => {
                let file = File::options().write(true).open(&self.path)?;
                *hand = Hand::Open(Open { file, unsynced: 0 });
                self.is_open.store(true, Ordering::Release);
            }
        }
        Ok(())
    }

    /// Closes it until more of it comes, with all of it on the disk.
    pub(super) fn rest(&self) -> io::Result<()> {
        let mut hand = lock(&self.hand);
        let open = match mem::replace(&mut *hand, Hand::Resting) {
            Hand::Open(open) => open,
            other @ (Hand::Resting | Hand::Sealed) => {
                *hand = other;
                return Ok(());
            }
        };
        self.is_open.store(false, Ordering::Release);
        // Whoever seals it does not wait for a disk.
        drop(hand);
        open.file.sync_data()
    }

    /// Nothing of it is here any more.
    fn begin_again(&self) {
        let mut came = lock(&self.came);
        self.all_bytes.fetch_sub(came.bytes, Ordering::Relaxed);
        came.bytes = 0;
        came.hash = Sha256Stream::default();
    }

    /// Whether it is this; if so, nothing is written to it any more.
    pub(super) fn seal(&self, bytes: u64, digest: Option<Digest>) -> bool {
        let mut hand = match self.hand.try_lock() {
            Ok(hand) => hand,
            Err(TryLockError::Poisoned(hand)) => hand.into_inner(),
            // Whoever writes asks again after that.
            Err(TryLockError::WouldBlock) if self.is_written.load(Ordering::Acquire) => return false,
            // Whoever lets it rest does not ask, and has it for a moment only.
            Err(TryLockError::WouldBlock) => lock(&self.hand),
        };
        let whole = self.is(bytes, digest);
        if whole {
            *hand = Hand::Sealed;
            self.is_open.store(false, Ordering::Release);
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
        let hand = self.hand.get_mut().unwrap_or_else(PoisonError::into_inner);
        let hand = mem::replace(hand, Hand::Sealed);
        let path = mem::take(&mut self.path);
        let remove = move || {
            // What cannot be removed is removed at the next start.
            let _ = fs::remove_file(path);
            drop(hand);
        };
        // A disk takes its time over a large file, and whoever drops this may have others to answer.
        match Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(remove)),
            Err(_) => remove(),
        }
    }
}
