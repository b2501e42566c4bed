//! The highest epoch this agent has seen, on disk: a controller that lost its place is refused, also after a restart.

use std::{fs, io, path::PathBuf};

use crate::ssh::host_key::write_atomic;

/// The file and its number.
#[derive(Debug)]
pub(crate) struct EpochFile {
    path: PathBuf,
    highest: u64,
}

/// An epoch that is lower than one seen before.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EpochError {
    /// It went back.
    #[error(
        "the controller says epoch {said}, but {highest} was seen before; it may run on an old copy of its store"
    )]
    Lower {
        /// What it said.
        said: u64,
        /// The highest seen.
        highest: u64,
    },
    /// It could not be written down.
    #[error("the epoch could not be written")]
    Io(#[from] io::Error),
}

impl EpochFile {
    pub(crate) fn open(path: PathBuf) -> io::Result<Self> {
        let highest = match fs::read_to_string(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
            Err(error) => return Err(error),
            Ok(text) => {
                text.trim().parse().map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not a number"))?
            }
        };
        Ok(Self { path, highest })
    }

    /// Takes the epoch of a new session.
    pub(crate) fn take(&mut self, epoch: u64) -> Result<(), EpochError> {
        if epoch < self.highest {
            return Err(EpochError::Lower { said: epoch, highest: self.highest });
        }
        if epoch > self.highest {
            write_atomic(&self.path, format!("{epoch}\n").as_bytes())?;
            self.highest = epoch;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lower_epoch_is_refused_also_after_a_restart() {
        let dir = tempfile::tempdir().unwrap();
        let mut file = EpochFile::open(dir.path().join("epoch")).unwrap();
        file.take(3).unwrap();
        file.take(3).unwrap();
        assert!(matches!(file.take(2), Err(EpochError::Lower { said: 2, highest: 3 })));
        let mut file = EpochFile::open(dir.path().join("epoch")).unwrap();
        assert!(file.take(2).is_err());
        file.take(4).unwrap();
    }
}
