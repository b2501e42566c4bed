//! `ssh_run`: a command on one host.

use lictor_client::collect::{Collector, Keep};
use lictor_core::{
    error::{ErrorCode, Failure},
    job::IdempotencyKey,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BridgeTool, Call, Effect};
use crate::{
    advice,
    answer::Answer,
    arguments::{Asked, ContextArguments, job_spec, one_host},
    ask::meant,
    follow::follow_on_host,
    host_run::{HostRun, host_of, refusal},
    waiting::{WAITING_STEP, Waiting},
};

/// Most of each stream that a result shows: some 6,000 tokens, of which a model can still read both.
const STREAM_BUDGET: usize = 24 * 1024;

/// The tool.
#[derive(Debug)]
pub(super) enum Run {}

/// What to run where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// Alias of the host.
    alias: String,
    /// Literal words; or else argv.
    #[serde(default)]
    command: Option<String>,
    /// Program and arguments, each taken literally.
    #[serde(default)]
    argv: Option<Vec<String>>,
    /// In what it runs, if policy permits.
    #[serde(default)]
    context: Option<ContextArguments>,
    /// Seconds the command may run; policy may lower it.
    #[serde(default)]
    timeout_seconds: Option<u64>,
    /// Repeated with this key, it never runs twice.
    #[serde(default)]
    idempotency_key: Option<String>,
}

/// What became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct RunResult {
    /// Identifier of the job; ssh_cancel takes it.
    job_id: String,
    #[serde(flatten)]
    run: HostRun,
    /// Whether this is the result of an earlier request with the same idempotency key.
    replayed: bool,
    /// There only while the state is AWAITING_APPROVAL: whose consent the job waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<Waiting>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<&'static str>,
}

impl BridgeTool for Run {
    const NAME: &'static str = "ssh_run";
    const TITLE: &'static str = "Run a command on a host";
    const DESCRIPTION: &'static str = "Runs a command on one host, if policy allows it, and waits for its end. A failing exit \
        code is a normal result. Cancelling the request stops the command.";
    const EFFECT: Effect = Effect::Runs;
    const UNTRUSTED: &'static [&'static str] = &["stdout", "stderr"];
    type Parameters = Parameters;
    type Result = RunResult;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<RunResult>, Failure> {
        let Parameters { alias, command, argv, context, timeout_seconds, idempotency_key } = parameters;
        let target = one_host(&meant(call, alias)?)?;
        let (rollout, detached) = (None, false);
        let asked =
            Asked { target, command, argv, context, rollout, detached, timeout_seconds, idempotency_key };
        let spec = job_spec(call, asked)?;
        let key = spec.idempotency_key.clone();
        answer(&follow_on_host(call, spec, keep).await?, key.as_ref())
    }
}

/// What is kept of each stream.
pub(super) fn keep(_hosts: u32) -> Keep {
    Keep::at_most(STREAM_BUDGET)
}

/// What became of the job that was followed.
pub(super) fn answer(
    collector: &Collector,
    key: Option<&IdempotencyKey>,
) -> Result<Answer<RunResult>, Failure> {
    if let (Some(waiting), Some(submitted)) = (Waiting::of(collector, key), collector.submitted()) {
        return Ok(Answer::done(RunResult {
            job_id: submitted.job.id.to_string(),
            run: HostRun::awaiting(host_of(&submitted.job.target)),
            replayed: submitted.replayed,
            waiting: Some(waiting),
            next_step: Some(WAITING_STEP),
        }));
    }
    let invocations = collector.invocations();
    let (Some((invocation, collected)), Some(submitted)) = (invocations.last(), collector.submitted()) else {
        let next_step = "use bridge and controller of the same version";
        return Err(Failure::new(ErrorCode::Internal, "the controller told of no host", next_step));
    };
    let result = RunResult {
        job_id: submitted.job.id.to_string(),
        run: HostRun::show(invocation, collected, STREAM_BUDGET),
        replayed: submitted.replayed,
        waiting: None,
        next_step: invocation.outcome.as_ref().and_then(advice::next_step),
    };
    Ok(Answer::refused(result, refusal(invocation)))
}
