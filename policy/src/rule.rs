//! A rule, checked: for whom, where, which commands, and what follows.

use std::time::Duration;

use ipnet::IpNet;
use lictor_core::{
    command::{Simple, Word},
    name::{HostAlias, PrincipalName, RuleId, SiteName, Tag},
    principal::{PrincipalKind, Via},
};

use crate::{
    decision::Effect,
    lint::Notes,
    pattern::{Pattern, deny},
    request::Request,
};

/// One rule of a policy.
#[derive(Debug, Clone)]
pub struct Rule {
    pub(crate) id: RuleId,
    pub(crate) description: Option<String>,
    pub(crate) effect: Effect,
    pub(crate) who: Who,
    pub(crate) hosts: Hosts,
    pub(crate) commands: Commands,
    pub(crate) limits: PartialLimits,
    pub(crate) network: Network,
    pub(crate) notes: Notes,
}

/// For whom.
#[derive(Debug, Clone, Default)]
pub(crate) struct Who {
    /// `None`: everybody.
    pub(crate) principals: Option<Vec<(PrincipalKind, PrincipalName)>>,
    /// `None`: any door.
    pub(crate) via: Option<Vec<Via>>,
}

/// Where.
#[derive(Debug, Clone)]
pub(crate) enum Hosts {
    All,
    Some { hosts: Vec<HostAlias>, tags: Vec<Tag>, sites: Vec<SiteName> },
}

/// Which commands.
#[derive(Debug, Clone)]
pub(crate) enum Commands {
    /// Every one; only in deny rules.
    Any,
    Patterns(Vec<Pattern>),
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
    pub(crate) pattern: Option<&'a Pattern>,
    /// The index of the word at which it was found.
    pub(crate) word: usize,
}

// === impl Rule ===

impl Rule {
    /// Its name.
    pub const fn id(&self) -> &RuleId {
        &self.id
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

    /// Whether the rule is about this principal, door and host.
    pub(crate) fn applies_to(&self, request: &Request<'_>) -> bool {
        self.who.includes(request) && self.hosts.include(request)
    }

    /// Whether and how the rule matches one simple command.
    pub(crate) fn find(&self, simple: &Simple) -> Option<Match<'_>> {
        let Commands::Patterns(patterns) = &self.commands else {
            return Some(Match { pattern: None, word: 0 });
        };
        let words = words(simple);
        patterns.iter().find_map(|pattern| {
            let word = match self.effect {
                Effect::Allow => pattern.matches(&words).then_some(0),
                Effect::Deny => deny::find(pattern, &words),
            };
            word.map(|word| Match { pattern: Some(pattern), word })
        })
    }
}

/// The words of a simple command as text, program first.
pub(crate) fn words(simple: &Simple) -> Vec<&str> {
    simple.words().iter().map(Word::as_str).collect()
}

// === impl Who ===

impl Who {
    fn includes(&self, request: &Request<'_>) -> bool {
        let asks = |(kind, name): &(PrincipalKind, PrincipalName)| {
            *kind == request.principal.kind && *name == request.principal.name
        };
        self.principals.as_ref().is_none_or(|principals| principals.iter().any(asks))
            && self.via.as_ref().is_none_or(|via| via.contains(&request.via))
    }
}

// === impl Hosts ===

impl Hosts {
    fn include(&self, request: &Request<'_>) -> bool {
        match self {
            Self::All => true,
            Self::Some { hosts, tags, sites } => {
                hosts.contains(&request.host.alias)
                    || sites.contains(&request.host.site)
                    || request.host.tags.iter().any(|tag| tags.contains(tag))
            }
        }
    }
}
