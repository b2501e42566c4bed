//! Looking at the keys of a host, without logging in to it.

use std::{borrow::Cow, io, sync::Arc};

use russh::{
    client,
    keys::{Algorithm, HashAlg, PublicKey, PublicKeyOrCertificate},
};

use super::ALGORITHMS;
use crate::{
    config::{AgentConfig, Problems},
    site::{Host, LiveSite},
    ssh::{known_hosts::HostTrust, pool::Pool, transport},
};

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

/// Fetches one key per algorithm from the host called `alias`, without logging in to it. Jump hosts on the way are
/// logged in to, as for a command.
///
/// # Errors
/// When the site's files are wrong, there is no such host, a jump host is not usable, or no key is shown.
pub async fn scan(config: &AgentConfig, alias: &str) -> Result<Vec<ScannedKey>, ScanError> {
    let site = Arc::new(LiveSite::load(config.site.clone())?);
    let pool = Pool::new(Arc::clone(&site), config.connections.clone());
    let site = site.current();
    let host = site
        .hosts
        .values()
        .find(|host| host.alias.as_str() == alias)
        .ok_or_else(|| ScanError::NoSuchHost(alias.to_owned()))?;
    let trust = site.known_hosts.trust_named(&host.key_name());
    let mut keys = Vec::new();
    // The first: of a host that has one kind of key, it is the one that says more than "not this kind".
    let mut trouble = None;
    for algorithm in [ALGORITHMS[0].clone(), ALGORITHMS[1].clone()] {
        match fetch(&pool, host, algorithm).await {
            Ok(key) => keys.push(describe(host, &trust, &key)),
            Err(error) => _ = trouble.get_or_insert(error),
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
        line: format!("{} {}", host.key_name(), bare.to_openssh().unwrap_or_default().trim()),
        known,
        changed: !known && !trust.pinned.is_empty(),
    }
}

async fn fetch(pool: &Pool, host: &Host, algorithm: Algorithm) -> Result<PublicKey, String> {
    let stream = pool.reach(&host.alias).await.map_err(|e| e.detail)?;
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
            via: None,
            host_key_alias: None,
            max_connections: None,
            max_channels: None,
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
