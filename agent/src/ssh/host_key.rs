//! Is this host the one whose key was pinned? Decided before anything of a login is sent. Also how keys get pinned.

use std::{
    borrow::Cow,
    fs,
    io::{self, Write as _},
    path::Path,
    sync::Arc,
};

use lictor_core::outcome::Unreachable;
use russh::{
    client,
    keys::{
        Algorithm, EcdsaCurve, HashAlg, PublicKey, PublicKeyOrCertificate, ssh_key::certificate::CertType,
    },
};

use super::{
    address::{self, Networks},
    known_hosts::{HostTrust, KnownHosts, file_name, glob},
    transport,
};
use crate::{
    config::{AgentConfig, Problems},
    site::{Host, Site},
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

/// A key that a host showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScannedKey {
    /// E.g. `ssh-ed25519`.
    pub algorithm: String,
    /// `SHA256:…`, to be compared with what the host's own console shows.
    pub fingerprint: String,
    /// The line for `known_hosts`.
    pub line: String,
    /// Whether exactly this key is pinned already.
    pub known: bool,
    /// Whether other keys are pinned for the host and this one is not: replacing needs a person's word.
    pub changed: bool,
}

/// Keys could not be fetched or written.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// The site's files are wrong.
    #[error(transparent)]
    Files(#[from] Problems),
    /// No such host.
    #[error("there is no host {0} in hosts.yml")]
    NoSuchHost(String),
    /// Nothing answered, or no key of a supported kind.
    #[error("{0}")]
    Connect(String),
    /// A pinned key differs.
    #[error("other keys are pinned for {0}; if the host was reinstalled, say --replace to drop them")]
    WouldReplace(String),
    /// `known_hosts` could not be written.
    #[error("{path}")]
    Write {
        /// The file.
        path: String,
        /// What went wrong.
        source: io::Error,
    },
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
    if !certificate.valid_principals().iter().any(|p| glob(&p.to_lowercase(), &host.address.to_lowercase())) {
        return refused(format!("does not name {}", host.address));
    }
    let authorities: Vec<_> = trust.authorities.iter().map(|k| k.fingerprint(HashAlg::Sha256)).collect();
    certificate.validate(authorities.iter()).or_else(|e| refused(format!("is not valid: {e}")))
}

/// Fetches one key per algorithm from the host called `alias`, without logging in.
///
/// # Errors
/// When the site's files are wrong, there is no such host, or it shows no key.
pub async fn scan(config: &AgentConfig, alias: &str) -> Result<Vec<ScannedKey>, ScanError> {
    let site = Site::load(&config.site, 0)?;
    let host = site
        .hosts
        .values()
        .find(|host| host.alias.as_str() == alias)
        .ok_or_else(|| ScanError::NoSuchHost(alias.to_owned()))?;
    let trust = site.known_hosts.trust(&host.address, host.port);
    let mut keys = Vec::new();
    let mut trouble = None;
    for algorithm in [ALGORITHMS[0].clone(), ALGORITHMS[1].clone()] {
        match fetch(host, algorithm).await {
            Ok(key) => keys.push(describe(host, &trust, &key)),
            Err(error) => trouble = Some(error),
        }
    }
    vouch(&mut keys);
    match (keys.is_empty(), trouble) {
        (true, Some(error)) => Err(ScanError::Connect(error)),
        _ => Ok(keys),
    }
}

/// A host that shows a pinned key is the one that was meant: its other keys are new, not changed.
fn vouch(keys: &mut [ScannedKey]) {
    if keys.iter().any(|key| key.known) {
        keys.iter_mut().for_each(|key| key.changed = false);
    }
}

fn describe(host: &Host, trust: &HostTrust, key: &PublicKey) -> ScannedKey {
    let known = trust.pinned.iter().any(|k| k.key_data() == key.key_data());
    let mut bare = key.clone();
    bare.set_comment("");
    ScannedKey {
        algorithm: key.algorithm().to_string(),
        fingerprint: key.fingerprint(HashAlg::Sha256).to_string(),
        line: format!(
            "{} {}",
            file_name(&host.address, host.port),
            bare.to_openssh().unwrap_or_default().trim()
        ),
        known,
        changed: !known && !trust.pinned.is_empty(),
    }
}

async fn fetch(host: &Host, algorithm: Algorithm) -> Result<PublicKey, String> {
    let (stream, _) =
        address::dial(&host.address, host.port, &Networks::default()).await.map_err(|e| e.detail)?;
    let seen = Arc::new(std::sync::Mutex::new(None));
    let config = transport::config(Cow::Owned(vec![algorithm]), Cow::Borrowed(&[]));
    // The look ends by refusing the key, so nothing of a login is ever sent.
    let result = transport::handshake(config, stream, Look(Arc::clone(&seen))).await;
    let key = seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
    match (key, result) {
        (Some(key), _) => Ok(key),
        (None, Err(error)) => Err(error.to_string()),
        (None, Ok(_)) => Err("the host showed no key".into()),
    }
}

struct Look(Arc<std::sync::Mutex<Option<PublicKey>>>);

impl client::Handler for Look {
    type Error = russh::Error;
    async fn check_server_key(&mut self, key: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        *self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner) = Some(key.public_key());
        Ok(false)
    }
}

/// Adds `keys` to the site's `known_hosts`, in one step. With `replace`, what was pinned for the host goes.
///
/// # Errors
/// When a pinned key differs and `replace` is false, or the file cannot be written.
pub fn pin(config: &AgentConfig, alias: &str, keys: &[ScannedKey], replace: bool) -> Result<(), ScanError> {
    let path = &config.site.known_hosts;
    let wrong = |source| ScanError::Write { path: path.display().to_string(), source };
    if keys.iter().any(|key| key.changed) && !replace {
        return Err(ScanError::WouldReplace(alias.to_owned()));
    }
    let old = match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other.map_err(wrong)?,
    };
    let names: Vec<&str> = keys.iter().filter_map(|key| key.line.split(' ').next()).collect();
    let mut text: String = old
        .lines()
        .filter(|line| !(replace && pins(line, &names)))
        .fold(String::new(), |all, line| all + line + "\n");
    for key in keys.iter().filter(|key| replace || !key.known) {
        text.push_str(&key.line);
        text.push('\n');
    }
    write_atomic(path, text.as_bytes()).map_err(wrong)
}

/// Whether `line` pins a key for one of `names`; lines with markers and patterns are a person's and stay.
fn pins(line: &str, names: &[&str]) -> bool {
    let Some(first) = line.split_ascii_whitespace().next() else { return false };
    if first.starts_with(['#', '@']) || first.contains(['*', '?', '!']) {
        return false;
    }
    let Ok(known) = KnownHosts::parse(line) else { return false };
    names.iter().any(|name| {
        let (address, port) = match name.strip_prefix('[').and_then(|rest| rest.rsplit_once("]:")) {
            Some((address, port)) => (address, port.parse().unwrap_or(22)),
            None => (*name, 22),
        };
        !known.trust(address, port).pinned.is_empty()
    })
}

/// Writes beside the file, syncs, and gives it its name: a reader sees the old text or the new one.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    let next = Path::new(&next);
    let mut file = fs::File::create(next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(next, path)?;
    match path.parent() {
        Some(directory) if !directory.as_os_str().is_empty() => fs::File::open(directory)?.sync_all(),
        _ => fs::File::open(".")?.sync_all(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_of_another_kind_than_the_pinned_one_is_a_change_unless_the_pinned_one_is_shown_too() {
        let key = |line: &str| PublicKey::from_openssh(line).unwrap();
        let pinned = key("ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ");
        let other = key(
            "ecdsa-sha2-nistp256 AAAAE2VjZHNhLXNoYTItbmlzdHAyNTYAAAAIbmlzdHAyNTYAAABBBHwf2HMM5TRXvo2SQJjsNkiDD5KqiiNjrGVv3UUh+mMT5RHxiRtOnlqvjhQtBq0VpmpCV/PwUdhOig4vkbqAcEc=",
        );
        let host = Host {
            alias: "web-1".parse().unwrap(),
            address: "192.0.2.1".into(),
            port: 22,
            user: "ops".into(),
            credential: "key".into(),
            tags: Vec::new(),
            labels: lictor_core::label::Labels::default(),
            description: String::new(),
        };
        let trust = HostTrust { pinned: vec![pinned.clone()], ..HostTrust::default() };
        let mut alone = [describe(&host, &trust, &other)];
        vouch(&mut alone);
        assert!(alone[0].changed && !alone[0].known);
        let mut both = [describe(&host, &trust, &pinned), describe(&host, &trust, &other)];
        vouch(&mut both);
        assert!(both[0].known && !both[0].changed && !both[1].changed);
        assert!(!describe(&host, &HostTrust::default(), &other).changed);
    }
}
