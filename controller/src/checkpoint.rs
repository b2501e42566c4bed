//! Signed heads of the audit log: on demand, and while there is activity, in a file for others to carry away.

use std::{path::PathBuf, sync::Arc, time::Duration};

use lictor_certs::{
    checkpoint::{InvalidOrigin, Origin, sign_checkpoint},
    identity::TrustDomain,
    signer::{PublicKey, SigningKey},
};
use lictor_core::{merkle::TreeHead, name::TenantName};
use lictor_store::{Store, StoreError};

/// How often a new head is signed while there is activity.
const EVERY: Duration = Duration::from_secs(1);

/// Signs heads.
#[derive(Debug)]
pub struct Checkpoints {
    store: Arc<dyn Store>,
    key: SigningKey,
    origin: Origin,
    file: PathBuf,
}

/// The name of a tenant's log.
///
/// # Errors
/// [`InvalidOrigin`]; names and domains have no character that it refuses.
pub fn origin(domain: &TrustDomain, tenant: &TenantName) -> Result<Origin, InvalidOrigin> {
    Origin::new(&format!("{}/audit/{tenant}", domain.as_str()))
}

impl Checkpoints {
    /// Signs heads of `store` with `key`; the newest is also written to `file`.
    pub const fn new(store: Arc<dyn Store>, key: SigningKey, origin: Origin, file: PathBuf) -> Self {
        Self { store, key, origin, file }
    }
    /// The public half of the key.
    pub const fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }

    /// The head as it is now, signed.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn sign_now(&self) -> Result<String, StoreError> {
        let head = self.store.audit_head().await?;
        Ok(sign_checkpoint(&self.origin, &head, &self.key))
    }

    /// Keeps the file at the newest head; never returns.
    pub async fn keep_file(self: Arc<Self>) {
        let mut written: Option<TreeHead> = None;
        loop {
            tokio::time::sleep(EVERY).await;
            let Ok(head) = self.store.audit_head().await else { continue };
            if written == Some(head) {
                continue;
            }
            let note = sign_checkpoint(&self.origin, &head, &self.key);
            let temporary = self.file.with_extension("new");
            let saved =
                std::fs::write(&temporary, note).and_then(|()| std::fs::rename(&temporary, &self.file));
            match saved {
                Ok(()) => written = Some(head),
                Err(error) => {
                    tracing::warn!(%error, file = %self.file.display(), "cannot write the checkpoint")
                }
            }
        }
    }
}
