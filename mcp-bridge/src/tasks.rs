//! The tasks extension (SEP-2663): a task is a job of the controller under another name. It is durable before it is answered,
//! outlives the bridge, and exists for the principal whose job it is, and for nobody else.

use lictor_client::{collect::Collector, connect::Client, views::JobView};
use lictor_core::clock::Clock as _;
use lictor_core::{
    error::{ErrorCode, Failure},
    id::JobId,
    job::JobState,
};
use lictor_runtime::clock::SystemClock;
use rmcp::{
    ErrorData, RoleServer,
    model::{CreateTaskResult, DetailedTask, GetTaskResult, Task, TaskPayload, TaskStatus},
    service::RequestContext,
};
use serde_json::{Value, json};

use crate::tools;

/// How often a client should ask, in milliseconds: as often as progress is told.
const POLL_INTERVAL_MS: u64 = 500;
/// Between the tool and the job in a task's name; no tool has it in its name.
const SEPARATOR: char = ':';

/// Whether a call is answered with a task: the client has declared that it knows tasks, and the tool begins a job.
pub(crate) fn wanted(tool: &str, context: &RequestContext<RoleServer>) -> bool {
    let stateless = context.protocol_version().is_some_and(|version| !version.has_initialize());
    let knows = context.client_capabilities().is_some_and(|capabilities| capabilities.supports_tasks());
    stateless && knows && tools::keep_of(tool).is_some()
}

/// The answer to a call that has begun a job.
pub(crate) fn begun(tool: &str, job: &JobView) -> CreateTaskResult {
    CreateTaskResult::new(task(tool, job))
}

/// A task as it stands, with its result if it has ended.
pub(crate) async fn get(client: &Client, id: &str) -> Result<GetTaskResult, ErrorData> {
    let (tool, job) = parse(id)?;
    let view = client.get_job(job, 1, None).await.map_err(|failure| unknown_or(&failure, id))?.job;
    let payload = match view.state {
        JobState::Cancelled => TaskPayload::Cancelled,
        state if state.ended() => result(client, tool, job).await?,
        _ => TaskPayload::Working,
    };
    Ok(GetTaskResult::new(DetailedTask::new(task(tool, &view), payload)))
}

/// Asks for a task to be stopped, on its hosts too.
pub(crate) async fn cancel(client: &Client, id: &str) -> Result<(), ErrorData> {
    let (_, job) = parse(id)?;
    // As the caller alone: the job is one that they name.
    client.cancel(job).await.map(drop).map_err(|failure| unknown_or(&failure, id))
}

/// A failure as an error of the protocol.
pub(crate) fn refused(failure: &Failure) -> ErrorData {
    let data = json!({ "code": failure.code.as_str(), "next_step": failure.next_step });
    ErrorData::internal_error(failure.message.clone(), Some(data))
}

async fn result(client: &Client, tool: &str, job: JobId) -> Result<TaskPayload, ErrorData> {
    let keep = tools::keep_of(tool).ok_or_else(|| unknown(job.to_string()))?;
    let mut stream = client.watch(job).await.map_err(|failure| refused(&failure))?;
    let mut collector = Collector::new(keep(1));
    while let Some(update) = stream.next().await.map_err(|failure| refused(&failure))? {
        if let lictor_client::run::JobUpdate::Submitted(submitted) = &update {
            collector.set_keep(keep(submitted.job.counts.total()));
        }
        collector.take(update);
    }
    let result = tools::result_of(tool, &collector).ok_or_else(|| unknown(job.to_string()))?;
    let result = result.unwrap_or_else(|failure| crate::answer::failed(&failure));
    match serde_json::to_value(result) {
        Ok(Value::Object(result)) => Ok(TaskPayload::Completed { result }),
        _ => Err(ErrorData::internal_error("the result cannot be told", None)),
    }
}

fn task(tool: &str, job: &JobView) -> Task {
    let status = if job.state.ended() { TaskStatus::Completed } else { TaskStatus::Working };
    let counts = job.counts;
    let message = format!(
        "{}: {} of {} hosts ended",
        job.state.as_str(),
        counts.total().saturating_sub(counts.queued + counts.active),
        counts.total()
    );
    let message = match job.approval.as_ref().filter(|_| job.state == JobState::AwaitingApproval) {
        Some(approval) => format!("{message}; it waits for {} (lictor approve {})", approval.whom(), job.id),
        None => message,
    };
    let id = format!("{tool}{SEPARATOR}{}", job.id);
    let (created, now) = (job.created_at.to_string(), SystemClock.now().to_string());
    Task::new(id, status, created, now).with_status_message(message).with_poll_interval_ms(POLL_INTERVAL_MS)
}

fn parse(id: &str) -> Result<(&str, JobId), ErrorData> {
    let parsed = id.split_once(SEPARATOR).and_then(|(tool, job)| Some((tool, job.parse().ok()?)));
    parsed.filter(|(tool, _)| tools::keep_of(tool).is_some()).ok_or_else(|| unknown(id.to_owned()))
}

/// Another principal's task does not exist.
fn unknown_or(failure: &Failure, id: &str) -> ErrorData {
    if failure.code == ErrorCode::NotFound { unknown(id.to_owned()) } else { refused(failure) }
}

fn unknown(id: String) -> ErrorData {
    ErrorData::invalid_params("there is no such task", Some(json!({ "taskId": id })))
}
