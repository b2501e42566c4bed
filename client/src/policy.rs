//! What would be decided about a request, host by host, without recording a job.

use lictor_core::{
    command::Command,
    digest::Digest,
    error::Failure,
    job::{JobSpec, Limits},
    name::{HostAlias, RuleId, SiteName},
};
use lictor_proto::{
    convert::{Invalid, digest, known, parse, required},
    pb,
};

use crate::{
    connect::{CALL_DEADLINE, Client},
    failure::not_understood,
    views::optional,
};

/// What would be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The command as it was parsed; what hosts would receive is rendered from it.
    pub command: Command,
    /// Digest of the command's structure.
    pub command_digest: Digest,
    /// The version of the policy that decided.
    pub policy_version: u64,
    /// One decision for each host, ordered by host.
    pub hosts: Vec<HostDecision>,
}

/// What would be decided for one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HostDecision {
    /// The host.
    pub host: HostAlias,
    /// Its site; `None` if the host is not known.
    pub site: Option<SiteName>,
    /// Whether the command would run.
    pub effect: Effect,
    /// A stable code, e.g. `POLICY_DEFAULT_DENY`.
    pub code: String,
    /// The rule that decided; `None` if none matched.
    pub rule: Option<RuleId>,
    /// One sentence.
    pub reason: String,
    /// What to do instead; may be empty.
    pub hint: String,
    /// The limits that would hold; `None` where nothing would run.
    pub limits: Option<Limits>,
    /// An agent of the site is connected now.
    pub agent_connected: bool,
}

/// Whether a command would run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// It would.
    Allow,
    /// It would not.
    Deny,
    /// It would once others have consented.
    Approve,
}

// === impl Client ===

impl Client {
    /// Decides `spec` without recording a job.
    ///
    /// # Errors
    /// `COMMAND_REFUSED` when the command does not parse; otherwise the controller's refusal, or that it cannot be reached.
    pub async fn plan(&self, spec: &JobSpec) -> Result<Plan, Failure> {
        let mut service = self.policy_service();
        let request = pb::PlanRequest { request: Some(spec.into()) };
        let answer = self.answer(CALL_DEADLINE, service.plan(request)).await?;
        Plan::try_from(answer).map_err(|e| not_understood(&e))
    }
}

// === impl Effect ===

impl Effect {
    /// The effect in capitals, as every interface writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "ALLOW",
            Self::Deny => "DENY",
            Self::Approve => "APPROVE",
        }
    }
}

// === conversions ===

impl TryFrom<pb::PlanResponse> for Plan {
    type Error = Invalid;
    fn try_from(wire: pb::PlanResponse) -> Result<Self, Invalid> {
        let pb::PlanResponse { command, command_text: _, command_digest, policy_version, hosts } = wire;
        Ok(Self {
            command: required("plan.command", command)?.try_into()?,
            command_digest: digest("plan.command_digest", &command_digest)?,
            policy_version,
            hosts: hosts.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        })
    }
}

impl TryFrom<pb::HostDecision> for HostDecision {
    type Error = Invalid;
    fn try_from(wire: pb::HostDecision) -> Result<Self, Invalid> {
        let pb::HostDecision { host, site, effect, code, rule, reason, hint, limits, agent_connected } = wire;
        let effect = match known("plan.effect", effect)? {
            pb::Effect::Unspecified => return Err(Invalid::new("plan.effect", "it is not set")),
            pb::Effect::Allow => Effect::Allow,
            pb::Effect::Approve => Effect::Approve,
            pb::Effect::Deny => Effect::Deny,
        };
        let limits = limits.filter(|_| effect != Effect::Deny).map(Limits::try_from).transpose()?;
        Ok(Self {
            host: parse("plan.host", &host)?,
            site: optional("plan.site", &site)?,
            effect,
            code,
            rule: optional("plan.rule", &rule)?,
            reason,
            hint,
            limits,
            agent_connected,
        })
    }
}
