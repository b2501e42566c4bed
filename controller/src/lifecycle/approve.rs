//! Consent: asked for, given, refused, run out of time; and used, once, in the commit that records what it allows.
//!
//! Decisions about a job follow each other in its turn, and each replaces exactly the version of the job that it was made
//! by. At the last consent everything is judged again: what would be decided otherwise by now never runs.

use std::{collections::BTreeMap, sync::Arc};

use lictor_core::{
    approval::{Approval, ApprovalState, Note, Term},
    audit::{ApprovalChange, AuditEvent},
    clock::Timestamp,
    digest::Digest,
    error::{ErrorCode, Failure},
    id::JobId,
    job::{Job, JobSpec},
    principal::{Principal, PrincipalKind},
};
use lictor_store::{Change, StoreError, Write};

use super::{
    Lifecycle, Submitted,
    close::{End, is_queued, to_its_end},
    decidable::{adds, may_decide, no_approval, no_longer, pending},
};
use crate::{
    approval::{Approved, Asking, standing},
    audit::{self, Use, Used, event},
    authn::Authenticated,
    authz, dispatch,
    failure::{no_such, of_store},
    live::{LiveJob, Slot, Turn},
    policies::VersionedPolicy,
    quotas::{Asked, Places, UsedUp},
};

/// Jobs that may wait for consent at once, over all callers: more than people can look at, and a page of a list.
pub const MAX_WAITING_JOBS: usize = 1_000;
/// Jobs of one principal that may wait for consent at once: nobody crowds out the others.
pub const MAX_WAITING_JOBS_EACH: usize = 100;
/// Invocations that may wait for consent at once, over all callers: half of what may be under way at all.
pub const MAX_WAITING_INVOCATIONS: usize = super::MAX_LIVE_INVOCATIONS / 2;

/// What an operator decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// To consent.
    Approve(Option<Note>),
    /// To refuse.
    Deny(Note),
}

impl Lifecycle {
    /// Records a job that waits for consent. Nothing of it may start.
    pub(super) async fn wait_for_consent(
        &self,
        asking: &Asking,
        spec: &JobSpec,
        counted: Places,
        now: Timestamp,
    ) -> Result<Submitted, StoreError> {
        let id = JobId::fresh(&*self.ids);
        let (job, invocations) = audit::record_request(&*self.store, asking, spec, id, now).await?;
        counted.keep();
        let live = Arc::new(LiveJob::new(job, 1, invocations, self.served.now()));
        self.jobs.insert(&live);
        Ok(Submitted::Live { job: live, replayed: false })
    }

    /// Refuses what would make too much wait for consent.
    pub(super) fn refuse_when_many_wait(&self, asking: &Asking) -> Result<(), Failure> {
        let permit = asking.permit();
        let (mut jobs, mut own, mut invocations) = (0, 0, permit.would_run_on());
        for (job, counts) in self.waiting() {
            jobs += 1;
            own += usize::from(job.principal == *permit.principal());
            invocations += counts.queued as usize;
        }
        let over = [
            (jobs >= MAX_WAITING_JOBS, format!("{MAX_WAITING_JOBS} jobs wait for consent already")),
            (
                own >= MAX_WAITING_JOBS_EACH,
                format!("{MAX_WAITING_JOBS_EACH} of your jobs wait for consent already"),
            ),
            (
                invocations > MAX_WAITING_INVOCATIONS,
                format!(
                    "with this, {invocations} invocations would wait for consent; {MAX_WAITING_INVOCATIONS} may"
                ),
            ),
        ];
        match over.into_iter().find(|(over, _)| *over) {
            None => Ok(()),
            Some((_, message)) => {
                let next_step = "wait until some are decided (lictor approvals), or cancel some";
                Err(Failure::new(ErrorCode::LimitExceeded, message, next_step))
            }
        }
    }

    /// The jobs that wait for consent, with their counts.
    fn waiting(&self) -> impl Iterator<Item = (Job, lictor_core::job::Counts)> {
        self.jobs.jobs().into_iter().filter_map(|live| {
            let waits = live.awaits_approval();
            waits.then(|| live.snapshot()).map(|(job, _, counts)| (job, counts))
        })
    }

    /// The jobs that wait for consent, oldest first.
    pub fn awaiting(&self) -> Vec<Job> {
        let mut all: Vec<Job> = self.waiting().map(|(job, _)| job).collect();
        all.sort_by_key(|job| job.id);
        all
    }

    /// What is missing of the consent to a job, by the policy in force; and whether `who` may decide it now, or why not.
    pub fn decidable(&self, job: &Job, who: &Principal) -> (Vec<Term>, Result<(), Failure>) {
        let policy = self.policies.now();
        let Some(approval) = &job.approval else { return (Vec::new(), Err(no_approval(job.id))) };
        let missing = match approval.is_pending() {
            true => standing(&approval.terms, approval, &job.principal, &policy.set).missing,
            false => Vec::new(),
        };
        let may = pending(job, self.clock.now())
            .and_then(|approval| may_decide(job, approval, who, &policy))
            .and_then(|_| adds(job, approval, who, None, self.clock.now(), &policy).map(drop));
        (missing, may)
    }

    /// Consents to a job as `plan` says, or refuses it. Answers when it is recorded; what follows from the last consent is
    /// under way by then.
    ///
    /// Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// [`Failure`]: who may not decide it, what no longer waits, what is no longer what was planned; or it is not recordable.
    pub async fn decide(
        self: &Arc<Self>,
        id: JobId,
        decision: Decision,
        plan: Digest,
        by: &Authenticated,
    ) -> Result<(), Failure> {
        // By the certificate alone: whatever else a call says of where it comes from does not matter.
        if !by.is_operator() || by.principal().kind != PrincipalKind::User {
            let message = "only an operator may decide what others have asked for";
            return Err(Failure::new(ErrorCode::Forbidden, message, "ask an operator (lictor approve)"));
        }
        let Some(job) = self.jobs.job(id) else {
            let kept = self.store.job(id).await.map_err(of_store)?;
            return Err(kept.map_or_else(|| no_such("job", &id.to_string()), |kept| no_longer(&kept.job)));
        };
        let (this, by) = (Arc::clone(self), by.principal().clone());
        let deciding = tokio::spawn(async move {
            let turn = Turn::of([&job]).await;
            let used = this.decide_in(&turn, &job, decision, plan, &by).await?;
            drop(turn);
            if used && let Err(error) = this.offer_to_newcomers(&job).await {
                // It is recorded and under way all the same; what waits is offered again by the sweep.
                tracing::error!(job = %job.id(), %error, "what an agent came for meanwhile could not be offered");
            }
            Ok(())
        });
        deciding.await.unwrap_or_else(|_| {
            let next_step = "see how it stands (lictor approvals) before you decide again";
            Err(Failure::new(ErrorCode::Internal, "the decision was interrupted", next_step))
        })
    }

    /// Answers whether the approval was used.
    async fn decide_in(
        &self,
        turn: &Turn,
        job: &Arc<LiveJob>,
        decision: Decision,
        plan: Digest,
        by: &Principal,
    ) -> Result<bool, Failure> {
        // A policy that is put waits until what was judged by the one before has been sent.
        let _in_force = self.policies.hold().await;
        let (policy, now) = (self.policies.now(), self.clock.now());
        let (record, version, _) = job.snapshot();
        let approval = match pending(&record, now) {
            Ok(approval) => approval,
            Err(failure) => {
                self.expire_in(turn, job, now).await.map_err(of_store)?;
                return Err(failure);
            }
        };
        if approval.plan != plan {
            let message = format!("what {} asks for is not what you have looked at", record.id);
            let next_step = "look at it again (lictor approve) and decide by that";
            return Err(Failure::new(ErrorCode::Conflict, message, next_step).with("reason", "other_plan"));
        }
        let groups = may_decide(&record, approval, by, &policy)?;
        match decision {
            Decision::Deny(note) => {
                let denied = ApprovalChange::Denied { by: by.clone(), note: note.clone() };
                let state = ApprovalState::Denied { by: by.clone(), at: now, note };
                self.end_in(turn, job, state, denied).await.map_err(of_store)?;
                Ok(false)
            }
            Decision::Approve(note) => {
                let with_it = adds(&record, approval, by, note.clone(), now, &policy)?;
                let given = ApprovalChange::Given { by: by.clone(), groups, note };
                let given = event(record.id, plan, given);
                let record = Job { approval: Some(with_it), ..record };
                self.consent_in(turn, job, record, version + 1, given, &policy).await
            }
        }
    }

    /// Takes a consent in, and uses the approval if that completes it.
    async fn consent_in(
        &self,
        turn: &Turn,
        job: &Arc<LiveJob>,
        record: Job,
        version: u64,
        given: AuditEvent,
        policy: &VersionedPolicy,
    ) -> Result<bool, Failure> {
        let now = self.clock.now();
        let Some(approval) = &record.approval else { return Err(no_approval(record.id)) };
        let (fleet, freezes) = (self.fleet.now(), self.freezes.now());
        // Looked at with every consent: nobody is asked for what would never run.
        let judged = authz::permit_recorded(&record, approval, policy, &fleet, &freezes.set, now);
        let judged = judged.map_err(|refused| (refused.code, refused.failure));
        let permit = match judged.and_then(|permit| self.within_quotas(&record, policy, now).map(|()| permit))
        {
            Ok(permit) => permit,
            Err((code, failure)) => return Err(self.void_in(turn, job, code, failure).await),
        };
        let approved = match Approved::by_consent(permit, approval, &policy.set) {
            Ok(approved) => approved,
            Err(_) => {
                let write = Write::UpdateJob { job: record.clone(), counts: None, version };
                let change = Change::new(now, given).write(write);
                let _recorded = self.store.commit(change).await.map_err(of_store)?;
                job.job_recorded(turn, record, version, self.served.now());
                return Ok(false);
            }
        };
        let consents = standing(&approval.terms, approval, &record.principal, &policy.set).counted;
        // What goes out in steps, or is paused, begins as it would without consent.
        let at_once = record.rollout.is_immediate() && record.progress.paused.is_none();
        let places = match at_once {
            true => dispatch::place(approved.permit().permitted().iter(), &self.sessions, now),
            false => BTreeMap::new(),
        };
        let mut waiting = BTreeMap::new();
        job.for_each(|index, invocation| {
            if is_queued(&invocation.kept.state) {
                waiting.insert(invocation.kept.host.clone(), (index, invocation.kept.clone()));
            }
        });
        let used = Use { approved, given, consents, job: record, version, waiting, places };
        let used = audit::record_use(&*self.store, used, now).await.map_err(of_store)?;
        self.begin_in_turn(turn, job, used, version, now);
        Ok(true)
    }

    /// What was recorded is taken over, and sent.
    fn begin_in_turn(&self, turn: &Turn, live: &Arc<LiveJob>, used: Used, version: u64, now: Timestamp) {
        let Used { job, changed, offered, recorded } = used;
        live.job_recorded(turn, job.clone(), version, self.served.now());
        for (index, kept) in changed {
            live.requeued(turn, index, kept, self.served.now());
        }
        self.release(live);
        for (session, list) in offered.into_values() {
            self.dispatcher.send(&job, list, &session, &recorded, now);
        }
    }

    /// Its places were taken when it was asked for; a quota that is narrower by now may have none for it.
    fn within_quotas(
        &self,
        job: &Job,
        policy: &VersionedPolicy,
        now: Timestamp,
    ) -> Result<(), (String, Failure)> {
        let nothing_more = Asked { invocations: 0, running: 0 };
        match self.quotas.take(&policy.set, &job.principal, job.origin.via, nothing_more, now) {
            Ok(places) => {
                places.keep();
                Ok(())
            }
            Err(UsedUp { failure, .. }) => Err((super::QUOTA_USED_UP.to_owned(), failure)),
        }
    }

    /// Ends what would no longer be what was consented to; answers what whoever consented is told.
    async fn void_in(&self, turn: &Turn, job: &Arc<LiveJob>, code: String, why: Failure) -> Failure {
        let reason = why.message.clone();
        let voided = ApprovalChange::Voided { code: code.clone(), reason: reason.clone() };
        let state = ApprovalState::Voided { at: self.clock.now(), code: code.clone(), reason };
        if let Err(error) = self.end_in(turn, job, state, voided).await {
            return of_store(error);
        }
        let message = format!("{} is not run, and your consent was not used: {}", job.id(), why.message);
        let next_step = "whoever asked for it can ask again; what is then decided is shown to you anew";
        Failure::new(ErrorCode::Conflict, message, next_step).with("reason", code.to_lowercase())
    }

    /// Ends every approval whose time is up.
    pub(super) async fn expire_approvals(self: &Arc<Self>) {
        let now = self.clock.now();
        for job in self.jobs.jobs().into_iter().filter(|job| job.approval_is_over(now)) {
            let (this, live) = (Arc::clone(self), Arc::clone(&job));
            let expired = to_its_end(async move {
                let turn = Turn::of([&live]).await;
                this.expire_in(&turn, &live, now).await
            });
            if let Err(error) = expired.await {
                tracing::error!(job = %job.id(), %error, "that consent did not come in time could not be recorded; it is tried again");
            }
        }
    }

    /// Ends an approval whose time is up; leaves others alone.
    async fn expire_in(&self, turn: &Turn, job: &Arc<LiveJob>, now: Timestamp) -> Result<(), StoreError> {
        let (record, ..) = job.snapshot();
        let Some(approval) = record.approval.filter(|_| job.approval_is_over(now)) else { return Ok(()) };
        let expired = ApprovalChange::Expired { expired_at: approval.expires_at };
        self.end_in(turn, job, ApprovalState::Expired { at: now }, expired).await
    }

    /// Records that a pending approval has ended without being used, then ends what waited for it.
    async fn end_in(
        &self,
        turn: &Turn,
        job: &Arc<LiveJob>,
        state: ApprovalState,
        what: ApprovalChange,
    ) -> Result<(), StoreError> {
        let (record, version, _) = job.snapshot();
        let Some(approval) = record.approval.clone().filter(Approval::is_pending) else { return Ok(()) };
        let ended = event(record.id, approval.plan, what);
        let approval = Approval { state, ..approval };
        let refusal = approval.refusal();
        let record = Job { approval: Some(approval), ..record };
        let write = Write::UpdateJob { job: record.clone(), counts: None, version: version + 1 };
        let _recorded = self.store.commit(Change::new(self.clock.now(), ended).write(write)).await?;
        job.job_recorded(turn, record, version + 1, self.served.now());
        let mut ends = Vec::new();
        job.for_each(|index, invocation| {
            if let (true, Some(outcome)) = (is_queued(&invocation.kept.state), &refusal) {
                let slot = Slot { job: Arc::clone(job), index };
                ends.push(End { slot, outcome: outcome.clone(), report: None });
            }
        });
        self.close_in(turn, ends).await
    }
}
