//! What an agent is told on its own machine: where the controller is, and where the site's files are.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    path::{Path, PathBuf},
};

use lictor_core::name::HostAlias;

use crate::{redact::Redaction, site::Host};

pub mod examples;
pub mod limits;

pub(crate) mod file;
pub(crate) mod hosts;

mod jumps;
mod redaction;

use limits::ConnectionLimits;

/// Commands that run at once when the file does not say: each may hold an SSH channel and up to 4 MiB of output.
pub const DEFAULT_CONCURRENCY: usize = 256;
/// Most commands that a file may ask to run at once; beyond it another agent is the answer.
pub const MAX_CONCURRENCY: usize = 4096;

/// The agent's own settings, from `agent.yml`.
#[derive(Debug, Clone)]
pub struct AgentConfig {
    /// `host:port` of the controller.
    pub controller: String,
    /// Where the journal and kept output live; one agent at a time.
    pub state_dir: PathBuf,
    /// Where the certificate, its key and the controller's public keys live.
    pub identity_dir: PathBuf,
    /// The site's files.
    pub site: SiteFiles,
    /// Commands that run at once.
    pub max_concurrency: usize,
    /// SSH connections: how many, how long.
    pub connections: ConnectionLimits,
}

/// The files that the site's owner keeps.
#[derive(Debug, Clone)]
pub struct SiteFiles {
    /// Hosts: alias, address, user, credential.
    pub hosts: PathBuf,
    /// Credentials; readable by the agent alone.
    pub credentials: PathBuf,
    /// Pinned host keys, in OpenSSH's format.
    pub known_hosts: PathBuf,
    /// What no controller may have run here; the policy language.
    pub floor: Option<PathBuf>,
    /// What is masked in what hosts say, beside the credentials.
    pub redaction: Redaction,
}

/// One thing that is wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file.
    pub path: PathBuf,
    /// The line, from 1; 0 when the whole file is meant.
    pub line: u64,
    /// What is wrong and what to do.
    pub message: String,
}

/// Everything that is wrong with a set of files, so that one look is enough to correct it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

/// Reads the text of a `hosts.yml` alone; `credentials` are the names that it may refer to.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse_hosts_text(
    text: &str,
    credentials: &BTreeSet<String>,
) -> Result<BTreeMap<HostAlias, Host>, Problems> {
    hosts::parse_hosts(Path::new("hosts.yml"), text, |name| credentials.contains(name))
}

// === impl AgentConfig ===

impl AgentConfig {
    /// Reads `agent.yml`; relative paths in it start at the file's directory.
    ///
    /// # Errors
    /// Everything that is wrong with the file.
    pub fn load(path: &Path) -> Result<Self, Problems> {
        file::load_agent(path)
    }
}

// === impl Problem ===

impl Problem {
    pub(crate) fn new(path: &Path, line: u64, message: impl fmt::Display) -> Self {
        Self { path: path.to_owned(), line, message: message.to_string() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path.display(), self.message),
            line => write!(f, "{}:{line}: {}", self.path.display(), self.message),
        }
    }
}

// === impl Problems ===

impl Problems {
    pub(crate) fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}
impl std::error::Error for Problems {}
