//! Nothing stays for ever: what waited too long EXPIRES, what is not heard of again becomes UNKNOWN.

use std::{sync::Arc, time::Duration};

use lictor_core::{
    clock::Timestamp,
    invocation::InvocationState,
    limits::{AGENT_LOST_GRACE, GRANT_VALIDITY, KILL_CONFIRM, TERM_GRACE},
    outcome::{Outcome, Unknown},
};

use lictor_store::StoreError;

use super::{Lifecycle, take_back::complete};
use crate::live::{LiveInvocation, Slot};

/// How often live jobs are looked over.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a result waits for output that was announced with it.
const OUTPUT_WAIT: Duration = Duration::from_secs(30);

/// What time has done to an invocation.
enum Due {
    Nothing,
    Expired,
    Lost,
    OutputMissing,
}

impl Lifecycle {
    /// Looks over every live job from time to time; never returns.
    pub async fn sweep_for_ever(self: Arc<Self>) {
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            self.sweep().await;
            self.record_freezes().await;
        }
    }

    /// Ends whatever is due.
    pub async fn sweep(self: &Arc<Self>) {
        let now = self.clock.now();
        let (mut expired, mut lost, mut short) = (Vec::new(), Vec::new(), Vec::new());
        for job in self.jobs.jobs() {
            job.for_each(|index, invocation| {
                let slot = Slot { job: Arc::clone(&job), index };
                match due(invocation, now) {
                    Due::Nothing => {}
                    Due::Expired => expired.push(slot),
                    Due::Lost => lost.push(slot),
                    Due::OutputMissing => short.push(slot),
                }
            });
        }
        let results = [
            self.end_without_agent(expired, &Outcome::Expired).await,
            self.end_without_agent(lost, &Outcome::Unknown(Unknown::AgentLost)).await,
            self.close_short(short).await,
        ];
        for error in results.into_iter().filter_map(Result::err) {
            tracing::error!(%error, "what is due could not be recorded; it is tried again");
        }
        self.advance_all().await;
    }

    /// Closes results with the output that came, and tells their agents that they may forget the rest.
    async fn close_short(self: &Arc<Self>, slots: Vec<Slot>) -> Result<(), StoreError> {
        let of = |slot: &Slot| {
            slot.job.with(slot.index, |i, _| (i.kept.id, i.kept.site.clone(), i.kept.state.agent().cloned()))
        };
        let agents: Vec<_> = slots.iter().filter_map(of).collect();
        self.close(slots.iter().filter_map(|slot| complete(slot, true)).collect()).await?;
        for (id, site, agent) in agents {
            if let Some(session) = agent.and_then(|agent| self.sessions.of(&site, &agent)) {
                session.committed(vec![id.to_string()]);
            }
        }
        Ok(())
    }
}

fn due(invocation: &LiveInvocation, now: Timestamp) -> Due {
    if invocation.quarantined {
        return Due::Nothing;
    }
    if let Some(pending) = &invocation.pending {
        return if now.since(pending.since) > OUTPUT_WAIT { Due::OutputMissing } else { Due::Nothing };
    }
    match &invocation.kept.state {
        InvocationState::Queued if now > invocation.wait_until => Due::Expired,
        InvocationState::Queued | InvocationState::Ended(_) => Due::Nothing,
        InvocationState::Offered { .. }
        | InvocationState::Accepted { .. }
        | InvocationState::Running { .. } => {
            let offered_at = invocation.offered_at.unwrap_or(now);
            if now > offered_at.plus(longest_silence(invocation)) { Due::Lost } else { Due::Nothing }
        }
    }
}

/// An agent that honours its grant has reported by then: start at the last moment, run for the whole timeout, be killed.
fn longest_silence(invocation: &LiveInvocation) -> Duration {
    GRANT_VALIDITY + invocation.kept.limits.timeout + TERM_GRACE + KILL_CONFIRM + AGENT_LOST_GRACE
}
