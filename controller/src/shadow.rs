//! A proposed policy, judged beside the one in force and without effect: what would be decided otherwise is counted.
//!
//! A submission only puts a note in a bounded queue; both policies are asked afterwards, elsewhere. That is the same as
//! asking at once: a decision is a pure function of the request, the policy, the hosts and the time, and the note holds
//! them all.

mod compare;
mod tally;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use arc_swap::ArcSwapOption;
use lictor_core::{
    audit::AuditEvent,
    clock::{Clock, Timestamp},
    digest::Digest,
    error::{ErrorCode, Failure},
    job::JobSpec,
    principal::Principal,
};
use lictor_policy::PolicySet;
use lictor_runtime::panics::Interrupted;
use lictor_store::{Change, KeptShadow, Store, StoreError, Write};
use tokio::sync::mpsc;

pub use self::tally::{Difference, Kind, MAX_DIFFERENCES, Tally};
use crate::{authn::Authenticated, failure::of_store, fleet::Fleet, policies::VersionedPolicy};

/// Requests that wait to be judged, each as large as a request may be (1 MiB); what comes beyond is counted and not judged.
const MAX_WAITING: usize = 64;

/// The proposed policy, if there is one.
#[derive(Debug)]
pub struct Shadow {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    proposed: ArcSwapOption<Proposed>,
    /// Held by whoever changes it, so that what is kept and what is judged by are the same.
    changing: tokio::sync::Mutex<()>,
    queue: mpsc::Sender<Case>,
    waiting: tokio::sync::Mutex<mpsc::Receiver<Case>>,
}

/// A proposed policy with what was counted since it is judged by.
#[derive(Debug)]
pub struct Proposed {
    /// The policy.
    pub set: PolicySet,
    /// Who proposed it.
    pub put_by: String,
    /// When.
    pub put_at: Timestamp,
    /// From when on it is counted: when it was put, or when the controller started if that was later.
    pub counted_since: Timestamp,
    tally: Mutex<Tally>,
}

/// A request to be judged by both policies.
#[derive(Debug)]
pub(crate) struct Case {
    proposed: Arc<Proposed>,
    caller: Authenticated,
    spec: JobSpec,
    policy: Arc<VersionedPolicy>,
    fleet: Arc<Fleet>,
    at: Timestamp,
}

// === impl Shadow ===

impl Shadow {
    /// Takes up the policy that is proposed, if one is. One that is no longer a policy is left alone and said so.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn load(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Result<Self, StoreError> {
        let proposed = match store.shadow_policy().await? {
            Some(kept) => taken_up(&kept, clock.now()),
            None => None,
        };
        let (queue, waiting) = mpsc::channel(MAX_WAITING);
        Ok(Self {
            store,
            clock,
            proposed: ArcSwapOption::new(proposed.map(Arc::new)),
            changing: tokio::sync::Mutex::default(),
            queue,
            waiting: tokio::sync::Mutex::new(waiting),
        })
    }

    /// The proposed policy.
    pub fn now(&self) -> Option<Arc<Proposed>> {
        self.proposed.load_full()
    }

    /// Proposes a policy in place of the one before; answers its digest.
    ///
    /// Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// [`ErrorCode::InvalidArgument`] with everything that is wrong with it, [`ErrorCode::AuditUnavailable`] when it
    /// cannot be recorded.
    pub async fn put(self: &Arc<Self>, source: &str, by: &Principal) -> Result<Digest, Failure> {
        let set = PolicySet::parse(source).map_err(|errors| {
            let message = format!("this is not a policy:\n{errors}");
            Failure::new(ErrorCode::InvalidArgument, message, "correct it and propose it again")
        })?;
        let digest = set.digest();
        self.change(Some(set), by).await.map(|()| digest)
    }

    /// Withdraws the proposed policy.
    ///
    /// Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when there is none, [`ErrorCode::AuditUnavailable`] when it cannot be recorded.
    pub async fn clear(self: &Arc<Self>, by: &Principal) -> Result<(), Failure> {
        self.change(None, by).await
    }

    /// Notes a request that was judged just now by `policy`, to be judged by the proposed policy too. Never waits.
    pub fn note(
        &self,
        caller: &Authenticated,
        spec: &JobSpec,
        policy: &Arc<VersionedPolicy>,
        fleet: &Arc<Fleet>,
        at: Timestamp,
    ) {
        let Some(proposed) = self.now() else { return };
        let (policy, fleet) = (Arc::clone(policy), Arc::clone(fleet));
        let case = Case {
            proposed: Arc::clone(&proposed),
            caller: caller.clone(),
            spec: spec.clone(),
            policy,
            fleet,
            at,
        };
        if self.queue.try_send(case).is_err() {
            proposed.tally_mut().not_judged += 1;
        }
    }

    /// Judges what is noted; never returns.
    pub async fn judge_for_ever(self: Arc<Self>) {
        let mut waiting = self.waiting.lock().await;
        while let Some(case) = waiting.recv().await {
            // Elsewhere, so that a request for ten thousand hosts holds nobody up.
            let judged = tokio::task::spawn_blocking(move || case.judge()).await;
            if let Err(error) = judged.map_err(Interrupted::from) {
                tracing::error!(%error, "a request could not be judged by the proposed policy");
            }
        }
    }

    /// Judges what is noted so far.
    pub async fn judge_noted(&self) {
        let mut waiting = self.waiting.lock().await;
        while let Ok(case) = waiting.try_recv() {
            case.judge();
        }
    }

    async fn change(self: &Arc<Self>, set: Option<PolicySet>, by: &Principal) -> Result<(), Failure> {
        let (this, by) = (Arc::clone(self), by.clone());
        let change = tokio::spawn(async move { this.change_to_its_end(set, by).await });
        change.await.unwrap_or_else(|_| {
            Err(Failure::new(
                ErrorCode::Internal,
                "the change was interrupted",
                "look at the proposed policy",
            ))
        })
    }

    async fn change_to_its_end(&self, set: Option<PolicySet>, by: Principal) -> Result<(), Failure> {
        let _guard = self.changing.lock().await;
        let now = self.clock.now();
        let Some(set) = set else {
            // Asked of the store: what could not be taken up can be withdrawn too.
            if self.store.shadow_policy().await.map_err(of_store)?.is_none() {
                return Err(none_proposed());
            }
            let change = Change::new(now, AuditEvent::ShadowPolicyCleared { by }).write(Write::RemoveShadow);
            let _recorded = self.store.commit(change).await.map_err(of_store)?;
            self.proposed.store(None);
            return Ok(());
        };
        let (digest, put_by) = (set.digest(), by.to_string());
        let kept =
            KeptShadow { digest, source: set.source().to_owned(), put_by: put_by.clone(), put_at: now };
        let change =
            Change::new(now, AuditEvent::ShadowPolicySet { digest, by }).write(Write::PutShadow(kept));
        let _recorded = self.store.commit(change).await.map_err(of_store)?;
        let proposed = Proposed { set, put_by, put_at: now, counted_since: now, tally: Mutex::default() };
        self.proposed.store(Some(Arc::new(proposed)));
        Ok(())
    }
}

/// There is no proposed policy.
pub fn none_proposed() -> Failure {
    Failure::new(ErrorCode::NotFound, "no policy is proposed", "propose one (lictor policy shadow)")
}

fn taken_up(kept: &KeptShadow, now: Timestamp) -> Option<Proposed> {
    match PolicySet::parse(&kept.source) {
        Ok(set) => Some(Proposed {
            set,
            put_by: kept.put_by.clone(),
            put_at: kept.put_at,
            counted_since: now,
            tally: Mutex::default(),
        }),
        Err(errors) => {
            tracing::error!(%errors, "the proposed policy is no longer a policy; it is not judged by, propose it again");
            None
        }
    }
}

// === impl Proposed ===

impl Proposed {
    /// What was counted so far.
    pub fn tally(&self) -> Tally {
        self.tally_mut().clone()
    }

    fn tally_mut(&self) -> MutexGuard<'_, Tally> {
        // Counts are never half made.
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
