//! What would be decided about a request, host by host, without recording a job.

use std::time::Duration;

use lictor_core::{
    command::Command,
    digest::Digest,
    error::{ErrorCode, Failure},
    job::{JobSpec, Limits},
    limits::MAX_HOSTS_PER_JOB,
    name::{GroupName, HostAlias, RuleId, SiteName},
};
use lictor_proto::{
    convert::{Invalid, digest, known, parse, required},
    pb,
};

use crate::{
    connect::{CALL_DEADLINE, Client},
    failure::not_understood,
    jobs::page,
    views::optional,
};

/// How often a plan is begun anew because what would be decided changed between two of its pages.
const MAX_PLANS: usize = 3;

/// What would be decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// The command as it was parsed; what hosts would receive is rendered from it.
    pub command: Command,
    /// Digest of the command's structure.
    pub command_digest: Digest,
    /// The version of the policy that decided.
    pub policy_version: u64,
    /// Digest of everything that was decided: a request that names it runs exactly this, or fails as stale.
    pub plan_digest: Digest,
    /// One decision for each host, ordered by host.
    pub hosts: Vec<HostDecision>,
    /// The quotas that count the request.
    pub quotas: Vec<QuotaState>,
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
    /// The simple command that decided.
    pub part: Option<String>,
    /// The pattern that decided or, when no rule allows the command, the nearest one.
    pub pattern: Option<String>,
    /// The word that decided: what a deny rule names, or the first that no pattern has a place for.
    pub word: Option<String>,
    /// The limits that would hold; `None` where nothing would run.
    pub limits: Option<Limits>,
    /// Networks in one of which the connected address must lie; empty: any.
    pub networks_allowed: Vec<String>,
    /// Networks in none of which the connected address may lie.
    pub networks_denied: Vec<String>,
    /// Most hosts in one job; `None`: as many as any job may have.
    pub max_hosts: Option<u32>,
    /// Whose consent is needed, all of them; empty unless the effect is [`Effect::Approve`].
    pub approvals: Vec<ApprovalTerms>,
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

/// Whose consent is needed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ApprovalTerms {
    /// How many people, each another one and none of them who asked.
    pub approvals: u32,
    /// Out of this group.
    pub group: GroupName,
    /// Within this time.
    pub within: Duration,
    /// Each must have proved a second factor.
    pub mfa: bool,
}

/// A quota that counts a request, and how much of it is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuotaState {
    /// Its name.
    pub id: RuleId,
    /// Most invocations.
    pub limit: u32,
    /// Invocations that count now, without the request itself.
    pub used: u32,
    /// In any span of this length; `None`: under way at once.
    pub per: Option<Duration>,
}

/// A page of a plan as it came.
struct Page {
    plan: Plan,
    hosts_total: usize,
    next: Option<String>,
}

// === impl Client ===

impl Client {
    /// Decides `spec` without recording a job.
    ///
    /// # Errors
    /// `COMMAND_REFUSED` when the command does not parse; `CONFLICT` when what would be decided changes faster than it
    /// can be told; otherwise the controller's refusal, or that it cannot be reached.
    pub async fn plan(&self, spec: &JobSpec) -> Result<Plan, Failure> {
        for _ in 0..MAX_PLANS {
            if let Some(plan) = self.plan_once(spec).await? {
                return Ok(plan);
            }
        }
        let message = "what would be decided changes while it is being told";
        Err(Failure::new(ErrorCode::Conflict, message, "plan again in a moment"))
    }

    /// All pages of a plan; `None` when they are not of one plan.
    async fn plan_once(&self, spec: &JobSpec) -> Result<Option<Plan>, Failure> {
        let Page { mut plan, hosts_total, mut next } = self.plan_page(spec, String::new()).await?;
        while let Some(token) = next {
            let more = self.plan_page(spec, token).await?;
            if more.plan.plan_digest != plan.plan_digest {
                return Ok(None);
            }
            if more.plan.hosts.is_empty() || plan.hosts.len() > MAX_HOSTS_PER_JOB {
                return Err(not_understood(&Invalid::new("plan.hosts", "its pages do not end")));
            }
            plan.hosts.extend(more.plan.hosts);
            next = more.next;
        }
        if plan.hosts.len() != hosts_total {
            return Err(not_understood(&Invalid::new("plan.hosts", "its pages do not have all hosts")));
        }
        Ok(Some(plan))
    }

    async fn plan_page(&self, spec: &JobSpec, page_token: String) -> Result<Page, Failure> {
        let mut service = self.policy_service();
        let request = pb::PlanRequest { request: Some(spec.into()), page_size: 0, page_token };
        let answer = self.answer(CALL_DEADLINE, service.plan(request)).await?;
        Page::try_from(answer).map_err(|e| not_understood(&e))
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

// === impl QuotaState ===

impl QuotaState {
    /// Invocations that are left.
    pub const fn left(&self) -> u32 {
        self.limit.saturating_sub(self.used)
    }
}

// === conversions ===

impl TryFrom<pb::PlanResponse> for Page {
    type Error = Invalid;
    fn try_from(wire: pb::PlanResponse) -> Result<Self, Invalid> {
        let pb::PlanResponse {
            command,
            command_text: _,
            command_digest,
            policy_version,
            hosts,
            plan_digest,
            quotas,
            hosts_total,
            next_page_token,
        } = wire;
        let plan = Plan {
            command: required("plan.command", command)?.try_into()?,
            command_digest: digest("plan.command_digest", &command_digest)?,
            policy_version,
            plan_digest: digest("plan.plan_digest", &plan_digest)?,
            hosts: hosts.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            quotas: quotas.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
        };
        Ok(Self { plan, hosts_total: hosts_total as usize, next: page(next_page_token) })
    }
}

impl TryFrom<pb::HostDecision> for HostDecision {
    type Error = Invalid;
    fn try_from(wire: pb::HostDecision) -> Result<Self, Invalid> {
        let pb::HostDecision {
            host,
            site,
            effect,
            code,
            rule,
            reason,
            hint,
            limits,
            agent_connected,
            pattern,
            word,
            part,
            max_hosts,
            approvals,
            networks_allowed,
            networks_denied,
        } = wire;
        let effect = match known("plan.effect", effect)? {
            pb::Effect::Unspecified => return Err(Invalid::new("plan.effect", "it is not set")),
            pb::Effect::Allow => Effect::Allow,
            pb::Effect::Approve => Effect::Approve,
            pb::Effect::Deny => Effect::Deny,
        };
        let limits = limits.filter(|_| effect != Effect::Deny).map(Limits::try_from).transpose()?;
        let told = |text: String| Some(text).filter(|t| !t.is_empty());
        Ok(Self {
            host: parse("plan.host", &host)?,
            site: optional("plan.site", &site)?,
            effect,
            code,
            rule: optional("plan.rule", &rule)?,
            reason,
            hint,
            part: told(part),
            pattern: told(pattern),
            word: told(word),
            limits,
            networks_allowed,
            networks_denied,
            max_hosts,
            approvals: approvals.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            agent_connected,
        })
    }
}

impl TryFrom<pb::ApprovalTerms> for ApprovalTerms {
    type Error = Invalid;
    fn try_from(wire: pb::ApprovalTerms) -> Result<Self, Invalid> {
        let pb::ApprovalTerms { approvals, group, within_ms, mfa } = wire;
        let group = parse("plan.approvals.group", &group)?;
        Ok(Self { approvals, group, within: Duration::from_millis(within_ms), mfa })
    }
}

impl TryFrom<pb::QuotaState> for QuotaState {
    type Error = Invalid;
    fn try_from(wire: pb::QuotaState) -> Result<Self, Invalid> {
        let pb::QuotaState { id, limit, used, per_ms } = wire;
        Ok(Self { id: parse("plan.quotas.id", &id)?, limit, used, per: per_ms.map(Duration::from_millis) })
    }
}
