//! A rule, checked: for whom, where, when, which commands, and what follows.

use std::time::Duration;

use ipnet::IpNet;
use lictor_core::{
    command::{Simple, Word},
    name::{GroupName, HostAlias, PrincipalName, RuleId, SiteName, Tag},
    principal::{Principal, PrincipalKind, Via},
};

use crate::{
    class::{Class, ClassName},
    condition::Condition,
    decision::{ApprovalTerms, Effect},
    labels::LabelPatterns,
    lint::Notes,
    pattern::{Pattern, deny},
    request::HostFacts,
    rule::context::InContext,
};

pub(crate) mod context;

/// One rule of a policy.
#[derive(Debug)]
pub struct Rule {
    pub(crate) id: RuleId,
    pub(crate) line: Option<u64>,
    pub(crate) description: Option<String>,
    pub(crate) effect: Effect,
    pub(crate) who: Who,
    pub(crate) hosts: Hosts,
    pub(crate) commands: Commands,
    /// Commands that it allows besides; none in deny rules.
    pub(crate) classes: Vec<ClassName>,
    /// In what.
    pub(crate) context: InContext,
    pub(crate) when: When,
    pub(crate) condition: Option<Condition>,
    /// Path slots with `...` take globs.
    pub(crate) globs: bool,
    pub(crate) exempt_from_freezes: bool,
    pub(crate) max_hosts: Option<u32>,
    /// With effect approve, always.
    pub(crate) approval: Option<ApprovalTerms>,
    pub(crate) limits: PartialLimits,
    pub(crate) network: Network,
    pub(crate) notes: Notes,
    /// Commands that the patterns must and must not match, as the file has them.
    pub(crate) examples: Examples,
}

/// The examples of a rule.
#[derive(Debug, Clone, Default)]
pub(crate) struct Examples {
    pub(crate) matching: Vec<String>,
    pub(crate) not_matching: Vec<String>,
}

/// For whom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Who {
    /// `None`: everybody.
    pub(crate) principals: Option<Principals>,
    /// `None`: any door.
    pub(crate) via: Option<Vec<Via>>,
}

/// Any of these.
#[derive(Debug, Clone, Default)]
pub(crate) struct Principals {
    pub(crate) named: Vec<(PrincipalKind, PrincipalName)>,
    pub(crate) groups: Vec<GroupName>,
    pub(crate) kinds: Vec<PrincipalKind>,
}

/// Where.
#[derive(Debug, Clone)]
pub(crate) enum Hosts {
    All,
    /// Any that is listed, has a listed tag or is at a listed site, or every one where nothing is listed; of these, the ones
    /// with all the labels.
    Some {
        hosts: Vec<HostName>,
        tags: Vec<Tag>,
        sites: Vec<SiteName>,
        labels: LabelPatterns,
    },
}

/// A host by its alias, or hosts by a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum HostName {
    Alias(HostAlias),
    /// Texts around each `*`; at least two.
    Pattern(Vec<String>),
}

/// Which commands.
#[derive(Debug, Clone)]
pub(crate) enum Commands {
    /// Every one; only in deny rules.
    Any,
    Patterns(Vec<Pattern>),
}

/// When: indices into the windows of the set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct When {
    /// `None`: always.
    pub(crate) during: Option<Vec<usize>>,
    pub(crate) not_during: Vec<usize>,
}

/// Limits of which some may be left to the file.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct PartialLimits {
    pub(crate) timeout: Option<Duration>,
    pub(crate) output_bytes: Option<u64>,
}

/// Networks of a rule or of the file.
#[derive(Debug, Clone, Default)]
pub(crate) struct Network {
    /// `None`: says nothing.
    pub(crate) allow: Option<Vec<IpNet>>,
    pub(crate) deny: Vec<IpNet>,
}

/// What of a rule matched a simple command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Match<'a> {
    /// The pattern; `None`: `any`.
    pub(crate) pattern: Option<&'a str>,
    /// The index of the word at which it was found.
    pub(crate) word: usize,
}

// === impl Rule ===

impl Rule {
    /// Its name.
    pub const fn id(&self) -> &RuleId {
        &self.id
    }
    /// The line of the file at which it begins, counted from 1, where that is known.
    pub const fn line(&self) -> Option<u64> {
        self.line
    }
    /// What it is for.
    pub fn description(&self) -> Option<&str> {
        self.description.as_deref()
    }
    /// What it does.
    pub const fn effect(&self) -> Effect {
        self.effect
    }
    /// Its patterns as the file has them; empty for `any`.
    pub fn patterns(&self) -> &[Pattern] {
        match &self.commands {
            Commands::Any => &[],
            Commands::Patterns(patterns) => patterns,
        }
    }

    /// Whether and how its commands include one simple command, whoever asks.
    pub(crate) fn find(&self, simple: &Simple) -> Option<Match<'_>> {
        let Commands::Patterns(patterns) = &self.commands else {
            return Some(Match { pattern: None, word: 0 });
        };
        let words = simple.words();
        let by_pattern = patterns.iter().find_map(|pattern| {
            let word = match self.effect {
                Effect::Allow | Effect::Approve => pattern.matches(words, self.globs).then_some(0),
                Effect::Deny => deny::find(pattern, words),
            };
            word.map(|word| Match { pattern: Some(pattern.as_str()), word })
        });
        by_pattern.or_else(|| self.find_in_class(simple))
    }

    fn find_in_class(&self, simple: &Simple) -> Option<Match<'_>> {
        let words = literals(simple).filter(|_| !self.classes.is_empty())?;
        let class = self.classes.iter().find(|class| Class::get(**class).matches(&words))?;
        Some(Match { pattern: Some(class.as_str()), word: 0 })
    }

    /// Which word keeps the command out of a class of this rule, for people.
    pub(crate) fn nearest_in_class(&self, simple: &Simple) -> Option<(ClassName, String)> {
        let words = literals(simple).filter(|_| !self.classes.is_empty())?;
        self.classes.iter().find_map(|class| Some((*class, Class::get(*class).nearest(&words)?)))
    }

    /// Commands that the file says it must match.
    pub fn examples_matching(&self) -> &[String] {
        &self.examples.matching
    }
    /// Commands that the file says it must not match.
    pub fn examples_not_matching(&self) -> &[String] {
        &self.examples.not_matching
    }

    /// The programs that it is about, as it spells them; none for `any` or a slot in the program's place.
    pub(crate) fn programs(&self) -> impl Iterator<Item = String> {
        let of_patterns = self.patterns().iter().flat_map(|pattern| deny::programs(pattern).iter().cloned());
        let of_classes =
            self.classes.iter().flat_map(|class| Class::get(*class).programs().map(str::to_owned));
        of_patterns.chain(of_classes)
    }

    /// The classes of commands that it allows.
    pub fn classes(&self) -> &[ClassName] {
        &self.classes
    }

    /// The pattern that has a place for most of the leading words, and for how many.
    pub(crate) fn nearest(&self, simple: &Simple) -> Option<(usize, &Pattern)> {
        let progress = |pattern: &Pattern| pattern.progress(simple.words(), self.globs);
        let candidates = self.patterns().iter().map(|pattern| (progress(pattern), pattern));
        candidates
            .filter(|(progress, _)| *progress > 0)
            .min_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.as_str().cmp(b.1.as_str())))
    }
}

/// The words of a command without globs.
fn literals(simple: &Simple) -> Option<Vec<&str>> {
    simple.words().iter().map(Word::literal).collect()
}

/// The word at `index` as text; empty behind the end.
pub(crate) fn word_at(simple: &Simple, index: usize) -> &str {
    simple.words().get(index).map(Word::as_str).unwrap_or_default()
}

// === impl Who ===

impl Who {
    pub(crate) fn includes(&self, principal: &Principal, via: Via, groups: &[&GroupName]) -> bool {
        self.principals.as_ref().is_none_or(|principals| principals.include(principal, groups))
            && self.via.as_ref().is_none_or(|doors| doors.contains(&via))
    }
}

impl Principals {
    pub(crate) fn include(&self, principal: &Principal, groups: &[&GroupName]) -> bool {
        self.kinds.contains(&principal.kind)
            || self.named.iter().any(|(kind, name)| *kind == principal.kind && *name == principal.name)
            || self.groups.iter().any(|group| groups.contains(&group))
    }
}

// === impl Hosts ===

impl Hosts {
    pub(crate) fn include(&self, host: &HostFacts) -> bool {
        match self {
            Self::All => true,
            Self::Some { .. } => self.names(host) || self.tags(host) || self.sites(host),
        }
    }
    /// Whether it lists the host by name.
    pub(crate) fn names(&self, host: &HostFacts) -> bool {
        matches!(self, Self::Some { hosts, labels, .. }
            if hosts.iter().any(|name| name.is(&host.alias)) && labels.include(&host.labels))
    }
    /// Whether it lists a tag of the host, or labels alone, which the host has.
    pub(crate) fn tags(&self, host: &HostFacts) -> bool {
        matches!(self, Self::Some { tags, labels, .. }
            if (self.lists_none() || host.tags.iter().any(|tag| tags.contains(tag)))
                && labels.include(&host.labels))
    }
    /// Whether it lists the host's site.
    pub(crate) fn sites(&self, host: &HostFacts) -> bool {
        matches!(self, Self::Some { sites, labels, .. }
            if sites.contains(&host.site) && labels.include(&host.labels))
    }
    /// Whether only labels say which hosts.
    pub(crate) fn lists_none(&self) -> bool {
        matches!(self, Self::Some { hosts, tags, sites, .. }
            if hosts.is_empty() && tags.is_empty() && sites.is_empty())
    }
}

// === impl HostName ===

impl HostName {
    pub(crate) fn is(&self, alias: &HostAlias) -> bool {
        self.is_like(alias.as_str())
    }
    /// Whether it stands for `name`, which may also be the text of a pattern.
    pub(crate) fn is_like(&self, name: &str) -> bool {
        match self {
            Self::Alias(alias) => alias.as_str() == name,
            Self::Pattern(texts) => is_between(texts, name),
        }
    }
}

/// Whether `texts` follow one another in `name`, the first at its start and the last at its end.
fn is_between(texts: &[String], name: &str) -> bool {
    let [first, middle @ .., last] = texts else { return false };
    let Some(mut rest) = name.strip_prefix(first.as_str()).and_then(|rest| rest.strip_suffix(last.as_str()))
    else {
        return false;
    };
    // The first place for each is the best: it leaves most for those behind it.
    middle.iter().all(|text| match rest.split_once(text.as_str()) {
        Some((_, after)) => {
            rest = after;
            true
        }
        None => false,
    })
}

// === impl When ===

impl When {
    /// Whether it depends on any window.
    pub(crate) const fn is_limited(&self) -> bool {
        self.during.is_some() || !self.not_during.is_empty()
    }
    /// Whether it holds, given which windows are open.
    pub(crate) fn holds(&self, open: &[bool]) -> bool {
        let is_open = |window: &usize| open.get(*window).copied().unwrap_or(false);
        self.during.as_ref().is_none_or(|windows| windows.iter().any(is_open))
            && !self.not_during.iter().any(is_open)
    }
}
