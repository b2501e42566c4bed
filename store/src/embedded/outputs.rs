//! Kept output that is too large for a record: one file an invocation, synced before the record that names it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
};

use lictor_core::id::InvocationId;

use super::journal::unavailable;
use crate::StoreError;

/// Folders that files are spread over, by the identifier's last character, so that no folder grows without bound.
#[derive(Debug)]
pub(super) struct OutputFiles {
    dir: PathBuf,
}

impl OutputFiles {
    pub(super) fn open(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        Ok(Self { dir })
    }

    fn path(&self, id: InvocationId) -> PathBuf {
        let name = id.to_string();
        let folder = name.get(name.len().saturating_sub(2)..).unwrap_or("00").to_owned();
        self.dir.join(folder).join(name)
    }

    /// Writes and syncs the file.
    pub(super) async fn write(&self, id: InvocationId, bytes: Vec<u8>) -> Result<(), StoreError> {
        let path = self.path(id);
        let written = tokio::task::spawn_blocking(move || write_synced(&path, &bytes)).await;
        written.map_err(|e| StoreError::Unavailable(e.to_string()))?.map_err(unavailable)
    }

    /// Reads the file.
    pub(super) async fn read(&self, id: InvocationId) -> Result<Vec<u8>, StoreError> {
        let path = self.path(id);
        let read = tokio::task::spawn_blocking(move || fs::read(path)).await;
        read.map_err(|e| StoreError::Unavailable(e.to_string()))?
            .map_err(|e| StoreError::Corrupt(e.to_string()))
    }

    /// Reads `length` bytes of the file from `at` on.
    pub(super) async fn read_part(
        &self,
        id: InvocationId,
        at: u64,
        length: u64,
    ) -> Result<Vec<u8>, StoreError> {
        let path = self.path(id);
        let read = tokio::task::spawn_blocking(move || read_part(&path, at, length)).await;
        read.map_err(|e| StoreError::Unavailable(e.to_string()))?
            .map_err(|e| StoreError::Corrupt(e.to_string()))
    }
}

fn read_part(path: &Path, at: u64, length: u64) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(at))?;
    let mut bytes = Vec::new();
    file.take(length).read_to_end(&mut bytes)?;
    if (bytes.len() as u64) < length { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(bytes) }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let temporary = path.with_extension("new");
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}
