//! Kept output that is too large for a record: one file for each content, named by its SHA-256 and shared by all that
//! printed it, synced before the record that names it, and removed after the last record that named it.

use std::{
    collections::HashMap,
    fs::{self, File},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use lictor_core::{digest::Digest, id::InvocationId};
use tokio::task::JoinError;

use super::{batch, journal::unavailable, keys, table::Table};
use crate::{
    StoreError,
    record::{InvocationRecord, OutputPlace, decode},
};

/// What stands between the name and a number while a file is being written.
const UNFINISHED: &str = ".new-";

/// Folders that files are spread over, by the last characters of their names, so that no folder grows without bound.
#[derive(Debug)]
pub(super) struct OutputFiles {
    dir: PathBuf,
    /// Tells files apart that are being written at once.
    writes: AtomicU64,
    claims: Arc<Claims>,
}

/// Contents that changes on their way name, with how many of them do. Held by whoever removes a file, too.
#[derive(Debug, Default)]
struct Claims(Mutex<HashMap<Digest, usize>>);

/// Files that are not removed while this is there.
#[derive(Debug)]
pub(super) struct Claim {
    files: Vec<Digest>,
    claims: Arc<Claims>,
}

/// Where the content of a file comes from.
#[derive(Debug)]
pub(super) enum Source {
    /// Memory.
    Bytes(Vec<u8>),
    /// Another file, of so many bytes, which stays where it is.
    File {
        /// Which.
        path: PathBuf,
        /// Its length.
        bytes: u64,
    },
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

    /// The key that says that the output of `id` is in it; files of one invocation have none.
    pub(super) fn use_of(self, id: InvocationId) -> Option<Vec<u8>> {
        match self {
            Self::Content(digest) => Some(keys::file_use(digest, id)),
            Self::Invocation(_) => None,
        }
    }

    /// Whether a record names it, or a change on its way.
    fn is_used(self, claimed: &HashMap<Digest, usize>, table: &Table) -> Result<bool, StoreError> {
        match self {
            Self::Content(digest) => {
                let named = || table.scan_prefix(&keys::file_uses(digest)).keys().next().transpose();
                let unknown = || table.get(keys::UNREADABLE);
                Ok(claimed.contains_key(&digest) || named()?.is_some() || unknown()?.is_some())
            }
            Self::Invocation(id) => {
                let Some(value) = table.get(&keys::invocation(id))? else { return Ok(false) };
                let record: InvocationRecord<'static> = decode(batch::record_of(&value)?)?;
                Ok(record.place()? == OutputPlace::OwnFile)
            }
        }
    }
}

// === impl Claims ===

impl Claims {
    fn lock(&self) -> MutexGuard<'_, HashMap<Digest, usize>> {
        // Every change is whole before the lock is let go.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        let mut claimed = self.claims.lock();
        for file in &self.files {
            if let Some(count) = claimed.get_mut(file) {
                *count = count.saturating_sub(1);
                if *count == 0 {
                    claimed.remove(file);
                }
            }
        }
    }
}

// === impl OutputFiles ===

impl OutputFiles {
    pub(super) fn open(dir: PathBuf) -> io::Result<Self> {
        fs::create_dir_all(&dir)?;
        sync_name(&dir)?;
        Ok(Self { dir, writes: AtomicU64::new(0), claims: Arc::default() })
    }

    /// Keeps these files from being removed; to be made before they are written.
    pub(super) fn claim(&self, files: impl Iterator<Item = Digest>) -> Claim {
        let files: Vec<Digest> = files.collect();
        let mut claimed = self.claims.lock();
        for file in &files {
            *claimed.entry(*file).or_default() += 1;
        }
        drop(claimed);
        Claim { files, claims: Arc::clone(&self.claims) }
    }

    /// Removes the file unless somebody needs it; answers whether it did.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be seen, or the file not be removed.
    pub(super) fn remove_unused(&self, name: FileName, table: &Table) -> Result<bool, StoreError> {
        // Whoever comes to need it meanwhile waits for this, and then writes it anew.
        let claimed = self.claims.lock();
        if name.is_used(&claimed, table)? {
            return Ok(false);
        }
        match fs::remove_file(self.path(name)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(unavailable(error)),
        }
    }

    /// Removes every file that nobody needs, and what a crash left half written; answers how many.
    ///
    /// # Errors
    /// [`StoreError`] when the files cannot be listed, or one not be removed.
    pub(super) fn remove_orphans(&self, table: &Table) -> Result<u64, StoreError> {
        let mut removed = 0;
        for folder in fs::read_dir(&self.dir).map_err(unavailable)? {
            let folder = folder.map_err(unavailable)?.path();
            if !folder.is_dir() {
                continue;
            }
            for file in fs::read_dir(folder).map_err(unavailable)? {
                let path = file.map_err(unavailable)?.path();
                removed += u64::from(self.remove_orphan(&path, table)?);
            }
        }
        Ok(removed)
    }

    fn remove_orphan(&self, path: &Path, table: &Table) -> Result<bool, StoreError> {
        let text = path.file_name().and_then(std::ffi::OsStr::to_str).unwrap_or_default();
        if let Some((digest, _)) = text.split_once(UNFINISHED) {
            // What is being written is claimed.
            let (Ok(digest), claimed) = (digest.parse::<Digest>(), self.claims.lock()) else {
                return Ok(false);
            };
            return if claimed.contains_key(&digest) {
                Ok(false)
            } else {
                fs::remove_file(path).map_err(unavailable).map(|()| true)
            };
        }
        let content = text.parse().ok().map(FileName::Content);
        let Some(name) = content.or_else(|| text.parse().ok().map(FileName::Invocation)) else {
            return Ok(false);
        };
        self.remove_unused(name, table)
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
    pub(super) async fn write(&self, digest: Digest, source: Source) -> Result<(), StoreError> {
        let path = self.path(FileName::Content(digest));
        let number = self.writes.fetch_add(1, Ordering::Relaxed);
        let written = tokio::task::spawn_blocking(move || write_synced(&path, &source, number)).await;
        written.map_err(interrupted)?.map_err(unavailable)
    }

    /// Reads the file.
    pub(super) async fn read(&self, name: FileName) -> Result<Vec<u8>, StoreError> {
        let path = self.path(name);
        let read = tokio::task::spawn_blocking(move || fs::read(path)).await;
        read.map_err(interrupted)?.map_err(|e| StoreError::Corrupt(e.to_string()))
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
        read.map_err(interrupted)?.map_err(|e| StoreError::Corrupt(e.to_string()))
    }
}

/// Work that did not come to its end. tokio's error is not told: it repeats what a panic said, and the log has its place.
pub(super) fn interrupted(_error: JoinError) -> StoreError {
    StoreError::Unavailable("work on a file of output was interrupted; the log may say where".into())
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

fn write_synced(path: &Path, source: &Source, number: u64) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    if !folder.is_dir() {
        fs::create_dir_all(folder)?;
        sync_name(folder)?;
    }
    // A file has its name only once its content is synced; its name may not be, so the folder always is.
    if fs::metadata(path).is_ok_and(|file| file.len() == source.bytes()) {
        return File::open(folder)?.sync_all();
    }
    let mut temporary = path.as_os_str().to_owned();
    temporary.push(format!("{UNFINISHED}{number}"));
    let temporary = PathBuf::from(temporary);
    let written = fill(&temporary, source).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // What cannot be removed now goes with what nobody needs.
        let _ = fs::remove_file(&temporary);
        return Err(error);
    }
    File::open(folder)?.sync_all()
}

/// Gives a file its content, and syncs that.
fn fill(temporary: &Path, source: &Source) -> io::Result<()> {
    match source {
        Source::Bytes(bytes) => {
            let mut file = File::create(temporary)?;
            file.write_all(bytes)?;
            file.sync_all()
        }
        Source::File { path, bytes } => {
            link_or_copy(path, temporary)?;
            let file = File::open(temporary)?;
            if file.metadata()?.len() != *bytes {
                return Err(io::Error::other("a file of output has another length than was said"));
            }
            file.sync_all()
        }
    }
}

/// Names the same bytes again; where that cannot be, on another disk or where files have one name each, writes them again.
fn link_or_copy(path: &Path, temporary: &Path) -> io::Result<()> {
    use io::ErrorKind::{AlreadyExists, CrossesDevices, PermissionDenied, Unsupported};
    let linked = match fs::hard_link(path, temporary) {
        // A crash left it.
        Err(error) if error.kind() == AlreadyExists => {
            fs::remove_file(temporary)?;
            fs::hard_link(path, temporary)
        }
        linked => linked,
    };
    match linked {
        Err(error) if matches!(error.kind(), CrossesDevices | PermissionDenied | Unsupported) => {
            fs::copy(path, temporary).map(|_bytes| ())
        }
        linked => linked,
    }
}

impl Source {
    fn bytes(&self) -> u64 {
        match self {
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::File { bytes, .. } => *bytes,
        }
    }
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

    #[test]
    fn a_file_that_cannot_be_kept_leaves_nothing_and_what_a_crash_left_is_in_nobodys_way() {
        let dir = tempfile::tempdir().unwrap();
        let (came, kept) = (dir.path().join("came"), dir.path().join("folder/kept"));
        fs::write(&came, "a file").unwrap();
        let source = |bytes| Source::File { path: came.clone(), bytes };
        let names = || fs::read_dir(dir.path().join("folder")).unwrap().count();
        assert!(write_synced(&kept, &source(7), 0).is_err(), "it has another length");
        assert_eq!(names(), 0);
        let gone = Source::File { path: dir.path().join("gone"), bytes: 6 };
        assert!(write_synced(&kept, &gone, 0).is_err());
        assert_eq!(names(), 0);
        fs::write(dir.path().join("folder/kept.new-0"), "half").unwrap();
        write_synced(&kept, &source(6), 0).unwrap();
        assert_eq!((fs::read(&kept).unwrap(), names()), (b"a file".to_vec(), 1));
        assert_eq!(fs::read(&came).unwrap(), b"a file", "it stays where it was");
    }

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
                output: Output { stdout, ..Output::default() },
                resolution: None,
                output_removed: None,
                last_agent: None,
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
            let part =
                store.output(invocation.id, StreamName::Stdout, 99_990, 100_000).await.unwrap().unwrap();
            assert_eq!(part, text[99_990..]);
        }
        assert_eq!(files().len(), 2);
    }
}
