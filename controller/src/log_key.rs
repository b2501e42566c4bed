//! Replacing the key that signs the audit log: the old key names the new one, the log has it, then the files change.
//!
//! The order makes every crash harmless: the new key is a file first, then a record, and only then the one in use. A
//! rotation that was recorded and not finished is finished by the next start; one that was not recorded never was.

use std::{fs, io, path::Path};

use anyhow::Context as _;
use lictor_certs::{
    ca::Authority,
    checkpoint::verifier_key,
    rotation::{MAX_ROTATIONS, sign_rotation},
    signer::SigningKey,
};
use lictor_core::{
    audit::{AuditEvent, WitnessEvent},
    clock::Clock as _,
};
use lictor_runtime::clock::SystemClock;
use lictor_store::{Change, Store, embedded::EmbeddedStore};

use crate::{
    checkpoint::origin,
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
    let origin = origin(authority.domain(), &config.tenant)?;
    let state = config.state.clone();
    let store = tokio::task::spawn_blocking(move || EmbeddedStore::open(&state)).await??;
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
