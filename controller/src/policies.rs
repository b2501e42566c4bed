//! The policy in force: read from its file, kept by version in the store, swapped as a whole.

use std::{
    fs, io,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use arc_swap::ArcSwap;
use lictor_core::{
    audit::AuditEvent,
    clock::{Clock, Timestamp},
    error::{ErrorCode, Failure},
    principal::Principal,
};
use lictor_policy::PolicySet;
use lictor_proto::limits::MAX_POLICY_BYTES;
use lictor_store::{Change, KeptPolicy, Store, Write};
use tokio::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use crate::failure::of_store;

/// How often the file is looked at: an edit takes effect about as fast as a person can try it.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Versions that are looked through for the one that a stale file holds.
const OLDER_VERSIONS: u64 = 100;
/// Who changed a policy whose file was edited.
const BY_FILE: &str = "file";

// One bound: what the language takes is what the API carries.
const _: () = assert!(MAX_POLICY_BYTES == lictor_policy::set::MAX_POLICY_BYTES);

/// A policy with its version.
#[derive(Debug)]
pub struct VersionedPolicy {
    /// Counted from 1.
    pub version: u64,
    /// The policy.
    pub set: PolicySet,
}

/// The policy in force and its file.
#[derive(Debug)]
pub struct Policies {
    file: PathBuf,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    current: ArcSwap<VersionedPolicy>,
    /// Written to by whoever changes the policy; held by whoever judges and sends, so that a change is acknowledged
    /// only when nothing that was judged before it is still to be sent.
    changing: RwLock<()>,
}

/// What came of putting a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Put {
    /// The version that is in force.
    pub version: u64,
    /// Its file has it too.
    pub file_written: bool,
}

/// Why a controller cannot start with a policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyFileError {
    /// The file cannot be read.
    #[error("cannot read the policy {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is older than the policy that was put, and cannot be written.
    #[error("cannot write the policy that was put to {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not a policy.
    #[error("{} is not a policy, so the controller does not start:\n{errors}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        errors: lictor_policy::PolicyErrors,
    },
    /// The store refused it.
    #[error(transparent)]
    Store(#[from] lictor_store::StoreError),
}

impl Policies {
    /// Reads the file, keeps it as a new version if it differs from the newest kept one, and puts it in force. Only a file
    /// that a put was to replace and did not loses to the newest kept version.
    ///
    /// # Errors
    /// [`PolicyFileError`]; a controller does not start without a policy.
    pub async fn load(
        file: PathBuf,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, PolicyFileError> {
        let source = fs::read_to_string(&file)
            .map_err(|source| PolicyFileError::Read { path: file.clone(), source })?;
        let set = PolicySet::parse(&source)
            .map_err(|errors| PolicyFileError::Invalid { path: file.clone(), errors })?;
        let newest = store.policy(None).await?;
        let (set, kept) = match newest {
            Some(newest)
                if newest.digest != set.digest() && is_stale(&file, &*store, &set, &newest).await? =>
            {
                tracing::warn!(
                    version = newest.version,
                    "the policy's file was not written when this version was put; the version stays in force and is \
                     written to the file now"
                );
                let newer = PolicySet::parse(&newest.source)
                    .map_err(|errors| PolicyFileError::Invalid { path: file.clone(), errors })?;
                write_file(&file, &newest.source)
                    .map_err(|source| PolicyFileError::Write { path: file.clone(), source })?;
                (newer, Some(newest))
            }
            newest => (set, newest),
        };
        let version = match kept {
            Some(kept) if kept.digest == set.digest() => kept.version,
            kept => {
                let version = kept.map_or(0, |k| k.version) + 1;
                keep(&*store, &*clock, &set, version, BY_FILE, "").await?;
                version
            }
        };
        let current = ArcSwap::from_pointee(VersionedPolicy { version, set });
        Ok(Self { file, store, clock, current, changing: RwLock::new(()) })
    }

    /// The policy in force.
    pub fn now(&self) -> Arc<VersionedPolicy> {
        self.current.load_full()
    }

    /// Keeps the policy in force as it is for as long as the guard is held.
    pub async fn hold(&self) -> RwLockReadGuard<'_, ()> {
        self.changing.read().await
    }

    /// Waits until everything that was judged so far has been sent; nothing is judged while the guard is held.
    pub async fn settled(&self) -> RwLockWriteGuard<'_, ()> {
        self.changing.write().await
    }

    /// Puts `source` in force if the version in force is `expected_version`, and writes it to the file. `note` says why.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`] with everything that is wrong with it, [`ErrorCode::Conflict`] when another
    /// version is in force, [`ErrorCode::AuditUnavailable`] when it cannot be recorded.
    pub async fn put(
        self: &Arc<Self>,
        source: &str,
        expected_version: u64,
        by: &Principal,
        note: &str,
    ) -> Result<Put, Failure> {
        let (this, source, by, note) = (Arc::clone(self), source.to_owned(), by.clone(), note.to_owned());
        // To its end, even if the caller goes away: what is kept must also be in force.
        let put =
            tokio::spawn(async move { this.put_to_its_end(&source, expected_version, &by, &note).await });
        put.await.unwrap_or_else(|_| {
            Err(Failure::new(
                ErrorCode::Internal,
                "the change was interrupted",
                "look at the policy in force",
            ))
        })
    }

    async fn put_to_its_end(
        &self,
        source: &str,
        expected_version: u64,
        by: &Principal,
        note: &str,
    ) -> Result<Put, Failure> {
        let set = PolicySet::parse(source).map_err(|errors| {
            Failure::new(
                ErrorCode::InvalidArgument,
                format!("this is not a policy:\n{errors}"),
                "correct it and put it again",
            )
        })?;
        let _guard = self.changing.write().await;
        let in_force = self.now().version;
        if in_force != expected_version {
            let message = format!("version {in_force} is in force, not {expected_version}");
            return Err(Failure::new(
                ErrorCode::Conflict,
                message,
                "look at the policy in force and put yours again",
            ));
        }
        let version = in_force + 1;
        keep(&*self.store, &*self.clock, &set, version, &by.to_string(), note).await.map_err(of_store)?;
        self.current.store(Arc::new(VersionedPolicy { version, set }));
        let written = write_file(&self.file, source);
        if let Err(error) = &written {
            // The change is in force and kept; whoever edits the file next would start from the old one, so say it loudly.
            tracing::error!(%error, file = %self.file.display(), "the policy is in force but its file could not be written; write it by hand");
        }
        Ok(Put { version, file_written: written.is_ok() })
    }

    /// Looks at the file from time to time and puts a valid edit in force; never returns.
    pub async fn follow_file(self: Arc<Self>) {
        let mut seen = stamp(&self.file);
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let now = stamp(&self.file);
            if now != seen {
                seen = now;
                self.reload().await;
            }
        }
    }

    async fn reload(&self) {
        let _guard = self.changing.write().await;
        let source = match fs::read_to_string(&self.file) {
            Ok(source) => source,
            Err(error) => {
                tracing::error!(%error, file = %self.file.display(), "cannot read the policy; the one in force stays");
                return;
            }
        };
        let set = match PolicySet::parse(&source) {
            Ok(set) => set,
            Err(errors) => {
                tracing::error!(%errors, file = %self.file.display(), "this is not a policy; the one in force stays");
                return;
            }
        };
        let current = self.now();
        if set.digest() == current.set.digest() {
            return;
        }
        let version = current.version + 1;
        match keep(&*self.store, &*self.clock, &set, version, BY_FILE, "").await {
            Ok(()) => {
                self.current.store(Arc::new(VersionedPolicy { version, set }));
                tracing::info!(version, "another policy is in force");
            }
            Err(error) => tracing::error!(%error, "the policy could not be recorded; the one in force stays"),
        }
    }
}

/// Whether the file is what a put was to replace: it was written no later than `newest` was put, and holds what was in
/// force before. Whoever writes the file afterwards means it, whatever it holds.
async fn is_stale(
    file: &PathBuf,
    store: &dyn Store,
    set: &PolicySet,
    newest: &KeptPolicy,
) -> Result<bool, lictor_store::StoreError> {
    if newest.changed_by == BY_FILE || !is_written_by(file, newest.changed_at) {
        return Ok(false);
    }
    let newest = newest.version;
    for version in (newest.saturating_sub(OLDER_VERSIONS).max(1)..newest).rev() {
        if store.policy(Some(version)).await?.is_some_and(|kept| kept.digest == set.digest()) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the file was last written at this time or before.
fn is_written_by(file: &PathBuf, at: Timestamp) -> bool {
    let written = stamp(file).and_then(|(modified, _)| modified.duration_since(UNIX_EPOCH).ok());
    written.is_some_and(|written| written <= Duration::from_micros(at.as_micros()))
}

async fn keep(
    store: &dyn Store,
    clock: &dyn Clock,
    set: &PolicySet,
    version: u64,
    by: &str,
    note: &str,
) -> Result<(), lictor_store::StoreError> {
    let now = clock.now();
    let kept = KeptPolicy {
        version,
        digest: set.digest(),
        source: set.source().to_owned(),
        changed_by: by.to_owned(),
        changed_at: now,
        note: note.to_owned(),
    };
    let note = Some(note.to_owned()).filter(|note| !note.is_empty());
    let event = AuditEvent::PolicyChanged { version, digest: set.digest(), by: by.to_owned(), note };
    let _recorded = store.commit(Change::new(now, event).write(Write::PutPolicy(kept))).await?;
    Ok(())
}

fn stamp(file: &PathBuf) -> Option<(SystemTime, u64)> {
    let metadata = fs::metadata(file).ok()?;
    Some((metadata.modified().ok()?, metadata.len()))
}

fn write_file(file: &PathBuf, source: &str) -> io::Result<()> {
    let temporary = file.with_extension("yml.new");
    fs::write(&temporary, source)?;
    fs::File::open(&temporary)?.sync_all()?;
    fs::rename(&temporary, file)?;
    fs::File::open(file.parent().unwrap_or(std::path::Path::new(".")))?.sync_all()
}
