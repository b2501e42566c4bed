//! The bridge's configuration file.

use std::path::{Path, PathBuf};

use lictor_client::connect::{Client, ClientConfig};
use lictor_core::error::Failure;
use lictor_runtime::config::{ConfigError, load_yaml, resolve};
use serde::Deserialize;

use crate::{
    http::config::{HttpConfig, HttpFile, InvalidHttp},
    identity::Identity,
};

/// Where the controller is and as whom to call it.
#[derive(Debug, Clone)]
pub struct BridgeConfig {
    /// The controller, as `host:port`.
    pub controller: String,
    /// The directory with the bridge's certificate and key and with `root.pem`.
    pub identity_dir: PathBuf,
    /// The name of certificate and key in it, without `.pem` and `.key`.
    pub identity_name: String,
    /// A file with the access token of the user for whom to call; `None`: as the certificate's service.
    pub token_file: Option<PathBuf>,
    /// How to serve HTTP, if the file says.
    pub http: Option<HttpConfig>,
}

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InvalidConfig {
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] ConfigError),
    /// What it says of HTTP is wrong.
    #[error("{}: {problem}", path.display())]
    Http {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        problem: InvalidHttp,
    },
    /// A user's token would speak for everybody who can connect.
    #[error(
        "{}: identity.token_file speaks for one user, and over HTTP everybody who can connect would be that user: set `http.tokens`, so that each request brings its own, or leave token_file out",
        path.display()
    )]
    TokenFile {
        /// The file.
        path: PathBuf,
    },
}

/// The file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BridgeFile {
    controller: String,
    identity: IdentityFile,
    http: Option<HttpFile>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    dir: PathBuf,
    name: String,
    token_file: Option<PathBuf>,
}

// === impl BridgeConfig ===

impl BridgeConfig {
    /// Prepares the calls to the controller. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// When certificate or key cannot be read, or the file with the token, if there is to be one.
    pub fn identity(&self) -> Result<Identity, Failure> {
        let Self { controller, identity_dir, identity_name, token_file, http: _ } = self;
        let client = ClientConfig::in_dir(controller.clone(), identity_dir, identity_name);
        let identity = Identity::new(Client::connect(client)?, token_file.clone());
        identity.client()?;
        Ok(identity)
    }

    /// Reads the YAML file `path`; a relative directory in it is relative to the file.
    ///
    /// # Errors
    /// When the file cannot be read, has other keys than it should, or would serve HTTP as it must not be served.
    pub fn load(path: &Path) -> Result<Self, InvalidConfig> {
        let BridgeFile { controller, identity, http } = load_yaml(path)?;
        let base = path.parent().unwrap_or(Path::new("."));
        let http = http.map(|file| HttpConfig::new(file, base)).transpose();
        let http = http.map_err(|problem| InvalidConfig::Http { path: path.to_owned(), problem })?;
        let identity_dir = resolve(base, &identity.dir);
        let token_file = identity.token_file.map(|file| resolve(base, &file));
        if token_file.is_some() && http.as_ref().is_some_and(|http| http.tokens.is_none()) {
            return Err(InvalidConfig::TokenFile { path: path.to_owned() });
        }
        Ok(Self { controller, identity_dir, identity_name: identity.name, token_file, http })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_belong_to_the_file_and_unknown_keys_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bridge.yml");
        let text = "controller: 127.0.0.1:7400\nidentity:\n  dir: identity\n  name: bridge\n";
        std::fs::write(&path, text).unwrap();
        let config = BridgeConfig::load(&path).unwrap();
        assert_eq!(config.identity_dir, dir.path().join("identity"));
        assert_eq!((config.controller.as_str(), config.identity_name.as_str()), ("127.0.0.1:7400", "bridge"));
        std::fs::write(&path, format!("{text}allow_all: true\n")).unwrap();
        assert!(BridgeConfig::load(&path).unwrap_err().to_string().contains("allow_all"));
    }

    #[test]
    fn one_users_token_does_not_speak_for_everybody_who_can_connect() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("bridge.yml");
        let text =
            "controller: 127.0.0.1:7400\nidentity: { dir: identity, name: bridge, token_file: user.token }\n";
        std::fs::write(&path, text).unwrap();
        BridgeConfig::load(&path).unwrap();
        std::fs::write(&path, format!("{text}http: {{ listen: '127.0.0.1:7480' }}\n")).unwrap();
        assert!(
            BridgeConfig::load(&path).unwrap_err().to_string().contains("token_file speaks for one user")
        );
    }
}
