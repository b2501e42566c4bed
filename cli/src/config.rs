//! `lictor.yml`: as whom to call which controller, and the key that its audit log is verified with.

use std::path::{Path, PathBuf};

use lictor_certs::{checkpoint::Origin, files::IdentityFiles, identity::TrustDomain, signer::PublicKey};
use lictor_client::connect::ClientConfig;
use lictor_core::name::TenantName;
use lictor_runtime::config::{load_yaml, resolve};
use serde::Deserialize;

use crate::{home::Home, trouble::Trouble};

/// A caller's own settings.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// `host:port` of the controller.
    pub(crate) controller: String,
    /// The caller's certificate, key and root.
    pub(crate) identity: IdentityFiles,
    /// The domain of every identity.
    pub(crate) trust_domain: TrustDomain,
    /// The tenant in which the caller acts.
    pub(crate) tenant: TenantName,
    /// The file with the pinned key of the audit log.
    pub(crate) audit_key: PathBuf,
}

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    controller: String,
    identity: IdentityFile,
    trust_domain: String,
    tenant: String,
    audit_key: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    dir: PathBuf,
    name: String,
}

// === impl Settings ===

impl Settings {
    /// Reads `lictor.yml` of `home`.
    pub(crate) fn load(home: &Home) -> Result<Self, Trouble> {
        let path = home.client_file();
        let file: File = load_yaml(&path).map_err(|e| Trouble::usage(e.to_string(), "correct the file"))?;
        let wrong = |key: &str, why: &dyn std::fmt::Display| {
            Trouble::usage(format!("{}: {key}: {why}", path.display()), "correct the file")
        };
        Ok(Self {
            identity: IdentityFiles::in_dir(&resolve(home.dir(), &file.identity.dir), &file.identity.name),
            trust_domain: TrustDomain::new(&file.trust_domain).map_err(|e| wrong("trust_domain", &e))?,
            tenant: TenantName::new(&file.tenant).map_err(|e| wrong("tenant", &e))?,
            audit_key: resolve(home.dir(), &file.audit_key),
            controller: file.controller,
        })
    }

    /// Where and as whom to connect.
    pub(crate) fn client(&self) -> ClientConfig {
        ClientConfig { address: self.controller.clone(), identity: self.identity.clone() }
    }

    /// The name of the audit log.
    pub(crate) fn origin(&self) -> Result<Origin, Trouble> {
        origin(&self.trust_domain, &self.tenant)
    }

    /// The pinned key of the audit log; `None` if none is pinned yet.
    pub(crate) fn pinned_key(&self) -> Result<Option<PublicKey>, Trouble> {
        read_key(&self.audit_key)
    }
}

/// The name of a tenant's audit log, as its controller signs it.
pub(crate) fn origin(domain: &TrustDomain, tenant: &TenantName) -> Result<Origin, Trouble> {
    Origin::of_tenant(domain, tenant).map_err(|e| Trouble::internal(e.to_string()))
}

fn read_key(path: &Path) -> Result<Option<PublicKey>, Trouble> {
    match std::fs::read_to_string(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Trouble::file("read", path, &error)),
        Ok(text) => {
            let key = text.trim().parse();
            key.map(Some).map_err(|e| {
                let message = format!("{}: {e}", path.display());
                Trouble::usage(message, "restore it from the backup; it is what the audit is verified with")
            })
        }
    }
}
