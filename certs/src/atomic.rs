//! Files that are there completely or not at all, also after a power cut.

use std::{
    fs::{File, Permissions},
    io::{self, Write as _},
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use tempfile::NamedTempFile;

/// Mode of files that hold secrets.
pub(crate) const SECRET_MODE: u32 = 0o600;
/// Mode of files that anyone may read.
pub(crate) const PUBLIC_MODE: u32 = 0o644;

/// Replaces `path`: temporary file beside it, fsync, rename, fsync of the directory.
pub(crate) fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    staged(path, bytes, mode)?.persist(path)?;
    sync_directory(directory(path))
}

/// Creates `path` in the same way, but fails with `AlreadyExists` rather than replace anything.
pub(crate) fn create(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    staged(path, bytes, mode)?.persist_noclobber(path)?;
    sync_directory(directory(path))
}

pub(crate) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

pub(crate) fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn staged(path: &Path, bytes: &[u8], mode: u32) -> io::Result<NamedTempFile> {
    // A temporary file starts with mode 0600, so a secret is never readable by others, not even briefly.
    let mut file = NamedTempFile::new_in(directory(path))?;
    file.write_all(bytes)?;
    file.as_file().set_permissions(Permissions::from_mode(mode))?;
    file.as_file().sync_all()?;
    Ok(file)
}
