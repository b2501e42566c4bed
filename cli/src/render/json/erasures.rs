//! Erasures and holds as documents.

use lictor_core::erasure::{Erasure, Hold};
use serde::Serialize;

/// An erasure that waits for consent, or waited.
#[derive(Debug, Serialize)]
pub(crate) struct ErasureDocument {
    id: String,
    scope: String,
    reason: String,
    by: String,
    at: String,
    expires_at: String,
}

/// What became of an erasure.
#[derive(Debug, Serialize)]
pub(crate) struct ErasedDocument {
    pub(crate) erasure: ErasureDocument,
    /// How many records have lost their payload, or would now.
    pub(crate) records: u64,
    /// False: it waits for consent.
    pub(crate) erased: bool,
}

/// A hold.
#[derive(Debug, Serialize)]
pub(crate) struct HoldDocument {
    id: String,
    scope: String,
    reason: String,
    by: String,
    at: String,
    lift_asked_by: Option<String>,
}

/// What became of asking for a hold to be lifted.
#[derive(Debug, Serialize)]
pub(crate) struct LiftedDocument {
    pub(crate) hold: HoldDocument,
    /// False: it waits for another person.
    pub(crate) lifted: bool,
}

// === conversions ===

impl From<&Erasure> for ErasureDocument {
    fn from(erasure: &Erasure) -> Self {
        let Erasure { id, scope, reason, by, at } = erasure;
        Self {
            id: id.to_string(),
            scope: scope.to_string(),
            reason: reason.to_string(),
            by: by.to_string(),
            at: at.to_string(),
            expires_at: erasure.expires_at().to_string(),
        }
    }
}

impl From<&Hold> for HoldDocument {
    fn from(hold: &Hold) -> Self {
        let Hold { id, scope, reason, by, at, lift, version: _ } = hold;
        Self {
            id: id.to_string(),
            scope: scope.to_string(),
            reason: reason.to_string(),
            by: by.to_string(),
            at: at.to_string(),
            lift_asked_by: lift.as_ref().map(|lift| lift.by.to_string()),
        }
    }
}
