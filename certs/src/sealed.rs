//! A private key encrypted with a passphrase: PKCS#8 PBES2 with scrypt and AES-256-CBC, as `openssl pkey` reads it.

use lictor_core::secret::Secret;
use pkcs8::{
    EncryptedPrivateKeyInfoRef, LineEnding, SecretDocument, der::asn1::OctetStringRef, pkcs5::pbes2,
};
use zeroize::Zeroizing;

/// Shortest passphrase accepted, in bytes. Scrypt slows guessing down; it cannot save a passphrase shorter than this.
pub const MIN_PASSPHRASE_BYTES: usize = 8;

const LABEL: &str = "ENCRYPTED PRIVATE KEY";

/// A key that could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// The passphrase is too short.
    #[error("the passphrase is shorter than {MIN_PASSPHRASE_BYTES} bytes; choose a longer one")]
    ShortPassphrase,
    /// Not an encrypted key.
    #[error("the file is not an encrypted PKCS#8 key in PEM form")]
    Malformed,
    /// It does not open with this passphrase.
    #[error("the passphrase is wrong")]
    WrongPassphrase,
    /// The system's random numbers or the cipher failed.
    #[error("the key could not be encrypted")]
    Encryption,
}

/// Encrypts a PKCS#8 key; the result is PEM.
///
/// The cost (scrypt N = 2^14, r = 8, p = 1: 16 MiB, some tens of milliseconds) is the highest that OpenSSL reads
/// with its default memory limit.
///
/// # Errors
/// [`SealError`] for a short passphrase or when random numbers fail.
pub fn seal(pkcs8_der: &[u8], passphrase: &Secret) -> Result<String, SealError> {
    if passphrase.expose().len() < MIN_PASSPHRASE_BYTES {
        return Err(SealError::ShortPassphrase);
    }
    let parameters =
        pbes2::Parameters::generate_scrypt(&mut rand::rngs::SysRng).map_err(|_| SealError::Encryption)?;
    let encrypted = parameters.encrypt(passphrase.expose(), pkcs8_der).map_err(|_| SealError::Encryption)?;
    let info = EncryptedPrivateKeyInfoRef {
        encryption_algorithm: parameters.into(),
        encrypted_data: OctetStringRef::new(&encrypted).map_err(|_| SealError::Encryption)?,
    };
    let document = SecretDocument::try_from(info).map_err(|_| SealError::Encryption)?;
    document.to_pem(LABEL, LineEnding::LF).map(|pem| pem.to_string()).map_err(|_| SealError::Encryption)
}

/// Decrypts what [`seal`] made; the result is PKCS#8 DER.
///
/// # Errors
/// [`SealError::WrongPassphrase`] or [`SealError::Malformed`].
pub fn open(pem: &str, passphrase: &Secret) -> Result<Zeroizing<Vec<u8>>, SealError> {
    let (label, document) = SecretDocument::from_pem(pem).map_err(|_| SealError::Malformed)?;
    if label != LABEL {
        return Err(SealError::Malformed);
    }
    let info = EncryptedPrivateKeyInfoRef::try_from(document.as_bytes()).map_err(|_| SealError::Malformed)?;
    let key = info.decrypt(passphrase.expose()).map_err(|_| SealError::WrongPassphrase)?;
    Ok(key.to_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_key_opens_with_its_passphrase_only_and_shows_nothing_of_the_key() {
        let key = rcgen::KeyPair::generate().unwrap().serialize_der();
        let passphrase = Secret::new(b"correct horse".to_vec());
        let pem = seal(&key, &passphrase).unwrap();
        assert_eq!(*open(&pem, &passphrase).unwrap(), key);
        assert_eq!(open(&pem, &Secret::new(b"wrong horse".to_vec())), Err(SealError::WrongPassphrase));
        assert_eq!(open("not a key", &passphrase), Err(SealError::Malformed));
        let (_, sealed) = SecretDocument::from_pem(&pem).unwrap();
        for window in key.windows(16) {
            assert!(
                !sealed.as_bytes().windows(16).any(|w| w == window),
                "plaintext of the key is in the file"
            );
        }
        assert_eq!(seal(&key, &Secret::new(b"short".to_vec())), Err(SealError::ShortPassphrase));
    }
}
