//! How a job stands as a whole: counts of its invocations, and the state that follows from them.

use crate::outcome::Outcome;

/// How many invocations stand where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Waiting for an agent.
    pub queued: u32,
    /// Offered, accepted, starting or running.
    pub active: u32,
    /// SUCCEEDED.
    pub succeeded: u32,
    /// FAILED or TIMED_OUT.
    pub failed: u32,
    /// Certainly not run: denied, expired, skipped, unreachable.
    pub not_run: u32,
    /// Cancelled or killed.
    pub cancelled: u32,
    /// UNKNOWN.
    pub unknown: u32,
}

/// The state of a job: a function of its counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum JobState {
    /// Others have to consent before anything of it may begin.
    AwaitingApproval,
    /// Nothing has been offered yet.
    Queued,
    /// Something is under way.
    Running,
    /// Nothing new is begun until somebody resumes it.
    Paused,
    /// Nothing new is begun any more; what runs goes on to its end.
    Halting,
    /// What runs is being stopped.
    Cancelling,
    /// Every invocation succeeded.
    Succeeded,
    /// Some succeeded, some did not.
    Partial,
    /// None succeeded.
    Failed,
    /// None succeeded, and cancelling is why.
    Cancelled,
    /// None succeeded, and of at least one nobody can know.
    Unknown,
    /// It was halted before everything had begun.
    Halted,
}

// === impl Counts ===

impl Counts {
    /// Adds one invocation that ended with `outcome`.
    pub const fn add(&mut self, outcome: &Outcome) {
        let slot = match outcome {
            Outcome::Succeeded => &mut self.succeeded,
            Outcome::Failed(_) | Outcome::TimedOut => &mut self.failed,
            Outcome::Cancelled | Outcome::Killed => &mut self.cancelled,
            Outcome::Denied { .. } | Outcome::Expired | Outcome::Skipped | Outcome::Unreachable { .. } => {
                &mut self.not_run
            }
            Outcome::Unknown(_) => &mut self.unknown,
        };
        *slot += 1;
    }
    /// All invocations.
    pub const fn total(&self) -> u32 {
        self.queued
            + self.active
            + self.succeeded
            + self.failed
            + self.not_run
            + self.cancelled
            + self.unknown
    }
    /// Whether every invocation has ended.
    pub const fn ended(&self) -> bool {
        self.queued == 0 && self.active == 0
    }
    /// The state of a job with these counts.
    pub const fn state(&self) -> JobState {
        let total = self.total();
        if total == 0 {
            // A job has at least one invocation; without any known, nothing can be said to have ended.
            JobState::Queued
        } else if !self.ended() {
            if self.queued == total { JobState::Queued } else { JobState::Running }
        } else if self.succeeded == total {
            JobState::Succeeded
        } else if self.succeeded > 0 {
            JobState::Partial
        } else if self.unknown > 0 {
            JobState::Unknown
        } else if self.cancelled > 0 && self.failed == 0 {
            JobState::Cancelled
        } else {
            JobState::Failed
        }
    }
}

// === impl JobState ===

impl JobState {
    /// Every state, for conversion and tests.
    pub const ALL: [Self; 12] = [
        Self::AwaitingApproval,
        Self::Queued,
        Self::Running,
        Self::Paused,
        Self::Halting,
        Self::Cancelling,
        Self::Succeeded,
        Self::Partial,
        Self::Failed,
        Self::Cancelled,
        Self::Unknown,
        Self::Halted,
    ];
    /// The state as it is written in records and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AwaitingApproval => "AWAITING_APPROVAL",
            Self::Queued => "QUEUED",
            Self::Running => "RUNNING",
            Self::Paused => "PAUSED",
            Self::Halting => "HALTING",
            Self::Cancelling => "CANCELLING",
            Self::Succeeded => "SUCCEEDED",
            Self::Partial => "PARTIAL",
            Self::Failed => "FAILED",
            Self::Cancelled => "CANCELLED",
            Self::Unknown => "UNKNOWN",
            Self::Halted => "HALTED",
        }
    }
    /// Whether the job has ended.
    pub const fn ended(self) -> bool {
        !matches!(
            self,
            Self::AwaitingApproval
                | Self::Queued
                | Self::Running
                | Self::Paused
                | Self::Halting
                | Self::Cancelling
        )
    }
}
