//! Cancelled: recorded first, then acted on. What waits is not run; what may run is told to stop.

use std::{collections::HashMap, sync::Arc};

use lictor_core::{
    audit::AuditEvent,
    error::Failure,
    id::{InvocationId, JobId},
    name::{AgentName, SiteName},
    outcome::Outcome,
    principal::Principal,
};
use lictor_store::{Change, Write};

use super::{Lifecycle, close::is_queued};
use crate::{
    failure::{no_such, of_store},
    live::{LiveJob, Slot},
};

impl Lifecycle {
    /// Asks for everything of a job that has not ended to be stopped. Answers whether it had ended before.
    ///
    /// # Errors
    /// [`Failure`] when there is no such job, or when the request cannot be recorded; then nothing is stopped.
    pub async fn cancel(&self, id: JobId, by: &Principal) -> Result<bool, Failure> {
        let Some(job) = self.jobs.job(id) else {
            let kept = self.store.job(id).await.map_err(of_store)?;
            return kept.map(|_| true).ok_or_else(|| no_such("job", &id.to_string()));
        };
        let (mut record, version, _) = job.snapshot();
        if record.cancel_requested.is_none() {
            let now = self.clock.now();
            record.cancel_requested = Some((by.clone(), now));
            let event = AuditEvent::CancelRequested { job: id, by: by.clone() };
            let write = Write::UpdateJob { job: record.clone(), counts: None, version: version + 1 };
            // Marked before the commit, so that no offer overtakes it; a failed commit leaves a job that is not offered.
            job.job_recorded(record, version + 1);
            let _recorded =
                self.store.commit(Change::new(now, event).write(write)).await.map_err(of_store)?;
        }
        self.stop(&job).await.map_err(of_store)?;
        Ok(false)
    }

    /// Ends what waits, and tells the agents of the rest.
    async fn stop(&self, job: &Arc<LiveJob>) -> Result<(), lictor_store::StoreError> {
        let mut waiting = Vec::new();
        let mut at_agents: HashMap<(SiteName, AgentName), Vec<InvocationId>> = HashMap::new();
        job.for_each(|index, invocation| {
            if is_queued(&invocation.kept.state) {
                waiting.push(Slot { job: Arc::clone(job), index });
            } else if let Some(agent) = invocation.kept.state.agent() {
                at_agents
                    .entry((invocation.kept.site.clone(), agent.clone()))
                    .or_default()
                    .push(invocation.kept.id);
            }
        });
        for ((site, agent), ids) in at_agents {
            if let Some(session) = self.sessions.of(&site, &agent) {
                session.stop(&ids);
            }
        }
        self.end_without_agent(&waiting, &Outcome::Cancelled).await
    }
}
