//! What the log says of what was removed because it had been kept as long as said, and of how long that is.

use super::{
    Field, Fields,
    fields::{erased, text},
};
use crate::{
    id::JobId,
    principal::Principal,
    retention::{RetentionLimit, RetentionLimits, Shortening},
};

/// Something was removed, or is removed sooner or later than before.
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
    /// Payloads of the log, in this commit.
    PayloadsRemoved {
        /// The records that lost theirs, as ranges from an index to before another; at most
        /// [`MAX_RANGES`](super::MAX_RANGES).
        ranges: Vec<(u64, u64)>,
        /// By which limit.
        limit: RetentionLimit,
    },
    /// Limits came into force with a start: none of them is shorter than before.
    LimitsSet {
        /// The limits.
        limits: RetentionLimits,
        /// Those before; `None`: there were none.
        before: Option<RetentionLimits>,
    },
    /// Somebody wants less kept.
    ShorteningRequested {
        /// The request.
        asked: Shortening,
        /// The limits in force, which stay.
        before: RetentionLimits,
    },
    /// Nobody can consent to a request any more: the controller began with a file that says something else.
    ShorteningVoided(Shortening),
    /// Less is kept from this commit on.
    Shortened {
        /// The request.
        asked: Shortening,
        /// The limits that were in force.
        before: RetentionLimits,
        /// Who consented.
        consented_by: Principal,
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
            Self::PayloadsRemoved { .. } => "payloads_removed",
            Self::LimitsSet { .. } => "retention_set",
            Self::ShorteningRequested { .. } => "retention_shortening_requested",
            Self::ShorteningVoided(_) => "retention_shortening_voided",
            Self::Shortened { .. } => "retention_shortened",
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
            Self::PayloadsRemoved { ranges, limit } => {
                let mut fields = Fields::from(erased(ranges));
                fields.extend(why(limit));
                fields
            }
            Self::LimitsSet { limits, before } => {
                vec![("limits", list(limits)), ("before", before.as_ref().map_or(Field::Absent, list))]
            }
            Self::ShorteningRequested { asked, before } => vec![
                ("limits", list(&asked.limits)),
                ("before", list(before)),
                ("by", text(&asked.by)),
                ("reason", text(&asked.reason)),
            ],
            Self::ShorteningVoided(asked) => {
                vec![("limits", list(&asked.limits)), ("requester", text(&asked.by))]
            }
            Self::Shortened { asked, before, consented_by } => vec![
                ("limits", list(&asked.limits)),
                ("before", list(before)),
                ("by", text(&asked.by)),
                ("consented_by", text(consented_by)),
                ("reason", text(&asked.reason)),
            ],
        }
    }
}

/// `outputs.age=30d` and so on.
fn list(limits: &RetentionLimits) -> Field {
    Field::List(limits.named().map(|(name, limit)| format!("{name}={limit}")).into())
}

fn why(limit: &RetentionLimit) -> [(&'static str, Field); 2] {
    [("why", text(limit.as_str())), ("limit", text(limit.amount()))]
}
