//! One request while it is judged: which rules are about it, and how each fits each part of the command.

use std::cell::OnceCell;

use lictor_core::{command::Simple, name::GroupName};

use crate::{
    condition::Facts,
    decision::Effect,
    request::Request,
    rule::{Match, Rule},
    set::PolicySet,
};

/// A request with what is derived from it once.
#[derive(Debug)]
pub(crate) struct Judging<'a> {
    pub(crate) set: &'a PolicySet,
    pub(crate) request: &'a Request<'a>,
    groups: Vec<&'a GroupName>,
    open_windows: OnceCell<Vec<bool>>,
    facts: OnceCell<Facts>,
}

/// How a rule fits a part of a command.
#[derive(Debug)]
pub(crate) enum Fit<'r> {
    /// It is for somebody else.
    OtherPrincipal,
    /// It is about other hosts.
    OtherHost,
    /// None of its patterns is the command; the nearest has a place for so many words.
    OtherCommand,
    /// It denies the command, with another context only.
    OtherContext(Match<'r>),
    /// It would match, at another time.
    OtherTime(Match<'r>),
    /// It would match, if its condition were true.
    ConditionFalse(Match<'r>),
    /// It would match, but its condition has no truth value here: it allows nothing, and denies.
    ConditionFailed(Match<'r>, String),
    /// It matches.
    Matches(Match<'r>),
}

// === impl Judging ===

impl<'a> Judging<'a> {
    pub(crate) fn new(set: &'a PolicySet, request: &'a Request<'a>) -> Self {
        Self {
            set,
            request,
            groups: set.groups_of(request.principal),
            open_windows: OnceCell::new(),
            facts: OnceCell::new(),
        }
    }

    /// How `rule` fits `simple`.
    pub(crate) fn fit<'r>(&self, rule: &'r Rule, simple: &Simple) -> Fit<'r> {
        if !rule.who.includes(self.request.principal, self.request.via, &self.groups) {
            return Fit::OtherPrincipal;
        }
        if !rule.hosts.include(self.request.host) {
            return Fit::OtherHost;
        }
        let Some(found) = rule.find(simple) else { return Fit::OtherCommand };
        if rule.effect() == Effect::Deny && !rule.context.concerns(self.request.context) {
            return Fit::OtherContext(found);
        }
        if rule.when.is_limited() && !rule.when.holds(self.open_windows()) {
            return Fit::OtherTime(found);
        }
        match rule.condition.as_ref().map(|condition| condition.holds(self.facts())) {
            None | Some(Ok(true)) => Fit::Matches(found),
            Some(Ok(false)) => Fit::ConditionFalse(found),
            Some(Err(why)) => Fit::ConditionFailed(found, why),
        }
    }

    /// What of the rule matches, if it has its effect on `simple`. A condition without a truth value is true for a
    /// deny rule and false for the others.
    pub(crate) fn effective<'r>(&self, rule: &'r Rule, simple: &Simple) -> Option<Match<'r>> {
        match self.fit(rule, simple) {
            Fit::Matches(found) => Some(found),
            Fit::ConditionFailed(found, _) if rule.effect() == Effect::Deny => Some(found),
            _ => None,
        }
    }

    /// The rules that have their effect on `simple`, by id, so that the order of the file has no influence.
    pub(crate) fn matching<'r>(
        &self,
        rules: impl Iterator<Item = &'r Rule>,
        simple: &Simple,
    ) -> Vec<(&'r Rule, Match<'r>)> {
        let mut found: Vec<_> =
            rules.filter_map(|rule| self.effective(rule, simple).map(|found| (rule, found))).collect();
        found.sort_by(|(a, _), (b, _)| a.id().cmp(b.id()));
        found
    }

    fn open_windows(&self) -> &[bool] {
        self.open_windows
            .get_or_init(|| self.set.windows().map(|(_, window)| window.contains(self.request.at)).collect())
    }

    fn facts(&self) -> &Facts {
        self.facts.get_or_init(|| Facts::of(self.request, &self.groups))
    }
}
