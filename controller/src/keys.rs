//! The controller's own signing keys: one for grants, one for checkpoints of the audit log.

use std::path::Path;

use lictor_certs::signer::{SigningKey, SigningKeyError};

/// Both keys.
#[derive(Debug)]
pub struct ControllerKeys {
    /// Signs grants; agents pin its public half when they join.
    pub grants: SigningKey,
    /// Signs checkpoints; whoever verifies the audit pins its public half.
    pub checkpoints: SigningKey,
}

impl ControllerKeys {
    /// Loads the keys from the folder `keys` in `state`, or makes them.
    ///
    /// # Errors
    /// [`SigningKeyError`] when a key cannot be read or made.
    pub fn load_or_create(state: &Path) -> Result<Self, SigningKeyError> {
        let dir = state.join("keys");
        let made = std::fs::create_dir_all(&dir);
        made.map_err(|source| SigningKeyError::Io { path: dir.display().to_string(), source })?;
        Ok(Self {
            grants: SigningKey::load_or_create(&dir.join("grants.key"))?,
            checkpoints: SigningKey::load_or_create(&dir.join("audit.key"))?,
        })
    }
}
