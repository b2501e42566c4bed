//! Closed: the ends of invocations, recorded together, then told to watchers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Arc,
};

use lictor_core::{
    audit::AuditEvent,
    clock::Timestamp,
    invocation::{Invocation, InvocationEvent, InvocationState},
    job::Counts,
    outcome::Outcome,
};
use lictor_runtime::panics::Interrupted;
use lictor_store::{Change, EndedJob, KeptJob, Outline, StoreError, Write};

use super::Lifecycle;
use crate::live::{Closing, LiveJob, Report, Slot, Turn};

/// An invocation that is to end so.
#[derive(Debug, Clone)]
pub struct End {
    /// Which.
    pub slot: Slot,
    /// How.
    pub outcome: Outcome,
    /// What its agent reported; `None`: nobody ran it.
    pub report: Option<Report>,
}

impl Lifecycle {
    /// Records these ends in one commit, then tells whoever watches. What has ended meanwhile is left as it is. If the
    /// commit is refused, each is tried alone, and what fails alone is left out of everything until a restart.
    ///
    /// Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// [`StoreError`] when nothing can be written; then none of them has ended.
    pub async fn close(self: &Arc<Self>, ends: Vec<End>) -> Result<(), StoreError> {
        if ends.is_empty() {
            return Ok(());
        }
        let this = Arc::clone(self);
        to_its_end(async move {
            let jobs: Vec<_> = ends.iter().map(|end| Arc::clone(&end.slot.job)).collect();
            let turn = Turn::of(&jobs).await;
            this.close_in(&turn, ends).await?;
            drop(turn);
            this.go_on(jobs).await
        })
        .await
    }

    /// Ends invocations that nobody will run.
    ///
    /// # Errors
    /// [`StoreError`] when nothing can be written; then none of them has ended.
    pub async fn end_without_agent(
        self: &Arc<Self>,
        slots: Vec<Slot>,
        outcome: &Outcome,
    ) -> Result<(), StoreError> {
        self.close(
            slots.into_iter().map(|slot| End { slot, outcome: outcome.clone(), report: None }).collect(),
        )
        .await
    }

    /// Ends make room for others, and can be the last of a wave.
    pub(super) async fn go_on(self: &Arc<Self>, mut jobs: Vec<Arc<LiveJob>>) -> Result<(), StoreError> {
        jobs.sort_by_key(|job| job.id());
        jobs.dedup_by_key(|job| job.id());
        for job in jobs.iter().filter(|job| job.has_rollout()) {
            self.advance(job).await?;
        }
        Ok(())
    }

    /// As [`close`](Self::close), by whoever has the turn of the jobs.
    pub(super) async fn close_in(&self, turn: &Turn, ends: Vec<End>) -> Result<(), StoreError> {
        match self.try_close(turn, &ends).await {
            Err(StoreError::Conflict { .. } | StoreError::Corrupt(_)) if ends.len() > 1 => {
                for end in &ends {
                    self.close_alone(turn, end).await?;
                }
                Ok(())
            }
            Err(StoreError::Conflict { .. } | StoreError::Corrupt(_)) => {
                ends.iter().for_each(quarantine);
                Ok(())
            }
            done => done,
        }
    }

    async fn close_alone(&self, turn: &Turn, end: &End) -> Result<(), StoreError> {
        match self.try_close(turn, std::slice::from_ref(end)).await {
            Err(error @ (StoreError::Conflict { .. } | StoreError::Corrupt(_))) => {
                tracing::error!(%error, "the end of an invocation cannot be recorded");
                quarantine(end);
                Ok(())
            }
            done => done,
        }
    }

    async fn try_close(&self, turn: &Turn, ends: &[End]) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut by_job: BTreeMap<_, (Arc<LiveJob>, Vec<_>)> = BTreeMap::new();
        for End { slot, outcome, report } in ends {
            let (_, list) =
                by_job.entry(slot.job.id()).or_insert_with(|| (Arc::clone(&slot.job), Vec::new()));
            // The one copy of what was printed: what is refused together is tried again from `ends`.
            let report =
                report.clone().unwrap_or_else(|| Report { ended_at: Some(now), ..Report::default() });
            list.push((slot.index, InvocationEvent::End(outcome.clone()), Some(report)));
        }
        let mut change: Option<Change> = None;
        let mut closings: Vec<(Arc<LiveJob>, Closing)> = Vec::new();
        for (job, list) in by_job.into_values() {
            // By place: all of a job may end at once. What is there twice ends by what came first.
            let mut agents = HashMap::with_capacity(list.len());
            for (index, _, report) in &list {
                agents.entry(*index).or_insert_with(|| {
                    let agent = job.with(*index, |i, _| i.kept.state.agent().cloned()).flatten();
                    (agent, report.as_ref().and_then(|report| report.beside.clone()))
                });
            }
            let closing = job.closing(turn, list);
            for ending in &closing.ended {
                let (agent, beside) = agents.remove(&ending.index).unwrap_or_default();
                let invocation = Arc::clone(&ending.invocation);
                let event = AuditEvent::InvocationEnded { invocation, agent };
                let so_far = match change {
                    Some(change) => change.event(event),
                    None => Change::new(now, event),
                };
                let so_far = match beside {
                    Some(event) => so_far.event(*event),
                    None => so_far,
                };
                change = Some(so_far.write(ending.write()));
            }
            if let Some((record, version, counts)) = closing.job.clone() {
                let output_bytes = closing.output_bytes;
                let end = EndedJob { job: record.id, ended_at: now, output_bytes, version: 1 };
                let write = Write::UpdateJob { job: record, counts: Some(counts), version };
                change =
                    change.map(|change| unread(change, &job, now).write(write).write(Write::PutEnded(end)));
            }
            closings.push((job, closing));
        }
        let Some(change) = change else { return Ok(()) };
        let _recorded = self.store.commit(change).await?;
        for (job, closing) in closings {
            let (principal, via) = job.asked_by();
            self.quotas.ended(&principal, via, closing.ended.len());
            let ended: Vec<_> = closing.ended.iter().map(|ending| ending.invocation.id).collect();
            job.closed(turn, closing);
            // Only now: what comes for one that has not ended is taken in.
            self.arrivals.forget(ended.into_iter());
            if job.has_ended() {
                self.jobs.remove(&job);
            }
        }
        Ok(())
    }

    /// The counts of a job: as kept once it has ended, otherwise as they follow from its invocations.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read.
    pub async fn counts(&self, kept: &KeptJob) -> Result<Counts, StoreError> {
        /// Invocations read at a time.
        const PAGE: usize = 1000;
        if let Some(counts) = kept.counts {
            return Ok(counts);
        }
        if let Some(live) = self.jobs.job(kept.job.id) {
            return Ok(live.snapshot().2);
        }
        let (mut counts, mut after) = (Counts::default(), None);
        loop {
            let page = self.store.outlines(kept.job.id, after.as_ref(), PAGE).await?;
            if page.is_empty() {
                return Ok(counts);
            }
            for Outline { invocation, .. } in page {
                match &invocation.state {
                    InvocationState::Queued => counts.queued += 1,
                    InvocationState::Ended(outcome) => counts.add(outcome),
                    InvocationState::Offered { .. }
                    | InvocationState::Accepted { .. }
                    | InvocationState::Running { .. } => counts.active += 1,
                }
                after = Some(invocation.host);
            }
        }
    }
}

/// Runs `work` to its end, whether or not whoever waits for it goes away: what is committed must also be applied.
pub(crate) async fn to_its_end<T: Send + 'static>(
    work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
) -> Result<T, StoreError> {
    let ended = tokio::spawn(work).await;
    ended.unwrap_or_else(|error| {
        Err(StoreError::Unavailable(format!("a step did not end: {}", Interrupted::from(error))))
    })
}

/// The change that ends a job, with the ends of what cannot be read of it.
pub(super) fn unread(change: Change, job: &LiveJob, now: Timestamp) -> Change {
    job.unreadable().into_iter().fold(change, |change, invocation| {
        let invocation = Arc::new(Invocation { ended_at: Some(now), ..invocation });
        change.event(AuditEvent::InvocationEnded { invocation, agent: None })
    })
}

fn quarantine(end: &End) {
    end.slot.job.with(end.slot.index, |invocation, _| {
        tracing::error!(invocation = %invocation.kept.id, "an invocation is left alone until the controller restarts");
        invocation.quarantined = true;
    });
}

/// Whether an invocation that is in `state` waits for an agent.
pub(super) const fn is_queued(state: &InvocationState) -> bool {
    matches!(state, InvocationState::Queued)
}
