//! How an invocation ended: exactly one of these, for ever.

use std::fmt;

/// Longest code of an outcome, in characters.
pub const MAX_CODE_CHARS: usize = 64;
/// Longest text of an outcome for people, in characters; longer ones are cut.
pub const MAX_DETAIL_CHARS: usize = 512;

/// Whether a command ran: the field of the API that a retry decides by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Ran {
    /// Certainly not started. Only these are safe to ask for again.
    NotRun,
    /// Certainly started.
    Ran,
    /// Nobody can know.
    MayHaveRun,
}

/// The one end of an invocation.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// Refused by policy, by the site's floor or by the agent's admission; the code says which.
    Denied {
        /// A stable code, e.g. `POLICY_DEFAULT_DENY`, `GRANT_EXPIRED`.
        code: String,
        /// The reason for people.
        reason: String,
    },
    /// Its agent did not take it in time.
    Expired,
    /// The job was halted before it was offered.
    Skipped,
    /// Cancelled before it started.
    Cancelled,
    /// The host could not be reached, identified, logged in to, or made ready for the command, which was not started.
    Unreachable {
        /// Why.
        reason: Unreachable,
        /// The detail for people.
        detail: String,
    },
    /// It ended with status 0.
    Succeeded,
    /// It ended with another status or by a signal.
    Failed(Exit),
    /// It ran longer than allowed and was killed; that it is gone was verified.
    TimedOut,
    /// It was cancelled while it ran and was killed; that it is gone was verified.
    Killed,
    /// Lictor cannot know; later evidence is added beside this, never instead of it.
    Unknown(Unknown),
}

/// How a process ended other than with status 0.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Exit {
    /// With this status (1–255 on POSIX hosts).
    Code(u32),
    /// By this signal, named without `SIG`.
    Signal(String),
}

/// Why a host could not be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unreachable {
    /// The agent has no host of that alias.
    NoSuchHost,
    /// The name did not resolve, or nothing answered.
    ConnectFailed,
    /// The address is outside what policy allows; checked on the connected address.
    AddressDenied,
    /// No key is pinned for the host.
    HostKeyUnknown,
    /// The host showed another key than the pinned one.
    HostKeyChanged,
    /// The site's credentials for the host are missing or unreadable.
    CredentialMissing,
    /// The host refused the credentials.
    AuthenticationFailed,
    /// The host accepted the login and refused a session or the exec request.
    SessionRefused,
    /// The working directory could not be entered.
    WorkingDirectory,
    /// The host did not let the login user run anything as the login that was asked for.
    RunAs,
}

/// Why nobody can know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unknown {
    /// The agent stopped between starting the command and recording its end.
    AgentRestarted,
    /// The agent was not heard from until well past every deadline.
    AgentLost,
    /// The SSH connection ended before the exit status came.
    ConnectionLost,
    /// The command was told to stop and could not be confirmed gone.
    KillUnconfirmed,
    /// The host was started anew while the command ran, and the command left no exit status.
    HostRebooted,
    /// The command was started, and its host has neither it nor its exit status any more.
    Vanished,
    /// What the controller recorded of it cannot be read any more.
    RecordUnreadable,
}

/// The first `most` characters of a text, without control characters.
pub fn cut(text: &str, most: usize) -> String {
    text.chars().filter(|c| !c.is_control()).take(most).collect()
}

// === impl Ran ===

impl Ran {
    /// The value as it is written in records and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NotRun => "not_run",
            Self::Ran => "ran",
            Self::MayHaveRun => "may_have_run",
        }
    }
}

// === impl Outcome ===

impl Outcome {
    /// Whether the command ran.
    pub const fn ran(&self) -> Ran {
        match self {
            Self::Denied { .. }
            | Self::Expired
            | Self::Skipped
            | Self::Cancelled
            | Self::Unreachable { .. } => Ran::NotRun,
            Self::Succeeded | Self::Failed(_) | Self::TimedOut | Self::Killed => Ran::Ran,
            Self::Unknown(_) => Ran::MayHaveRun,
        }
    }

    /// The name of the state, in capitals, as DESIGN and every interface write it.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Denied { .. } => "DENIED",
            Self::Expired => "EXPIRED",
            Self::Skipped => "SKIPPED",
            Self::Cancelled => "CANCELLED",
            Self::Unreachable { .. } => "UNREACHABLE",
            Self::Succeeded => "SUCCEEDED",
            Self::Failed(_) => "FAILED",
            Self::TimedOut => "TIMED_OUT",
            Self::Killed => "KILLED",
            Self::Unknown(_) => "UNKNOWN",
        }
    }

    /// The exit status, where the process gave one.
    pub const fn exit_code(&self) -> Option<u32> {
        match self {
            Self::Succeeded => Some(0),
            Self::Failed(Exit::Code(code)) => Some(*code),
            _ => None,
        }
    }

    /// The reason for people, where there is one.
    pub fn detail(&self) -> Option<&str> {
        match self {
            Self::Denied { reason, .. } => Some(reason),
            Self::Unreachable { detail, .. } => Some(detail),
            _ => None,
        }
    }

    /// Whether a site refused what its controller had signed: its agent has to prove that it did.
    pub fn refuses_grant(&self) -> bool {
        match self {
            Self::Denied { code, .. } => code.starts_with("GRANT_") || code.starts_with("FLOOR_"),
            Self::Unreachable { reason, .. } => *reason == Unreachable::AddressDenied,
            _ => false,
        }
    }

    /// The outcome with its texts cut to their bounds and without control characters, as it goes into records.
    #[must_use]
    pub fn bounded(self) -> Self {
        match self {
            Self::Denied { code, reason } => {
                Self::Denied { code: cut(&code, MAX_CODE_CHARS), reason: cut(&reason, MAX_DETAIL_CHARS) }
            }
            Self::Unreachable { reason, detail } => {
                Self::Unreachable { reason, detail: cut(&detail, MAX_DETAIL_CHARS) }
            }
            Self::Failed(Exit::Signal(signal)) => Self::Failed(Exit::Signal(cut(&signal, MAX_CODE_CHARS))),
            other => other,
        }
    }

    /// A stable code for the reason, where the state alone does not say it.
    pub fn reason_code(&self) -> Option<&str> {
        match self {
            Self::Denied { code, .. } => Some(code),
            Self::Unreachable { reason, .. } => Some(reason.as_str()),
            Self::Unknown(reason) => Some(reason.as_str()),
            Self::Failed(Exit::Signal(_)) => Some("signal"),
            _ => None,
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Denied { code, reason } => write!(f, "DENIED ({code}): {reason}"),
            Self::Unreachable { reason, detail } => write!(f, "UNREACHABLE ({}): {detail}", reason.as_str()),
            Self::Failed(Exit::Code(code)) => write!(f, "FAILED (exit {code})"),
            Self::Failed(Exit::Signal(signal)) => write!(f, "FAILED (signal {signal})"),
            Self::Unknown(reason) => write!(f, "UNKNOWN ({})", reason.as_str()),
            Self::Expired
            | Self::Skipped
            | Self::Cancelled
            | Self::Succeeded
            | Self::TimedOut
            | Self::Killed => f.write_str(self.name()),
        }
    }
}

// === impl Unreachable ===

impl Unreachable {
    /// Every reason, for conversion and tests.
    pub const ALL: [Self; 10] = [
        Self::NoSuchHost,
        Self::ConnectFailed,
        Self::AddressDenied,
        Self::HostKeyUnknown,
        Self::HostKeyChanged,
        Self::CredentialMissing,
        Self::AuthenticationFailed,
        Self::SessionRefused,
        Self::WorkingDirectory,
        Self::RunAs,
    ];
    /// The reason as it is written in records and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoSuchHost => "no_such_host",
            Self::ConnectFailed => "connect_failed",
            Self::AddressDenied => "address_denied",
            Self::HostKeyUnknown => "host_key_unknown",
            Self::HostKeyChanged => "host_key_changed",
            Self::CredentialMissing => "credential_missing",
            Self::AuthenticationFailed => "authentication_failed",
            Self::SessionRefused => "session_refused",
            Self::WorkingDirectory => "working_directory",
            Self::RunAs => "run_as",
        }
    }
}

// === impl Unknown ===

impl Unknown {
    /// Every reason, for conversion and tests.
    pub const ALL: [Self; 7] = [
        Self::AgentRestarted,
        Self::AgentLost,
        Self::ConnectionLost,
        Self::KillUnconfirmed,
        Self::HostRebooted,
        Self::Vanished,
        Self::RecordUnreadable,
    ];
    /// The reason as it is written in records and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AgentRestarted => "agent_restarted",
            Self::AgentLost => "agent_lost",
            Self::ConnectionLost => "connection_lost",
            Self::KillUnconfirmed => "kill_unconfirmed",
            Self::HostRebooted => "host_rebooted",
            Self::Vanished => "vanished",
            Self::RecordUnreadable => "record_unreadable",
        }
    }
}
