//! The certificate authority: a root whose key stays encrypted on disk, and an issuing CA that is loaded to work.
//!
//! On disk, in one directory of mode 0700: `root.pem`, `root.key`, `issuing.pem`, `issuing.key` (both keys sealed with
//! the passphrase) and `trust-domain`.

use std::{fmt, fs, io, os::unix::fs::PermissionsExt as _, path::Path, time::Duration};

use lictor_core::{clock::Timestamp, digest::Digest, principal::Identity, secret::Secret};
use rcgen::{
    ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
    PKCS_ECDSA_P384_SHA384, PublicKeyData as _, SanType, SubjectPublicKeyInfo,
};

mod files;
pub(crate) mod params;

use self::{
    files::{
        ISSUING_CERTIFICATE, ISSUING_KEY, ROOT_CERTIFICATE, ROOT_KEY, TRUST_DOMAIN, at, check_issued_by,
        decode, open, read, seal, write, write_issuing,
    },
    params::{base_params, ca_params, serial},
};
use crate::{
    atomic::{self, PUBLIC_MODE, SECRET_MODE},
    csr::{self, InvalidRequest},
    identity::{self, InvalidTrustDomain, TrustDomain},
    peer::{self, PeerError},
    sealed::SealError,
};

/// Life of the root: replacing it means visiting every machine.
pub const ROOT_VALIDITY: Duration = Duration::from_secs(10 * 365 * 24 * 3600);
/// Life of an issuing CA: [`Authority::renew_issuing`] replaces it without touching any machine.
pub const ISSUING_VALIDITY: Duration = Duration::from_secs(2 * 365 * 24 * 3600);

/// The issuing CA with its key in memory.
pub struct Authority {
    issuer: Issuer<'static, KeyPair>,
    issuing_pem: String,
    issuing_not_after: Timestamp,
    root_pem: String,
    root_fingerprint: Digest,
    domain: TrustDomain,
}

/// A certificate that was issued.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Issued {
    /// The leaf, then the issuing CA, in PEM.
    pub chain_pem: String,
    /// The serial number in lower-case hexadecimal.
    pub serial: String,
    /// When it ends; never after the issuing CA itself.
    pub not_after: Timestamp,
}

/// Why the CA could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum CaError {
    /// There is something in the directory already.
    #[error("{0} is not empty; a CA is never overwritten: choose another directory or move the old one away")]
    Exists(String),
    /// A file could not be read or written.
    #[error("{path}")]
    File {
        /// The file or directory.
        path: String,
        /// What went wrong.
        source: io::Error,
    },
    /// A key did not open.
    #[error("{file}")]
    Key {
        /// The key's file name.
        file: &'static str,
        /// What went wrong.
        source: SealError,
    },
    /// A certificate in the directory is damaged.
    #[error("{file} in the CA directory is damaged; restore it from the backup")]
    Damaged {
        /// The file name.
        file: &'static str,
    },
    /// The key and the certificate do not belong together.
    #[error(
        "{file} does not belong to its certificate; run `lictor-certs renew` or restore the directory from one backup"
    )]
    KeyMismatch {
        /// The key's file name.
        file: &'static str,
    },
    /// The `trust-domain` file is damaged.
    #[error(transparent)]
    Domain(#[from] InvalidTrustDomain),
    /// The request is refused.
    #[error(transparent)]
    Request(#[from] InvalidRequest),
    /// The issuing CA has ended.
    #[error("the issuing CA ended at {0}; run `lictor-certs renew`")]
    Ended(Timestamp),
    /// A moment beyond what certificates can express.
    #[error("the time is out of range")]
    Time,
    /// The certificate could not be encoded or signed.
    #[error("could not make the certificate")]
    Encoding(#[from] rcgen::Error),
}

// === impl Authority ===

impl Authority {
    /// Makes a new CA in `dir`, which must be absent or empty; it appears there completely or not at all.
    ///
    /// # Errors
    /// When `dir` holds anything, the passphrase is too short, or files cannot be written.
    pub fn create(
        dir: &Path,
        domain: &TrustDomain,
        passphrase: &Secret,
        now: Timestamp,
    ) -> Result<(), CaError> {
        let parent = atomic::directory(dir);
        fs::create_dir_all(parent).map_err(at(parent))?;
        let staged = tempfile::tempdir_in(parent).map_err(at(parent))?;
        fs::set_permissions(staged.path(), fs::Permissions::from_mode(0o700)).map_err(at(staged.path()))?;

        let root_key = KeyPair::generate_for(&PKCS_ECDSA_P384_SHA384)?;
        let root_params = ca_params("Lictor root", 1, now, ROOT_VALIDITY)?;
        let root = root_params.self_signed(&root_key)?;
        write(staged.path(), TRUST_DOMAIN, &format!("{domain}\n"), PUBLIC_MODE)?;
        write(staged.path(), ROOT_CERTIFICATE, &root.pem(), PUBLIC_MODE)?;
        write(staged.path(), ROOT_KEY, &seal(ROOT_KEY, &root_key, passphrase)?, SECRET_MODE)?;
        write_issuing(staged.path(), &Issuer::new(root_params, root_key), passphrase, now)?;

        // Renaming a directory succeeds only onto nothing or onto an empty directory.
        fs::rename(staged.path(), dir).map_err(|source| match source.kind() {
            io::ErrorKind::DirectoryNotEmpty
            | io::ErrorKind::AlreadyExists
            | io::ErrorKind::NotADirectory => CaError::Exists(dir.display().to_string()),
            _ => at(dir)(source),
        })?;
        atomic::sync_directory(parent).map_err(at(parent))
    }

    /// Replaces the issuing CA by a fresh one under the same root. Certificates issued before stay valid, because they
    /// carry the issuing certificate that signed them.
    ///
    /// # Errors
    /// When the passphrase is wrong or files cannot be read or written.
    pub fn renew_issuing(dir: &Path, passphrase: &Secret, now: Timestamp) -> Result<(), CaError> {
        let root_pem = read(dir, ROOT_CERTIFICATE)?;
        let root = decode(ROOT_CERTIFICATE, &root_pem)?;
        let key = open(dir, ROOT_KEY, &root, passphrase)?;
        write_issuing(dir, &Issuer::from_ca_cert_der(&root, key)?, passphrase, now)
    }

    /// Loads the issuing CA of `dir`. The key of the root is not touched.
    ///
    /// # Errors
    /// When the passphrase is wrong or the directory is damaged.
    pub fn load(dir: &Path, passphrase: &Secret) -> Result<Self, CaError> {
        let root_pem = read(dir, ROOT_CERTIFICATE)?;
        let issuing_pem = read(dir, ISSUING_CERTIFICATE)?;
        let root = decode(ROOT_CERTIFICATE, &root_pem)?;
        let issuing = decode(ISSUING_CERTIFICATE, &issuing_pem)?;
        let key = open(dir, ISSUING_KEY, &issuing, passphrase)?;
        let issuing_not_after = check_issued_by(&issuing, &root)?;
        Ok(Self {
            issuer: Issuer::from_ca_cert_der(&issuing, key)?,
            issuing_pem,
            issuing_not_after,
            root_fingerprint: Digest::of(&root),
            root_pem,
            domain: TrustDomain::new(read(dir, TRUST_DOMAIN)?.trim())?,
        })
    }

    /// Issues a certificate for `identity` to whoever holds the key of the request `csr_pem`.
    ///
    /// Only the public key is taken from the request: names, CA flags and usages it asks for are never looked at. A
    /// controller's certificate serves and any other's calls, never both.
    ///
    /// # Errors
    /// [`CaError::Request`] for a request without proof of possession or with an unsuitable key; [`CaError::Ended`].
    pub fn issue(
        &self,
        csr_pem: &str,
        identity: &Identity,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Issued, CaError> {
        self.issue_in_generation(csr_pem, identity, 0, ttl, now)
    }

    /// As [`Authority::issue`], for an identity whose last revocation gave it this number;
    /// [`Peer::generation`](peer::Peer::generation) reads it.
    ///
    /// # Errors
    /// As [`Authority::issue`].
    pub fn issue_in_generation(
        &self,
        csr_pem: &str,
        identity: &Identity,
        generation: u32,
        ttl: Duration,
        now: Timestamp,
    ) -> Result<Issued, CaError> {
        let spki = csr::proven_public_key(csr_pem)?;
        let key = SubjectPublicKeyInfo::from_der(&spki).map_err(|_| InvalidRequest::UnsupportedKey)?;
        let suitable = [&PKCS_ECDSA_P256_SHA256, &PKCS_ECDSA_P384_SHA384, &rcgen::PKCS_ED25519];
        if !suitable.contains(&key.algorithm()) {
            return Err(InvalidRequest::UnsupportedKey.into());
        }
        let not_after = now.plus(ttl).min(self.issuing_not_after);
        if not_after <= now {
            return Err(CaError::Ended(self.issuing_not_after));
        }
        let mut params = base_params("Lictor", now, not_after)?;
        params.serial_number = Some(serial(generation));
        let uri = identity::to_uri(identity, &self.domain);
        params.subject_alt_names = vec![SanType::URI(uri.as_str().try_into()?)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages = vec![match identity {
            Identity::Controller { .. } => ExtendedKeyUsagePurpose::ServerAuth,
            Identity::Agent { .. } | Identity::Service { .. } | Identity::User { .. } => {
                ExtendedKeyUsagePurpose::ClientAuth
            }
        }];
        let leaf = params.signed_by(&key, &self.issuer)?;
        // The leaf is read back, so that what is reported is what was signed, for the key that was proven.
        let damaged = |_: PeerError| CaError::Encoding(rcgen::Error::CouldNotParseCertificate);
        if peer::parse(leaf.der()).map_err(damaged)?.public_key().raw != spki {
            return Err(InvalidRequest::UnsupportedKey.into());
        }
        let peer = peer::Peer::from_certificate(leaf.der(), &self.domain).map_err(damaged)?;
        let chain_pem = format!("{}{}", leaf.pem(), self.issuing_pem);
        Ok(Issued { chain_pem, serial: peer.serial, not_after: peer.not_after })
    }

    /// The root certificate in PEM.
    pub fn root_pem(&self) -> &str {
        &self.root_pem
    }
    /// SHA-256 over the DER of the root certificate: what join tokens pin.
    pub const fn root_fingerprint(&self) -> Digest {
        self.root_fingerprint
    }
    /// The trust domain in which it issues.
    pub const fn domain(&self) -> &TrustDomain {
        &self.domain
    }
    /// When the issuing CA ends.
    pub const fn issuing_not_after(&self) -> Timestamp {
        self.issuing_not_after
    }
}

impl fmt::Debug for Authority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Authority")
            .field("domain", &self.domain)
            .field("root_fingerprint", &self.root_fingerprint)
            .finish_non_exhaustive()
    }
}
