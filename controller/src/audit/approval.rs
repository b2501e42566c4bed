//! Written down for what needs consent: the job with what it waits for, and later its intent with the consent that it uses.

use std::{collections::BTreeMap, sync::Arc};

use lictor_core::{
    approval::{Approval, ApprovalState},
    audit::{ApprovalChange, ApprovalEvent, AuditEvent},
    clock::Timestamp,
    digest::Digest,
    id::JobId,
    invocation::{Invocation, InvocationEvent},
    job::{Job, JobSpec},
    name::{GroupName, HostAlias, SiteName},
    principal::Principal,
};
use lictor_store::{Change, Recorded, Store, StoreError, Write};

use super::{Opening, denied, intended, intended_event, job_of, opening_change};
use crate::{
    approval::{Approved, Asking},
    dispatch::Offered,
    session::Session,
};

/// The use of an approval: everything that one commit records.
#[derive(Debug)]
pub(crate) struct Use {
    /// What everybody has consented to.
    pub(crate) approved: Approved,
    /// The consent that completed it.
    pub(crate) given: AuditEvent,
    /// Who counted.
    pub(crate) consents: Vec<(Principal, GroupName)>,
    /// The job with its complete approval, which waits yet.
    pub(crate) job: Job,
    /// The version that the job gets.
    pub(crate) version: u64,
    /// The invocations that wait, with their places.
    pub(crate) waiting: BTreeMap<HostAlias, (usize, Invocation)>,
    /// To whom what begins at once is offered.
    pub(crate) places: BTreeMap<SiteName, Arc<Session>>,
}

/// What is durable once an approval was used.
#[derive(Debug)]
pub(crate) struct Used {
    /// The job.
    pub(crate) job: Job,
    /// Its invocations that were recorded as offered, with their places.
    pub(crate) changed: Vec<(usize, Invocation)>,
    /// What was recorded as offered, by site.
    pub(crate) offered: BTreeMap<SiteName, (Arc<Session>, Vec<Offered>)>,
    /// The proof.
    pub(crate) recorded: Recorded,
}

/// Records a job that may begin only with consent: what it waits for, and nothing that may start.
///
/// # Errors
/// [`StoreError`]; then nothing was recorded.
pub(crate) async fn record_request(
    store: &dyn Store,
    asking: &Asking,
    spec: &JobSpec,
    id: JobId,
    now: Timestamp,
) -> Result<(Job, Vec<Invocation>), StoreError> {
    let permit = asking.permit();
    let hosts = permit.would_run();
    let mut opening = Opening::new(&spec.rollout, hosts.len());
    let approval = asking.approval(spec, now);
    let requested = ApprovalChange::Requested {
        requester: permit.principal().clone(),
        terms: approval.terms.clone(),
        rules: approval.rules.clone(),
        within: asking.within(),
        hosts: approval.hosts,
    };
    let plan = approval.plan;
    let job = Job { approval: Some(approval), ..job_of(permit, spec, id, opening.waves(), now) };
    let mut change = opening_change(&job, permit, spec, now).event(event(id, plan, requested));
    let mut invocations = Vec::with_capacity(job.invocations as usize);
    for host in &hosts {
        let (wave, _) = opening.next(&host.host.site);
        let invocation = Invocation { wave, ..intended(&job, host, None) };
        change = change.write(Write::CreateInvocation(invocation.clone()));
        invocations.push(invocation);
    }
    for host in permit.denied() {
        let (event, invocation) = denied(&job, host, now);
        change = change.event(event).write(Write::CreateInvocation(invocation.clone()));
        invocations.push(invocation);
    }
    let _recorded = store.commit(change).await?;
    invocations.sort_by(|a, b| a.host.cmp(&b.host));
    Ok((job, invocations))
}

/// Records the last consent, that the approval is used, and the intent of every invocation, in one commit.
///
/// # Errors
/// [`StoreError`]; then nothing was recorded, the approval was not used, and nothing may start.
pub(crate) async fn record_use(store: &dyn Store, used: Use, now: Timestamp) -> Result<Used, StoreError> {
    let policy_version = used.approved.permit().policy_version();
    let Use { approved, given, consents, job, version, mut waiting, places } = used;
    let Some(approval) = job.approval.clone() else {
        return Err(StoreError::Conflict { what: format!("the approval of {}", job.id) });
    };
    let uses = event(job.id, approval.plan, ApprovalChange::Used { consents, policy_version });
    let approval = Approval { state: ApprovalState::Used { at: now }, ..approval };
    let job = Job { approval: Some(approval), ..job };
    let update = Write::UpdateJob { job: job.clone(), counts: None, version };
    let mut change = Change::new(now, given).event(uses).write(update);
    let mut changed = Vec::new();
    let mut offered: BTreeMap<SiteName, (Arc<Session>, Vec<Offered>)> = BTreeMap::new();
    for permitted in approved.permit().permitted() {
        let (alias, site) = (&permitted.host.alias, &permitted.host.site);
        let other = || StoreError::Conflict { what: format!("what is to run on {alias}") };
        let (index, kept) = waiting.remove(alias).ok_or_else(other)?;
        let Some(session) = places.get(site) else {
            change = change.event(intended_event(&kept));
            continue;
        };
        let place = session.placement();
        let offer = InvocationEvent::Offer { agent: place.agent, epoch: place.epoch };
        let state = kept.state.step(offer).map_err(|_| other())?;
        let kept = Invocation { state, version: kept.version + 1, ..kept };
        change = change.event(intended_event(&kept)).write(Write::UpdateInvocation(kept.clone().into()));
        let (_, list) = offered.entry(site.clone()).or_insert_with(|| (Arc::clone(session), Vec::new()));
        list.push(Offered { invocation: kept.id, attempt: kept.attempt, permitted: permitted.clone() });
        changed.push((index, kept));
    }
    let recorded = store.commit(change).await?;
    Ok(Used { job, changed, offered, recorded })
}

/// Something that happened to the approval of a job.
pub(crate) fn event(job: JobId, plan: Digest, what: ApprovalChange) -> AuditEvent {
    AuditEvent::Approval(Box::new(ApprovalEvent { job, plan, what }))
}
