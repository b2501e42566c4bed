//! Verifying the log of a running controller, or an exported one.

use std::path::Path;

use lictor_client::audit::SignedHead;
use lictor_core::merkle::TreeHead;
use lictor_runtime::exit::Exit;
use serde::Serialize;

use super::KeyArguments;
use crate::{
    Done,
    audit::{Verified, anchor, bundle, flaw::Flaw, head_under, keys::Keys, part::Part, replay::Replay},
    config::Settings,
    context::{Connected, Context},
    render::audit,
    trouble::Trouble,
};

#[derive(Debug, Serialize)]
struct Document {
    verified: bool,
    log: String,
    records: u64,
    root: String,
    anchored_at: Option<u64>,
    witnesses: Vec<String>,
    started: u64,
    refused_by_sites: u64,
    part: Option<PartDocument>,
}

#[derive(Debug, Serialize)]
struct PartDocument {
    from: u64,
    to: u64,
    filter: Option<String>,
    records: u64,
}

/// Verifies the log of the controller, from its first record to the head it signs now.
pub(super) async fn live(arguments: &KeyArguments, context: &Context) -> Done {
    let connected = context.connect()?;
    let keys = match arguments.load()? {
        Some(keys) => keys,
        None => pinned(&connected.settings)?,
    };
    let verified = verify_live_under(&connected, &keys).await?;
    tell(&verified, &connected.settings.origin()?.to_string(), context)
}

/// As [`live`] with the pinned key, without telling.
pub(crate) async fn verify_live(connected: &Connected) -> Result<Verified, Trouble> {
    verify_live_under(connected, &pinned(&connected.settings)?).await
}

async fn verify_live_under(connected: &Connected, keys: &Keys) -> Result<Verified, Trouble> {
    let origin = connected.settings.origin()?;
    let file = connected.home.checkpoint();
    let known = match keys.log.first() {
        Some(key) => anchor::load(&file, &origin, key)?,
        None => None,
    };
    let (note, head) = signed_head(connected, keys).await?;
    if let Some(known) = known.filter(|known| known.size > head.size) {
        return Err(Flaw::Truncated { known: known.size, now: head.size }.into());
    }
    let mut replay = Replay::new(known);
    each_record(connected, head, |index, content| Ok(replay.push(index, content)?)).await?;
    let verified = Verified { witnesses: keys.witnesses_of(&note)?, ..replay.finish(head)? };
    anchor::keep(&file, &note)?;
    Ok(verified)
}

/// Verifies an exported log.
pub(super) fn offline(file: &Path, arguments: &KeyArguments, context: &Context) -> Done {
    let (log, verified) = verify_file(file, arguments.load()?, context)?;
    tell(&verified, &log, context)
}

/// The name of the log in `file`, and what was found true of it. Without `keys`, the pinned key and what was verified
/// before count.
pub(super) fn verify_file(
    file: &Path,
    keys: Option<Keys>,
    context: &Context,
) -> Result<(String, Verified), Trouble> {
    let (origin, verified) = match keys {
        Some(keys) => bundle::verify(file, None, &keys, None)?,
        None => {
            let home = context.home()?;
            let settings = Settings::load(&home)?;
            let known = home.checkpoint();
            bundle::verify(file, Some(&settings.origin()?), &pinned(&settings)?, Some(&known))?
        }
    };
    Ok((origin.to_string(), verified))
}

/// The head that the controller signs now.
pub(super) async fn signed_head(connected: &Connected, keys: &Keys) -> Result<(String, TreeHead), Trouble> {
    let SignedHead { note, public_key: _ } = connected.operator.checkpoint().await?;
    let head = head_under(&note, &connected.settings.origin()?, keys)?;
    Ok((note, head))
}

/// Gives every record under `head` to `take`.
pub(super) async fn each_record(
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

/// The key that is pinned.
pub(super) fn pinned(settings: &Settings) -> Result<Keys, Trouble> {
    let key = settings.pinned_key()?.ok_or_else(|| {
        Trouble::usage(
            format!("no key is pinned: there is no {}", settings.audit_key.display()),
            "copy audit.pub from the directory that lictor init made on the controller's machine",
        )
    })?;
    Ok(key.into())
}

fn tell(verified: &Verified, log: &str, context: &Context) -> Done {
    let document = Document {
        verified: true,
        log: log.to_owned(),
        records: verified.head.size,
        root: verified.head.root.to_string(),
        anchored_at: verified.anchor.map(|anchor| anchor.size),
        witnesses: verified.witnesses.clone(),
        started: verified.started,
        refused_by_sites: verified.refused,
        part: verified.part.as_ref().map(PartDocument::from),
    };
    context.show(&document, |style| audit::verified(verified, log, style))?;
    Ok(Exit::Ok.into())
}

/// What was verified, in a few words.
pub(super) fn tell_short(verified: &Verified) -> String {
    match &verified.part {
        None => format!("all {} records", verified.head.size),
        Some(part) => format!("a part of {} records, of a log of {}", part.held, verified.head.size),
    }
}

impl From<&Part> for PartDocument {
    fn from(part: &Part) -> Self {
        Self { from: part.from, to: part.to, filter: part.filter.clone(), records: part.held }
    }
}
