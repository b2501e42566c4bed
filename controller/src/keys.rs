//! The controller's own signing keys: one for grants, one for checkpoints of the audit log.

use std::path::{Path, PathBuf};

use lictor_certs::signer::{SigningKey, SigningKeyError};

/// The file with the key that signs the audit log.
pub(crate) const LOG_KEY_FILE: &str = "audit.key";

/// Both keys.
#[derive(Debug)]
pub struct ControllerKeys {
    /// Signs grants; agents pin its public half when they join.
    pub grants: SigningKey,
    /// Signs checkpoints; whoever verifies the audit pins its public half.
    pub checkpoints: SigningKey,
}

/// Where the keys are.
pub(crate) fn keys_dir(state: &Path) -> PathBuf {
    state.join("keys")
}

impl ControllerKeys {
    /// Loads the keys from the folder `keys` in `state`, or makes them.
    ///
    /// # Errors
    /// [`SigningKeyError`] when a key cannot be read or made.
    pub fn load_or_create(state: &Path) -> Result<Self, SigningKeyError> {
        let dir = keys_dir(state);
        let made = std::fs::create_dir_all(&dir);
        made.map_err(|source| SigningKeyError::Io { path: dir.display().to_string(), source })?;
        Ok(Self {
            grants: SigningKey::load_or_create(&dir.join("grants.key"))?,
            checkpoints: SigningKey::load_or_create(&dir.join(LOG_KEY_FILE))?,
        })
    }
}
