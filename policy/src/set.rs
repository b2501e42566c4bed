//! A policy: the checked rules of one file. It can only be made by reading a file without a single problem.

pub(crate) mod check;
pub(crate) mod contents;
pub(crate) mod examples;
pub(crate) mod units;

use std::{fmt, sync::Arc};

use lictor_core::{
    command::{Command, Simple, Word},
    digest::Digest,
    job::{CommandInput, Limits},
    name::{GroupName, PrincipalName, WindowName},
    principal::{Principal, PrincipalKind, Via},
};
use serde::de::DeserializeOwned;
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy};

use self::contents::{Contents, Freeze, Override};
use crate::{
    class,
    decision::Effect,
    file::PolicyFile,
    imported::Imported,
    parse::{characters, parse_command, parse_command_with_globs},
    quota::Quota,
    refusal::Refusal,
    request::HostFacts,
    rule::{Hosts, Network, PartialLimits, Rule},
    time::Window,
    view::{View, Visible},
};

/// Longest policy file: thousands of rules, and still read in well under a second.
pub const MAX_POLICY_BYTES: usize = 1024 * 1024;
/// Most rules in one file: more than the largest fleets write, and still indexed in memory in well under a second.
pub const MAX_RULES: usize = 10_000;
/// Most deny rules in one file; each is looked at for every request.
pub const MAX_DENY_RULES: usize = 1_000;
/// Most groups, windows, freezes, overrides or quotas in one file; all are looked at for a request.
pub const MAX_SECTION: usize = 200;
/// Most patterns in one rule.
pub const MAX_PATTERNS_PER_RULE: usize = 256;
/// Most entries in one list of names or networks.
pub const MAX_LIST: usize = 1_000;

/// A policy; cheap to clone.
#[derive(Debug, Clone)]
pub struct PolicySet {
    contents: Arc<Contents>,
    digest: Digest,
    source: Arc<str>,
}

/// Everything that is wrong with a policy file; never empty.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyErrors(Vec<PolicyError>);

/// One thing that is wrong with a policy file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyError {
    /// The line, counted from 1, where it is known.
    pub line: Option<u64>,
    /// The rule, where it is about one.
    pub rule: Option<String>,
    /// What is wrong and what to write instead.
    pub message: String,
}

// === impl PolicySet ===

impl PolicySet {
    /// Reads a policy file.
    ///
    /// # Errors
    /// All problems of meaning at once; a problem of form (not YAML, an unknown key, a wrong type) comes alone, because
    /// what follows it cannot be trusted to mean what it says.
    pub fn parse(yaml: &str) -> Result<Self, PolicyErrors> {
        let is_content =
            |line: &str| !matches!(line.trim(), "" | "---" | "...") && !line.trim().starts_with('#');
        if yaml.len() <= MAX_POLICY_BYTES && !yaml.lines().any(is_content) {
            return Err(PolicyErrors::one(
                None,
                "the file is empty; the smallest policy is `version: 1` and `rules: []`",
            ));
        }
        let file: PolicyFile = read_strictly(yaml)?;
        Ok(Self {
            contents: Arc::new(check::check(&file)?),
            digest: Digest::of(yaml.as_bytes()),
            source: yaml.into(),
        })
    }

    /// The SHA-256 digest of the file's bytes.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
    /// The rules, in the order of the file, which has no meaning.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.contents.rules.iter()
    }
    /// The rules taken over from another system, when the file has any.
    pub fn imported(&self) -> Option<&Imported> {
        self.contents.imported.as_ref()
    }
    /// How many rules were taken over from another system.
    pub fn imported_rules(&self) -> usize {
        self.contents.imported.as_ref().map_or(0, |imported| imported.rules.len())
    }
    /// The file as it was read.
    pub fn source(&self) -> &str {
        &self.source
    }
    /// Whether a rule takes globs that a host's shell expands, so that lines are read with them.
    pub fn takes_globs(&self) -> bool {
        self.contents.imported.is_some() || self.contents.rules.iter().any(|rule| rule.globs)
    }
    /// Makes `input` a command, with globs where a rule takes some.
    ///
    /// # Errors
    /// A [`Refusal`] when the input is not made of words that the rules can judge.
    pub fn parse_command(&self, input: &CommandInput) -> Result<Command, Refusal> {
        if self.takes_globs() { parse_command_with_globs(input) } else { parse_command(input) }
    }
    /// The quotas that count what `principal` asks for by this door.
    pub fn quotas(&self, principal: &Principal, via: Via) -> impl Iterator<Item = &Quota> {
        let groups = self.groups_of(principal);
        let principal = principal.clone();
        self.contents.quotas.iter().filter(move |quota| quota.counts(&principal, via, &groups))
    }
    /// The hosts that `principal` is told of.
    pub fn view(&self, principal: &Principal) -> View<'_> {
        View::of(self, principal)
    }
    /// Whether it matters when something is asked for.
    pub fn depends_on_time(&self) -> bool {
        !self.contents.windows.is_empty() || !self.contents.freezes.is_empty()
    }
    /// The people of a group, by name; none when there is no such group.
    pub fn people_in<'a>(&'a self, group: &'a GroupName) -> impl Iterator<Item = &'a PrincipalName> {
        let members = self.contents.memberships.iter().filter(move |(_, groups)| groups.contains(group));
        members.filter(|((kind, _), _)| *kind == PrincipalKind::User).map(|((_, name), _)| name)
    }
    /// The first key of the file that has no meaning in a site's floor; `None` when the file can be one.
    pub fn not_for_floors(&self) -> Option<&'static str> {
        let approves = self.rules().any(|rule| rule.effect() == Effect::Approve);
        let present = [
            ("quotas", !self.contents.quotas.is_empty()),
            ("visible", self.contents.visible.is_some()),
            ("effect: approve", approves),
            ("max_hosts", self.rules().any(|rule| rule.max_hosts.is_some())),
        ];
        present.into_iter().find(|(_, present)| *present).map(|(key, _)| key)
    }

    /// The rules that deny.
    pub(crate) fn denying(&self) -> impl Iterator<Item = &Rule> {
        self.contents.denying.iter().filter_map(|index| self.contents.rules.get(*index))
    }
    /// The rules that allow, or allow with consent, some command of the program of `simple`.
    pub(crate) fn permitting(&self, simple: &Simple) -> impl Iterator<Item = &Rule> {
        let program = simple.words().first().and_then(Word::literal).unwrap_or_default();
        let rules = move |program: &str| {
            let indices = self.contents.by_program.get(program).map(Vec::as_slice).unwrap_or_default();
            indices.iter().filter_map(|index| self.contents.rules.get(*index))
        };
        // Patterns name a program as it is written; classes also by its path.
        let by_path = class::plain_name(program).filter(|name| *name != program).map(rules);
        rules(program).chain(by_path.into_iter().flatten().filter(|rule| !rule.classes.is_empty()))
    }
    /// What a rule gives that says nothing about limits.
    pub(crate) fn limits(&self) -> Limits {
        self.contents.limits
    }
    /// What a rule gives on a host that says nothing about limits, and at most.
    pub(crate) fn limits_on(&self, host: &HostFacts) -> (Limits, PartialLimits) {
        let mut most = PartialLimits::default();
        let levels: [fn(&Hosts, &HostFacts) -> bool; 4] =
            [Hosts::names, Hosts::tags, Hosts::sites, |hosts, _| matches!(hosts, Hosts::All)];
        for includes in levels {
            let here =
                || self.contents.overrides.iter().filter(|o| includes(&o.hosts, host)).map(|o| o.limits);
            most.timeout = most.timeout.or_else(|| here().filter_map(|limits| limits.timeout).min());
            most.output_bytes =
                most.output_bytes.or_else(|| here().filter_map(|limits| limits.output_bytes).min());
        }
        let file = self.limits();
        let default = Limits {
            timeout: most.timeout.unwrap_or(file.timeout),
            output_bytes: most.output_bytes.unwrap_or(file.output_bytes),
        };
        (default, most)
    }
    /// What some hosts give.
    pub(crate) fn overrides(&self) -> impl Iterator<Item = &Override> {
        self.contents.overrides.iter()
    }
    /// Every quota, whomever it counts.
    pub(crate) fn all_quotas(&self) -> impl Iterator<Item = &Quota> {
        self.contents.quotas.iter()
    }
    /// Who is told of which hosts; `None`: everybody of every host.
    pub(crate) fn visible(&self) -> Option<&[Visible]> {
        self.contents.visible.as_deref()
    }
    /// Principals that are in some group, with their groups.
    pub(crate) fn memberships(
        &self,
    ) -> impl Iterator<Item = (&(PrincipalKind, PrincipalName), &Vec<GroupName>)> {
        self.contents.memberships.iter()
    }
    /// The networks of the file.
    pub(crate) fn network(&self) -> &Network {
        &self.contents.network
    }
    /// The freezes, by id.
    pub(crate) fn freezes(&self) -> impl Iterator<Item = &Freeze> {
        self.contents.freezes.iter()
    }
    /// The windows, in the order that rules refer to.
    pub(crate) fn windows(&self) -> impl Iterator<Item = &(WindowName, Window)> {
        self.contents.windows.iter()
    }
    /// The groups that `principal` is in.
    pub(crate) fn groups_of(&self, principal: &Principal) -> Vec<&GroupName> {
        let key = (principal.kind, principal.name.clone());
        self.contents.memberships.get(&key).map(|groups| groups.iter().collect()).unwrap_or_default()
    }
    /// When a rule holds, for people.
    pub(crate) fn hours(&self, rule: &Rule) -> String {
        let name = |index: &usize| {
            let (name, window) = self.contents.windows.get(*index)?;
            Some(format!("{name} ({window})"))
        };
        let named = |indices: &[usize]| indices.iter().filter_map(name).collect::<Vec<_>>().join(", ");
        let during = rule.when.during.as_deref().map(|indices| format!("only during {}", named(indices)));
        let not = Some(&rule.when.not_during).filter(|list| !list.is_empty());
        let not = not.map(|indices| format!("not during {}", named(indices)));
        during.into_iter().chain(not).collect::<Vec<_>>().join(" and ")
    }
}

/// Reads one strict YAML document without characters that hide.
pub(crate) fn read_strictly<T: DeserializeOwned>(yaml: &str) -> Result<T, PolicyErrors> {
    if yaml.len() > MAX_POLICY_BYTES {
        return Err(PolicyErrors::one(None, format!("the file is longer than {MAX_POLICY_BYTES} bytes")));
    }
    PolicyErrors::unless_empty(unreadable(yaml))?;
    serde_saphyr::from_str_with_options(yaml, options()).map_err(|error| malformed(&error))
}

/// Characters that a reviewer cannot see, or that make a line look like another.
fn unreadable(yaml: &str) -> Vec<PolicyError> {
    let numbered = (1..).zip(yaml.lines());
    numbered
        .filter_map(|(number, line)| {
            let message = characters::check(line, false).err()?.message;
            Some(PolicyError { line: Some(number), rule: None, message })
        })
        .collect()
}

/// A problem of form, in words for whoever wrote the file rather than for whoever called the library.
fn malformed(error: &serde_saphyr::Error) -> PolicyErrors {
    let place = error.location();
    let mut message = error.without_snippet().to_string();
    if let Some(at) = place {
        let suffix = format!(" at line {}, column {}", at.line(), at.column());
        message = message.strip_suffix(&suffix).unwrap_or(&message).to_owned();
    }
    if message.starts_with("budget breached: ") {
        message =
            format!("only one document without anchors, aliases and merge keys is accepted ({message})");
    } else if let Some(key) =
        message.strip_prefix("duplicate mapping key: ").and_then(|m| m.split(',').next())
    {
        message = format!("the key `{key}` is there twice");
    }
    PolicyErrors::one(place.map(|at| at.line()).filter(|line| *line > 0), message)
}

/// Strict YAML: one document, no anchors, aliases, merge keys, unknown tags or `yes` for `true`.
pub(crate) fn options() -> serde_saphyr::Options {
    let mut options = serde_saphyr::Options::default();
    if let Some(budget) = options.budget.as_mut() {
        budget.max_aliases = 0;
        budget.max_anchors = 0;
        budget.max_merge_keys = 0;
        budget.max_documents = 1;
    }
    options.duplicate_keys = DuplicateKeyPolicy::Error;
    options.merge_keys = MergeKeyPolicy::Error;
    options.strict_booleans = true;
    options.reject_unsupported_tags = true;
    options.with_snippet = false;
    options
}

// === impl PolicyErrors ===

impl PolicyErrors {
    pub(crate) fn one(line: Option<u64>, message: impl Into<String>) -> Self {
        Self(vec![PolicyError { line, rule: None, message: message.into() }])
    }
    /// The problems, unless there are none.
    pub(crate) fn unless_empty(problems: Vec<PolicyError>) -> Result<(), Self> {
        if problems.is_empty() { Ok(()) } else { Err(Self(problems)) }
    }
    /// The problems, in the order of the file.
    pub fn iter(&self) -> impl Iterator<Item = &PolicyError> {
        self.0.iter()
    }
}

impl fmt::Display for PolicyErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}
impl std::error::Error for PolicyErrors {}

// === impl PolicyError ===

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if let Some(rule) = &self.rule {
            write!(f, "rule `{rule}`: ")?;
        }
        f.write_str(&self.message)
    }
}
impl std::error::Error for PolicyError {}
