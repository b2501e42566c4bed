//! Job specs in, jobs out; and what clients read back.

use std::time::Duration;

use lictor_core::{
    job::{CommandInput, Counts, IdempotencyKey, Job, JobSpec, JobState, Limits, Target},
    limits::{MAX_DOWNLOAD_BYTES, MAX_HOSTS_PER_JOB, MAX_LINE_BYTES, MAX_TIMEOUT, MAX_WORD_BYTES, MAX_WORDS},
};

use super::{
    Invalid,
    approval::approval_to_wire,
    at_most, context_from_wire, context_to_wire, digest, known, millis, parse, required,
    rollout::{progress_to_wire, rollout_from_wire, rollout_to_wire},
};
use crate::pb;

impl From<&Limits> for pb::Limits {
    fn from(limits: &Limits) -> Self {
        Self { timeout_ms: millis(limits.timeout), output_bytes: limits.output_bytes }
    }
}

impl TryFrom<pb::Limits> for Limits {
    type Error = Invalid;
    fn try_from(wire: pb::Limits) -> Result<Self, Invalid> {
        let limits =
            Self { timeout: Duration::from_millis(wire.timeout_ms), output_bytes: wire.output_bytes };
        if limits.timeout.is_zero() || limits.timeout > MAX_TIMEOUT {
            return Err(Invalid::new("limits.timeout_ms", "it must be above 0 and at most a day"));
        }
        // What is no download is held to less by whoever runs it, and knows what it is.
        if limits.output_bytes > MAX_DOWNLOAD_BYTES {
            return Err(Invalid::new(
                "limits.output_bytes",
                format_args!("at most {MAX_DOWNLOAD_BYTES} are allowed"),
            ));
        }
        Ok(limits)
    }
}

impl From<&Target> for pb::Target {
    fn from(target: &Target) -> Self {
        let kind = match target {
            Target::Hosts(hosts) => pb::target::Kind::Hosts(pb::HostList {
                aliases: hosts.iter().map(ToString::to_string).collect(),
            }),
            Target::Tag(tag) => pb::target::Kind::Tag(tag.to_string()),
            Target::Expression(expression) => pb::target::Kind::Expression(expression.to_string()),
        };
        Self { kind: Some(kind) }
    }
}

impl TryFrom<pb::Target> for Target {
    type Error = Invalid;
    fn try_from(wire: pb::Target) -> Result<Self, Invalid> {
        match required("target", wire.kind)? {
            pb::target::Kind::Hosts(pb::HostList { aliases }) => {
                at_most("target.hosts", &aliases, MAX_HOSTS_PER_JOB)?;
                if aliases.is_empty() {
                    return Err(Invalid::new("target.hosts", "there is none"));
                }
                let mut hosts =
                    aliases.iter().map(|a| parse("target.hosts", a)).collect::<Result<Vec<_>, _>>()?;
                hosts.sort();
                hosts.dedup();
                Ok(Self::Hosts(hosts))
            }
            pb::target::Kind::Tag(tag) => Ok(Self::Tag(parse("target.tag", &tag)?)),
            pb::target::Kind::Expression(text) => Ok(Self::Expression(parse("target.expression", &text)?)),
        }
    }
}

impl From<&CommandInput> for pb::CommandInput {
    fn from(input: &CommandInput) -> Self {
        let form = match input {
            CommandInput::Argv(words) => pb::command_input::Form::Argv(pb::Argv { words: words.clone() }),
            CommandInput::Line(line) => pb::command_input::Form::Line(line.clone()),
        };
        Self { form: Some(form) }
    }
}

impl TryFrom<pb::CommandInput> for CommandInput {
    type Error = Invalid;
    /// Checks sizes only; what the text means is for the policy crate to say.
    fn try_from(wire: pb::CommandInput) -> Result<Self, Invalid> {
        match required("command", wire.form)? {
            pb::command_input::Form::Argv(pb::Argv { words }) => {
                at_most("command.argv", &words, MAX_WORDS)?;
                if words.iter().any(|w| w.len() > MAX_WORD_BYTES) {
                    return Err(Invalid::new(
                        "command.argv",
                        format_args!("a word is longer than {MAX_WORD_BYTES} bytes"),
                    ));
                }
                Ok(Self::Argv(words))
            }
            pb::command_input::Form::Line(line) if line.len() > MAX_LINE_BYTES => {
                Err(Invalid::new("command.line", format_args!("it is longer than {MAX_LINE_BYTES} bytes")))
            }
            pb::command_input::Form::Line(line) => Ok(Self::Line(line)),
        }
    }
}

impl From<&JobSpec> for pb::SubmitRequest {
    fn from(spec: &JobSpec) -> Self {
        let JobSpec {
            target,
            command,
            context,
            timeout,
            output_bytes,
            queue_wait,
            idempotency_key,
            plan_digest,
            rollout,
            detached,
            origin,
        } = spec;
        Self {
            target: Some(target.into()),
            command: Some(command.into()),
            timeout_ms: timeout.map(millis),
            output_bytes: *output_bytes,
            queue_wait_ms: queue_wait.map(millis),
            idempotency_key: idempotency_key.as_ref().map(|k| k.as_str().to_owned()),
            origin: Some(origin.into()),
            plan_digest: plan_digest.map(|d| d.as_bytes().to_vec()),
            rollout: rollout_to_wire(rollout),
            detached: *detached,
            context: context_to_wire(context),
            // How its caller wants to be told is no part of the job.
            live: false,
        }
    }
}

impl TryFrom<pb::SubmitRequest> for JobSpec {
    type Error = Invalid;
    fn try_from(wire: pb::SubmitRequest) -> Result<Self, Invalid> {
        let pb::SubmitRequest {
            target,
            command,
            timeout_ms,
            output_bytes,
            queue_wait_ms,
            idempotency_key,
            origin,
            plan_digest,
            rollout,
            detached,
            context,
            live: _,
        } = wire;
        if timeout_ms == Some(0) {
            return Err(Invalid::new("timeout_ms", "it must be above 0"));
        }
        let context = context_from_wire(context)?;
        // Its guard is the site's own login's, which could neither prove that another's began nor stop it alone.
        if detached && context.run_as.is_some() {
            return Err(Invalid::new(
                "detached",
                "a detached command cannot run as another login: leave out run_as, or run it without detached",
            ));
        }
        Ok(Self {
            target: required("target", target)?.try_into()?,
            command: required("command", command)?.try_into()?,
            context,
            timeout: timeout_ms.map(Duration::from_millis),
            output_bytes,
            queue_wait: queue_wait_ms.map(Duration::from_millis),
            idempotency_key: idempotency_key
                .map(|k| IdempotencyKey::new(&k).map_err(|e| Invalid::new("idempotency_key", e)))
                .transpose()?,
            plan_digest: plan_digest.map(|bytes| digest("plan_digest", &bytes)).transpose()?,
            rollout: rollout_from_wire(rollout)?,
            detached,
            origin: required("origin", origin)?.try_into()?,
        })
    }
}

/// The job with its counts.
pub fn job_to_wire(job: &Job, counts: &Counts) -> pb::Job {
    pb::Job {
        id: job.id.to_string(),
        principal: Some((&job.principal).into()),
        origin: Some((&job.origin).into()),
        target: Some((&job.target).into()),
        command: Some((&job.command).into()),
        command_text: job.command.render(),
        policy_version: job.policy_version,
        created_at: job.created_at.as_micros(),
        state: state_to_wire(job.state(counts)).into(),
        counts: Some(counts.into()),
        cancel_requested: job.cancel_requested.is_some(),
        rollout: rollout_to_wire(&job.rollout),
        progress: progress_to_wire(job),
        detached: job.detached,
        context: context_to_wire(&job.context),
        timeout_ms: job.timeout.map(millis),
        output_bytes: job.output_bytes,
        approval: approval_to_wire(job),
    }
}

impl From<&Counts> for pb::Counts {
    fn from(counts: &Counts) -> Self {
        let Counts { queued, active, succeeded, failed, not_run, cancelled, unknown } = *counts;
        Self { queued, active, succeeded, failed, not_run, cancelled, unknown }
    }
}

/// The counts of a job as a client reads them.
pub const fn counts_from_wire(wire: &pb::Counts) -> Counts {
    let pb::Counts { queued, active, succeeded, failed, not_run, cancelled, unknown } = *wire;
    Counts { queued, active, succeeded, failed, not_run, cancelled, unknown }
}

const fn state_to_wire(state: JobState) -> pb::JobState {
    match state {
        JobState::Queued => pb::JobState::Queued,
        JobState::Running => pb::JobState::Running,
        JobState::Succeeded => pb::JobState::Succeeded,
        JobState::Partial => pb::JobState::Partial,
        JobState::Failed => pb::JobState::Failed,
        JobState::Cancelled => pb::JobState::Cancelled,
        JobState::Unknown => pb::JobState::Unknown,
        JobState::Halted => pb::JobState::Halted,
        JobState::Cancelling => pb::JobState::Cancelling,
        JobState::Halting => pb::JobState::Halting,
        JobState::Paused => pb::JobState::Paused,
        JobState::AwaitingApproval => pb::JobState::AwaitingApproval,
    }
}

/// The state of a job as a client reads it.
///
/// # Errors
/// [`Invalid`] for a state that this version does not know.
pub fn job_state_from_wire(wire: i32) -> Result<JobState, Invalid> {
    match known("job.state", wire)? {
        pb::JobState::Unspecified => Err(Invalid::new("job.state", "it is not set")),
        pb::JobState::Queued => Ok(JobState::Queued),
        pb::JobState::Running => Ok(JobState::Running),
        pb::JobState::Succeeded => Ok(JobState::Succeeded),
        pb::JobState::Partial => Ok(JobState::Partial),
        pb::JobState::Failed => Ok(JobState::Failed),
        pb::JobState::Cancelled => Ok(JobState::Cancelled),
        pb::JobState::Unknown => Ok(JobState::Unknown),
        pb::JobState::Halted => Ok(JobState::Halted),
        pb::JobState::Cancelling => Ok(JobState::Cancelling),
        pb::JobState::Halting => Ok(JobState::Halting),
        pb::JobState::Paused => Ok(JobState::Paused),
        pb::JobState::AwaitingApproval => Ok(JobState::AwaitingApproval),
    }
}

#[cfg(test)]
mod tests {
    use lictor_core::{
        content::Content,
        context::{Context, Environment},
        digest::Digest,
        job::Origin,
        name::Tag,
        principal::Via,
    };

    use super::*;

    #[test]
    fn a_target_expression_survives_the_wire_in_its_canonical_form() {
        let target = Target::Expression("(tag:web)and not web-1".parse().unwrap());
        let wire = pb::Target::from(&target);
        assert_eq!(wire.kind, Some(pb::target::Kind::Expression("tag:web and not host:web-1".into())));
        assert_eq!(Target::try_from(wire), Ok(target));
        let broken = pb::Target { kind: Some(pb::target::Kind::Expression("tag:web and".into())) };
        assert_eq!(Target::try_from(broken).map_err(|e| e.field()), Err("target.expression"));
    }

    #[test]
    fn a_detached_request_may_have_all_of_a_context_but_another_login() {
        let context = Context {
            environment: Environment::from_pairs([("LANG", "C")]).unwrap(),
            working_directory: Some("/srv".parse().unwrap()),
            run_as: None,
            stdin: Some(Content::of(b"given").unwrap()),
        };
        let target = Target::Tag(Tag::new("web").unwrap());
        let origin = Origin::new(Via::Cli, "test");
        let plain = JobSpec::new(target, CommandInput::Line("uptime".into()), origin);
        let spec = JobSpec { detached: true, context, ..plain };
        assert_eq!(JobSpec::try_from(pb::SubmitRequest::from(&spec)), Ok(spec.clone()));
        let context = Context { run_as: Some("deploy".parse().unwrap()), ..spec.context.clone() };
        let as_another = JobSpec { context, ..spec };
        let refused = JobSpec::try_from(pb::SubmitRequest::from(&as_another)).map_err(|e| e.field());
        assert_eq!(refused, Err("detached"));
        let attached = JobSpec { detached: false, ..as_another };
        assert_eq!(JobSpec::try_from(pb::SubmitRequest::from(&attached)), Ok(attached));
    }

    #[test]
    fn a_request_with_a_plan_survives_the_wire_and_a_digest_of_another_length_is_refused() {
        let spec = JobSpec {
            plan_digest: Some(Digest::of(b"plan")),
            ..JobSpec::new(
                Target::Tag(Tag::new("web").unwrap()),
                CommandInput::Line("uptime".into()),
                Origin::new(Via::Cli, "test"),
            )
        };
        let wire = pb::SubmitRequest::from(&spec);
        assert_eq!(JobSpec::try_from(wire.clone()), Ok(spec));
        for bytes in [vec![], vec![0; 31], vec![0; 33]] {
            let damaged = pb::SubmitRequest { plan_digest: Some(bytes), ..wire.clone() };
            assert_eq!(JobSpec::try_from(damaged).map_err(|e| e.field()), Err("plan_digest"));
        }
    }
}
