//! The story of a job, start to end. Each step takes the proof that the step before it gave.

mod cancel;
mod close;
mod recover;
mod sweep;
mod take_back;

use std::sync::Arc;

use lictor_core::{
    clock::Clock,
    error::{ErrorCode, Failure},
    id::{IdSource, JobId},
    job::JobSpec,
};
use lictor_store::{KeptJob, Store, StoreError};

use crate::{
    approval::Approved,
    audit::{self, Intended},
    authn::Authenticated,
    authz,
    dispatch::{self, Dispatcher},
    failure::of_store,
    fleet::LiveFleet,
    live::{LiveJob, LiveJobs},
    policies::Policies,
    session::Sessions,
};

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
    /// The hosts.
    pub fleet: Arc<LiveFleet>,
    /// The agents that are connected.
    pub sessions: Arc<Sessions>,
    /// The jobs that have not ended.
    pub jobs: Arc<LiveJobs>,
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

impl Lifecycle {
    /// Who asks → may they → who else → written down → sent.
    ///
    /// # Errors
    /// [`Failure`]: refused by policy (recorded), or not recordable; in each case nothing starts.
    pub async fn submit(&self, caller: &Authenticated, spec: &JobSpec) -> Result<Submitted, Failure> {
        if let Some(known) = self.known_key(caller, spec).await? {
            return Ok(known);
        }
        let (policy, fleet, now) = (self.policies.now(), self.fleet.now(), self.clock.now());

        let permit = match authz::permit(caller, spec, &policy, &fleet) {
            Ok(permit) => permit,
            Err(refused) => {
                audit::record_refusal(&*self.store, caller, spec, &refused, policy.version, now)
                    .await
                    .map_err(of_store)?;
                return Err(refused.failure);
            }
        };
        let places = dispatch::place(permit.permitted().iter(), &self.sessions, now);
        let approved = Approved::by_policy(permit);
        let id = JobId::fresh(&*self.ids);
        let intended = match audit::record_intent(&*self.store, approved, spec, &places, id, now).await {
            Ok(intended) => intended,
            // Somebody with the same key was faster; theirs is the job.
            Err(StoreError::Conflict { .. }) if spec.idempotency_key.is_some() => {
                let known = self.known_key(caller, spec).await?;
                return known
                    .ok_or_else(|| of_store(StoreError::Conflict { what: "the idempotency key".into() }));
            }
            Err(error) => return Err(of_store(error)),
        };
        Ok(Submitted::Live { job: self.dispatch(intended), replayed: false })
    }

    /// Recorded → live → sent. From here on the agent's word moves it: see `take_back`, then `close`.
    fn dispatch(&self, intended: Intended) -> Arc<LiveJob> {
        let Intended { job, invocations, offered, recorded } = intended;
        let now = self.clock.now();
        let live = Arc::new(LiveJob::new(job.clone(), 1, invocations, now));
        self.jobs.insert(&live);
        for (session, list) in offered.into_values() {
            self.dispatcher.send(&job, list, &session, &recorded, now);
        }
        self.offer_to_newcomers(&live);
        live
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
        if let Some(job) = self.jobs.job(kept.job) {
            return Ok(Some(Submitted::Live { job, replayed: true }));
        }
        let job = self.store.job(kept.job).await.map_err(of_store)?;
        Ok(job.map(|job| Submitted::Ended(Box::new(job))))
    }
}
