//! Who a certificate is for. The chain must have been verified before; this only reads.

use std::fmt::Write as _;

use lictor_core::{clock::Timestamp, principal::Identity};
use x509_parser::{certificate::X509Certificate, extensions::GeneralName, prelude::FromDer};

use crate::{
    ca::params::SERIAL_BYTES,
    identity::{self, InvalidIdentity, TrustDomain},
};

/// The other end of a connection, as its certificate proves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Who.
    pub identity: Identity,
    /// The serial number of the certificate, in lower-case hexadecimal.
    pub serial: String,
    /// When the certificate ends.
    pub not_after: Timestamp,
}

/// A certificate that identifies nobody.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PeerError {
    /// Not an X.509 certificate.
    #[error("the certificate is not valid X.509 DER")]
    Malformed,
    /// No URI subject alternative name, or more than one.
    #[error("the certificate has {0} URI names; exactly one is expected")]
    NotOneUri(usize),
    /// A CA is not a peer.
    #[error("the certificate is a CA's")]
    IsCa,
    /// The URI is not an identity.
    #[error(transparent)]
    Identity(#[from] InvalidIdentity),
}

// === impl Peer ===

impl Peer {
    /// Reads the identity of a leaf certificate of `domain`.
    ///
    /// # Errors
    /// When the certificate does not carry exactly one URI name (SPIFFE X509-SVID §2) that is an identity of `domain`.
    pub fn from_certificate(der: &[u8], domain: &TrustDomain) -> Result<Self, PeerError> {
        let certificate = parse(der)?;
        let identity = identity::parse_uri(only_uri(&certificate)?, domain)?;
        Self::of(&certificate, identity)
    }

    /// Reads the identity of a leaf certificate whose domain is not known beforehand.
    ///
    /// # Errors
    /// As [`Peer::from_certificate`], for any domain.
    pub fn from_certificate_of_any_domain(der: &[u8]) -> Result<(TrustDomain, Self), PeerError> {
        let certificate = parse(der)?;
        let (domain, identity) = identity::parse_any(only_uri(&certificate)?)?;
        Ok((domain, Self::of(&certificate, identity)?))
    }

    /// The generation of the certificate: the number that the last revocation of its identity before it was issued gave that;
    /// 0 without one. It stands at the end of the serial number, which the issuing CA has signed.
    pub fn generation(&self) -> u32 {
        // Two digits a byte.
        let generation = self.serial.get(2 * SERIAL_BYTES..).unwrap_or_default();
        u32::from_str_radix(generation, 16).unwrap_or(0)
    }

    fn of(certificate: &X509Certificate<'_>, identity: Identity) -> Result<Self, PeerError> {
        if certificate.is_ca() {
            return Err(PeerError::IsCa);
        }
        let not_after = seconds(certificate.validity().not_after.timestamp());
        Ok(Self { identity, serial: hex(certificate.raw_serial()), not_after })
    }
}

/// The public key of a certificate, SubjectPublicKeyInfo in DER.
pub(crate) fn public_key(der: &[u8]) -> Result<Vec<u8>, PeerError> {
    Ok(parse(der)?.public_key().raw.to_vec())
}

pub(crate) fn parse(der: &[u8]) -> Result<X509Certificate<'_>, PeerError> {
    match X509Certificate::from_der(der) {
        Ok(([], certificate)) => Ok(certificate),
        _ => Err(PeerError::Malformed),
    }
}

fn only_uri<'a>(certificate: &'a X509Certificate<'_>) -> Result<&'a str, PeerError> {
    let names = certificate.subject_alternative_name().map_err(|_| PeerError::Malformed)?;
    let uris: Vec<&str> = names
        .iter()
        .flat_map(|extension| &extension.value.general_names)
        .filter_map(|name| if let GeneralName::URI(uri) = name { Some(*uri) } else { None })
        .collect();
    match uris.as_slice() {
        [uri] => Ok(uri),
        other => Err(PeerError::NotOneUri(other.len())),
    }
}

pub(crate) fn seconds(unix: i64) -> Timestamp {
    Timestamp::from_micros(u64::try_from(unix).unwrap_or(0).saturating_mul(1_000_000))
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}
