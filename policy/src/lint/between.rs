//! What one rule makes of another: rules that say nothing of their own, allows that are denied, orders of options.

use std::collections::BTreeMap;

use super::{Finding, Found, options};
use crate::{
    condition::Condition,
    decision::Effect,
    pattern::{Pattern, Test, cover::Budget, deny},
    rule::{Commands, Hosts, Network, PartialLimits, Rule, When, Who},
};

/// Most comparisons for one file: well under a second. What a very large file has beyond them is not compared.
const MAX_STEPS: usize = 1_000_000;

/// Findings by the index of the rule that they are about.
type Findings = BTreeMap<usize, Vec<Found>>;

/// A pattern of a rule.
#[derive(Debug, Clone, Copy)]
struct Place<'r> {
    rule: usize,
    pattern: &'r Pattern,
}

/// The rules, and where to find patterns by the name of their program and the word behind it, where that is spelled out.
struct Rules<'r> {
    rules: &'r [&'r Rule],
    by_words: BTreeMap<(&'r str, Option<&'r str>), Vec<Place<'r>>>,
    /// Deny rules that deny every command.
    of_all: Vec<usize>,
}

/// Finds everything.
pub(crate) fn findings(rules: &[&Rule]) -> Findings {
    let all = Rules::new(rules);
    let mut findings = Findings::new();
    let mut budget = Budget::new(MAX_STEPS);
    all.always_denied(&mut findings, &mut budget);
    all.repeated_in_rule(&mut findings, &mut budget);
    all.shadowed(&mut findings, &mut budget);
    all.flag_order(&mut findings);
    findings
}

fn add(findings: &mut Findings, rule: usize, finding: Finding, pattern: Option<usize>, why: String) {
    findings.entry(rule).or_default().push(Found { finding, pattern, why });
}

// === impl Rules ===

impl<'r> Rules<'r> {
    fn new(rules: &'r [&'r Rule]) -> Self {
        let mut all = Self { rules, by_words: BTreeMap::new(), of_all: Vec::new() };
        for (rule, of) in rules.iter().enumerate() {
            match &of.commands {
                Commands::Any => all.of_all.push(rule),
                Commands::Patterns(patterns) => {
                    for pattern in patterns {
                        for name in program_names(pattern) {
                            all.by_words
                                .entry((name, second_word(pattern)))
                                .or_default()
                                .push(Place { rule, pattern });
                        }
                    }
                }
            }
        }
        all
    }

    fn rule(&self, index: usize) -> Option<&'r Rule> {
        self.rules.get(index).copied()
    }

    /// Patterns that may cover `pattern`: with a program in common and the same second word, or not one word there.
    fn related(&self, pattern: &Pattern) -> Vec<Place<'r>> {
        let Some(first) = program_names(pattern).into_iter().next() else { return Vec::new() };
        let at = |second| self.by_words.get(&(first, second)).map(Vec::as_slice).unwrap_or_default();
        let with_second = second_word(pattern).map(|second| at(Some(second))).unwrap_or_default();
        at(None).iter().chain(with_second).copied().collect()
    }

    /// Allow patterns of which a deny rule leaves nothing.
    fn always_denied(&self, findings: &mut Findings, budget: &mut Budget) {
        let rules = self.rules;
        for (at, rule) in rules.iter().enumerate().filter(|(_, rule)| rule.effect() != Effect::Deny) {
            let denies = |index: &usize| {
                let deny = rules.get(*index).copied();
                deny.filter(|deny| deny.effect() == Effect::Deny && is_scope_within(rule, deny))
            };
            let everything = self.of_all.iter().find_map(denies);
            for (index, pattern) in rule.patterns().iter().enumerate() {
                let denying = everything.or_else(|| {
                    self.related(pattern).iter().find_map(|place| {
                        let denying = denies(&place.rule)?;
                        place.pattern.denies_all_of(pattern, budget).then_some(denying)
                    })
                });
                if let Some(denying) = denying {
                    let why = format!("rule `{}` denies all of it wherever this rule holds", denying.id());
                    add(findings, at, Finding::AlwaysDenied, Some(index), why);
                }
            }
        }
    }

    /// Patterns that another pattern of the same rule covers. Of two equal ones the later.
    fn repeated_in_rule(&self, findings: &mut Findings, budget: &mut Budget) {
        for (at, rule) in self.rules.iter().enumerate() {
            let mut alive = vec![true; rule.patterns().len()];
            for (index, pattern) in rule.patterns().iter().enumerate().rev() {
                let others = rule.patterns().iter().enumerate();
                let mut others =
                    others.filter(|(other, _)| *other != index && alive.get(*other) == Some(&true));
                let wider = others.find(|(_, other)| says_as_much(rule, other, pattern, budget));
                if let Some((_, wider)) = wider {
                    if let Some(is_alive) = alive.get_mut(index) {
                        *is_alive = false;
                    }
                    let why = format!("the pattern `{wider}` of the same rule says as much");
                    add(findings, at, Finding::Shadowed, Some(index), why);
                }
            }
        }
    }

    /// Rules of which every pattern is covered by other rules that stay. Of two equal ones the later.
    fn shadowed(&self, findings: &mut Findings, budget: &mut Budget) {
        let mut alive = vec![true; self.rules.len()];
        // What a class holds is not compared with patterns.
        for (at, rule) in self.rules.iter().enumerate().rev().filter(|(_, rule)| rule.classes.is_empty()) {
            let by = match &rule.commands {
                Commands::Any => {
                    let all = self.of_all.iter().copied();
                    all.filter(|other| alive.get(*other) == Some(&true)).find(|other| {
                        self.rule(*other).is_some_and(|wider| *other != at && outdoes(wider, rule))
                    })
                }
                Commands::Patterns(patterns) => self.covering(at, rule, patterns, &alive, budget),
            };
            let Some(by) = by.and_then(|by| self.rule(by)) else { continue };
            if let Some(is_alive) = alive.get_mut(at) {
                *is_alive = false;
            }
            let why = format!("it changes nothing: rule `{}` says as much", by.id());
            add(findings, at, Finding::Shadowed, None, why);
        }
    }

    /// A rule that covers the first pattern, when each has one that covers it.
    fn covering(
        &self,
        at: usize,
        rule: &Rule,
        patterns: &[Pattern],
        alive: &[bool],
        budget: &mut Budget,
    ) -> Option<usize> {
        let mut first = None;
        for pattern in patterns {
            let is_candidate = |other: usize| other != at && alive.get(other) == Some(&true);
            let everything = self.of_all.iter().copied().find(|other| {
                is_candidate(*other) && self.rule(*other).is_some_and(|wider| outdoes(wider, rule))
            });
            let by = everything.or_else(|| {
                let related = self.related(pattern);
                let mut places = related.iter().filter(|place| is_candidate(place.rule));
                let found = places.find(|place| {
                    self.rule(place.rule).is_some_and(|wider| {
                        outdoes(wider, rule) && says_as_much(rule, place.pattern, pattern, budget)
                    })
                });
                found.map(|place| place.rule)
            })?;
            first.get_or_insert(by);
        }
        first
    }

    /// Patterns that are there in another order of options, in the same rule or where an allow meets a deny.
    fn flag_order(&self, findings: &mut Findings) {
        let mut seen: BTreeMap<(usize, Vec<String>), Vec<Place<'r>>> = BTreeMap::new();
        for (at, rule) in self.rules.iter().enumerate() {
            for (index, pattern) in rule.patterns().iter().enumerate() {
                let Some(keys) = options::order_keys(pattern) else { continue };
                let place = Place { rule: at, pattern };
                let mut twin = None;
                for (kind, key) in keys.into_iter().enumerate() {
                    let same = seen.entry((kind, key)).or_default();
                    twin = twin.or_else(|| same.iter().copied().find(|other| self.is_twin(*other, place)));
                    same.push(place);
                }
                if let Some(why) = twin.and_then(|twin| self.twins(twin, place)) {
                    add(findings, at, Finding::FlagOrder, Some(index), why);
                }
            }
        }
    }

    fn is_twin(&self, a: Place<'_>, b: Place<'_>) -> bool {
        let (Some(of_a), Some(of_b)) = (self.rule(a.rule), self.rule(b.rule)) else { return false };
        let is_denied_otherwise = (of_a.effect() == Effect::Deny) != (of_b.effect() == Effect::Deny);
        a.pattern.as_str() != b.pattern.as_str() && (a.rule == b.rule || is_denied_otherwise)
    }

    fn twins(&self, earlier: Place<'_>, later: Place<'_>) -> Option<String> {
        let (other, pattern) = (self.rule(earlier.rule)?, earlier.pattern);
        if earlier.rule == later.rule {
            return Some(format!("it differs from `{pattern}` only in the order of options"));
        }
        let does = if other.effect() == Effect::Deny { "denies" } else { "allows" };
        Some(format!("rule `{}` {does} `{pattern}`, the same in another order of options", other.id()))
    }
}

/// The last path components of the programs that the pattern spells out.
fn program_names(pattern: &Pattern) -> Vec<&str> {
    let mut names: Vec<&str> = deny::programs(pattern).iter().map(|name| deny::base_name(name)).collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// The word behind the program, when every command that the pattern matches has it.
fn second_word(pattern: &Pattern) -> Option<&str> {
    match pattern.elements().get(1).map(|element| (&element.test, element.skip_to)) {
        Some((Test::Literal(word), None)) => Some(word),
        _ => None,
    }
}

/// Whether `wider`, a pattern of a rule with the effect of `rule`, covers `narrower`.
fn says_as_much(rule: &Rule, wider: &Pattern, narrower: &Pattern, budget: &mut Budget) -> bool {
    if rule.effect() == Effect::Deny {
        return wider.denies_as_much_as(narrower);
    }
    wider.covers_within(narrower, budget)
}

/// Whether `wider` holds wherever `narrower` does, and with the same outcome.
fn outdoes(wider: &Rule, narrower: &Rule) -> bool {
    wider.effect() == narrower.effect()
        && is_scope_within(narrower, wider)
        && is_same_outcome(wider, narrower)
}

/// Whether `wider` holds for everybody and everywhere that `narrower` does. What a rule may say besides is taken apart
/// here by name, so that whatever is added to rules has to be thought of.
fn is_scope_within(narrower: &Rule, wider: &Rule) -> bool {
    let Rule {
        who,
        hosts,
        when,
        condition,
        globs,
        // See `is_context_within`.
        context: _,
        classes: _,
        id: _,
        line: _,
        description: _,
        effect: _,
        commands: _,
        // What is allowed gets: see `is_same_outcome`.
        exempt_from_freezes: _,
        max_hosts: _,
        approval: _,
        limits: _,
        network: _,
        examples: _,
        notes: _,
    } = wider;
    let text = |condition: &Option<Condition>| condition.as_ref().map(|c| c.as_str().to_owned());
    is_who_within(&narrower.who, who)
        && is_where_within(&narrower.hosts, hosts)
        && (*when == When::default() || *when == narrower.when)
        && (condition.is_none() || text(condition) == text(&narrower.condition))
        && (*globs || !narrower.globs)
        && is_context_within(narrower, wider)
}

/// An allow rule permits what it lists, too; a deny rule that lists something is about that only.
fn is_context_within(narrower: &Rule, wider: &Rule) -> bool {
    let same = || narrower.effect() == wider.effect() && narrower.context.keys() == wider.context.keys();
    let says_nothing = if wider.effect() == Effect::Deny { &wider.context } else { &narrower.context };
    says_nothing.is_silent() || same()
}

fn is_who_within(narrower: &Who, wider: &Who) -> bool {
    fn all_in<T: PartialEq>(narrower: &[T], wider: &[T]) -> bool {
        narrower.iter().all(|item| wider.contains(item))
    }
    let principals = wider.principals.as_ref().is_none_or(|w| {
        narrower.principals.as_ref().is_some_and(|n| {
            all_in(&n.named, &w.named) && all_in(&n.groups, &w.groups) && all_in(&n.kinds, &w.kinds)
        })
    });
    let via = wider.via.as_ref().is_none_or(|w| narrower.via.as_ref().is_some_and(|n| all_in(n, w)));
    principals && via
}

fn is_where_within(narrower: &Hosts, wider: &Hosts) -> bool {
    match (narrower, wider) {
        (_, Hosts::All) => true,
        (Hosts::All, Hosts::Some { .. }) => false,
        (
            Hosts::Some { hosts, tags, sites, labels },
            Hosts::Some { hosts: h, tags: t, sites: s, labels: l },
        ) => {
            let lists = hosts.iter().all(|x| h.contains(x))
                && tags.iter().all(|x| t.contains(x))
                && sites.iter().all(|x| s.contains(x));
            l.cover(labels) && (wider.lists_none() || !narrower.lists_none() && lists)
        }
    }
}

/// Whether two allow rules give the same; all rules that allow a command narrow what it gets.
fn is_same_outcome(a: &Rule, b: &Rule) -> bool {
    let PartialLimits { timeout, output_bytes } = &a.limits;
    let Network { allow, deny } = &a.network;
    *timeout == b.limits.timeout
        && *output_bytes == b.limits.output_bytes
        && *allow == b.network.allow
        && *deny == b.network.deny
        && a.max_hosts == b.max_hosts
        && a.approval == b.approval
        && a.exempt_from_freezes == b.exempt_from_freezes
}
