//! Rules by id: those that came, those that went, and the parts of those that stayed.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Change, ChangeKind, Place, bounds,
    describe::{self, alike, only},
    relation::Relation,
    scope,
    uses::Sides,
};
use crate::{decision::Effect, rule::Rule, set::PolicySet};

/// A part of what a rule is about.
struct Part {
    key: &'static str,
    relation: Relation,
    /// It says which requests the rule is about at all, and not only what it permits of them.
    selects: bool,
    before: Option<String>,
    after: Option<String>,
}

/// Every difference of the rules.
pub(super) fn changes(sides: Sides<'_>) -> Vec<Change> {
    let (old, new) = (by_id(sides.old), by_id(sides.new));
    let ids: BTreeSet<&str> = old.keys().chain(new.keys()).copied().collect();
    let of_id = |id: &str| match (old.get(id), new.get(id)) {
        (Some(old), Some(new)) => changed(sides, old, new),
        (None, Some(new)) => added(sides, new),
        (Some(old), None) => removed(sides, old),
        (None, None) => Vec::new(),
    };
    ids.into_iter().flat_map(of_id).collect()
}

fn by_id(set: &PolicySet) -> BTreeMap<&str, &Rule> {
    set.rules().map(|rule| (rule.id().as_str(), rule)).collect()
}

fn added(sides: Sides<'_>, rule: &Rule) -> Vec<Change> {
    let place = place(rule);
    let kind = sides.meaning(rule, Relation::Wider);
    let mut changes =
        vec![Change::new(&place, kind, "added").showing(None, Some(describe::rule(sides.new, rule)))];
    changes.extend(binds(sides, rule));
    changes
}

fn removed(sides: Sides<'_>, rule: &Rule) -> Vec<Change> {
    let place = place(rule);
    let kind = sides.meaning(rule, Relation::Narrower);
    let mut changes =
        vec![Change::new(&place, kind, "removed").showing(Some(describe::rule(sides.old, rule)), None)];
    changes.extend(frees(sides, rule));
    changes
}

fn changed(sides: Sides<'_>, old: &Rule, new: &Rule) -> Vec<Change> {
    let place = place(new);
    let parts = parts(sides, old, new);
    let whole = parts.iter().fold(Relation::Equal, |all, part| all.and(part.relation));
    let selecting = parts.iter().filter(|part| part.selects);
    let scope = selecting.fold(Relation::Equal, |all, part| all.and(part.relation));
    let effect = (old.effect() != new.effect()).then(|| other_effect(sides, old, new, whole));
    let mut changes = Vec::new();
    if let Some(kind) = effect {
        let texts = (Some(old.effect().to_string()), Some(new.effect().to_string()));
        changes.push(Change::new(&place, kind, "effect").showing(texts.0, texts.1));
    }
    for part in parts {
        let kind = effect
            .unwrap_or_else(|| sides.meaning(old, part.relation).and(sides.meaning(new, part.relation)));
        changes.push(Change::new(&place, kind, part.key).showing(part.before, part.after));
    }
    if old.effect() != Effect::Deny && new.effect() != Effect::Deny {
        changes.extend(obligations(sides, old, new));
    }
    if scope.loses() || effect.is_some() {
        changes.extend(frees(sides, old));
    }
    if scope.gains() || effect.is_some() {
        changes.extend(binds(sides, new));
    }
    changes.extend(remarks(old, new));
    changes
}

/// What another effect means, given how what the rule is about changed at the same time.
fn other_effect(sides: Sides<'_>, old: &Rule, new: &Rule, scope: Relation) -> ChangeKind {
    let mixed = |is: bool, otherwise| if is { ChangeKind::Both } else { otherwise };
    let allowed = sides.also_allowed(old) || sides.also_allowed(new);
    match (old.effect(), new.effect()) {
        (Effect::Deny, Effect::Approve) => mixed(scope != Relation::Equal && allowed, ChangeKind::Widened),
        (Effect::Approve, Effect::Deny) => mixed(scope != Relation::Equal && allowed, ChangeKind::Narrowed),
        (Effect::Allow, Effect::Approve) => mixed(scope.gains(), ChangeKind::Narrowed),
        (Effect::Approve, Effect::Allow) => mixed(scope.loses(), ChangeKind::Widened),
        (Effect::Deny, _) => ChangeKind::Widened,
        (_, Effect::Deny) => ChangeKind::Narrowed,
        (Effect::Allow, Effect::Allow) | (Effect::Approve, Effect::Approve) => ChangeKind::Neutral,
    }
}

/// The parts of what the rule is about that are written in another way. What groups and windows of the same name mean
/// now is told with their sections.
fn parts(sides: Sides<'_>, old: &Rule, new: &Rule) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut list = |key, before: Vec<String>, after: Vec<String>, relation: &dyn Fn() -> Relation| {
        if !alike(&before, &after) {
            let (before, after) = only(&before, &after);
            parts.push(Part { key, relation: relation(), selects: true, before, after });
        }
    };
    list("who", describe::who(&old.who), describe::who(&new.who), &|| {
        scope::who((sides.old, &old.who), (sides.new, &new.who))
    });
    list("where", describe::hosts(&old.hosts), describe::hosts(&new.hosts), &|| {
        scope::hosts(&old.hosts, &new.hosts)
    });
    let same_effect = old.effect() == new.effect();
    list("commands", describe::commands(old), describe::commands(new), &|| {
        if same_effect { scope::commands(old, new) } else { Relation::Other }
    });
    list("when", describe::when(sides.old, &old.when), describe::when(sides.new, &new.when), &|| {
        scope::when((sides.old, &old.when), (sides.new, &new.when))
    });
    let text = |rule: &Rule| rule.condition.as_ref().map(|condition| condition.as_str().to_owned());
    let (before, after) = (text(old), text(new));
    if before != after {
        let relation = match (&before, &after) {
            (None, _) => Relation::Narrower,
            (_, None) => Relation::Wider,
            _ => Relation::Other,
        };
        parts.push(Part { key: "condition", relation, selects: true, before, after });
    }
    if old.globs != new.globs {
        let relation = Relation::of(new.globs, old.globs);
        let (before, after) = (yes(old.globs), yes(new.globs));
        parts.push(Part { key: "globs", relation, selects: true, before, after });
    }
    parts.extend(in_context(old, new));
    parts
}

/// What is said of variables, directories and logins. Entries are compared by their text.
fn in_context(old: &Rule, new: &Rule) -> Vec<Part> {
    let denies = [old.effect(), new.effect()].map(|effect| effect == Effect::Deny);
    let mut parts = Vec::new();
    for ((key, before), (_, after)) in old.context.keys().into_iter().zip(new.context.keys()) {
        let relation = match (&before, &after) {
            // What a deny rule lists it denies, and what another lists it permits: these are different questions.
            _ if denies[0] != denies[1] && (before.is_some() || after.is_some()) => Relation::Other,
            (None, None) => Relation::Equal,
            (None, Some(_)) if denies[1] => Relation::Narrower,
            (Some(_), None) if denies[1] => Relation::Wider,
            (before, after) => {
                let set = |list: &Option<Vec<String>>| list.iter().flatten().cloned().collect();
                scope::of_sets::<String>(&set(before), &set(after))
            }
        };
        if relation != Relation::Equal {
            let (before, after) = only(&before.unwrap_or_default(), &after.unwrap_or_default());
            parts.push(Part { key, relation, selects: false, before, after });
        }
    }
    parts
}

/// What is given and what is asked for with it.
fn obligations(sides: Sides<'_>, old: &Rule, new: &Rule) -> Vec<Change> {
    let place = place(new);
    let mut changes = Vec::new();
    let mut add = |key: &str, kind, before: Option<String>, after: Option<String>| {
        changes.push(Change::new(&place, kind, key).showing(before, after));
    };
    let overridden = |is: fn(&crate::rule::PartialLimits) -> bool| {
        sides.old.overrides().chain(sides.new.overrides()).any(|o| is(&o.limits))
    };
    if old.limits.timeout != new.limits.timeout {
        let (before, after) = (old.limits.timeout, new.limits.timeout);
        let defaults = (sides.old.limits().timeout, sides.new.limits().timeout);
        let kind = limit((before, after), defaults, overridden(|limits| limits.timeout.is_some()));
        add("limits.timeout", kind, before.map(describe::duration), after.map(describe::duration));
    }
    if old.limits.output_bytes != new.limits.output_bytes {
        let (before, after) = (old.limits.output_bytes, new.limits.output_bytes);
        let defaults = (sides.old.limits().output_bytes, sides.new.limits().output_bytes);
        let kind = limit((before, after), defaults, overridden(|limits| limits.output_bytes.is_some()));
        add("limits.output", kind, before.map(describe::size), after.map(describe::size));
    }
    if old.network.allow != new.network.allow {
        let relation = scope::networks(bounds::allow(sides.old, old), bounds::allow(sides.new, new));
        let list = |rule: &Rule| rule.network.allow.as_deref().map(describe::networks).unwrap_or_default();
        let (before, after) = only(&list(old), &list(new));
        add("network.allow", relation.permitted(), before, after);
    }
    if old.network.deny != new.network.deny {
        let relation = scope::networks(Some(&old.network.deny), Some(&new.network.deny)).flip();
        let (before, after) =
            only(&describe::networks(&old.network.deny), &describe::networks(&new.network.deny));
        add("network.deny", relation.permitted(), before, after);
    }
    if old.max_hosts != new.max_hosts {
        let relation = Relation::of_most(old.max_hosts, new.max_hosts);
        let text = |most: Option<u32>| most.map(|most| most.to_string());
        add("max_hosts", relation.permitted(), text(old.max_hosts), text(new.max_hosts));
    }
    if old.exempt_from_freezes != new.exempt_from_freezes {
        let relation = Relation::of(new.exempt_from_freezes, old.exempt_from_freezes);
        add(
            "exempt_from_freezes",
            relation.permitted(),
            yes(old.exempt_from_freezes),
            yes(new.exempt_from_freezes),
        );
    }
    if let (Some(before), Some(after)) = (&old.approval, &new.approval)
        && before != after
    {
        let people = |set: &PolicySet, group| scope::members(set, group);
        let relation = Relation::of_most(Some(after.approvals), Some(before.approvals))
            .and(scope::of_sets(&people(sides.old, &before.group), &people(sides.new, &after.group)))
            .and(Relation::of_most(Some(before.within), Some(after.within)))
            .and(Relation::of(before.mfa || !after.mfa, after.mfa || !before.mfa));
        // Two rules that ask for the same ask once: other terms may then be asked for beside the old ones.
        let kind = relation.permitted().and(shared_terms(sides, new));
        add("approve", kind, Some(describe::approval(before)), Some(describe::approval(after)));
    }
    changes
}

/// When other rules ask for consent to the same commands, terms that differ add up.
fn shared_terms(sides: Sides<'_>, rule: &Rule) -> ChangeKind {
    let mut rules = sides.old.rules().chain(sides.new.rules());
    let also = rules.any(|other| {
        other.effect() == Effect::Approve && other.id() != rule.id() && bounds::shares_program(rule, other)
    });
    if also { ChangeKind::Both } else { ChangeKind::Neutral }
}

/// A limit that may be left to the file, or to what an override gives the host.
fn limit<T: Ord>(
    (old, new): (Option<T>, Option<T>),
    (before, after): (T, T),
    overridden: bool,
) -> ChangeKind {
    let may_be_overridden = overridden && old.is_some() != new.is_some();
    let relation = Relation::of_most(Some(old.unwrap_or(before)), Some(new.unwrap_or(after)));
    if may_be_overridden { ChangeKind::Both } else { relation.permitted() }
}

fn frees(sides: Sides<'_>, old: &Rule) -> Option<Change> {
    let bound = sides.freed(old)?;
    let what = format!("no longer binds what {} too, by its {}", bound.other, bound.by.join(", "));
    Some(Change::new(&place(old), ChangeKind::Widened, what))
}

fn binds(sides: Sides<'_>, new: &Rule) -> Option<Change> {
    let bound = sides.bound(new)?;
    let what = format!("binds what {} too, by its {}", bound.other, bound.by.join(", "));
    Some(Change::new(&place(new), ChangeKind::Narrowed, what))
}

/// What no request can tell.
fn remarks(old: &Rule, new: &Rule) -> Vec<Change> {
    let place = place(new);
    let mut changes = Vec::new();
    if old.description != new.description {
        let texts = (old.description.clone(), new.description.clone());
        changes.push(Change::new(&place, ChangeKind::Neutral, "description").showing(texts.0, texts.1));
    }
    let lists = [
        ("match", old.examples_matching(), new.examples_matching()),
        ("not_match", old.examples_not_matching(), new.examples_not_matching()),
    ];
    for (key, old, new) in lists {
        if !alike(old, new) {
            let (before, after) = only(old, new);
            changes.push(Change::new(&place, ChangeKind::Neutral, key).showing(before, after));
        }
    }
    changes
}

fn place(rule: &Rule) -> Place {
    Place::Rule(rule.id().to_string())
}

fn yes(is: bool) -> Option<String> {
    Some(if is { "yes" } else { "no" }.to_owned())
}
