//! How long what jobs leave is kept: what is in force, and less of it when two people want that.

use lictor_core::{approval::Note, error::Failure, retention::RetentionStanding};
use lictor_proto::{convert::required, pb};

use super::Operator;
use crate::{connect::CALL_DEADLINE, failure::not_understood};

// === impl Operator ===

impl Operator {
    /// The limits in force, those of the controller's file, and who wants these in force.
    ///
    /// # Errors
    /// `FORBIDDEN` for others than operators, or that the controller cannot be reached.
    pub async fn retention(&self) -> Result<RetentionStanding, Failure> {
        let mut service = self.client.erasure_service();
        let request = pb::GetRetentionRequest {};
        standing(self.client.answer(CALL_DEADLINE, service.get_retention(request)).await?.retention)
    }

    /// Asks for the shorter limits of the controller's file, for a reason; or consents to what another operator asked for,
    /// which is what was `seen`. Answers how it stands, and whether they are in force.
    ///
    /// # Errors
    /// `CONFLICT` when the file says nothing shorter or the other asked for something else, `FORBIDDEN` for whoever asked already and for others than operators, or
    /// that the controller cannot be reached.
    pub async fn shorten_retention(
        &self,
        reason: Option<&Note>,
        seen: Option<&str>,
    ) -> Result<(RetentionStanding, bool), Failure> {
        let reason = reason.map(ToString::to_string).unwrap_or_default();
        let limits = seen.unwrap_or_default().to_owned();
        let mut service = self.client.erasure_service();
        let request = pb::ShortenRetentionRequest { reason, limits };
        let answer = self.client.answer(CALL_DEADLINE, service.shorten_retention(request)).await?;
        Ok((standing(answer.retention)?, answer.shortened))
    }
}

fn standing(wire: Option<pb::Retention>) -> Result<RetentionStanding, Failure> {
    required("retention", wire).and_then(TryInto::try_into).map_err(|e| not_understood(&e))
}
