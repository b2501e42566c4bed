//! Proving the audit log: what was exported, replayed and held against a signed head that a pinned key made.

pub(crate) mod anchor;
pub(crate) mod bundle;
pub(crate) mod flaw;
pub(crate) mod formats;
pub(crate) mod keys;
mod lines;
pub(crate) mod part;
pub(crate) mod replay;
pub mod verdict;

use lictor_certs::{
    checkpoint::{CheckpointError, Origin, verify_checkpoint},
    signer::PublicKey,
};
use lictor_core::merkle::TreeHead;

use self::{flaw::Flaw, keys::Keys, part::Part};

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
    /// Which part of the log was there; `None`: all of it.
    pub(crate) part: Option<Part>,
    /// Witnesses whose keys are known that signed the head as well.
    pub(crate) witnesses: Vec<String>,
}

/// The head that `note` proves.
pub(crate) fn head_of(note: &str, origin: &Origin, key: &PublicKey) -> Result<TreeHead, Flaw> {
    verify_checkpoint(note, origin, key).map_err(|error| match error {
        CheckpointError::OtherOrigin => Flaw::OtherLog(origin.to_string()),
        CheckpointError::NotSigned => Flaw::OtherKey,
        CheckpointError::FalseSignature | CheckpointError::Malformed => Flaw::Checkpoint(error.to_string()),
    })
}

/// The head that `note` proves with any of the log's `keys`.
pub(crate) fn head_under(note: &str, origin: &Origin, keys: &Keys) -> Result<TreeHead, Flaw> {
    let mut flaw = Flaw::OtherKey;
    for key in &keys.log {
        match head_of(note, origin, key) {
            Err(Flaw::OtherKey) => {}
            Err(other) => flaw = other,
            Ok(head) => return Ok(head),
        }
    }
    Err(flaw)
}
