//! Kept output that is too large for a record: one file for each content, named by its SHA-256 and shared by all that
//! printed it, synced before the record that names it.

use std::{
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};

use lictor_core::{digest::Digest, id::InvocationId};

use super::journal::unavailable;
use crate::{StoreError, record::OutputPlace};

/// Folders that files are spread over, by the last characters of their names, so that no folder grows without bound.
#[derive(Debug)]
pub(super) struct OutputFiles {
    dir: PathBuf,
    /// Tells files apart that are being written at once.
    writes: AtomicU64,
}

/// The name of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum FileName {
    /// The digest of its content.
    Content(Digest),
    /// The invocation that printed it, as files were named before.
    Invocation(InvocationId),
}

// === impl FileName ===

impl FileName {
    /// The file of an invocation whose output is in that place, if it is one.
    pub(super) const fn of(id: InvocationId, place: OutputPlace) -> Option<Self> {
        match place {
            OutputPlace::Record => None,
            OutputPlace::SharedFile(digest) => Some(Self::Content(digest)),
            OutputPlace::OwnFile => Some(Self::Invocation(id)),
        }
    }
}

// === impl OutputFiles ===

impl OutputFiles {
    pub(super) fn open(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        sync_name(&dir)?;
        Ok(Self { dir, writes: AtomicU64::new(0) })
    }

    pub(super) fn path(&self, name: FileName) -> PathBuf {
        let name = match name {
            FileName::Content(digest) => digest.to_string(),
            FileName::Invocation(id) => id.to_string(),
        };
        let folder = name.get(name.len().saturating_sub(2)..).unwrap_or("00").to_owned();
        self.dir.join(folder).join(name)
    }

    /// Writes and syncs the file with this content, unless it is there.
    pub(super) async fn write(&self, digest: Digest, bytes: Vec<u8>) -> Result<(), StoreError> {
        let path = self.path(FileName::Content(digest));
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let written = tokio::task::spawn_blocking(move || write_synced(&path, &bytes, number)).await;
        written.map_err(|e| StoreError::Unavailable(e.to_string()))?.map_err(unavailable)
    }

    /// Reads the file.
    pub(super) async fn read(&self, name: FileName) -> Result<Vec<u8>, StoreError> {
        let path = self.path(name);
        let read = tokio::task::spawn_blocking(move || fs::read(path)).await;
        read.map_err(|e| StoreError::Unavailable(e.to_string()))?
            .map_err(|e| StoreError::Corrupt(e.to_string()))
    }

    /// Reads `length` bytes of the file from `at` on.
    pub(super) async fn read_part(
        &self,
        name: FileName,
        at: u64,
        length: u64,
    ) -> Result<Vec<u8>, StoreError> {
        let path = self.path(name);
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

/// Syncs the name of a directory that may be new.
fn sync_name(directory: &Path) -> io::Result<()> {
    File::open(directory.parent().unwrap_or(Path::new(".")))?.sync_all()
}

fn write_synced(path: &Path, bytes: &[u8], number: u64) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    if !folder.is_dir() {
        fs::create_dir_all(folder)?;
        sync_name(folder)?;
    }
    // A file has its name only once its content is synced; its name may not be, so the folder always is.
    if fs::metadata(path).is_ok_and(|file| file.len() == bytes.len() as u64) {
        return File::open(folder)?.sync_all();
    }
    let temporary = path.with_extension(format!("new-{number}"));
    let mut file = File::create(&temporary)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    File::open(folder)?.sync_all()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use lictor_core::{
        audit::AuditEvent,
        clock::Timestamp,
        id::JobId,
        invocation::{Invocation, InvocationState},
        job::Limits,
        name::{HostAlias, SiteName},
        outcome::Outcome,
        output::{Output, StreamName, StreamSummary},
    };

    use super::{
        super::{EmbeddedStore, batch, keys},
        *,
    };
    use crate::{Change, Store as _, Write};

    #[tokio::test]
    async fn the_same_output_is_kept_once_and_files_named_as_before_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(dir.path()).unwrap();
        let text = vec![b'x'; 100_000];
        let ended = |host: &str| {
            let job = JobId::from_bytes([1; 16]);
            let stdout = StreamSummary {
                bytes_total: text.len() as u64,
                digest: None,
                head: text.clone(),
                tail: vec![],
            };
            Invocation {
                id: InvocationId::derive(job, host, 1),
                job,
                host: HostAlias::new(host).unwrap(),
                site: SiteName::new("eu").unwrap(),
                attempt: 1,
                wave: 1,
                guard: lictor_core::guard::Guard::Journal,
                redactions: 0,
                state: InvocationState::Ended(Outcome::Succeeded),
                version: 1,
                limits: Limits { timeout: Duration::from_secs(5), output_bytes: 1 << 20 },
                rule: None,
                started_at: None,
                ended_at: None,
                address: None,
                output: Output { stdout, stderr: StreamSummary::default() },
                resolution: None,
            }
        };
        let hosts = [ended("a"), ended("b"), ended("c")];
        for invocation in &hosts {
            let write = Write::CreateInvocation(invocation.clone());
            let event = AuditEvent::ControllerStarted { name: "test".into() };
            let _ = store.commit(Change::new(Timestamp::from_micros(1), event).write(write)).await.unwrap();
        }
        let files = || {
            let folders = std::fs::read_dir(dir.path().join("output")).unwrap();
            let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
            files.map(|file| file.unwrap().path()).collect::<Vec<_>>()
        };
        let [only] = files().try_into().unwrap();
        assert!(only.ends_with(Digest::of(&text).to_string()));

        // As an older version left it: in a file of its own, which the record does not name.
        let (key, old) = (keys::invocation(hosts[0].id), FileName::Invocation(hosts[0].id));
        store.table.save().unwrap();
        let value = store.table.get(&key).unwrap().unwrap();
        let mut record: serde_json::Value =
            serde_json::from_slice(batch::record_of(&value).unwrap()).unwrap();
        assert!(record.as_object_mut().unwrap().remove("output_file").is_some());
        let value = batch::value(1, &serde_json::to_vec(&record).unwrap());
        store.table.tree().insert(key, value).unwrap();
        let place = store.outputs.path(old);
        std::fs::create_dir_all(place.parent().unwrap()).unwrap();
        std::fs::copy(&only, place).unwrap();
        for invocation in hosts {
            assert_eq!(store.invocation(invocation.id).await.unwrap(), Some(invocation.clone()));
            let part = store.output(invocation.id, StreamName::Stdout, 99_990, 100_000).await.unwrap();
            assert_eq!(part, text[99_990..]);
        }
        assert_eq!(files().len(), 2);
    }
}
