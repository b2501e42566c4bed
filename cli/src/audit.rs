//! Proving the audit log: what was exported, replayed and held against a signed head that a pinned key made.

pub(crate) mod anchor;
pub(crate) mod bundle;
mod consent;
pub(crate) mod flaw;
pub(crate) mod log_key;
pub(crate) mod replay;
pub(crate) mod witnesses;

use lictor_certs::{
    checkpoint::{CheckpointError, Origin, verify_checkpoint},
    cosignature::WitnessKey,
    signer::PublicKey,
};
use lictor_core::merkle::TreeHead;

use self::flaw::Flaw;

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
    /// The signed note of the head, with cosignatures.
    pub(crate) note: String,
    /// The witnesses that the log names.
    pub(crate) enrolled: Vec<WitnessKey>,
    /// The key that signs since the last rotation that the log has, in base64.
    pub(crate) rotated_to: Option<String>,
}

// === impl Verified ===

impl Verified {
    /// The same under `note`, which the last of `keys` signed: once the log says that another key signs, it must be that.
    pub(crate) fn under(self, note: &str, keys: &[PublicKey]) -> Result<Self, Flaw> {
        let signer = keys.last().map(ToString::to_string);
        match &self.rotated_to {
            Some(_) if self.rotated_to != signer => Err(Flaw::RetiredKey),
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
