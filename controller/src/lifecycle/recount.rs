//! After a restart: what each principal has asked for and has under way, counted anew for the quotas.

use lictor_core::job::Job;
use lictor_store::{KeptJob, StoreError};

use super::Lifecycle;
use crate::quotas::{Asked, Earlier, KEPT_FOR};

/// Jobs read at a time.
const PAGE: usize = 1000;
/// Jobs that are counted again: more than one a second over a day, and read in about a second.
const MAX_RECOUNTED: usize = 100_000;

impl Lifecycle {
    /// Counts from what the store has of the past day and from the live jobs, which must have been loaded.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub(super) async fn recount(&self) -> Result<(), StoreError> {
        let mut counted_from = self.clock.now().minus(KEPT_FOR);
        let (mut earlier, mut before) = (Vec::new(), None);
        'pages: loop {
            let page = self.store.jobs(before, PAGE).await?;
            let Some(oldest) = page.last().map(|kept| kept.job.id) else { break };
            before = Some(oldest);
            for KeptJob { job, .. } in page {
                if job.created_at < counted_from {
                    break 'pages;
                }
                if earlier.len() == MAX_RECOUNTED {
                    tracing::warn!(%counted_from, "quotas count the newest {MAX_RECOUNTED} jobs; the others of the past day are left out");
                    break 'pages;
                }
                earlier.push(self.earlier(&job));
                if earlier.len() == MAX_RECOUNTED {
                    counted_from = job.created_at;
                }
            }
        }
        // What has waited or run for longer than that is under way too.
        for live in self.jobs.jobs() {
            let (job, _, _) = live.snapshot();
            if job.created_at < counted_from {
                earlier.push(self.earlier(&job));
            }
        }
        earlier.sort_by_key(|earlier| earlier.at);
        self.quotas.recount(earlier);
        Ok(())
    }

    fn earlier(&self, job: &Job) -> Earlier {
        let counts = self.jobs.job(job.id).map(|live| live.snapshot().2).unwrap_or_default();
        let running = (counts.queued + counts.active) as usize;
        let asked = Asked { invocations: job.invocations as usize, running };
        Earlier { principal: job.principal.clone(), via: job.origin.via, at: job.created_at, asked }
    }
}
