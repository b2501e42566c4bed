//! Verifying the log of a running controller or an exported one, and exporting it.

use std::path::Path;

use lictor_certs::{checkpoint::Origin, cosignature::WitnessKey, signer::PublicKey};
use lictor_client::audit::SignedHead;
use lictor_core::merkle::TreeHead;
use lictor_runtime::exit::Exit;
use serde::Serialize;

use crate::{
    Done,
    audit::{Verified, anchor, bundle, flaw::Flaw, log_key, replay::Replay, witnesses},
    config::Settings,
    context::{Connected, Context},
    render::{audit, time::count},
    trouble::Trouble,
};

#[derive(Debug, Serialize)]
struct Document {
    verified: bool,
    log: String,
    records: u64,
    root: String,
    anchored_at: Option<u64>,
    started: u64,
    refused_by_sites: u64,
    /// Those that have cosigned this head, by name.
    witnesses: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Exported<'a> {
    file: &'a Path,
    records: u64,
    root: String,
}

/// Verifies the log of the controller, from its first record to the head it signs now.
pub(super) async fn live(pinned: Option<&[WitnessKey]>, context: &Context) -> Done {
    let connected = context.connect()?;
    let verified = verify_live(&connected).await?;
    tell(&verified, &connected.settings.origin()?, pinned, context)
}

/// As [`live`], without telling.
pub(crate) async fn verify_live(connected: &Connected) -> Result<Verified, Trouble> {
    let (origin, key) = (connected.settings.origin()?, pinned(&connected.settings)?);
    let file = connected.home.checkpoint();
    let Signed { note, head, keys } = signed_head(connected, &key).await?;
    let known = anchor::load(&file, &origin, &keys)?;
    if let Some(known) = known.filter(|known| known.size > head.size) {
        return Err(Flaw::Truncated { known: known.size, now: head.size }.into());
    }
    let mut replay = Replay::new(known);
    each_record(connected, head, |index, content| Ok(replay.push(index, content)?)).await?;
    let verified = replay.finish(head)?.under(&note, &keys)?;
    anchor::keep(&file, &note)?;
    Ok(verified)
}

/// Verifies an exported log.
pub(super) fn offline(
    file: &Path,
    key: Option<PublicKey>,
    witnesses: Option<&[WitnessKey]>,
    context: &Context,
) -> Done {
    let (origin, verified) = if let Some(key) = key {
        bundle::verify(file, None, &key, None)?
    } else {
        let home = context.home()?;
        let settings = Settings::load(&home)?;
        bundle::verify(file, Some(&settings.origin()?), &pinned(&settings)?, Some(&home.checkpoint()))?
    };
    tell(&verified, &origin, witnesses, context)
}

/// Writes the log into `file`.
pub(super) async fn export(file: &Path, context: &Context) -> Done {
    let (verified, key) = export_to(&context.connect()?, file).await?;
    let head = verified.head;
    let document = Exported { file, records: head.size, root: head.root.to_string() };
    context.show(&document, |_| {
        let records = count(usize::try_from(head.size).unwrap_or(usize::MAX), "record");
        format!(
            "wrote {records} to {}\nverify it anywhere: lictor audit verify FILE --key {key}\n",
            file.display()
        )
    })?;
    Ok(Exit::Ok.into())
}

/// As [`export`], without telling. Verifies on the way: what does not verify is not exported as if it did.
pub(crate) async fn export_to(connected: &Connected, file: &Path) -> Result<(Verified, PublicKey), Trouble> {
    let key = pinned(&connected.settings)?;
    let Signed { note, head, keys } = signed_head(connected, &key).await?;
    let mut writer = bundle::Writer::create(file, &note)?;
    let mut replay = Replay::new(None);
    let at = |e: std::io::Error| Trouble::file("write", file, &e);
    each_record(connected, head, |index, content| {
        replay.push(index, content)?;
        writer.record(content).map_err(at)
    })
    .await?;
    writer.finish().map_err(at)?;
    Ok((replay.finish(head)?.under(&note, &keys)?, key))
}

/// A head, and the keys from the pinned one to the one that signed it.
struct Signed {
    note: String,
    head: TreeHead,
    keys: Vec<PublicKey>,
}

async fn signed_head(connected: &Connected, key: &PublicKey) -> Result<Signed, Trouble> {
    let SignedHead { note, public_key: _, key_rotations } = connected.operator.checkpoint().await?;
    let rotations = key_rotations.iter().map(String::as_str);
    let (keys, head) = log_key::follow_to(&note, &connected.settings.origin()?, key, rotations)?;
    Ok(Signed { note, head, keys })
}

/// Gives every record under `head` to `take`.
async fn each_record(
    connected: &Connected,
    head: TreeHead,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    if head.size == 0 {
        return Ok(());
    }
    let mut export = connected.operator.export_audit(0, Some(head.size)).await?;
    while let Some(record) = export.next().await? {
        take(record.index, &record.content)?;
    }
    Ok(())
}

pub(super) fn pinned(settings: &Settings) -> Result<PublicKey, Trouble> {
    settings.pinned_key()?.ok_or_else(|| {
        Trouble::usage(
            format!("no key is pinned: there is no {}", settings.audit_key.display()),
            "copy audit.pub from the directory that lictor init made on the controller's machine",
        )
    })
}

fn tell(verified: &Verified, log: &Origin, pinned: Option<&[WitnessKey]>, context: &Context) -> Done {
    let cosigned = witnesses::of(verified, log, pinned)?;
    let document = Document {
        verified: true,
        log: log.to_string(),
        records: verified.head.size,
        root: verified.head.root.to_string(),
        anchored_at: verified.anchor.map(|anchor| anchor.size),
        started: verified.started,
        refused_by_sites: verified.refused,
        witnesses: cosigned.iter().map(|one| one.witness.to_string()).collect(),
    };
    context.show(&document, |style| audit::verified(verified, &cosigned, log.as_str(), style))?;
    Ok(Exit::Ok.into())
}
