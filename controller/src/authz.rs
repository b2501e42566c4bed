//! May they: from a request and the policy in force to a [`Permit`], which names everything that was decided.

mod frozen;
mod plan;
mod recorded;
mod refused;
mod roles;
mod scopes;

use std::{collections::BTreeMap, sync::Arc};

use lictor_core::{
    clock::Timestamp,
    command::Command,
    digest::Digest,
    error::ErrorCode,
    freeze::{FROZEN, Freeze, FreezeSet},
    invocation::Invocation,
    job::{Job, JobSpec, Limits},
    name::RuleId,
    principal::{Principal, Via},
    transfer::Transfer,
};
use lictor_policy::{
    Decision, Effect, PolicySet, Request, RequestedLimits, View, evaluate, evaluate_briefly,
};
use lictor_store::KeptHost;

use self::frozen::FrozenHosts;
pub(crate) use self::{
    frozen::hint as frozen_hint,
    frozen::reason as frozen_reason,
    recorded::permit_recorded,
    refused::and_likewise,
    scopes::{needs_no_user, scope_needed},
};
pub use self::{refused::Refused, roles::allowed_roles};
use crate::{
    approval,
    authn::Authenticated,
    fleet::{self, Fleet, Seen},
    policies::VersionedPolicy,
};

/// Proof that policy permits a request on at least one host, some perhaps only with consent. Only this file makes one.
#[derive(Debug)]
pub struct Permit {
    principal: Principal,
    via: Via,
    command: Command,
    policy_version: u64,
    request_digest: Digest,
    /// Where it is asked for, or others have to consent.
    plan_digest: Option<Digest>,
    permitted: Vec<PermittedHost>,
    asking: Vec<DecidedHost>,
    denied: Vec<DecidedHost>,
}

/// A host on which the command may run, and how.
#[derive(Debug, Clone)]
pub struct PermittedHost {
    /// The host.
    pub host: Arc<KeptHost>,
    /// The rule that allowed it.
    pub rule: Option<RuleId>,
    /// The limits decided.
    pub limits: Limits,
    /// Networks in which its address must lie.
    pub networks_allowed: Vec<String>,
    /// Networks in which its address must not lie.
    pub networks_denied: Vec<String>,
}

/// A host with what was decided for it.
#[derive(Debug, Clone)]
pub struct DecidedHost {
    /// The host.
    pub host: Arc<KeptHost>,
    /// The decision.
    pub decision: Decision,
    /// The freeze by which nothing starts there, whatever was decided.
    pub freeze: Option<Arc<Freeze>>,
}

/// What would be decided, host by host.
#[derive(Debug)]
pub struct Decided {
    /// The judged command.
    pub command: Command,
    /// One decision a host, ordered by host.
    pub hosts: Vec<(Arc<KeptHost>, Decision)>,
    frozen: FrozenHosts,
}

/// Why what was permitted once is no longer.
#[derive(Debug)]
pub struct NoLonger {
    /// The code, e.g. `POLICY_DEFAULT_DENY`.
    pub code: String,
    /// The reason for people.
    pub reason: String,
}

/// How a request is judged on one host: [`evaluate()`], or [`evaluate_briefly`] where nobody is shown why it may run.
type Judge = fn(&PolicySet, &Request<'_>) -> Decision;

/// Decides a request host by host, with every reason in words; nothing is recorded.
///
/// # Errors
/// [`Refused`] when the command does not parse or the target means no host.
pub fn decide(
    caller: &Authenticated,
    spec: &JobSpec,
    set: &PolicySet,
    fleet: &Fleet,
    now: Timestamp,
) -> Result<Decided, Box<Refused>> {
    decide_command(parse(spec, set)?, evaluate, caller, spec, set, fleet, now)
}

/// As [`decide`], without words for what is allowed at once.
///
/// # Errors
/// Likewise.
pub fn decide_briefly(
    caller: &Authenticated,
    spec: &JobSpec,
    set: &PolicySet,
    fleet: &Fleet,
    now: Timestamp,
) -> Result<Decided, Box<Refused>> {
    decide_command(parse(spec, set)?, evaluate_briefly, caller, spec, set, fleet, now)
}

fn parse(spec: &JobSpec, set: &PolicySet) -> Result<Command, Box<Refused>> {
    set.parse_command(&spec.command).map_err(|refusal| Refused::command(&spec.command, refusal))
}

/// As [`decide`], of a command that was parsed already.
fn decide_command(
    command: Command,
    judge: Judge,
    caller: &Authenticated,
    spec: &JobSpec,
    set: &PolicySet,
    fleet: &Fleet,
    now: Timestamp,
) -> Result<Decided, Box<Refused>> {
    check_transfer(&command, spec)?;
    let seen = seen(caller, set, fleet);
    let hosts = seen.resolve(&spec.target).map_err(|failure| Refused::target(&command, failure))?;
    let requested = requested(spec);
    let hosts = hosts
        .into_iter()
        .map(|host| {
            let (principal, via, facts) = (caller.principal(), spec.origin.via, fleet::facts(&host));
            let (command, context, host_facts) = (&command, &spec.context, &facts);
            let request = Request { principal, via, host: host_facts, command, context, requested, at: now };
            (host, judge(set, &request))
        })
        .collect();
    Ok(Decided { command, hosts, frozen: BTreeMap::new() })
}

/// The hosts that the caller is told of: an operator of all, anybody else as policy says.
pub(crate) fn seen<'a>(caller: &Authenticated, set: &'a PolicySet, fleet: &'a Fleet) -> Seen<'a> {
    fleet.seen(if caller.is_operator() { View::everything() } else { set.view(caller.principal()) })
}

/// A transfer has what it needs, and nothing that it cannot have.
fn check_transfer(command: &Command, spec: &JobSpec) -> Result<(), Box<Refused>> {
    Transfer::check_command(command, &spec.context, spec.detached)
        .map_err(|invalid| Refused::transfer(command, invalid))
}

/// Permits a request on the hosts where policy allows it, or would with the consent of others, and that are not frozen.
///
/// # Errors
/// [`Refused`] when that is none, with the freeze or the decision of the first host; when they are more than policy gives one job; and
/// when the request names a plan that is not what is decided.
pub fn permit(
    caller: &Authenticated,
    spec: &JobSpec,
    policy: &VersionedPolicy,
    fleet: &Fleet,
    freezes: &FreezeSet,
    now: Timestamp,
) -> Result<Permit, Box<Refused>> {
    let decided = decide_briefly(caller, spec, &policy.set, fleet, now)?;
    permit_decided(decided.under(freezes), caller, spec, policy)
}

/// Permits what was decided.
fn permit_decided(
    decided: Decided,
    caller: &Authenticated,
    spec: &JobSpec,
    policy: &VersionedPolicy,
) -> Result<Permit, Box<Refused>> {
    if decided.is_frozen_as_a_whole() {
        return Err(Refused::frozen(&decided.command, &decided.frozen));
    }
    let asks = decided.hosts.iter().any(|(_, decision)| decision.effect == Effect::Approve);
    let needed = asks || spec.plan_digest.is_some();
    let plan_digest = needed.then(|| decided.plan_digest(caller, spec, &policy.set));
    if spec.plan_digest.is_some() && spec.plan_digest != plan_digest {
        return Err(Refused::stale(&decided.command));
    }
    let Decided { command, hosts, mut frozen } = decided;
    let (mut allowed, mut asking, mut denied) = (Vec::new(), Vec::new(), Vec::new());
    for (host, decision) in hosts {
        let freeze = frozen.remove(&host.alias);
        let list = match decision.effect {
            _ if freeze.is_some() => &mut denied,
            Effect::Allow => &mut allowed,
            Effect::Approve => &mut asking,
            Effect::Deny => &mut denied,
        };
        list.push(DecidedHost { host, decision, freeze });
    }
    let would_run = allowed.len() + asking.len();
    if let (0, Some(first)) = (would_run, denied.first()) {
        return Err(Refused::policy(&command, first, denied.len()));
    }
    let strictest = allowed.iter().chain(&asking).filter_map(|host| Some((host.decision.max_hosts?, host)));
    if let Some((most, host)) = strictest.min_by_key(|(most, _)| *most)
        && would_run > most as usize
    {
        return Err(Refused::hosts(&command, would_run, most, host));
    }
    let (policy_version, request_digest) = (policy.version, spec.digest());
    Ok(Permit {
        principal: caller.principal().clone(),
        via: spec.origin.via,
        command,
        policy_version,
        request_digest,
        plan_digest,
        permitted: allowed.into_iter().map(|h| permitted_host(h.host, h.decision)).collect(),
        asking,
        denied,
    })
}

/// Permits one recorded invocation again, by the policy in force now: what waited does not outlive its policy. `hosts` is
/// on how many hosts its job has run or would run.
///
/// # Errors
/// [`NoLonger`], with why.
pub fn permit_again(
    job: &Job,
    invocation: &Invocation,
    host: &Arc<KeptHost>,
    hosts: usize,
    policy: &VersionedPolicy,
    freezes: &FreezeSet,
    now: Timestamp,
) -> Result<PermittedHost, NoLonger> {
    if let Some(freeze) = freezes.covering(&host.site, &host.alias) {
        return Err(NoLonger { code: FROZEN.to_owned(), reason: frozen_reason(&host.alias, freeze) });
    }
    let requested = RequestedLimits {
        timeout: Some(invocation.limits.timeout),
        output_bytes: Some(invocation.limits.output_bytes),
    };
    let (principal, via, facts) = (&job.principal, job.origin.via, fleet::facts(host));
    let (command, context) = (&job.command, &job.context);
    let request = Request { principal, via, host: &facts, command, context, requested, at: now };
    let decision = evaluate_briefly(&policy.set, &request);
    let consented =
        decision.effect == Effect::Approve && approval::covers(job, &decision.approvals, &policy.set);
    if !decision.is_allowed() && !consented {
        return Err(NoLonger { code: decision.code.as_str().to_owned(), reason: decision.reason });
    }
    if let Some(most) = decision.max_hosts
        && hosts > most as usize
    {
        let reason = format!("its job has {hosts} hosts; policy now allows at most {most} in one job");
        return Err(NoLonger { code: ErrorCode::LimitExceeded.as_str().to_owned(), reason });
    }
    Ok(permitted_host(Arc::clone(host), decision))
}

const fn requested(spec: &JobSpec) -> RequestedLimits {
    RequestedLimits { timeout: spec.timeout, output_bytes: spec.output_bytes }
}

fn permitted_host(host: Arc<KeptHost>, decision: Decision) -> PermittedHost {
    let texts = |networks: &[ipnet::IpNet]| networks.iter().map(ToString::to_string).collect();
    PermittedHost {
        host,
        rule: decision.rule,
        limits: decision.limits,
        networks_allowed: texts(&decision.networks_allowed),
        networks_denied: texts(&decision.networks_denied),
    }
}

// === impl Decided ===

impl Decided {
    /// The digest of a plan that says this: whoever names it runs exactly this, or nothing.
    pub fn plan_digest(&self, caller: &Authenticated, spec: &JobSpec, set: &PolicySet) -> Digest {
        let (principal, via, policy) = (caller.principal(), spec.origin.via, set.digest());
        let (context, requested, detached) = (&spec.context, requested(spec), spec.detached);
        let rollout = &spec.rollout;
        plan::digest(plan::Terms { principal, via, context, requested, detached, rollout, policy }, self)
    }
}

// === impl Permit ===

impl Permit {
    /// Who was permitted.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }
    /// What.
    pub const fn command(&self) -> &Command {
        &self.command
    }
    /// By which version of the policy.
    pub const fn policy_version(&self) -> u64 {
        self.policy_version
    }
    /// The digest of what was asked.
    pub const fn request_digest(&self) -> Digest {
        self.request_digest
    }
    /// The digest of the plan that this is, where it is asked for or others have to consent.
    pub const fn plan_digest(&self) -> Option<Digest> {
        self.plan_digest
    }
    /// Where.
    pub fn permitted(&self) -> &[PermittedHost] {
        &self.permitted
    }
    /// Where only with the consent of others.
    pub fn asking(&self) -> &[DecidedHost] {
        &self.asking
    }
    /// Where not.
    pub fn denied(&self) -> &[DecidedHost] {
        &self.denied
    }
    /// By which door it came.
    pub const fn via(&self) -> Via {
        self.via
    }
    /// On how many hosts it would run, with consent where that is needed.
    pub fn would_run_on(&self) -> usize {
        self.permitted.len() + self.asking.len()
    }
    /// Every host on which it would run, with consent where that is needed; ordered by host.
    pub(crate) fn would_run(&self) -> Vec<PermittedHost> {
        let asking = self
            .asking
            .iter()
            .map(|DecidedHost { host, decision, .. }| permitted_host(Arc::clone(host), decision.clone()));
        let mut all: Vec<PermittedHost> = self.permitted.iter().cloned().chain(asking).collect();
        all.sort_by(|a, b| a.host.alias.cmp(&b.host.alias));
        all
    }
    /// With the consent of everybody whose consent is needed. Only [`crate::approval`] may say so.
    pub(crate) fn with_consent(self) -> Self {
        Self { permitted: self.would_run(), asking: Vec::new(), ..self }
    }
}
