//! `ssh_plan`: what would be decided about a command, host by host, without running it.

use lictor_client::policy::{Effect as Decision, HostDecision};
use lictor_core::error::Failure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BridgeTool, Call, Effect};
use crate::{
    answer::Answer,
    arguments::{ContextArguments, planned_spec, target},
};

/// Most decisions in one result; those that deny come first, because they are what a plan is asked for.
const MAX_DECISIONS_SHOWN: usize = 50;

/// The tool.
#[derive(Debug)]
pub(super) enum PlanCommand {}

/// What would be asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// One host; or else tag or match.
    #[serde(default)]
    alias: Option<String>,
    /// Every host with this tag.
    #[serde(default)]
    tag: Option<String>,
    /// Hosts by expression, as "tag:web and not site:eu".
    #[serde(default, rename = "match")]
    expression: Option<String>,
    /// Literal words; or else argv.
    #[serde(default)]
    command: Option<String>,
    /// Program and arguments, each literal.
    #[serde(default)]
    argv: Option<Vec<String>>,
    /// In what it would run.
    #[serde(default)]
    context: Option<ContextArguments>,
}

/// What would be decided.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Planned {
    /// Whether the command would run on every host.
    allowed: bool,
    /// The command as hosts would receive it.
    command: String,
    /// SHA-256 of the command's structure.
    command_digest: String,
    /// Version of the policy that decided.
    policy_version: u64,
    /// Number of hosts.
    hosts_total: usize,
    /// Number of hosts on which the command would not run: denied, or not without the consent of others.
    hosts_denied: usize,
    /// The decision for each host; those that do not allow come first.
    hosts: Vec<HostPlan>,
    /// How many decisions are not listed here.
    left_out: usize,
    /// What to do about a denial.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<&'static str>,
}

/// What would be decided for one host.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct HostPlan {
    /// Alias of the host.
    host: String,
    /// Its site.
    #[serde(skip_serializing_if = "Option::is_none")]
    site: Option<String>,
    /// ALLOW, DENY, or APPROVE: it would need the consent of others, and would wait for that.
    effect: &'static str,
    /// Stable code of the decision.
    code: String,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// Why, in one sentence.
    reason: String,
    /// What would be allowed instead.
    #[serde(skip_serializing_if = "String::is_empty")]
    hint: String,
    /// Milliseconds that the command may run.
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout_ms: Option<u64>,
    /// Bytes of its output that are kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    output_bytes: Option<u64>,
    /// Whether an agent of the site is connected now.
    agent_connected: bool,
}

impl BridgeTool for PlanCommand {
    const NAME: &'static str = "ssh_plan";
    const TITLE: &'static str = "Plan a command";
    const DESCRIPTION: &'static str = "Tells, host by host, whether policy would let a command run, by which rule and within \
        which limits, and why not.";
    const EFFECT: Effect = Effect::Reads;
    type Parameters = Parameters;
    type Result = Planned;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<Planned>, Failure> {
        let Parameters { alias, tag, expression, command, argv, context } = parameters;
        let target = target(alias.as_deref(), tag.as_deref(), expression.as_deref())?;
        let spec = planned_spec(call, target, command, argv, context)?;
        let plan = call.client.plan(&spec).await?;
        let hosts_total = plan.hosts.len();
        let mut hosts = plan.hosts;
        // Stable: hosts stay ordered by alias within their group.
        hosts.sort_by_key(|host| host.effect == Decision::Allow);
        let hosts_denied = hosts.iter().filter(|host| host.effect != Decision::Allow).count();
        let asks = hosts.iter().any(|host| host.effect == Decision::Approve);
        let most =
            hosts.iter().filter_map(|host| host.max_hosts).min().map_or(usize::MAX, |most| most as usize);
        let too_many = hosts_total - hosts_denied > most;
        let hosts: Vec<_> = hosts.into_iter().take(MAX_DECISIONS_SHOWN).map(HostPlan::from).collect();
        let next_step = if hosts_total == 0 {
            Some("no host is meant: see ssh_list_hosts")
        } else if asks {
            Some(
                "tell the user that policy asks for the consent of others: a run waits for it, on every host; no argument and no tool lifts it",
            )
        } else if too_many {
            Some("policy allows fewer hosts in one job, so nothing would run: ask for fewer hosts at a time")
        } else if hosts_denied > 0 {
            Some(
                "follow the hint where there is one, or tell the user that policy forbids this; no argument lifts it",
            )
        } else {
            None
        };
        Ok(Answer::done(Planned {
            allowed: hosts_total > 0 && hosts_denied == 0 && !too_many,
            command: plan.command.render(),
            command_digest: plan.command_digest.to_string(),
            policy_version: plan.policy_version,
            hosts_total,
            hosts_denied,
            left_out: hosts_total - hosts.len(),
            hosts,
            next_step,
        }))
    }
}

impl From<HostDecision> for HostPlan {
    fn from(decision: HostDecision) -> Self {
        let limits = decision.limits;
        Self {
            host: decision.host.to_string(),
            site: decision.site.map(|site| site.to_string()),
            effect: decision.effect.as_str(),
            code: decision.code,
            rule: decision.rule.map(|rule| rule.to_string()),
            reason: decision.reason,
            hint: decision.hint,
            timeout_ms: limits.map(|limits| u64::try_from(limits.timeout.as_millis()).unwrap_or(u64::MAX)),
            output_bytes: limits.map(|limits| limits.output_bytes),
            agent_connected: decision.agent_connected,
        }
    }
}
