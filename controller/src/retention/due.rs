//! What is to be removed of a job: by its age, by how much there is, and by nothing else.

use std::time::Duration;

use lictor_core::{
    clock::Timestamp,
    limits::REPLAY_WINDOW,
    retention::{RetentionLimit, RetentionLimits},
};
use lictor_store::EndedJob;

/// Least that outputs can be kept for: whoever follows a job reads what it printed in the first moments after its end.
pub const MIN_OUTPUT_AGE: Duration = Duration::from_secs(60);
/// Least that jobs can be kept for: an idempotency key must find its job as long as it is kept.
pub const MIN_JOB_AGE: Duration = REPLAY_WINDOW;

/// What of a job that has ended is to be removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Due {
    Nothing,
    /// What it printed.
    Outputs(RetentionLimit),
    /// All of it.
    Job(RetentionLimit),
}

/// What of a job is to be removed at `now`, when `beyond` bytes more are kept than may be.
/// A hold keeps a job whatever this says.
pub(super) fn due(ended: &EndedJob, limits: &RetentionLimits, beyond: u64, now: Timestamp) -> Due {
    let age = now.since(ended.ended_at);
    if age > limits.job_age {
        Due::Job(RetentionLimit::Age(limits.job_age))
    } else if ended.output_bytes == 0 {
        Due::Nothing
    } else if age > limits.output_age {
        Due::Outputs(RetentionLimit::Age(limits.output_age))
    } else if beyond > 0 {
        Due::Outputs(RetentionLimit::Bytes(limits.output_bytes))
    } else {
        Due::Nothing
    }
}

#[cfg(test)]
mod tests {
    use lictor_core::id::JobId;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);
    const LIMITS: RetentionLimits = RetentionLimits {
        output_age: HOUR,
        output_bytes: 100,
        job_age: Duration::from_secs(7200),
        payload_age: None,
    };

    #[test]
    fn outputs_go_by_age_or_beyond_the_bytes_and_jobs_by_age_alone() {
        let at = Timestamp::from_micros(1_000_000_000);
        let decide = |age: Duration, output_bytes, beyond| {
            let ended = EndedJob { job: JobId::from_bytes([1; 16]), ended_at: at, output_bytes, version: 1 };
            due(&ended, &LIMITS, beyond, at.plus(age))
        };
        let by_age = Due::Outputs(RetentionLimit::Age(HOUR));
        let second = Duration::from_secs(1);
        assert_eq!(decide(HOUR, 5, 0), Due::Nothing, "an hour is kept, not less");
        assert_eq!(decide(HOUR + second, 5, 0), by_age);
        assert_eq!(decide(HOUR + second, 0, 9), Due::Nothing, "nothing is left to remove");
        assert_eq!(decide(Duration::ZERO, 5, 1), Due::Outputs(RetentionLimit::Bytes(100)));
        assert_eq!(decide(HOUR * 2 + second, 0, 0), Due::Job(RetentionLimit::Age(HOUR * 2)));
    }
}
