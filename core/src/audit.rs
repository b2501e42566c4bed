//! What the audit log can say: a closed list of events, each with its fields by name.
//!
//! A log record is the event's kind and fields plus a time and an index; the store encodes it. Adding an event or a
//! field is allowed; renaming or retyping one needs a new record version.

use crate::{
    clock::Timestamp,
    command::Command,
    digest::Digest,
    id::{InvocationId, JobId, TokenId},
    invocation::Invocation,
    job::{Job, Limits, Origin, Target},
    name::{AgentName, HostAlias, RuleId, SiteName},
    outcome::Outcome,
    principal::{Identity, Principal},
};

mod refusal;

pub use self::refusal::{BadEvidence, SignedRefusal};

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
        /// Digest of the request as it came.
        request_digest: Digest,
        /// The version of the policy that decided.
        policy_version: u64,
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
        invocation: Box<Invocation>,
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
    },
    /// A call was refused before it was looked at.
    CallRefused {
        /// The caller's identity.
        identity: Identity,
        /// The method called.
        method: String,
        /// How many such calls this record stands for.
        count: u64,
    },
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
    /// Somebody read the audit log.
    AuditRead {
        /// Who.
        by: Principal,
        /// First index.
        from: u64,
        /// How many records.
        count: u64,
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
            Self::GrantRefused(_) => "grant_refused",
            Self::EvidenceInvalid(_) => "evidence_invalid",
            Self::CancelRequested { .. } => "cancel_requested",
            Self::CallRefused { .. } => "call_refused",
            Self::JoinTokenIssued { .. } => "join_token_issued",
            Self::AgentEnrolled { .. } => "agent_enrolled",
            Self::CertificateRenewed { .. } => "certificate_renewed",
            Self::AgentConnected { .. } => "agent_connected",
            Self::HostsReported { .. } => "hosts_reported",
            Self::AuditRead { .. } => "audit_read",
        }
    }

    /// The fields of the event, by name.
    pub fn fields(&self) -> Fields {
        match self {
            Self::ControllerStarted { name } => vec![("name", text(name))],
            Self::PolicyChanged { version, digest, by, note } => {
                vec![
                    ("policy_version", Field::Number(*version)),
                    ("policy_digest", text(digest)),
                    ("by", text(by)),
                    ("note", optional(note.as_ref())),
                ]
            }
            Self::ShadowPolicySet { digest, by } => vec![("policy_digest", text(digest)), ("by", text(by))],
            Self::ShadowPolicyCleared { by } => vec![("by", text(by))],
            Self::JobSubmitted {
                job,
                principal,
                origin,
                target,
                command,
                request_digest,
                policy_version,
            } => {
                let mut fields = vec![("job", text(job))];
                fields.extend(who(principal, origin));
                fields.extend([
                    ("target", target_field(target)),
                    ("command", text(command)),
                    ("command_digest", text(command.digest())),
                    ("request_digest", text(request_digest)),
                    ("policy_version", Field::Number(*policy_version)),
                ]);
                fields
            }
            Self::InvocationIntended { invocation, job, host, site, rule, limits, offered } => vec![
                ("invocation", text(invocation)),
                ("job", text(job)),
                ("host", text(host)),
                ("site", text(site)),
                ("rule", optional(rule.as_ref())),
                ("timeout_ms", Field::Number(millis(limits.timeout))),
                ("output_bytes", Field::Number(limits.output_bytes)),
                ("agent", optional(offered.as_ref().map(|(agent, _)| agent))),
                ("epoch", offered.as_ref().map_or(Field::Absent, |(_, epoch)| Field::Number(*epoch))),
            ],
            Self::InvocationOffered { invocation, agent, epoch } => {
                vec![
                    ("invocation", text(invocation)),
                    ("agent", text(agent)),
                    ("epoch", Field::Number(*epoch)),
                ]
            }
            Self::InvocationReturned { invocation, agent } => {
                vec![("invocation", text(invocation)), ("agent", text(agent))]
            }
            Self::RequestDenied {
                principal,
                origin,
                target,
                command,
                request_digest,
                code,
                reason,
                rule,
                policy_version,
            } => {
                let mut fields = who(principal, origin);
                fields.extend([
                    ("target", target_field(target)),
                    ("command", text(command)),
                    ("request_digest", text(request_digest)),
                    ("code", text(code)),
                    ("reason", text(reason)),
                    ("rule", optional(rule.as_ref())),
                    ("policy_version", Field::Number(*policy_version)),
                ]);
                fields
            }
            Self::InvocationEnded { invocation, agent } => ended(invocation, agent.as_ref()),
            Self::InvocationResolved { invocation, agent, outcome } => vec![
                ("invocation", text(invocation)),
                ("agent", text(agent)),
                ("outcome", text(outcome.name())),
                ("ran", text(outcome.ran().as_str())),
                ("detail", text(outcome)),
            ],
            Self::ResultConflict { invocation, agent, recorded, reported } => vec![
                ("invocation", text(invocation)),
                ("agent", text(agent)),
                ("recorded", text(recorded)),
                ("reported", text(reported)),
            ],
            Self::GrantRefused(refusal) => refusal.fields(),
            Self::EvidenceInvalid(bad) => bad.fields(),
            Self::CancelRequested { job, by } => vec![("job", text(job)), ("by", text(by))],
            Self::CallRefused { identity, method, count } => {
                vec![("identity", text(identity)), ("method", text(method)), ("count", Field::Number(*count))]
            }
            Self::JoinTokenIssued { token, site, agent, by, expires_at } => vec![
                ("token", text(token)),
                ("site", text(site)),
                ("agent", text(agent)),
                ("by", text(by)),
                ("expires_at", text(expires_at)),
            ],
            Self::AgentEnrolled { token, site, agent, serial } => {
                vec![
                    ("token", text(token)),
                    ("site", text(site)),
                    ("agent", text(agent)),
                    ("serial", text(serial)),
                ]
            }
            Self::CertificateRenewed { identity, serial } => {
                vec![("identity", text(identity)), ("serial", text(serial))]
            }
            Self::AgentConnected { site, agent, epoch, address } => vec![
                ("site", text(site)),
                ("agent", text(agent)),
                ("epoch", Field::Number(*epoch)),
                ("address", text(address)),
            ],
            Self::HostsReported { site, agent, hosts, changes } => vec![
                ("site", text(site)),
                ("agent", text(agent)),
                ("hosts", Field::Number(*hosts)),
                ("changes", Field::List(changes.clone())),
            ],
            Self::AuditRead { by, from, count } => {
                vec![("by", text(by)), ("from", Field::Number(*from)), ("count", Field::Number(*count))]
            }
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
            request_digest,
            policy_version: job.policy_version,
        }
    }
}

fn ended(invocation: &Invocation, agent: Option<&AgentName>) -> Fields {
    let outcome = invocation.state.outcome();
    vec![
        ("invocation", text(invocation.id)),
        ("job", text(invocation.job)),
        ("host", text(&invocation.host)),
        ("site", text(&invocation.site)),
        ("agent", optional(agent)),
        ("address", optional(invocation.address.as_ref())),
        ("outcome", text(invocation.state.name())),
        ("ran", optional(outcome.map(|o| o.ran().as_str()))),
        (
            "exit_code",
            outcome.and_then(Outcome::exit_code).map_or(Field::Absent, |c| Field::Number(u64::from(c))),
        ),
        ("detail", optional(outcome)),
        ("started_at", optional(invocation.started_at)),
        ("ended_at", optional(invocation.ended_at)),
        ("stdout_bytes", Field::Number(invocation.output.stdout.bytes_total)),
        ("stdout_digest", optional(invocation.output.stdout.digest)),
        ("stderr_bytes", Field::Number(invocation.output.stderr.bytes_total)),
        ("stderr_digest", optional(invocation.output.stderr.digest)),
    ]
}

fn who(principal: &Principal, origin: &Origin) -> Fields {
    vec![
        ("principal", text(principal)),
        ("tenant", text(&principal.tenant)),
        ("via", text(origin.via.as_str())),
        ("client", text(&origin.client)),
    ]
}

fn target_field(target: &Target) -> Field {
    match target {
        Target::Hosts(hosts) => Field::List(hosts.iter().map(ToString::to_string).collect()),
        Target::Tag(tag) => Field::Text(format!("tag:{tag}")),
    }
}

fn text(value: impl ToString) -> Field {
    Field::Text(value.to_string())
}

fn optional(value: Option<impl ToString>) -> Field {
    value.map_or(Field::Absent, text)
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
