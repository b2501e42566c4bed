//! What operators have frozen, laid over what policy decides.

use std::{collections::BTreeMap, sync::Arc};

use lictor_core::{
    command::Command,
    error::{ErrorCode, Failure},
    freeze::{FROZEN, Freeze, FreezeSet},
    name::{HostAlias, RuleId},
    outcome::Outcome,
};
use lictor_policy::Effect;

use super::{Decided, DecidedHost, Refused, and_likewise};

/// The hosts that policy would let something run on, and that are frozen.
pub(super) type FrozenHosts = BTreeMap<HostAlias, Arc<Freeze>>;

/// Why nothing new starts on `host`.
pub(crate) fn reason(host: &HostAlias, freeze: &Freeze) -> String {
    format!("nothing new starts on {host}: {}", freeze.sentence())
}

/// What whoever is refused can do.
pub(crate) fn hint(freeze: &Freeze) -> String {
    format!(
        "only an operator can lift it (lictor freeze lift {}); until then asking again is refused in the same way",
        freeze.id
    )
}

// === impl Decided ===

impl Decided {
    /// What is decided while these freezes are in force. What policy denies is denied by policy.
    #[must_use]
    pub fn under(mut self, freezes: &FreezeSet) -> Self {
        let would_run = self.hosts.iter().filter(|(_, decision)| decision.effect != Effect::Deny);
        self.frozen = would_run
            .filter_map(|(host, _)| {
                Some((host.alias.clone(), Arc::clone(freezes.covering(&host.site, &host.alias)?)))
            })
            .collect();
        self
    }
    /// The freeze by which nothing starts on a host that policy would let something run on.
    pub fn freeze(&self, host: &HostAlias) -> Option<&Arc<Freeze>> {
        self.frozen.get(host)
    }
    /// Whether all that would run is frozen.
    pub(super) fn is_frozen_as_a_whole(&self) -> bool {
        let would_run = self.hosts.iter().filter(|(_, decision)| decision.effect != Effect::Deny).count();
        would_run > 0 && would_run == self.frozen.len()
    }
}

// === impl DecidedHost ===

impl DecidedHost {
    /// What an invocation ends with that must not start there.
    pub fn denial(&self) -> Outcome {
        match &self.freeze {
            Some(freeze) => {
                Outcome::Denied { code: FROZEN.to_owned(), reason: reason(&self.host.alias, freeze) }
            }
            None => Outcome::Denied {
                code: self.decision.code.as_str().to_owned(),
                reason: self.decision.reason.clone(),
            },
        }
    }
    /// The rule that decided; a freeze is none.
    pub fn rule(&self) -> Option<RuleId> {
        self.decision.rule.clone().filter(|_| self.freeze.is_none())
    }
}

// === impl Refused ===

impl Refused {
    /// Operators have frozen all of these hosts, on which policy would let it run.
    pub(super) fn frozen(command: &Command, frozen: &FrozenHosts) -> Box<Self> {
        let mut failure = Failure::new(ErrorCode::Frozen, "nothing new starts", "wait");
        if let Some((host, freeze)) = frozen.first_key_value() {
            let message = format!("{}{}", reason(host, freeze), and_likewise(frozen.len()));
            failure = Failure::new(ErrorCode::Frozen, message, hint(freeze))
                .with("freeze", freeze.id.to_string())
                .with("scope", freeze.scope.to_string())
                .with("frozen_by", freeze.by.to_string())
                .with("frozen_at", freeze.at.to_string())
                .with("host", host.as_str());
        }
        Box::new(Self { command: command.render(), rule: None, code: FROZEN.to_owned(), failure })
    }
}
