//! Files with secrets: regular ones, that only their owner can read.

use std::{
    fs::{self, File},
    io::{self, Read as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

/// Permissions that anybody but the owner has.
const OTHERS: u32 = 0o077;

/// Why such a file is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PrivateFileError {
    /// It cannot be.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: String,
        /// What went wrong.
        source: io::Error,
    },
    /// A pipe, a directory or the like.
    #[error("{0}: it is not a regular file")]
    NotRegular(String),
    /// Others know what is in it.
    #[error("{0}: it can be read by others; run: chmod 600 {0}")]
    Readable(String),
    /// It holds more than such a secret.
    #[error("{0}: it is too large for what it should hold")]
    TooLarge(String),
}

/// The bytes of the file, at most `most`.
///
/// # Errors
/// [`PrivateFileError`].
pub(crate) fn read(path: &Path, most: u64) -> Result<Vec<u8>, PrivateFileError> {
    let name = || path.display().to_string();
    let io = |source| PrivateFileError::Io { path: name(), source };
    // Opening a pipe waits for whoever writes to it, maybe for ever.
    if !fs::metadata(path).map_err(io)?.is_file() {
        return Err(PrivateFileError::NotRegular(name()));
    }
    let file = File::open(path).map_err(io)?;
    // Of the file that is open: what is read is what was looked at.
    if file.metadata().map_err(io)?.permissions().mode() & OTHERS != 0 {
        return Err(PrivateFileError::Readable(name()));
    }
    let mut bytes = Vec::new();
    file.take(most.saturating_add(1)).read_to_end(&mut bytes).map_err(io)?;
    if bytes.len() as u64 > most { Err(PrivateFileError::TooLarge(name())) } else { Ok(bytes) }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    #[test]
    fn only_a_regular_file_of_its_owner_alone_is_read_and_never_more_than_it_should_hold() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("secret");
        let said = |most| read(&path, most).map_err(|error| error.to_string());
        assert!(said(9).unwrap_err().contains("secret: "));
        fs::write(&path, "secret").unwrap();
        for mode in [0o640, 0o604, 0o620, 0o666] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            let error = said(9).unwrap_err();
            let words = format!("it can be read by others; run: chmod 600 {}", path.display());
            assert!(error.ends_with(&words), "{mode:o}: {error}");
        }
        for mode in [0o600, 0o400] {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(said(6).unwrap(), b"secret");
        }
        assert!(said(5).unwrap_err().contains("too large"));
        assert!(read(dir.path(), 9).unwrap_err().to_string().contains("not a regular file"));
    }
}
