//! Is this host the one whose key was pinned? Decided before anything of a login is sent.

use std::borrow::Cow;

use lictor_core::outcome::Unreachable;
use russh::keys::{
    Algorithm, EcdsaCurve, HashAlg, PublicKey, PublicKeyOrCertificate, ssh_key::certificate::CertType,
};

pub mod pin;
pub mod scan;

use super::known_hosts::{HostTrust, glob};
use crate::site::Host;

pub(crate) use pin::write_atomic;
pub use {
    pin::pin,
    scan::{ScanError, ScannedKey, scan},
};

/// Host keys that can be verified, most preferred first. No RSA: this build has no RSA code (RUSTSEC-2023-0071).
const ALGORITHMS: [Algorithm; 4] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
];

/// Why a host's key was refused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Unknown or changed.
    pub reason: Unreachable,
    /// For people, with what to do.
    pub detail: String,
}

/// The algorithms to offer: those that are pinned first, so that a host with several keys shows one that is known.
pub(crate) fn preferred(trust: &HostTrust) -> Cow<'static, [Algorithm]> {
    let pinned = |a: &Algorithm| trust.pinned.iter().any(|k| k.algorithm() == *a);
    let (mut first, rest): (Vec<_>, Vec<_>) = ALGORITHMS.into_iter().partition(pinned);
    first.extend(rest);
    Cow::Owned(first)
}

/// The algorithms for which host certificates are asked: none unless an authority is trusted.
pub(crate) fn preferred_certificates(trust: &HostTrust) -> Cow<'static, [Algorithm]> {
    if trust.authorities.is_empty() { Cow::Borrowed(&[]) } else { Cow::Owned(ALGORITHMS.to_vec()) }
}

/// Judges the key that `host` showed.
pub(crate) fn check(trust: &HostTrust, host: &Host, shown: &PublicKeyOrCertificate) -> Result<(), Refused> {
    let is = |list: &[PublicKey], key: &PublicKey| list.iter().any(|k| k.key_data() == key.key_data());
    let key = shown.public_key();
    let fingerprint = key.fingerprint(HashAlg::Sha256);
    let changed = |detail: String| Err(Refused { reason: Unreachable::HostKeyChanged, detail });
    if is(&trust.revoked, &key) {
        return changed(format!("the host's key {fingerprint} is marked @revoked"));
    }
    if let Some(certificate) = shown.certificate() {
        return check_certificate(trust, host, certificate);
    }
    if is(&trust.pinned, &key) {
        return Ok(());
    }
    let alias = &host.alias;
    if trust.pinned.is_empty() {
        let detail = format!(
            "no key is pinned for {alias}; compare {fingerprint} and pin it: lictor host scan {alias}"
        );
        return Err(Refused { reason: Unreachable::HostKeyUnknown, detail });
    }
    if trust.pinned.iter().all(|k| k.algorithm().is_rsa()) {
        return changed(format!(
            "only an RSA key is pinned for {alias}, which is not used; pin its other key: lictor host scan {alias}"
        ));
    }
    changed(format!(
        "{alias} showed {fingerprint}, which is not pinned for it; if it was reinstalled: lictor host scan {alias} --replace"
    ))
}

/// `validate` checks signature, authority and dates; kind, names and options are checked here (PROTOCOL.certkeys).
fn check_certificate(
    trust: &HostTrust,
    host: &Host,
    certificate: &russh::keys::Certificate,
) -> Result<(), Refused> {
    let refused = |why: String| {
        Err(Refused {
            reason: Unreachable::HostKeyUnknown,
            detail: format!("the host certificate of {} {why}", host.alias),
        })
    };
    if trust.revoked.iter().any(|k| k.key_data() == certificate.signature_key()) {
        return refused("is from an authority marked @revoked".into());
    }
    if certificate.cert_type() != CertType::Host || !certificate.critical_options().is_empty() {
        return refused("is not an ordinary host certificate".into());
    }
    let name = host.certified_name();
    if !certificate.valid_principals().iter().any(|p| glob(&p.to_lowercase(), &name)) {
        return refused(format!("does not name {name}"));
    }
    let authorities: Vec<_> = trust.authorities.iter().map(|k| k.fingerprint(HashAlg::Sha256)).collect();
    certificate.validate(authorities.iter()).or_else(|e| refused(format!("is not valid: {e}")))
}
