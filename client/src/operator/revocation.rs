//! Revoking agents.

use lictor_core::{
    error::Failure,
    name::{AgentName, SiteName},
    revocation::{Revocation, RevocationReason},
};
use lictor_proto::{
    convert::{Invalid, required},
    pb,
};

use super::Operator;
use crate::{connect::CALL_DEADLINE, failure::not_understood};

/// A revocation that is in force and recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevocationDone {
    /// The revocation.
    pub revocation: Revocation,
    /// The agent had been revoked before and has not joined since; then this is the revocation from before.
    pub already_revoked: bool,
}

// === impl Operator ===

impl Operator {
    /// Revokes an agent: its connections are closed, and no certificate or join token counts any more that was made for it
    /// before.
    ///
    /// # Errors
    /// `NOT_FOUND` when no such agent has joined, `AUDIT_UNAVAILABLE` when it cannot be recorded: then it is not revoked.
    /// `FORBIDDEN` for others than operators, or that the controller cannot be reached.
    pub async fn revoke_agent(
        &self,
        site: &SiteName,
        agent: &AgentName,
        reason: &RevocationReason,
    ) -> Result<RevocationDone, Failure> {
        let request = pb::RevokeAgentRequest {
            site: site.to_string(),
            agent: agent.to_string(),
            reason: reason.to_string(),
        };
        let mut service = self.client.fleet_service();
        let pb::RevokeAgentResponse { revocation, already_revoked } =
            self.client.answer(CALL_DEADLINE, service.revoke_agent(request)).await?;
        let read = |wire: Option<pb::Revocation>| -> Result<Revocation, Invalid> {
            required("revocation", wire)?.try_into()
        };
        Ok(RevocationDone { revocation: read(revocation).map_err(|e| not_understood(&e))?, already_revoked })
    }
}
