//! `ssh_get_task_status`: how a job stands, at once or when it has ended.

use std::time::Duration;

use lictor_core::error::{ErrorCode, Failure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{BridgeTool, Call, Effect};
use crate::{
    answer::Answer,
    arguments::job_id,
    job_status::{JobStatus, wait},
    waiting::{WAITING_LATER_STEP, Waiting},
};

/// Longest wait: longer than most clients wait for a tool.
const MAX_WAIT_SECONDS: u64 = 300;

/// The tool.
#[derive(Debug)]
pub(super) enum TaskStatus {}

/// Which job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// The job.
    task_id: String,
    /// Answer when it has ended or after so many seconds, at most 300.
    #[serde(default)]
    wait_seconds: u64,
}

/// How it stands.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Status {
    /// The job.
    task_id: String,
    #[serde(flatten)]
    status: JobStatus,
    /// There only while the state is AWAITING_APPROVAL: whose consent the job waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Map<String, Value>")]
    waiting: Option<Waiting>,
    /// What to do next.
    next_step: &'static str,
}

impl BridgeTool for TaskStatus {
    const NAME: &'static str = "ssh_get_task_status";
    const TITLE: &'static str = "See how a job stands";
    const DESCRIPTION: &'static str =
        "Tells how a job stands, hosts counted by outcome; with wait_seconds, waits for its end.";
    const EFFECT: Effect = Effect::Reads;
    type Parameters = Parameters;
    type Result = Status;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<Status>, Failure> {
        let Parameters { task_id, wait_seconds } = parameters;
        let job = job_id(None, Some(&task_id))?;
        if wait_seconds > MAX_WAIT_SECONDS {
            let message = format!("wait_seconds: more than {MAX_WAIT_SECONDS}");
            return Err(Failure::new(ErrorCode::InvalidArgument, message, "wait for less, then ask again"));
        }
        let view = wait(call.client, job, Duration::from_secs(wait_seconds), &call.context.ct).await?;
        let waiting = Waiting::of_job(&view, None);
        Ok(Answer::done(Status {
            task_id: job.to_string(),
            status: JobStatus::of(&view),
            next_step: if waiting.is_some() {
                WAITING_LATER_STEP
            } else if view.state.ended() {
                "ssh_get_task_result tells what became of it"
            } else {
                "ask again with wait_seconds, or ssh_cancel it"
            },
            waiting,
        }))
    }
}
