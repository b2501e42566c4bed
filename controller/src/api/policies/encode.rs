//! Decisions, quotas and the proposed policy as they travel.

use std::time::Duration;

use ipnet::IpNet;
use lictor_core::freeze::{FROZEN, Freeze};
use lictor_policy::{ApprovalTerms, Decision, Effect};
use lictor_proto::{convert::millis, pb};
use lictor_store::{KeptHost, KeptPolicy};

use crate::{
    authz::{frozen_hint, frozen_reason},
    quotas::QuotaState,
    shadow::{Difference, Kind, Proposed, Tally},
};

/// Characters that are told of a part, pattern or word: enough to recognise it; the command comes in full.
const MAX_QUOTED_CHARS: usize = 1024;

/// What was decided for a host.
pub(super) fn decision(host: &KeptHost, decision: Decision, agent_connected: bool) -> pb::HostDecision {
    let Decision { effect, code, rule, reason, hint, part, pattern, word, limits, .. } = decision;
    let texts = |networks: &[IpNet]| networks.iter().map(ToString::to_string).collect();
    pb::HostDecision {
        host: host.alias.to_string(),
        site: host.site.to_string(),
        effect: match effect {
            Effect::Allow => pb::Effect::Allow,
            Effect::Approve => pb::Effect::Approve,
            Effect::Deny => pb::Effect::Deny,
        }
        .into(),
        code: code.as_str().to_owned(),
        rule: rule.as_ref().map(ToString::to_string).unwrap_or_default(),
        reason,
        hint,
        limits: Some((&limits).into()),
        agent_connected,
        pattern: cut(pattern),
        word: cut(word),
        part: cut(part),
        max_hosts: decision.max_hosts,
        approvals: decision.approvals.iter().map(consent).collect(),
        networks_allowed: texts(&decision.networks_allowed),
        networks_denied: texts(&decision.networks_denied),
    }
}

/// What was decided for a host that is frozen: nothing starts there, whatever a rule says.
pub(super) fn frozen(decided: pb::HostDecision, host: &KeptHost, freeze: &Freeze) -> pb::HostDecision {
    pb::HostDecision {
        effect: pb::Effect::Deny.into(),
        code: FROZEN.to_owned(),
        rule: String::new(),
        reason: frozen_reason(&host.alias, freeze),
        hint: frozen_hint(freeze),
        pattern: String::new(),
        word: String::new(),
        part: String::new(),
        approvals: Vec::new(),
        ..decided
    }
}

/// How much of a quota is used.
pub(super) fn quota(state: QuotaState) -> pb::QuotaState {
    let QuotaState { id, limit, used, per } = state;
    let used = u32::try_from(used).unwrap_or(u32::MAX);
    pb::QuotaState { id: id.to_string(), limit, used, per_ms: per.map(millis) }
}

/// A version without its text.
pub(super) fn version(kept: KeptPolicy) -> pb::PolicyVersion {
    let KeptPolicy { version, digest, source: _, changed_by, changed_at, note } = kept;
    let (digest, changed_at) = (digest.as_bytes().to_vec(), changed_at.as_micros());
    pb::PolicyVersion { version, digest, changed_by, changed_at, note }
}

/// A version with its text.
pub(super) fn policy(kept: KeptPolicy) -> pb::Policy {
    let KeptPolicy { version, digest, source, changed_by, changed_at, note } = kept;
    let (digest, changed_at) = (digest.as_bytes().to_vec(), changed_at.as_micros());
    pb::Policy { version, digest, source, changed_by, changed_at, note }
}

/// The proposed policy with what was counted.
pub(super) fn shadow(proposed: &Proposed) -> pb::ShadowPolicy {
    let Tally { requests, hosts, not_judged, would_deny, would_allow, would_ask, other_limits, newest } =
        proposed.tally();
    pb::ShadowPolicy {
        digest: proposed.set.digest().as_bytes().to_vec(),
        put_by: proposed.put_by.clone(),
        put_at: proposed.put_at.as_micros(),
        counted_since: proposed.counted_since.as_micros(),
        requests,
        hosts,
        not_judged,
        would_deny,
        would_allow,
        would_ask,
        other_limits,
        differences: newest.into_iter().rev().map(difference).collect(),
    }
}

fn difference(difference: Difference) -> pb::ShadowDifference {
    use pb::ShadowDifferenceKind as Wire;
    let Difference { kind, at, principal, host, command, live, shadow } = difference;
    pb::ShadowDifference {
        kind: match kind {
            Kind::WouldDeny => Wire::WouldDeny,
            Kind::WouldAllow => Wire::WouldAllow,
            Kind::WouldAsk => Wire::WouldAsk,
            Kind::OtherLimits => Wire::OtherLimits,
        }
        .into(),
        at: at.as_micros(),
        principal: Some((&principal).into()),
        host: host.to_string(),
        command: command.to_string(),
        live_code: live.0,
        live_rule: live.1.map(|rule| rule.to_string()).unwrap_or_default(),
        shadow_code: shadow.0,
        shadow_rule: shadow.1.map(|rule| rule.to_string()).unwrap_or_default(),
    }
}

fn consent(terms: &ApprovalTerms) -> pb::ApprovalTerms {
    let ApprovalTerms { approvals, group, within, mfa } = terms;
    let within: Duration = *within;
    pb::ApprovalTerms {
        approvals: *approvals,
        group: group.to_string(),
        within_ms: millis(within),
        mfa: *mfa,
    }
}

fn cut(text: Option<String>) -> String {
    match text {
        Some(text) if text.len() > MAX_QUOTED_CHARS => text.chars().take(MAX_QUOTED_CHARS).collect(),
        text => text.unwrap_or_default(),
    }
}
