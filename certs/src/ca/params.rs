//! What every certificate of ours has in common, and what makes one a CA's.

use std::time::Duration;

use lictor_core::clock::Timestamp;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, KeyUsagePurpose, SerialNumber,
};
use time::OffsetDateTime;

use super::CaError;
use crate::peer;

/// How far certificates begin in the past, so that a peer whose clock is behind accepts a fresh one.
const BACKDATED: Duration = Duration::from_secs(5 * 60);
/// Random bytes of a serial number: guessing needs 8. RFC 5280 §4.1.2.2 allows 20 in all, so there is room for a generation.
pub(crate) const SERIAL_BYTES: usize = 16;

pub(super) fn base_params(
    name: &str,
    now: Timestamp,
    not_after: Timestamp,
) -> Result<CertificateParams, CaError> {
    let mut params = CertificateParams::default();
    params.not_before = moment(now.minus(BACKDATED))?;
    params.not_after = moment(not_after)?;
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::OrganizationName, name);
    params.use_authority_key_identifier_extension = true;
    params.serial_number = Some(serial(0));
    Ok(params)
}

/// A serial number: random, and after a first revocation followed by the generation, which [`peer::Peer::generation`] reads.
pub(super) fn serial(generation: u32) -> SerialNumber {
    let mut serial: [u8; SERIAL_BYTES] = rand::random();
    // Positive and without a leading zero byte, so that its hexadecimal text has one form.
    serial[0] = serial[0] & 0x7f | 0x40;
    let generation = if generation == 0 { Vec::new() } else { generation.to_be_bytes().to_vec() };
    SerialNumber::from_slice(&[serial.as_slice(), generation.as_slice()].concat())
}

pub(super) fn ca_params(
    name: &str,
    depth: u8,
    now: Timestamp,
    validity: Duration,
) -> Result<CertificateParams, CaError> {
    let mut params = base_params(name, now, now.plus(validity))?;
    // Two CAs never share a subject, so that a chain is never tried against a namesake.
    params.distinguished_name.push(DnType::CommonName, peer::hex(&rand::random::<[u8; 8]>()));
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(depth));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    Ok(params)
}

pub(super) fn moment(timestamp: Timestamp) -> Result<OffsetDateTime, CaError> {
    i64::try_from(timestamp.as_micros() / 1_000_000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .ok_or(CaError::Time)
}
