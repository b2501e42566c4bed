//! From arguments to the nouns of a job, with errors that a model can correct itself by.

use std::{fmt, str::FromStr, time::Duration};

use lictor_core::{
    error::{ErrorCode, Failure},
    id::JobId,
    job::{CommandInput, IdempotencyKey, JobSpec, Target},
    limits::MAX_TIMEOUT,
};
use serde_json::Value;

mod context;
mod rollout;

pub(crate) use self::{context::ContextArguments, rollout::RolloutArguments};
use crate::{key::derived_key, tools::Call};

/// The field of a request's `_meta` with its idempotency key: for clients whose models choose the arguments.
const KEY_IN_META: &str = "dev.lictor/idempotency_key";

/// What a run tool is asked for, before it is checked.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) target: Target,
    pub(crate) command: Option<String>,
    pub(crate) argv: Option<Vec<String>>,
    pub(crate) context: Option<ContextArguments>,
    pub(crate) rollout: Option<RolloutArguments>,
    pub(crate) detached: bool,
    pub(crate) timeout_seconds: Option<u64>,
    pub(crate) idempotency_key: Option<String>,
}

/// The job that is asked for; without a key of its own it gets one that a repetition of the same request has too.
pub(crate) fn job_spec(call: &Call<'_>, asked: Asked) -> Result<JobSpec, Failure> {
    let Asked { target, command, argv, context, rollout, detached, timeout_seconds, idempotency_key } = asked;
    let mut spec = planned_spec(call, target, command, argv, context)?;
    spec.rollout = self::rollout::rollout(rollout)?;
    spec.detached = detached;
    spec.timeout = timeout_seconds.map(timeout).transpose()?;
    spec.idempotency_key = key_of(call, &spec, idempotency_key)?;
    Ok(spec)
}

/// The key that was given, by the argument or by the request's `_meta`; otherwise one that the same request has again.
pub(crate) fn key_of(
    call: &Call<'_>,
    spec: &JobSpec,
    given: Option<String>,
) -> Result<Option<IdempotencyKey>, Failure> {
    let beside = match call.context.meta.get(KEY_IN_META) {
        None => None,
        Some(Value::String(text)) => Some(text.clone()),
        Some(_) => return Err(refused(KEY_IN_META, "it is not text")),
    };
    let key = |name, text: String| IdempotencyKey::new(&text).map(Some).map_err(|error| refused(name, error));
    match (given, beside) {
        (Some(given), Some(beside)) if given != beside => Err(refused(
            "idempotency_key",
            format_args!("{KEY_IN_META} in _meta is another one; give one of them"),
        )),
        (Some(given), _) => key("idempotency_key", given),
        (None, Some(beside)) => key(KEY_IN_META, beside),
        (None, None) => Ok(derived_key(call, spec)),
    }
}

/// The job that would be asked for, to be planned only.
pub(crate) fn planned_spec(
    call: &Call<'_>,
    target: Target,
    command: Option<String>,
    argv: Option<Vec<String>>,
    context: Option<ContextArguments>,
) -> Result<JobSpec, Failure> {
    let command = match (command, argv) {
        (Some(line), None) => CommandInput::Line(line),
        (None, Some(words)) => CommandInput::Argv(words),
        _ => {
            return Err(refused(
                "command",
                "give either command (one line) or argv (a list of words), and not both",
            ));
        }
    };
    let context = self::context::context(context)?;
    Ok(JobSpec { context, ..JobSpec::new(target, command, call.origin()) })
}

/// One host, all hosts with a tag, or those that an expression means.
pub(crate) fn target(
    alias: Option<&str>,
    tag: Option<&str>,
    expression: Option<&str>,
) -> Result<Target, Failure> {
    match (alias, tag, expression) {
        (Some(alias), None, None) => one_host(alias),
        (None, tag, expression) if tag.is_some() || expression.is_some() => hosts_of(tag, expression),
        _ => Err(refused(
            "alias",
            "give exactly one of alias (one host), tag (every host with it) and match (an expression)",
        )),
    }
}

/// All hosts with a tag, or those that an expression means.
pub(crate) fn hosts_of(tag: Option<&str>, expression: Option<&str>) -> Result<Target, Failure> {
    match (tag, expression) {
        (Some(tag), None) => every_host(tag),
        (None, Some(expression)) => Ok(Target::Expression(parse("match", expression)?)),
        _ => {
            Err(refused("tag", "give either tag (every host with it) or match (an expression), and not both"))
        }
    }
}

/// A job by its identifier. `task_id` is another name for the same identifier, for clients that know tasks.
pub(crate) fn job_id(job_id: Option<&str>, task_id: Option<&str>) -> Result<JobId, Failure> {
    match (job_id, task_id) {
        (Some(job), None) => parse("job_id", job),
        (None, Some(task)) => parse("task_id", task),
        _ => Err(refused("job_id", "give either job_id or task_id, which are the same, and not both")),
    }
}

/// The host with this alias.
pub(crate) fn one_host(alias: &str) -> Result<Target, Failure> {
    Ok(Target::Hosts(vec![parse("alias", alias)?]))
}

/// Every host with this tag.
fn every_host(tag: &str) -> Result<Target, Failure> {
    Ok(Target::Tag(parse("tag", tag)?))
}

/// Parses the argument called `name`.
pub(crate) fn parse<T>(name: &str, text: &str) -> Result<T, Failure>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    text.parse().map_err(|error| refused(name, error))
}

fn timeout(seconds: u64) -> Result<Duration, Failure> {
    let timeout = Duration::from_secs(seconds);
    if timeout.is_zero() || timeout > MAX_TIMEOUT {
        return Err(refused(
            "timeout_seconds",
            format_args!("it must be from 1 to {}", MAX_TIMEOUT.as_secs()),
        ));
    }
    Ok(timeout)
}

fn refused(name: &str, why: impl fmt::Display) -> Failure {
    Failure::new(ErrorCode::InvalidArgument, format!("{name}: {why}"), "correct this argument and call again")
        .with("argument", name)
}
