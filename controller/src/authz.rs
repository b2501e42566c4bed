//! May they: from a request and the policy in force to a [`Permit`], which names everything that was decided.

mod roles;

use std::sync::Arc;

use lictor_core::{
    clock::Timestamp,
    command::Command,
    digest::Digest,
    error::{ErrorCode, Failure},
    invocation::Invocation,
    job::{CommandInput, Job, JobSpec, Limits},
    name::RuleId,
    principal::{Principal, Via},
};
use lictor_policy::{Decision, HostFacts, Request, RequestedLimits};
use lictor_store::KeptHost;

pub use self::roles::allowed_roles;
use crate::{authn::Authenticated, fleet::Fleet, policies::VersionedPolicy};

/// Proof that policy permits a request on at least one host. Only this file makes one.
#[derive(Debug)]
pub struct Permit {
    principal: Principal,
    command: Command,
    policy_version: u64,
    request_digest: Digest,
    permitted: Vec<PermittedHost>,
    denied: Vec<DeniedHost>,
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

/// A host on which the command may not run, and why.
#[derive(Debug, Clone)]
pub struct DeniedHost {
    /// The host.
    pub host: Arc<KeptHost>,
    /// The decision.
    pub decision: Decision,
}

/// What would be decided, host by host.
#[derive(Debug)]
pub struct Decided {
    /// The judged command.
    pub command: Command,
    /// One decision a host, ordered by host.
    pub hosts: Vec<(Arc<KeptHost>, Decision)>,
}

/// A request that was refused as a whole, with what the audit says of it.
#[derive(Debug)]
pub struct Refused {
    /// The command: as judged, or as given when it did not parse.
    pub command: String,
    /// The rule that denied it.
    pub rule: Option<RuleId>,
    /// The code, e.g. `E_EXPANSION`, `POLICY_DEFAULT_DENY`.
    pub code: String,
    /// What the caller sees.
    pub failure: Failure,
}

/// Longest text of a command that did not parse, as the audit keeps it.
const MAX_REFUSED_CHARS: usize = 1024;

/// Decides a request host by host; nothing is recorded.
///
/// # Errors
/// [`Refused`] when the command does not parse or the target means no host.
pub fn decide(
    caller: &Authenticated,
    spec: &JobSpec,
    policy: &VersionedPolicy,
    fleet: &Fleet,
    now: Timestamp,
) -> Result<Decided, Box<Refused>> {
    let command =
        policy.set.parse_command(&spec.command).map_err(|refusal| refused_command(&spec.command, refusal))?;
    let hosts = fleet.resolve(&spec.target).map_err(|failure| {
        let code = failure.code.as_str().to_owned();
        Box::new(Refused { command: command.render(), rule: None, code, failure })
    })?;
    let requested = RequestedLimits { timeout: spec.timeout, output_bytes: spec.output_bytes };
    let hosts = hosts
        .into_iter()
        .map(|host| {
            let decision =
                judge(policy, caller.principal(), spec.origin.via, &host, &command, requested, now);
            (host, decision)
        })
        .collect();
    Ok(Decided { command, hosts })
}

/// Permits a request on the hosts where policy allows it.
///
/// # Errors
/// [`Refused`] when that is none, with the decision of the first host.
pub fn permit(
    caller: &Authenticated,
    spec: &JobSpec,
    policy: &VersionedPolicy,
    fleet: &Fleet,
    now: Timestamp,
) -> Result<Permit, Box<Refused>> {
    let Decided { command, hosts } = decide(caller, spec, policy, fleet, now)?;
    let (mut permitted, mut denied) = (Vec::new(), Vec::new());
    for (host, decision) in hosts {
        if decision.is_allowed() {
            permitted.push(permitted_host(host, decision));
        } else {
            denied.push(DeniedHost { host, decision });
        }
    }
    if let (true, Some(first)) = (permitted.is_empty(), denied.first()) {
        return Err(refused_by_policy(&command, first, denied.len()));
    }
    let (policy_version, request_digest) = (policy.version, spec.digest());
    Ok(Permit {
        principal: caller.principal().clone(),
        command,
        policy_version,
        request_digest,
        permitted,
        denied,
    })
}

/// Permits one recorded invocation again, by the policy in force now: what waited does not outlive its policy.
///
/// # Errors
/// The decision that denies it.
pub fn permit_again(
    job: &Job,
    invocation: &Invocation,
    host: &Arc<KeptHost>,
    policy: &VersionedPolicy,
    now: Timestamp,
) -> Result<PermittedHost, Box<Decision>> {
    let requested = RequestedLimits {
        timeout: Some(invocation.limits.timeout),
        output_bytes: Some(invocation.limits.output_bytes),
    };
    let decision = judge(policy, &job.principal, job.origin.via, host, &job.command, requested, now);
    if decision.is_allowed() {
        Ok(permitted_host(Arc::clone(host), decision))
    } else {
        Err(Box::new(decision))
    }
}

fn judge(
    policy: &VersionedPolicy,
    principal: &Principal,
    via: Via,
    host: &KeptHost,
    command: &Command,
    requested: RequestedLimits,
    at: Timestamp,
) -> Decision {
    let facts = HostFacts { alias: host.alias.clone(), site: host.site.clone(), tags: host.tags.clone() };
    lictor_policy::evaluate(&policy.set, &Request { principal, via, host: &facts, command, requested, at })
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

fn refused_command(input: &CommandInput, refusal: lictor_policy::Refusal) -> Box<Refused> {
    let text = match input {
        CommandInput::Argv(words) => words.join(" "),
        CommandInput::Line(line) => line.clone(),
    };
    let code = refusal.code.as_str().to_owned();
    let mut failure =
        Failure::new(ErrorCode::CommandRefused, refusal.message, refusal.hint).with("refusal", code.clone());
    if let Some(span) = refusal.span {
        failure = failure.with("span", format!("{}..{}", span.start, span.end));
    }
    let command = text.chars().take(MAX_REFUSED_CHARS).flat_map(char::escape_debug).collect();
    Box::new(Refused { command, rule: None, code, failure })
}

fn refused_by_policy(command: &Command, first: &DeniedHost, hosts: usize) -> Box<Refused> {
    let Decision { code, rule, reason, hint, .. } = first.decision.clone();
    let message =
        if hosts == 1 { reason } else { format!("{reason} (and likewise on {} more hosts)", hosts - 1) };
    let mut failure = Failure::new(ErrorCode::PolicyDenied, message, hint)
        .with("decision", code.as_str())
        .with("host", first.host.alias.as_str());
    if let Some(rule) = &rule {
        failure = failure.with("rule", rule.as_str());
    }
    Box::new(Refused { command: command.render(), rule, code: code.as_str().to_owned(), failure })
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
    /// Where.
    pub fn permitted(&self) -> &[PermittedHost] {
        &self.permitted
    }
    /// Where not.
    pub fn denied(&self) -> &[DeniedHost] {
        &self.denied
    }
}
