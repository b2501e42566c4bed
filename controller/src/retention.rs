//! What jobs leave is kept as long as said: outputs by age and by size, then whole jobs, and idempotency keys for their time;
//! and so is the payload of audit records (`payloads`).
//!
//! `due` decides, by what is known of one job that has ended and by the limits `in_force`, and a hold keeps it all the same; the
//! rest finds, records and removes. What is removed and that it was are one commit.

mod due;
mod in_force;
mod payloads;

use std::{sync::Arc, time::Duration};

use lictor_core::{
    audit::{AuditEvent, RetentionEvent},
    clock::{Clock, Timestamp},
    erasure::Hold,
    id::JobId,
    invocation::Invocation,
    job::Job,
    name::HostAlias,
    output::timing::Timing,
    retention::{OutputRemoved, RetentionLimits},
};
use lictor_store::{BoundKey, Change, EndedJob, KeptJob, Outline, Store, StoreError, Write};

use self::{
    due::{Due, due},
    payloads::OldPayloads,
};
pub use self::{
    due::{MIN_JOB_AGE, MIN_OUTPUT_AGE},
    in_force::{LimitsInForce, Shorten},
    payloads::MIN_PAYLOAD_AGE,
};
use crate::erasures::Erasures;

/// Longest time between two rounds.
const ROUND_EVERY: Duration = Duration::from_secs(600);
/// A round comes often enough that nothing is kept longer than said by more than this part of it.
const ROUNDS_AN_AGE: u32 = 4;
/// How long the next round waits when there is more to remove: others get to the disk meanwhile.
const PAUSE: Duration = Duration::from_secs(1);
/// Jobs or keys looked at in one go.
const PAGE: usize = 1000;
/// Most jobs in one commit: their names are a small record.
const MAX_BATCH_JOBS: usize = 100;
/// Invocations in one commit after which no further job joins them: a tenth of the largest job, some 2 MiB.
const MAX_BATCH_INVOCATIONS: usize = 1000;
/// Invocations after which a round ends, and the next goes on: two of the largest jobs.
const MAX_ROUND_INVOCATIONS: usize = 20_000;
/// Keys after which a round ends.
const MAX_ROUND_KEYS: u64 = 20_000;

/// Removes what has been kept as long as said.
#[derive(Debug)]
pub struct Retention {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    erasures: Arc<Erasures>,
    limits: Arc<LimitsInForce>,
    payloads: OldPayloads,
}

/// What a round has removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Removed {
    /// Jobs of which the output was removed.
    pub outputs: usize,
    /// Jobs.
    pub jobs: usize,
    /// Idempotency keys.
    pub keys: u64,
    /// Records of the audit log of which the payload was erased.
    pub payloads: u64,
    /// There is more to remove, or to look at.
    pub more: bool,
}

/// One job's part of a commit.
#[derive(Debug, Clone)]
struct Removal {
    /// The job as it is kept.
    job: Job,
    ended_at: Timestamp,
    due: Due,
    /// Invocations that are changed or removed.
    invocations: usize,
    /// Bytes of output that are removed.
    bytes: u64,
    writes: Vec<Write>,
}

// === impl Retention ===

impl Retention {
    /// Keeps what is in `store` within `limits`, and what is held for as long as that.
    pub fn new(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        erasures: Arc<Erasures>,
        limits: Arc<LimitsInForce>,
    ) -> Self {
        Self { store, clock, erasures, limits, payloads: OldPayloads::default() }
    }

    /// Removes what a crash left behind, then from time to time, and when other limits are in force, what has been kept as long
    /// as said; never returns.
    pub async fn keep_for_ever(self) {
        match self.store.remove_orphans().await {
            Ok(0) => {}
            Ok(files) => tracing::info!(files, "files that an interruption left behind were removed"),
            Err(error) => {
                tracing::warn!(%error, "what an interruption left behind could not be removed; the next start tries again")
            }
        }
        let mut limits = self.limits.follow();
        loop {
            let every = round_every(*limits.borrow_and_update());
            let wait = match self.round().await {
                Ok(removed) if removed.more => PAUSE,
                Ok(_) => every,
                Err(error) => {
                    tracing::warn!(%error, "what was kept long enough could not be removed; it is tried again");
                    every
                }
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                Ok(()) = limits.changed() => {}
            }
        }
    }

    /// Removes what is to be removed now, up to the bound of a round.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or written.
    pub async fn round(&self) -> Result<Removed, StoreError> {
        let mut removed = self.remove_from_jobs().await?;
        self.remove_keys(&mut removed).await?;
        self.remove_payloads(&mut removed).await?;
        let Removed { outputs, jobs, keys, payloads, more } = removed;
        if removed != (Removed { more, ..Removed::default() }) {
            tracing::info!(outputs, jobs, keys, payloads, "removed what was kept long enough");
        }
        Ok(removed)
    }

    /// Erases payloads, where they are not kept for ever.
    async fn remove_payloads(&self, removed: &mut Removed) -> Result<(), StoreError> {
        let Some(age) = self.limits.now().payload_age else { return Ok(()) };
        let (records, more) =
            self.payloads.erase(&*self.store, &self.erasures, age, self.clock.now()).await?;
        removed.payloads = records;
        removed.more |= more;
        Ok(())
    }

    async fn remove_from_jobs(&self) -> Result<Removed, StoreError> {
        let (now, limits) = (self.clock.now(), self.limits.now());
        let holds = self.store.holds().await?;
        let mut beyond = self.kept_bytes().await?.saturating_sub(limits.output_bytes);
        let (mut removed, mut batch, mut invocations) = (Removed::default(), Vec::new(), 0);
        let mut after = None;
        loop {
            let page = self.store.ended_jobs(after, PAGE).await?;
            let Some(last) = page.last() else { break };
            after = Some(last.job);
            for ended in page {
                let due = due(&ended, &limits, beyond, now);
                let Some(removal) = self.removal(&ended, due, &holds, now).await? else {
                    if due != Due::Nothing {
                        // What is held makes nothing else go.
                        beyond = beyond.saturating_sub(ended.output_bytes);
                    }
                    continue;
                };
                beyond = beyond.saturating_sub(ended.output_bytes);
                invocations += removal.invocations;
                batch.push(removal);
                if is_full(&batch) {
                    self.remove(std::mem::take(&mut batch), now, &mut removed).await?;
                }
                if invocations >= MAX_ROUND_INVOCATIONS {
                    self.remove(batch, now, &mut removed).await?;
                    let more = removed != Removed::default();
                    return Ok(Removed { more, ..removed });
                }
            }
            tokio::task::yield_now().await;
        }
        self.remove(batch, now, &mut removed).await?;
        Ok(removed)
    }

    /// Bytes of output that are kept of all jobs that have ended.
    async fn kept_bytes(&self) -> Result<u64, StoreError> {
        let (mut bytes, mut after) = (0_u64, None);
        loop {
            let page = self.store.ended_jobs(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(bytes) };
            after = Some(last.job);
            bytes = page.iter().fold(bytes, |sum, ended| sum.saturating_add(ended.output_bytes));
            tokio::task::yield_now().await;
        }
    }

    /// How to remove what is due of a job; nothing if nothing is, or if the job is held, or cannot be read and is left alone.
    async fn removal(
        &self,
        ended: &EndedJob,
        due: Due,
        holds: &[Hold],
        now: Timestamp,
    ) -> Result<Option<Removal>, StoreError> {
        if due == Due::Nothing {
            return Ok(None);
        }
        let removal = match self.kept(ended.job).await {
            Ok(kept) if is_held(holds, &kept.job, ended.ended_at) => return Ok(None),
            Ok(kept) => self.removal_of(ended, kept, due, now).await,
            Err(error) => Err(error),
        };
        match removal {
            Err(error @ StoreError::Corrupt(_)) => {
                tracing::error!(job = %ended.job, %error, "a job cannot be read and is kept; restore it from a backup");
                Ok(None)
            }
            removal => removal.map(Some),
        }
    }

    async fn kept(&self, job: JobId) -> Result<KeptJob, StoreError> {
        let missing = || StoreError::Corrupt(format!("{job} is missing"));
        self.store.job(job).await?.ok_or_else(missing)
    }

    async fn removal_of(
        &self,
        ended: &EndedJob,
        kept: KeptJob,
        due: Due,
        now: Timestamp,
    ) -> Result<Removal, StoreError> {
        let (invocations, bytes, writes) = match due {
            Due::Nothing => (0, 0, Vec::new()),
            Due::Outputs(limit) => self.outputs_of(ended, OutputRemoved { at: now, limit }).await?,
            Due::Job(_) => self.all_of(ended, kept.version).await?,
        };
        Ok(Removal { job: kept.job, ended_at: ended.ended_at, due, invocations, bytes, writes })
    }

    async fn outputs_of(
        &self,
        ended: &EndedJob,
        removed: OutputRemoved,
    ) -> Result<(usize, u64, Vec<Write>), StoreError> {
        let mut writes = Vec::new();
        let mut bytes = 0;
        for Outline { invocation, kept } in self.invocations_of(ended.job).await? {
            if kept.bytes() > 0 {
                bytes += kept.bytes();
                let mut bare = Invocation {
                    version: invocation.version + 1,
                    output_removed: Some(removed),
                    ..invocation
                };
                bare.output.timing = Timing::default();
                writes.push(Write::UpdateInvocation(bare.into()));
            }
        }
        let invocations = writes.len();
        writes.push(Write::PutEnded(EndedJob { output_bytes: 0, version: ended.version + 1, ..*ended }));
        Ok((invocations, bytes, writes))
    }

    async fn all_of(&self, ended: &EndedJob, version: u64) -> Result<(usize, u64, Vec<Write>), StoreError> {
        let remove = |outline: Outline| {
            let Invocation { id, job, host, attempt, version, .. } = outline.invocation;
            Write::RemoveInvocation { id, job, host, attempt, version }
        };
        let mut writes: Vec<Write> = self.invocations_of(ended.job).await?.into_iter().map(remove).collect();
        let invocations = writes.len();
        writes.push(Write::RemoveJob { ended: *ended, version });
        Ok((invocations, ended.output_bytes, writes))
    }

    async fn invocations_of(&self, job: JobId) -> Result<Vec<Outline>, StoreError> {
        let mut all: Vec<Outline> = Vec::new();
        loop {
            let after: Option<HostAlias> = all.last().map(|outline| outline.invocation.host.clone());
            let page = self.store.invocation_ids(job, after.as_ref(), PAGE).await?;
            if page.is_empty() {
                return Ok(all);
            }
            for id in page {
                let missing = || StoreError::Corrupt(format!("{id} is missing"));
                all.push(self.store.outline(id).await?.ok_or_else(missing)?);
            }
        }
    }

    /// Records and removes in one commit; each alone if something changed meanwhile, which is then left to the next round.
    async fn remove(
        &self,
        batch: Vec<Removal>,
        now: Timestamp,
        removed: &mut Removed,
    ) -> Result<(), StoreError> {
        if batch.is_empty() {
            return Ok(());
        }
        match self.commit(&batch, now).await {
            Ok(()) => removed.count(&batch),
            Err(StoreError::Conflict { .. }) => {
                for removal in batch {
                    let alone = [removal];
                    match self.commit(&alone, now).await {
                        Ok(()) => removed.count(&alone),
                        Err(StoreError::Conflict { what }) => {
                            tracing::warn!(%what, "it changed while it was to be removed; the next round looks again");
                        }
                        Err(error) => return Err(error),
                    }
                }
            }
            Err(error) => return Err(error),
        }
        Ok(())
    }

    async fn commit(&self, batch: &[Removal], now: Timestamp) -> Result<(), StoreError> {
        // A hold that is acknowledged keeps what is there: it is set before this, or finds it gone.
        let (_undisturbed, holds) = self.erasures.undisturbed().await?;
        if let Some(held) = batch.iter().find(|removal| is_held(&holds, &removal.job, removal.ended_at)) {
            return Err(StoreError::Conflict { what: format!("what is held of {}", held.job.id) });
        }
        let mut events = events(batch).into_iter().map(|event| AuditEvent::Retention(Box::new(event)));
        let Some(first) = events.next() else { return Ok(()) };
        let change = events.fold(Change::new(now, first), Change::event);
        let writes = batch.iter().flat_map(|removal| removal.writes.iter().cloned());
        let _recorded = self.store.commit(writes.fold(change, Change::write)).await?;
        Ok(())
    }

    /// Removes keys whose time is over.
    async fn remove_keys(&self, removed: &mut Removed) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut after: Option<BoundKey> = None;
        loop {
            let page = self.store.bound_keys(after.as_ref(), PAGE).await?;
            let Some(last) = page.last() else { return Ok(()) };
            after = Some(last.clone());
            let over: Vec<BoundKey> = page.into_iter().filter(|key| key.expires_at < now).collect();
            let count = over.len() as u64;
            if count > 0 {
                let event = AuditEvent::Retention(Box::new(RetentionEvent::KeysRemoved { count }));
                let change =
                    over.into_iter().map(Write::RemoveKey).fold(Change::new(now, event), Change::write);
                match self.store.commit(change).await {
                    Ok(_) => removed.keys += count,
                    // Somebody uses one of them again; the next round looks again.
                    Err(StoreError::Conflict { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            if removed.keys >= MAX_ROUND_KEYS {
                removed.more = true;
                return Ok(());
            }
            tokio::task::yield_now().await;
        }
    }
}

fn round_every(limits: RetentionLimits) -> Duration {
    (limits.output_age.min(limits.job_age) / ROUNDS_AN_AGE).min(ROUND_EVERY)
}

fn is_held(holds: &[Hold], job: &Job, ended_at: Timestamp) -> bool {
    holds.iter().any(|hold| hold.scope.covers_job(job, ended_at))
}

fn is_full(batch: &[Removal]) -> bool {
    let invocations: usize = batch.iter().map(|removal| removal.invocations).sum();
    batch.len() >= MAX_BATCH_JOBS || invocations >= MAX_BATCH_INVOCATIONS
}

/// One event for the output of each job, and one for all jobs that are removed: they are so by the same limit.
fn events(batch: &[Removal]) -> Vec<RetentionEvent> {
    let mut events = Vec::new();
    let (mut jobs, mut invocations, mut by) = (Vec::new(), 0, None);
    for removal in batch {
        let count = removal.invocations as u64;
        match removal.due {
            Due::Nothing => {}
            Due::Outputs(limit) => {
                let (job, bytes) = (removal.job.id, removal.bytes);
                events.push(RetentionEvent::OutputsRemoved { job, count, bytes, limit });
            }
            Due::Job(limit) => {
                jobs.push(removal.job.id);
                (invocations, by) = (invocations + count, Some(limit));
            }
        }
    }
    events.extend(by.map(|limit| RetentionEvent::JobsRemoved { jobs, invocations, limit }));
    events
}

// === impl Removed ===

impl Removed {
    fn count(&mut self, batch: &[Removal]) {
        let whole = batch.iter().filter(|removal| matches!(removal.due, Due::Job(_))).count();
        self.jobs += whole;
        self.outputs += batch.len() - whole;
    }
}
