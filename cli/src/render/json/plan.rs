//! What would be decided, as a document.

use lictor_client::policy::{HostDecision, Plan};
use serde::Serialize;

/// What would be decided.
#[derive(Debug, Serialize)]
pub(crate) struct PlanDocument {
    command: String,
    command_sha256: String,
    policy_version: u64,
    hosts: Vec<DecisionDocument>,
}

#[derive(Debug, Serialize)]
struct DecisionDocument {
    host: String,
    site: Option<String>,
    effect: &'static str,
    code: String,
    rule: Option<String>,
    reason: String,
    hint: String,
    timeout_ms: Option<u64>,
    output_bytes: Option<u64>,
    agent_connected: bool,
}

// === conversions ===

impl From<&Plan> for PlanDocument {
    fn from(plan: &Plan) -> Self {
        Self {
            command: plan.command.to_string(),
            command_sha256: plan.command_digest.to_string(),
            policy_version: plan.policy_version,
            hosts: plan.hosts.iter().map(DecisionDocument::from).collect(),
        }
    }
}

impl From<&HostDecision> for DecisionDocument {
    fn from(decision: &HostDecision) -> Self {
        let millis = |time: std::time::Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        Self {
            host: decision.host.to_string(),
            site: decision.site.as_ref().map(ToString::to_string),
            effect: decision.effect.as_str(),
            code: decision.code.clone(),
            rule: decision.rule.as_ref().map(ToString::to_string),
            reason: decision.reason.clone(),
            hint: decision.hint.clone(),
            timeout_ms: decision.limits.map(|l| millis(l.timeout)),
            output_bytes: decision.limits.map(|l| l.output_bytes),
            agent_connected: decision.agent_connected,
        }
    }
}
