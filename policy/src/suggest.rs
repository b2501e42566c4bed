//! The least that would have allowed what was run: rules from commands that were observed, for a person to read.
//!
//! Words that varied become a typed slot only when three or more different values agree on a type; everything else stays
//! as it was spelled, options always. A program that starts others gets no rule but a comment: what it runs is not in
//! its name.

mod generalise;
mod text;

use std::collections::{BTreeMap, BTreeSet};

use lictor_core::{
    command::{Simple, Word},
    job::CommandInput,
    name::HostAlias,
    principal::{Principal, PrincipalKind, Via},
};

use self::generalise::Shape;
use crate::{
    decision::Effect,
    lint::{self, Finding, Severity},
    pattern::{Pattern, short},
    set::{MAX_LIST, MAX_PATTERNS_PER_RULE, PolicyErrors, PolicySet},
    simulate::Past,
    verdict,
};

/// Most different commands that are looked at: what they become must fit into one policy file.
pub const MAX_COMMANDS: usize = 4_000;
/// Examples of each pattern.
const MAX_EXAMPLES: usize = 2;
/// Examples of a rule: enough to see what it is for.
const MAX_EXAMPLES_PER_RULE: usize = 16;
/// Commands that are listed for each reason why they got no rule.
const MAX_LEFT_OUT: usize = 20;
/// What no program that was observed was given.
const NEVER_SEEN: &str = "--never-observed";

/// A policy that was made of what was observed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// The file.
    pub yaml: String,
    /// How many rules it has.
    pub rules: usize,
    /// Simple commands that it is made of, counted by host.
    pub observed: u64,
    /// What got no rule.
    pub left_out: Vec<LeftOut>,
    /// Different commands above [`MAX_COMMANDS`], which were not looked at.
    pub not_looked_at: u64,
}

/// A command without a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The command.
    pub command: String,
    /// Why.
    pub why: String,
    /// How often it was run.
    pub count: u64,
}

/// Observations on their way into rules.
#[derive(Debug, Default)]
pub struct Suggester {
    /// By who asked and by which door: each simple command and where it ran.
    seen: BTreeMap<Caller, BTreeMap<Vec<String>, Observed>>,
    left_out: BTreeMap<(String, String), u64>,
    observed: u64,
    commands: usize,
    not_looked_at: u64,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Caller {
    kind: PrincipalKind,
    name: String,
    via: Via,
}

#[derive(Debug, Clone, Default)]
struct Observed {
    hosts: BTreeSet<HostAlias>,
    count: u64,
}

/// Patterns for one program, some callers and some hosts.
#[derive(Debug, Clone)]
struct Draft {
    program: String,
    hosts: BTreeSet<HostAlias>,
    callers: BTreeSet<(PrincipalKind, String)>,
    doors: BTreeSet<Via>,
    shapes: Vec<Shape>,
    count: u64,
}

// === impl Suggester ===

impl Suggester {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes one request; what was refused and what is not recorded whole teaches nothing.
    pub fn push(&mut self, past: &Past) {
        if past.cut || past.decided.effect == crate::decision::Effect::Deny {
            return;
        }
        let context = &past.circumstances.context;
        if !context.is_empty() {
            let CommandInput::Line(text) = &past.command else { return };
            self.leave_out(
                text,
                "it ran with variables, a directory or a login of its own: write that rule yourself",
            );
            return;
        }
        let Ok(command) = crate::parse::parse_command_with_globs(&past.command) else {
            let text = format!("{:?}", past.command);
            self.leave_out(&text, "it does not parse");
            return;
        };
        for simple in command.simples() {
            self.simple(simple, &past.circumstances);
        }
    }

    fn simple(&mut self, simple: &Simple, circumstances: &verdict::Circumstances) {
        self.observed += 1;
        let rendered = simple.render();
        let Some(words) = simple.words().iter().map(Word::literal).collect::<Option<Vec<&str>>>() else {
            self.leave_out(
                &rendered,
                "it has globs: name the directory in a path slot with `...` and `globs: true`",
            );
            return;
        };
        let program = words.first().copied().unwrap_or_default();
        if starts_others(program) {
            self.leave_out(
                &rendered,
                "its program starts others: give what it runs a rule, or write it in full",
            );
            return;
        }
        let Principal { kind, name, .. } = &circumstances.principal;
        let caller = Caller { kind: *kind, name: name.to_string(), via: circumstances.via };
        let words: Vec<String> = words.into_iter().map(str::to_owned).collect();
        let of_caller = self.seen.entry(caller).or_default();
        if !of_caller.contains_key(&words) {
            if self.commands >= MAX_COMMANDS {
                self.not_looked_at += 1;
                return;
            }
            self.commands += 1;
        }
        let observed = of_caller.entry(words).or_default();
        observed.hosts.insert(circumstances.host.alias.clone());
        observed.count += 1;
    }

    fn leave_out(&mut self, command: &str, why: &str) {
        let key = (why.to_owned(), command.to_owned());
        if self.left_out.len() < MAX_COMMANDS || self.left_out.contains_key(&key) {
            *self.left_out.entry(key).or_default() += 1;
        }
    }

    /// The policy, which has been read again as one.
    ///
    /// # Errors
    /// When it is not one, which is never expected.
    pub fn finish(mut self) -> Result<Suggestion, PolicyErrors> {
        let mut drafts = Vec::new();
        for (caller, commands) in std::mem::take(&mut self.seen) {
            drafts.extend(self.drafts(&caller, commands));
        }
        let drafts = joined(drafts);
        let left_out: Vec<LeftOut> = self
            .left_out
            .into_iter()
            .map(|((why, command), count)| LeftOut { command, why, count })
            .collect();
        let yaml = text::policy(&drafts, &left_out, self.observed);
        let rules = PolicySet::parse(&yaml)?.rules().count();
        Ok(Suggestion { yaml, rules, observed: self.observed, left_out, not_looked_at: self.not_looked_at })
    }

    /// The rules for one caller: the shapes of each program, together where they are for the same hosts.
    fn drafts(&mut self, caller: &Caller, commands: BTreeMap<Vec<String>, Observed>) -> Vec<Draft> {
        let mut by_place = BTreeMap::<(String, BTreeSet<HostAlias>), Vec<Shape>>::new();
        for shape in generalise::shapes(commands) {
            if let Some(why) = objection(&shape) {
                for example in shape.examples.iter().take(MAX_EXAMPLES) {
                    self.leave_out(&text::command(example), &why);
                }
                continue;
            }
            by_place.entry((shape.program().to_owned(), shape.hosts.clone())).or_default().push(shape);
        }
        let mut drafts = Vec::new();
        for ((program, hosts), shapes) in by_place {
            for (shapes, hosts) in pieces(&shapes, &hosts) {
                drafts.push(Draft {
                    program: program.clone(),
                    hosts,
                    callers: BTreeSet::from([(caller.kind, caller.name.clone())]),
                    doors: BTreeSet::from([caller.via]),
                    count: shapes.iter().map(|shape| shape.count).sum(),
                    shapes,
                });
            }
        }
        drafts
    }
}

/// Whether the program is one that runs what it is told, however the rest is spelled out.
fn starts_others(program: &str) -> bool {
    let probe = short::parse(&format!("{} <host>...", text::word(program)), false);
    probe.is_ok_and(|pattern| finding(&pattern, |f| f == Finding::StartsPrograms).is_some())
}

/// Why a pattern would not be accepted as a rule.
fn objection(shape: &Shape) -> Option<String> {
    let pattern = match pattern(shape) {
        Ok(pattern) => pattern,
        Err(why) => return Some(why),
    };
    finding(&pattern, |finding| finding.severity() == Severity::Error)
}

/// What the lint says against a pattern, of the findings that matter.
fn finding(pattern: &Pattern, matters: impl Fn(Finding) -> bool) -> Option<String> {
    let found = lint::of_pattern(pattern, Effect::Allow).into_iter();
    found.filter(|(finding, _)| matters(*finding)).map(|(_, why)| why).next()
}

fn pattern(shape: &Shape) -> Result<Pattern, String> {
    let text = text::pattern(shape).ok_or("a word has both kinds of quotes: write it in the long form")?;
    short::parse(&text, false).map_err(|e| e.to_string())
}

/// As many rules as the bounds of a rule ask for.
fn pieces(shapes: &[Shape], hosts: &BTreeSet<HostAlias>) -> Vec<(Vec<Shape>, BTreeSet<HostAlias>)> {
    let hosts: Vec<&HostAlias> = hosts.iter().collect();
    let mut pieces = Vec::new();
    for shapes in shapes.chunks(MAX_PATTERNS_PER_RULE) {
        for hosts in hosts.chunks(MAX_LIST) {
            pieces.push((shapes.to_vec(), hosts.iter().map(|host| (*host).clone()).collect()));
        }
    }
    pieces
}

/// Rules that differ only in who asks are one; then those that differ only in the door.
fn joined(drafts: Vec<Draft>) -> Vec<Draft> {
    let texts = |draft: &Draft| draft.shapes.iter().filter_map(text::pattern).collect::<Vec<_>>();
    let by_who = join(
        drafts,
        |d| (d.program.clone(), texts(d), d.hosts.clone(), d.doors.clone()),
        |all, one| {
            all.callers.extend(one.callers);
        },
    );
    join(
        by_who,
        |d| (d.program.clone(), texts(d), d.hosts.clone(), d.callers.clone()),
        |all, one| {
            all.doors.extend(one.doors);
        },
    )
}

/// Joins what has the same key; the examples of the first stay.
fn join<K: Ord>(
    drafts: Vec<Draft>,
    key: impl Fn(&Draft) -> K,
    add: impl Fn(&mut Draft, Draft),
) -> Vec<Draft> {
    let mut all = BTreeMap::<K, Draft>::new();
    for draft in drafts {
        match all.entry(key(&draft)) {
            std::collections::btree_map::Entry::Vacant(place) => {
                place.insert(draft);
            }
            std::collections::btree_map::Entry::Occupied(mut place) => {
                place.get_mut().count += draft.count;
                add(place.get_mut(), draft);
            }
        }
    }
    all.into_values().collect()
}
