//! What the store's refusals mean to a caller.

use lictor_core::error::{ErrorCode, Failure};
use lictor_store::StoreError;

/// The failure that a caller sees.
pub fn of_store(error: StoreError) -> Failure {
    match error {
        StoreError::Conflict { what } => Failure::new(
            ErrorCode::Conflict,
            format!("{what} changed in the meantime"),
            "look again and repeat the request",
        ),
        StoreError::Unavailable(why) => {
            tracing::error!(%why, "the audit log cannot be written");
            Failure::new(
                ErrorCode::AuditUnavailable,
                "the audit log cannot be written, so nothing is started",
                "free or mend the controller's disk (its log says which, and whether it needs a restart); running commands are not affected",
            )
        }
        StoreError::Corrupt(why) => {
            tracing::error!(%why, "the store holds something it cannot read");
            Failure::new(
                ErrorCode::Internal,
                "the controller cannot read its store",
                "see the controller's log",
            )
        }
    }
}

/// The answer for what does not exist and for what the caller may not see: the same.
pub fn no_such(what: &str, id: &str) -> Failure {
    Failure::new(
        ErrorCode::NotFound,
        format!("there is no {what} {id}"),
        "check the identifier (lictor jobs)",
    )
}
