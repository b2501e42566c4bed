//! Cancelled: recorded first, then acted on. What waits is not run; what may run is told to stop.

use std::{collections::HashMap, sync::Arc};

use lictor_core::{
    audit::AuditEvent,
    error::Failure,
    id::{InvocationId, JobId},
    name::{AgentName, SiteName},
    outcome::Outcome,
};
use lictor_store::{Change, StoreError, Write};

use super::{
    Lifecycle,
    close::{End, is_queued, to_its_end},
};
use crate::{
    authn::Authenticated,
    failure::{no_such, of_store},
    live::{LiveJob, Slot, Turn},
};

impl Lifecycle {
    /// Asks for everything of a job that has not ended to be stopped. Answers whether it had ended before.
    ///
    /// Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// [`Failure`] when there is no such job, or when the request cannot be recorded; then nothing is stopped.
    pub async fn cancel(self: &Arc<Self>, id: JobId, by: &Authenticated) -> Result<bool, Failure> {
        let Some(job) = self.jobs.job(id) else {
            let kept = self.store.job(id).await.map_err(of_store)?;
            return kept.map(|_| true).ok_or_else(|| no_such("job", &id.to_string()));
        };
        let (this, by) = (Arc::clone(self), by.clone());
        to_its_end(async move {
            let turn = Turn::of([&job]).await;
            this.cancel_in(&turn, &job, &by).await
        })
        .await
        .map_err(of_store)
    }

    async fn cancel_in(
        &self,
        turn: &Turn,
        job: &Arc<LiveJob>,
        by: &Authenticated,
    ) -> Result<bool, StoreError> {
        let (mut record, version, counts) = job.snapshot();
        if counts.ended() {
            return Ok(true);
        }
        if record.cancel_requested.is_none() {
            let now = self.clock.now();
            let (who, actor) = (by.principal().clone(), by.actor().cloned());
            record.cancel_requested = Some((who.clone(), now));
            let event = AuditEvent::CancelRequested { job: job.id(), by: who, actor };
            let write = Write::UpdateJob { job: record.clone(), counts: None, version: version + 1 };
            let _recorded = self.store.commit(Change::new(now, event).write(write)).await?;
            job.job_recorded(turn, record, version + 1, self.served.now());
        }
        self.stop_in(turn, job).await?;
        Ok(false)
    }

    /// Ends what waits, and tells the agents of the rest.
    async fn stop_in(&self, turn: &Turn, job: &Arc<LiveJob>) -> Result<(), StoreError> {
        let mut waiting = Vec::new();
        let mut at_agents: HashMap<(SiteName, AgentName), Vec<InvocationId>> = HashMap::new();
        job.for_each(|index, invocation| {
            if is_queued(&invocation.kept.state) {
                let slot = Slot { job: Arc::clone(job), index };
                waiting.push(End { slot, outcome: Outcome::Cancelled, report: None });
            } else if let Some(agent) = invocation.kept.state.agent() {
                let key = (invocation.kept.site.clone(), agent.clone());
                at_agents.entry(key).or_default().push(invocation.kept.id);
            }
        });
        for ((site, agent), ids) in at_agents {
            if let Some(session) = self.sessions.of(&site, &agent) {
                session.stop(&ids);
            }
        }
        self.close_in(turn, waiting).await
    }
}
