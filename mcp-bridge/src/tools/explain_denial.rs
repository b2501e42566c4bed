//! `ssh_explain_denial`: what in a command policy objects to, on one host.

use lictor_client::policy::{ApprovalTerms, Effect as Decision};
use lictor_core::error::{ErrorCode, Failure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BridgeTool, Call, Effect};
use crate::{
    answer::Answer,
    arguments::{ContextArguments, one_host, planned_spec},
};

/// The tool.
#[derive(Debug)]
pub(super) enum ExplainDenial {}

/// What was denied where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// Alias of the host.
    alias: String,
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

/// Why.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Explained {
    /// ALLOW, DENY or APPROVE, as policy stands now.
    effect: &'static str,
    /// Stable code of the decision.
    decision: String,
    /// Why, in one sentence.
    reason: String,
    /// The rule that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    rule: Option<String>,
    /// The simple command that decided, where there are several.
    #[serde(skip_serializing_if = "Option::is_none")]
    part: Option<String>,
    /// The word that decided.
    #[serde(skip_serializing_if = "Option::is_none")]
    word: Option<String>,
    /// The pattern that decided or, where no rule allows the command, the nearest one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pattern: Option<String>,
    /// What would be allowed instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
    /// Whose consent is needed, all of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    approvals: Vec<String>,
    /// Version of the policy that decided.
    policy_version: u64,
    /// What to do next.
    next_step: &'static str,
}

impl BridgeTool for ExplainDenial {
    const NAME: &'static str = "ssh_explain_denial";
    const TITLE: &'static str = "Explain a denial";
    const DESCRIPTION: &'static str = "Tells which rule and which word of a command decide on a host, what would be allowed \
        instead, and whose consent is needed.";
    const EFFECT: Effect = Effect::Reads;
    type Parameters = Parameters;
    type Result = Explained;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<Explained>, Failure> {
        let Parameters { alias, command, argv, context } = parameters;
        let spec = planned_spec(call, one_host(&alias)?, command, argv, context)?;
        let plan = call.client.plan(&spec).await?;
        let Some(decision) = plan.hosts.into_iter().next() else {
            let next_step = "use bridge and controller of the same version";
            return Err(Failure::new(ErrorCode::Internal, "the controller told of no host", next_step));
        };
        Ok(Answer::done(Explained {
            effect: decision.effect.as_str(),
            decision: decision.code,
            reason: decision.reason,
            rule: decision.rule.map(|rule| rule.to_string()),
            part: decision.part,
            word: decision.word,
            pattern: decision.pattern,
            hint: Some(decision.hint).filter(|hint| !hint.is_empty()),
            approvals: decision.approvals.iter().map(terms).collect(),
            policy_version: plan.policy_version,
            next_step: match decision.effect {
                Decision::Allow => "it is not denied now: ssh_run it",
                Decision::Deny => {
                    "follow the hint where there is one, or tell the user which rule forbids it; do not try to reach \
                     the same effect in another way"
                }
                Decision::Approve => {
                    "tell the user whose consent is needed; no tool and no argument gives it"
                }
            },
        }))
    }
}

fn terms(terms: &ApprovalTerms) -> String {
    let ApprovalTerms { approvals, group, within, mfa } = terms;
    let factor = if *mfa { ", each with a second factor" } else { "" };
    format!("{approvals} of group {group} within {} s{factor}", within.as_secs())
}
