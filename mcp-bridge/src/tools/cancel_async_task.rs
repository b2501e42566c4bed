//! `ssh_cancel_async_task`: `ssh_cancel` by the name that clients of tasks know.

use lictor_core::error::Failure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BridgeTool, Call, Effect};
use crate::{answer::Answer, arguments::job_id};

/// The tool.
#[derive(Debug)]
pub(super) enum CancelAsyncTask {}

/// Which job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// The job.
    task_id: String,
}

/// What came of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Cancelled {
    /// The job.
    task_id: String,
    /// Whether it is being cancelled; false if it had ended before.
    cancelled: bool,
    /// State of the job now.
    state: &'static str,
}

impl BridgeTool for CancelAsyncTask {
    const NAME: &'static str = "ssh_cancel_async_task";
    const TITLE: &'static str = "Cancel a started command";
    const DESCRIPTION: &'static str = "The same as ssh_cancel, for what ssh_run_async started.";
    const EFFECT: Effect = Effect::Stops;
    type Parameters = Parameters;
    type Result = Cancelled;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<Cancelled>, Failure> {
        let job = job_id(None, Some(&parameters.task_id))?;
        let answer = call.client.cancel(job).await?;
        Ok(Answer::done(Cancelled {
            task_id: job.to_string(),
            cancelled: !answer.already_ended,
            state: answer.job.state.as_str(),
        }))
    }
}
