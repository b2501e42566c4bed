//! The documents of `--output json`. Their names and types are relied on by scripts: fields are added, never changed.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lictor_client::{
    collect::Assembled,
    views::{InvocationView, JobView, StreamCounts},
};
use lictor_core::{
    error::Failure,
    job::Target,
    outcome::{Exit, Outcome},
};
use serde::Serialize;

use crate::run::in_context::ContextDocument;

mod approvals;
mod erasures;
mod fleet;
mod freezes;
mod output;
mod plan;
mod retention;
mod rollout;

use self::rollout::{ProgressDocument, RolloutDocument};
pub(crate) use self::{
    approvals::{ConsentDocument, RequestDocument},
    erasures::{ErasedDocument, ErasureDocument, HoldDocument, LiftedDocument},
    fleet::{AgentDocument, HostDocument, RevocationDocument, SiteDocument},
    freezes::{FreezeDocument, FreezeDoneDocument},
    output::{GroupDocument, StreamDocument, stream_name},
    plan::{ApprovalDocument, PlanDocument},
    retention::{RetentionDocument, ShortenedDocument},
};

/// A failure.
#[derive(Debug, Serialize)]
pub(crate) struct ErrorDocument {
    error: ErrorBody,
}

#[derive(Debug, Serialize)]
struct ErrorBody {
    code: &'static str,
    message: String,
    next_step: String,
    details: serde_json::Map<String, serde_json::Value>,
}

/// A job.
#[derive(Debug, Serialize)]
pub(crate) struct JobDocument {
    id: String,
    state: &'static str,
    principal: String,
    via: &'static str,
    client: String,
    target: TargetDocument,
    command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<ContextDocument>,
    policy_version: u64,
    created_at: String,
    cancel_requested: bool,
    detached: bool,
    counts: CountsDocument,
    /// There only where it does not go out at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    rollout: Option<RolloutDocument>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<ProgressDocument>,
    /// There only where others have to consent, or had to.
    #[serde(skip_serializing_if = "Option::is_none")]
    approval: Option<ConsentDocument>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum TargetDocument {
    Hosts(Vec<String>),
    Tag(String),
    Expression(String),
}

#[derive(Debug, Serialize)]
struct CountsDocument {
    queued: u32,
    active: u32,
    succeeded: u32,
    failed: u32,
    not_run: u32,
    cancelled: u32,
    unknown: u32,
}

/// What became of a command on one host.
#[derive(Debug, Serialize)]
pub(crate) struct InvocationDocument {
    id: String,
    host: String,
    site: String,
    attempt: u32,
    state: &'static str,
    ran: Option<&'static str>,
    exit_code: Option<u32>,
    signal: Option<String>,
    reason: Option<String>,
    detail: Option<String>,
    rule: Option<String>,
    agent: Option<String>,
    address: Option<String>,
    started_at: Option<String>,
    ended_at: Option<String>,
    duration_ms: Option<u64>,
    stdout_bytes: u64,
    stdout_truncated: bool,
    stdout_sha256: Option<String>,
    stderr_bytes: u64,
    stderr_truncated: bool,
    stderr_sha256: Option<String>,
    resolution: Option<String>,
    /// When and why what it printed was removed; null while it is kept.
    output_removed: Option<String>,
    guard: &'static str,
    redactions: u64,
    #[serde(flatten)]
    text: Option<OutputDocument>,
}

/// What it printed. Where bytes were left out, text and base64 go on after the gap.
#[derive(Debug, Default, Serialize)]
pub(crate) struct OutputDocument {
    stdout: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stdout_base64: Option<String>,
    stderr: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    stderr_base64: Option<String>,
}

/// A job with what became of it.
#[derive(Debug, Serialize)]
pub(crate) struct RunDocument {
    pub(crate) job: JobDocument,
    pub(crate) replayed: bool,
    pub(crate) hosts: Vec<InvocationDocument>,
    /// The hosts by what they have in common; what they printed is above.
    pub(crate) groups: Vec<GroupDocument>,
}

// === conversions ===

impl From<&Failure> for ErrorDocument {
    fn from(failure: &Failure) -> Self {
        let details = failure.details.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        Self {
            error: ErrorBody {
                code: failure.code.as_str(),
                message: failure.message.clone(),
                next_step: failure.next_step.clone(),
                details: details.collect(),
            },
        }
    }
}

impl From<&JobView> for JobDocument {
    fn from(job: &JobView) -> Self {
        let counts = job.counts;
        Self {
            id: job.id.to_string(),
            state: job.state.as_str(),
            principal: job.principal.to_string(),
            via: job.origin.via.as_str(),
            client: job.origin.client.clone(),
            target: match &job.target {
                Target::Hosts(hosts) => {
                    TargetDocument::Hosts(hosts.iter().map(ToString::to_string).collect())
                }
                Target::Tag(tag) => TargetDocument::Tag(tag.to_string()),
                Target::Expression(expression) => TargetDocument::Expression(expression.to_string()),
            },
            command: job.command.to_string(),
            context: ContextDocument::of(&job.context),
            policy_version: job.policy_version,
            created_at: job.created_at.to_string(),
            cancel_requested: job.cancel_requested,
            detached: job.detached,
            counts: CountsDocument {
                queued: counts.queued,
                active: counts.active,
                succeeded: counts.succeeded,
                failed: counts.failed,
                not_run: counts.not_run,
                cancelled: counts.cancelled,
                unknown: counts.unknown,
            },
            rollout: RolloutDocument::of(job),
            progress: job.progress.as_ref().map(Into::into),
            approval: job.approval.as_ref().map(Into::into),
        }
    }
}

impl InvocationDocument {
    /// An invocation, with what it printed if that is here.
    pub(crate) fn new(view: &InvocationView, output: Option<OutputDocument>) -> Self {
        let outcome = view.outcome.as_ref();
        let truncated = |counts: &StreamCounts| counts.bytes_kept < counts.bytes_total;
        Self {
            id: view.id.to_string(),
            host: view.host.to_string(),
            site: view.site.to_string(),
            attempt: view.attempt,
            state: view.state(),
            ran: outcome.map(|o| o.ran().as_str()),
            exit_code: outcome.and_then(Outcome::exit_code),
            signal: match outcome {
                Some(Outcome::Failed(Exit::Signal(signal))) => Some(signal.clone()),
                _ => None,
            },
            reason: outcome.and_then(Outcome::reason_code).map(str::to_owned),
            detail: match outcome {
                Some(Outcome::Denied { reason, .. }) => Some(reason.clone()),
                Some(Outcome::Unreachable { detail, .. }) => Some(detail.clone()),
                _ => None,
            },
            rule: view.rule.as_ref().map(ToString::to_string),
            agent: view.agent.as_ref().map(ToString::to_string),
            address: view.address.clone(),
            started_at: view.started_at.map(|t| t.to_string()),
            ended_at: view.ended_at.map(|t| t.to_string()),
            duration_ms: view.duration().map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            stdout_bytes: view.stdout.bytes_total,
            stdout_truncated: truncated(&view.stdout),
            stdout_sha256: view.stdout.digest.map(|d| d.to_string()),
            stderr_bytes: view.stderr.bytes_total,
            stderr_truncated: truncated(&view.stderr),
            stderr_sha256: view.stderr.digest.map(|d| d.to_string()),
            resolution: view.resolution.as_ref().map(ToString::to_string),
            output_removed: view.output_removed.map(|removed| removed.to_string()),
            guard: view.guard.as_str(),
            redactions: view.redactions,
            text: output,
        }
    }

    /// Notes that less of the output is here than the controller has.
    pub(crate) const fn left_out(&mut self, stdout: bool, stderr: bool) {
        self.stdout_truncated |= stdout;
        self.stderr_truncated |= stderr;
    }
}

impl OutputDocument {
    /// What two streams hold.
    pub(crate) fn new(stdout: &Assembled, stderr: &Assembled) -> Self {
        let (stdout, stdout_base64) = text_or_base64(stdout);
        let (stderr, stderr_base64) = text_or_base64(stderr);
        Self { stdout, stdout_base64, stderr, stderr_base64 }
    }
}

fn text_or_base64(stream: &Assembled) -> (String, Option<String>) {
    let (one, two) = stream.tail();
    let bytes = [stream.head(), one, two].concat();
    match String::from_utf8(bytes) {
        Ok(text) => (text, None),
        Err(error) => {
            let bytes = error.as_bytes();
            (String::from_utf8_lossy(bytes).into_owned(), Some(STANDARD.encode(bytes)))
        }
    }
}
