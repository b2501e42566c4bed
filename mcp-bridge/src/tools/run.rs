//! `ssh_run`: a command on one host.

use lictor_client::collect::{Collector, Keep};
use lictor_core::error::{ErrorCode, Failure};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BridgeTool, Call, Effect};
use crate::{
    advice,
    answer::Answer,
    arguments::{Asked, job_spec, one_host},
    follow::follow,
    host_run::{HostRun, refusal},
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
    /// The command as one line of literal words. Give either command or argv.
    #[serde(default)]
    command: Option<String>,
    /// The program and its arguments, each taken literally. Give either command or argv.
    #[serde(default)]
    argv: Option<Vec<String>>,
    /// Seconds the command may run. Policy may lower it.
    #[serde(default)]
    timeout_seconds: Option<u64>,
    /// 1 to 128 printable characters. The same key with the same request never runs twice within 7 days and gives the
    /// result of the first time.
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
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<&'static str>,
}

impl BridgeTool for Run {
    const NAME: &'static str = "ssh_run";
    const TITLE: &'static str = "Run a command on a host";
    const DESCRIPTION: &'static str = "Runs a command on one host, if policy allows it, and waits for its end. A failing exit \
        code is a normal result; an error means that it did not run or that nobody can know. Cancelling the request stops \
        the command.";
    const EFFECT: Effect = Effect::Runs;
    type Parameters = Parameters;
    type Result = RunResult;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<RunResult>, Failure> {
        let Parameters { alias, command, argv, timeout_seconds, idempotency_key } = parameters;
        let asked = Asked { target: one_host(&alias)?, command, argv, timeout_seconds, idempotency_key };
        let spec = job_spec(call, asked)?;
        answer(&follow(call, &spec, keep).await?)
    }
}

/// What is kept of each stream.
pub(super) fn keep(_hosts: u32) -> Keep {
    Keep::at_most(STREAM_BUDGET)
}

/// What became of the job that was followed.
pub(super) fn answer(collector: &Collector) -> Result<Answer<RunResult>, Failure> {
    let invocations = collector.invocations();
    let (Some((invocation, collected)), Some(submitted)) = (invocations.last(), collector.submitted()) else {
        let next_step = "use bridge and controller of the same version";
        return Err(Failure::new(ErrorCode::Internal, "the controller told of no host", next_step));
    };
    let result = RunResult {
        job_id: submitted.job.id.to_string(),
        run: HostRun::show(invocation, collected, STREAM_BUDGET),
        replayed: submitted.replayed,
        next_step: invocation.outcome.as_ref().and_then(advice::next_step),
    };
    Ok(Answer::refused(result, refusal(invocation)))
}
