//! Written down: the intent of a job before anything of it may start, and what is refused.

mod approval;

use std::{collections::BTreeMap, sync::Arc};

use lictor_core::{
    audit::AuditEvent,
    clock::Timestamp,
    guard::Guard,
    id::{InvocationId, JobId},
    invocation::{Invocation, InvocationState},
    job::{Job, JobSpec, Limits},
    limits::{DEFAULT_QUEUE_WAIT, MAX_TIMEOUT, REPLAY_WINDOW},
    name::SiteName,
    output::Output,
    rollout::{Progress, Rollout, Tally},
};
use lictor_store::{Change, KeptHost, Recorded, Store, StoreError, Write};

use crate::{
    approval::Approved,
    authn::Authenticated,
    authz::{DecidedHost, Permit, PermittedHost, Refused},
    dispatch::Offered,
    session::Session,
};

pub(crate) use self::approval::{Use, Used, event, record_request, record_use};

/// Proof that the intent of a job is durable, with everything that follows from it.
#[derive(Debug)]
pub struct Intended {
    /// The job.
    pub job: Job,
    /// Its invocations, ordered by host.
    pub invocations: Vec<Invocation>,
    /// What was recorded as offered, by site.
    pub offered: BTreeMap<SiteName, (Arc<Session>, Vec<Offered>)>,
    /// The proof.
    pub recorded: Recorded,
}

/// Records what a job is meant to do: one event for the job, one for each invocation, in one commit.
///
/// # Errors
/// [`StoreError`]; then nothing was recorded and nothing may start.
pub async fn record_intent(
    store: &dyn Store,
    approved: Approved,
    spec: &JobSpec,
    places: &BTreeMap<SiteName, Arc<Session>>,
    id: JobId,
    now: Timestamp,
) -> Result<Intended, StoreError> {
    let permit = approved.permit();
    let mut opening = Opening::new(&spec.rollout, permit.permitted().len());
    let job = job_of(permit, spec, id, opening.waves(), now);
    let mut change = opening_change(&job, permit, spec, now);
    let mut invocations = Vec::with_capacity(job.invocations as usize);
    let mut offered: BTreeMap<SiteName, (Arc<Session>, Vec<Offered>)> = BTreeMap::new();
    for permitted in permit.permitted() {
        let (wave, begins) = opening.next(&permitted.host.site);
        let session = places.get(&permitted.host.site).filter(|_| begins);
        let invocation = Invocation { wave, ..intended(&job, permitted, session) };
        change = change.event(intended_event(&invocation)).write(Write::CreateInvocation(invocation.clone()));
        if let Some(session) = session {
            let (_, list) = offered
                .entry(permitted.host.site.clone())
                .or_insert_with(|| (Arc::clone(session), Vec::new()));
            list.push(Offered {
                invocation: invocation.id,
                attempt: invocation.attempt,
                permitted: permitted.clone(),
            });
        }
        invocations.push(invocation);
    }
    for host in permit.denied() {
        let (event, invocation) = denied(&job, host, now);
        change = change.event(event).write(Write::CreateInvocation(invocation.clone()));
        invocations.push(invocation);
    }
    let recorded = store.commit(change).await?;
    invocations.sort_by(|a, b| a.host.cmp(&b.host));
    Ok(Intended { job, invocations, offered, recorded })
}

/// The job that a permit becomes.
fn job_of(permit: &Permit, spec: &JobSpec, id: JobId, waves: u32, now: Timestamp) -> Job {
    let hosts = permit.would_run_on() + permit.denied().len();
    Job {
        id,
        principal: permit.principal().clone(),
        origin: spec.origin.clone(),
        target: spec.target.clone(),
        command: permit.command().clone(),
        context: spec.context.clone(),
        policy_version: permit.policy_version(),
        created_at: now,
        queue_until: now.plus(spec.queue_wait.unwrap_or(DEFAULT_QUEUE_WAIT).min(MAX_TIMEOUT)),
        cancel_requested: None,
        invocations: u32::try_from(hosts).unwrap_or(u32::MAX),
        timeout: spec.timeout,
        output_bytes: spec.output_bytes,
        rollout: spec.rollout.clone(),
        progress: Progress { waves, ..Progress::default() },
        detached: spec.detached,
        approval: None,
    }
}

/// What is recorded of a job before its invocations.
fn opening_change(job: &Job, permit: &Permit, spec: &JobSpec, now: Timestamp) -> Change {
    let change = Change::new(now, AuditEvent::job_submitted(job, permit.request_digest()))
        .write(Write::CreateJob(job.clone()));
    match &spec.idempotency_key {
        Some(key) => change.write(Write::BindKey {
            principal: job.principal.clone(),
            key: key.clone(),
            job: job.id,
            request_digest: permit.request_digest(),
            expires_at: now.plus(REPLAY_WINDOW),
        }),
        None => change,
    }
}

/// In which wave each host begins, and whether it begins at once.
struct Opening<'a> {
    rollout: &'a Rollout,
    boundaries: Vec<u32>,
    taken: u32,
    room: u32,
    at_site: BTreeMap<SiteName, u32>,
}

impl<'a> Opening<'a> {
    fn new(rollout: &'a Rollout, hosts: usize) -> Self {
        let hosts = u32::try_from(hosts).unwrap_or(u32::MAX);
        let room = rollout.room(hosts, 0, &Tally::default());
        Self { rollout, boundaries: rollout.boundaries(hosts), taken: 0, room, at_site: BTreeMap::new() }
    }
    fn waves(&self) -> u32 {
        u32::try_from(self.boundaries.len()).unwrap_or(u32::MAX).max(1)
    }
    /// The wave of the next host, and whether there is room for it to begin at once.
    fn next(&mut self, site: &SiteName) -> (u32, bool) {
        let before = self.boundaries.partition_point(|end| *end <= self.taken);
        let wave = u32::try_from(before).unwrap_or(u32::MAX).saturating_add(1);
        self.taken += 1;
        let at_site = self.at_site.entry(site.clone()).or_default();
        let begins =
            wave == 1 && self.room > 0 && self.rollout.max_per_site.is_none_or(|most| *at_site < most);
        if begins {
            (self.room, *at_site) = (self.room - 1, *at_site + 1);
        }
        (wave, begins)
    }
}

/// Records that a request was refused as a whole.
///
/// # Errors
/// [`StoreError`] when it cannot be recorded.
pub async fn record_refusal(
    store: &dyn Store,
    caller: &Authenticated,
    spec: &JobSpec,
    refused: &Refused,
    policy_version: u64,
    now: Timestamp,
) -> Result<(), StoreError> {
    let event = AuditEvent::RequestDenied {
        principal: caller.principal().clone(),
        origin: spec.origin.clone(),
        target: spec.target.clone(),
        command: refused.command.clone(),
        context: spec.context.clone(),
        request_digest: spec.digest(),
        code: refused.code.clone(),
        reason: refused.failure.message.clone(),
        rule: refused.rule.clone(),
        policy_version,
    };
    let _recorded = store.commit(Change::new(now, event)).await?;
    Ok(())
}

/// The event that must be durable before an invocation may start.
fn intended_event(invocation: &Invocation) -> AuditEvent {
    let offered = match &invocation.state {
        InvocationState::Offered { agent, epoch } => Some((agent.clone(), *epoch)),
        _ => None,
    };
    AuditEvent::InvocationIntended {
        invocation: invocation.id,
        job: invocation.job,
        host: invocation.host.clone(),
        site: invocation.site.clone(),
        rule: invocation.rule.clone(),
        limits: invocation.limits,
        offered,
    }
}

fn intended(job: &Job, permitted: &PermittedHost, session: Option<&Arc<Session>>) -> Invocation {
    let state = session.map_or(InvocationState::Queued, |s| {
        let place = s.placement();
        InvocationState::Offered { agent: place.agent, epoch: place.epoch }
    });
    Invocation {
        state,
        rule: permitted.rule.clone(),
        ..first_attempt(job, &permitted.host, permitted.limits)
    }
}

/// The end of an invocation that never may begin, and the record of it.
fn denied(job: &Job, host: &DecidedHost, now: Timestamp) -> (AuditEvent, Invocation) {
    let invocation = Invocation {
        state: InvocationState::Ended(host.denial()),
        rule: host.rule(),
        ended_at: Some(now),
        wave: 0,
        ..first_attempt(job, &host.host, host.decision.limits)
    };
    (AuditEvent::InvocationEnded { invocation: Arc::new(invocation.clone()), agent: None }, invocation)
}

fn first_attempt(job: &Job, host: &KeptHost, limits: Limits) -> Invocation {
    const ATTEMPT: u32 = 1;
    Invocation {
        id: InvocationId::derive(job.id, host.alias.as_str(), ATTEMPT),
        job: job.id,
        host: host.alias.clone(),
        site: host.site.clone(),
        attempt: ATTEMPT,
        state: InvocationState::Queued,
        version: 1,
        limits,
        rule: None,
        started_at: None,
        ended_at: None,
        address: None,
        output: Output::default(),
        resolution: None,
        output_removed: None,
        last_agent: None,
        wave: 1,
        guard: Guard::default(),
        redactions: 0,
    }
}
