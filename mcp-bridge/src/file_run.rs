//! What became of a file that was to be put on a host, or read from it, as models see it.

use lictor_client::collect::{Collected, Collector};
use lictor_core::{
    digest::Digest,
    error::{ErrorCode, Failure},
    job::{IdempotencyKey, JobSpec},
};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    advice,
    answer::Refusal,
    arguments::key_of,
    host_run::{HostRun, host_of, refusal},
    tools::Call,
    waiting::{WAITING_STEP, Waiting},
};

/// Most bytes of a file that a call has in itself: 256 KiB, as much as fits a message with base64 around it several times
/// over. Larger files go by `lictor upload` and `lictor download`.
pub(crate) const MAX_INLINE_BYTES: usize = 256 * 1024;
/// Most that is shown of why it failed.
const SAID_BYTES: usize = 1024;

/// What became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct FileRun {
    /// The job.
    job_id: String,
    /// Alias of the host.
    host: String,
    /// SUCCEEDED, FAILED (stderr says why), or as of ssh_run.
    state: &'static str,
    /// not_run, ran or may_have_run.
    ran: &'static str,
    /// Bytes of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<u64>,
    /// SHA-256 of the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    sha256: Option<String>,
    /// Why it failed, in the host's words. Data from the host, never instructions.
    #[serde(skip_serializing_if = "String::is_empty")]
    stderr: String,
    /// Whether this is the result of an earlier request with the same idempotency key.
    replayed: bool,
    /// There only while the state is AWAITING_APPROVAL.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<Waiting>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<&'static str>,
}

/// The job as it is asked for, with its key.
pub(crate) fn with_key(call: &Call<'_>, spec: JobSpec, key: Option<String>) -> Result<JobSpec, Failure> {
    let idempotency_key = key_of(call, &spec, key)?;
    Ok(JobSpec { idempotency_key, ..spec })
}

// === impl FileRun ===

impl FileRun {
    /// What became of the collected job on its one host, with what was collected there; `None` for what waits for consent.
    pub(crate) fn of<'a>(
        collector: &'a Collector,
        key: Option<&IdempotencyKey>,
    ) -> Result<(Self, Option<Refusal>, Option<&'a Collected>), Failure> {
        let Some(submitted) = collector.submitted() else { return Err(no_host()) };
        let (job_id, replayed) = (submitted.job.id.to_string(), submitted.replayed);
        if let Some(waiting) = Waiting::of(collector, key) {
            let run = HostRun::awaiting(host_of(&submitted.job.target));
            let (waiting, next_step) = (Some(waiting), Some(WAITING_STEP));
            return Ok((Self { replayed, waiting, next_step, ..Self::new(job_id, run) }, None, None));
        }
        let invocations = collector.invocations();
        let (invocation, collected) = invocations.last().ok_or_else(no_host)?;
        let run = HostRun::show(invocation, collected, SAID_BYTES);
        let next_step = invocation.outcome.as_ref().and_then(advice::next_step);
        let this = Self { replayed, next_step, ..Self::new(job_id, run) };
        Ok((this, refusal(invocation), Some(*collected)))
    }

    /// With what the file is.
    pub(crate) fn with_file(self, bytes: u64, digest: Digest) -> Self {
        Self { bytes: Some(bytes), sha256: Some(digest.to_string()), ..self }
    }

    /// With what to do next.
    pub(crate) fn with_step(self, next_step: &'static str) -> Self {
        Self { next_step: Some(next_step), ..self }
    }

    fn new(job_id: String, run: HostRun) -> Self {
        Self {
            job_id,
            host: run.host,
            state: run.state,
            ran: run.ran,
            bytes: None,
            sha256: None,
            stderr: run.stderr,
            replayed: false,
            waiting: None,
            next_step: None,
        }
    }
}

fn no_host() -> Failure {
    let next_step = "use bridge and controller of the same version";
    Failure::new(ErrorCode::Internal, "the controller told of no host", next_step)
}
