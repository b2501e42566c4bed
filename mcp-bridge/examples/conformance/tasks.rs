//! Tools that begin a task, for a client that knows tasks, and wait for its end, for one that does not. The tasks are the
//! library's, in memory; those of the bridge are jobs.

use std::time::Duration;

use rmcp::{
    ErrorData,
    model::{
        CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock, CreateTaskResult, JsonObject,
    },
    task_manager::{TaskContext, TaskExit, TaskManager, TaskOptions},
};
use serde_json::{Value, json};

/// How long a task is good for, once it has been made.
const TTL_MS: u64 = 60_000;
/// How often a client should ask.
const POLL_INTERVAL_MS: u64 = 100;

/// What a task does.
#[derive(Debug, Clone)]
enum Work {
    Compute(Duration),
    Fail,
    Break,
    Confirm,
    Fill,
    Greet(String),
}

/// The tools, as they are listed.
pub(crate) fn tools() -> Vec<Value> {
    let tool = |name: &str, properties: Value| {
        json!({"name": name, "description": format!("The fixture {name}."),
            "inputSchema": {"type": "object", "properties": properties}})
    };
    vec![
        tool("greet", json!({"name": {"type": "string"}})),
        tool("slow_compute", json!({"seconds": {"type": "number"}, "label": {"type": "string"}})),
        tool("failing_job", json!({})),
        tool("protocol_error_job", json!({})),
        tool("confirm_delete", json!({"filename": {"type": "string"}})),
        tool("multi_input", json!({})),
        tool("test_tool_with_task", json!({})),
    ]
}

/// Calls the tool of this name; `None` for one that has nothing to do with tasks.
pub(crate) async fn call(
    tasks: &TaskManager,
    name: &str,
    arguments: &JsonObject,
    capabilities: &ClientCapabilities,
) -> Option<Result<CallToolResponse, ErrorData>> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let work = match name {
        "greet" => return Some(Ok(said(&format!("Hello, {}!", text("name"))).into())),
        "slow_compute" => {
            let seconds = arguments.get("seconds").and_then(Value::as_f64).unwrap_or_default();
            Work::Compute(Duration::try_from_secs_f64(seconds).unwrap_or_default())
        }
        "failing_job" => Work::Fail,
        "protocol_error_job" => Work::Break,
        "confirm_delete" => Work::Confirm,
        "multi_input" => Work::Fill,
        _ => return None,
    };
    Some(match (capabilities.supports_tasks(), work) {
        (true, work) => Ok(begin(tasks, work)),
        // What can be done at once is.
        (false, Work::Compute(time)) => {
            tokio::time::sleep(time).await;
            Ok(said("computed").into())
        }
        (false, _) => {
            let needed = ClientCapabilities::builder().enable_tasks().build();
            Err(ErrorData::missing_required_client_capability(needed))
        }
    })
}

/// A task that greets whoever gave a name before it began.
pub(crate) fn greet(tasks: &TaskManager, name: String) -> CallToolResponse {
    begin(tasks, Work::Greet(name))
}

fn begin(tasks: &TaskManager, work: Work) -> CallToolResponse {
    let options = TaskOptions::new().with_ttl_ms(TTL_MS).with_poll_interval_ms(POLL_INTERVAL_MS);
    let task = tasks.spawn(options, move |context| Box::pin(run(work, context)));
    CallToolResponse::Task(CreateTaskResult::new(task))
}

fn said(text: &str) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

fn form(field: &str, kind: &str) -> Result<rmcp::model::InputRequest, TaskExit> {
    let request = json!({"method": "elicitation/create", "params": {"mode": "form", "message": "Please say",
        "requestedSchema": {"type": "object", "properties": {field: {"type": kind}}, "required": [field]}}});
    serde_json::from_value(request)
        .map_err(|e| TaskExit::Error(ErrorData::internal_error(e.to_string(), None)))
}

async fn run(work: Work, context: TaskContext) -> Result<CallToolResult, TaskExit> {
    match work {
        Work::Compute(time) => tokio::select! {
            () = tokio::time::sleep(time) => Ok(said("computed")),
            () = context.cancelled() => Err(TaskExit::Cancelled),
        },
        Work::Fail => Ok(CallToolResult::error(vec![ContentBlock::text("the job failed")])),
        Work::Break => Err(TaskExit::Error(ErrorData::internal_error("the job broke", None))),
        Work::Confirm => {
            let answer = context.request_input("confirm", form("confirm", "boolean")?).await?;
            Ok(said(&format!("answered: {}", answer["action"])))
        }
        Work::Fill => {
            let (first, second) = tokio::join!(
                context.request_input("name", form("name", "string")?),
                context.request_input("confirm", form("confirm", "boolean")?),
            );
            Ok(said(&format!("answered: {} {}", first?["action"], second?["action"])))
        }
        Work::Greet(name) => Ok(said(&format!("Hello, {name}!"))),
    }
}
