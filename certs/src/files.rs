//! An identity on disk: `<stem>.pem` (leaf and issuing CA), `<stem>.key` (mode 0600) and `root.pem`.
//!
//! A new pair replaces an old one as one step: the new key waits as `<stem>.key.next` until the chain is in place, so
//! whenever the power fails, [`IdentityFiles::load`] finds a chain with its key.

use std::{
    fmt, fs, io,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use lictor_core::digest::Digest;
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::CertifiedKey,
};
use zeroize::Zeroizing;

use crate::{
    atomic::{self, PUBLIC_MODE, SECRET_MODE},
    identity::TrustDomain,
    peer::{Peer, PeerError},
    provider::provider,
};

/// Largest file read, in bytes: a chain with a root is below 8 KiB.
const MAX_FILE_BYTES: u64 = 256 * 1024;

/// Where an identity is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IdentityFiles {
    /// The leaf and the issuing CA.
    pub chain: PathBuf,
    /// The private key of the leaf.
    pub key: PathBuf,
    /// The root or roots that the other end must chain to.
    pub roots: PathBuf,
}

/// An identity that was read and found whole.
#[derive(Clone)]
pub struct LoadedIdentity {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<CertifiedKey>,
    roots: Vec<CertificateDer<'static>>,
    domain: TrustDomain,
    peer: Peer,
}

/// An identity that could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum FilesError {
    /// A file could not be read or written.
    #[error("{}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// Others can read the key.
    #[error("{} can be read by others; run: chmod 600 {}", .0.display(), .0.display())]
    KeyReadable(PathBuf),
    /// Not what it should be.
    #[error("{} has no {what} in PEM form", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What was expected.
        what: &'static str,
    },
    /// The key is not the one that the certificate was issued for.
    #[error("{} does not belong to {}; enrol again or restore both from one backup", key.display(), chain.display())]
    KeyMismatch {
        /// The key.
        key: PathBuf,
        /// The chain.
        chain: PathBuf,
    },
    /// The certificate identifies nobody.
    #[error("{}", path.display())]
    Peer {
        /// The chain.
        path: PathBuf,
        /// Why.
        source: PeerError,
    },
}

// === impl IdentityFiles ===

impl IdentityFiles {
    /// `<stem>.pem`, `<stem>.key` and `root.pem` in `dir`.
    pub fn in_dir(dir: &Path, stem: &str) -> Self {
        Self {
            chain: dir.join(format!("{stem}.pem")),
            key: dir.join(format!("{stem}.key")),
            roots: dir.join("root.pem"),
        }
    }

    /// Writes a whole identity, replacing the one that is there; the directory must exist.
    ///
    /// # Errors
    /// When a file cannot be written. The identity that was there is then still whole.
    pub fn write(&self, chain_pem: &str, key_pem: &str, root_pem: &str) -> Result<(), FilesError> {
        let next = self.next_key();
        self.finish_interrupted_write(&next)?;
        replace(&next, key_pem, SECRET_MODE)?;
        replace(&self.roots, root_pem, PUBLIC_MODE)?;
        replace(&self.chain, chain_pem, PUBLIC_MODE)?;
        fs::rename(&next, &self.key).map_err(at(&self.key))?;
        atomic::sync_directory(atomic::directory(&self.key)).map_err(at(&self.key))
    }

    /// Reads the identity and checks that its parts belong together. Whether it is still valid is for the other end.
    ///
    /// # Errors
    /// When a file is missing, malformed, readable by others (the key), or does not belong to the rest.
    pub fn load(&self) -> Result<LoadedIdentity, FilesError> {
        let chain = certificates(&self.chain)?;
        let roots = certificates(&self.roots)?;
        let leaf = chain.first().map_or(&[][..], |leaf| leaf.as_ref());
        let (domain, peer) = Peer::from_certificate_of_any_domain(leaf)
            .map_err(|source| FilesError::Peer { path: self.chain.clone(), source })?;
        let key = match self.certified(&self.key, &chain) {
            Err(error) if self.next_key().exists() => {
                self.certified(&self.next_key(), &chain).map_err(|_| error)?
            }
            other => other?,
        };
        Ok(LoadedIdentity { chain, key: Arc::new(key), roots, domain, peer })
    }

    /// Every file that matters for what [`IdentityFiles::load`] gives.
    pub(crate) fn all(&self) -> [PathBuf; 4] {
        [self.chain.clone(), self.key.clone(), self.next_key(), self.roots.clone()]
    }

    fn next_key(&self) -> PathBuf {
        let mut name = self.key.clone().into_os_string();
        name.push(".next");
        name.into()
    }

    /// Keeps the key of the chain that is there, if a write was interrupted before the key got its name.
    fn finish_interrupted_write(&self, next: &Path) -> Result<(), FilesError> {
        if !next.exists() {
            return Ok(());
        }
        match certificates(&self.chain) {
            Ok(chain) if self.certified(next, &chain).is_ok() => {
                fs::rename(next, &self.key).map_err(at(&self.key))
            }
            _ => Ok(()),
        }
    }

    fn certified(&self, path: &Path, chain: &[CertificateDer<'static>]) -> Result<CertifiedKey, FilesError> {
        let mode = fs::metadata(path).map_err(at(path))?.permissions().mode();
        if mode & 0o077 != 0 {
            return Err(FilesError::KeyReadable(path.to_owned()));
        }
        let key = PrivateKeyDer::from_pem_slice(&read(path)?)
            .map_err(|_| FilesError::Malformed { path: path.to_owned(), what: "private key" })?;
        CertifiedKey::from_der(chain.to_vec(), key, &provider())
            .map_err(|_| FilesError::KeyMismatch { key: path.to_owned(), chain: self.chain.clone() })
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> FilesError + use<> {
    let path = path.to_owned();
    move |source| FilesError::Io { path: path.clone(), source }
}

fn replace(path: &Path, text: &str, mode: u32) -> Result<(), FilesError> {
    atomic::replace(path, text.as_bytes(), mode).map_err(at(path))
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, FilesError> {
    if fs::metadata(path).map_err(at(path))?.len() > MAX_FILE_BYTES {
        return Err(at(path)(io::Error::new(io::ErrorKind::FileTooLarge, "unexpectedly large")));
    }
    fs::read(path).map(Zeroizing::new).map_err(at(path))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, FilesError> {
    let malformed = || FilesError::Malformed { path: path.to_owned(), what: "certificate" };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&read(path)?).collect();
    found.ok().filter(|found| !found.is_empty()).ok_or_else(malformed)
}

// === impl LoadedIdentity ===

impl LoadedIdentity {
    /// Who this identity is.
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }
    /// The trust domain it belongs to.
    pub const fn domain(&self) -> &TrustDomain {
        &self.domain
    }
    /// The fingerprint of each root.
    pub fn root_fingerprints(&self) -> Vec<Digest> {
        self.roots.iter().map(|root| Digest::of(root)).collect()
    }
    pub(crate) fn key(&self) -> Arc<CertifiedKey> {
        Arc::clone(&self.key)
    }
    /// The key with a chain that ends in the roots, for a listener whose callers do not have the root yet.
    pub(crate) fn key_with_roots(&self) -> Arc<CertifiedKey> {
        let chain = self.chain.iter().chain(&self.roots).cloned().collect();
        Arc::new(CertifiedKey::new(chain, Arc::clone(&self.key.key)))
    }
    pub(crate) fn root_store(&self) -> Result<Arc<RootCertStore>, rustls::Error> {
        let mut store = RootCertStore::empty();
        self.roots.iter().try_for_each(|root| store.add(root.clone()))?;
        Ok(Arc::new(store))
    }
}

impl fmt::Debug for LoadedIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoadedIdentity")
            .field("domain", &self.domain)
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
