//! A certificate signing request: the key is made where it will be used, only its public half travels.

use std::fmt;

use rcgen::{CertificateParams, DistinguishedName, KeyPair, PKCS_ECDSA_P256_SHA256};
use x509_parser::{certification_request::X509CertificationRequest, pem::parse_x509_pem, prelude::FromDer};
use zeroize::Zeroizing;

/// Longest request accepted, in bytes of PEM: a P-384 request with extensions is below 2 KiB.
pub const MAX_CSR_BYTES: usize = 8 * 1024;

/// A fresh key and the request for its certificate. The request names nobody: the issuer decides.
pub struct KeyRequest {
    /// The private key, PKCS#8 in PEM; a secret.
    pub key_pem: Zeroizing<String>,
    /// The request, PKCS#10 in PEM.
    pub csr_pem: String,
}

/// The key could not be made.
#[derive(Debug, thiserror::Error)]
#[error("could not make a key")]
pub struct KeyRequestError(#[from] rcgen::Error);

/// A request that is not accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum InvalidRequest {
    /// Too long.
    #[error("the request is longer than {MAX_CSR_BYTES} bytes")]
    TooLong,
    /// Not a request.
    #[error("the request is not a PKCS#10 certificate request in PEM form")]
    Malformed,
    /// Whoever asks does not have the key.
    #[error("the request is not signed with its own key")]
    NoProofOfPossession,
    /// An unsuitable kind of key.
    #[error("the key must be ECDSA P-256, ECDSA P-384 or Ed25519")]
    UnsupportedKey,
}

/// Makes a P-256 key and a request for it.
///
/// # Errors
/// When the system's random numbers fail.
pub fn new_key_request() -> Result<KeyRequest, KeyRequestError> {
    let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?;
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    let csr_pem = params.serialize_request(&key)?.pem()?;
    Ok(KeyRequest { key_pem: Zeroizing::new(key.serialize_pem()), csr_pem })
}

/// The public key (SubjectPublicKeyInfo in DER) of a request whose proof of possession holds; nothing else of it is
/// ever looked at.
pub(crate) fn proven_public_key(csr_pem: &str) -> Result<Vec<u8>, InvalidRequest> {
    if csr_pem.len() > MAX_CSR_BYTES {
        return Err(InvalidRequest::TooLong);
    }
    let (_, pem) = parse_x509_pem(csr_pem.as_bytes()).map_err(|_| InvalidRequest::Malformed)?;
    if pem.label != "CERTIFICATE REQUEST" {
        return Err(InvalidRequest::Malformed);
    }
    let Ok(([], request)) = X509CertificationRequest::from_der(&pem.contents) else {
        return Err(InvalidRequest::Malformed);
    };
    request.verify_signature().map_err(|_| InvalidRequest::NoProofOfPossession)?;
    Ok(request.certification_request_info.subject_pki.raw.to_vec())
}

// === impl KeyRequest ===

impl fmt::Debug for KeyRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRequest").field("csr_pem", &self.csr_pem).finish_non_exhaustive()
    }
}
