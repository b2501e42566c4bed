//! What stands beside the rules: limits, networks, groups, windows, freezes, overrides, quotas, who is told of which hosts.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use lictor_core::name::{GroupName, RuleId, WindowName};

use super::{
    Change, ChangeKind, Place,
    describe::{self, alike, only},
    imported,
    relation::Relation,
    scope,
    uses::Sides,
};
use crate::{
    quota::{Quota, QuotaBound},
    set::{
        PolicySet,
        contents::{Freeze, Override},
    },
    time::Window,
    view::Visible,
};

/// Every difference beside the rules.
pub(super) fn changes(sides: Sides<'_>) -> Vec<Change> {
    let mut changes = limits(sides);
    changes.extend(networks(sides));
    changes.extend(groups(sides));
    changes.extend(windows(sides));
    changes.extend(freezes(sides));
    changes.extend(overrides(sides));
    changes.extend(quotas(sides));
    changes.extend(visible(sides));
    changes.extend(imported::changes(sides));
    changes
}

fn limits(sides: Sides<'_>) -> Vec<Change> {
    let (old, new) = (sides.old.limits(), sides.new.limits());
    let place = Place::section("limits");
    let mut changes = Vec::new();
    if old.timeout != new.timeout {
        let kind = Relation::of_most(Some(old.timeout), Some(new.timeout)).permitted();
        let texts = (describe::duration(old.timeout), describe::duration(new.timeout));
        changes.push(Change::new(&place, kind, "timeout").showing(Some(texts.0), Some(texts.1)));
    }
    if old.output_bytes != new.output_bytes {
        let kind = Relation::of_most(Some(old.output_bytes), Some(new.output_bytes)).permitted();
        let texts = (describe::size(old.output_bytes), describe::size(new.output_bytes));
        changes.push(Change::new(&place, kind, "output").showing(Some(texts.0), Some(texts.1)));
    }
    changes
}

fn networks(sides: Sides<'_>) -> Vec<Change> {
    let (old, new) = (sides.old.network(), sides.new.network());
    let place = Place::section("network");
    let mut changes = Vec::new();
    if old.allow != new.allow {
        let kind = scope::networks(old.allow.as_deref(), new.allow.as_deref()).permitted();
        let list = |allow: &Option<Vec<_>>| allow.as_deref().map(describe::networks).unwrap_or_default();
        let (before, after) = only(&list(&old.allow), &list(&new.allow));
        changes.push(Change::new(&place, kind, "allow").showing(before, after));
    }
    if old.deny != new.deny {
        let kind = scope::networks(Some(&old.deny), Some(&new.deny)).flip().permitted();
        let (before, after) = only(&describe::networks(&old.deny), &describe::networks(&new.deny));
        changes.push(Change::new(&place, kind, "deny").showing(before, after));
    }
    changes
}

fn groups(sides: Sides<'_>) -> Vec<Change> {
    let names = |set: &PolicySet| -> BTreeSet<GroupName> {
        set.memberships().flat_map(|(_, groups)| groups.iter().cloned()).collect()
    };
    let (old, new) = (names(sides.old), names(sides.new));
    let all: BTreeSet<&GroupName> = old.union(&new).collect();
    all.into_iter()
        .filter_map(|group| {
            let (before, after) = (scope::members(sides.old, group), scope::members(sides.new, group));
            let list = |members: &BTreeSet<(lictor_core::principal::PrincipalKind, _)>| -> Vec<String> {
                members
                    .iter()
                    .map(|(kind, name): &(_, lictor_core::name::PrincipalName)| {
                        format!("{}:{name}", kind.as_str())
                    })
                    .collect()
            };
            if before == after {
                return None;
            }
            // Rules that name a group for the first or the last time are told as changed themselves.
            let (what, kind) = match (old.contains(group), new.contains(group)) {
                (true, true) => ("members", sides.of_group(group, scope::of_sets(&before, &after))),
                (false, _) => ("added", sides.of_conditions()),
                (true, false) => ("removed", sides.of_conditions()),
            };
            let (before, after) = only(&list(&before), &list(&after));
            Some(Change::new(&Place::entry("groups", group), kind, what).showing(before, after))
        })
        .collect()
}

fn windows(sides: Sides<'_>) -> Vec<Change> {
    let by_name = |set: &PolicySet| -> BTreeMap<WindowName, Window> { set.windows().cloned().collect() };
    let (old, new) = (by_name(sides.old), by_name(sides.new));
    let names: BTreeSet<&WindowName> = old.keys().chain(new.keys()).collect();
    names
        .into_iter()
        .filter_map(|name| {
            let (before, after) = (old.get(name), new.get(name));
            let (what, kind) = match (before, after) {
                (Some(before), Some(after)) if before == after => return None,
                (Some(before), Some(after)) => ("times", sides.of_window(name, scope::window(before, after))),
                // Rules that name it are told as changed themselves.
                (None, _) => ("added", ChangeKind::Neutral),
                (_, None) => ("removed", ChangeKind::Neutral),
            };
            let text = |window: Option<&Window>| window.map(ToString::to_string);
            Some(Change::new(&Place::entry("windows", name), kind, what).showing(text(before), text(after)))
        })
        .collect()
}

/// A bound that is new: it takes something away.
fn added(place: &Place, text: String) -> Change {
    Change::new(place, ChangeKind::Narrowed, "added").showing(None, Some(text))
}

/// A bound that is gone.
fn removed(place: &Place, text: String) -> Change {
    Change::new(place, ChangeKind::Widened, "removed").showing(Some(text), None)
}

fn freezes(sides: Sides<'_>) -> Vec<Change> {
    let by_id = |set: &PolicySet| -> BTreeMap<RuleId, Freeze> {
        set.freezes().map(|freeze| (freeze.id.clone(), freeze.clone())).collect()
    };
    let (old, new) = (by_id(sides.old), by_id(sides.new));
    let ids: BTreeSet<&RuleId> = old.keys().chain(new.keys()).collect();
    let text = |freeze: &Freeze| format!("{} on {}", freeze.span, describe::hosts(&freeze.hosts).join(", "));
    let mut changes = Vec::new();
    for id in ids {
        let place = Place::entry("freezes", id);
        match (old.get(id), new.get(id)) {
            (None, Some(new)) => changes.push(added(&place, text(new))),
            (Some(old), None) => changes.push(removed(&place, text(old))),
            (Some(old), Some(new)) => {
                if text(old) != text(new) {
                    let spans = Relation::of(
                        scope::has_span(&new.span, &old.span),
                        scope::has_span(&old.span, &new.span),
                    );
                    let kind = spans.and(scope::hosts(&old.hosts, &new.hosts)).flip().permitted();
                    changes
                        .push(Change::new(&place, kind, "times").showing(Some(text(old)), Some(text(new))));
                }
                if old.reason != new.reason {
                    let texts = (Some(old.reason.clone()), Some(new.reason.clone()));
                    changes
                        .push(Change::new(&place, ChangeKind::Neutral, "reason").showing(texts.0, texts.1));
                }
            }
            (None, None) => {}
        }
    }
    changes
}

/// By what they say of where. Several of the same hosts are taken together: the smallest of them holds.
fn overrides(sides: Sides<'_>) -> Vec<Change> {
    type Limit = (Option<Duration>, Option<u64>);
    let by_hosts = |set: &PolicySet| -> BTreeMap<String, Limit> {
        let mut all = BTreeMap::<String, Limit>::new();
        for Override { hosts, limits } in set.overrides() {
            let mut items = describe::hosts(hosts);
            items.sort();
            let entry = all.entry(items.join(", ")).or_default();
            entry.0 = entry.0.into_iter().chain(limits.timeout).min();
            entry.1 = entry.1.into_iter().chain(limits.output_bytes).min();
        }
        all
    };
    let (old, new) = (by_hosts(sides.old), by_hosts(sides.new));
    let places: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let mut changes = Vec::new();
    for hosts in places {
        let (before, after) =
            (old.get(hosts).copied().unwrap_or_default(), new.get(hosts).copied().unwrap_or_default());
        let place = Place::entry("overrides", hosts);
        let mut add = |what, kind, before, after| {
            changes.push(Change::new(&place, kind, what).showing(before, after));
        };
        if before.0 != after.0 {
            let kind = both_given(before.0, after.0);
            add("timeout", kind, before.0.map(describe::duration), after.0.map(describe::duration));
        }
        if before.1 != after.1 {
            let kind = both_given(before.1, after.1);
            add("output", kind, before.1.map(describe::size), after.1.map(describe::size));
        }
    }
    changes
}

/// An override is a default and a most: whether one that comes gives more or less depends on the rule.
fn both_given<T: Ord>(old: Option<T>, new: Option<T>) -> ChangeKind {
    match (old, new) {
        (Some(old), Some(new)) => Relation::of_most(Some(old), Some(new)).permitted(),
        _ => ChangeKind::Both,
    }
}

fn quotas(sides: Sides<'_>) -> Vec<Change> {
    let by_id = |set: &PolicySet| -> BTreeMap<RuleId, Quota> {
        set.all_quotas().map(|quota| (quota.id().clone(), quota.clone())).collect()
    };
    let (old, new) = (by_id(sides.old), by_id(sides.new));
    let ids: BTreeSet<&RuleId> = old.keys().chain(new.keys()).collect();
    let text = |quota: &Quota| {
        format!("{} for {}", describe::quota(quota.bound()), describe::who(&quota.who).join(", "))
    };
    let mut changes = Vec::new();
    for id in ids {
        let place = Place::entry("quotas", id);
        match (old.get(id), new.get(id)) {
            (None, Some(new)) => changes.push(added(&place, text(new))),
            (Some(old), None) => changes.push(removed(&place, text(old))),
            (Some(old), Some(new)) => {
                let (before, after) = (describe::who(&old.who), describe::who(&new.who));
                if !alike(&before, &after) {
                    let relation = scope::who((sides.old, &old.who), (sides.new, &new.who)).flip();
                    let (before, after) = only(&before, &after);
                    changes.push(Change::new(&place, relation.permitted(), "who").showing(before, after));
                }
                if old.bound() != new.bound() {
                    let texts = (describe::quota(old.bound()), describe::quota(new.bound()));
                    let kind = bounds(old.bound(), new.bound()).permitted();
                    changes.push(Change::new(&place, kind, "bound").showing(Some(texts.0), Some(texts.1)));
                }
            }
            (None, None) => {}
        }
    }
    changes
}

/// Who is told of which hosts. Without the section everybody is told of all, which is the widest.
fn visible(sides: Sides<'_>) -> Vec<Change> {
    let list = |set: &PolicySet| {
        let text = |entry: &Visible| {
            let who = describe::principals(&entry.who).join(", ");
            format!("{} to {who}", describe::hosts(&entry.hosts).join(", "))
        };
        set.visible().map(|entries| entries.iter().map(text).collect::<Vec<_>>())
    };
    let (old, new) = (list(sides.old), list(sides.new));
    let kind = match (&old, &new) {
        (None, None) => return Vec::new(),
        (Some(old), Some(new)) if alike(old, new) => return Vec::new(),
        (None, Some(_)) => ChangeKind::Narrowed,
        (Some(_), None) => ChangeKind::Widened,
        (Some(old), Some(new)) => {
            let all = |wide: &[String], narrow: &[String]| narrow.iter().all(|entry| wide.contains(entry));
            Relation::of(all(new, old), all(old, new)).permitted()
        }
    };
    let (before, after) = only(&old.unwrap_or_default(), &new.unwrap_or_default());
    vec![Change::new(&Place::section("visible"), kind, "hosts").showing(before, after)]
}

fn bounds(old: QuotaBound, new: QuotaBound) -> Relation {
    match (old, new) {
        (QuotaBound::Running(old), QuotaBound::Running(new)) => Relation::of_most(Some(old), Some(new)),
        (
            QuotaBound::Rate { invocations: old, per: before },
            QuotaBound::Rate { invocations: new, per: after },
        ) => Relation::of_most(Some(old), Some(new)).and(Relation::of_most(Some(after), Some(before))),
        _ => Relation::Other,
    }
}
