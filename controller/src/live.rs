//! Jobs that have not ended, in memory: where each invocation stands, and a log that watchers read at their own pace.
//!
//! The store is the truth; this is what the controller works on between commits. It knows neither sessions nor policy.

mod assembly;
mod closing;
mod held;
mod invocation;
mod job;
mod log;
mod pace;
mod part;
mod room;
mod shown;
mod turn;
mod watch;

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use lictor_core::{
    id::{InvocationId, JobId},
    name::SiteName,
    output::StreamName,
};

pub(crate) use self::invocation::longest_silence;
use self::room::Pool;
pub use self::{
    assembly::{Assembly, Claim},
    closing::{Closing, Ending},
    invocation::{LiveInvocation, Pending, Report},
    job::LiveJob,
    part::{Part, part},
    turn::Turn,
    watch::{View, replay, watch},
};

/// One invocation of a live job.
#[derive(Debug, Clone)]
pub struct Slot {
    /// Its job.
    pub job: Arc<LiveJob>,
    /// Its place in the job.
    pub index: usize,
}

/// Every live job.
#[derive(Debug, Default)]
pub struct LiveJobs {
    tables: Mutex<Tables>,
    /// Held from counting what waits for consent until one more does.
    asking: tokio::sync::Mutex<()>,
    /// What live output takes of the memory for it.
    room: Arc<Pool>,
}

#[derive(Debug, Default)]
struct Tables {
    jobs: HashMap<JobId, Arc<LiveJob>>,
    invocations: HashMap<InvocationId, Slot>,
    /// Queued invocations by site; entries whose invocation has moved on are skipped when taken.
    waiting: HashMap<SiteName, VecDeque<Slot>>,
}

impl LiveJobs {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The turn to ask for consent: what waits for it does not grow while somebody has the turn.
    pub(crate) async fn turn_to_ask(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.asking.lock().await
    }

    /// Takes a job in.
    pub fn insert(&self, job: &Arc<LiveJob>) {
        let mut tables = self.tables();
        tables.jobs.insert(job.id(), Arc::clone(job));
        for (index, id, waits_at) in job.index() {
            let slot = Slot { job: Arc::clone(job), index };
            if let Some(site) = waits_at {
                tables.waiting.entry(site).or_default().push_back(slot.clone());
            }
            tables.invocations.insert(id, slot);
        }
    }

    /// Forgets a job that has ended; watchers that have it keep it.
    pub fn remove(&self, job: &LiveJob) {
        let mut tables = self.tables();
        tables.jobs.remove(&job.id());
        tables.forget_waiting(job);
        for (_, id, _) in job.index() {
            tables.invocations.remove(&id);
        }
    }

    /// Takes what waits of a job out of the queues of its sites.
    pub fn forget_waiting(&self, job: &LiveJob) {
        self.tables().forget_waiting(job);
    }

    /// The sites at which something waits for an agent.
    pub fn sites_that_wait(&self) -> Vec<SiteName> {
        self.tables().waiting.keys().cloned().collect()
    }

    /// The job, if it is live.
    pub fn job(&self, id: JobId) -> Option<Arc<LiveJob>> {
        self.tables().jobs.get(&id).cloned()
    }
    /// Every live job.
    pub fn jobs(&self) -> Vec<Arc<LiveJob>> {
        self.tables().jobs.values().cloned().collect()
    }
    /// The invocation, if its job is live.
    pub fn invocation(&self, id: InvocationId) -> Option<Slot> {
        self.tables().invocations.get(&id).cloned()
    }

    /// Shows watchers what a running command printed at `offset`.
    pub fn show(&self, slot: &Slot, stream: StreamName, offset: u64, data: &Bytes) {
        slot.job.show(slot.index, stream, offset, data, &self.room);
    }

    /// How many invocations live jobs have.
    pub fn invocations(&self) -> usize {
        self.tables().invocations.len()
    }

    /// Puts an invocation (back) in the queue of its site.
    pub fn enqueue(&self, site: SiteName, slot: Slot) {
        self.tables().waiting.entry(site).or_default().push_back(slot);
    }
    /// Takes everything that waits at a site.
    pub fn take_waiting(&self, site: &SiteName) -> Vec<Slot> {
        self.tables().waiting.remove(site).map(Vec::from).unwrap_or_default()
    }
}

impl Tables {
    fn forget_waiting(&mut self, job: &LiveJob) {
        let mut sites = BTreeSet::new();
        job.for_each(|_, invocation| {
            sites.insert(invocation.kept.site.clone());
        });
        for site in sites {
            let Some(queue) = self.waiting.get_mut(&site) else { continue };
            queue.retain(|slot| slot.job.id() != job.id());
            if queue.is_empty() {
                self.waiting.remove(&site);
            }
        }
    }
}
