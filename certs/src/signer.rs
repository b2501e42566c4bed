//! The Ed25519 key with which the controller signs grants and checkpoints, and what others verify with.

use std::{fmt, fs, io, os::unix::fs::PermissionsExt as _, path::Path, str::FromStr};

use aws_lc_rs::{
    rand::SystemRandom,
    signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use pkcs8::{LineEnding, SecretDocument};
use zeroize::Zeroizing;

use crate::atomic::{self, SECRET_MODE};

/// Bytes of a signature.
pub const SIGNATURE_BYTES: usize = 64;
/// Bytes of a public key.
pub const PUBLIC_KEY_BYTES: usize = 32;

const LABEL: &str = "PRIVATE KEY";
/// What is put before the bytes of a grant. No note has a NUL, so neither signature can pass for the other.
const GRANT_PREFIX: &[u8] = b"lictor grant v1\0";

/// What a signature is for; one made for one purpose does not verify for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// What an agent may start.
    Grant,
    /// The head of the audit log. The signed-note format wants the bare text signed; it is made only by
    /// [`sign_checkpoint`](crate::checkpoint::sign_checkpoint), from text without NUL.
    Checkpoint,
    /// That a witness has seen the head of an audit log. The text begins with `cosignature/v1` and a line with a time,
    /// which no checkpoint has there; made only by [`cosign`](crate::cosignature::cosign).
    Cosignature,
    /// That another key signs the audit log from now on. The text begins with a line with spaces, which no name of a log
    /// has; made only by [`sign_rotation`](crate::rotation::sign_rotation).
    Rotation,
}

/// A private signing key.
pub struct SigningKey {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

/// The public half of a [`SigningKey`]; its text is standard base64.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct PublicKey([u8; PUBLIC_KEY_BYTES]);

/// A signing key that could not be made, read or written.
#[derive(Debug, thiserror::Error)]
pub enum SigningKeyError {
    /// A file could not be read or written.
    #[error("{path}")]
    Io {
        /// The file.
        path: String,
        /// What went wrong.
        source: io::Error,
    },
    /// Others can read the key.
    #[error("{0} can be read by others; run: chmod 600 {0}")]
    Readable(String),
    /// Not a key.
    #[error("{0} is not an Ed25519 key in PKCS#8 PEM form; restore it from the backup")]
    Malformed(String),
    /// The system's random numbers failed.
    #[error("could not make a signing key")]
    Generate,
}

/// Text that is not a public key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a public key: expected 32 bytes in base64")]
pub struct InvalidPublicKey;

/// A signature that does not fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the signature does not fit what was signed, the key or the purpose")]
pub struct InvalidSignature;

// === impl SigningKey ===

impl SigningKey {
    /// A fresh key that is kept nowhere.
    ///
    /// # Errors
    /// When the system's random numbers fail.
    pub fn generate() -> Result<Self, SigningKeyError> {
        let (key, _) = generate()?;
        Ok(key)
    }

    /// The key in the file `path` (PKCS#8 PEM, mode 0600); a fresh one is made and written if there is none.
    ///
    /// # Errors
    /// When the file cannot be read or written, is readable by others, or holds something else.
    pub fn load_or_create(path: &Path) -> Result<Self, SigningKeyError> {
        match Self::load(path) {
            Err(SigningKeyError::Io { source, .. }) if source.kind() == io::ErrorKind::NotFound => {}
            other => return other,
        }
        let (key, pem) = generate()?;
        match atomic::create(path, pem.as_bytes(), SECRET_MODE) {
            Ok(()) => Ok(key),
            // Another process was faster: its key is the one.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Self::load(path),
            Err(source) => Err(SigningKeyError::Io { path: path.display().to_string(), source }),
        }
    }

    /// The key in the file `path`.
    ///
    /// # Errors
    /// When the file cannot be read, is readable by others, or holds something else.
    pub fn load(path: &Path) -> Result<Self, SigningKeyError> {
        let name = || path.display().to_string();
        let io = |source| SigningKeyError::Io { path: name(), source };
        if fs::metadata(path).map_err(io)?.permissions().mode() & 0o077 != 0 {
            return Err(SigningKeyError::Readable(name()));
        }
        let pem = Zeroizing::new(fs::read_to_string(path).map_err(io)?);
        let (label, document) =
            SecretDocument::from_pem(&pem).map_err(|_| SigningKeyError::Malformed(name()))?;
        if label != LABEL {
            return Err(SigningKeyError::Malformed(name()));
        }
        Self::from_pkcs8(document.as_bytes()).ok_or_else(|| SigningKeyError::Malformed(name()))
    }

    /// The public half.
    pub const fn public_key(&self) -> PublicKey {
        self.public
    }

    /// Signs `bytes` for `purpose`.
    pub fn sign(&self, purpose: Purpose, bytes: &[u8]) -> [u8; SIGNATURE_BYTES] {
        let signature = match purpose {
            Purpose::Grant => self.pair.sign(&[GRANT_PREFIX, bytes].concat()),
            Purpose::Checkpoint | Purpose::Cosignature | Purpose::Rotation => self.pair.sign(bytes),
        };
        let mut out = [0; SIGNATURE_BYTES];
        for (to, from) in out.iter_mut().zip(signature.as_ref()) {
            *to = *from;
        }
        out
    }

    fn from_pkcs8(der: &[u8]) -> Option<Self> {
        // The version without a public key, which is what OpenSSL reads and writes.
        let pair = Ed25519KeyPair::from_pkcs8_maybe_unchecked(der).ok()?;
        let public = PublicKey(pair.public_key().as_ref().try_into().ok()?);
        Some(Self { pair, public })
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SigningKey").field("public", &self.public).finish_non_exhaustive()
    }
}

fn generate() -> Result<(SigningKey, Zeroizing<String>), SigningKeyError> {
    let failed = || SigningKeyError::Generate;
    let document = Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(|_| failed())?;
    let secret = SecretDocument::try_from(document.as_ref()).map_err(|_| failed())?;
    let key = SigningKey::from_pkcs8(secret.as_bytes()).ok_or_else(failed)?;
    let pem = secret.to_pem(LABEL, LineEnding::LF).map_err(|_| failed())?;
    Ok((key, pem))
}

// === impl PublicKey ===

impl PublicKey {
    /// From its 32 bytes.
    pub const fn from_bytes(bytes: [u8; PUBLIC_KEY_BYTES]) -> Self {
        Self(bytes)
    }
    /// Its 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; PUBLIC_KEY_BYTES] {
        &self.0
    }
    /// Checks that `signature` was made over `bytes` for `purpose` with this key.
    ///
    /// # Errors
    /// When it was not.
    pub fn verify(&self, purpose: Purpose, bytes: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = UnparsedPublicKey::new(&ED25519, &self.0);
        let verified = match purpose {
            Purpose::Grant => key.verify(&[GRANT_PREFIX, bytes].concat(), signature),
            _ if bytes.contains(&0) => return Err(InvalidSignature),
            Purpose::Checkpoint | Purpose::Cosignature | Purpose::Rotation => key.verify(bytes, signature),
        };
        verified.map_err(|_| InvalidSignature)
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for PublicKey {
    type Err = InvalidPublicKey;
    fn from_str(text: &str) -> Result<Self, InvalidPublicKey> {
        let bytes = STANDARD.decode(text).map_err(|_| InvalidPublicKey)?;
        bytes.try_into().map(Self).map_err(|_| InvalidPublicKey)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_holds_for_its_bytes_its_key_and_its_purpose_only() {
        let (key, other) = (SigningKey::generate().unwrap(), SigningKey::generate().unwrap());
        let signature = key.sign(Purpose::Grant, b"terms");
        assert_eq!(key.public_key().verify(Purpose::Grant, b"terms", &signature), Ok(()));
        assert!(key.public_key().verify(Purpose::Grant, b"other", &signature).is_err());
        assert!(other.public_key().verify(Purpose::Grant, b"terms", &signature).is_err());
        assert!(key.public_key().verify(Purpose::Checkpoint, b"terms", &signature).is_err());
        assert!(key.public_key().verify(Purpose::Checkpoint, b"lictor grant v1\0terms", &signature).is_err());
        assert!(key.public_key().verify(Purpose::Grant, b"terms", &signature[..63]).is_err());
    }

    #[test]
    fn a_key_file_is_made_once_and_kept_to_its_owner() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("signing.key");
        let key = SigningKey::load_or_create(&path).unwrap();
        assert_eq!(SigningKey::load_or_create(&path).unwrap().public_key(), key.public_key());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(key.public_key().to_string().parse(), Ok(key.public_key()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let error = SigningKey::load_or_create(&path).unwrap_err().to_string();
        assert!(error.contains("chmod 600"), "{error}");
        fs::write(&path, "rubbish").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(matches!(SigningKey::load_or_create(&path), Err(SigningKeyError::Malformed(_))));
    }

    #[test]
    fn what_a_private_key_prints_as_has_nothing_of_it_in_any_form() {
        let (key, pem) = generate().unwrap();
        let request = crate::csr::new_key_request().unwrap();
        let shown = format!("{key:?} {:#?} {request:?}", Some(&key));
        assert!(shown.contains(&key.public_key().to_string()), "{shown}");
        // Where the secret stands in the encoding of either kind; in whole groups of base64.
        for (text, secret) in [(&pem, 18..48), (&request.key_pem, 36..66)] {
            let (_, document) = SecretDocument::from_pem(text).unwrap();
            for part in document.as_bytes()[secret].chunks_exact(6) {
                let hex: String = part.iter().map(|byte| format!("{byte:02x}")).collect();
                let (upper, base64, numbers) =
                    (hex.to_uppercase(), STANDARD.encode(part), format!("{part:?}"));
                assert!(text.contains(&base64));
                for form in [hex.as_str(), &upper, &base64, numbers.trim_matches(['[', ']'])] {
                    assert!(!shown.contains(form), "{form}: {shown}");
                }
            }
        }
    }
}
