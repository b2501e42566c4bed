//! The directory that `lictor init` makes: where it keeps what.

use std::{
    env,
    path::{Path, PathBuf},
};

use lictor_certs::files::IdentityFiles;

use crate::trouble::Trouble;

/// The file by which a directory is recognised.
pub(crate) const CLIENT_FILE: &str = "lictor.yml";
/// The file by which the directory of a site is recognised.
pub(crate) const AGENT_FILE: &str = "agent.yml";

/// A directory with `lictor.yml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Home(PathBuf);

// === impl Home ===

impl Home {
    /// The directory `dir`; nothing is checked.
    pub(crate) fn at(dir: impl Into<PathBuf>) -> Self {
        Self(dir.into())
    }

    /// The directory asked for, or else the current one or the nearest above it that has the file `mark`.
    pub(crate) fn find(asked: Option<&Path>, mark: &str) -> Result<Self, Trouble> {
        if let Some(dir) = asked {
            return Self::existing(dir, mark);
        }
        let here = env::current_dir()
            .map_err(|e| Trouble::usage(format!("no current directory: {e}"), "cd to one"))?;
        here.ancestors().find(|dir| dir.join(mark).is_file()).map(Self::at).ok_or_else(|| {
            Trouble::usage(
                format!("there is no {mark} in this directory or above it"),
                "name the directory with --dir or LICTOR_DIR, or make one: lictor init DIR",
            )
        })
    }

    /// The directory `dir`, which must have the file `mark`.
    pub(crate) fn existing(dir: &Path, mark: &str) -> Result<Self, Trouble> {
        if dir.join(mark).is_file() {
            return Ok(Self::at(dir));
        }
        if mark == CLIENT_FILE && dir.join(AGENT_FILE).is_file() {
            return Err(Trouble::usage(
                format!("{} is the directory of an agent: there is no {mark} in it", dir.display()),
                format!("look at its files: lictor-agent check --config {}", dir.join(AGENT_FILE).display()),
            ));
        }
        let what = if dir.is_dir() { "is not a lictor directory" } else { "does not exist" };
        let message = format!("{} {what}: there is no {mark} in it", dir.display());
        Err(Trouble::usage(message, format!("make it: lictor init {}", dir.display())))
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.0
    }
    pub(crate) fn client_file(&self) -> PathBuf {
        self.0.join(CLIENT_FILE)
    }
    pub(crate) fn controller_file(&self) -> PathBuf {
        self.0.join("controller.yml")
    }
    pub(crate) fn policy_file(&self) -> PathBuf {
        self.0.join("policy.yml")
    }
    pub(crate) fn agent_file(&self) -> PathBuf {
        self.0.join(AGENT_FILE)
    }
    pub(crate) fn hosts_file(&self) -> PathBuf {
        self.0.join("hosts.yml")
    }
    pub(crate) fn credentials_file(&self) -> PathBuf {
        self.0.join("credentials.yml")
    }
    pub(crate) fn known_hosts_file(&self) -> PathBuf {
        self.0.join("known_hosts")
    }
    pub(crate) fn bridge_file(&self) -> PathBuf {
        self.0.join("bridge.yml")
    }
    pub(crate) fn pki(&self) -> PathBuf {
        self.0.join("pki")
    }
    pub(crate) fn passphrase_file(&self) -> PathBuf {
        self.pki().join("passphrase")
    }
    pub(crate) fn identity_dir(&self) -> PathBuf {
        self.0.join("identity")
    }
    pub(crate) fn identity(&self, name: &str) -> IdentityFiles {
        IdentityFiles::in_dir(&self.identity_dir(), name)
    }
    pub(crate) fn state(&self) -> PathBuf {
        self.0.join("state")
    }
    /// Where the controller keeps the keys it signs with.
    pub(crate) fn controller_keys(&self) -> PathBuf {
        self.state().join("controller").join("keys")
    }
    /// The pinned key of the audit log.
    pub(crate) fn audit_key(&self) -> PathBuf {
        self.0.join("audit.pub")
    }
    /// Held while `lictor up` runs.
    pub(crate) fn up_lock(&self) -> PathBuf {
        self.state().join("up.lock")
    }
    /// The last checkpoint of the audit log that was found true.
    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.state().join("audit-checkpoint")
    }
}
