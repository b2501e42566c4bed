//! Replacing the key that signs the audit log: the old key names the new one, the log has it, then the files change.
//!
//! The order makes every crash harmless: the new key is a file first, then a record, and only then the one in use. A
//! rotation that was recorded and not finished is finished by the next start; one that was not recorded never was.

use std::{fs, io, path::Path};

use anyhow::Context as _;
use lictor_certs::{
    ca::Authority,
    checkpoint::{Origin, verifier_key},
    rotation::{MAX_ROTATIONS, sign_rotation},
    signer::SigningKey,
};
use lictor_core::{
    audit::{AuditEvent, WitnessEvent},
    clock::Clock as _,
};
use lictor_runtime::{clock::SystemClock, panics::Interrupted};
use lictor_store::{Change, Store, embedded::EmbeddedStore};

use crate::{
    config::ControllerConfig,
    keys::{ControllerKeys, LOG_KEY_FILE, keys_dir},
};

/// The key that is to sign next.
const NEXT_KEY_FILE: &str = "audit-next.key";
/// Every rotation, oldest first: one JSON text a line.
const ROTATIONS_FILE: &str = "audit-rotations.jsonl";

/// Replaces the key of a controller that is not running. Gives what to tell whoever asked for it.
///
/// # Errors
/// With what to mend; the key is then the one before, or the next start finishes the rotation.
pub async fn rotate(config: &ControllerConfig) -> anyhow::Result<String> {
    let authority =
        Authority::load(&config.pki, &config.passphrase()?).context("the certificate authority")?;
    let origin = Origin::of_tenant(authority.domain(), &config.tenant)?;
    let state = config.state.clone();
    let store = tokio::task::spawn_blocking(move || EmbeddedStore::open(&state)).await;
    let store = store.map_err(Interrupted::from)??;
    finish_rotation(&config.state, &store).await?;
    anyhow::ensure!(
        rotations(&config.state)?.len() < MAX_ROTATIONS,
        "the key was rotated {MAX_ROTATIONS} times, which is the most that verifiers follow"
    );
    let old = ControllerKeys::load_or_create(&config.state)?.checkpoints;
    let new = SigningKey::load_or_create(&keys_dir(&config.state).join(NEXT_KEY_FILE))?.public_key();
    let event = WitnessEvent::KeyRotated {
        old_key: old.public_key().to_string(),
        new_key: new.to_string(),
        statement: sign_rotation(&origin, &old, &new),
    };
    let change = Change::new(SystemClock.now(), AuditEvent::Witness(Box::new(event)));
    let _recorded = store.commit(change).await?;
    finish_rotation(&config.state, &store).await?;
    Ok(format!(
        "{} signs the audit log from now on\nit is recorded, signed with the key before; who pins an older key follows\n\
         pin the new one wherever the log is verified (audit.pub):\n{new}\n",
        verifier_key(&origin, &new)
    ))
}

/// Finishes a rotation that was recorded: nothing else is recorded between, so its record is the last one.
///
/// # Errors
/// When the log or a file cannot be read or written.
pub async fn finish_rotation(state: &Path, store: &dyn Store) -> anyhow::Result<()> {
    let dir = keys_dir(state);
    let next = dir.join(NEXT_KEY_FILE);
    if !next.exists() {
        return Ok(());
    }
    let key = SigningKey::load(&next)?.public_key();
    let size = store.audit_head().await?.size;
    let Some(last) = store.audit(size.saturating_sub(1), 1).await?.pop() else { return Ok(()) };
    let record: serde_json::Value = serde_json::from_slice(&last.content)?;
    let text = |name: &str| record.get(name).and_then(serde_json::Value::as_str);
    let (Some("log_key_rotated"), Some(new), Some(statement)) =
        (text("kind"), text("new_key"), text("statement"))
    else {
        return Ok(());
    };
    if new != key.to_string() {
        return Ok(());
    }
    let mut all = rotations(state)?;
    if all.last().map(String::as_str) != Some(statement) {
        all.push(statement.to_owned());
    }
    let mut lines = String::new();
    for statement in &all {
        lines.push_str(&serde_json::to_string(statement)?);
        lines.push('\n');
    }
    let aside = dir.join("audit-rotations.new");
    fs::write(&aside, lines)?;
    fs::File::open(&aside)?.sync_all()?;
    fs::rename(&aside, dir.join(ROTATIONS_FILE))?;
    // On disk before the key is: a key to which nothing leads would be a stranger's.
    fs::File::open(&dir)?.sync_all()?;
    fs::rename(&next, dir.join(LOG_KEY_FILE))?;
    fs::File::open(&dir)?.sync_all()?;
    tracing::info!(%key, "another key signs the audit log from now on");
    Ok(())
}

/// What leads from earlier keys to the one in use, oldest first.
///
/// # Errors
/// When the file is damaged.
pub fn rotations(state: &Path) -> anyhow::Result<Vec<String>> {
    let path = keys_dir(state).join(ROTATIONS_FILE);
    let text = match fs::read_to_string(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| path.display().to_string())?,
    };
    let read = text.lines().map(serde_json::from_str).collect::<Result<_, _>>();
    read.with_context(|| format!("{} is damaged; restore it from the backup", path.display()))
}

#[cfg(test)]
mod tests {
    use lictor_certs::{rotation::follow, signer::PublicKey};
    use lictor_core::clock::Timestamp;
    use lictor_store::memory::MemoryStore;

    use super::*;

    struct Setting {
        dir: tempfile::TempDir,
        store: MemoryStore,
        old: PublicKey,
        origin: Origin,
    }

    impl Setting {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let old = ControllerKeys::load_or_create(dir.path()).unwrap().checkpoints.public_key();
            let origin = Origin::new("fleet.example/audit/acme").unwrap();
            Self { dir, store: MemoryStore::new(), old, origin }
        }
        /// The first step of a rotation: the file with the next key.
        fn next(&self) -> PublicKey {
            SigningKey::load_or_create(&keys_dir(self.dir.path()).join(NEXT_KEY_FILE)).unwrap().public_key()
        }
        /// The second step: the record.
        async fn record(&self, new: &PublicKey) {
            let old = ControllerKeys::load_or_create(self.dir.path()).unwrap().checkpoints;
            let event = WitnessEvent::KeyRotated {
                old_key: old.public_key().to_string(),
                new_key: new.to_string(),
                statement: sign_rotation(&self.origin, &old, new),
            };
            let change = Change::new(Timestamp::from_micros(1), AuditEvent::Witness(Box::new(event)));
            let _recorded = self.store.commit(change).await.unwrap();
        }
        /// What a start makes of it: the key that signs, and the one to which whoever pins the first one comes.
        async fn start(&self) -> (PublicKey, PublicKey) {
            finish_rotation(self.dir.path(), &self.store).await.unwrap();
            let key = ControllerKeys::load_or_create(self.dir.path()).unwrap().checkpoints.public_key();
            let all = rotations(self.dir.path()).unwrap();
            let followed = follow(&self.old, &self.origin, all.iter().map(String::as_str));
            (key, *followed.last().unwrap())
        }
    }

    #[tokio::test]
    async fn a_rotation_that_was_cut_off_never_happened_or_is_finished_by_the_next_start() {
        let setting = Setting::new();
        assert_eq!(setting.start().await, (setting.old, setting.old));
        let new = setting.next();
        assert_eq!(setting.start().await, (setting.old, setting.old), "it is not recorded");
        let event = AuditEvent::ControllerStarted { name: "c".into() };
        let _recorded = setting.store.commit(Change::new(Timestamp::from_micros(1), event)).await.unwrap();
        assert_eq!(setting.start().await, (setting.old, setting.old), "something else is recorded last");

        assert_eq!(setting.next(), new, "the key that was made is used");
        setting.record(&new).await;
        assert_eq!(setting.start().await, (new, new));
        assert_eq!(setting.start().await, (new, new), "and once");

        // Cut off between the two files: the list has it, the key is still the one before.
        let newer = setting.next();
        setting.record(&newer).await;
        let keys = keys_dir(setting.dir.path());
        let next = fs::read(keys.join(NEXT_KEY_FILE)).unwrap();
        let before = fs::read(keys.join(LOG_KEY_FILE)).unwrap();
        assert_eq!(setting.start().await, (newer, newer));
        for (file, bytes) in [(LOG_KEY_FILE, before), (NEXT_KEY_FILE, next)] {
            use std::os::unix::fs::PermissionsExt as _;
            fs::write(keys.join(file), bytes).unwrap();
            fs::set_permissions(keys.join(file), fs::Permissions::from_mode(0o600)).unwrap();
        }
        assert_eq!(setting.start().await, (newer, newer));
        assert_eq!(rotations(setting.dir.path()).unwrap().len(), 2);
    }
}
