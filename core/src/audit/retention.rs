//! What the log says of what was removed because it had been kept as long as said.

use super::{Field, Fields, fields::text};
use crate::{id::JobId, retention::RetentionLimit};

/// Something was removed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RetentionEvent {
    /// What a job printed; its counts and digests stay.
    OutputsRemoved {
        /// The job.
        job: JobId,
        /// On how many of its hosts output had been kept.
        count: u64,
        /// How many bytes had been kept.
        bytes: u64,
        /// By which limit.
        limit: RetentionLimit,
    },
    /// Jobs with their invocations. The log keeps what was run, and with what end.
    JobsRemoved {
        /// Which.
        jobs: Vec<JobId>,
        /// How many invocations they had.
        invocations: u64,
        /// By which limit.
        limit: RetentionLimit,
    },
    /// Idempotency keys whose time was over.
    KeysRemoved {
        /// How many.
        count: u64,
    },
}

// === impl RetentionEvent ===

impl RetentionEvent {
    /// The name of the event, as it is written in records.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::OutputsRemoved { .. } => "outputs_removed",
            Self::JobsRemoved { .. } => "jobs_removed",
            Self::KeysRemoved { .. } => "keys_removed",
        }
    }

    pub(super) fn fields(&self) -> Fields {
        match self {
            Self::OutputsRemoved { job, count, bytes, limit } => {
                let mut fields = vec![
                    ("job", text(job)),
                    ("count", Field::Number(*count)),
                    ("bytes", Field::Number(*bytes)),
                ];
                fields.extend(why(limit));
                fields
            }
            Self::JobsRemoved { jobs, invocations, limit } => {
                let jobs = Field::List(jobs.iter().map(ToString::to_string).collect());
                let mut fields = vec![("jobs", jobs), ("invocations", Field::Number(*invocations))];
                fields.extend(why(limit));
                fields
            }
            Self::KeysRemoved { count } => vec![("count", Field::Number(*count))],
        }
    }
}

fn why(limit: &RetentionLimit) -> [(&'static str, Field); 2] {
    [("why", text(limit.as_str())), ("limit", text(limit.amount()))]
}
