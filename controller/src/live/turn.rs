//! Whose turn it is: transitions of one job follow each other.

use std::{collections::BTreeSet, sync::Arc};

use lictor_core::id::JobId;
use tokio::sync::{Mutex, OwnedMutexGuard};

use super::job::LiveJob;

/// The turn of some jobs: whoever holds it may move them.
#[derive(Debug)]
pub struct Turn {
    jobs: BTreeSet<JobId>,
    _guards: Vec<OwnedMutexGuard<()>>,
}

/// What a job's turn is taken of: held while a transition is read, committed and applied.
#[derive(Debug, Default)]
pub(super) struct Turns(Arc<Mutex<()>>);

// === impl Turn ===

impl Turn {
    /// Waits for the turn of all these jobs, always in the same order, so that nobody waits for each other.
    pub async fn of<'a>(jobs: impl IntoIterator<Item = &'a Arc<LiveJob>>) -> Self {
        let mut ordered: Vec<&Arc<LiveJob>> = jobs.into_iter().collect();
        ordered.sort_by_key(|job| job.id());
        ordered.dedup_by_key(|job| job.id());
        let mut guards = Vec::with_capacity(ordered.len());
        for job in &ordered {
            guards.push(Arc::clone(&job.turns.0).lock_owned().await);
        }
        Self { jobs: ordered.into_iter().map(|job| job.id()).collect(), _guards: guards }
    }

    /// Whether it is this job's turn.
    pub(super) fn is_of(&self, job: JobId) -> bool {
        self.jobs.contains(&job)
    }
}
