//! What a controller is told: validated, with every path resolved. The file's form is in [`file`].

mod file;
mod retention;
mod settings;

use std::{
    collections::BTreeSet,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use lictor_certs::files::IdentityFiles;
use lictor_core::{
    name::{PrincipalName, TenantName},
    retention::RetentionLimits,
    secret::Secret,
};
use lictor_oauth::config::TokensConfig;
use lictor_runtime::config::{ConfigError, load_yaml, resolve};

use crate::contents::ContentLimits;

/// The text of a controller's file with every key and its meaning; it loads as it is.
pub const EXAMPLE_CONTROLLER: &str = include_str!("config/example.yml");

/// A controller's configuration.
#[derive(Debug, Clone)]
pub struct ControllerConfig {
    /// Its name, for its certificate and the audit log.
    pub name: PrincipalName,
    /// The tenant whose hosts it governs.
    pub tenant: TenantName,
    /// Where it serves callers and agents, with client certificates.
    pub listen: SocketAddr,
    /// Where it serves agents that join, without client certificates.
    pub enroll_listen: SocketAddr,
    /// How agents reach `listen`: `host:port`.
    pub advertise: String,
    /// How agents reach `enroll_listen`: `host:port`.
    pub enroll_advertise: String,
    /// The certificate authority.
    pub pki: PathBuf,
    /// The file with the passphrase of its keys.
    pub passphrase_file: PathBuf,
    /// Its own certificate.
    pub identity: IdentityFiles,
    /// Where state is kept.
    pub state: PathBuf,
    /// The policy's file.
    pub policy: PathBuf,
    /// Which services may act for users, and whose tokens prove those.
    pub acting: Option<ActingConfig>,
    /// How long what jobs leave is kept.
    pub retention: RetentionLimits,
    /// How long the bytes that jobs are given are kept.
    pub contents: ContentLimits,
}

/// Services that act for users.
#[derive(Debug, Clone)]
pub struct ActingConfig {
    /// The services, by the names in their certificates.
    pub services: BTreeSet<PrincipalName>,
    /// The tokens of the users.
    pub tokens: TokensConfig,
    /// What the file says of them.
    told: Vec<(&'static str, String)>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfig {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// The file says something impossible.
    #[error("{}: {}", path.display(), problems.join("; "))]
    Problems {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong.
        problems: Vec<String>,
    },
    /// The passphrase cannot be read.
    #[error("cannot read the passphrase of the certificate authority from {}", path.display())]
    Passphrase {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

impl ControllerConfig {
    /// Reads and checks the file at `path`; relative paths in it are relative to its folder.
    ///
    /// # Errors
    /// [`InvalidConfig`] with everything that is wrong.
    pub fn load(path: &Path) -> Result<Self, InvalidConfig> {
        let file: file::File = load_yaml(path)?;
        let base = path.parent().unwrap_or(Path::new("."));
        let mut problems = Vec::new();
        let name = keep(PrincipalName::new(&file.name), "name", &mut problems);
        let tenant = keep(TenantName::new(&file.tenant), "tenant", &mut problems);
        let listen = keep(file.listen.parse::<SocketAddr>(), "listen", &mut problems);
        let enroll_listen = keep(file.enroll_listen.parse::<SocketAddr>(), "enroll_listen", &mut problems);
        let acting = file.acting.as_ref().and_then(|acting| acting_config(acting, base, &mut problems));
        let (retention, contents) = retention::limits(&file.retention, &mut problems);
        let (Some(name), Some(tenant), Some(listen), Some(enroll_listen), true) =
            (name, tenant, listen, enroll_listen, problems.is_empty())
        else {
            return Err(InvalidConfig::Problems { path: path.to_owned(), problems });
        };
        Ok(Self {
            name,
            tenant,
            listen,
            enroll_listen,
            advertise: file.advertise.unwrap_or(file.listen),
            enroll_advertise: file.enroll_advertise.unwrap_or(file.enroll_listen),
            pki: resolve(base, &file.pki),
            passphrase_file: resolve(base, &file.passphrase_file),
            identity: IdentityFiles::in_dir(&resolve(base, &file.identity), "controller"),
            state: resolve(base, &file.state),
            policy: resolve(base, &file.policy),
            acting,
            retention,
            contents,
        })
    }

    /// Reads the passphrase of the certificate authority; a newline at its end is not part of it.
    ///
    /// # Errors
    /// [`InvalidConfig::Passphrase`].
    pub fn passphrase(&self) -> Result<Secret, InvalidConfig> {
        let path = self.passphrase_file.clone();
        let mut bytes = std::fs::read(&path).map_err(|source| InvalidConfig::Passphrase { path, source })?;
        while bytes.last().is_some_and(|b| matches!(b, b'\n' | b'\r')) {
            bytes.pop();
        }
        Ok(Secret::new(bytes))
    }
}

fn acting_config(file: &file::ActingFile, base: &Path, problems: &mut Vec<String>) -> Option<ActingConfig> {
    let names = file.services.iter().map(|name| PrincipalName::new(name));
    let services = keep(names.collect::<Result<BTreeSet<_>, _>>(), "acting.services", problems);
    if file.services.is_empty() {
        problems.push("acting.services: name the services that may act, or leave `acting` out".to_owned());
    }
    let tokens = keep(TokensConfig::new(&file.tokens, base), "acting.tokens", problems);
    Some(ActingConfig { services: services?, tokens: tokens?, told: settings::of_tokens(&file.tokens) })
}

fn keep<T, E: std::fmt::Display>(result: Result<T, E>, key: &str, problems: &mut Vec<String>) -> Option<T> {
    result.map_err(|error| problems.push(format!("{key}: {error}"))).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_loads_as_it_is_and_unknown_keys_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("controller.yml");
        std::fs::write(&path, EXAMPLE_CONTROLLER).unwrap();
        let config = ControllerConfig::load(&path).unwrap();
        assert_eq!(config.policy, dir.path().join("policy.yml"));
        let plain = config;
        std::fs::write(&path, format!("{EXAMPLE_CONTROLLER}\nlisten_on: x\n")).unwrap();
        assert!(ControllerConfig::load(&path).unwrap_err().to_string().contains("listen_on"));
        std::fs::write(
            &path,
            EXAMPLE_CONTROLLER.replace("127.0.0.1:7443", "nowhere").replace("name: main", "name: -x"),
        )
        .unwrap();
        let both = ControllerConfig::load(&path).unwrap_err().to_string();
        let acting = "acting: {services: [bridge], tokens: {issuer: a, audience: b, keys: keys.json}}";
        std::fs::write(&path, format!("{EXAMPLE_CONTROLLER}\n{acting}\n")).unwrap();
        let acting = ControllerConfig::load(&path).unwrap();
        assert!(acting.acting.is_some());
        assert_eq!(acting.settings()["acting.tokens.keys"], "keys.json");
        for bad in [
            "acting: {services: [], tokens: {issuer: a, audience: b, keys: keys.json}}",
            "acting: {services: [bridge], tokens: {issuer: a, audience: b, keys: 'http://idp.example/keys'}}",
            "acting: {services: [bridge], tokens: {issuer: '', audience: b, keys: keys.json}}",
        ] {
            std::fs::write(&path, format!("{EXAMPLE_CONTROLLER}\n{bad}\n")).unwrap();
            assert!(ControllerConfig::load(&path).unwrap_err().to_string().contains("acting."), "{bad}");
        }
        let kept = "retention: {outputs: {age: 10d, bytes: 1GiB}, jobs: {age: 14d}, payloads: {age: 400d}, contents: {age: 2h}}";
        std::fs::write(&path, format!("{EXAMPLE_CONTROLLER}\n{kept}\n")).unwrap();
        let config = ControllerConfig::load(&path).unwrap();
        assert_eq!((config.retention.output_bytes, config.contents.age.as_secs()), (1 << 30, 7200));
        let (with, without) = (config.settings(), plain.settings());
        let changed: Vec<&str> = with
            .iter()
            .filter(|(name, value)| without.get(*name) != Some(*value))
            .map(|(name, _)| &**name)
            .collect();
        assert_eq!(
            changed,
            [
                "retention.contents.age",
                "retention.jobs.age",
                "retention.outputs.age",
                "retention.outputs.bytes",
                "retention.payloads.age"
            ]
        );
        assert_eq!(
            (&*with["retention.payloads.age"], &*without["retention.payloads.age"]),
            ("400d", "for ever")
        );
        for bad in [
            "retention: {outputs: {age: 91d}}",
            "retention: {outputs: {age: 1s}}",
            "retention: {jobs: {age: 6d}, outputs: {age: 1d}}",
            "retention: {payloads: {age: 23h}}",
            "retention: {payloads: {bytes: 1GiB}}",
            "retention: {outputs: {size: 1GiB}}",
            "retention: {outputs: {age: soon}}",
        ] {
            std::fs::write(&path, format!("{EXAMPLE_CONTROLLER}\n{bad}\n")).unwrap();
            assert!(ControllerConfig::load(&path).unwrap_err().to_string().contains("retention"), "{bad}");
        }
        assert!(both.contains("name:") && both.contains("listen:"), "{both}");
    }
}
