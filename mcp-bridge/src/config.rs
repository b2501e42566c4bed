//! The bridge's configuration file.

use std::path::{Path, PathBuf};

use lictor_runtime::config::{ConfigError, load_yaml, resolve};
use serde::Deserialize;

/// Where the controller is and as whom to call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeConfig {
    /// The controller, as `host:port`.
    pub controller: String,
    /// The directory with the bridge's certificate and key and with `root.pem`.
    pub identity_dir: PathBuf,
    /// The name of certificate and key in it, without `.pem` and `.key`.
    pub identity_name: String,
}

/// The file, as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct BridgeFile {
    controller: String,
    identity: IdentityFile,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct IdentityFile {
    dir: PathBuf,
    name: String,
}

// === impl BridgeConfig ===

impl BridgeConfig {
    /// Reads the YAML file `path`; a relative directory in it is relative to the file.
    ///
    /// # Errors
    /// When the file cannot be read, or has other keys than it should.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let BridgeFile { controller, identity } = load_yaml(path)?;
        let base = path.parent().unwrap_or(Path::new("."));
        Ok(Self { controller, identity_dir: resolve(base, &identity.dir), identity_name: identity.name })
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
}
