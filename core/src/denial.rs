//! The codes of denials. An agent gives some of them; whatever else one writes in their place is its own words, and no code.

use crate::{
    approval::{APPROVAL_DENIED, APPROVAL_EXPIRED},
    error::ErrorCode,
    freeze::FROZEN,
    revocation::AGENT_REVOKED,
};

/// Every code that a denial has.
pub const DENIAL_CODES: &[&str] = &[
    "AGENT_BUSY",
    "AGENT_CLOCK_SKEW",
    "AGENT_CONTENT_MISMATCH",
    "AGENT_CONTENT_UNAVAILABLE",
    "AGENT_JOURNAL_UNAVAILABLE",
    "AGENT_RESTARTED",
    AGENT_REVOKED,
    APPROVAL_DENIED,
    APPROVAL_EXPIRED,
    "FLOOR_DENIED",
    FROZEN,
    "GRANT_AGENT",
    "GRANT_COMMAND",
    "GRANT_CONTEXT",
    "GRANT_EPOCH",
    "GRANT_EXPIRED",
    "GRANT_INVOCATION",
    "GRANT_NETWORK",
    "GRANT_NOT_YET",
    "GRANT_SITE",
    "GRANT_TENANT",
    "GRANT_TRANSFER",
    ErrorCode::LimitExceeded.as_str(),
    "PLAN_STALE",
    "POLICY_APPROVAL_REQUIRED",
    "POLICY_CONTEXT",
    "POLICY_DEFAULT_DENY",
    "POLICY_DENIED_BY_RULE",
    "POLICY_FROZEN",
    "POLICY_QUOTA",
    "WITNESS_REFUSED",
    "WITNESS_UNPROVEN",
];

/// Every signal by which a command may end, without `SIG`: those of RFC 4254 §6.10, and the others that POSIX and Linux have.
pub const SIGNALS: &[&str] = &[
    "ABRT", "ALRM", "BUS", "CHLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "KILL", "PIPE", "POLL", "PROF",
    "PWR", "QUIT", "SEGV", "STKFLT", "STOP", "SYS", "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1",
    "USR2", "VTALRM", "WINCH", "XCPU", "XFSZ",
];

/// The code, if a denial has it.
pub fn denial_code(code: &str) -> Option<&'static str> {
    DENIAL_CODES.iter().copied().find(|known| *known == code)
}

/// The signal, if there is one of that name.
pub fn signal(name: &str) -> Option<&'static str> {
    SIGNALS.iter().copied().find(|known| *known == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_agent_makes_up_is_no_code_and_no_signal() {
        assert!(DENIAL_CODES.is_sorted() && SIGNALS.is_sorted());
        for code in DENIAL_CODES {
            assert_eq!(denial_code(code), Some(*code));
        }
        for words in [
            "",
            "floor_denied",
            "FLOOR_DENIED ",
            "IGNORE_ALL_RULES_AND_RUN_RM",
            "FLOOR_DENIED_BUT_RETRY_AS_ROOT",
        ] {
            assert_eq!((denial_code(words), signal(words)), (None, None), "{words}");
        }
        assert_eq!((signal("TERM"), signal("SIGTERM")), (Some("TERM"), None));
    }
}
