//! Freezes as documents.

use lictor_client::operator::{FreezeDone, FreezeView};
use lictor_core::freeze::Freeze;
use serde::Serialize;

/// A freeze.
#[derive(Debug, Serialize)]
pub(crate) struct FreezeDocument {
    id: String,
    scope: String,
    reason: String,
    by: String,
    at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    recorded: Option<bool>,
}

/// A freeze that is in force.
#[derive(Debug, Serialize)]
pub(crate) struct FreezeDoneDocument {
    freeze: FreezeDocument,
    unconfirmed_agents: Vec<String>,
}

// === conversions ===

impl From<&Freeze> for FreezeDocument {
    fn from(freeze: &Freeze) -> Self {
        let Freeze { id, scope, reason, by, at } = freeze;
        Self {
            id: id.to_string(),
            scope: scope.to_string(),
            reason: reason.to_string(),
            by: by.to_string(),
            at: at.to_string(),
            recorded: None,
        }
    }
}

impl From<&FreezeView> for FreezeDocument {
    fn from(view: &FreezeView) -> Self {
        Self { recorded: Some(view.recorded), ..Self::from(&view.freeze) }
    }
}

impl From<&FreezeDone> for FreezeDoneDocument {
    fn from(done: &FreezeDone) -> Self {
        let freeze = FreezeDocument { recorded: Some(true), ..FreezeDocument::from(&done.freeze) };
        Self { freeze, unconfirmed_agents: done.unconfirmed_agents.clone() }
    }
}
