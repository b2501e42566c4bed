//! The exit codes of every Lictor program, which scripts may rely on.

use std::{
    fmt,
    io::{self, Write as _},
    process::ExitCode,
};

/// How a program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Exit {
    /// 0: done.
    Ok,
    /// 1: the command ran and failed: its own exit code was not zero, or it was stopped.
    CommandFailed,
    /// 2: the arguments or files given are wrong.
    Usage,
    /// 3: policy denied it.
    Denied,
    /// 4: it certainly did not run: unreachable, expired or cancelled before it started.
    NotRun,
    /// 5: nobody can know whether it ran or how it ended; look at the host before trying again.
    Unknown,
    /// 6: the controller cannot be reached.
    Unreachable,
    /// 7: the controller refused the caller: not authenticated, or not authorised.
    Refused,
    /// 8: the audit does not verify.
    AuditFailed,
    /// 70: a defect in Lictor (`EX_SOFTWARE` of sysexits).
    Internal,
}

/// Says why the program ends, on standard error. Where that takes nothing, the exit code still tells how it ended.
pub fn say(why: impl fmt::Display) {
    let _ = writeln!(io::stderr(), "{why}");
}

// === impl Exit ===

impl Exit {
    /// Every code, for documentation and tests.
    pub const ALL: [Self; 10] = [
        Self::Ok,
        Self::CommandFailed,
        Self::Usage,
        Self::Denied,
        Self::NotRun,
        Self::Unknown,
        Self::Unreachable,
        Self::Refused,
        Self::AuditFailed,
        Self::Internal,
    ];
    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Ok => 0,
            Self::CommandFailed => 1,
            Self::Usage => 2,
            Self::Denied => 3,
            Self::NotRun => 4,
            Self::Unknown => 5,
            Self::Unreachable => 6,
            Self::Refused => 7,
            Self::AuditFailed => 8,
            Self::Internal => 70,
        }
    }
    /// What it means, in one line for `--help` and manuals.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Ok => "done",
            Self::CommandFailed => "the command ran and failed",
            Self::Usage => "wrong arguments or files",
            Self::Denied => "denied by policy",
            Self::NotRun => "not run: unreachable, expired or cancelled",
            Self::Unknown => "the outcome is unknown; look at the host",
            Self::Unreachable => "the controller cannot be reached",
            Self::Refused => "refused: not authenticated or not authorised",
            Self::AuditFailed => "the audit does not verify",
            Self::Internal => "a defect in Lictor",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

impl From<Exit> for i32 {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_numbers_stay() {
        let numbers: Vec<i32> = Exit::ALL.iter().map(|exit| i32::from(*exit)).collect();
        assert_eq!(numbers, [0, 1, 2, 3, 4, 5, 6, 7, 8, 70]);
    }
}
