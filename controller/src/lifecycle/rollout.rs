//! How a job goes on: the next wave, its rest, its health, and what stops it. Driven by ends and by the sweep; every
//! step is recorded before it has an effect, so that a restart goes on where it was.

use std::{sync::Arc, time::Duration};

use lictor_core::{
    audit::AuditEvent,
    error::{ErrorCode, Failure},
    id::JobId,
    job::{IdempotencyKey, Job, JobSpec, JobState, Origin, Target},
    outcome::Outcome,
    rollout::{Halt, HaltReason, Health, Next, Progress},
};
use lictor_store::{Change, StoreError, Write};

use super::{
    Lifecycle, Submitted,
    close::{End, is_queued, to_its_end},
};
use crate::{
    authn::Authenticated,
    failure::{no_such, of_store},
    live::{LiveJob, Slot, Turn},
};

/// Steps taken at once: the end of a wave, its check and the next wave, with room to spare. The sweep takes the rest.
const MAX_STEPS: usize = 8;
/// How long a health check that cannot be begun is left alone: each try is recorded.
const CHECK_AGAIN: Duration = Duration::from_secs(60);

impl Lifecycle {
    /// Begins nothing new of a job until it is resumed. Asking again changes nothing.
    ///
    /// # Errors
    /// [`Failure`] when there is no such job, when it has ended, or when the request cannot be recorded.
    pub async fn pause(self: &Arc<Self>, id: JobId, by: &Authenticated) -> Result<(), Failure> {
        self.steer(id, by, "paused", async |this, turn, job, by| {
            let (record, ..) = job.snapshot();
            if record.progress.paused.is_some() || record.progress.halted.is_some() {
                return Ok(());
            }
            let (who, actor) = (by.principal().clone(), by.actor().cloned());
            let event = AuditEvent::JobPaused { job: job.id(), by: who.clone(), actor };
            let paused = Some((who, this.clock.now()));
            this.record_progress(turn, job, Progress { paused, ..record.progress.clone() }, event).await?;
            this.jobs.forget_waiting(job);
            Ok(())
        })
        .await
    }

    /// Goes on with a job that was paused. Asking again changes nothing.
    ///
    /// # Errors
    /// As of [`pause`](Self::pause).
    pub async fn resume(self: &Arc<Self>, id: JobId, by: &Authenticated) -> Result<(), Failure> {
        self.steer(id, by, "resumed", async |this, turn, job, by| {
            let (record, ..) = job.snapshot();
            if record.progress.paused.is_none() {
                return Ok(());
            }
            let (who, actor) = (by.principal().clone(), by.actor().cloned());
            let event = AuditEvent::JobResumed { job: job.id(), by: who, actor };
            this.record_progress(turn, job, Progress { paused: None, ..record.progress.clone() }, event).await
        })
        .await
    }

    /// Begins nothing new of a job any more; what is under way goes on to its end.
    ///
    /// # Errors
    /// As of [`pause`](Self::pause).
    pub async fn abort(self: &Arc<Self>, id: JobId, by: &Authenticated) -> Result<(), Failure> {
        self.steer(id, by, "aborted", async |this, turn, job, by| {
            this.halt_in(turn, job, HaltReason::Aborted, Some(by)).await
        })
        .await
    }

    /// Finds a job that has not ended and does something to it in its turn, to the end even if the caller goes away.
    async fn steer<Step>(
        self: &Arc<Self>,
        id: JobId,
        by: &Authenticated,
        what: &str,
        step: Step,
    ) -> Result<(), Failure>
    where
        Step: AsyncFnOnce(&Arc<Self>, &Turn, &Arc<LiveJob>, &Authenticated) -> Result<(), StoreError>,
    {
        let ended = || {
            let message = format!("{id} has ended, so it cannot be {what}");
            Failure::new(ErrorCode::Conflict, message, format!("see what became of it: lictor jobs {id}"))
        };
        let Some(job) = self.jobs.job(id) else {
            let kept = self.store.job(id).await.map_err(of_store)?;
            return Err(kept.map_or_else(|| no_such("job", &id.to_string()), |_| ended()));
        };
        let turn = Turn::of([&job]).await;
        if job.has_ended() {
            return Err(ended());
        }
        step(self, &turn, &job, by).await.map_err(of_store)?;
        drop(turn);
        self.advance_to_its_end(&job).await.map_err(of_store)
    }

    async fn advance_to_its_end(self: &Arc<Self>, job: &Arc<LiveJob>) -> Result<(), StoreError> {
        let (this, job) = (Arc::clone(self), Arc::clone(job));
        to_its_end(async move { this.advance(&job).await }).await
    }

    /// Does what is next for a job, then lets begin what may begin now.
    pub(super) async fn advance(self: &Arc<Self>, job: &Arc<LiveJob>) -> Result<(), StoreError> {
        for _ in 0..MAX_STEPS {
            let health = self.health(job).await?;
            let turn = Turn::of([job]).await;
            match job.next(health, self.clock.now()) {
                Next::Wait => break,
                Next::Halt(reason) => self.halt_in(&turn, job, reason, None).await?,
                Next::Soak => self.soak_in(&turn, job).await?,
                Next::Begin(wave) => self.begin_in(&turn, job, wave).await?,
                Next::CheckHealth => {
                    drop(turn);
                    if !self.check_health(job).await? {
                        break;
                    }
                }
            }
        }
        self.release(job);
        Ok(())
    }

    /// Lets begin what may begin now: it waits for an agent of its site from now on.
    pub(super) fn release(&self, job: &Arc<LiveJob>) {
        let now = self.clock.now();
        let released = job.release(self.served.now().served);
        let mut sites = std::collections::BTreeSet::new();
        for (index, site) in released {
            self.jobs.enqueue(site.clone(), Slot { job: Arc::clone(job), index });
            sites.insert(site);
        }
        for site in sites {
            if let Some(session) = self.sessions.choose(&site, now) {
                session.look();
            }
        }
    }

    /// Halts a job: what waits is SKIPPED, what is under way goes on to its end.
    async fn halt_in(
        &self,
        turn: &Turn,
        job: &Arc<LiveJob>,
        reason: HaltReason,
        by: Option<&Authenticated>,
    ) -> Result<(), StoreError> {
        let (record, _, counts) = job.snapshot();
        if counts.ended() || record.progress.halted.is_some() {
            return Ok(());
        }
        let (who, actor) = (by.map(|by| by.principal().clone()), by.and_then(Authenticated::actor).cloned());
        let halted = Some(Halt { reason, by: who.clone(), at: self.clock.now() });
        let event = AuditEvent::JobHalted { job: job.id(), reason, by: who, actor };
        self.record_progress(turn, job, Progress { halted, ..record.progress.clone() }, event).await?;
        let mut waiting = Vec::new();
        job.for_each(|index, invocation| {
            if is_queued(&invocation.kept.state) {
                let slot = Slot { job: Arc::clone(job), index };
                waiting.push(End { slot, outcome: Outcome::Skipped, report: None });
            }
        });
        self.close_in(turn, waiting).await
    }

    async fn soak_in(&self, turn: &Turn, job: &Arc<LiveJob>) -> Result<(), StoreError> {
        let (record, ..) = job.snapshot();
        let until = self.clock.now().plus(record.rollout.soak);
        let event = AuditEvent::WaveEnded { job: job.id(), wave: record.progress.wave, soak_until: until };
        let progress = Progress { soak_until: Some(until), ..record.progress.clone() };
        self.record_progress(turn, job, progress, event).await
    }

    async fn begin_in(&self, turn: &Turn, job: &Arc<LiveJob>, wave: u32) -> Result<(), StoreError> {
        let (record, ..) = job.snapshot();
        let event = AuditEvent::WaveBegun { job: job.id(), wave };
        let progress = Progress { wave, soak_until: None, health_job: None, ..record.progress.clone() };
        self.record_progress(turn, job, progress, event).await
    }

    /// Records how far a job is, then takes it over.
    async fn record_progress(
        &self,
        turn: &Turn,
        job: &Arc<LiveJob>,
        progress: Progress,
        event: AuditEvent,
    ) -> Result<(), StoreError> {
        let (record, version, _) = job.snapshot();
        let record = Job { progress, ..record };
        let write = Write::UpdateJob { job: record.clone(), counts: None, version: version + 1 };
        let _recorded = self.store.commit(Change::new(self.clock.now(), event).write(write)).await?;
        job.job_recorded(turn, record, version + 1, self.served.now());
        Ok(())
    }

    /// How the check of the wave under way stands; nothing if none was begun.
    async fn health(&self, job: &LiveJob) -> Result<Option<Health>, StoreError> {
        let Some(check) = job.health_job() else { return Ok(None) };
        let state = match self.jobs.job(check) {
            Some(live) => {
                let (record, _, counts) = live.snapshot();
                record.state(&counts)
            }
            None => match self.store.job(check).await? {
                Some(kept) => kept.counts.map_or(JobState::Running, |counts| kept.job.state(&counts)),
                None => JobState::Failed,
            },
        };
        Ok(Some(match state {
            JobState::Succeeded => Health::Good,
            state if state.ended() => Health::Bad,
            _ => Health::Checking,
        }))
    }

    /// Begins the check of a wave on the hosts of it that succeeded, as a job of its own. Its key makes it the same job
    /// however often it is begun. Answers whether there is more to do at once.
    async fn check_health(self: &Arc<Self>, job: &Arc<LiveJob>) -> Result<bool, StoreError> {
        let (record, ..) = job.snapshot();
        let wave = record.progress.wave;
        let Some(spec) = health_spec(&record, job.succeeded_in(wave)) else { return Ok(false) };
        if !job.may_check(self.clock.now()) {
            return Ok(false);
        }
        let submitted = self.submit_check(&Authenticated::of_recorded(&record), &spec).await;
        let check = match submitted {
            Ok(Submitted::Live { job, .. }) => job.id(),
            Ok(Submitted::Ended(kept)) => kept.job.id,
            // Nothing is said of the wave by that; the sweep tries again.
            Err(failure) if passes(&failure) => {
                tracing::warn!(job = %record.id, wave, %failure, "a health check cannot be begun; it is tried again");
                job.check_again_at(self.clock.now().plus(CHECK_AGAIN));
                return Ok(false);
            }
            Err(failure) => {
                tracing::warn!(job = %record.id, wave, %failure, "a health check is refused; the job is halted");
                let turn = Turn::of([job]).await;
                self.halt_in(&turn, job, HaltReason::HealthCheckFailed, None).await?;
                return Ok(true);
            }
        };
        let turn = Turn::of([job]).await;
        let (record, ..) = job.snapshot();
        let stopped = record.is_stopped();
        if stopped || job.has_ended() || record.progress.wave != wave || record.progress.health_job.is_some()
        {
            return Ok(true);
        }
        let event = AuditEvent::HealthCheckStarted { job: job.id(), wave, check };
        let progress = Progress { health_job: Some(check), ..record.progress.clone() };
        self.record_progress(&turn, job, progress, event).await?;
        Ok(true)
    }

    /// Goes on with every job whose rest is over or whose check has ended.
    pub(super) async fn advance_all(self: &Arc<Self>) {
        for job in self.jobs.jobs() {
            if job.has_rollout()
                && let Err(error) = self.advance_to_its_end(&job).await
            {
                tracing::error!(job = %job.id(), %error, "how a job goes on could not be recorded; it is tried again");
            }
        }
    }
}

/// Whether a refusal says nothing of the command, and may be otherwise in a while: no room, no disk, a freeze, a quota.
const fn passes(failure: &Failure) -> bool {
    matches!(
        failure.code,
        ErrorCode::Unavailable | ErrorCode::AuditUnavailable | ErrorCode::LimitExceeded | ErrorCode::Frozen
    )
}

/// The request that checks the health of the wave under way; nothing where nothing is to be checked.
fn health_spec(record: &Job, hosts: Vec<lictor_core::name::HostAlias>) -> Option<JobSpec> {
    let command = record.rollout.health_check.clone()?;
    let wave = record.progress.wave;
    let origin = Origin::new(record.origin.via, &format!("health check of {}, wave {wave}", record.id));
    let origin = Origin { actor: record.origin.actor.clone(), ..origin };
    let key = IdempotencyKey::of_controller(&format!("health-{}-{wave}", record.id));
    Some(JobSpec { idempotency_key: Some(key), ..JobSpec::new(Target::Hosts(hosts), command, origin) })
}
