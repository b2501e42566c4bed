//! A request that was refused as a whole: what the caller sees, and what the audit says of it.

use lictor_core::{
    command::Command,
    error::{ErrorCode, Failure},
    job::CommandInput,
    name::RuleId,
    transfer::InvalidTransfer,
};
use lictor_policy::{Decision, RefusalCode};

use super::DecidedHost;

/// The code of a request whose plan is no longer what would be decided.
const PLAN_STALE: &str = "PLAN_STALE";

/// A request that was refused as a whole, with what the audit says of it.
#[derive(Debug)]
pub struct Refused {
    /// The command: as judged, or as given when it did not parse.
    pub command: String,
    /// The rule that denied it, or the quota that is used up.
    pub rule: Option<RuleId>,
    /// The code, e.g. `E_EXPANSION`, `POLICY_DEFAULT_DENY`.
    pub code: String,
    /// What the caller sees.
    pub failure: Failure,
}

/// Longest text of a command that did not parse, as the audit keeps it.
const MAX_REFUSED_CHARS: usize = 1024;

// === impl Refused ===

impl Refused {
    /// The command does not parse to what may be judged.
    pub(super) fn command(input: &CommandInput, refusal: lictor_policy::Refusal) -> Box<Self> {
        let text = match input {
            CommandInput::Argv(words) => words.join(" "),
            CommandInput::Line(line) => line.clone(),
        };
        let code = refusal.code.as_str().to_owned();
        let mut failure = Failure::new(ErrorCode::CommandRefused, refusal.message, refusal.hint)
            .with("refusal", code.clone());
        if let Some(span) = refusal.span {
            failure = failure.with("span", format!("{}..{}", span.start, span.end));
        }
        let command = text.chars().take(MAX_REFUSED_CHARS).flat_map(char::escape_debug).collect();
        Box::new(Self { command, rule: None, code, failure })
    }

    /// A file transfer that cannot be carried out as it is asked for.
    pub(super) fn transfer(command: &Command, invalid: InvalidTransfer) -> Box<Self> {
        let code = RefusalCode::Transfer.as_str().to_owned();
        let failure = Failure::new(ErrorCode::CommandRefused, invalid.message, invalid.hint)
            .with("refusal", code.clone());
        Box::new(Self { command: command.render(), rule: None, code, failure })
    }

    /// The target means no host, or too many.
    pub(super) fn target(command: &Command, failure: Failure) -> Box<Self> {
        let code = failure.code.as_str().to_owned();
        Box::new(Self { command: command.render(), rule: None, code, failure })
    }

    /// What would be decided is no longer what was planned.
    pub(super) fn stale(command: &Command) -> Box<Self> {
        let message = "what would be decided is no longer what was planned, so nothing is run";
        let next_step = "plan again, look at what has changed, and run the new plan";
        let failure = Failure::new(ErrorCode::Conflict, message, next_step).with("reason", "plan_stale");
        Box::new(Self { command: command.render(), rule: None, code: PLAN_STALE.into(), failure })
    }

    /// Policy lets it run on none of `hosts` hosts, of which this is the first.
    pub(super) fn policy(command: &Command, first: &DecidedHost, hosts: usize) -> Box<Self> {
        let Decision { code, rule, reason, hint, .. } = first.decision.clone();
        let message = format!("{reason}{}", and_likewise(hosts));
        let mut failure = Failure::new(ErrorCode::PolicyDenied, message, hint)
            .with("decision", code.as_str())
            .with("host", first.host.alias.as_str());
        if let Some(rule) = &rule {
            failure = failure.with("rule", rule.as_str());
        }
        Box::new(Self { command: command.render(), rule, code: code.as_str().to_owned(), failure })
    }

    /// What is to check the health of each wave may not run on one of the hosts.
    pub(crate) fn health_check(command: &Command, denied: &DecidedHost) -> Box<Self> {
        let Decision { code, rule, reason, hint, .. } = denied.decision.clone();
        let message = format!("the health check is not permitted on {}: {reason}", denied.host.alias);
        let mut failure = Failure::new(ErrorCode::PolicyDenied, message, hint)
            .with("decision", code.as_str())
            .with("host", denied.host.alias.as_str());
        if let Some(rule) = &rule {
            failure = failure.with("rule", rule.as_str());
        }
        Box::new(Self { command: command.render(), rule, code: code.as_str().to_owned(), failure })
    }

    /// The job would have more hosts than a rule gives one job.
    pub(super) fn hosts(command: &Command, hosts: usize, most: u32, strictest: &DecidedHost) -> Box<Self> {
        let rule = strictest.decision.rule.clone();
        let by = rule.as_ref().map(|rule| format!(" by rule `{rule}`")).unwrap_or_default();
        let message = format!("this would run on {hosts} hosts; policy allows at most {most} in one job{by}");
        let next_step = "ask for fewer hosts at a time, or ask whoever keeps the policy";
        let mut failure = Failure::new(ErrorCode::LimitExceeded, message, next_step)
            .with("hosts", hosts.to_string())
            .with("max_hosts", most.to_string());
        if let Some(rule) = &rule {
            failure = failure.with("rule", rule.as_str());
        }
        let code = ErrorCode::LimitExceeded.as_str().into();
        Box::new(Self { command: command.render(), rule, code, failure })
    }
}

/// What is said of the other hosts when only the first is named.
pub(crate) fn and_likewise(hosts: usize) -> String {
    match hosts.saturating_sub(1) {
        0 => String::new(),
        1 => " (and likewise on 1 more host)".into(),
        more => format!(" (and likewise on {more} more hosts)"),
    }
}
