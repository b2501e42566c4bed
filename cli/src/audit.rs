//! Proving the audit log: what was exported, replayed and held against a signed head that a pinned key made.

pub(crate) mod anchor;
pub(crate) mod bundle;
mod consent;
pub(crate) mod flaw;
pub(crate) mod formats;
pub(crate) mod keys;
mod lines;
mod log_key;
pub(crate) mod part;
pub(crate) mod payloads;
pub(crate) mod replay;
pub(crate) mod report;
pub mod verdict;
pub(crate) mod witnesses;

use lictor_certs::{
    checkpoint::{CheckpointError, Origin, verify_checkpoint},
    cosignature::WitnessKey,
    signer::PublicKey,
};
use lictor_core::merkle::TreeHead;

use self::{flaw::Flaw, keys::Keys, part::Part, payloads::PayloadCounts};

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
    /// The key that signs since the last rotation that the log has, in base64.
    pub(crate) rotated_to: Option<String>,
}

// === impl Verified ===

impl Verified {
    /// The same under `note`, which `signer` signed: once the log says that another key signs, it must be that.
    pub(crate) fn under(self, note: &str, signer: &PublicKey) -> Result<Self, Flaw> {
        match &self.rotated_to {
            Some(key) if *key != signer.to_string() => Err(Flaw::RetiredKey),
            _ => Ok(Self { note: note.to_owned(), ..self }),
        }
    }
}

/// The head that `note` proves.
pub(crate) fn head_of(note: &str, origin: &Origin, key: &PublicKey) -> Result<TreeHead, Flaw> {
    verify_checkpoint(note, origin, key).map_err(|error| match error {
        CheckpointError::OtherOrigin => Flaw::OtherLog(origin.to_string()),
        CheckpointError::NotSigned => Flaw::OtherKey,
        CheckpointError::FalseSignature | CheckpointError::Malformed => Flaw::Checkpoint(error.to_string()),
    })
}

/// The head that `note` proves with any of the log's `keys`, and that key.
pub(crate) fn head_under(note: &str, origin: &Origin, keys: &Keys) -> Result<(TreeHead, PublicKey), Flaw> {
    let mut flaw = Flaw::OtherKey;
    for key in &keys.log {
        match head_of(note, origin, key) {
            Err(Flaw::OtherKey) => {}
            Err(other) => flaw = other,
            Ok(head) => return Ok((head, *key)),
        }
    }
    Err(flaw)
}
