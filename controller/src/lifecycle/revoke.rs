//! Revoked: recorded, then in force, then acknowledged. What the agent had is handled as when it is disconnected.

use std::sync::Arc;

use lictor_core::{
    audit::AuditEvent,
    clock::Timestamp,
    error::{ErrorCode, Failure},
    name::{AgentName, SiteName},
    principal::Principal,
    revocation::{Revocation, RevocationReason},
};
use lictor_store::{Change, KeptAgent, StoreError, Write};

use super::Lifecycle;
use crate::failure::of_store;

/// How often a revocation is tried again when the agent's record changes meanwhile: by what was let in before the agent was
/// held, and by others who revoke it. Whoever has its key can bring about no further change.
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
        // Until it is in force, or could not be recorded.
        let _held = self.revocations.revoking(site, agent);
        let mut conflict = None;
        for _ in 0..TRIES {
            let kept = self.store.agent(site, agent).await.map_err(of_store)?;
            let kept = kept.ok_or_else(|| unknown(site, agent))?;
            if let Some(revocation) = kept.revoked {
                let revocation = Arc::new(revocation);
                // Whoever recorded it may not have come to this yet.
                self.enforce_revocation(site, agent, kept.generation, &revocation);
                return Ok(Revoked { revocation, already: true });
            }
            let now = self.clock.now();
            let revocation = Revocation { by: by.clone(), at: now, reason: reason.clone() };
            let event = AuditEvent::AgentRevoked {
                site: site.clone(),
                agent: agent.clone(),
                serial: kept.serial.clone(),
                revocation: revocation.clone(),
            };
            let generation = next_generation(kept.generation, now).ok_or_else(too_often)?;
            let version = kept.version + 1;
            let next = KeptAgent { generation, revoked: Some(revocation.clone()), version, ..kept };
            match self.store.commit(Change::new(now, event).write(Write::PutAgent(next))).await {
                Ok(_recorded) => {
                    let revocation = Arc::new(revocation);
                    self.enforce_revocation(site, agent, generation, &revocation);
                    tracing::warn!(%site, %agent, revocation = %revocation.sentence(), "an agent was revoked");
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
        // If it has joined anew since, its session is not cut, and stays.
        if let Some(session) = self.sessions.of(site, agent).filter(|session| session.is_revoked()) {
            self.sessions.remove(&session);
        }
    }
}

/// The generation after this one: the seconds since 1970, so that a number that a restored backup has forgotten is not given
/// once more; and always a later one, also if the clock was set back.
fn next_generation(generation: u32, now: Timestamp) -> Option<u32> {
    let seconds = u32::try_from(now.as_micros() / 1_000_000).unwrap_or(0);
    Some(generation.checked_add(1)?.max(seconds))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_generation_is_the_time_and_later_than_the_one_before_whatever_the_clock_says() {
        let at = |seconds: u64| Timestamp::from_micros(seconds * 1_000_000);
        assert_eq!(next_generation(0, at(1_800_000_000)), Some(1_800_000_000));
        assert_eq!(next_generation(1_800_000_000, at(1_800_000_000)), Some(1_800_000_001));
        assert_eq!(next_generation(1_800_000_000, at(5)), Some(1_800_000_001), "it was set back");
        assert_eq!(next_generation(7, at(u64::from(u32::MAX) + 1)), Some(8), "it has no room for the time");
        assert_eq!(next_generation(u32::MAX, at(5)), None);
    }
}
