//! Failures on the wire: core's closed list of codes ⇄ gRPC status with `google.rpc.ErrorInfo`. One table, both ways.

use lictor_core::error::{ErrorCode, Failure};
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

/// The `domain` of every `ErrorInfo` that Lictor sends.
pub const ERROR_DOMAIN: &str = "lictor.dev";
/// The name under which the next step travels.
const NEXT_STEP: &str = "next_step";

const fn grpc_code(code: ErrorCode) -> Code {
    match code {
        ErrorCode::InvalidArgument | ErrorCode::CommandRefused => Code::InvalidArgument,
        ErrorCode::Unauthenticated => Code::Unauthenticated,
        ErrorCode::Forbidden | ErrorCode::PolicyDenied => Code::PermissionDenied,
        ErrorCode::Frozen => Code::FailedPrecondition,
        ErrorCode::NotFound => Code::NotFound,
        ErrorCode::AlreadyExists => Code::AlreadyExists,
        ErrorCode::Conflict => Code::Aborted,
        ErrorCode::LimitExceeded => Code::ResourceExhausted,
        ErrorCode::AuditUnavailable | ErrorCode::Unavailable => Code::Unavailable,
        ErrorCode::DeadlineExceeded => Code::DeadlineExceeded,
        ErrorCode::Internal => Code::Internal,
    }
}

/// The status that carries `failure`.
pub fn to_status(failure: &Failure) -> Status {
    let mut metadata: std::collections::HashMap<String, String> = failure.details.iter().cloned().collect();
    metadata.insert(NEXT_STEP.into(), failure.next_step.clone());
    let details = ErrorDetails::with_error_info(failure.code.as_str(), ERROR_DOMAIN, metadata);
    Status::with_error_details(grpc_code(failure.code), failure.message.clone(), details)
}

/// The failure that `status` carries; a status that is not from Lictor becomes the nearest code.
pub fn from_status(status: &Status) -> Failure {
    if let Some(info) = status.get_details_error_info()
        && info.domain == ERROR_DOMAIN
        && let Some(code) = ErrorCode::ALL.into_iter().find(|c| c.as_str() == info.reason)
    {
        let next_step = info.metadata.get(NEXT_STEP).cloned().unwrap_or_default();
        let mut details: Vec<_> = info.metadata.into_iter().filter(|(name, _)| name != NEXT_STEP).collect();
        details.sort();
        return Failure { code, message: status.message().to_owned(), next_step, details };
    }
    let (code, next_step) = match status.code() {
        Code::Unauthenticated => {
            (ErrorCode::Unauthenticated, "check the certificate that this client presents")
        }
        Code::PermissionDenied => {
            (ErrorCode::Forbidden, "use an identity with the role that this call needs")
        }
        Code::NotFound => (ErrorCode::NotFound, "check the name"),
        Code::InvalidArgument | Code::OutOfRange => (ErrorCode::InvalidArgument, "correct the request"),
        Code::DeadlineExceeded => (ErrorCode::DeadlineExceeded, "try again, or allow more time"),
        Code::ResourceExhausted => (ErrorCode::LimitExceeded, "ask for less, or try again later"),
        Code::Unavailable | Code::Cancelled | Code::Unknown => (
            ErrorCode::Unavailable,
            "check that the controller runs, that its address is right, and that it accepts this certificate (lictor doctor)",
        ),
        _ => (ErrorCode::Internal, "see the controller's log"),
    };
    Failure::new(code, status.message(), next_step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_survives_the_wire() {
        for code in ErrorCode::ALL {
            let failure = Failure::new(code, "what", "then").with("rule", "r1");
            assert_eq!(from_status(&to_status(&failure)), failure);
        }
    }

    #[test]
    fn a_foreign_status_is_never_a_policy_decision() {
        assert_eq!(from_status(&Status::permission_denied("x")).code, ErrorCode::Forbidden);
        assert_eq!(from_status(&Status::unknown("transport error")).code, ErrorCode::Unavailable);
    }
}
