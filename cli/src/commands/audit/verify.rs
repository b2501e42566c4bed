//! Verifying the log of a running controller, or an exported one.

use std::path::Path;

use lictor_certs::{checkpoint::Origin, cosignature::WitnessKey, signer::PublicKey};
use lictor_client::audit::{AuditRecord, SignedHead};
use lictor_core::merkle::TreeHead;
use lictor_runtime::exit::Exit;
use serde::Serialize;

use super::KeyArguments;
use crate::{
    Done,
    audit::{
        Verified, anchor, bundle,
        flaw::Flaw,
        keys::Keys,
        part::Part,
        payloads::{self, PayloadCounts},
        replay::Replay,
        said_by, signers, witnesses,
    },
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
    /// Those that have cosigned this head, by name.
    witnesses: Vec<String>,
    /// Whether their keys are known from elsewhere than the log itself.
    witnesses_pinned: bool,
    started: u64,
    refused_by_sites: u64,
    payloads: PayloadCounts,
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
pub(super) async fn live(
    arguments: &KeyArguments,
    witnesses: Option<&[WitnessKey]>,
    context: &Context,
) -> Done {
    let connected = context.connect()?;
    let keys = match arguments.load()? {
        Some(keys) => keys,
        None => pinned(&connected.settings)?,
    };
    let verified = verify_live_under(&connected, &keys).await?;
    tell(&verified, &connected.settings.origin()?, witnesses.or(keys.pinned_witnesses()), context)
}

/// As [`live`] with the pinned key, without telling.
pub(crate) async fn verify_live(connected: &Connected) -> Result<Verified, Trouble> {
    verify_live_under(connected, &pinned(&connected.settings)?).await
}

async fn verify_live_under(connected: &Connected, keys: &Keys) -> Result<Verified, Trouble> {
    let origin = connected.settings.origin()?;
    let file = connected.home.checkpoint();
    let Signed { note, head, signer, keys } = signed_head(connected, keys).await?;
    let known = anchor::load(&file, &origin, &keys)?;
    if let Some(known) = known.filter(|known| known.size > head.size) {
        return Err(Flaw::Truncated { known: known.size, now: head.size }.into());
    }
    let mut replay = Replay::new(&origin, keys, known);
    each_sealed(connected, head, |record| {
        Ok(replay.push(record.index, &record.content, Some(&record.payload))?)
    })
    .await?;
    let verified = replay.finish(head)?.under(&note, &origin)?;
    anchor::keep(&file, &note, &signer)?;
    Ok(verified)
}

/// Verifies an exported log.
pub(super) fn offline(
    file: &Path,
    arguments: &KeyArguments,
    witnesses: Option<&[WitnessKey]>,
    context: &Context,
) -> Done {
    let keys = arguments.load()?;
    let (log, verified) = verify_file(file, keys.as_ref(), witnesses, context)?;
    let witnesses = witnesses.or(keys.as_ref().and_then(Keys::pinned_witnesses));
    tell(&verified, &log, witnesses, context)
}

/// The name of the log in `file`, and what was found true of it. Without `keys`, the pinned key and what was verified
/// before count; without `witnesses`, those of `keys` or of the log do.
pub(super) fn verify_file(
    file: &Path,
    keys: Option<&Keys>,
    witnesses: Option<&[WitnessKey]>,
    context: &Context,
) -> Result<(Origin, Verified), Trouble> {
    if let Some(keys) = keys {
        return bundle::verify(file, None, &keys.clone().with_witnesses(witnesses), None);
    }
    let home = context.home().map_err(|trouble| {
        Trouble::usage(
            trouble.to_string(),
            "name the log's public key with --key KEY, or a file of keys with --keys FILE; or, with --dir, a \
             directory that pins it",
        )
    })?;
    let settings = Settings::load(&home)?;
    let keys = pinned(&settings)?.with_witnesses(witnesses);
    bundle::verify(file, Some(&settings.origin()?), &keys, Some(&home.checkpoint()))
}

/// The head that the controller signs now.
pub(super) struct Signed {
    pub(super) note: String,
    pub(super) head: TreeHead,
    /// The key that signed it.
    pub(super) signer: PublicKey,
    /// Those that are trusted for this log, with those that they lead to.
    pub(super) keys: Vec<PublicKey>,
}

pub(super) async fn signed_head(connected: &Connected, keys: &Keys) -> Result<Signed, Trouble> {
    let SignedHead { note, public_key: _, key_rotations } = connected.operator.checkpoint().await?;
    let origin = connected.settings.origin()?;
    let keys = keys.followed(&origin, key_rotations.iter().map(String::as_str));
    let head = said_by(&note, &origin)?;
    let signer = signers(&note, &origin, &keys)?.last().copied().ok_or(Flaw::OtherKey)?;
    Ok(Signed { note, head, signer, keys })
}

/// Gives every record under `head` to `take` as it is read, with its payload.
pub(super) async fn each_record(
    connected: &Connected,
    head: TreeHead,
    mut take: impl FnMut(u64, &[u8]) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    each_sealed(connected, head, |record| take(record.index, &payloads::read(record))).await
}

/// Gives every record under `head` to `take`, as it is kept.
pub(super) async fn each_sealed(
    connected: &Connected,
    head: TreeHead,
    mut take: impl FnMut(&AuditRecord) -> Result<(), Trouble>,
) -> Result<(), Trouble> {
    if head.size == 0 {
        return Ok(());
    }
    let mut export = connected.operator.export_audit(0, Some(head.size)).await?;
    while let Some(record) = export.next().await? {
        take(&record)?;
    }
    Ok(())
}

/// The key that is pinned, to verify with.
pub(super) fn pinned(settings: &Settings) -> Result<Keys, Trouble> {
    pinned_key(settings).map(Keys::from)
}

/// The key that is pinned.
pub(super) fn pinned_key(settings: &Settings) -> Result<PublicKey, Trouble> {
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
        witnesses_pinned: pinned.is_some(),
        witnesses: cosigned.iter().map(|one| one.witness.to_string()).collect(),
        started: verified.started,
        refused_by_sites: verified.refused,
        payloads: verified.payloads,
        part: verified.part.as_ref().map(PartDocument::from),
    };
    context.show(&document, |style| {
        audit::verified(verified, &cosigned, pinned.is_some(), log.as_str(), style)
    })?;
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
