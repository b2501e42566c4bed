//! Why a request failed, in a closed list of codes that callers can rely on, each with a next step.

use std::fmt;

/// The codes. Each interface (gRPC, MCP, CLI exit code) maps this list in one place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorCode {
    /// The request is malformed.
    InvalidArgument,
    /// The command does not parse to what may be judged; the detail `refusal` has the `E_…` code.
    CommandRefused,
    /// The caller is not known.
    Unauthenticated,
    /// The caller's role may not do this.
    Forbidden,
    /// Policy does not allow it.
    PolicyDenied,
    /// An operator has frozen it: nothing new starts there until the freeze is lifted.
    Frozen,
    /// There is no such thing, or it is not for the caller to see.
    NotFound,
    /// The same idempotency key was used for another request, or the thing is there already.
    AlreadyExists,
    /// Something changed since it was looked at.
    Conflict,
    /// A bound was reached.
    LimitExceeded,
    /// The audit cannot be written, so nothing is started.
    AuditUnavailable,
    /// The controller cannot be reached or is shutting down.
    Unavailable,
    /// It took longer than the caller wanted to wait.
    DeadlineExceeded,
    /// A defect; the log has more.
    Internal,
}

/// A failed request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The code.
    pub code: ErrorCode,
    /// What is wrong, for people; no secret, no address of another tenant.
    pub message: String,
    /// What to do next.
    pub next_step: String,
    /// Further facts by name, e.g. `rule`, `refusal`, `host`.
    pub details: Vec<(String, String)>,
}

// === impl ErrorCode ===

impl ErrorCode {
    /// Every code, for conversion and tests.
    pub const ALL: [Self; 14] = [
        Self::InvalidArgument,
        Self::CommandRefused,
        Self::Unauthenticated,
        Self::Forbidden,
        Self::PolicyDenied,
        Self::Frozen,
        Self::NotFound,
        Self::AlreadyExists,
        Self::Conflict,
        Self::LimitExceeded,
        Self::AuditUnavailable,
        Self::Unavailable,
        Self::DeadlineExceeded,
        Self::Internal,
    ];
    /// The code as it is written in every interface.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidArgument => "INVALID_ARGUMENT",
            Self::CommandRefused => "COMMAND_REFUSED",
            Self::Unauthenticated => "UNAUTHENTICATED",
            Self::Forbidden => "FORBIDDEN",
            Self::PolicyDenied => "POLICY_DENIED",
            Self::Frozen => "FROZEN",
            Self::NotFound => "NOT_FOUND",
            Self::AlreadyExists => "ALREADY_EXISTS",
            Self::Conflict => "CONFLICT",
            Self::LimitExceeded => "LIMIT_EXCEEDED",
            Self::AuditUnavailable => "AUDIT_UNAVAILABLE",
            Self::Unavailable => "UNAVAILABLE",
            Self::DeadlineExceeded => "DEADLINE_EXCEEDED",
            Self::Internal => "INTERNAL",
        }
    }
}

// === impl Failure ===

impl Failure {
    /// A failure without details.
    pub fn new(code: ErrorCode, message: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self { code, message: message.into(), next_step: next_step.into(), details: Vec::new() }
    }
    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<String>) -> Self {
        self.details.push((name.into(), value.into()));
        self
    }
    /// The detail of that name.
    pub fn detail(&self, name: &str) -> Option<&str> {
        self.details.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str())
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code.as_str(), self.message)
    }
}
impl std::error::Error for Failure {}
