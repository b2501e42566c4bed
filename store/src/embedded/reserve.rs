//! Blocks of the disk that sled's file has before it needs them: sled writes in its own time, and a disk that is full just
//! then would break it for good.

use std::{
    fs::{File, OpenOptions},
    path::Path,
};

use rustix::{fs::FallocateFlags, io::Errno};

use crate::StoreError;

/// Room behind the end of sled's file, beyond what is about to be written: what sled moves about when it tidies up, and the
/// segments (of 512 KiB) that a batch fills in part.
const SLACK_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug)]
pub(super) struct Reserve {
    /// `None` when it could not be opened; sled then finds what it finds.
    file: Option<File>,
}

impl Reserve {
    /// For sled's file in the directory that sled was opened with.
    pub(super) fn in_dir(state_dir: &Path) -> Self {
        let path = state_dir.join("db");
        let file = OpenOptions::new().write(true).open(&path);
        let file = file.inspect_err(|error| {
            tracing::warn!(%error, path = %path.display(), "no room can be reserved for the state");
        });
        Self { file: file.ok() }
    }

    /// Sees to it that sled can write this much, and what belongs to it, whatever becomes of the disk.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when the disk does not have it.
    pub(super) fn renew(&self, bytes: usize) -> Result<(), StoreError> {
        let Some(file) = &self.file else { return Ok(()) };
        behind(file, SLACK_BYTES.saturating_add(bytes))
    }
}

/// Sees to it that so many bytes can be written behind the end of `file`.
///
/// # Errors
/// [`StoreError::Unavailable`] when the disk does not have them.
pub(super) fn behind(file: &File, wanted: usize) -> Result<(), StoreError> {
    let Ok(end) = file.metadata().map(|metadata| metadata.len()) else { return Ok(()) };
    match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, end, wanted as u64) {
        Err(Errno::NOSPC | Errno::DQUOT) => Err(StoreError::Unavailable(format!(
            "the disk does not have the {wanted} bytes that the state needs; free some, then it goes on"
        ))),
        // Some file systems cannot reserve; what cannot be written says so itself.
        Ok(()) | Err(_) => Ok(()),
    }
}
