//! Nothing stays for ever: what waited too long EXPIRES, what is not heard of again becomes UNKNOWN.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use lictor_core::{
    approval::Approval,
    invocation::InvocationState,
    job::Job,
    limits::AGENT_LOST_GRACE,
    outcome::{Outcome, Unknown},
};

use lictor_store::StoreError;

use super::{
    Lifecycle,
    close::{End, to_its_end},
};
use crate::{
    live::{LiveInvocation, Slot, Turn},
    served::Moment,
};

/// How often live jobs are looked over.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a result waits for output that was announced with it.
const OUTPUT_WAIT: Duration = Duration::from_secs(30);
/// How long it waits for the next bytes of a file: an upload begins again at the start, and even the largest file is sent up
/// to where it broke off within this at 1 MiB a second.
const FILE_WAIT: Duration = Duration::from_secs(5 * 60);

/// What time, or a word that was recorded, has done to an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Due {
    Nothing,
    /// It ends so.
    Ends(Outcome),
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

    /// Ends whatever is due, goes on with what goes out in steps, and sees that nothing waits beside its agent.
    pub async fn sweep(self: &Arc<Self>) {
        self.served.look();
        self.expire_approvals().await;
        let now = self.served.now().served;
        self.ask_the_silent(now);
        let (mut ending, mut short) = (Vec::new(), Vec::new());
        let mut kept = 0_u64;
        for job in self.jobs.jobs() {
            let (record, ..) = job.snapshot();
            job.for_each(|index, invocation| {
                let slot = Slot { job: Arc::clone(&job), index };
                kept = kept.saturating_add(invocation.kept_bytes());
                match due(invocation, &record, now) {
                    Due::Nothing => {}
                    Due::Ends(_) => ending.push(slot),
                    Due::OutputMissing => short.push(slot),
                }
            });
        }
        self.arrivals.kept_of_live(kept);
        let results = [self.end_due(ending).await, self.close_short(short).await];
        for error in results.into_iter().filter_map(Result::err) {
            tracing::error!(%error, "what is due could not be recorded; it is tried again");
        }
        self.advance_all().await;
        for site in self.jobs.sites_that_wait() {
            if let Some(session) = self.sessions.choose(&site, self.clock.now()) {
                session.look();
            }
        }
    }

    /// An agent that is connected is never given up: its session ends, so that it comes back and says with its whole journal
    /// what it has. It has the usual grace for that.
    fn ask_the_silent(&self, now: Moment) {
        let mut silent = BTreeMap::new();
        for job in self.jobs.jobs() {
            job.for_each_mut(|invocation| {
                let overdue = invocation.lost_at.is_some_and(|lost_at| now > lost_at);
                let Some(agent) = invocation.kept.state.agent().filter(|_| overdue) else { return };
                if self.arrivals.come_from(&invocation.kept.site, agent, now) {
                    invocation.lost_at = Some(now.plus(AGENT_LOST_GRACE));
                } else if let Some(session) = self.sessions.of(&invocation.kept.site, agent) {
                    invocation.lost_at = Some(now.plus(AGENT_LOST_GRACE));
                    silent.insert((invocation.kept.site.clone(), agent.clone()), session);
                }
            });
        }
        for session in silent.into_values() {
            tracing::warn!(site = %session.site(), agent = %session.agent(), "the agent is connected and says nothing of what it was given; it has to come back and say what it has");
            session.end();
        }
    }

    /// Ends what is due, looked at again in its turn: meanwhile an agent may have come for it.
    async fn end_due(self: &Arc<Self>, slots: Vec<Slot>) -> Result<(), StoreError> {
        if slots.is_empty() {
            return Ok(());
        }
        let this = Arc::clone(self);
        to_its_end(async move {
            let jobs: Vec<_> = slots.iter().map(|slot| Arc::clone(&slot.job)).collect();
            let turn = Turn::of(&jobs).await;
            let now = this.served.now().served;
            let still_due = |slot: Slot| {
                let due = slot.job.with(slot.index, |invocation, job| due(invocation, job, now))?;
                let Due::Ends(outcome) = due else { return None };
                Some(End { slot, outcome, report: None })
            };
            this.close_in(&turn, slots.into_iter().filter_map(still_due).collect()).await?;
            drop(turn);
            this.go_on(jobs).await
        })
        .await
    }

    /// Closes results with the output that came, and tells their agents that they may forget the rest.
    async fn close_short(self: &Arc<Self>, slots: Vec<Slot>) -> Result<(), StoreError> {
        let of = |slot: &Slot| {
            slot.job.with(slot.index, |i, _| (i.kept.id, i.kept.site.clone(), i.kept.state.agent().cloned()))
        };
        let agents: Vec<_> = slots.iter().filter_map(of).collect();
        self.close(slots.iter().filter_map(|slot| self.complete(slot, true)).collect()).await?;
        for (id, site, agent) in agents {
            if let Some(session) = agent.and_then(|agent| self.sessions.of(&site, &agent)) {
                session.committed(vec![id.to_string()]);
            }
        }
        Ok(())
    }
}

fn due(invocation: &LiveInvocation, job: &Job, now: Moment) -> Due {
    if invocation.quarantined {
        return Due::Nothing;
    }
    if let Some(pending) = &invocation.pending {
        let wait = if invocation.brings_a_file() { FILE_WAIT } else { OUTPUT_WAIT };
        return if now.since(pending.since) > wait { Due::OutputMissing } else { Due::Nothing };
    }
    match &invocation.kept.state {
        // The word was recorded, and what follows from it was not.
        InvocationState::Queued if job.cancel_requested.is_some() => Due::Ends(Outcome::Cancelled),
        InvocationState::Queued if job.progress.halted.is_some() => Due::Ends(Outcome::Skipped),
        InvocationState::Queued
            if job.approval.as_ref().is_some_and(|approval| approval.refusal().is_some()) =>
        {
            job.approval.as_ref().and_then(Approval::refusal).map_or(Due::Nothing, Due::Ends)
        }
        InvocationState::Queued if now > invocation.wait_until => Due::Ends(Outcome::Expired),
        InvocationState::Queued | InvocationState::Ended(_) => Due::Nothing,
        InvocationState::Offered { .. }
        | InvocationState::Accepted { .. }
        | InvocationState::Running { .. } => {
            let lost = invocation.lost_at.is_some_and(|lost_at| now > lost_at);
            if lost { Due::Ends(Outcome::Unknown(Unknown::AgentLost)) } else { Due::Nothing }
        }
    }
}
