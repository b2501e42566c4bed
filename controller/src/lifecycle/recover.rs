//! After a restart: every job that has not ended is loaded, and what cannot be read of it is counted as UNKNOWN.

use std::{collections::BTreeSet, sync::Arc};

use lictor_core::{
    audit::{AuditEvent, MAX_UNREADABLE_NAMED},
    id::JobId,
    invocation::{Invocation, InvocationEvent},
    name::HostAlias,
    outcome::{Outcome, Unknown},
};
use lictor_store::{Change, EndedJob, KeptJob, Outline, StoreError, Write};

use super::{Lifecycle, close::unread};
use crate::live::{Closing, LiveJob};

/// Jobs or invocations read at a time.
const PAGE: usize = 1000;

impl Lifecycle {
    /// Loads every job that has not ended. What is queued waits for its agent again; what was offered waits for word.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read, or what cannot be read of it cannot be recorded.
    pub async fn recover(&self) -> Result<usize, StoreError> {
        let (mut jobs, mut recovered) = (BTreeSet::new(), 0);
        let mut unreadable = false;
        for id in self.store.open_invocations().await? {
            match self.store.outline(id).await {
                Ok(Some(outline)) => drop(jobs.insert(outline.invocation.job)),
                // Its record would say of which job it is.
                Ok(None) | Err(StoreError::Corrupt(_)) => unreadable = true,
                Err(error) => return Err(error),
            }
        }
        if unreadable {
            jobs.append(&mut self.jobs_without_end().await?);
        }
        for id in jobs {
            let kept = match self.store.job(id).await {
                Ok(Some(kept)) => kept,
                Ok(None) => continue,
                Err(error @ StoreError::Corrupt(_)) => {
                    tracing::error!(%id, %error, "a record cannot be read; it is left alone, restore it from a backup");
                    continue;
                }
                Err(error) => return Err(error),
            };
            let invocations = self.invocations_of(id).await?;
            if kept.counts.is_some() {
                self.end_restored(invocations).await?;
                continue;
            }
            recovered += usize::from(self.take_up(kept, invocations).await?);
        }
        self.recount().await?;
        Ok(recovered)
    }

    /// Every job that has not ended, found without its invocations.
    async fn jobs_without_end(&self) -> Result<BTreeSet<JobId>, StoreError> {
        let (mut open, mut before) = (BTreeSet::new(), None);
        loop {
            let page = self.store.jobs(before, PAGE).await?;
            let Some(last) = page.last() else { return Ok(open) };
            before = Some(last.job.id);
            open.extend(page.iter().filter(|kept| kept.counts.is_none()).map(|kept| kept.job.id));
        }
    }

    async fn invocations_of(&self, job: JobId) -> Result<Vec<Outline>, StoreError> {
        let mut all: Vec<Outline> = Vec::new();
        loop {
            let after: Option<HostAlias> = all.last().map(|outline| outline.invocation.host.clone());
            let mut page = self.store.outlines(job, after.as_ref(), PAGE).await?;
            if page.is_empty() {
                return Ok(all);
            }
            all.append(&mut page);
        }
    }

    /// Takes a job up where it was, and says in the audit log what cannot be read of it. Answers whether it goes on; where
    /// nothing that can be read is left to wait for, it ends.
    async fn take_up(&self, kept: KeptJob, invocations: Vec<Outline>) -> Result<bool, StoreError> {
        let now = self.served.now();
        let event = unreadable(&kept, &invocations);
        let live = Arc::new(LiveJob::recovered(kept.job, kept.version, invocations, now));
        let Some(event) = event else {
            self.jobs.insert(&live);
            self.release(&live);
            return Ok(true);
        };
        tracing::error!(job = %live.id(), "the job has invocations whose records cannot be read; they count as UNKNOWN, look at their hosts, and restore the store from a backup if you can");
        let mut change = Change::new(now.time, event);
        let Closing { job: ends, output_bytes, .. } = live.end_of_rest();
        let goes_on = ends.is_none();
        if let Some((job, version, counts)) = ends {
            let end = EndedJob { job: job.id, ended_at: now.time, output_bytes, version: 1 };
            change = unread(change, &live, now.time).write(Write::UpdateJob {
                job,
                counts: Some(counts),
                version,
            });
            change = change.write(Write::PutEnded(end));
        }
        let _recorded = self.store.commit(change).await?;
        if goes_on {
            self.jobs.insert(&live);
            self.release(&live);
        }
        Ok(goes_on)
    }

    /// What was restored after its job had ended without it never begins: it ends as its job counted it.
    async fn end_restored(&self, invocations: Vec<Outline>) -> Result<(), StoreError> {
        for Outline { invocation, .. } in invocations {
            let end = InvocationEvent::End(Outcome::Unknown(Unknown::RecordUnreadable));
            let Ok(state) = invocation.state.step(end) else { continue };
            let now = self.clock.now();
            let version = invocation.version + 1;
            let last_agent = invocation.state.agent().cloned();
            let ended = Invocation { state, version, ended_at: Some(now), last_agent, ..invocation };
            // Its end is in the log already, with that of its job.
            let (job, invocations) = (ended.job, vec![ended.id]);
            let event = AuditEvent::RecordsUnreadable { job, count: 1, invocations };
            let change = Change::new(now, event).write(Write::UpdateInvocation(ended.into()));
            let _recorded = self.store.commit(change).await?;
        }
        Ok(())
    }
}

/// What the audit log is told of the invocations of a job that cannot be read, if there are any.
fn unreadable(kept: &KeptJob, invocations: &[Outline]) -> Option<AuditEvent> {
    let bad = invocations.iter().filter(|outline| outline.is_unreadable());
    let named = bad.clone().map(|outline| outline.invocation.id).take(MAX_UNREADABLE_NAMED).collect();
    let missing = (kept.job.invocations as usize).saturating_sub(invocations.len());
    let count = (bad.count() + missing) as u64;
    (count > 0).then_some(AuditEvent::RecordsUnreadable { job: kept.job.id, count, invocations: named })
}
