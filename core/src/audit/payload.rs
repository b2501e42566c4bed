//! What of a record is payload: it stands in the log as a commitment, so that it can be erased without touching the log.
//!
//! Payload is what people and programs typed, what such text can be guessed from (a digest of a short command gives the
//! command away), and what hosts answered. Identities, identifiers, names of hosts and rules, codes, counts, moments and
//! outcomes stay in the record for ever: they are what the log is for.

/// Whether the field `field` of a record of this kind is payload.
pub fn is_payload(kind: &str, field: &str) -> bool {
    match field {
        // Typed by people, or said by the program that they used.
        "client" | "command" | "environment" | "health_check" | "note" | "query" | "working_directory" => {
            true
        }
        // Guessable from what they are digests of.
        "command_digest" | "plan_digest" | "request_digest" | "stderr_digest" | "stdin_sha256"
        | "stdout_digest" => true,
        // What hosts and agents answered, in words.
        "detail" | "recorded" | "reported" => true,
        // Elsewhere one of a few words of Lictor's own.
        "why" => !matches!(kind, "jobs_removed" | "outputs_removed" | "payloads_removed"),
        "reason" => !matches!(kind, "job_halted" | "witness_refused"),
        // Evidence repeats the reason, and digests what was to be run; the evidence of a key's rotation does not.
        "grant_digest" | "signature" | "statement" => matches!(kind, "evidence_invalid" | "grant_refused"),
        _ => false,
    }
}
