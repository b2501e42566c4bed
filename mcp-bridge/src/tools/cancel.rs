//! `ssh_cancel`: stops a job.

use lictor_core::error::Failure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BridgeTool, Call, Effect};
use crate::{answer::Answer, arguments::job_id};

/// The tool.
#[derive(Debug)]
pub(super) enum Cancel {}

/// Which job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// The job.
    #[serde(default)]
    job_id: Option<String>,
    /// The same by its other name.
    #[serde(default)]
    task_id: Option<String>,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Cancelled {
    /// The job.
    job_id: String,
    /// Whether the job had ended before, so that nothing was cancelled.
    already_ended: bool,
    /// State of the job now.
    state: &'static str,
    /// Hosts on which it has not ended; what runs there is being stopped.
    unfinished: u32,
    /// Hosts on which it was cancelled or killed on request.
    cancelled: u32,
}

impl BridgeTool for Cancel {
    const NAME: &'static str = "ssh_cancel";
    const TITLE: &'static str = "Cancel a job";
    const DESCRIPTION: &'static str =
        "Stops a job: what has not started will not start, what runs is terminated, then killed.";
    const EFFECT: Effect = Effect::Stops;
    type Parameters = Parameters;
    type Result = Cancelled;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<Cancelled>, Failure> {
        let job = job_id(parameters.job_id.as_deref(), parameters.task_id.as_deref())?;
        let answer = call.client.cancel(job).await?;
        let counts = answer.job.counts;
        Ok(Answer::done(Cancelled {
            job_id: answer.job.id.to_string(),
            already_ended: answer.already_ended,
            state: answer.job.state.as_str(),
            unfinished: counts.queued + counts.active,
            cancelled: counts.cancelled,
        }))
    }
}
