//! What the audit log can say: a closed list of events, each with its fields by name.
//!
//! A log record is the event's kind and fields plus a time and an index; the store encodes it. Adding an event or a
//! field is allowed; renaming or retyping one needs a new record version.

use std::sync::Arc;

use crate::{
    actor::Actor,
    clock::Timestamp,
    command::Command,
    context::Context,
    digest::Digest,
    freeze::Freeze,
    id::{InvocationId, JobId, TokenId},
    invocation::Invocation,
    job::{Job, Limits, Origin, Target},
    name::{AgentName, HostAlias, RuleId, SiteName},
    outcome::Outcome,
    principal::{Identity, Principal},
    revocation::Revocation,
    rollout::{HaltReason, Rollout},
};

mod access;
mod approval;
mod erasure;
mod fields;
pub mod payload;
pub mod query;
mod refusal;
mod retention;
mod witness;

pub use self::{
    access::{AccessEvent, JoinRefusal},
    approval::{ApprovalChange, ApprovalEvent},
    erasure::{ErasureEvent, MAX_RANGES},
    refusal::{BadEvidence, SignedRefusal},
    retention::RetentionEvent,
    witness::WitnessEvent,
};

/// Most invocations that one record names as unreadable: as many as fit a few kilobytes.
pub const MAX_UNREADABLE_NAMED: usize = 64;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuditEvent {
    /// A controller began to serve.
    ControllerStarted {
        /// Its name.
        name: String,
    },
    /// Another policy is in force.
    PolicyChanged {
        /// The version, counted from 1.
        version: u64,
        /// Digest of its text.
        digest: Digest,
        /// Who changed it; `file` for an edit of the file on the controller.
        by: String,
        /// What whoever changed it says of the change.
        note: Option<String>,
    },
    /// A policy is proposed: from now on it is judged beside the one in force.
    ShadowPolicySet {
        /// Digest of its text.
        digest: Digest,
        /// Who proposed it.
        by: Principal,
    },
    /// No policy is proposed any more.
    ShadowPolicyCleared {
        /// Who withdrew it.
        by: Principal,
    },
    /// A job was permitted. Its invocations follow in the same commit.
    JobSubmitted {
        /// The job.
        job: JobId,
        /// Who asked.
        principal: Principal,
        /// By which door.
        origin: Origin,
        /// For which hosts, as asked.
        target: Target,
        /// The judged command.
        command: Command,
        /// In what it runs, values of variables included.
        context: Context,
        /// Digest of the request as it came.
        request_digest: Digest,
        /// The version of the policy that decided.
        policy_version: u64,
        /// How it goes out.
        rollout: Rollout,
    },
    /// An invocation is meant to start: the record that must be durable before anything does.
    InvocationIntended {
        /// The invocation.
        invocation: InvocationId,
        /// Its job.
        job: JobId,
        /// The host.
        host: HostAlias,
        /// The host's site.
        site: SiteName,
        /// The rule that allowed it.
        rule: Option<RuleId>,
        /// The limits decided.
        limits: Limits,
        /// The agent and epoch it goes to; `None` while no agent of the site is connected.
        offered: Option<(AgentName, u64)>,
    },
    /// A queued invocation is offered to an agent.
    InvocationOffered {
        /// The invocation.
        invocation: InvocationId,
        /// The agent.
        agent: AgentName,
        /// The epoch of its session.
        epoch: u64,
    },
    /// An offer certainly did not arrive; the invocation is queued again.
    InvocationReturned {
        /// The invocation.
        invocation: InvocationId,
        /// The agent that does not have it.
        agent: AgentName,
    },
    /// A request was refused as a whole; nothing was recorded to run.
    RequestDenied {
        /// Who asked.
        principal: Principal,
        /// By which door.
        origin: Origin,
        /// For which hosts, as asked.
        target: Target,
        /// The command: as judged, or as given when it did not parse, cut to 1,024 characters.
        command: String,
        /// In what it would have run, values of variables included.
        context: Context,
        /// Digest of the request as it came.
        request_digest: Digest,
        /// The code, e.g. `E_EXPANSION`, `POLICY_DEFAULT_DENY`.
        code: String,
        /// The reason for people.
        reason: String,
        /// The rule that denied it.
        rule: Option<RuleId>,
        /// The version of the policy that decided.
        policy_version: u64,
    },
    /// An invocation ended.
    InvocationEnded {
        /// The invocation as it ended.
        invocation: Arc<Invocation>,
        /// The agent that reported it.
        agent: Option<AgentName>,
    },
    /// Evidence came for an invocation that had ended UNKNOWN.
    InvocationResolved {
        /// The invocation.
        invocation: InvocationId,
        /// The agent that reported it.
        agent: AgentName,
        /// What it reported.
        outcome: Outcome,
    },
    /// An agent reported another end than the one recorded; the first stands.
    ResultConflict {
        /// The invocation.
        invocation: InvocationId,
        /// The agent.
        agent: String,
        /// What is recorded.
        recorded: String,
        /// What was reported.
        reported: String,
    },
    /// What was recorded of invocations could not be read: their job counts them as UNKNOWN, also if it is restored.
    RecordsUnreadable {
        /// Their job.
        job: JobId,
        /// How many there are.
        count: u64,
        /// Which, at most [`MAX_UNREADABLE_NAMED`]; fewer, where not even their identifiers are there.
        invocations: Vec<InvocationId>,
    },
    /// A site refused what its controller had signed, and its agent proves it. In the commit of the invocation's end.
    GrantRefused(Box<SignedRefusal>),
    /// An agent's evidence of a refusal does not hold, or is missing; that nothing was started stands all the same.
    EvidenceInvalid(Box<BadEvidence>),
    /// Somebody asked to cancel a job.
    CancelRequested {
        /// The job.
        job: JobId,
        /// Who.
        by: Principal,
        /// The service that brought it for them, if one did.
        actor: Option<Actor>,
    },
    /// Somebody paused a job: nothing new of it is begun.
    JobPaused {
        /// The job.
        job: JobId,
        /// Who.
        by: Principal,
        /// The service that brought it for them, if one did.
        actor: Option<Actor>,
    },
    /// Somebody resumed a job.
    JobResumed {
        /// The job.
        job: JobId,
        /// Who.
        by: Principal,
        /// The service that brought it for them, if one did.
        actor: Option<Actor>,
    },
    /// A job was halted: nothing new of it will ever be begun.
    JobHalted {
        /// The job.
        job: JobId,
        /// Why.
        reason: HaltReason,
        /// Who asked for it; `None` when a limit or a check did.
        by: Option<Principal>,
        /// The service that brought it for them, if one did.
        actor: Option<Actor>,
    },
    /// Every invocation of a wave has ended; the next is not begun before its rest is over.
    WaveEnded {
        /// The job.
        job: JobId,
        /// The wave, 1 for the first.
        wave: u32,
        /// Until when the job rests.
        soak_until: Timestamp,
    },
    /// The health of a wave is being checked.
    HealthCheckStarted {
        /// The job.
        job: JobId,
        /// The wave.
        wave: u32,
        /// The job that checks.
        check: JobId,
    },
    /// The next wave was begun.
    WaveBegun {
        /// The job.
        job: JobId,
        /// The wave.
        wave: u32,
    },
    /// Something happened to the consent that a job needs.
    Approval(Box<ApprovalEvent>),
    /// An operator froze everything, a site or a host: nothing new starts there.
    FreezeSet(Freeze),
    /// An operator lifted a freeze.
    FreezeLifted {
        /// The freeze.
        freeze: Freeze,
        /// Who.
        by: Principal,
    },
    /// Somebody came, or was turned away; or a controller began with its settings.
    Access(Box<AccessEvent>),
    /// A join token was made.
    JoinTokenIssued {
        /// The token.
        token: TokenId,
        /// For this site.
        site: SiteName,
        /// For this agent.
        agent: AgentName,
        /// By this operator.
        by: Principal,
        /// Until then.
        expires_at: Timestamp,
    },
    /// An agent joined with a token.
    AgentEnrolled {
        /// The token, now used.
        token: TokenId,
        /// The site.
        site: SiteName,
        /// The agent.
        agent: AgentName,
        /// Serial number of its certificate, hexadecimal.
        serial: String,
    },
    /// An agent's certificate was renewed.
    CertificateRenewed {
        /// Whose.
        identity: Identity,
        /// Serial number of the new one, hexadecimal.
        serial: String,
    },
    /// An operator revoked an agent: no certificate counts any more that it was given before.
    AgentRevoked {
        /// The site.
        site: SiteName,
        /// The agent.
        agent: AgentName,
        /// Serial number of the newest of these certificates, hexadecimal.
        serial: String,
        /// Who, when and why.
        revocation: Revocation,
    },
    /// An agent opened a session.
    AgentConnected {
        /// The site.
        site: SiteName,
        /// The agent.
        agent: AgentName,
        /// The epoch of the session.
        epoch: u64,
        /// The address it came from.
        address: String,
    },
    /// A site's list of hosts changed.
    HostsReported {
        /// The site.
        site: SiteName,
        /// The agent that reported it.
        agent: AgentName,
        /// How many hosts it has now.
        hosts: u64,
        /// What changed, one line a host, at most 64 lines.
        changes: Vec<String>,
    },
    /// About payloads of the log: erased, or held.
    Erasure(Box<ErasureEvent>),
    /// Something was removed because it had been kept as long as said.
    Retention(Box<RetentionEvent>),
    /// Of an agent as a witness of the log, or of the log's key.
    Witness(Box<WitnessEvent>),
    /// Somebody read the audit log.
    AuditRead {
        /// Who.
        by: Principal,
        /// First index.
        from: u64,
        /// How many records.
        count: u64,
        /// What was looked for, when not everything was read.
        query: Option<String>,
    },
}

/// The value of a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Field {
    /// Text.
    Text(String),
    /// A whole number.
    Number(u64),
    /// Texts.
    List(Vec<String>),
    /// Known to be absent.
    Absent,
}

/// Fields by name, in the order in which they are written.
pub type Fields = Vec<(&'static str, Field)>;

// === impl AuditEvent ===

impl AuditEvent {
    /// The name of the event, as it is written in records.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::ControllerStarted { .. } => "controller_started",
            Self::PolicyChanged { .. } => "policy_changed",
            Self::ShadowPolicySet { .. } => "shadow_policy_set",
            Self::ShadowPolicyCleared { .. } => "shadow_policy_cleared",
            Self::JobSubmitted { .. } => "job_submitted",
            Self::InvocationIntended { .. } => "invocation_intended",
            Self::InvocationOffered { .. } => "invocation_offered",
            Self::InvocationReturned { .. } => "invocation_returned",
            Self::RequestDenied { .. } => "request_denied",
            Self::InvocationEnded { .. } => "invocation_ended",
            Self::InvocationResolved { .. } => "invocation_resolved",
            Self::ResultConflict { .. } => "result_conflict",
            Self::RecordsUnreadable { .. } => "records_unreadable",
            Self::GrantRefused(_) => "grant_refused",
            Self::EvidenceInvalid(_) => "evidence_invalid",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::JobPaused { .. } => "job_paused",
            Self::JobResumed { .. } => "job_resumed",
            Self::JobHalted { .. } => "job_halted",
            Self::WaveEnded { .. } => "wave_ended",
            Self::HealthCheckStarted { .. } => "health_check_started",
            Self::WaveBegun { .. } => "wave_begun",
            Self::Approval(event) => event.kind(),
            Self::FreezeSet(_) => "freeze_set",
            Self::FreezeLifted { .. } => "freeze_lifted",
            Self::Access(event) => event.kind(),
            Self::JoinTokenIssued { .. } => "join_token_issued",
            Self::AgentEnrolled { .. } => "agent_enrolled",
            Self::CertificateRenewed { .. } => "certificate_renewed",
            Self::AgentRevoked { .. } => "agent_revoked",
            Self::AgentConnected { .. } => "agent_connected",
            Self::HostsReported { .. } => "hosts_reported",
            Self::Erasure(event) => event.kind(),
            Self::Retention(event) => event.kind(),
            Self::Witness(event) => event.kind(),
            Self::AuditRead { .. } => "audit_read",
        }
    }

    /// The event of a job that was just permitted.
    pub fn job_submitted(job: &Job, request_digest: Digest) -> Self {
        Self::JobSubmitted {
            job: job.id,
            principal: job.principal.clone(),
            origin: job.origin.clone(),
            target: job.target.clone(),
            command: job.command.clone(),
            context: job.context.clone(),
            request_digest,
            policy_version: job.policy_version,
            rollout: job.rollout.clone(),
        }
    }
}
