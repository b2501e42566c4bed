//! What clients read of jobs and invocations: plain values in core types.

use std::time::Duration;

use bytes::Bytes;
use lictor_core::{
    clock::Timestamp,
    command::Command,
    context::Context,
    digest::Digest,
    guard::Guard,
    id::{InvocationId, JobId},
    job::{Counts, JobState, Limits, Origin, Target},
    name::{AgentName, HostAlias, RuleId, SiteName},
    outcome::Outcome,
    output::StreamName,
    principal::Principal,
    retention::OutputRemoved,
    rollout::{HaltReason, Rollout},
};
use lictor_proto::{
    convert::{
        Invalid, context_from_wire, counts_from_wire, digest, guard_from_wire, halt_reason_from_wire,
        health_job_from_wire, job_state_from_wire, known, parse, required, rollout_from_wire,
    },
    pb,
};

use crate::approval::ApprovalView;

/// A job as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobView {
    /// Its identifier.
    pub id: JobId,
    /// Who asked.
    pub principal: Principal,
    /// By which door.
    pub origin: Origin,
    /// For which hosts, as asked.
    pub target: Target,
    /// The judged command.
    pub command: Command,
    /// In what it runs.
    pub context: Context,
    /// The version of the policy that decided.
    pub policy_version: u64,
    /// When it was recorded.
    pub created_at: Timestamp,
    /// Its state.
    pub state: JobState,
    /// How many invocations stand where.
    pub counts: Counts,
    /// Somebody asked to cancel it.
    pub cancel_requested: bool,
    /// Asked for as detached: guarded on its hosts, where they let it.
    pub detached: bool,
    /// For how long at most, as asked for; `None`: what policy says.
    pub timeout: Option<Duration>,
    /// How many bytes of output to keep, as asked for; `None`: what policy says.
    pub output_bytes: Option<u64>,
    /// In which waves, how many at a time, and what stops it.
    pub rollout: Rollout,
    /// How far that is; `None` where there is nothing to say.
    pub progress: Option<ProgressView>,
    /// The consent of others that it needs or needed; `None`: policy allowed it as it is.
    pub approval: Option<ApprovalView>,
}

/// How far a rollout is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProgressView {
    /// The wave under way, 1 for the first.
    pub wave: u32,
    /// Of so many.
    pub waves: u32,
    /// Until when the job rests between waves.
    pub soak_until: Option<Timestamp>,
    /// The job that checks the health of the wave.
    pub health_job: Option<JobId>,
    /// Who paused it.
    pub paused_by: Option<Principal>,
    /// Why it was halted.
    pub halted: Option<HaltReason>,
    /// Who asked for that.
    pub halted_by: Option<Principal>,
}

/// Where an invocation stands, without saying how it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Phase {
    /// Waiting for an agent.
    Queued,
    /// Handed to an agent.
    Offered,
    /// In the agent's journal.
    Accepted,
    /// Started.
    Running,
    /// Ended; there is an outcome.
    Ended,
}

/// One attempt at one host, as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvocationView {
    /// Its identifier.
    pub id: InvocationId,
    /// Its job.
    pub job: JobId,
    /// The host.
    pub host: HostAlias,
    /// The host's site.
    pub site: SiteName,
    /// 1 for the first attempt.
    pub attempt: u32,
    /// Where it stands.
    pub phase: Phase,
    /// How it ended; there exactly when the phase is [`Phase::Ended`].
    pub outcome: Option<Outcome>,
    /// The rule that decided; `None` if none matched.
    pub rule: Option<RuleId>,
    /// The limits decided for this host.
    pub limits: Limits,
    /// The agent that has it.
    pub agent: Option<AgentName>,
    /// The address that was connected to; told to operators only.
    pub address: Option<String>,
    /// When the exec request was sent.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Counts of standard output.
    pub stdout: StreamCounts,
    /// Counts of standard error.
    pub stderr: StreamCounts,
    /// What became known after an UNKNOWN end.
    pub resolution: Option<Outcome>,
    /// The wave in which it begins, 1 for the first; 0 if it never may.
    pub wave: u32,
    /// What kept it from starting twice.
    pub guard: Guard,
    /// What it printed is no longer kept.
    pub output_removed: Option<OutputRemoved>,
    /// How many secrets its site masked in what the host said.
    pub redactions: u64,
}

/// What is known of a stream without its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct StreamCounts {
    /// Bytes that the command printed.
    pub bytes_total: u64,
    /// Bytes of them that were kept.
    pub bytes_kept: u64,
    /// SHA-256 of all of them; `None` if the command never started or has not ended.
    pub digest: Option<Digest>,
}

/// A piece of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPiece {
    /// Whose output it is.
    pub invocation: InvocationId,
    /// Which stream.
    pub stream: StreamName,
    /// Position of its first byte in the whole stream.
    pub offset: u64,
    /// The bytes.
    pub data: Bytes,
}

// === impl JobView ===

impl TryFrom<pb::Job> for JobView {
    type Error = Invalid;
    fn try_from(wire: pb::Job) -> Result<Self, Invalid> {
        let pb::Job {
            id,
            principal,
            origin,
            target,
            command,
            command_text: _,
            policy_version,
            created_at,
            state,
            counts,
            cancel_requested,
            rollout,
            progress,
            detached,
            context,
            timeout_ms,
            output_bytes,
            approval,
        } = wire;
        Ok(Self {
            id: parse("job.id", &id)?,
            principal: required("job.principal", principal)?.try_into()?,
            origin: required("job.origin", origin)?.try_into()?,
            target: required("job.target", target)?.try_into()?,
            command: required("job.command", command)?.try_into()?,
            context: context_from_wire(context)?,
            policy_version,
            created_at: Timestamp::from_micros(created_at),
            state: job_state_from_wire(state)?,
            counts: counts_from_wire(&required("job.counts", counts)?),
            cancel_requested,
            detached,
            timeout: timeout_ms.map(Duration::from_millis),
            output_bytes,
            rollout: rollout_from_wire(rollout)?,
            progress: progress.map(TryInto::try_into).transpose()?,
            approval: approval.map(TryInto::try_into).transpose()?,
        })
    }
}

// === impl ProgressView ===

impl TryFrom<pb::RolloutProgress> for ProgressView {
    type Error = Invalid;
    fn try_from(wire: pb::RolloutProgress) -> Result<Self, Invalid> {
        let pb::RolloutProgress { wave, waves, soak_until, health_job, paused_by, halted, halted_by } = wire;
        Ok(Self {
            wave,
            waves,
            soak_until: soak_until.map(Timestamp::from_micros),
            health_job: health_job_from_wire(&health_job)?,
            paused_by: paused_by.map(TryInto::try_into).transpose()?,
            halted: halt_reason_from_wire(halted)?,
            halted_by: halted_by.map(TryInto::try_into).transpose()?,
        })
    }
}

// === impl Phase ===

impl Phase {
    /// The phase in capitals, as every interface writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "QUEUED",
            Self::Offered => "OFFERED",
            Self::Accepted => "ACCEPTED",
            Self::Running => "RUNNING",
            Self::Ended => "ENDED",
        }
    }

    fn from_wire(wire: i32) -> Result<Self, Invalid> {
        match known("invocation.phase", wire)? {
            pb::InvocationPhase::Unspecified => Err(Invalid::new("invocation.phase", "it is not set")),
            pb::InvocationPhase::Queued => Ok(Self::Queued),
            pb::InvocationPhase::Offered => Ok(Self::Offered),
            pb::InvocationPhase::Accepted => Ok(Self::Accepted),
            pb::InvocationPhase::Running => Ok(Self::Running),
            pb::InvocationPhase::Ended => Ok(Self::Ended),
        }
    }
}

// === impl InvocationView ===

impl InvocationView {
    /// The name of its state: the outcome's once it has ended, the phase's before.
    pub fn state(&self) -> &'static str {
        self.outcome.as_ref().map_or(self.phase.as_str(), Outcome::name)
    }

    /// Counts of the stream of that name.
    pub const fn stream(&self, name: StreamName) -> &StreamCounts {
        match name {
            StreamName::Stdout => &self.stdout,
            StreamName::Stderr => &self.stderr,
        }
    }

    /// Time between the exec request and the end, once both are known.
    pub fn duration(&self) -> Option<std::time::Duration> {
        Some(self.ended_at?.since(self.started_at?))
    }
}

impl TryFrom<pb::Invocation> for InvocationView {
    type Error = Invalid;
    fn try_from(wire: pb::Invocation) -> Result<Self, Invalid> {
        let pb::Invocation {
            id,
            job_id,
            host,
            site,
            attempt,
            phase,
            outcome,
            rule,
            limits,
            agent,
            address,
            started_at,
            ended_at,
            output,
            resolution,
            wave,
            guard,
            output_removed,
            redactions,
        } = wire;
        let pb::Output { stdout, stderr, timing: _ } = output.unwrap_or_default();
        let (phase, outcome) = (Phase::from_wire(phase)?, outcome.map(Outcome::try_from).transpose()?);
        if (phase == Phase::Ended) != outcome.is_some() {
            return Err(Invalid::new("invocation.outcome", "it is there exactly when the phase is ENDED"));
        }
        Ok(Self {
            id: parse("invocation.id", &id)?,
            job: parse("invocation.job_id", &job_id)?,
            host: parse("invocation.host", &host)?,
            site: parse("invocation.site", &site)?,
            attempt,
            phase,
            outcome,
            rule: optional("invocation.rule", &rule)?,
            limits: required("invocation.limits", limits)?.try_into()?,
            agent: optional("invocation.agent", &agent)?,
            address: Some(address).filter(|a| !a.is_empty()),
            started_at: started_at.map(Timestamp::from_micros),
            ended_at: ended_at.map(Timestamp::from_micros),
            stdout: stdout.unwrap_or_default().try_into()?,
            stderr: stderr.unwrap_or_default().try_into()?,
            resolution: resolution.map(Outcome::try_from).transpose()?,
            wave,
            guard: guard_from_wire("invocation.guard", guard)?,
            output_removed: output_removed.map(TryInto::try_into).transpose()?,
            redactions,
        })
    }
}

// === impl StreamCounts ===

impl TryFrom<pb::StreamSummary> for StreamCounts {
    type Error = Invalid;
    fn try_from(wire: pb::StreamSummary) -> Result<Self, Invalid> {
        let pb::StreamSummary { bytes_total, digest: bytes, head_bytes, tail_bytes, head: _, tail: _ } = wire;
        let digest = if bytes.is_empty() { None } else { Some(digest("output.digest", &bytes)?) };
        Ok(Self { bytes_total, bytes_kept: head_bytes.saturating_add(tail_bytes), digest })
    }
}

// === impl OutputPiece ===

impl TryFrom<pb::OutputChunk> for OutputPiece {
    type Error = Invalid;
    fn try_from(wire: pb::OutputChunk) -> Result<Self, Invalid> {
        let pb::OutputChunk { invocation_id, stream, offset, data } = wire;
        let stream: pb::StreamName = known("output.stream", stream)?;
        Ok(Self {
            invocation: parse("output.invocation_id", &invocation_id)?,
            stream: stream.try_into()?,
            offset,
            data,
        })
    }
}

/// Parses a text field whose empty text means that there is none.
pub(crate) fn optional<T>(field: &'static str, text: &str) -> Result<Option<T>, Invalid>
where
    T: std::str::FromStr,
    T::Err: std::fmt::Display,
{
    if text.is_empty() { Ok(None) } else { parse(field, text).map(Some) }
}
