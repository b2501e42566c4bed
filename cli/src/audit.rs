//! Proving the audit log: what was exported, replayed and held against a signed head that a pinned key made.

pub(crate) mod anchor;
pub(crate) mod bundle;
mod consent;
pub(crate) mod flaw;
pub(crate) mod formats;
pub(crate) mod keys;
mod lines;
pub(crate) mod part;
pub(crate) mod payloads;
pub(crate) mod replay;
pub(crate) mod report;
mod rotations;
pub mod verdict;
pub(crate) mod witnesses;

use lictor_certs::{
    checkpoint::{CheckpointError, Origin, unverified_head, verify_checkpoint},
    cosignature::WitnessKey,
    signer::PublicKey,
};
use lictor_core::merkle::TreeHead;

use self::{flaw::Flaw, part::Part, payloads::PayloadCounts};

/// What was found true.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Verified {
    /// The head that every record leads to.
    pub(crate) head: TreeHead,
    /// The head that was known before, whose records are the first ones of this log.
    pub(crate) anchor: Option<TreeHead>,
    /// Time of the first and of the last record, as they say it.
    pub(crate) times: Option<(String, String)>,
    /// Commands that were started, each with an intent recorded before.
    pub(crate) started: u64,
    /// Refusals by sites, each signed by the agent that refused.
    pub(crate) refused: u64,
    /// What became of payloads.
    pub(crate) payloads: PayloadCounts,
    /// Which part of the log was there; `None`: all of it.
    pub(crate) part: Option<Part>,
    /// The signed note of the head, with cosignatures.
    pub(crate) note: String,
    /// The witnesses that the log names, as far as its records were there.
    pub(crate) enrolled: Vec<WitnessKey>,
    /// The keys that were trusted, with those that the log's rotations lead to.
    pub(crate) trusted: Vec<PublicKey>,
    /// The key that signs since the last rotation that the log has.
    pub(crate) rotated_to: Option<PublicKey>,
}

// === impl Verified ===

impl Verified {
    /// The same under `note`, which a trusted key signed: once the log says that another key signs, it must be that.
    pub(crate) fn under(self, note: &str, origin: &Origin) -> Result<Self, Flaw> {
        let signers = signers(note, origin, &self.trusted)?;
        match &self.rotated_to {
            _ if signers.is_empty() => Err(Flaw::OtherKey),
            Some(key) if !signers.contains(key) => Err(Flaw::RetiredKey),
            _ => Ok(Self { note: note.to_owned(), ..self }),
        }
    }
}

/// The head that `note` proves.
pub(crate) fn head_of(note: &str, origin: &Origin, key: &PublicKey) -> Result<TreeHead, Flaw> {
    verify_checkpoint(note, origin, key).map_err(|error| flaw_of(error, origin))
}

/// The head that `note` says the log has, whoever signed it.
pub(crate) fn said_by(note: &str, origin: &Origin) -> Result<TreeHead, Flaw> {
    unverified_head(note, origin).map_err(|error| flaw_of(error, origin))
}

fn flaw_of(error: CheckpointError, origin: &Origin) -> Flaw {
    match error {
        CheckpointError::OtherOrigin => Flaw::OtherLog(origin.to_string()),
        CheckpointError::NotSigned => Flaw::OtherKey,
        CheckpointError::FalseSignature | CheckpointError::Malformed => Flaw::Checkpoint(error.to_string()),
    }
}

/// Which of `keys` signed `note`. Whatever claims to be signed with one of them must be, even if another one did sign.
pub(crate) fn signers(note: &str, origin: &Origin, keys: &[PublicKey]) -> Result<Vec<PublicKey>, Flaw> {
    let mut found = Vec::new();
    for key in keys {
        match head_of(note, origin, key) {
            Err(Flaw::OtherKey) => {}
            Err(other) => return Err(other),
            Ok(_) => found.push(*key),
        }
    }
    Ok(found)
}
