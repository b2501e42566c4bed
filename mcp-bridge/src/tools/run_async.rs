//! `ssh_run_async`: a command that is not waited for.

use lictor_core::error::Failure;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{BridgeTool, Call, Effect};
use crate::{
    answer::Answer,
    arguments::{Asked, ContextArguments, RolloutArguments, job_spec, target},
    ask::go_on,
    follow::asking_again,
    job_status::{JobStatus, JobSummary},
    waiting::{WAITING_LATER_STEP, Waiting},
};

/// The tool.
#[derive(Debug)]
pub(super) enum RunAsync {}

/// What to run where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// One host; or else tag or match.
    #[serde(default)]
    alias: Option<String>,
    /// Every host with this tag.
    #[serde(default)]
    tag: Option<String>,
    /// Hosts by expression.
    #[serde(default, rename = "match")]
    expression: Option<String>,
    /// Literal words; or else argv.
    #[serde(default)]
    command: Option<String>,
    /// Program and arguments, each literal.
    #[serde(default)]
    argv: Option<Vec<String>>,
    /// In what it runs, if policy permits.
    #[serde(default)]
    context: Option<ContextArguments>,
    /// How it goes out over the hosts.
    #[serde(default)]
    rollout: Option<RolloutArguments>,
    /// Guard it on the host, too, so that it outlives the connection.
    #[serde(default)]
    detached: bool,
    /// Seconds it may run on each host; policy may lower it.
    #[serde(default)]
    timeout_seconds: Option<u64>,
    /// Repeated with this key, it never runs twice.
    #[serde(default)]
    idempotency_key: Option<String>,
}

/// What to do about a job that runs.
const STEP: &str = "ssh_get_task_status with wait_seconds waits for its end; then ssh_get_task_result";

/// The recorded job.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Started {
    /// Identifier of the job; every tool takes it as `task_id` or `job_id`.
    task_id: String,
    /// pending, running, or as it ended where the request was a repetition.
    status: &'static str,
    /// For which hosts.
    target: String,
    /// The command, as hosts receive it.
    command: String,
    /// Number of hosts.
    hosts_total: u32,
    /// Whether an earlier request with the same idempotency key started it.
    replayed: bool,
    /// There only while it awaits approval.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Map<String, Value>")]
    waiting: Option<Waiting>,
    /// What to do next.
    next_step: &'static str,
}

impl BridgeTool for RunAsync {
    const NAME: &'static str = "ssh_run_async";
    const TITLE: &'static str = "Start a command";
    const DESCRIPTION: &'static str = "Starts a command as ssh_run and ssh_run_on_tag do, without waiting for its end. It \
        outlives this conversation; ssh_cancel stops it.";
    const EFFECT: Effect = Effect::Runs;
    type Parameters = Parameters;
    type Result = Started;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<Started>, Failure> {
        let Parameters {
            alias,
            tag,
            expression,
            command,
            argv,
            context,
            rollout,
            detached,
            timeout_seconds,
            idempotency_key,
        } = parameters;
        let target = target(alias.as_deref(), tag.as_deref(), expression.as_deref())?;
        let asked =
            Asked { target, command, argv, context, rollout, detached, timeout_seconds, idempotency_key };
        let spec = job_spec(call, asked)?;
        go_on(call, &spec).await?;
        let submitted = call.client.submit(&spec).await.map_err(|failure| asking_again(failure, &spec))?;
        let (status, summary) = (JobStatus::of(&submitted.job), JobSummary::of(&submitted.job));
        let waiting = Waiting::of_job(&submitted.job, spec.idempotency_key.as_ref());
        Ok(Answer::done(Started {
            task_id: summary.job_id,
            status: status.status,
            target: summary.target,
            command: summary.command,
            hosts_total: summary.hosts_total,
            replayed: submitted.replayed,
            next_step: if waiting.is_some() { WAITING_LATER_STEP } else { STEP },
            waiting,
        }))
    }
}
