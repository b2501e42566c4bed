//! What was decided, with everything a person needs to see why.

use std::fmt;

use ipnet::IpNet;
use lictor_core::{job::Limits, name::RuleId};

/// What a rule does with what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Allows, unless something denies.
    Allow,
    /// Denies, whatever allows.
    Deny,
}

/// How it was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum DecisionCode {
    /// Every part of the command is allowed by a rule and none is denied.
    Allowed,
    /// A rule denies a part of the command.
    DeniedByRule,
    /// No rule allows a part of the command.
    DefaultDeny,
}

/// The decision about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Allowed or denied.
    pub effect: Effect,
    /// How it was decided.
    pub code: DecisionCode,
    /// The rule that decided; for an allowed command of several parts, the first part's. `None`: no rule did.
    pub rule: Option<RuleId>,
    /// One sentence for people: the part of the command and the words that decided.
    pub reason: String,
    /// What to do next; empty when allowed.
    pub hint: String,
    /// The simple command that decided, as it is rendered.
    pub part: Option<String>,
    /// The limits in force: the smallest of what is asked for and what the rules give.
    pub limits: Limits,
    /// The connected address must be in one of these; empty: in any.
    pub networks_allowed: Vec<IpNet>,
    /// The connected address must be in none of these.
    pub networks_denied: Vec<IpNet>,
}

// === impl Effect ===

impl Effect {
    /// The effect as it is written in files and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Deny => "deny",
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl DecisionCode ===

impl DecisionCode {
    /// Every code, for conversion and tests.
    pub const ALL: [Self; 3] = [Self::Allowed, Self::DeniedByRule, Self::DefaultDeny];

    /// The code as it is written in every interface.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "POLICY_ALLOWED",
            Self::DeniedByRule => "POLICY_DENIED_BY_RULE",
            Self::DefaultDeny => "POLICY_DEFAULT_DENY",
        }
    }
}

impl fmt::Display for DecisionCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Decision ===

impl Decision {
    /// Whether the command may run.
    pub const fn is_allowed(&self) -> bool {
        matches!(self.effect, Effect::Allow)
    }
}
