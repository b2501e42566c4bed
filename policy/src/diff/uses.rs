//! What a change of a set of requests means, depending on who uses the set: rules that allow, deny or ask for consent.

use lictor_core::name::{GroupName, WindowName};

use super::{
    ChangeKind,
    bounds::{self, Bound},
    relation::Relation,
};
use crate::{condition::Condition, decision::Effect, rule::Rule, set::PolicySet};

/// The two policies.
#[derive(Clone, Copy)]
pub(super) struct Sides<'a> {
    pub(super) old: &'a PolicySet,
    pub(super) new: &'a PolicySet,
}

/// What rules say that they are conditioned by groups with.
const GROUPS_VARIABLE: &str = "groups";

impl<'a> Sides<'a> {
    /// What it means that what `rule` is about became wider or narrower.
    pub(super) fn meaning(self, rule: &Rule, relation: Relation) -> ChangeKind {
        match (rule.effect(), relation) {
            (_, Relation::Equal) => ChangeKind::Neutral,
            (Effect::Allow, _) => relation.permitted(),
            (Effect::Deny, _) => relation.flip().permitted(),
            // Who may run it anyway now needs consent; who may not, can get it.
            (Effect::Approve, _) if self.also_allowed(rule) => ChangeKind::Both,
            (Effect::Approve, _) => relation.permitted(),
        }
    }

    /// Whether a rule that allows without consent is about some command of the same program.
    pub(super) fn also_allowed(self, rule: &Rule) -> bool {
        let rules = self.old.rules().chain(self.new.rules());
        let imported = self.old.imported().or(self.new.imported()).is_some();
        imported
            || rules
                .filter(|other| other.effect() == Effect::Allow && other.id() != rule.id())
                .any(|other| bounds::shares_program(rule, other))
    }

    /// What the rule no longer binds when something leaves what it is about. Rules that come or have other limits are
    /// told as such.
    pub(super) fn freed(self, old: &Rule) -> Option<Bound> {
        bounds::laxer(self.old, old)
    }
    /// What the rule newly binds when something comes to what it is about.
    pub(super) fn bound(self, new: &Rule) -> Option<Bound> {
        bounds::laxer(self.new, new)
    }

    /// What it means that a group has other members.
    pub(super) fn of_group(self, group: &GroupName, members: Relation) -> ChangeKind {
        let names = |rule: &Rule| rule.who.principals.as_ref().is_some_and(|p| p.groups.contains(group));
        let mut kind = self.of_rules(|rule| if names(rule) { members } else { Relation::Equal });
        let asks = |rule: &&Rule| rule.approval.as_ref().is_some_and(|terms| terms.group == *group);
        if self.rules().any(|rule| asks(&rule)) {
            kind = kind.and(members.permitted());
        }
        let quotas = self.old.all_quotas().chain(self.new.all_quotas());
        let counts = |quota: &crate::quota::Quota| {
            quota.who.principals.as_ref().is_some_and(|principals| principals.groups.contains(group))
        };
        if quotas.into_iter().any(counts) {
            kind = kind.and(members.flip().permitted());
        }
        let visible = self.old.visible().into_iter().chain(self.new.visible()).flatten();
        let shows = |entry: &crate::view::Visible| {
            entry.who.principals.as_ref().is_some_and(|principals| principals.groups.contains(group))
        };
        if visible.into_iter().any(shows) {
            kind = kind.and(members.permitted());
        }
        kind.and(self.of_conditions())
    }

    /// What it means that some group changed, for rules whose condition asks for groups.
    pub(super) fn of_conditions(self) -> ChangeKind {
        let asks = |rule: &Rule| {
            rule.condition.as_ref().map(Condition::as_str).is_some_and(|text| text.contains(GROUPS_VARIABLE))
        };
        if self.rules().any(asks) { ChangeKind::Both } else { ChangeKind::Neutral }
    }

    /// What it means that a window has other times.
    pub(super) fn of_window(self, window: &WindowName, times: Relation) -> ChangeKind {
        self.of_rules_in(|set, rule| {
            let is = |index: &usize| set.windows().nth(*index).is_some_and(|(name, _)| name == window);
            let during = rule.when.during.as_ref().is_some_and(|indices| indices.iter().any(is));
            let not = rule.when.not_during.iter().any(is);
            let when = |used: bool, relation| if used { relation } else { Relation::Equal };
            when(during, times).and(when(not, times.flip()))
        })
    }

    fn rules(self) -> impl Iterator<Item = &'a Rule> {
        self.old.rules().chain(self.new.rules())
    }
    fn of_rules(self, relation: impl Fn(&Rule) -> Relation) -> ChangeKind {
        self.of_rules_in(|_, rule| relation(rule))
    }
    /// The meanings for all rules together, with what they free or bind.
    fn of_rules_in(self, relation: impl Fn(&PolicySet, &Rule) -> Relation) -> ChangeKind {
        let mut kind = ChangeKind::Neutral;
        for (set, is_old) in [(self.old, true), (self.new, false)] {
            for rule in set.rules() {
                let relation = relation(set, rule);
                kind = kind.and(self.meaning(rule, relation));
                if is_old && relation.loses() && self.freed(rule).is_some() {
                    kind = kind.and(ChangeKind::Widened);
                }
                if !is_old && relation.gains() && self.bound(rule).is_some() {
                    kind = kind.and(ChangeKind::Narrowed);
                }
            }
        }
        kind
    }
}
