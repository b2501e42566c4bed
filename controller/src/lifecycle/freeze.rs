//! Frozen: in force at once, here and at the agents; then recorded; then acknowledged. Lifted the other way round.
//!
//! A freeze that cannot be recorded stays in force: whoever pulls the brake with a full disk wants it to hold. The caller
//! is told that a restart would lose it, and it is tried again.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use lictor_core::{
    audit::AuditEvent,
    error::{ErrorCode, Failure},
    freeze::{Freeze, FreezeReason, FreezeScope},
    id::FreezeId,
    invocation::InvocationState,
    name::SiteName,
    principal::Principal,
};
use lictor_store::{Change, StoreError, Write};

use super::Lifecycle;
use crate::{failure::of_store, freezes::InForce, session::Session};

/// How long agents have to confirm that nothing starts any more; DESIGN's figure for a freeze.
pub const CONFIRM_WITHIN: Duration = Duration::from_secs(1);

/// A freeze that is in force.
#[derive(Debug)]
pub struct Frozen {
    /// The freeze.
    pub freeze: Arc<Freeze>,
    /// Agents, as `site/agent`, that did not confirm in time and may still start what they were offered before.
    pub unconfirmed: Vec<String>,
}

impl Lifecycle {
    /// Freezes `scope`. When this answers, nothing that was judged before is still to be sent, and every agent that is not
    /// named has confirmed that nothing starts any more.
    ///
    /// Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] for a site or host that is not known, [`ErrorCode::LimitExceeded`] when there are too many
    /// freezes. [`ErrorCode::AuditUnavailable`] when it could not be recorded: it is in force all the same.
    pub async fn freeze(
        self: &Arc<Self>,
        scope: FreezeScope,
        reason: FreezeReason,
        by: &Principal,
    ) -> Result<Frozen, Failure> {
        self.must_be_known(&scope).await?;
        let (id, at) = (FreezeId::fresh(&*self.ids), self.clock.now());
        let freeze = Arc::new(Freeze { id, scope, reason, by: by.clone(), at });
        let this = Arc::clone(self);
        let freezing = tokio::spawn(async move { this.freeze_to_its_end(freeze).await });
        freezing.await.unwrap_or_else(|_| Err(interrupted()))
    }

    async fn freeze_to_its_end(&self, freeze: Arc<Freeze>) -> Result<Frozen, Failure> {
        let version = self.freezes.enforce(&freeze, |in_force| self.tell_all(in_force))?;
        tracing::warn!(freeze = %freeze.id, scope = %freeze.scope, by = %freeze.by, reason = %freeze.reason, "frozen: nothing new starts there");
        // What was judged before is sent by then, to agents that know of the freeze.
        drop(self.policies.settled().await);
        let recorded = self.record_freeze(&freeze).await;
        let unconfirmed = self.unconfirmed(&freeze.scope, version).await;
        match recorded {
            Ok(()) => Ok(Frozen { freeze, unconfirmed }),
            Err(error @ StoreError::Conflict { .. }) => Err(of_store(error)),
            Err(error) => Err(not_recorded(&freeze, &unconfirmed, &error)),
        }
    }

    /// Lifts a freeze: recorded first, then in force. Answers the freeze.
    ///
    /// Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when it is not in force, [`ErrorCode::AuditUnavailable`] when it cannot be recorded; then it
    /// stays in force.
    pub async fn lift(self: &Arc<Self>, id: FreezeId, by: &Principal) -> Result<Arc<Freeze>, Failure> {
        let (this, by) = (Arc::clone(self), by.clone());
        let lifting = tokio::spawn(async move { this.lift_to_its_end(id, by).await });
        lifting.await.unwrap_or_else(|_| Err(interrupted()))
    }

    async fn lift_to_its_end(&self, id: FreezeId, by: Principal) -> Result<Arc<Freeze>, Failure> {
        let _recording = self.freezes.recording().await;
        let in_force = self.freezes.now();
        let freeze = in_force.set.get(id).cloned().ok_or_else(|| {
            let message = format!("no freeze {id} is in force");
            Failure::new(ErrorCode::NotFound, message, "list those that are (lictor freeze list)")
        })?;
        let now = self.clock.now();
        let lifted = AuditEvent::FreezeLifted { freeze: Freeze::clone(&freeze), by: by.clone() };
        let change = if in_force.is_recorded(id) {
            Change::new(now, lifted).write(Write::RemoveFreeze(id))
        } else {
            // It was in force and nobody could say so before.
            Change::new(now, AuditEvent::FreezeSet(Freeze::clone(&freeze))).event(lifted)
        };
        let _recorded = self.store.commit(change).await.map_err(of_store)?;
        self.freezes.end(id, |in_force| self.tell_all(in_force));
        tracing::warn!(freeze = %id, scope = %freeze.scope, %by, "a freeze was lifted");
        Ok(freeze)
    }

    /// Tries again to record what is in force and is not recorded.
    pub async fn record_freezes(&self) {
        let in_force = self.freezes.now();
        for id in in_force.unrecorded() {
            let Some(freeze) = in_force.set.get(id) else { continue };
            if let Err(error) = self.record_freeze(freeze).await {
                tracing::error!(freeze = %id, %error, "a freeze is in force but cannot be recorded; a restart would lose it");
            }
        }
    }

    /// Makes a session the agent's, and tells it first of all what is frozen at its site.
    pub fn admit_session(&self, session: &Arc<Session>) {
        self.freezes.tell(|in_force| {
            self.sessions.insert(Arc::clone(session));
            self.tell_one(session, in_force);
        });
    }

    async fn record_freeze(&self, freeze: &Arc<Freeze>) -> Result<(), StoreError> {
        let _recording = self.freezes.recording().await;
        let in_force = self.freezes.now();
        if in_force.set.get(freeze.id).is_none() {
            return Err(StoreError::Conflict { what: format!("freeze {}", freeze.id) });
        }
        if in_force.is_recorded(freeze.id) {
            return Ok(());
        }
        let change = Change::new(self.clock.now(), AuditEvent::FreezeSet(Freeze::clone(freeze)))
            .write(Write::PutFreeze(Freeze::clone(freeze)));
        let _recorded = self.store.commit(change).await?;
        self.freezes.recorded(freeze.id);
        Ok(())
    }

    fn tell_all(&self, in_force: &InForce) {
        for session in self.sessions.all() {
            self.tell_one(&session, in_force);
        }
    }

    fn tell_one(&self, session: &Session, in_force: &InForce) {
        let theirs = in_force.set.all().iter().filter(|freeze| self.concerns(&freeze.scope, session.site()));
        session.frozen(in_force.version, theirs.map(|freeze| (&**freeze).into()).collect());
    }

    /// Whether a scope may cover hosts of a site. A host that no site has now may come to any.
    fn concerns(&self, scope: &FreezeScope, site: &SiteName) -> bool {
        match scope {
            FreezeScope::Everything => true,
            FreezeScope::Site(frozen) => frozen == site,
            FreezeScope::Host(alias) => self.fleet.now().host(alias).is_none_or(|host| host.site == *site),
        }
    }

    /// Whoever freezes something that is not there has mistyped, and believes in a brake that holds nothing.
    async fn must_be_known(&self, scope: &FreezeScope) -> Result<(), Failure> {
        let fleet = self.fleet.now();
        let known = match scope {
            FreezeScope::Everything => true,
            FreezeScope::Host(alias) => fleet.host(alias).is_some(),
            FreezeScope::Site(site) => {
                fleet.hosts().any(|host| host.site == *site)
                    || self.store.agents().await.map_err(of_store)?.iter().any(|agent| agent.site == *site)
            }
        };
        if known {
            return Ok(());
        }
        let message = format!("there is no {}, so nothing is frozen", scope.words());
        let next_step =
            "check the name (lictor hosts, lictor sites), or freeze everything (lictor freeze --all)";
        Err(Failure::new(ErrorCode::NotFound, message, next_step).with("scope", scope.to_string()))
    }

    /// The agents that may still start something that was offered before; those that are connected are waited for.
    async fn unconfirmed(&self, scope: &FreezeScope, version: u64) -> Vec<String> {
        let mut all = BTreeSet::new();
        let deadline = tokio::time::Instant::now() + CONFIRM_WITHIN;
        for session in self.sessions.all().into_iter().filter(|s| self.concerns(scope, s.site())) {
            if tokio::time::timeout_at(deadline, session.confirms(version)).await.is_err() {
                all.insert(format!("{}/{}", session.site(), session.agent()));
            }
        }
        for job in self.jobs.jobs() {
            job.for_each(|_, invocation| {
                let kept = &invocation.kept;
                let may_start = match &kept.state {
                    InvocationState::Offered { agent, .. } | InvocationState::Accepted { agent, .. } => agent,
                    InvocationState::Queued | InvocationState::Running { .. } | InvocationState::Ended(_) => {
                        return;
                    }
                };
                let confirmed = self.sessions.of(&kept.site, may_start).is_some_and(|session| {
                    // One that came after the others were waited for may not have heard of it yet.
                    session.confirms(version).now_or_never().is_some()
                });
                if scope.covers(&kept.site, &kept.host) && !confirmed {
                    all.insert(format!("{}/{may_start}", kept.site));
                }
            });
        }
        all.into_iter().collect()
    }
}

fn not_recorded(freeze: &Freeze, unconfirmed: &[String], error: &StoreError) -> Failure {
    tracing::error!(freeze = %freeze.id, %error, "a freeze is in force but could not be recorded");
    let message = format!(
        "nothing new starts on {} from now on, but the freeze could not be recorded: a restart of the controller loses it",
        freeze.scope.words()
    );
    let next_step = "mend the controller's disk; it is recorded as soon as that works (lictor freeze list says so). If the \
                     controller restarts before, freeze again at once";
    let failure = Failure::new(ErrorCode::AuditUnavailable, message, next_step)
        .with("freeze", freeze.id.to_string())
        .with("in_force", "true");
    if unconfirmed.is_empty() { failure } else { failure.with("unconfirmed_agents", unconfirmed.join(" ")) }
}

fn interrupted() -> Failure {
    Failure::new(
        ErrorCode::Internal,
        "the request was interrupted",
        "look at what is in force (lictor freeze list)",
    )
}
