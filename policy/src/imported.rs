//! Rules taken over from mcp-ssh-orchestrator, judged with the order and the globs that they had there, but on the words
//! that will run. `docs/decisions/0010-imported-globs.md` says what the globs mean.

pub(crate) mod anchor;
pub(crate) mod check;
pub(crate) mod deny;
pub(crate) mod forms;
pub(crate) mod glob;
pub(crate) mod meets;
pub(crate) mod names;
pub(crate) mod operands;
pub(crate) mod pattern;
pub(crate) mod programs;
pub(crate) mod structured;
pub(crate) mod symbols;
pub(crate) mod wrapped;

use std::{collections::BTreeMap, time::Duration};

use lictor_core::{
    command::{Command, Simple},
    name::RuleId,
};

use self::{
    deny::{DenyGlob, Forbidden},
    forms::View,
    glob::Glob,
    pattern::Pattern,
    structured::Structured,
    symbols::Symbols,
};
use crate::request::HostFacts;

/// Which rule decides when several match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// The last one; rules have globs for whole commands (mcp-ssh-orchestrator 1.0).
    LastMatch,
    /// The first one; rules have programs and the places of words (mcp-ssh-orchestrator 1.1 and later).
    FirstMatch,
}

/// A block of imported rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Imported {
    pub(crate) dialect: Dialect,
    pub(crate) rules: Vec<ImportedRule>,
    pub(crate) scope: Scope,
    pub(crate) aliases: BTreeMap<String, Scope>,
    pub(crate) tags: BTreeMap<String, Scope>,
}

/// What a block or an override says besides rules; `None`: nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Scope {
    pub(crate) timeout: Option<Duration>,
    pub(crate) output_bytes: Option<u64>,
    pub(crate) forbidden: Option<Vec<Forbidden>>,
}

/// An imported rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImportedRule {
    pub(crate) id: RuleId,
    /// `None`: every host.
    pub(crate) aliases: Option<Vec<Glob>>,
    /// `None`: every host.
    pub(crate) tags: Option<Vec<Glob>>,
    pub(crate) what: What,
}

/// What a rule does with which commands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    Allow(Vec<Pattern>),
    Deny(Vec<DenyGlob>),
    AllowWords(Structured),
    DenyWords(Structured),
}

/// What imported rules say of one simple command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PartVerdict {
    /// A rule allows it.
    Allow {
        /// The rule.
        rule: RuleId,
    },
    /// A rule, or a forbidden text, denies it.
    Deny {
        /// The rule; `None`: a forbidden text.
        rule: Option<RuleId>,
        /// What matched which words, for people.
        why: String,
    },
    /// No rule speaks of it, so these rules do not allow it.
    Silent,
}

/// What commands get on a host, and at most; `None`: the block says nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ImportedLimits {
    /// Longest runtime.
    pub timeout: Option<Duration>,
    /// Most output kept, in bytes, both streams together.
    pub output_bytes: Option<u64>,
}

// === impl Dialect ===

impl Dialect {
    /// The dialect as it is written in files.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::LastMatch => "last-match",
            Self::FirstMatch => "first-match",
        }
    }
}

// === impl Imported ===

impl Imported {
    /// Which rule decides when several match.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }

    /// Judges one simple command.
    pub fn judge_part(&self, host: &HostFacts, simple: &Simple) -> PartVerdict {
        let view = View::of_simple(simple);
        for forbidden in self.forbidden(host) {
            let hidden = view.opaque.as_ref().map(|by| hidden_in(by));
            if let Some(why) = forbidden.find(&view).or(hidden) {
                return PartVerdict::Deny { rule: None, why };
            }
        }
        let part = Part { words: symbols::of_simple(simple), redirects: simple.stderr_to_stdout(), view };
        self.deciding(host).find_map(|rule| rule.judge(&part)).unwrap_or(PartVerdict::Silent)
    }

    /// Why a line of several commands is denied by what only the whole line shows, such as a glob with a `|`, and by
    /// which rule. Every part is to be judged on its own as well.
    pub fn judge_whole(&self, host: &HostFacts, command: &Command) -> Option<(Option<RuleId>, String)> {
        let view = View::of_command(command);
        if view.wholes.is_empty() {
            return None;
        }
        if let Some(why) = self.forbidden(host).iter().find_map(|forbidden| forbidden.find(&view)) {
            return Some((None, why));
        }
        let text = command.render();
        for rule in self.deciding(host) {
            match &rule.what {
                What::Deny(globs) => {
                    if let Some(why) = globs.iter().find_map(|glob| glob.find(&view)) {
                        return Some((Some(rule.id.clone()), why));
                    }
                }
                // What is allowed as a whole by the rule that counts more is not denied as a whole by another.
                What::Allow(patterns) if patterns.iter().any(|pattern| pattern.matches_text(&text)) => {
                    return None;
                }
                What::Allow(_) | What::AllowWords(_) | What::DenyWords(_) => {}
            }
        }
        None
    }

    /// The limits on `host`: of its alias, else of the last of its tags that has any, else of the block.
    pub fn limits(&self, host: &HostFacts) -> ImportedLimits {
        ImportedLimits {
            timeout: self.effective(host, |scope| scope.timeout.as_ref()).copied(),
            output_bytes: self.effective(host, |scope| scope.output_bytes.as_ref()).copied(),
        }
    }

    fn forbidden(&self, host: &HostFacts) -> &[Forbidden] {
        self.effective(host, |scope| scope.forbidden.as_ref()).map(Vec::as_slice).unwrap_or_default()
    }

    fn effective<'a, T>(
        &'a self,
        host: &HostFacts,
        of: impl Fn(&'a Scope) -> Option<&'a T>,
    ) -> Option<&'a T> {
        let alias = self.aliases.get(host.alias.as_str());
        let tags = host.tags.iter().rev().filter_map(|tag| self.tags.get(tag.as_str()));
        alias.into_iter().chain(tags).chain([&self.scope]).find_map(of)
    }

    /// The rules for `host`; the first that speaks of a command decides.
    fn deciding<'a>(&'a self, host: &'a HostFacts) -> impl Iterator<Item = &'a ImportedRule> {
        let order: Box<dyn Iterator<Item = &ImportedRule>> = match self.dialect {
            Dialect::LastMatch => Box::new(self.rules.iter().rev()),
            Dialect::FirstMatch => Box::new(self.rules.iter()),
        };
        order.filter(|rule| rule.applies_to(host))
    }
}

fn hidden_in(by: &str) -> String {
    format!("`{by}` would run a text that cannot be judged, and so nothing shows that it is not forbidden")
}

/// One simple command under judgement.
struct Part {
    words: Vec<Symbols>,
    redirects: bool,
    view: View,
}

// === impl ImportedRule ===

impl ImportedRule {
    fn applies_to(&self, host: &HostFacts) -> bool {
        let alias = |glob: &Glob| glob.matches(host.alias.as_str());
        let tag = |glob: &Glob| host.tags.iter().any(|tag| glob.matches(tag.as_str()));
        self.aliases.as_ref().is_none_or(|globs| globs.iter().any(alias))
            && self.tags.as_ref().is_none_or(|globs| globs.iter().any(tag))
    }

    /// What the rule says of the part; `None`: nothing.
    fn judge(&self, part: &Part) -> Option<PartVerdict> {
        let allow = || PartVerdict::Allow { rule: self.id.clone() };
        let why = match &self.what {
            What::Allow(patterns) => {
                return patterns.iter().any(|p| p.matches(&part.words, part.redirects)).then(allow);
            }
            What::AllowWords(words) => {
                return (structured::is_speakable(&part.words) && words.allows(&part.words)).then(allow);
            }
            What::Deny(globs) => globs.iter().find_map(|glob| glob.find(&part.view)),
            What::DenyWords(words) => part.view.runs.iter().find(|run| words.denies(run)).map(|run| {
                let shown: Vec<String> = run.words.iter().map(|word| symbols::show(word)).collect();
                let by = run.by.as_ref().map(|by| format!(", which `{by}` would run")).unwrap_or_default();
                format!("it speaks of `{}`{by}", shown.join(" "))
            }),
        };
        let why = why.or_else(|| part.view.opaque.as_ref().map(|by| hidden_in(by)))?;
        Some(PartVerdict::Deny { rule: Some(self.id.clone()), why })
    }
}
