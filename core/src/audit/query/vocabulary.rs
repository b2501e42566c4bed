//! The words that `kind`, `outcome` and `via` can have in a record: whoever looks for another one has slipped.
//!
//! A query that an exported part names is read as it is. This is for one that somebody asks now: nothing found would look like
//! nothing that happened.

use super::{InvalidQuery, Query, Term, What};
use crate::{near::near, principal::Via};

/// Every kind of record, sorted.
const KINDS: &[&str] = &[
    "agent_connected",
    "agent_enrolled",
    "agent_revoked",
    "approval_denied",
    "approval_expired",
    "approval_given",
    "approval_requested",
    "approval_used",
    "approval_voided",
    "audit_read",
    "call_refused",
    "cancel_requested",
    "certificate_renewed",
    "configuration_loaded",
    "controller_started",
    "enrolment_refused",
    "erasure_ended",
    "erasure_requested",
    "evidence_invalid",
    "freeze_lifted",
    "freeze_set",
    "grant_refused",
    "health_check_started",
    "hold_lift_requested",
    "hold_lifted",
    "hold_set",
    "hosts_reported",
    "invocation_ended",
    "invocation_intended",
    "invocation_offered",
    "invocation_resolved",
    "invocation_returned",
    "job_halted",
    "job_paused",
    "job_resumed",
    "job_submitted",
    "jobs_removed",
    "join_token_issued",
    "keys_removed",
    "log_key_rotated",
    "logged_in",
    "outputs_removed",
    "payloads_erased",
    "payloads_removed",
    "policy_changed",
    "records_unreadable",
    "request_denied",
    "result_conflict",
    "retention_set",
    "retention_shortened",
    "retention_shortening_requested",
    "retention_shortening_voided",
    "shadow_policy_cleared",
    "shadow_policy_set",
    "wave_begun",
    "wave_ended",
    "witness_enrolled",
    "witness_refused",
    "witness_resolved",
];
/// Every way in which an invocation ends, sorted.
const OUTCOMES: &[&str] = &[
    "CANCELLED",
    "DENIED",
    "EXPIRED",
    "FAILED",
    "KILLED",
    "SKIPPED",
    "SUCCEEDED",
    "TIMED_OUT",
    "UNKNOWN",
    "UNREACHABLE",
];
/// Every door.
const VIAS: &[&str] = &[Via::Cli.as_str(), Via::Mcp.as_str(), Via::Api.as_str()];

impl Query {
    /// This query, if records can have what it looks for: alternatives without `*` are words of the vocabulary.
    ///
    /// # Errors
    /// When one is not, with those that it may have been meant to be.
    pub fn meant(self) -> Result<Self, InvalidQuery> {
        for Term { what, value, .. } in &self.terms {
            let Some(known) = vocabulary(*what) else { continue };
            if let Some(word) = value.split('|').find(|word| !word.contains('*') && !known.contains(word)) {
                return Err(unknown(*what, word, known));
            }
        }
        Ok(self)
    }
}

/// The words that `what` can have; `None` where there is no end of them.
const fn vocabulary(what: What) -> Option<&'static [&'static str]> {
    match what {
        What::Kind => Some(KINDS),
        What::Outcome => Some(OUTCOMES),
        What::Via => Some(VIAS),
        What::Who
        | What::Host
        | What::Command
        | What::Site
        | What::Agent
        | What::Job
        | What::Invocation
        | What::Rule
        | What::Code
        | What::Since
        | What::Until => None,
    }
}

fn unknown(what: What, word: &str, known: &[&str]) -> InvalidQuery {
    // Outcomes are in capitals and the others are not; whoever wrote them otherwise meant them all the same.
    let cased =
        if matches!(what, What::Outcome) { word.to_ascii_uppercase() } else { word.to_ascii_lowercase() };
    let meant = near(&cased, known.iter().copied());
    let hint = if meant.is_empty() {
        format!("there are {}", known.join(", "))
    } else {
        format!("did you mean {}?", meant.join(" or "))
    };
    InvalidQuery(format!("{}: no record has {word:?}; {hint}", what.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the arms of a function in a source are.
    fn arms(source: &'static str, function: &str) -> Vec<&'static str> {
        let body = source.split(function).nth(1).unwrap().split("\n    }\n").next().unwrap();
        body.lines().filter_map(|line| line.split("=> \"").nth(1)?.strip_suffix("\",")).collect()
    }

    #[test]
    fn the_words_are_all_that_records_can_have() {
        let sources = [
            include_str!("../../audit.rs"),
            include_str!("../access.rs"),
            include_str!("../approval.rs"),
            include_str!("../erasure.rs"),
            include_str!("../retention.rs"),
            include_str!("../witness.rs"),
        ];
        let mut kinds: Vec<&str> =
            sources.into_iter().flat_map(|source| arms(source, "pub const fn kind(")).collect();
        kinds.sort_unstable();
        assert_eq!(KINDS, kinds);
        let mut outcomes = arms(include_str!("../../outcome.rs"), "pub const fn name(");
        outcomes.sort_unstable();
        assert_eq!(OUTCOMES, outcomes);
    }

    #[test]
    fn a_word_that_no_record_has_is_refused_with_the_one_that_was_meant() {
        for (query, hint) in [
            ("outcome:FAILD", "did you mean FAILED?"),
            ("outcome:failed", "did you mean FAILED?"),
            ("-outcome:SUCEEDED", "did you mean SUCCEEDED?"),
            ("kind:request_deny", "did you mean request_denied?"),
            ("host:web-1 kind:job_submitted|call_refusd", "did you mean call_refused?"),
            ("via:telephone", "there are cli, mcp, api"),
            ("kind:", "has no value"),
        ] {
            let refused = query.parse::<Query>().and_then(Query::meant).unwrap_err().to_string();
            assert!(refused.contains(hint), "{query}: {refused}");
        }
    }

    #[test]
    fn patterns_and_what_has_no_vocabulary_are_taken_as_they_are() {
        for query in
            ["", "kind:*_denied|job_submitted outcome:F* via:mcp", "-kind:audit_read", "host:FAILD code:X"]
        {
            assert!(query.parse::<Query>().and_then(Query::meant).is_ok(), "{query}");
        }
    }
}
