//! How a job goes out and how far that is, for scripts.

use lictor_client::views::{JobView, ProgressView};
use lictor_core::job::CommandInput;
use serde::Serialize;

/// In which waves, how many at a time, and what stops it; shares as they are typed, as `10%` or `20`.
#[derive(Debug, Serialize)]
pub(crate) struct RolloutDocument {
    waves: Vec<String>,
    soak_ms: u64,
    health_check: Option<String>,
    max_concurrency: Option<String>,
    max_errors: Option<String>,
    max_unreachable: Option<String>,
    max_per_site: Option<u32>,
}

/// How far that is.
#[derive(Debug, Serialize)]
pub(crate) struct ProgressDocument {
    wave: u32,
    waves: u32,
    soak_until: Option<String>,
    health_job: Option<String>,
    paused_by: Option<String>,
    halted: Option<&'static str>,
    halted_by: Option<String>,
}

// === impl RolloutDocument ===

impl RolloutDocument {
    /// Nothing for a job that goes out at once.
    pub(crate) fn of(job: &JobView) -> Option<Self> {
        let rollout = &job.rollout;
        (!rollout.is_immediate()).then(|| Self {
            waves: rollout.waves.iter().map(ToString::to_string).collect(),
            soak_ms: u64::try_from(rollout.soak.as_millis()).unwrap_or(u64::MAX),
            health_check: rollout.health_check.as_ref().map(|check| match check {
                CommandInput::Argv(words) => words.join(" "),
                CommandInput::Line(line) => line.clone(),
            }),
            max_concurrency: rollout.max_concurrency.map(|share| share.to_string()),
            max_errors: rollout.max_errors.map(|share| share.to_string()),
            max_unreachable: rollout.max_unreachable.map(|share| share.to_string()),
            max_per_site: rollout.max_per_site,
        })
    }
}

// === impl ProgressDocument ===

impl From<&ProgressView> for ProgressDocument {
    fn from(progress: &ProgressView) -> Self {
        Self {
            wave: progress.wave,
            waves: progress.waves,
            soak_until: progress.soak_until.map(|until| until.to_string()),
            health_job: progress.health_job.map(|job| job.to_string()),
            paused_by: progress.paused_by.as_ref().map(ToString::to_string),
            halted: progress.halted.map(lictor_core::rollout::HaltReason::as_str),
            halted_by: progress.halted_by.as_ref().map(ToString::to_string),
        }
    }
}
