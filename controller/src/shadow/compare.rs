//! The same request by both policies, host by host.

use std::{collections::BTreeMap, sync::Arc};

use lictor_core::{
    error::ErrorCode,
    job::Limits,
    name::{HostAlias, RuleId},
};
use lictor_policy::{ApprovalTerms, Decision, Effect, PolicySet, View};
use lictor_store::KeptHost;

use super::{
    Case,
    tally::{Difference, Kind},
};
use crate::authz::{self, Decided};

/// Characters of a command that a difference shows: enough to recognise it.
const MAX_COMMAND_CHARS: usize = 256;

/// What one policy says of one host, as far as it can differ.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Verdict {
    effect: Effect,
    code: String,
    rule: Option<RuleId>,
    terms: Terms,
}

/// Within which bounds it may run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Terms {
    limits: Option<Limits>,
    networks: (Vec<ipnet::IpNet>, Vec<ipnet::IpNet>),
    max_hosts: Option<u32>,
    approvals: Vec<ApprovalTerms>,
}

/// What one policy says of a request.
enum Said {
    /// Of each host that the policy tells the caller of.
    Each(BTreeMap<HostAlias, Verdict>),
    /// The same of every host: the command is refused.
    All(Verdict),
}

// === impl Case ===

impl Case {
    /// Judges the request by both policies and counts what differs.
    pub(super) fn judge(self) {
        // A target that means no host says nothing about policy.
        let Ok(mut hosts) = self.fleet.seen(View::everything()).resolve(&self.spec.target) else { return };
        let (live, command) = self.say(&self.policy.set);
        let (shadow, _) = self.say(&self.proposed.set);
        let command: Arc<str> = command.chars().take(MAX_COMMAND_CHARS).collect::<String>().into();
        hosts.retain(|host| live.of(&host.alias).is_some() || shadow.of(&host.alias).is_some());
        let hidden = Verdict::hidden();
        let differs = |host: &Arc<KeptHost>| {
            let live = live.of(&host.alias).unwrap_or(&hidden);
            let shadow = shadow.of(&host.alias).unwrap_or(&hidden);
            Some(Difference {
                kind: kind(live, shadow)?,
                at: self.at,
                principal: self.caller.principal().clone(),
                host: host.alias.clone(),
                command: Arc::clone(&command),
                live: (live.code.clone(), live.rule.clone()),
                shadow: (shadow.code.clone(), shadow.rule.clone()),
            })
        };
        let differences = hosts.iter().filter_map(differs).collect();
        self.proposed.tally_mut().add(hosts.len(), differences);
    }

    /// What a policy says, and the command it says it of.
    fn say(&self, set: &PolicySet) -> (Said, String) {
        match authz::decide_briefly(&self.caller, &self.spec, set, &self.fleet, self.at) {
            Ok(Decided { command, hosts, .. }) => {
                let verdict = |(host, decision): (Arc<KeptHost>, Decision)| {
                    (host.alias.clone(), Verdict::from(decision))
                };
                let verdicts = hosts.into_iter().map(verdict).collect();
                (Said::Each(verdicts), command.render())
            }
            Err(refused) => {
                let (code, rule, terms) = (refused.code, refused.rule, Terms::default());
                (Said::All(Verdict { effect: Effect::Deny, code, rule, terms }), refused.command)
            }
        }
    }
}

/// How the proposed policy differs, if it does.
fn kind(live: &Verdict, shadow: &Verdict) -> Option<Kind> {
    match (live.effect, shadow.effect) {
        (Effect::Deny, Effect::Deny) => None,
        (one, other) if one == other => (live.terms != shadow.terms).then_some(Kind::OtherLimits),
        (_, Effect::Deny) => Some(Kind::WouldDeny),
        (_, Effect::Allow) => Some(Kind::WouldAllow),
        (_, Effect::Approve) => Some(Kind::WouldAsk),
    }
}

// === impl Said ===

impl Said {
    fn of(&self, host: &HostAlias) -> Option<&Verdict> {
        match self {
            Self::Each(verdicts) => verdicts.get(host),
            Self::All(verdict) => Some(verdict),
        }
    }
}

// === impl Verdict ===

impl Verdict {
    /// Of a host that the caller is not told of.
    fn hidden() -> Self {
        let (effect, code) = (Effect::Deny, ErrorCode::NotFound.as_str().to_owned());
        Self { effect, code, rule: None, terms: Terms::default() }
    }
}

impl From<Decision> for Verdict {
    fn from(decision: Decision) -> Self {
        let Decision { effect, code, rule, limits, networks_allowed, networks_denied, .. } = decision;
        let networks = (networks_allowed, networks_denied);
        let terms = Terms {
            limits: Some(limits),
            networks,
            max_hosts: decision.max_hosts,
            approvals: decision.approvals,
        };
        Self { effect, code: code.as_str().to_owned(), rule, terms }
    }
}
