//! What was decided, with everything a person needs to see why.

use std::{fmt, time::Duration};

use ipnet::IpNet;
use lictor_core::{
    job::Limits,
    name::{GroupName, RuleId},
};

/// What a rule does with what it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Effect {
    /// Allows, unless something denies.
    Allow,
    /// Allows once others have consented, unless something denies.
    Approve,
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
    /// Every part is allowed and none is denied, but others have to consent first.
    ApprovalRequired,
    /// Every part is allowed and none is denied, but changes are frozen.
    Frozen,
    /// Every part is allowed and none is denied, but not with the variables, directory or login asked for.
    Context,
}

/// Whose consent a rule asks for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ApprovalTerms {
    /// How many people, each another one and none of them who asked.
    pub approvals: u32,
    /// Out of this group.
    pub group: GroupName,
    /// Within this time.
    pub within: Duration,
    /// Each must have proved a second factor.
    pub mfa: bool,
}

/// The decision about one request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// Allowed, allowed with consent, or denied.
    pub effect: Effect,
    /// How it was decided.
    pub code: DecisionCode,
    /// The rule that decided; for an allowed command of several parts, the first part's. `None`: no rule did.
    pub rule: Option<RuleId>,
    /// One sentence for people: the part of the command and the words that decided. Empty, as are `part` and `pattern`, where
    /// [`evaluate_briefly`](crate::evaluate_briefly) allows.
    pub reason: String,
    /// What to do next; empty when allowed.
    pub hint: String,
    /// The simple command that decided, as it is rendered.
    pub part: Option<String>,
    /// The pattern that decided or, when no rule allows the command, the nearest one.
    pub pattern: Option<String>,
    /// The word of the part that decided: what a deny rule names, or the first that no pattern has a place for.
    pub word: Option<String>,
    /// The limits in force: the smallest of what is asked for and what the rules give.
    pub limits: Limits,
    /// The connected address must be in one of these; empty: in any.
    pub networks_allowed: Vec<IpNet>,
    /// The connected address must be in none of these.
    pub networks_denied: Vec<IpNet>,
    /// Most hosts in one job. `None`: as many as any job may have.
    pub max_hosts: Option<u32>,
    /// Whose consent is needed; empty unless the effect is [`Effect::Approve`]. All of them.
    pub approvals: Vec<ApprovalTerms>,
}

// === impl Effect ===

impl Effect {
    /// The effect as it is written in files and records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allow => "allow",
            Self::Approve => "approve",
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
    pub const ALL: [Self; 6] = [
        Self::Allowed,
        Self::DeniedByRule,
        Self::DefaultDeny,
        Self::ApprovalRequired,
        Self::Frozen,
        Self::Context,
    ];

    /// The code as it is written in every interface.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Allowed => "POLICY_ALLOWED",
            Self::DeniedByRule => "POLICY_DENIED_BY_RULE",
            Self::DefaultDeny => "POLICY_DEFAULT_DENY",
            Self::ApprovalRequired => "POLICY_APPROVAL_REQUIRED",
            Self::Frozen => "POLICY_FROZEN",
            Self::Context => "POLICY_CONTEXT",
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
    /// Whether the command may run at once.
    pub const fn is_allowed(&self) -> bool {
        matches!(self.effect, Effect::Allow)
    }
}
