//! How a job stands as a whole, as models see it; and waiting for it to change.

use std::time::Duration;

use lictor_client::{connect::Client, views::JobView};
use lictor_core::{error::Failure, id::JobId, job::JobState, job::Target};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::time::{Instant, sleep};
use tokio_util::sync::CancellationToken;

use crate::inline;

/// First pause between two looks at a job; each is twice as long as the one before.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Longest pause between two looks: a look is one small call, and nobody minds two seconds at the end of a long job.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Longest command that a summary shows, in bytes.
const MAX_COMMAND: usize = 300;
/// Longest target that a summary shows, in bytes.
const MAX_TARGET: usize = 200;

/// How a job stands as a whole.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct JobStatus {
    /// pending, running, completed (everywhere with success), failed, cancelled or unknown.
    pub(crate) status: &'static str,
    /// The same in full: AWAITING_APPROVAL, QUEUED, RUNNING, PAUSED, HALTING, CANCELLING, SUCCEEDED, PARTIAL, FAILED,
    /// CANCELLED, UNKNOWN or HALTED.
    pub(crate) state: &'static str,
    /// Number of hosts.
    pub(crate) hosts_total: u32,
    /// Hosts on which it succeeded.
    pub(crate) succeeded: u32,
    /// Hosts on which it ran and failed or was killed at its time limit.
    pub(crate) failed: u32,
    /// Hosts on which it certainly did not run.
    pub(crate) not_run: u32,
    /// Hosts on which it was cancelled or killed on request.
    pub(crate) cancelled: u32,
    /// Hosts of which nobody can know.
    pub(crate) unknown: u32,
    /// Hosts on which it has not ended.
    pub(crate) unfinished: u32,
    /// How many of a hundred hosts it has ended on.
    pub(crate) progress_percent: u32,
    /// The wave under way, and how many there are, as 2/4.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) wave: Option<String>,
    /// Why it was halted: aborted, too_many_errors, too_many_unreachable, wave_without_success, health_check_failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) halted: Option<&'static str>,
}

/// A job among others.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct JobSummary {
    /// The job.
    pub(crate) job_id: String,
    /// The command, as its hosts received it.
    pub(crate) command: String,
    /// For which hosts it was asked.
    pub(crate) target: String,
    /// When it was recorded, in UTC.
    pub(crate) created_at: String,
    /// Its state.
    pub(crate) state: &'static str,
    /// Number of hosts.
    pub(crate) hosts_total: u32,
    /// Hosts on which it has not ended.
    pub(crate) unfinished: u32,
}

/// The changes of a job as they are seen, until it has ended.
#[derive(Debug)]
pub(crate) struct Changes {
    client: Client,
    job: JobId,
    last: Option<JobView>,
    pause: Duration,
}

/// The job once it has ended, or as it stands when the time is up or nobody waits any more.
pub(crate) async fn wait(
    client: &Client,
    job: JobId,
    most: Duration,
    cancelled: &CancellationToken,
) -> Result<JobView, Failure> {
    let until = Instant::now() + most;
    let mut pause = FIRST_PAUSE;
    loop {
        let view = look(client, job).await?;
        let left = until.saturating_duration_since(Instant::now());
        if view.state.ended() || left.is_zero() || cancelled.is_cancelled() {
            return Ok(view);
        }
        tokio::select! {
            () = sleep(pause.min(left)) => {}
            () = cancelled.cancelled() => {}
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

async fn look(client: &Client, job: JobId) -> Result<JobView, Failure> {
    Ok(client.get_job(job, 1, None).await?.job)
}

// === impl Changes ===

impl Changes {
    /// Of this job, from now on.
    pub(crate) const fn of(client: Client, job: JobId) -> Self {
        Self { client, job, last: None, pause: FIRST_PAUSE }
    }

    /// Waits for the next change; `false` when there will be none, because the job has ended.
    pub(crate) async fn next(&mut self) -> Result<bool, Failure> {
        loop {
            let Some(last) = &self.last else {
                self.last = Some(look(&self.client, self.job).await?);
                continue;
            };
            if last.state.ended() {
                return Ok(false);
            }
            sleep(self.pause).await;
            let next = look(&self.client, self.job).await?;
            if next != *last {
                (self.last, self.pause) = (Some(next), FIRST_PAUSE);
                return Ok(true);
            }
            self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        }
    }
}

// === impl JobStatus ===

impl JobStatus {
    /// How the job stands.
    pub(crate) fn of(job: &JobView) -> Self {
        let counts = job.counts;
        let (total, unfinished) = (counts.total(), counts.queued + counts.active);
        let progress = job.progress.as_ref();
        Self {
            status: status(job.state),
            state: job.state.as_str(),
            hosts_total: total,
            succeeded: counts.succeeded,
            failed: counts.failed,
            not_run: counts.not_run,
            cancelled: counts.cancelled,
            unknown: counts.unknown,
            unfinished,
            progress_percent: (total - unfinished).saturating_mul(100) / total.max(1),
            wave: progress.map(|progress| format!("{}/{}", progress.wave, progress.waves)),
            halted: progress.and_then(|progress| progress.halted).map(|reason| reason.as_str()),
        }
    }
}

const fn status(state: JobState) -> &'static str {
    match state {
        JobState::Queued | JobState::AwaitingApproval => "pending",
        JobState::Running | JobState::Paused | JobState::Halting | JobState::Cancelling => "running",
        JobState::Succeeded => "completed",
        JobState::Partial | JobState::Failed | JobState::Halted => "failed",
        JobState::Cancelled => "cancelled",
        JobState::Unknown => "unknown",
    }
}

// === impl JobSummary ===

impl JobSummary {
    /// The job among others.
    pub(crate) fn of(job: &JobView) -> Self {
        let target = match &job.target {
            Target::Hosts(hosts) => hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
            Target::Tag(tag) => format!("tag:{tag}"),
            Target::Expression(expression) => expression.to_string(),
        };
        Self {
            job_id: job.id.to_string(),
            command: inline::line(&job.command.render(), MAX_COMMAND),
            target: inline::line(&target, MAX_TARGET),
            created_at: job.created_at.to_string(),
            state: job.state.as_str(),
            hosts_total: job.counts.total(),
            unfinished: job.counts.queued + job.counts.active,
        }
    }
}
