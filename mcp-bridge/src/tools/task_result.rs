//! `ssh_get_task_result`: what became of a job that has ended.

use lictor_client::{collect::Collector, connect::Client};
use lictor_core::{
    error::{ErrorCode, Failure},
    id::JobId,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{
    BridgeTool, Call, Effect,
    run_on_tag::{TagResult, keep, nothing_ran, result},
};
use crate::{answer::Answer, arguments::job_id, waiting::Waiting};

/// The tool.
#[derive(Debug)]
pub(super) enum TaskResult {}

/// Which job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// The job.
    task_id: String,
}

impl BridgeTool for TaskResult {
    const NAME: &'static str = "ssh_get_task_result";
    const TITLE: &'static str = "Read the result of a job";
    const DESCRIPTION: &'static str = "Tells what became of a job that has ended, as ssh_run_on_tag does.";
    const EFFECT: Effect = Effect::Reads;
    const UNTRUSTED: &'static [&'static str] = &["stdout", "stderr"];
    type Parameters = Parameters;
    type Result = TagResult;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<TagResult>, Failure> {
        let job = job_id(None, Some(&parameters.task_id))?;
        let collector = collect(call.client, job).await?;
        Ok(Answer::refused(result(&collector)?, nothing_ran(&collector)))
    }
}

/// Everything about a job that has ended, with as much output as a result can show.
pub(crate) async fn collect(client: &Client, job: JobId) -> Result<Collector, Failure> {
    let view = client.get_job(job, 1, None).await?.job;
    if let Some(waiting) = Waiting::of_job(&view, None) {
        return Err(waiting.failure(job));
    }
    if !view.state.ended() {
        let next_step = "ssh_get_task_status with wait_seconds waits for its end; ssh_get_task_output shows what it printed so far";
        return Err(Failure::new(ErrorCode::Conflict, format!("{job} has not ended"), next_step)
            .with("state", view.state.as_str()));
    }
    let mut collector = Collector::new(keep(view.counts.total()));
    let mut stream = client.watch(job).await?;
    while let Some(update) = stream.next().await? {
        collector.take(update);
    }
    Ok(collector)
}
