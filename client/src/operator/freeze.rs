//! The emergency freeze: set, lifted, listed.

use lictor_core::{
    error::Failure,
    freeze::{Freeze, FreezeReason, FreezeScope},
    id::FreezeId,
};
use lictor_proto::{
    convert::{Invalid, required},
    pb,
};

use super::Operator;
use crate::{connect::CALL_DEADLINE, failure::not_understood};

/// A freeze that is in force and recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeDone {
    /// The freeze.
    pub freeze: Freeze,
    /// Agents, as `site/agent`, that did not confirm within a second that nothing starts there any more; what they were
    /// offered before may still start.
    pub unconfirmed_agents: Vec<String>,
}

/// A freeze in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeView {
    /// The freeze.
    pub freeze: Freeze,
    /// False: it could not be recorded yet, and is lost when the controller restarts.
    pub recorded: bool,
}

// === impl Operator ===

impl Operator {
    /// Freezes `scope`: nothing new starts there. What runs goes on.
    ///
    /// # Errors
    /// `NOT_FOUND` for a site or host that is not known. `AUDIT_UNAVAILABLE` when it could not be recorded; the detail
    /// `in_force` says that it holds all the same. `FORBIDDEN` for others than operators, or that the controller cannot be
    /// reached.
    pub async fn freeze(&self, scope: &FreezeScope, reason: &FreezeReason) -> Result<FreezeDone, Failure> {
        let request = pb::FreezeRequest { scope: Some(scope.into()), reason: reason.to_string() };
        let mut service = self.client.freeze_service();
        let pb::FreezeResponse { freeze, unconfirmed_agents } =
            self.client.answer(CALL_DEADLINE, service.freeze(request)).await?;
        Ok(FreezeDone { freeze: read(freeze).map_err(|e| not_understood(&e))?, unconfirmed_agents })
    }

    /// Lifts a freeze; answers it.
    ///
    /// # Errors
    /// `NOT_FOUND` when it is not in force, `FORBIDDEN` for others than operators, or that the controller refuses or cannot
    /// be reached.
    pub async fn lift_freeze(&self, id: FreezeId) -> Result<Freeze, Failure> {
        let mut service = self.client.freeze_service();
        let request = pb::LiftFreezeRequest { id: id.to_string() };
        let answer = self.client.answer(CALL_DEADLINE, service.lift(request)).await?;
        read(answer.freeze).map_err(|e| not_understood(&e))
    }

    /// The freezes in force, oldest first.
    ///
    /// # Errors
    /// `FORBIDDEN` for others than operators, or that the controller cannot be reached.
    pub async fn freezes(&self) -> Result<Vec<FreezeView>, Failure> {
        let mut service = self.client.freeze_service();
        let answer = self.client.answer(CALL_DEADLINE, service.list(pb::ListFreezesRequest {})).await?;
        let view = |listed: pb::ListedFreeze| {
            Ok(FreezeView { freeze: read(listed.freeze)?, recorded: listed.recorded })
        };
        let freezes = answer.freezes.into_iter().map(view).collect::<Result<_, Invalid>>();
        freezes.map_err(|e| not_understood(&e))
    }
}

fn read(freeze: Option<pb::Freeze>) -> Result<Freeze, Invalid> {
    required("freeze", freeze)?.try_into()
}
