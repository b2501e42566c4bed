//! The story of a job, start to end. Each step takes the proof that the step before it gave.

mod approve;
mod cancel;
mod close;
mod decidable;
mod freeze;
mod reconcile;
mod recount;
mod recover;
mod revoke;
mod rollout;
mod sweep;
mod take_back;

use std::{sync::Arc, time::Duration};

use lictor_core::{
    clock::{Clock, Timestamp},
    error::{ErrorCode, Failure},
    id::{IdSource, JobId},
    job::{JobSpec, Target},
};
use lictor_store::{KeptJob, Store, StoreError};

pub use self::{
    approve::{Decision, MAX_WAITING_INVOCATIONS, MAX_WAITING_JOBS, MAX_WAITING_JOBS_EACH},
    freeze::{CONFIRM_WITHIN, Frozen},
    revoke::Revoked,
};
use crate::{
    approval::{Approved, Verdict},
    arrivals::Arrivals,
    audit::{self, Intended},
    authn::Authenticated,
    authz::{self, Permit, Refused},
    contents::Contents,
    dispatch::{self, Dispatcher},
    failure::of_store,
    fleet::{Fleet, LiveFleet},
    freezes::Freezes,
    live::{LiveJob, LiveJobs},
    policies::{Policies, VersionedPolicy},
    quotas::{Asked, Places, Quotas, UsedUp},
    revocations::Revocations,
    served::ServedTime,
    session::Sessions,
    shadow::Shadow,
};

/// Invocations that may be under way at once, over all callers: ten of the largest jobs. Bounds the controller's memory.
pub const MAX_LIVE_INVOCATIONS: usize = 100_000;
/// The code of a request for which a quota leaves no room.
const QUOTA_USED_UP: &str = "POLICY_QUOTA";
/// How often, and how many times, a job is looked for whose key is known but which is not live yet.
const KEY_LOOK_EVERY: Duration = Duration::from_millis(20);
/// See [`KEY_LOOK_EVERY`]: a second in all, far above one commit.
const KEY_LOOKS: usize = 50;

/// Everything the story needs.
#[derive(Debug)]
pub struct Lifecycle {
    /// What is kept.
    pub store: Arc<dyn Store>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Fresh identifiers.
    pub ids: Arc<dyn IdSource>,
    /// The policy in force.
    pub policies: Arc<Policies>,
    /// What operators have frozen.
    pub freezes: Arc<Freezes>,
    /// The hosts.
    pub fleet: Arc<LiveFleet>,
    /// The agents that are connected.
    pub sessions: Arc<Sessions>,
    /// Which certificates of agents count.
    pub revocations: Arc<Revocations>,
    /// The jobs that have not ended.
    pub jobs: Arc<LiveJobs>,
    /// What each principal has asked for and has under way.
    pub quotas: Arc<Quotas>,
    /// The policy that is proposed.
    pub shadow: Arc<Shadow>,
    /// The bytes that jobs are given.
    pub contents: Arc<Contents>,
    /// The files that downloads bring.
    pub arrivals: Arc<Arrivals>,
    /// The time in which what waits is measured.
    pub served: ServedTime,
    /// Signs and sends.
    pub dispatcher: Dispatcher,
}

/// What became of a submission.
#[derive(Debug)]
pub enum Submitted {
    /// A job that has not ended.
    Live {
        /// The job.
        job: Arc<LiveJob>,
        /// Its idempotency key was known: nothing new was started.
        replayed: bool,
    },
    /// A job that had ended before: its idempotency key was known.
    Ended(Box<KeptJob>),
}

/// What a job is for.
#[derive(Debug, Clone, Copy)]
enum Purpose {
    /// Somebody asked for it.
    Job,
    /// A job that is under way needs it to go on; it cannot wait for consent.
    Check,
}

impl Purpose {
    /// How many invocations may be under way with it.
    const fn most(self) -> usize {
        match self {
            Self::Job => MAX_LIVE_INVOCATIONS,
            Self::Check => 2 * MAX_LIVE_INVOCATIONS,
        }
    }
}

impl Lifecycle {
    /// Who asks → may they → who else → written down → sent.
    ///
    /// Runs to its end even if the caller goes away: what is written down is also sent.
    ///
    /// # Errors
    /// [`Failure`]: refused by policy (recorded), or not recordable; in each case nothing starts.
    pub async fn submit(
        self: &Arc<Self>,
        caller: &Authenticated,
        spec: &JobSpec,
    ) -> Result<Submitted, Failure> {
        self.submit_within(caller, spec, Purpose::Job).await
    }

    /// As [`submit`](Self::submit), for what a job that is under way needs to go on: jobs that fill everything would
    /// otherwise wait for each other.
    pub(crate) async fn submit_check(
        self: &Arc<Self>,
        caller: &Authenticated,
        spec: &JobSpec,
    ) -> Result<Submitted, Failure> {
        self.submit_within(caller, spec, Purpose::Check).await
    }

    async fn submit_within(
        self: &Arc<Self>,
        caller: &Authenticated,
        spec: &JobSpec,
        purpose: Purpose,
    ) -> Result<Submitted, Failure> {
        let (this, caller, spec) = (Arc::clone(self), caller.clone(), spec.clone());
        let submission = tokio::spawn(async move { this.submit_to_its_end(&caller, &spec, purpose).await });
        submission.await.unwrap_or_else(|_| Err(interrupted()))
    }

    async fn submit_to_its_end(
        self: &Arc<Self>,
        caller: &Authenticated,
        spec: &JobSpec,
        purpose: Purpose,
    ) -> Result<Submitted, Failure> {
        if let Some(known) = self.known_key(caller, spec).await? {
            return Ok(known);
        }
        // A policy that is put waits until what was judged by the one before has been sent.
        let in_force = self.policies.hold().await;
        let (policy, fleet, now) = (self.policies.now(), self.fleet.now(), self.clock.now());
        if let Some(content) = spec.context.stdin {
            self.contents.hold(caller.principal(), content)?;
        }

        let judged = self.judge(caller, spec, &policy, &fleet, now, purpose);
        self.shadow.note(caller, spec, &policy, &fleet, now);
        let (verdict, counted) = match judged {
            Ok(judged) => judged,
            Err(refused) => {
                let recorded =
                    audit::record_refusal(&*self.store, caller, spec, &refused, policy.version, now).await;
                recorded.map_err(of_store)?;
                return Err(refused.failure);
            }
        };
        self.refuse_when_full(verdict.permit().would_run_on(), purpose.most())?;
        let approved = match verdict {
            Verdict::Approved(approved) => approved,
            Verdict::Asks(asking) => {
                let _turn = self.jobs.turn_to_ask().await;
                self.refuse_when_many_wait(&asking)?;
                return match self.wait_for_consent(&asking, spec, counted, now).await {
                    Err(StoreError::Conflict { .. }) if spec.idempotency_key.is_some() => {
                        self.key_of_the_faster(caller, spec).await
                    }
                    waiting => waiting.map_err(of_store),
                };
            }
        };
        let permitted = approved.permit().permitted();
        let places = dispatch::place(permitted.iter(), &self.sessions, now);
        let id = JobId::fresh(&*self.ids);
        let intended = match audit::record_intent(&*self.store, approved, spec, &places, id, now).await {
            Ok(intended) => intended,
            // Somebody with the same key was faster; theirs is the job.
            Err(StoreError::Conflict { .. }) if spec.idempotency_key.is_some() => {
                return self.key_of_the_faster(caller, spec).await;
            }
            Err(error) => return Err(of_store(error)),
        };
        counted.keep();
        let job = self.dispatch(intended);
        drop(in_force);
        if let Err(error) = self.offer_to_newcomers(&job).await {
            // The job is recorded and under way all the same; what waits is offered again by the sweep.
            tracing::error!(job = %job.id(), %error, "what an agent came for meanwhile could not be offered");
        }
        Ok(Submitted::Live { job, replayed: false })
    }

    /// May they → who else → within their quotas.
    fn judge(
        &self,
        caller: &Authenticated,
        spec: &JobSpec,
        policy: &VersionedPolicy,
        fleet: &Fleet,
        now: Timestamp,
        purpose: Purpose,
    ) -> Result<(Verdict, Places), Box<Refused>> {
        let freezes = self.freezes.now();
        let permit = authz::permit(caller, spec, policy, fleet, &freezes.set, now)?;
        let verdict = match purpose {
            Purpose::Job => Verdict::of(permit, &policy.set)?,
            Purpose::Check => Verdict::Approved(Approved::by_policy(permit)?),
        };
        self.judge_health_check(caller, spec, policy, fleet, now, verdict.permit())?;
        let permit = verdict.permit();
        let running = permit.would_run_on();
        let asked = Asked { invocations: running + permit.denied().len(), running };
        let counted = self.quotas.take(&policy.set, permit.principal(), permit.via(), asked, now);
        let counted = counted.map_err(|UsedUp { quota, failure }| {
            let command = permit.command().render();
            Box::new(Refused { command, rule: quota, code: QUOTA_USED_UP.to_owned(), failure })
        })?;
        Ok((verdict, counted))
    }

    /// The command that checks the health of each wave must be permitted where the job is, before anything begins.
    fn judge_health_check(
        &self,
        caller: &Authenticated,
        spec: &JobSpec,
        policy: &VersionedPolicy,
        fleet: &Fleet,
        now: Timestamp,
        permit: &Permit,
    ) -> Result<(), Box<Refused>> {
        let Some(check) = &spec.rollout.health_check else { return Ok(()) };
        let hosts = permit.would_run().into_iter().map(|host| host.host.alias.clone()).collect();
        let spec = JobSpec::new(Target::Hosts(hosts), check.clone(), spec.origin.clone());
        let freezes = self.freezes.now();
        let checks = Approved::by_policy(authz::permit(caller, &spec, policy, fleet, &freezes.set, now)?)?;
        match checks.permit().denied().first() {
            None => Ok(()),
            Some(denied) => Err(Refused::health_check(checks.permit().command(), denied)),
        }
    }

    /// Recorded → live → sent. From here on the agent's word moves it: see `take_back`, then `close`.
    fn dispatch(&self, intended: Intended) -> Arc<LiveJob> {
        let Intended { job, invocations, offered, recorded } = intended;
        let now = self.served.now();
        let live = Arc::new(LiveJob::new(job.clone(), 1, invocations, now));
        self.jobs.insert(&live);
        self.release(&live);
        for (session, list) in offered.into_values() {
            self.dispatcher.send(&job, list, &session, &recorded, now.time);
        }
        live
    }

    fn refuse_when_full(&self, more: usize, most: usize) -> Result<(), Failure> {
        let live = self.jobs.invocations();
        if live + more <= most {
            return Ok(());
        }
        let message =
            format!("{live} invocations have not ended; {MAX_LIVE_INVOCATIONS} are allowed at a time");
        Err(Failure::new(
            ErrorCode::LimitExceeded,
            message,
            "wait until some have ended, or cancel some (lictor jobs)",
        ))
    }

    /// The job of whoever used the same key a moment earlier; the store may refuse a key before it can be read.
    async fn key_of_the_faster(&self, caller: &Authenticated, spec: &JobSpec) -> Result<Submitted, Failure> {
        for _ in 0..KEY_LOOKS {
            if let Some(known) = self.known_key(caller, spec).await? {
                return Ok(known);
            }
            tokio::time::sleep(KEY_LOOK_EVERY).await;
        }
        Err(of_store(StoreError::Conflict { what: "the idempotency key".into() }))
    }

    /// The job that this key stands for, if it is known.
    async fn known_key(&self, caller: &Authenticated, spec: &JobSpec) -> Result<Option<Submitted>, Failure> {
        let Some(key) = &spec.idempotency_key else { return Ok(None) };
        let kept = self.store.idempotency_key(caller.principal(), key).await.map_err(of_store)?;
        let Some(kept) = kept.filter(|k| k.expires_at >= self.clock.now()) else { return Ok(None) };
        if kept.request_digest != spec.digest() {
            let message = format!("the idempotency key {} was used for another request", key.as_str());
            let failure = Failure::new(ErrorCode::AlreadyExists, message, "use a new key for a new request");
            return Err(failure.with("job", kept.job.to_string()));
        }
        for _ in 0..KEY_LOOKS {
            if let Some(job) = self.jobs.job(kept.job) {
                return Ok(Some(Submitted::Live { job, replayed: true }));
            }
            match self.store.job(kept.job).await.map_err(of_store)? {
                Some(job) if job.counts.is_some() => return Ok(Some(Submitted::Ended(Box::new(job)))),
                // It was recorded a moment ago and is about to be live.
                Some(_) => tokio::time::sleep(KEY_LOOK_EVERY).await,
                None => return Ok(None),
            }
        }
        let message = format!("job {}, which has this idempotency key, is not ready", kept.job);
        Err(Failure::new(
            ErrorCode::Unavailable,
            message,
            "ask again with the same key; nothing is run twice",
        ))
    }
}

fn interrupted() -> Failure {
    Failure::new(
        ErrorCode::Internal,
        "the request was interrupted",
        "ask again with the same idempotency key",
    )
}
