//! `known_hosts` as OpenSSH writes it: which keys are pinned for a host, which authorities and revocations concern it.
//!
//! Format: sshd(8), SSH_KNOWN_HOSTS FILE FORMAT. Plain names are indexed; wildcards and hashed names are walked.

use std::{collections::HashMap, net::IpAddr};

use aws_lc_rs::hmac;
use russh::keys::{
    HashAlg, PublicKey,
    ssh_key::known_hosts::{Entry, HostPatterns, Marker},
};

/// Hashed names are compared one by one: a report skips them when hosts times entries would exceed this.
const MAX_HASHED_IN_REPORT: usize = 128;

/// The pinned keys of a site.
#[derive(Debug, Clone, Default)]
pub struct KnownHosts {
    by_name: HashMap<String, Vec<Line>>,
    patterns: Vec<(Vec<String>, Line)>,
    hashed: Vec<(Vec<u8>, [u8; 20], Line)>,
}

/// What is known of one host.
#[derive(Debug, Clone, Default)]
pub struct HostTrust {
    /// Keys of which the host must show one.
    pub pinned: Vec<PublicKey>,
    /// Authorities whose host certificates are accepted.
    pub authorities: Vec<PublicKey>,
    /// Keys that are refused whatever else is said.
    pub revoked: Vec<PublicKey>,
}

#[derive(Debug, Clone)]
struct Line {
    marker: Option<Marker>,
    key: PublicKey,
}

/// The name under which OpenSSH files a host: bare on port 22, `[host]:port` otherwise.
pub fn file_name(address: &str, port: u16) -> String {
    if port == 22 { address.to_lowercase() } else { format!("[{}]:{port}", address.to_lowercase()) }
}

/// Address and port of a name as [`file_name`] makes it for other ports than 22.
pub(crate) fn bracketed(name: &str) -> Option<(&str, u16)> {
    let (address, port) = name.strip_prefix('[')?.rsplit_once("]:")?;
    Some((address, port.parse().ok()?))
}

/// A name of a file as [`file_name`] makes it: IPv6 addresses have many forms.
fn in_one_form(name: &str) -> String {
    let (address, port) = bracketed(name).unwrap_or((name, 22));
    match address.parse::<IpAddr>() {
        Ok(address) => file_name(&address.to_string(), port),
        Err(_) => name.to_lowercase(),
    }
}

// === impl KnownHosts ===

impl KnownHosts {
    /// Reads the text of a file.
    ///
    /// # Errors
    /// Each bad line with its number and what is wrong.
    pub fn parse(text: &str) -> Result<Self, Vec<(u64, String)>> {
        let mut all = Self::default();
        let mut bad = Vec::new();
        for (number, line) in (1u64..).zip(text.lines()) {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let fields: Vec<&str> = line.split_ascii_whitespace().collect();
            match fields.join(" ").parse::<Entry>() {
                Ok(entry) => all.add(&entry),
                Err(error) => bad.push((number, format!("not a line of known_hosts ({error})"))),
            }
        }
        if bad.is_empty() { Ok(all) } else { Err(bad) }
    }

    fn add(&mut self, entry: &Entry) {
        let line = Line { marker: entry.marker().copied(), key: entry.public_key().clone() };
        match entry.host_patterns() {
            HostPatterns::HashedName { salt, hash } => self.hashed.push((salt.clone(), *hash, line)),
            HostPatterns::Patterns(names) if names.iter().any(|n| n.contains(['*', '?', '!'])) => {
                self.patterns.push((names.iter().map(|n| n.to_lowercase()).collect(), line));
            }
            HostPatterns::Patterns(names) => {
                for name in names {
                    self.by_name.entry(in_one_form(name)).or_default().push(line.clone());
                }
            }
        }
    }

    /// What is known of the host at `address:port`.
    pub fn trust(&self, address: &str, port: u16) -> HostTrust {
        self.trust_named(&file_name(address, port))
    }

    /// What is known under the name of [`Host::key_name`](crate::site::Host::key_name), as a file has it.
    ///
    /// Keys are pinned for exactly this name. Authorities and revocations of a host count on all its ports, as in OpenSSH:
    /// a certificate names its host without one.
    pub fn trust_named(&self, name: &str) -> HostTrust {
        let mut trust = self.look_up(name, true);
        if let Some((address, _)) = bracketed(name) {
            let HostTrust { pinned: _, authorities, revoked } = self.look_up(address, true);
            trust.authorities.extend(authorities);
            trust.revoked.extend(revoked);
        }
        trust
    }

    /// `SHA256:…` of every key pinned under `name`.
    pub fn fingerprints(&self, name: &str) -> Vec<String> {
        let trust = self.look_up(name, self.hashed.len() <= MAX_HASHED_IN_REPORT);
        trust.pinned.iter().map(|key| key.fingerprint(HashAlg::Sha256).to_string()).collect()
    }

    fn look_up(&self, name: &str, with_hashed: bool) -> HostTrust {
        let mut trust = HostTrust::default();
        for line in self.by_name.get(name).into_iter().flatten() {
            trust.add(line);
        }
        for (patterns, line) in &self.patterns {
            if matches_list(patterns, name) {
                trust.add(line);
            }
        }
        if with_hashed {
            for (salt, hash, line) in &self.hashed {
                // HashKnownHosts is HMAC-SHA1 by definition; nothing rests on its strength here.
                let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, salt);
                if hmac::sign(&key, name.as_bytes()).as_ref() == hash {
                    trust.add(line);
                }
            }
        }
        trust
    }
}

impl HostTrust {
    fn add(&mut self, line: &Line) {
        match line.marker {
            None => self.pinned.push(line.key.clone()),
            Some(Marker::CertAuthority) => self.authorities.push(line.key.clone()),
            Some(Marker::Revoked) => self.revoked.push(line.key.clone()),
        }
    }
}

/// A list of patterns matches when one does and no negated one does.
fn matches_list(patterns: &[String], name: &str) -> bool {
    let negated = patterns.iter().filter_map(|p| p.strip_prefix('!')).any(|p| glob(p, name));
    !negated && patterns.iter().filter(|p| !p.starts_with('!')).any(|p| glob(p, name))
}

/// `*` and `?` as in OpenSSH's match_pattern; linear in the pattern times the text.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    let mut last_star = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                last_star = Some((p, t));
                p += 1;
            }
            Some(c) if *c == b'?' || text.get(t) == Some(c) => (p, t) = (p + 1, t + 1),
            _ => match last_star {
                // The star takes one byte more, and matching goes on behind it.
                Some((star, taken)) => {
                    last_star = Some((star, taken + 1));
                    (p, t) = (star + 1, taken + 1);
                }
                None => return false,
            },
        }
    }
    pattern.get(p..).unwrap_or_default().iter().all(|c| *c == b'*')
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";

    #[test]
    fn plain_hashed_bracketed_and_negated_names_are_found_as_openssh_finds_them() {
        // `ssh-keygen -H` of "web-1": salt and hash computed with HMAC-SHA1.
        let salt = [7u8; 20];
        let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, &salt);
        let encode = |b: &[u8]| base64::Engine::encode(&base64::engine::general_purpose::STANDARD, b);
        let hash = hmac::sign(&key, b"hidden.example");
        let text = format!(
            "# comment\n\nweb-1,192.0.2.1 {KEY}\n[web-1]:2222 {KEY}\n|1|{}|{} {KEY}\n*.example,!bad.example {KEY}\n@revoked * {KEY}\n@cert-authority *.ca {KEY} comment\n",
            encode(&salt),
            encode(hash.as_ref()),
        );
        let known = KnownHosts::parse(&text).unwrap();
        let pinned = |address: &str, port| known.trust(address, port).pinned.len();
        assert_eq!(pinned("web-1", 22), 1);
        assert_eq!(pinned("WEB-1", 22), 1);
        assert_eq!(pinned("192.0.2.1", 22), 1);
        assert_eq!(pinned("web-1", 2222), 1);
        assert_eq!(pinned("192.0.2.1", 2222), 0);
        assert_eq!(pinned("hidden.example", 22), 2);
        assert_eq!(pinned("a.example", 22), 1);
        assert_eq!(pinned("bad.example", 22), 0);
        assert_eq!(known.trust("x.ca", 22).authorities.len(), 1);
        assert_eq!(known.trust("anything", 22).revoked.len(), 1);
        assert_eq!(known.fingerprints("web-1").len(), 1);
    }

    #[test]
    fn other_ports_have_their_own_keys_and_share_authorities_and_revocations() {
        let text = format!(
            "::1 {KEY}\n[0:0::0:1]:2222 {KEY}\n[*.example]:* {KEY}\n@cert-authority *.ca {KEY}\n@cert-authority [web.ports]:2222 {KEY}\n\
             @revoked ::1 {KEY}\n"
        );
        let known = KnownHosts::parse(&text).unwrap();
        let counts = |address: &str, port| {
            let trust = known.trust(address, port);
            (trust.pinned.len(), trust.authorities.len(), trust.revoked.len())
        };
        assert_eq!(counts("::1", 22), (1, 0, 1));
        assert_eq!(counts("::1", 2222), (1, 0, 1));
        assert_eq!(counts("::1", 2223), (0, 0, 1));
        assert_eq!((counts("a.example", 2222), counts("a.example", 22)), ((1, 0, 0), (0, 0, 0)));
        assert_eq!((counts("x.ca", 22), counts("x.ca", 2222)), ((0, 1, 0), (0, 1, 0)));
        assert_eq!((counts("web.ports", 22), counts("web.ports", 2222)), ((0, 0, 0), (0, 1, 0)));
    }

    #[test]
    fn every_bad_line_is_reported_with_its_number() {
        let bad = KnownHosts::parse(&format!("web-1 {KEY}\nnonsense\n@other x {KEY}\n")).unwrap_err();
        assert_eq!(bad.iter().map(|(line, _)| *line).collect::<Vec<_>>(), [2, 3]);
    }
}
