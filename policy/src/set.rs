//! A policy: the checked rules of one file. It can only be made by reading a file without a single problem.

pub(crate) mod check;
pub(crate) mod examples;
pub(crate) mod units;

use std::fmt;

use lictor_core::{digest::Digest, job::Limits};
use serde_saphyr::{DuplicateKeyPolicy, MergeKeyPolicy};

use crate::{
    file::PolicyFile,
    imported::Imported,
    parse::characters,
    rule::{Network, Rule},
};

/// Longest policy file: thousands of rules, and still read in well under a second.
pub const MAX_POLICY_BYTES: usize = 1024 * 1024;
/// Most rules in one file; each is looked at for every request.
pub const MAX_RULES: usize = 2_000;
/// Most patterns in one rule.
pub const MAX_PATTERNS_PER_RULE: usize = 256;
/// Most entries in one list of names or networks.
pub const MAX_LIST: usize = 1_000;

/// A policy.
#[derive(Debug, Clone)]
pub struct PolicySet {
    rules: Vec<Rule>,
    limits: Limits,
    network: Network,
    imported: Option<Imported>,
    digest: Digest,
    source: String,
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
        if yaml.len() > MAX_POLICY_BYTES {
            return Err(PolicyErrors::one(None, format!("the file is longer than {MAX_POLICY_BYTES} bytes")));
        }
        let is_content =
            |line: &str| !matches!(line.trim(), "" | "---" | "...") && !line.trim().starts_with('#');
        if !yaml.lines().any(is_content) {
            return Err(PolicyErrors::one(
                None,
                "the file is empty; the smallest policy is `version: 1` and `rules: []`",
            ));
        }
        PolicyErrors::unless_empty(unreadable(yaml))?;
        let file: PolicyFile =
            serde_saphyr::from_str_with_options(yaml, options()).map_err(|error| malformed(&error))?;
        let checked = check::check(&file)?;
        Ok(Self {
            rules: checked.rules,
            limits: checked.limits,
            network: checked.network,
            imported: checked.imported,
            digest: Digest::of(yaml.as_bytes()),
            source: yaml.to_owned(),
        })
    }

    /// The SHA-256 digest of the file's bytes.
    pub const fn digest(&self) -> Digest {
        self.digest
    }
    /// The rules, in the order of the file, which has no meaning.
    pub fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.rules.iter()
    }
    /// The rules taken over from another system, when the file has any.
    pub const fn imported(&self) -> Option<&Imported> {
        self.imported.as_ref()
    }
    /// The file as it was read.
    pub fn source(&self) -> &str {
        &self.source
    }
    /// What a rule gives that says nothing about limits.
    pub(crate) const fn limits(&self) -> Limits {
        self.limits
    }
    /// The networks of the file.
    pub(crate) const fn network(&self) -> &Network {
        &self.network
    }
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
fn options() -> serde_saphyr::Options {
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
