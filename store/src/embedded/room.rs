//! Room on the disk: writing stops while there still is some, so that it can go on by itself once there is more.

use std::path::{Path, PathBuf};

use super::journal::AppendError;
use crate::StoreError;

/// Free space below which nothing is committed: the tree writes what was committed back later, a full disk would break
/// it for good, and a next journal file has to fit. Four of those, which is more than is ever written back at once.
const MIN_FREE_BYTES: u64 = 64 * 1024 * 1024;

/// Watches the disk that a directory is on.
#[derive(Debug)]
pub(super) struct Room {
    dir: PathBuf,
    low: bool,
}

impl Room {
    pub(super) fn on_disk_of(dir: &Path) -> Self {
        Self { dir: dir.to_owned(), low: false }
    }

    /// Whether a commit may be written now.
    ///
    /// # Errors
    /// [`AppendError::NoRoom`], until space is freed.
    pub(super) fn check(&mut self) -> Result<(), AppendError> {
        // A disk that does not tell is tried; what cannot be written says so itself.
        let free = rustix::fs::statvfs(&self.dir)
            .map_or(u64::MAX, |disk| disk.f_bavail.saturating_mul(disk.f_frsize));
        let low = free < MIN_FREE_BYTES;
        if low != self.low {
            self.low = low;
            let dir = self.dir.display();
            if low {
                tracing::error!(%dir, free, needed = MIN_FREE_BYTES, "the disk is nearly full; nothing is recorded, and so nothing is started, until space is freed");
            } else {
                tracing::info!(%dir, free, "there is room on the disk again");
            }
        }
        if !low {
            return Ok(());
        }
        Err(AppendError::NoRoom(StoreError::Unavailable(format!(
            "{free} bytes are free on the disk of {}, and {MIN_FREE_BYTES} are needed; free some, then it goes on",
            self.dir.display()
        ))))
    }
}
