//! `ssh_view_job`: what the job view shows of a job: how it stands, and a page of its hosts. It is for the view alone and not
//! listed for models, who are told the same in fewer words by other tools.

use lictor_client::views::{InvocationView, JobView, StreamCounts};
use lictor_core::{digest::Sha256Builder, error::Failure, job::JobState, outcome::Outcome};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BridgeTool, Call, Effect};
use crate::{
    answer::Answer,
    arguments::job_id,
    host_run::{ran, reason_of, signal_of},
    job_status::{JobStatus, JobSummary},
    waiting::Waiting,
};

/// Hosts on a page: some 100 kB, which a view can ask for every few seconds.
const PAGE: u32 = 500;
/// Digits of a digest that stand for all of it: 128 bits, too many for a host to print two things that share them.
const DIGITS: usize = 32;

/// The tool.
#[derive(Debug)]
pub(super) enum ViewJob {}

/// Which job.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// The job.
    job_id: String,
    /// The next_page of the page before.
    #[serde(default)]
    page: Option<String>,
}

/// How it stands, and some of its hosts.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Seen {
    /// The job.
    job_id: String,
    /// The command, as its hosts received it.
    command: String,
    /// For which hosts it was asked.
    target: String,
    /// When it was recorded, in UTC.
    created_at: String,
    #[serde(flatten)]
    status: JobStatus,
    /// There only while it waits for the consent of others.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<Waiting>,
    /// The hosts, in order.
    hosts: Vec<HostRow>,
    /// Where to read on; left out at the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_page: Option<String>,
}

/// What became of it on a host.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
struct HostRow {
    /// Alias of the host.
    host: String,
    /// How it ended there, or where it stands.
    state: &'static str,
    /// Whether it ran: not_run, ran or may_have_run.
    ran: &'static str,
    /// Exit code of the command.
    #[serde(skip_serializing_if = "Option::is_none")]
    exit_code: Option<u32>,
    /// Signal that ended the command, without SIG.
    #[serde(skip_serializing_if = "Option::is_none")]
    signal: Option<String>,
    /// Stable code of the reason, where the state alone does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
    /// Milliseconds from its start to its end.
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_ms: Option<u64>,
    /// The wave in which it begins, where there are several; 0 if it never may.
    #[serde(skip_serializing_if = "Option::is_none")]
    wave: Option<u32>,
    /// Bytes that the command printed to standard output.
    stdout_bytes_total: u64,
    /// Bytes that the command printed to standard error.
    stderr_bytes_total: u64,
    /// The same on hosts where it printed the same; left out where nobody can know.
    #[serde(skip_serializing_if = "Option::is_none")]
    printed: Option<String>,
}

impl BridgeTool for ViewJob {
    const NAME: &'static str = "ssh_view_job";
    const TITLE: &'static str = "Show a job";
    const DESCRIPTION: &'static str = "How a job stands, and a page of its hosts. For the view of jobs.";
    const EFFECT: Effect = Effect::Reads;
    type Parameters = Parameters;
    type Result = Seen;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<Seen>, Failure> {
        let job = job_id(Some(&parameters.job_id), None)?;
        let page = call.client.get_job(job, PAGE, parameters.page.as_deref()).await?;
        let job = &page.job;
        let summary = JobSummary::of(job);
        Ok(Answer::done(Seen {
            job_id: summary.job_id,
            command: summary.command,
            target: summary.target,
            created_at: summary.created_at,
            status: JobStatus::of(job),
            waiting: Waiting::of_job(job, None),
            hosts: newest(&page.invocations).map(|view| HostRow::of(view, job)).collect(),
            next_page: page.next_page,
        }))
    }
}

/// The newest attempt on each host; they are ordered by host.
fn newest(views: &[InvocationView]) -> impl Iterator<Item = &InvocationView> {
    views
        .chunk_by(|a, b| a.host == b.host)
        .filter_map(|attempts| attempts.iter().max_by_key(|view| view.attempt))
}

/// What stands for all that was printed on both streams.
fn printed(view: &InvocationView) -> Option<String> {
    view.outcome.as_ref()?;
    let part = |counts: &StreamCounts| match counts.digest {
        Some(digest) => Some(digest.as_bytes().to_vec()),
        None => (counts.bytes_total == 0).then(Vec::new),
    };
    let both = Sha256Builder::new("lictor job view").part(&part(&view.stdout)?).part(&part(&view.stderr)?);
    Some(both.finish().to_string().chars().take(DIGITS).collect())
}

// === impl HostRow ===

impl HostRow {
    fn of(view: &InvocationView, job: &JobView) -> Self {
        let outcome = view.outcome.as_ref();
        let waits = job.state == JobState::AwaitingApproval && outcome.is_none();
        let waves = job.progress.as_ref().map_or(0, |progress| progress.waves);
        Self {
            host: view.host.to_string(),
            state: if waits { JobState::AwaitingApproval.as_str() } else { view.state() },
            ran: ran(view).as_str(),
            exit_code: outcome.and_then(Outcome::exit_code),
            signal: outcome.and_then(signal_of).map(ToOwned::to_owned),
            reason: outcome.and_then(reason_of).map(ToOwned::to_owned),
            duration_ms: view.duration().map(|d| u64::try_from(d.as_millis()).unwrap_or(u64::MAX)),
            wave: (waves > 1).then_some(view.wave),
            stdout_bytes_total: view.stdout.bytes_total,
            stderr_bytes_total: view.stderr.bytes_total,
            printed: printed(view),
        }
    }
}
