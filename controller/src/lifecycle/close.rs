//! Closed: the ends of invocations, recorded together, then told to watchers.

use lictor_core::{
    audit::AuditEvent,
    invocation::{Invocation, InvocationEvent, InvocationState},
    name::AgentName,
    outcome::Outcome,
};
use lictor_store::{Change, StoreError, Write};

use super::Lifecycle;
use crate::live::Slot;

/// An invocation that is about to end, reserved for whoever holds this.
#[derive(Debug)]
pub struct Ending {
    slot: Slot,
    ended: Invocation,
    agent: Option<AgentName>,
}

impl Ending {
    /// Reserves an invocation that has not ended, and lets `fill` complete it. `None` if it has ended or is reserved.
    pub fn reserve(slot: &Slot, outcome: Outcome, fill: impl FnOnce(&mut Invocation)) -> Option<Self> {
        let (ended, agent) = slot.job.with(slot.index, |invocation, _| {
            if invocation.ending {
                return None;
            }
            let state = invocation.kept.state.step(InvocationEvent::End(outcome)).ok()?;
            invocation.ending = true;
            let agent = invocation.kept.state.agent().cloned();
            let mut ended =
                Invocation { state, version: invocation.kept.version + 1, ..invocation.kept.clone() };
            fill(&mut ended);
            Some((ended, agent))
        })??;
        Some(Self { slot: slot.clone(), ended, agent })
    }
}

impl Lifecycle {
    /// Records the ends of these invocations in one commit, then tells whoever watches.
    ///
    /// # Errors
    /// [`StoreError`]: then none of them has ended.
    pub async fn close(&self, endings: Vec<Ending>) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut change: Option<Change> = None;
        for ending in &endings {
            let event = AuditEvent::InvocationEnded {
                invocation: Box::new(ending.ended.clone()),
                agent: ending.agent.clone(),
            };
            let so_far = match change {
                Some(change) => change.event(event),
                None => Change::new(now, event),
            };
            let mut so_far = so_far.write(Write::UpdateInvocation(ending.ended.clone()));
            if let Some((job, version, counts)) = ending.slot.job.count_end(ending.slot.index, &ending.ended)
            {
                so_far = so_far.write(Write::UpdateJob { job, counts: Some(counts), version });
            }
            change = Some(so_far);
        }
        let Some(change) = change else { return Ok(()) };
        if let Err(error) = self.store.commit(change).await {
            for ending in endings {
                ending.slot.job.uncount_end(ending.slot.index, &ending.ended);
            }
            return Err(error);
        }
        for Ending { slot, ended, .. } in endings {
            slot.job.ended(slot.index, ended);
            if slot.job.has_ended() {
                self.jobs.remove(&slot.job);
            }
        }
        Ok(())
    }

    /// Ends one invocation that nobody will run, if it still stands.
    ///
    /// # Errors
    /// [`StoreError`]: then it has not ended.
    pub async fn end_without_agent(&self, slots: &[Slot], outcome: &Outcome) -> Result<(), StoreError> {
        let now = self.clock.now();
        let endings = slots
            .iter()
            .filter_map(|slot| Ending::reserve(slot, outcome.clone(), |ended| ended.ended_at = Some(now)))
            .collect();
        self.close(endings).await
    }
}

/// Whether an invocation that is in `state` waits for an agent.
pub(super) const fn is_queued(state: &InvocationState) -> bool {
    matches!(state, InvocationState::Queued)
}
