//! TLS configurations that follow their files: new connections use the newest files that are whole.

use std::{
    fmt, fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio_util::sync::CancellationToken;

use crate::{
    evidence::{self, Evidence, EvidenceError, Statement},
    files::{FilesError, IdentityFiles, LoadedIdentity},
    identity::TrustDomain,
    peer::Peer,
};

/// One end of a kind of connection: how its rustls configuration follows from an identity.
pub trait TlsEnd: Send + Sync + 'static {
    /// `rustls::ServerConfig` or `rustls::ClientConfig`.
    type Config: Send + Sync + 'static;
    /// What logs call it.
    const NAME: &'static str;
    /// Builds the configuration.
    ///
    /// # Errors
    /// When rustls does not accept the certificates.
    fn build(identity: &LoadedIdentity) -> Result<Arc<Self::Config>, rustls::Error>;
}

/// A configuration that follows its files. [`LiveServerTls`](crate::server::LiveServerTls),
/// [`LiveClientTls`](crate::client::LiveClientTls) and
/// [`LiveEnrolmentTls`](crate::enrolment::LiveEnrolmentTls) are its kinds.
pub struct Live<E: TlsEnd> {
    files: IdentityFiles,
    current: ArcSwap<Current<E::Config>>,
    seen: Mutex<Seen>,
}

/// What a look at the files came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reload {
    /// The files are as they were.
    Unchanged,
    /// New connections use new files from now on.
    Replaced,
    /// The files are broken; the configuration from before stays in use.
    KeptOld,
}

/// A configuration that could not be made.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The files are broken.
    #[error(transparent)]
    Files(#[from] FilesError),
    /// rustls does not accept them.
    #[error("the certificates cannot be used for TLS")]
    Rustls(#[from] rustls::Error),
}

struct Current<C> {
    config: Arc<C>,
    identity: LoadedIdentity,
}

struct Seen {
    stamps: Stamps,
    /// What was wrong at the last look, so that it is said once and tried again until it is right.
    trouble: Option<String>,
}

/// Inode, length and modification time (seconds, nanoseconds) of each file; `None` if it cannot be looked at.
type Stamps = Vec<Option<(u64, u64, i64, i64)>>;

// === impl Live ===

impl<E: TlsEnd> Live<E> {
    /// Reads the files for the first time.
    ///
    /// # Errors
    /// When they are not a whole identity.
    pub fn load(files: IdentityFiles) -> Result<Self, TlsError> {
        let stamps = stamps(&files);
        let current = build::<E>(&files)?;
        let seen = Mutex::new(Seen { stamps, trouble: None });
        Ok(Self { files, current: ArcSwap::from_pointee(current), seen })
    }

    /// The configuration for a new connection.
    pub fn config(&self) -> Arc<E::Config> {
        Arc::clone(&self.current.load().config)
    }

    /// Who this end is, by the certificate in use.
    pub fn own(&self) -> Peer {
        self.current.load().identity.peer().clone()
    }

    /// The trust domain of this end.
    pub fn domain(&self) -> TrustDomain {
        self.current.load().identity.domain().clone()
    }

    /// Signs a statement with the key of the certificate in use.
    ///
    /// # Errors
    /// [`EvidenceError`] when the statement is too long or the key cannot sign.
    pub fn testify(&self, statement: &Statement) -> Result<Evidence, EvidenceError> {
        evidence::sign(statement, &self.current.load().identity.key())
    }

    /// Looks at the files and takes them over if they changed. Blocks for as long as reading some small files takes.
    ///
    /// Broken files keep the configuration from before; each trouble is logged once.
    pub fn reload_if_changed(&self) -> Reload {
        // Stamps are taken before reading: a change in between shows at the next look.
        let stamps = stamps(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.stamps == stamps && seen.trouble.is_none() {
            return Reload::Unchanged;
        }
        seen.stamps = stamps;
        match build::<E>(&self.files) {
            Ok(current) => {
                let peer = current.identity.peer();
                tracing::info!(end = E::NAME, serial = %peer.serial, not_after = %peer.not_after, "certificate loaded");
                self.current.store(Arc::new(current));
                seen.trouble = None;
                Reload::Replaced
            }
            Err(error) => {
                let trouble = with_sources(&error);
                if seen.trouble.as_ref() != Some(&trouble) {
                    tracing::warn!(end = E::NAME, error = %trouble, "new certificate files are broken; the old stay in use");
                    seen.trouble = Some(trouble);
                }
                Reload::KeptOld
            }
        }
    }

    /// Looks at the files every `interval` until `cancel`.
    pub async fn watch(self: Arc<Self>, interval: Duration, cancel: CancellationToken) {
        while cancel.run_until_cancelled(tokio::time::sleep(interval)).await.is_some() {
            let this = Arc::clone(&self);
            // A panic in there has been reported by its own hook; the configuration in use stays.
            let _ = tokio::task::spawn_blocking(move || this.reload_if_changed()).await;
        }
    }
}

impl<E: TlsEnd> fmt::Debug for Live<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Live").field("end", &E::NAME).field("files", &self.files).finish_non_exhaustive()
    }
}

fn build<E: TlsEnd>(files: &IdentityFiles) -> Result<Current<E::Config>, TlsError> {
    let identity = files.load()?;
    Ok(Current { config: E::build(&identity)?, identity })
}

fn stamps(files: &IdentityFiles) -> Stamps {
    let stamp = |path: &Path| fs::metadata(path).ok().map(|m| (m.ino(), m.len(), m.mtime(), m.mtime_nsec()));
    files.all().iter().map(|path| stamp(path)).collect()
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
