//! What a rule binds: the strictest limits of all rules that permit a command hold, so a rule that comes or goes
//! changes what other rules give.

use ipnet::IpNet;

use super::{relation::Relation, scope};
use crate::{
    decision::Effect,
    rule::{PartialLimits, Rule},
    set::PolicySet,
};

/// What of a rule binds another one.
pub(super) struct Bound {
    /// In words.
    pub(super) other: String,
    pub(super) by: Vec<&'static str>,
}

/// A rule of `set` that permits some command that `rule` permits too, and is less strict than it.
pub(super) fn laxer(set: &PolicySet, rule: &Rule) -> Option<Bound> {
    if rule.effect() == Effect::Deny {
        return None;
    }
    if set.imported().is_some() {
        // Imported rules have limits of their own, host by host, and any program may be theirs.
        return Some(Bound {
            other: "imported rules allow".into(),
            by: vec!["limits, networks or most hosts"],
        });
    }
    let rivals = set.rules().filter(|rival| rival.effect() != Effect::Deny && rival.id() != rule.id());
    rivals.filter(|rival| shares_program(rule, rival)).find_map(|rival| {
        let by = stricter(set, rule, rival);
        (!by.is_empty()).then(|| Bound { other: format!("rule {} allows", rival.id()), by })
    })
}

/// Whether both are about some command of one program.
pub(super) fn shares_program(a: &Rule, b: &Rule) -> bool {
    let others: Vec<String> = b.programs().collect();
    a.programs().any(|program| others.contains(&program))
}

/// In what the first rule may be stricter than the second.
fn stricter(set: &PolicySet, rule: &Rule, other: &Rule) -> Vec<&'static str> {
    let file = set.limits();
    let timeout = rule.limits.timeout.unwrap_or(file.timeout)
        < other.limits.timeout.unwrap_or(most(set, |limits| limits.timeout, file.timeout));
    let output = rule.limits.output_bytes.unwrap_or(file.output_bytes)
        < other.limits.output_bytes.unwrap_or(most(set, |limits| limits.output_bytes, file.output_bytes));
    let allowed = scope::networks(allow(set, rule), allow(set, other)).gains();
    let denied = scope::networks(Some(&rule.network.deny), Some(&other.network.deny)).loses();
    let hosts = Relation::of_most(rule.max_hosts, other.max_hosts).gains();
    let consent = rule.approval.is_some() && rule.approval != other.approval;
    let all = [
        ("timeout", timeout),
        ("output", output),
        ("network", allowed || denied),
        ("max_hosts", hosts),
        ("consent", consent),
    ];
    all.into_iter().filter(|(_, is)| *is).map(|(name, _)| name).collect()
}

/// The most that a host may give to a rule that says nothing.
fn most<T: Ord>(set: &PolicySet, of: fn(&PartialLimits) -> Option<T>, default: T) -> T {
    set.overrides().filter_map(|o| of(&o.limits)).fold(default, Ord::max)
}

/// The networks that a rule allows; `None`: any.
pub(super) fn allow<'a>(set: &'a PolicySet, rule: &'a Rule) -> Option<&'a [IpNet]> {
    rule.network.allow.as_deref().or(set.network().allow.as_deref())
}
