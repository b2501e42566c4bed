//! Why a verb could not do what was asked: a failure for people and scripts, and the exit code it means.

use std::{fmt, io, path::Path};

use lictor_core::error::{ErrorCode, Failure};
use lictor_runtime::exit::Exit;

/// Why a verb ended early.
#[derive(Debug)]
pub(crate) enum Trouble {
    /// Something failed.
    Failed {
        /// What, and what to do next.
        failure: Box<Failure>,
        /// How the program ends.
        exit: Exit,
    },
    /// Whoever read standard output has gone, as `head` does. Nobody is left to tell.
    OutputGone,
}

// === impl Trouble ===

impl Trouble {
    /// A failure that ends the program with `exit`.
    pub(crate) fn new(
        exit: Exit,
        code: ErrorCode,
        message: impl Into<String>,
        next_step: impl Into<String>,
    ) -> Self {
        Self::Failed { failure: Box::new(Failure::new(code, message, next_step)), exit }
    }
    /// Wrong arguments or files.
    pub(crate) fn usage(message: impl Into<String>, next_step: impl Into<String>) -> Self {
        Self::new(Exit::Usage, ErrorCode::InvalidArgument, message, next_step)
    }
    /// A defect.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::Internal, ErrorCode::Internal, message, "please report this, with what you did")
    }
    /// A file that cannot be read or written.
    pub(crate) fn file(doing: &str, path: &Path, error: &io::Error) -> Self {
        let next_step = match error.kind() {
            io::ErrorKind::NotFound => "check the path",
            io::ErrorKind::PermissionDenied => "check who owns it and its mode",
            io::ErrorKind::AlreadyExists => "name another file, or remove it",
            _ => "check the disk and the path",
        };
        Self::usage(format!("cannot {doing} {}: {error}", path.display()), next_step)
    }
    /// How the program ends.
    pub(crate) const fn exit(&self) -> Exit {
        match self {
            Self::Failed { exit, .. } => *exit,
            Self::OutputGone => Exit::Ok,
        }
    }
}

/// How the program ends for a failure of this code: see the table in `lictor --help`.
pub(crate) const fn exit_of(code: ErrorCode) -> Exit {
    match code {
        ErrorCode::InvalidArgument | ErrorCode::NotFound | ErrorCode::AlreadyExists => Exit::Usage,
        ErrorCode::CommandRefused | ErrorCode::PolicyDenied | ErrorCode::Frozen => Exit::Denied,
        ErrorCode::Unauthenticated | ErrorCode::Forbidden => Exit::Refused,
        ErrorCode::Conflict | ErrorCode::LimitExceeded | ErrorCode::AuditUnavailable => Exit::NotRun,
        ErrorCode::Unavailable | ErrorCode::DeadlineExceeded => Exit::Unreachable,
        ErrorCode::Internal => Exit::Internal,
    }
}

impl From<Failure> for Trouble {
    fn from(failure: Failure) -> Self {
        let exit = exit_of(failure.code);
        Self::Failed { failure: Box::new(failure), exit }
    }
}

impl From<io::Error> for Trouble {
    /// For writing to the terminal or a pipe only; files go by [`Trouble::file`].
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::BrokenPipe => Self::OutputGone,
            _ => Self::usage(format!("cannot write the output: {error}"), "check where the output goes"),
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed { failure, .. } => f.write_str(&failure.message),
            Self::OutputGone => f.write_str("the reader of the output has gone"),
        }
    }
}
