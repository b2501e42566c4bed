//! Revoked: recorded, then in force, then acknowledged. What the agent had is handled as when it is disconnected.

use std::sync::Arc;

use lictor_core::{
    audit::AuditEvent,
    error::{ErrorCode, Failure},
    name::{AgentName, SiteName},
    principal::Principal,
    revocation::{Revocation, RevocationReason},
};
use lictor_store::{Change, KeptAgent, StoreError, Write};

use super::Lifecycle;
use crate::failure::of_store;

/// How often a revocation is tried again when the agent's record changes meanwhile: each time the agent has opened a session
/// or renewed its certificate between a read and a write, which it cannot do often.
const TRIES: usize = 16;

/// What became of a revocation.
#[derive(Debug, Clone)]
pub struct Revoked {
    /// The revocation in force.
    pub revocation: Arc<Revocation>,
    /// It was in force before: nothing was changed.
    pub already: bool,
}

impl Lifecycle {
    /// Revokes an agent. When this answers it is recorded, no certificate and no join token counts any more that was made for
    /// the agent before, and its connections are cut.
    ///
    /// Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for an agent that never joined; [`ErrorCode::AuditUnavailable`] when it cannot be recorded: then
    /// nothing is revoked.
    pub async fn revoke_agent(
        self: &Arc<Self>,
        site: SiteName,
        agent: AgentName,
        reason: RevocationReason,
        by: &Principal,
    ) -> Result<Revoked, Failure> {
        let (this, by) = (Arc::clone(self), by.clone());
        let revoking = tokio::spawn(async move { this.revoke_to_its_end(&site, &agent, reason, by).await });
        revoking.await.unwrap_or_else(|_| Err(interrupted()))
    }

    async fn revoke_to_its_end(
        &self,
        site: &SiteName,
        agent: &AgentName,
        reason: RevocationReason,
        by: Principal,
    ) -> Result<Revoked, Failure> {
        let mut conflict = None;
        for _ in 0..TRIES {
            let kept = self.store.agent(site, agent).await.map_err(of_store)?;
            let kept = kept.ok_or_else(|| unknown(site, agent))?;
            if let Some(revocation) = kept.revoked {
                return Ok(Revoked { revocation: Arc::new(revocation), already: true });
            }
            let now = self.clock.now();
            let revocation = Revocation { by: by.clone(), at: now, reason: reason.clone() };
            let event = AuditEvent::AgentRevoked {
                site: site.clone(),
                agent: agent.clone(),
                serial: kept.serial.clone(),
                revocation: revocation.clone(),
            };
            let generation = kept.generation.checked_add(1).ok_or_else(too_often)?;
            let version = kept.version + 1;
            let next = KeptAgent { generation, revoked: Some(revocation.clone()), version, ..kept };
            match self.store.commit(Change::new(now, event).write(Write::PutAgent(next))).await {
                Ok(_recorded) => {
                    let revocation = Arc::new(revocation);
                    self.enforce_revocation(site, agent, generation, &revocation);
                    return Ok(Revoked { revocation, already: false });
                }
                Err(error @ StoreError::Conflict { .. }) => conflict = Some(error),
                Err(error) => return Err(of_store(error)),
            }
        }
        Err(conflict.map_or_else(interrupted, of_store))
    }

    fn enforce_revocation(
        &self,
        site: &SiteName,
        agent: &AgentName,
        generation: u32,
        revocation: &Arc<Revocation>,
    ) {
        // In this order: a session that is just being opened looks at the revocations once it is among the sessions.
        self.revocations.revoke(site, agent, generation, Arc::clone(revocation));
        if let Some(session) = self.sessions.of(site, agent) {
            session.revoke();
            self.sessions.remove(&session);
        }
        tracing::warn!(%site, %agent, revocation = %revocation.sentence(), "an agent was revoked");
    }
}

fn unknown(site: &SiteName, agent: &AgentName) -> Failure {
    let message = format!("no agent {site}/{agent} has joined, so nothing is revoked");
    Failure::new(ErrorCode::NotFound, message, "check site and name (lictor agents)")
        .with("agent", format!("{site}/{agent}"))
}

fn too_often() -> Failure {
    let next_step = "freeze its site (lictor freeze --site), and let the site join as another agent";
    Failure::new(ErrorCode::LimitExceeded, "this agent was revoked too often to count", next_step)
}

fn interrupted() -> Failure {
    let next_step = "look whether the agent is revoked (lictor agents), and revoke it again if it is not";
    Failure::new(ErrorCode::Internal, "the request was interrupted", next_step)
}
