//! The fields of each event, by name: what a record has of it.

use super::{AuditEvent, Field, Fields};
use crate::{
    actor::Actor,
    context::Context,
    freeze::Freeze,
    invocation::Invocation,
    job::{CommandInput, Origin, Target},
    name::AgentName,
    outcome::Outcome,
    principal::Principal,
    revocation::Revocation,
    rollout::{Rollout, Share},
};

impl AuditEvent {
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
                context,
                request_digest,
                policy_version,
                rollout,
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
                fields.extend(terms(rollout));
                fields.extend(in_what(context));
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
                context,
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
                fields.extend(in_what(context));
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
            Self::RecordsUnreadable { job, count, invocations } => vec![
                ("job", text(job)),
                ("count", Field::Number(*count)),
                ("invocations", Field::List(invocations.iter().map(ToString::to_string).collect())),
            ],
            Self::GrantRefused(refusal) => refusal.fields(),
            Self::EvidenceInvalid(bad) => bad.fields(),
            Self::CancelRequested { job, by, actor }
            | Self::JobPaused { job, by, actor }
            | Self::JobResumed { job, by, actor } => {
                let mut fields = vec![("job", text(job)), ("by", text(by))];
                fields.extend(brought_by(actor.as_ref()));
                fields
            }
            Self::JobHalted { job, reason, by, actor } => {
                let mut fields = vec![
                    ("job", text(job)),
                    ("reason", text(reason.as_str())),
                    ("by", optional(by.as_ref())),
                ];
                fields.extend(brought_by(actor.as_ref()));
                fields
            }
            Self::WaveEnded { job, wave, soak_until } => vec![
                ("job", text(job)),
                ("wave", Field::Number((*wave).into())),
                ("soak_until", text(soak_until)),
            ],
            Self::HealthCheckStarted { job, wave, check } => {
                vec![("job", text(job)), ("wave", Field::Number((*wave).into())), ("check", text(check))]
            }
            Self::WaveBegun { job, wave } => {
                vec![("job", text(job)), ("wave", Field::Number((*wave).into()))]
            }
            Self::Approval(event) => event.fields(),
            Self::FreezeSet(freeze) => frozen(freeze, "by"),
            Self::FreezeLifted { freeze, by } => {
                let mut fields = frozen(freeze, "frozen_by");
                fields.push(("by", text(by)));
                fields
            }
            Self::Access(event) => event.fields(),
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
            Self::AgentRevoked { site, agent, serial, revocation: Revocation { by, at: _, reason } } => vec![
                ("site", text(site)),
                ("agent", text(agent)),
                ("serial", text(serial)),
                ("by", text(by)),
                ("reason", text(reason)),
            ],
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
            Self::Erasure(event) => event.fields(),
            Self::Retention(event) => event.fields(),
            Self::Witness(event) => event.fields(),
            Self::AuditRead { by, from, count, query } => {
                let mut fields =
                    vec![("by", text(by)), ("from", Field::Number(*from)), ("count", Field::Number(*count))];
                fields.extend(query.as_ref().map(|query| ("query", text(query))));
                fields
            }
        }
    }
}

fn ended(invocation: &Invocation, agent: Option<&AgentName>) -> Fields {
    let outcome = invocation.state.outcome();
    let mut fields = vec![
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
        ("guard", text(invocation.guard.as_str())),
    ];
    if invocation.redactions > 0 {
        fields.push(("redactions", Field::Number(invocation.redactions)));
    }
    fields
}

/// How a job goes out; nothing when all of it goes out at once.
fn terms(rollout: &Rollout) -> Fields {
    if rollout.is_immediate() {
        return Vec::new();
    }
    let Rollout { waves, soak, health_check, max_concurrency, max_errors, max_unreachable, max_per_site } =
        rollout;
    let share = |share: &Option<Share>| optional(share.as_ref());
    let check = health_check.as_ref().map(|check| match check {
        CommandInput::Argv(words) => words.join(" "),
        CommandInput::Line(line) => line.clone(),
    });
    vec![
        ("waves", Field::List(waves.iter().map(ToString::to_string).collect())),
        ("soak_ms", Field::Number(millis(*soak))),
        ("health_check", optional(check)),
        ("max_concurrency", share(max_concurrency)),
        ("max_errors", share(max_errors)),
        ("max_unreachable", share(max_unreachable)),
        ("max_per_site", max_per_site.map_or(Field::Absent, |most| Field::Number(most.into()))),
    ]
}

/// A freeze; `by` names the field that says who set it.
fn frozen(freeze: &Freeze, by: &'static str) -> Fields {
    vec![
        ("freeze", text(freeze.id)),
        ("scope", text(&freeze.scope)),
        ("reason", text(&freeze.reason)),
        (by, text(&freeze.by)),
        ("frozen_at", text(freeze.at)),
    ]
}

fn who(principal: &Principal, origin: &Origin) -> Fields {
    let mut fields = vec![
        ("principal", text(principal)),
        ("tenant", text(&principal.tenant)),
        ("via", text(origin.via.as_str())),
        ("client", text(&origin.client)),
    ];
    fields.extend(brought_by(origin.actor.as_ref()));
    fields
}

/// Only where somebody else brought the request.
fn brought_by(actor: Option<&Actor>) -> Fields {
    let of = |actor: &Actor| {
        vec![("actor", text(format!("service:{}", actor.service))), ("token", text(&actor.token))]
    };
    actor.map(of).unwrap_or_default()
}

/// Only what is asked for: a record of a request without a context says nothing of one.
fn in_what(context: &Context) -> Fields {
    let Context { environment, working_directory, run_as, stdin } = context;
    let mut fields = Fields::new();
    if !environment.is_empty() {
        let variables = environment.iter().map(|(name, value)| format!("{name}={value}"));
        fields.push(("environment", Field::List(variables.collect())));
    }
    fields.extend(working_directory.as_ref().map(|directory| ("working_directory", text(directory))));
    fields.extend(run_as.as_ref().map(|login| ("run_as", text(login))));
    if let Some(content) = stdin {
        fields.push(("stdin_sha256", text(content.digest())));
        fields.push(("stdin_bytes", Field::Number(content.bytes())));
    }
    fields
}

fn target_field(target: &Target) -> Field {
    match target {
        Target::Hosts(hosts) => Field::List(hosts.iter().map(ToString::to_string).collect()),
        Target::Tag(tag) => Field::Text(format!("tag:{tag}")),
        Target::Expression(expression) => Field::Text(expression.to_string()),
    }
}

pub(super) fn text(value: impl ToString) -> Field {
    Field::Text(value.to_string())
}

pub(super) fn optional(value: Option<impl ToString>) -> Field {
    value.map_or(Field::Absent, text)
}

/// The records that lost their payload: how many, and which, as ranges from an index to before another.
pub(super) fn erased(ranges: &[(u64, u64)]) -> [(&'static str, Field); 2] {
    let records = ranges.iter().map(|(from, to)| to.saturating_sub(*from)).sum();
    [("records", Field::Number(records)), ("ranges", Field::List(ranges.iter().map(range).collect()))]
}

/// `7`, or `7-9` for the records from 7 to 9.
fn range((from, to): &(u64, u64)) -> String {
    let last = to.saturating_sub(1);
    if *from == last { from.to_string() } else { format!("{from}-{last}") }
}

pub(super) fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
