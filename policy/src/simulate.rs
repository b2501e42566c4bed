//! What a policy would have decided about what was asked for in the past.

use std::collections::BTreeMap;

use lictor_core::{job::CommandInput, name::RuleId};

use crate::{
    decision::Effect,
    set::PolicySet,
    verdict::{Circumstances, judge},
};

/// Most kinds of change that are listed; further ones are counted.
pub const MAX_GROUPS: usize = 1_000;
/// Most single changes that are listed of a kind; further ones are counted.
pub const MAX_ITEMS: usize = 100;

/// One host of one past request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The command: as it ran, or as it was given.
    pub command: CommandInput,
    /// The text that was recorded is not the whole.
    pub cut: bool,
    /// Who asked, where and when.
    pub circumstances: Circumstances,
    /// What was decided then.
    pub decided: PastDecision,
}

/// What was decided.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastDecision {
    /// Allowed, allowed with consent, or denied.
    pub effect: Effect,
    /// The code.
    pub code: String,
    /// The rule.
    pub rule: Option<String>,
}

/// What would have been decided otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Simulation {
    /// Past requests, counted by host, that were allowed.
    pub allowed: u64,
    /// Of those: would be denied.
    pub would_deny: u64,
    /// Of those: would need consent, and did not.
    pub would_ask: u64,
    /// Past requests, counted by host, that were refused.
    pub refused: u64,
    /// Of those: would be allowed.
    pub would_allow: u64,
    /// Of those: would be allowed with consent.
    pub would_allow_with_consent: u64,
    /// Of those that were allowed with consent: would be allowed without.
    pub would_not_ask: u64,
    /// Requests whose recorded text is not the whole, so that nothing can be said.
    pub cut: u64,
    /// What changes, by command and kind of change; the most frequent first.
    pub groups: Vec<Group>,
    /// Changes of kinds that are not listed.
    pub not_listed: u64,
}

/// The same change of the same command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The command.
    pub command: String,
    /// What kind of change.
    pub kind: ChangedTo,
    /// The code then.
    pub old_code: String,
    /// The code by the policy in question.
    pub new_code: &'static str,
    /// The rule that would decide.
    pub new_rule: Option<RuleId>,
    /// Why, for the first of them.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// The first of them.
    pub items: Vec<Item>,
}

/// One change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Item {
    /// Who asked, where and when.
    pub circumstances: Circumstances,
    /// The rule that decided then.
    pub old_rule: Option<String>,
}

/// What a decision changes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ChangedTo {
    /// What was allowed would be denied.
    Denied,
    /// What was allowed would need consent.
    Asked,
    /// What was refused would be allowed.
    Allowed,
    /// What was refused would be allowed with consent.
    AllowedWithConsent,
    /// What was allowed with consent would not need it.
    NotAsked,
}

/// A simulation under way.
#[derive(Debug)]
pub struct Simulator<'a> {
    set: &'a PolicySet,
    sum: Simulation,
    groups: BTreeMap<Key, Group>,
}

type Key = (ChangedTo, String, String, &'static str, Option<RuleId>);

/// Judges every one of `past` by `set`.
pub fn simulate(set: &PolicySet, past: impl IntoIterator<Item = Past>) -> Simulation {
    let mut simulator = Simulator::new(set);
    past.into_iter().for_each(|one| simulator.push(one));
    simulator.finish()
}

// === impl Simulator ===

impl<'a> Simulator<'a> {
    /// Nothing yet.
    pub fn new(set: &'a PolicySet) -> Self {
        Self { set, sum: Simulation::default(), groups: BTreeMap::new() }
    }

    /// Takes the next one.
    pub fn push(&mut self, past: Past) {
        let was_allowed = past.decided.effect != Effect::Deny;
        *(if was_allowed { &mut self.sum.allowed } else { &mut self.sum.refused }) += 1;
        if past.cut {
            self.sum.cut += 1;
            return;
        }
        let verdict = judge(self.set, &past.command, &past.circumstances);
        let Some(kind) = ChangedTo::of(past.decided.effect, verdict.effect) else { return };
        *self.counter(kind) += 1;
        let command = match (&verdict.command, &past.command) {
            (Some(command), _) => command.render(),
            (None, CommandInput::Line(line)) => line.clone(),
            (None, CommandInput::Argv(words)) => words.join(" "),
        };
        let key = (kind, command.clone(), past.decided.code.clone(), verdict.code, verdict.rule.clone());
        if !self.groups.contains_key(&key) && self.groups.len() >= MAX_GROUPS {
            self.sum.not_listed += 1;
            return;
        }
        let group = self.groups.entry(key).or_insert_with(|| Group {
            command,
            kind,
            old_code: past.decided.code,
            new_code: verdict.code,
            new_rule: verdict.rule,
            reason: verdict.reason,
            count: 0,
            items: Vec::new(),
        });
        group.count += 1;
        if group.items.len() < MAX_ITEMS {
            group.items.push(Item { circumstances: past.circumstances, old_rule: past.decided.rule });
        }
    }

    /// What came of it.
    pub fn finish(self) -> Simulation {
        let mut groups: Vec<Group> = self.groups.into_values().collect();
        groups.sort_by(|a, b| {
            (a.kind, b.count).cmp(&(b.kind, a.count)).then_with(|| a.command.cmp(&b.command))
        });
        Simulation { groups, ..self.sum }
    }

    const fn counter(&mut self, kind: ChangedTo) -> &mut u64 {
        match kind {
            ChangedTo::Denied => &mut self.sum.would_deny,
            ChangedTo::Asked => &mut self.sum.would_ask,
            ChangedTo::Allowed => &mut self.sum.would_allow,
            ChangedTo::AllowedWithConsent => &mut self.sum.would_allow_with_consent,
            ChangedTo::NotAsked => &mut self.sum.would_not_ask,
        }
    }
}

// === impl ChangedTo ===

impl ChangedTo {
    /// `None`: the same as then.
    const fn of(then: Effect, now: Effect) -> Option<Self> {
        match (then, now) {
            (Effect::Allow, Effect::Allow)
            | (Effect::Approve, Effect::Approve)
            | (Effect::Deny, Effect::Deny) => None,
            (Effect::Allow | Effect::Approve, Effect::Deny) => Some(Self::Denied),
            (Effect::Allow, Effect::Approve) => Some(Self::Asked),
            (Effect::Deny, Effect::Allow) => Some(Self::Allowed),
            (Effect::Deny, Effect::Approve) => Some(Self::AllowedWithConsent),
            (Effect::Approve, Effect::Allow) => Some(Self::NotAsked),
        }
    }
    /// The kind as it is written in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Denied => "would_deny",
            Self::Asked => "would_ask",
            Self::Allowed => "would_allow",
            Self::AllowedWithConsent => "would_allow_with_consent",
            Self::NotAsked => "would_not_ask",
        }
    }
}
