//! Hosts and credentials brought together: the site as it will be written.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    CREDENTIALS, Files, POLICY, SERVERS,
    credentials::{self, Login, Means},
    fields,
    finding::{Code, Findings, Place},
    secret_name::SecretFile,
    servers::{self, Server},
    show::Shown,
};

/// A host with the login that it gets.
#[derive(Debug)]
pub(crate) struct Host {
    pub(crate) server: Server,
    pub(crate) user: String,
    pub(crate) credential: String,
}

/// The site.
#[derive(Debug, Default)]
pub(crate) struct Site {
    pub(crate) hosts: Vec<Host>,
    /// In the order of their names.
    pub(crate) logins: Vec<Login>,
    /// Aliases of hosts that are in `servers.yml` and not here.
    pub(crate) left_out: Vec<String>,
}

/// Reads both files.
pub(crate) fn read(files: &Files<'_>, keys_dir: &str, findings: &mut Findings) -> Site {
    let root = fields::read(SERVERS, files.servers, findings);
    let servers = root.map(|root| servers::read(&root, findings)).unwrap_or_default();
    let mut used: BTreeMap<String, usize> = BTreeMap::new();
    for name in servers.iter().filter_map(|server| server.credential.as_ref()) {
        *used.entry(name.taken.clone()).or_default() += 1;
    }
    let logins = logins(files, &used, keys_dir, findings);
    note_missing(files, findings);
    let mut site = Site::default();
    for server in servers {
        match login(&server, &logins, findings) {
            Some(login) => {
                site.hosts.push(Host { user: login.user.clone(), credential: login.name.clone(), server })
            }
            None => site.left_out.push(server.alias.to_string()),
        }
    }
    site.logins = logins.into_values().flatten().collect();
    site.logins.sort_by(|a, b| a.name.cmp(&b.name));
    note_secrets(&site, findings);
    site
}

fn logins(
    files: &Files<'_>,
    used: &BTreeMap<String, usize>,
    keys_dir: &str,
    findings: &mut Findings,
) -> BTreeMap<String, Option<Login>> {
    let root = files.credentials.and_then(|text| fields::read(CREDENTIALS, text, findings));
    root.map(|root| credentials::read(&root, used, keys_dir, findings)).unwrap_or_default()
}

fn note_missing(files: &Files<'_>, findings: &mut Findings) {
    if files.credentials.is_none() {
        let place = Place { file: CREDENTIALS, line: 0 };
        findings.add(Code::FileMissing, place, "there is no such file, so no host has a login", "", "");
    }
    if files.policy.is_none() {
        let what = "there is no such file; mcp-ssh-orchestrator denied every command then";
        let place = Place { file: POLICY, line: 0 };
        findings.add(Code::FileMissing, place, what, "no policy is written", "write one: see docs/policy.md");
    }
}

fn login<'a>(
    server: &Server,
    logins: &'a BTreeMap<String, Option<Login>>,
    findings: &mut Findings,
) -> Option<&'a Login> {
    let place = Place { file: SERVERS, line: server.line };
    let mut missing = |what: String| {
        let todo = "name a credential of credentials.yml that has a username";
        findings.add(Code::NoCredential, place, what, "the host is left out", todo);
    };
    let alias = &server.alias;
    let Some(name) = &server.credential else {
        missing(format!("{alias} names no credential; mcp-ssh-orchestrator refused it"));
        return None;
    };
    let Some(login) = logins.get(&name.taken) else {
        let name = Shown(&name.written);
        missing(format!(
            "{alias} names the credential {name}, which there is not; mcp-ssh-orchestrator refused it"
        ));
        return None;
    };
    // What is wrong with it was said where it stands.
    login.as_ref()
}

/// What has to be put into place before an agent starts.
fn note_secrets(site: &Site, findings: &mut Findings) {
    let place = Place { file: CREDENTIALS, line: 0 };
    for file in site.secrets() {
        let what = format!("{} takes the place of {}", file.path, file.source.describe());
        let todo = format!(
            "put the secret alone into {}, without blanks or an empty line before it, mode 600",
            file.path
        );
        findings.add(Code::SecretToPlace, place, what, "only the name of the file is written", todo);
    }
    if site.logins.iter().any(|login| matches!(login.means, Means::Key { .. })) {
        let what = "keys of Ed25519 and ECDSA are read from files; keys of RSA are not";
        let todo = "load a key of RSA into an ssh-agent and write ssh_agent: true, or make a new one: ssh-keygen -t \
                    ed25519";
        findings.add(Code::RsaKeys, place, what, "a key is taken for one that can be read", todo);
    }
}

// === impl Site ===

impl Site {
    /// The files for secrets, each once.
    pub(crate) fn secrets(&self) -> BTreeSet<&SecretFile> {
        let secrets = self.logins.iter().filter_map(|login| match &login.means {
            Means::Key { passphrase, .. } => passphrase.as_ref(),
            Means::Password(file) => Some(file),
        });
        secrets.collect()
    }

    /// The keys, each once: where they were and where they will be.
    pub(crate) fn keys(&self) -> BTreeSet<(&str, &str)> {
        let keys = self.logins.iter().filter_map(|login| match &login.means {
            Means::Key { old, new, .. } => Some((old.as_str(), new.as_str())),
            Means::Password(_) => None,
        });
        keys.collect()
    }
}
