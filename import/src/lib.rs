//! Taking over the three files of mcp-ssh-orchestrator (1.0.0 to 1.2.0): text in, text out.
//!
//! [`import`] reads `servers.yml`, `credentials.yml` and `policy.yml` as that system read them, and gives `hosts.yml`
//! and `credentials.yml` of an agent, a policy for the controller, and a report. Whatever failed open there, never worked, or
//! works otherwise here is a [`Finding`]; a finding that is an error has to be accepted by name before anything is
//! given. No secret is ever copied, shown or logged: credentials refer to files that the report tells people to make.
//!
//! This crate knows neither files nor the network: whoever calls it reads and writes.

use std::collections::BTreeSet;

use lictor_core::name::SiteName;

mod address;
#[cfg(test)]
mod cases;
mod credentials;
mod emit;
mod fields;
mod finding;
mod key_path;
mod name;
mod policy_part;
mod port;
mod report;
mod rows;
mod secret_name;
mod servers;
mod show;
mod site;
mod yaml;

pub use finding::{Finding, Severity};

/// The hosts of mcp-ssh-orchestrator.
pub const SERVERS: &str = "servers.yml";
/// Its credentials; also the name of the agent's file.
pub const CREDENTIALS: &str = "credentials.yml";
/// Its policy; also the name of the new one.
pub const POLICY: &str = "policy.yml";
/// Its three files.
pub const FILES: [&str; 3] = [SERVERS, CREDENTIALS, POLICY];
/// The agent's hosts.
pub const HOSTS: &str = "hosts.yml";
/// The report.
pub const REPORT: &str = "import-report.md";
/// Largest file: mcp-ssh-orchestrator took larger ones for empty.
pub const MAX_FILE_BYTES: u64 = 10 * 1024 * 1024;
/// Where it had its keys unless `MCP_SSH_KEYS_DIR` said otherwise.
pub const DEFAULT_KEYS_DIR: &str = "/app/keys";
/// The folder for keys, below the new files.
pub const KEYS_DIR: &str = "keys";
/// The folder for passwords and passphrases, below the new files.
pub const SECRETS_DIR: &str = "secrets";

/// The files to import, as text.
#[derive(Clone, Copy)]
pub struct Files<'a> {
    /// `servers.yml`
    pub servers: &'a str,
    /// `credentials.yml`, if there is one.
    pub credentials: Option<&'a str>,
    /// `policy.yml`, if there is one.
    pub policy: Option<&'a str>,
}

/// Which releases a `policy.yml` was written for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    /// 1.0: rules with `commands`, the last match wins.
    V1,
    /// 1.1 and later: rules with `simple_binaries` and `binary`, the first match wins.
    V2,
}

/// What the person who imports says.
#[derive(Debug, Clone)]
pub struct Options {
    /// Which dialect the policy is in; `None`: told from its rules.
    pub dialect: Option<Dialect>,
    /// The site that the hosts will be at.
    pub site: Option<SiteName>,
    /// Codes of errors that are accepted.
    pub accept: BTreeSet<String>,
    /// Where the keys were.
    pub keys_dir: String,
}

/// A file to be written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewFile {
    /// Its name.
    pub name: &'static str,
    /// Its text.
    pub text: String,
    /// Whether it refers to secrets, and is its owner's alone.
    pub private: bool,
}

/// What an import gives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    /// The new files.
    pub files: Vec<NewFile>,
    /// Folders that keys and secrets will be put into; their owner's alone.
    pub folders: Vec<&'static str>,
    /// Everything that was found: by severity, file and line.
    pub findings: Vec<Finding>,
    /// Hosts that were taken over.
    pub hosts: usize,
    /// Credentials that were taken over.
    pub credentials: usize,
    /// Whether there is a policy.
    pub has_policy: bool,
    /// What is left to do after keys and secrets are in place.
    pub next_steps: Vec<String>,
}

/// Why nothing is given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// Everything that was found: by severity, file and line.
    pub findings: Vec<Finding>,
    /// Codes that were accepted and that are no error here, or cannot be accepted.
    pub not_acceptable: Vec<String>,
}

/// Imports.
///
/// # Errors
/// When an error was found that is not accepted, or something was accepted that cannot be.
pub fn import(files: &Files<'_>, options: &Options) -> Result<Imported, Refused> {
    let mut findings = finding::Findings::default();
    let site = site::read(files, &options.keys_dir, &mut findings);
    let policy = files.policy.and_then(|text| policy_part::policy_part(text, options.dialect, &mut findings));
    let findings = judge(findings.sorted(), &options.accept)?;
    let mut folders = Vec::new();
    folders.extend((!site.keys().is_empty()).then_some(KEYS_DIR));
    folders.extend((!site.secrets().is_empty()).then_some(SECRETS_DIR));
    let mut new = vec![
        NewFile { name: HOSTS, text: emit::hosts(&site), private: false },
        NewFile { name: CREDENTIALS, text: emit::credentials(&site), private: true },
    ];
    let has_policy = policy.is_some();
    new.extend(policy.map(|text| NewFile { name: POLICY, text, private: false }));
    let mut imported = Imported {
        files: new,
        folders,
        findings,
        hosts: site.hosts.len(),
        credentials: site.logins.len(),
        has_policy,
        next_steps: next_steps(options, has_policy),
    };
    let text = report::markdown(&imported, &site, options);
    imported.files.push(NewFile { name: REPORT, text, private: true });
    Ok(imported)
}

/// The findings, when every error among them is accepted, and everything that is accepted is one.
fn judge(findings: Vec<Finding>, accept: &BTreeSet<String>) -> Result<Vec<Finding>, Refused> {
    let errors = || findings.iter().filter(|f| f.severity == Severity::Error);
    let not_acceptable: Vec<String> =
        accept.iter().filter(|code| !errors().any(|f| f.acceptable && f.code == **code)).cloned().collect();
    let unaccepted = errors().any(|f| !f.acceptable || !accept.contains(f.code.as_ref()));
    if unaccepted || !not_acceptable.is_empty() {
        return Err(Refused { findings, not_acceptable });
    }
    Ok(findings)
}

fn next_steps(options: &Options, has_policy: bool) -> Vec<String> {
    let mut steps = vec![
        "put hosts.yml, credentials.yml, keys/ and secrets/ into the directory of the site's agent: with lictor init \
         and lictor up that is the directory that lictor init made"
            .to_owned(),
        "pin the hosts' keys, and compare them with what the hosts' owners say: lictor host scan --all; or put the \
         file that known_hosts_path named beside hosts.yml as known_hosts"
            .to_owned(),
    ];
    if has_policy {
        steps.push("look at the policy: lictor policy check policy.yml".to_owned());
        steps.push(
            "put policy.yml where controller.yml names it; its rules go by alias and tag, and so hold for hosts of \
             other sites with the same ones too"
                .to_owned(),
        );
    }
    if let Some(site) = &options.site {
        steps
            .push(format!("let the agent of the site join: lictor agent token --site {site} --name agent-1"));
    }
    steps.push("see what would be allowed: lictor plan HOST -- COMMAND".to_owned());
    steps
}

// === impl Files ===

impl std::fmt::Debug for Files<'_> {
    /// Without their text.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Files")
    }
}

// === impl Options ===

impl Default for Options {
    fn default() -> Self {
        Self { dialect: None, site: None, accept: BTreeSet::new(), keys_dir: DEFAULT_KEYS_DIR.to_owned() }
    }
}
