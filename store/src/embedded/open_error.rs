//! Why a store could not be opened, with what to do.

use std::path::{Path, PathBuf};

use crate::StoreError;

/// Why a store could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process has it open.
    #[error("{} is in use by another controller; stop that one first", .0.display())]
    InUse(PathBuf),
    /// The directory cannot be used.
    #[error("cannot use {}", path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// sled refused.
    #[error("cannot open the state in {}; restore a backup, or move the directory away to start empty", path.display())]
    Sled {
        /// The path.
        path: PathBuf,
        /// Why.
        source: sled::Error,
    },
    /// What is there cannot be read.
    #[error("the state in {} is damaged; restore a backup", path.display())]
    Damaged {
        /// The path.
        path: PathBuf,
        /// Why.
        source: StoreError,
    },
}

pub(super) fn open_error(dir: &Path, source: StoreError) -> OpenError {
    let path = dir.to_owned();
    match source {
        StoreError::Unavailable(why) => OpenError::Io { path, source: std::io::Error::other(why) },
        StoreError::Conflict { .. } | StoreError::Corrupt(_) => OpenError::Damaged { path, source },
    }
}
