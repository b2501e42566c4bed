//! What would be decided, as a document.

use std::time::Duration;

use lictor_client::policy::{ApprovalTerms, HostDecision, Plan, QuotaState};
use serde::Serialize;

/// What would be decided.
#[derive(Debug, Serialize)]
pub(crate) struct PlanDocument {
    command: String,
    command_sha256: String,
    policy_version: u64,
    plan_digest: String,
    hosts: Vec<DecisionDocument>,
    quotas: Vec<QuotaDocument>,
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
    part: Option<String>,
    pattern: Option<String>,
    word: Option<String>,
    timeout_ms: Option<u64>,
    output_bytes: Option<u64>,
    networks_allowed: Vec<String>,
    networks_denied: Vec<String>,
    max_hosts: Option<u32>,
    approvals: Vec<ApprovalDocument>,
    agent_connected: bool,
}

/// Whose consent is asked for.
#[derive(Debug, Serialize)]
pub(crate) struct ApprovalDocument {
    pub(crate) approvals: u32,
    pub(crate) group: String,
    pub(crate) within_ms: u64,
    pub(crate) mfa: bool,
}

#[derive(Debug, Serialize)]
struct QuotaDocument {
    id: String,
    limit: u32,
    used: u32,
    left: u32,
    /// Of invocations in this time; `null`: of those under way.
    per_ms: Option<u64>,
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

// === conversions ===

impl From<&Plan> for PlanDocument {
    fn from(plan: &Plan) -> Self {
        Self {
            command: plan.command.to_string(),
            command_sha256: plan.command_digest.to_string(),
            policy_version: plan.policy_version,
            plan_digest: plan.plan_digest.to_string(),
            hosts: plan.hosts.iter().map(DecisionDocument::from).collect(),
            quotas: plan.quotas.iter().map(QuotaDocument::from).collect(),
        }
    }
}

impl From<&HostDecision> for DecisionDocument {
    fn from(decision: &HostDecision) -> Self {
        Self {
            host: decision.host.to_string(),
            site: decision.site.as_ref().map(ToString::to_string),
            effect: decision.effect.as_str(),
            code: decision.code.clone(),
            rule: decision.rule.as_ref().map(ToString::to_string),
            reason: decision.reason.clone(),
            hint: decision.hint.clone(),
            part: decision.part.clone(),
            pattern: decision.pattern.clone(),
            word: decision.word.clone(),
            timeout_ms: decision.limits.map(|l| millis(l.timeout)),
            output_bytes: decision.limits.map(|l| l.output_bytes),
            networks_allowed: decision.networks_allowed.clone(),
            networks_denied: decision.networks_denied.clone(),
            max_hosts: decision.max_hosts,
            approvals: decision.approvals.iter().map(ApprovalDocument::from).collect(),
            agent_connected: decision.agent_connected,
        }
    }
}

impl From<&ApprovalTerms> for ApprovalDocument {
    fn from(terms: &ApprovalTerms) -> Self {
        Self {
            approvals: terms.approvals,
            group: terms.group.to_string(),
            within_ms: millis(terms.within),
            mfa: terms.mfa,
        }
    }
}

impl From<&QuotaState> for QuotaDocument {
    fn from(quota: &QuotaState) -> Self {
        Self {
            id: quota.id.to_string(),
            limit: quota.limit,
            used: quota.used,
            left: quota.left(),
            per_ms: quota.per.map(millis),
        }
    }
}
