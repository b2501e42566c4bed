//! The tools: one file each, all of the same shape, and the table of them.

mod cancel;
mod cancel_async_task;
mod describe_host;
mod download;
mod explain_denial;
mod job_output;
mod list_hosts;
mod list_jobs;
mod ping;
mod plan;
mod reload_config;
mod run;
mod run_async;
mod run_on_tag;
mod search_audit;
mod task_output;
mod task_result;
mod task_status;
mod upload;
mod view_job;

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{LazyLock, OnceLock},
};

use lictor_client::{
    collect::{Collector, Keep},
    connect::Client,
    fleet::HostView,
    views::JobView,
};
use lictor_core::{
    error::{ErrorCode, Failure},
    id::JobId,
    job::Origin,
    principal::Via,
};
use lictor_oauth::scope::Scope;
use rmcp::{
    RoleServer,
    model::{CallToolResult, JsonObject, Tool, ToolAnnotations},
    service::RequestContext,
};
use schemars::JsonSchema;
use serde::{Serialize, de::DeserializeOwned};

pub(crate) use self::describe_host::described as described_host;
use crate::{
    answer::{Answer, failed},
    ask::Ask,
    schema,
};

/// What every tool is.
pub(crate) trait BridgeTool {
    /// Its name.
    const NAME: &'static str;
    /// Its title for people.
    const TITLE: &'static str;
    /// What it does, for models.
    const DESCRIPTION: &'static str;
    /// What it does to the fleet, for the annotations.
    const EFFECT: Effect;
    /// The fields of its answer in which others than Lictor and its caller speak: data, never instructions.
    const UNTRUSTED: &'static [&'static str] = &[];
    /// Its arguments.
    type Parameters: DeserializeOwned + JsonSchema + Send + 'static;
    /// Its result.
    type Result: Serialize + JsonSchema + 'static;

    /// Does it.
    fn call(
        call: &Call<'_>,
        parameters: Self::Parameters,
    ) -> impl Future<Output = Result<Answer<Self::Result>, Failure>> + Send;
}

/// What a tool does to the fleet. Only clients read the annotations made from it; nothing here decides by them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Effect {
    /// It changes nothing.
    Reads,
    /// It runs a command, which may do anything that policy allows.
    Runs,
    /// It stops what runs; doing it again changes nothing.
    Stops,
    /// It makes something as it is given; doing it again changes nothing more.
    Puts,
    /// It reads from a host, by a job.
    Fetches,
}

/// One call of a tool.
pub(crate) struct Call<'a> {
    /// Calls the controller.
    pub(crate) client: &'a Client,
    /// Tells this process's requests from those of any other.
    pub(crate) nonce: &'a [u8; 16],
    /// The tool's name.
    pub(crate) tool: &'a str,
    /// Where to put the job once it is recorded, if its end is not to be waited for.
    pub(crate) task: Option<&'a OnceLock<JobView>>,
    /// Asks the person at the client.
    pub(crate) ask: &'a Ask<'a>,
    /// The request: its id, its cancellation, its progress token, its client.
    pub(crate) context: RequestContext<RoleServer>,
}

type CallFuture<'a> = Pin<Box<dyn Future<Output = CallToolResult> + Send + 'a>>;

/// A tool in the table.
pub(crate) struct Entry {
    /// What clients are told of it.
    pub(crate) tool: Tool,
    /// What it does.
    pub(crate) effect: Effect,
    call: for<'a> fn(Call<'a>, JsonObject) -> CallFuture<'a>,
}

/// Every tool, in the order in which they are listed.
pub(crate) fn all() -> &'static [Entry] {
    static ALL: LazyLock<Vec<Entry>> = LazyLock::new(|| {
        vec![
            Entry::of::<ping::Ping>(),
            Entry::of::<list_hosts::ListHosts>(),
            Entry::of::<describe_host::DescribeHost>(),
            Entry::of::<plan::PlanCommand>(),
            Entry::of::<explain_denial::ExplainDenial>(),
            Entry::of::<run::Run>(),
            Entry::of::<run_on_tag::RunOnTag>(),
            Entry::of::<run_async::RunAsync>(),
            Entry::of::<task_status::TaskStatus>(),
            Entry::of::<task_result::TaskResult>(),
            Entry::of::<task_output::TaskOutput>(),
            Entry::of::<cancel_async_task::CancelAsyncTask>(),
            Entry::of::<list_jobs::ListJobs>(),
            Entry::of::<job_output::JobOutput>(),
            Entry::of::<cancel::Cancel>(),
            Entry::of::<reload_config::ReloadConfig>(),
            Entry::of::<upload::UploadFile>(),
            Entry::of::<download::DownloadFile>(),
            Entry::of::<search_audit::SearchAudit>(),
        ]
    });
    &ALL
}

/// The tool that is for the job view alone: models are not told of it, because it says nothing that others do not.
pub(crate) fn for_view() -> &'static Entry {
    static ENTRY: LazyLock<Entry> = LazyLock::new(|| {
        let mut entry = Entry::of::<view_job::ViewJob>();
        // The page knows the form; a list that clients keep is the shorter for it.
        entry.tool.output_schema = None;
        entry
    });
    &ENTRY
}

/// The hosts, as `ssh_list_hosts` tells them.
pub(crate) fn listed_hosts(hosts: Vec<HostView>) -> impl Serialize {
    list_hosts::Hosts::of(hosts)
}

/// What became of an ended job, as `ssh_get_task_result` tells it.
pub(crate) async fn job_result(client: &Client, job: JobId) -> Result<impl Serialize, Failure> {
    run_on_tag::result(&task_result::collect(client, job).await?)
}

/// The tool of that name.
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    all().iter().chain([for_view()]).find(|entry| entry.tool.name == name)
}

/// The result that a tool gives of a job that it began and that has ended since; `None` for a tool that begins none.
pub(crate) fn result_of(tool: &str, collector: &Collector) -> Option<Result<CallToolResult, Failure>> {
    match tool {
        run::Run::NAME => Some(told::<run::Run>(run::answer(collector, None))),
        run_on_tag::RunOnTag::NAME => Some(told::<run_on_tag::RunOnTag>(run_on_tag::answer(collector, None))),
        _ => None,
    }
}

fn told<T: BridgeTool>(answer: Result<Answer<T::Result>, Failure>) -> Result<CallToolResult, Failure> {
    answer.map(|answer| answer.into_result(T::UNTRUSTED))
}

/// What such a tool keeps of each stream; `None` for a tool that begins no job.
pub(crate) fn keep_of(tool: &str) -> Option<fn(u32) -> Keep> {
    match tool {
        run::Run::NAME => Some(run::keep),
        run_on_tag::RunOnTag::NAME => Some(run_on_tag::keep),
        _ => None,
    }
}

/// The scope of a user's token that a tool needs; `None` for a tool that there is not.
pub(crate) fn scope_of(name: &str) -> Option<Scope> {
    find(name).map(|entry| match entry.effect {
        Effect::Reads => Scope::Read,
        // Whoever fetches asks for a job.
        Effect::Runs | Effect::Stops | Effect::Puts | Effect::Fetches => Scope::Run,
    })
}

// === impl Entry ===

impl Entry {
    fn of<T: BridgeTool + 'static>() -> Self {
        let tool = Tool::new(T::NAME, T::DESCRIPTION, schema::input::<T::Parameters>())
            .with_title(T::TITLE)
            .with_raw_output_schema(schema::output::<T::Result>(T::UNTRUSTED))
            .with_annotations(T::EFFECT.annotations());
        Self { tool, effect: T::EFFECT, call: |call, arguments| Box::pin(handle::<T>(call, arguments)) }
    }

    /// Calls the tool.
    pub(crate) fn call<'a>(&self, call: Call<'a>, arguments: JsonObject) -> CallFuture<'a> {
        (self.call)(call, arguments)
    }
}

async fn handle<T: BridgeTool>(call: Call<'_>, arguments: JsonObject) -> CallToolResult {
    let parameters = match serde_json::from_value(serde_json::Value::Object(arguments)) {
        Ok(parameters) => parameters,
        Err(error) => {
            let next_step = "use exactly the arguments of the tool's input schema; there are no others";
            return failed(&Failure::new(
                ErrorCode::InvalidArgument,
                format!("{}: {error}", T::NAME),
                next_step,
            ));
        }
    };
    match T::call(&call, parameters).await {
        Ok(answer) => answer.into_result(T::UNTRUSTED),
        Err(failure) => failed(&failure),
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Entry").field("tool", &self.tool.name).finish_non_exhaustive()
    }
}

// === impl Call ===

impl Call<'_> {
    /// Where the request comes from, as its client says.
    pub(crate) fn origin(&self) -> Origin {
        let client = self.context.client_info().map(|info| format!("{}/{}", info.name, info.version));
        Origin::new(Via::Mcp, client.as_deref().unwrap_or_default())
    }
}

impl fmt::Debug for Call<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Call").field("tool", &self.tool).field("id", &self.context.id).finish_non_exhaustive()
    }
}

// === impl Effect ===

impl Effect {
    /// What clients may tell their people. Where nothing is changed, the other hints mean nothing.
    fn annotations(self) -> ToolAnnotations {
        let reads = matches!(self, Self::Reads | Self::Fetches);
        let hints = ToolAnnotations::new().read_only(reads).open_world(self != Self::Reads);
        match self {
            Self::Reads | Self::Fetches => hints,
            // Not idempotent is what clients take for granted.
            Self::Runs => hints.destructive(true),
            Self::Stops | Self::Puts => hints.destructive(true).idempotent(true),
        }
    }
}
