//! Evidence that a site refused what a controller had signed: a statement, signed with the agent's own key.
//!
//! The key is the one of the agent's certificate, which no controller has. A [`Statement`] says which grant was refused,
//! under which floor, why and when; its bytes begin with a text that nothing else signed with that key begins with, so
//! a statement is never taken for a TLS handshake or a certificate request, nor they for a statement.
//! [`verify`] needs the public key alone; [`Signers`] also says whose key it is.

mod signers;
mod statement;

use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P384_SHA384_ASN1, ED25519, UnparsedPublicKey, VerificationAlgorithm,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use rustls::{SignatureScheme, sign::CertifiedKey};

pub use self::{
    signers::{Attested, Signers},
    statement::{MAX_STATEMENT_BYTES, Statement},
};

/// Most certificates that come with a statement: the agent's, the issuing CA's, and room for one more between them.
pub const MAX_CERTIFICATES: usize = 3;
/// Longest certificate, in bytes: ours are below 1 KiB.
pub const MAX_CERTIFICATE_BYTES: usize = 8 * 1024;
/// Longest signature, in bytes: ECDSA over P-384 in DER has at most 104.
pub const MAX_SIGNATURE_BYTES: usize = 256;

/// A kind of public key: the beginning of its SubjectPublicKeyInfo in DER, and what follows.
struct Kind {
    /// Up to the key itself.
    prefix: &'static [u8],
    /// Bytes of the key itself; of a curve by Weierstrass an uncompressed point.
    bytes: usize,
    algorithm: &'static dyn VerificationAlgorithm,
}

/// The only form in which each kind of key is taken, so that whoever verifies needs no reader of DER to agree with us.
static KINDS: [Kind; 3] = [
    Kind {
        prefix: &[
            0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a,
            0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
        ],
        bytes: 65,
        algorithm: &ECDSA_P256_SHA256_ASN1,
    },
    Kind {
        prefix: &[
            0x30, 0x76, 0x30, 0x10, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x05, 0x2b,
            0x81, 0x04, 0x00, 0x22, 0x03, 0x62, 0x00,
        ],
        bytes: 97,
        algorithm: &ECDSA_P384_SHA384_ASN1,
    },
    Kind {
        prefix: &[0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00],
        bytes: ED25519_BYTES,
        algorithm: &ED25519,
    },
];

/// The first byte of an uncompressed point (SEC 1 §2.3.3).
const UNCOMPRESSED: u8 = 0x04;
/// Bytes of an Ed25519 key, which is no such point.
const ED25519_BYTES: usize = 32;

/// How an agent signs: by the kind of its key, which is one of those that certificates are issued for.
const SCHEMES: [SignatureScheme; 3] = [
    SignatureScheme::ECDSA_NISTP256_SHA256,
    SignatureScheme::ECDSA_NISTP384_SHA384,
    SignatureScheme::ED25519,
];

/// A signed statement with what is needed to tell whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// The exact bytes that were signed.
    pub statement: Vec<u8>,
    /// The signature over them: Ed25519, or ECDSA in DER with SHA-256 (P-256) or SHA-384 (P-384).
    pub signature: Vec<u8>,
    /// The signer's certificate and those between it and the root, in DER.
    pub certificates: Vec<Vec<u8>>,
}

/// A statement that proves nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// Not a statement, or not in its one form.
    #[error("the statement is malformed: {0}")]
    Statement(&'static str),
    /// Not a public key of a suitable kind.
    #[error("the public key is neither ECDSA P-256, ECDSA P-384 nor Ed25519 as SubjectPublicKeyInfo in DER")]
    PublicKey,
    /// The signature does not fit.
    #[error("the signature does not fit the statement and the key")]
    Signature,
    /// The certificate proves nobody.
    #[error("the certificate of the signer is refused: {0}")]
    Certificate(String),
    /// The certificate or the statement names another agent.
    #[error("{0} is not the agent that reported it")]
    OtherAgent(String),
    /// The key could not sign.
    #[error("the statement could not be signed: {0}")]
    Unsigned(String),
}

/// What `statement` says, if `signature` was made over it with the key `public_key` (SubjectPublicKeyInfo in DER).
///
/// # Errors
/// [`EvidenceError`] when it was not, or when the bytes are not a statement in its one form.
pub fn verify(statement: &[u8], signature: &[u8], public_key: &[u8]) -> Result<Statement, EvidenceError> {
    let said = Statement::decode(statement)?;
    let fits = |kind: &'static Kind| {
        let key = public_key.strip_prefix(kind.prefix).filter(|key| key.len() == kind.bytes)?;
        let is_point = key.len() == ED25519_BYTES || key.first() == Some(&UNCOMPRESSED);
        is_point.then_some((kind.algorithm, key))
    };
    let (algorithm, key) = KINDS.iter().find_map(fits).ok_or(EvidenceError::PublicKey)?;
    let verified = UnparsedPublicKey::new(algorithm, key).verify(statement, signature);
    verified.map(|()| said).map_err(|_| EvidenceError::Signature)
}

/// As [`verify`], for the texts of a record: each in standard base64.
///
/// # Errors
/// [`EvidenceError`] as for [`verify`], and when a text is not base64.
pub fn verify_text(statement: &str, signature: &str, public_key: &str) -> Result<Statement, EvidenceError> {
    let bytes = |text: &str, otherwise| STANDARD.decode(text).map_err(|_| otherwise);
    verify(
        &bytes(statement, EvidenceError::Statement("it is not base64"))?,
        &bytes(signature, EvidenceError::Signature)?,
        &bytes(public_key, EvidenceError::PublicKey)?,
    )
}

/// Bytes as records have them: standard base64.
pub fn to_text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Signs `statement` with the key of a certificate.
pub(crate) fn sign(statement: &Statement, key: &CertifiedKey) -> Result<Evidence, EvidenceError> {
    let bytes = statement.encode()?;
    let unsigned = |why: &str| EvidenceError::Unsigned(why.to_owned());
    let signer =
        key.key.choose_scheme(&SCHEMES).ok_or_else(|| unsigned("the key is of an unsuitable kind"))?;
    let signature = signer.sign(&bytes).map_err(|error| unsigned(&error.to_string()))?;
    let certificates = key.cert.iter().take(MAX_CERTIFICATES).map(|der| der.to_vec()).collect();
    Ok(Evidence { statement: bytes, signature, certificates })
}
