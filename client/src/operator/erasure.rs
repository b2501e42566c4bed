//! Payloads of the audit log: erased when two people want it, and held.

use lictor_core::{
    approval::Note,
    erasure::{Erasure, Hold, PayloadScope},
    error::Failure,
    id::{ErasureId, HoldId},
};
use lictor_proto::{
    convert::{Invalid, required},
    pb,
};

use super::Operator;
use crate::{connect::CALL_DEADLINE, failure::not_understood};

/// How long the controller may take to look through its log and to overwrite what it erases. It goes on when nobody waits.
const ERASE_DEADLINE: std::time::Duration = std::time::Duration::from_secs(600);

// === impl Operator ===

impl Operator {
    /// Asks for an erasure; answers it, and how many records would lose their payload now.
    ///
    /// # Errors
    /// `CONFLICT` when a hold covers some of it, `FORBIDDEN` for others than operators, or that the controller refuses or
    /// cannot be reached.
    pub async fn request_erasure(
        &self,
        scope: &PayloadScope,
        reason: &Note,
    ) -> Result<(Erasure, u64), Failure> {
        let request = pb::RequestErasureRequest { scope: Some(scope.into()), reason: reason.to_string() };
        let mut service = self.client.erasure_service();
        let answer = self.client.answer(ERASE_DEADLINE, service.request(request)).await?;
        Ok((erasure(answer.erasure)?, answer.records))
    }

    /// Consents to an erasure; answers it once the payloads are gone, and how many records lost one.
    ///
    /// # Errors
    /// As [`Operator::request_erasure`]; `FORBIDDEN` for whoever asked for it, too.
    pub async fn consent_erasure(&self, id: ErasureId) -> Result<(Erasure, u64), Failure> {
        let mut service = self.client.erasure_service();
        let request = pb::ConsentErasureRequest { id: id.to_string() };
        let answer = self.client.answer(ERASE_DEADLINE, service.consent(request)).await?;
        Ok((erasure(answer.erasure)?, answer.records))
    }

    /// Refuses an erasure, or withdraws it; answers it.
    ///
    /// # Errors
    /// `NOT_FOUND` when it does not wait, `FORBIDDEN` for others than operators, or that the controller cannot be reached.
    pub async fn reject_erasure(&self, id: ErasureId) -> Result<Erasure, Failure> {
        let mut service = self.client.erasure_service();
        let request = pb::RejectErasureRequest { id: id.to_string() };
        erasure(self.client.answer(CALL_DEADLINE, service.reject(request)).await?.erasure)
    }

    /// The erasures that wait for consent, oldest first.
    ///
    /// # Errors
    /// `FORBIDDEN` for others than operators, or that the controller cannot be reached.
    pub async fn erasures(&self) -> Result<Vec<Erasure>, Failure> {
        let mut service = self.client.erasure_service();
        let answer = self.client.answer(CALL_DEADLINE, service.list(pb::ListErasuresRequest {})).await?;
        all(answer.erasures)
    }

    /// Sets a hold; answers it.
    ///
    /// # Errors
    /// `LIMIT_EXCEEDED` when there are too many, `FORBIDDEN` for others than operators, or that the controller cannot be
    /// reached.
    pub async fn set_hold(&self, scope: &PayloadScope, reason: &Note) -> Result<Hold, Failure> {
        let request = pb::SetHoldRequest { scope: Some(scope.into()), reason: reason.to_string() };
        let mut service = self.client.erasure_service();
        hold(self.client.answer(CALL_DEADLINE, service.set_hold(request)).await?.hold)
    }

    /// Asks for a hold to be lifted, or consents to that; answers it, and whether it is lifted.
    ///
    /// # Errors
    /// `NOT_FOUND` when it is not in force, `FORBIDDEN` for whoever asked already and for others than operators, or that the
    /// controller cannot be reached.
    pub async fn lift_hold(&self, id: HoldId, reason: Option<&Note>) -> Result<(Hold, bool), Failure> {
        let reason = reason.map(ToString::to_string).unwrap_or_default();
        let request = pb::LiftHoldRequest { id: id.to_string(), reason };
        let mut service = self.client.erasure_service();
        let answer = self.client.answer(CALL_DEADLINE, service.lift_hold(request)).await?;
        Ok((hold(answer.hold)?, answer.lifted))
    }

    /// The holds in force, oldest first.
    ///
    /// # Errors
    /// `FORBIDDEN` for others than operators, or that the controller cannot be reached.
    pub async fn holds(&self) -> Result<Vec<Hold>, Failure> {
        let mut service = self.client.erasure_service();
        all(self.client.answer(CALL_DEADLINE, service.list_holds(pb::ListHoldsRequest {})).await?.holds)
    }
}

fn erasure(wire: Option<pb::Erasure>) -> Result<Erasure, Failure> {
    required("erasure", wire).and_then(TryInto::try_into).map_err(|e| not_understood(&e))
}

fn hold(wire: Option<pb::Hold>) -> Result<Hold, Failure> {
    required("hold", wire).and_then(TryInto::try_into).map_err(|e| not_understood(&e))
}

fn all<W, T: TryFrom<W, Error = Invalid>>(wire: Vec<W>) -> Result<Vec<T>, Failure> {
    wire.into_iter().map(TryInto::try_into).collect::<Result<_, _>>().map_err(|e| not_understood(&e))
}
