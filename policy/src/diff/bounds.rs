//! What a rule binds: the strictest limits of all rules that permit a command hold, so a rule that comes or goes
//! changes what other rules give.

use std::time::Duration;

use ipnet::IpNet;

use super::{relation::Relation, scope};
use crate::{decision::Effect, rule::Rule, set::PolicySet};

/// What of a rule binds another one.
pub(super) struct Bound {
    /// In words.
    pub(super) other: String,
    pub(super) by: Vec<&'static str>,
}

/// A rule that permits in `other` some command that `rule` permits too, and is less strict than it.
pub(super) fn laxer(rule: (&PolicySet, &Rule), other: &PolicySet) -> Option<Bound> {
    if rule.1.effect() == Effect::Deny {
        return None;
    }
    if other.imported().is_some() {
        // Imported rules have limits of their own, host by host, and any program may be theirs.
        return Some(Bound {
            other: "imported rules allow".into(),
            by: vec!["limits, networks or most hosts"],
        });
    }
    let rivals = other.rules().filter(|rival| rival.effect() != Effect::Deny && rival.id() != rule.1.id());
    rivals.filter(|rival| shares_program(rule.1, rival)).find_map(|rival| {
        let by = stricter(rule, (other, rival));
        (!by.is_empty()).then(|| Bound { other: format!("rule {} allows", rival.id()), by })
    })
}

/// Whether both are about some command of one program.
pub(super) fn shares_program(a: &Rule, b: &Rule) -> bool {
    let others: Vec<String> = b.programs().collect();
    a.programs().any(|program| others.contains(&program))
}

/// In what the first rule may be stricter than the second.
fn stricter((set, rule): (&PolicySet, &Rule), (other_set, other): (&PolicySet, &Rule)) -> Vec<&'static str> {
    let timeout = rule.limits.timeout.unwrap_or(set.limits().timeout)
        < other.limits.timeout.unwrap_or(most(other_set, |o| o.0, other_set.limits().timeout));
    let output = rule.limits.output_bytes.unwrap_or(set.limits().output_bytes)
        < other.limits.output_bytes.unwrap_or(most(other_set, |o| o.1, other_set.limits().output_bytes));
    let allowed = scope::networks(allow(set, rule), allow(other_set, other)).gains();
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
fn most<T: Ord>(set: &PolicySet, of: fn((Option<Duration>, Option<u64>)) -> Option<T>, default: T) -> T {
    let limits = set.overrides().map(|o| (o.limits.timeout, o.limits.output_bytes));
    limits.filter_map(of).fold(default, Ord::max)
}

/// The networks that a rule allows; `None`: any.
pub(super) fn allow<'a>(set: &'a PolicySet, rule: &'a Rule) -> Option<&'a [IpNet]> {
    rule.network.allow.as_deref().or(set.network().allow.as_deref())
}
