//! How for whom, where and when of two versions compare.

use std::collections::BTreeSet;

use ipnet::IpNet;
use lictor_core::{
    name::{GroupName, PrincipalName},
    principal::{PrincipalKind, Via},
};

use super::relation::Relation;
use crate::{
    decision::Effect,
    pattern::Pattern,
    rule::{Commands, HostName, Hosts, Rule, When, Who},
    set::PolicySet,
    time::{Once, Weekly, Window},
};

const DOORS: [Via; 3] = [Via::Cli, Via::Mcp, Via::Api];
const DAYS: usize = 7;
const MINUTES_PER_DAY: i64 = 24 * 60;

/// Principals without their groups.
struct People {
    kinds: Vec<PrincipalKind>,
    named: BTreeSet<(PrincipalKind, PrincipalName)>,
}

/// The members of a group.
pub(super) fn members(set: &PolicySet, group: &GroupName) -> BTreeSet<(PrincipalKind, PrincipalName)> {
    let memberships = set.memberships();
    memberships.filter(|(_, groups)| groups.contains(group)).map(|(principal, _)| principal.clone()).collect()
}

/// Of two sets of named things.
pub(super) fn of_sets<T: Ord>(old: &BTreeSet<T>, new: &BTreeSet<T>) -> Relation {
    Relation::of(new.is_superset(old), old.is_superset(new))
}

/// For whom, each with the groups of its own policy.
pub(super) fn who(old: (&PolicySet, &Who), new: (&PolicySet, &Who)) -> Relation {
    let (before, after) = (people(old.0, old.1), people(new.0, new.1));
    let has = |wide: &People, narrow: &People| {
        narrow.kinds.iter().all(|kind| wide.kinds.contains(kind))
            && narrow.named.iter().all(|one| wide.kinds.contains(&one.0) || wide.named.contains(one))
    };
    let principals = Relation::of(has(&after, &before), has(&before, &after));
    let doors = |who: &Who| who.via.clone().unwrap_or_else(|| DOORS.to_vec());
    let (before, after) = (doors(old.1), doors(new.1));
    let all = |wide: &[Via], narrow: &[Via]| narrow.iter().all(|via| wide.contains(via));
    principals.and(Relation::of(all(&after, &before), all(&before, &after)))
}

fn people(set: &PolicySet, who: &Who) -> People {
    let Some(principals) = &who.principals else {
        let kinds = vec![PrincipalKind::User, PrincipalKind::Service];
        return People { kinds, named: BTreeSet::new() };
    };
    let mut named: BTreeSet<_> = principals.named.iter().cloned().collect();
    named.extend(principals.groups.iter().flat_map(|group| members(set, group)));
    People { kinds: principals.kinds.clone(), named }
}

/// Where.
pub(super) fn hosts(old: &Hosts, new: &Hosts) -> Relation {
    Relation::of(has_hosts(new, old), has_hosts(old, new))
}

fn has_hosts(wide: &Hosts, narrow: &Hosts) -> bool {
    let Hosts::Some { hosts: wide_hosts, tags: wide_tags, sites: wide_sites, labels: wide_labels } = wide
    else {
        return true;
    };
    let Hosts::Some { hosts, tags, sites, labels } = narrow else { return false };
    let lists = || {
        hosts.iter().all(|host| wide_hosts.iter().any(|wide| has_host(wide, host)))
            && tags.iter().all(|tag| wide_tags.contains(tag))
            && sites.iter().all(|site| wide_sites.contains(site))
    };
    wide_labels.cover(labels) && (wide.lists_none() || !narrow.lists_none() && lists())
}

fn has_host(wide: &HostName, narrow: &HostName) -> bool {
    match narrow {
        HostName::Alias(alias) => wide.is(alias),
        // No text around a star has a star itself, so what fits the pattern's text fits all that it stands for.
        HostName::Pattern(texts) => wide == narrow || wide.is_like(&texts.join("*")),
    }
}

/// When, each with the windows of its own policy.
pub(super) fn when(old: (&PolicySet, &When), new: (&PolicySet, &When)) -> Relation {
    let during = match (&old.1.during, &new.1.during) {
        (None, None) => Relation::Equal,
        (Some(_), None) => Relation::Wider,
        (None, Some(_)) => Relation::Narrower,
        (Some(before), Some(after)) => windows(&named(old.0, before), &named(new.0, after)),
    };
    let except = windows(&named(old.0, &old.1.not_during), &named(new.0, &new.1.not_during));
    during.and(except.flip())
}

fn named<'a>(set: &'a PolicySet, indices: &[usize]) -> Vec<&'a Window> {
    indices.iter().filter_map(|index| set.windows().nth(*index)).map(|(_, window)| window).collect()
}

fn windows(old: &[&Window], new: &[&Window]) -> Relation {
    let has = |wide: &[&Window], narrow: &[&Window]| {
        narrow.iter().all(|one| wide.iter().any(|other| has_window(other, one)))
    };
    Relation::of(has(new, old), has(old, new))
}

/// Of two windows.
pub(super) fn window(old: &Window, new: &Window) -> Relation {
    Relation::of(has_window(new, old), has_window(old, new))
}

fn has_window(wide: &Window, narrow: &Window) -> bool {
    match (wide, narrow) {
        (Window::Once(wide), Window::Once(narrow)) => has_span(wide, narrow),
        (Window::Weekly(wide), Window::Weekly(narrow)) => wide == narrow || has_week(wide, narrow),
        _ => false,
    }
}

/// Whether a span has all of another.
pub(super) fn has_span(wide: &Once, narrow: &Once) -> bool {
    let ((from, to), (start, end)) = (wide.span(), narrow.span());
    from <= start && end <= to
}

fn has_week(wide: &Weekly, narrow: &Weekly) -> bool {
    let on = |day| (0..MINUTES_PER_DAY).all(|at| !narrow.has_minute(day, at) || wide.has_minute(day, at));
    wide.same_zone(narrow) && (0..DAYS).all(on)
}

/// Which commands, by rules of the same effect.
pub(super) fn commands(old: &Rule, new: &Rule) -> Relation {
    let has = |wide: &Rule, narrow: &Rule| match (&wide.commands, &narrow.commands) {
        (Commands::Any, _) => true,
        (Commands::Patterns(_), Commands::Any) => false,
        (Commands::Patterns(wide_patterns), Commands::Patterns(patterns)) => {
            let classes = narrow.classes().iter().all(|class| wide.classes().contains(class));
            let patterns = patterns.iter().all(|pattern| {
                wide_patterns.iter().any(|wide| match narrow.effect {
                    Effect::Deny => wide.denies_as_much_as(pattern),
                    // Which words with globs another pattern takes is not compared.
                    Effect::Allow | Effect::Approve if narrow.globs => is_same(wide, pattern),
                    Effect::Allow | Effect::Approve => wide.covers(pattern),
                })
            });
            classes && patterns
        }
    };
    Relation::of(has(new, old), has(old, new))
}

fn is_same(a: &Pattern, b: &Pattern) -> bool {
    a.denies_as_much_as(b) && b.denies_as_much_as(a)
}

/// Addresses; `None`: every one.
pub(super) fn networks(old: Option<&[IpNet]>, new: Option<&[IpNet]>) -> Relation {
    let has = |wide: Option<&[IpNet]>, narrow: Option<&[IpNet]>| {
        let Some(wide) = wide else { return true };
        let wide = IpNet::aggregate(&wide.to_vec());
        let every =
            || ["0.0.0.0/0", "::/0"].iter().filter_map(|text| text.parse().ok()).collect::<Vec<IpNet>>();
        let narrow = narrow.map_or_else(every, <[IpNet]>::to_vec);
        narrow.iter().all(|net| wide.iter().any(|other| other.contains(net)))
    };
    Relation::of(has(new, old), has(old, new))
}
