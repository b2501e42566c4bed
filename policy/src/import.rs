//! Taking over the files of mcp-ssh-orchestrator: what they said there, as files that mean the same here, with findings.

pub(crate) mod policy;
pub(crate) mod policy_network;
pub(crate) mod policy_rules;
pub(crate) mod policy_scopes;
pub(crate) mod policy_text;
pub(crate) mod policy_yaml;

use std::fmt;

pub use self::policy::{ImportedPolicy, policy};

/// How much a finding matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// Worth knowing.
    Info,
    /// Probably not what its author means.
    Warning,
    /// Has to be settled, or accepted, by a person before the file is used.
    Error,
}

/// Something about a file that whoever imports it should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much it matters.
    pub severity: Severity,
    /// Where it is: `rules[2].commands[0]`, counted from 0.
    pub place: String,
    /// What it is, and what was made of it.
    pub message: String,
}

/// Collects findings.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<Finding>);

// === impl Severity ===

impl Severity {
    /// The severity as it is written.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

// === impl Finding ===

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.severity.as_str(), self.place, self.message)
    }
}

// === impl Findings ===

impl Findings {
    fn add(&mut self, severity: Severity, place: &str, message: impl Into<String>) {
        self.0.push(Finding { severity, place: place.to_owned(), message: message.into() });
    }
    pub(crate) fn info(&mut self, place: &str, message: impl Into<String>) {
        self.add(Severity::Info, place, message);
    }
    pub(crate) fn warning(&mut self, place: &str, message: impl Into<String>) {
        self.add(Severity::Warning, place, message);
    }
    pub(crate) fn error(&mut self, place: &str, message: impl Into<String>) {
        self.add(Severity::Error, place, message);
    }
    /// A warning for each key that was never read.
    pub(crate) fn unknown_keys(&mut self, place: &str, map: &[(String, policy_yaml::Node)], known: &[&str]) {
        for (key, _) in map.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            let place = if place.is_empty() { key.clone() } else { format!("{place}.{key}") };
            self.warning(&place, "this key is not known and was ignored; it is left out");
        }
    }
    pub(crate) fn into_vec(self) -> Vec<Finding> {
        self.0
    }
}
