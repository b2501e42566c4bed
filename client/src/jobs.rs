//! Calls about jobs that have one answer: submit, get, list, cancel, and pages of output.

use lictor_core::{
    error::Failure,
    id::{InvocationId, JobId},
    job::JobSpec,
    output::{StreamName, timing::Timing},
    retention::OutputRemoved,
};
use lictor_proto::{
    convert::{Invalid, required, timing_from_wire},
    pb,
};

use crate::{
    connect::{CALL_DEADLINE, Client},
    failure::not_understood,
    views::{InvocationView, JobView, OutputPiece},
};

/// A recorded job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submitted {
    /// The job as it stands.
    pub job: JobView,
    /// The idempotency key was known: nothing new was started.
    pub replayed: bool,
}

/// A job with a page of its invocations, ordered by host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobPage {
    /// The job.
    pub job: JobView,
    /// The invocations of this page.
    pub invocations: Vec<InvocationView>,
    /// Ask for the next page with this; `None` on the last.
    pub next_page: Option<String>,
}

/// A page of jobs, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JobsPage {
    /// The jobs of this page.
    pub jobs: Vec<JobView>,
    /// Ask for the next page with this; `None` on the last.
    pub next_page: Option<String>,
}

/// What came of asking to cancel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cancelled {
    /// The job had ended before: nothing was cancelled.
    pub already_ended: bool,
    /// The job as it stands.
    pub job: JobView,
}

/// A page of kept output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPage {
    /// The bytes; empty at the end. Its offset is later than asked for where a gap was skipped.
    pub piece: OutputPiece,
    /// Bytes that the command printed on this stream.
    pub bytes_total: u64,
    /// Nothing is kept of it any more.
    pub removed: Option<OutputRemoved>,
}

// === impl Client ===

impl Client {
    /// Records a job and has it dispatched; answers when the intent is durable.
    ///
    /// # Errors
    /// The controller's refusal, or that it cannot be reached.
    pub async fn submit(&self, spec: &JobSpec) -> Result<Submitted, Failure> {
        let mut service = self.job_service();
        let answer = self.answer(CALL_DEADLINE, service.submit(pb::SubmitRequest::from(spec))).await?;
        Submitted::try_from(answer).map_err(|e| not_understood(&e))
    }

    /// A job with a page of at most `page_size` invocations (0: the controller's choice).
    ///
    /// # Errors
    /// `NOT_FOUND`, or that the controller cannot be reached.
    pub async fn get_job(&self, job: JobId, page_size: u32, page: Option<&str>) -> Result<JobPage, Failure> {
        let request = pb::GetRequest {
            job_id: job.to_string(),
            page_size,
            page_token: page.unwrap_or_default().to_owned(),
        };
        let mut service = self.job_service();
        let answer = self.answer(CALL_DEADLINE, service.get(request)).await?;
        JobPage::try_from(answer).map_err(|e| not_understood(&e))
    }

    /// Jobs, newest first, at most `page_size` (0: the controller's choice).
    ///
    /// # Errors
    /// When the controller refuses or cannot be reached.
    pub async fn list_jobs(&self, page_size: u32, page: Option<&str>) -> Result<JobsPage, Failure> {
        let request = pb::ListRequest { page_size, page_token: page.unwrap_or_default().to_owned() };
        let mut service = self.job_service();
        let answer = self.answer(CALL_DEADLINE, service.list(request)).await?;
        JobsPage::try_from(answer).map_err(|e| not_understood(&e))
    }

    /// Asks for everything of the job that has not ended to be stopped. Answers when that is recorded.
    ///
    /// # Errors
    /// `NOT_FOUND`, or that the controller cannot be reached.
    pub async fn cancel(&self, job: JobId) -> Result<Cancelled, Failure> {
        let mut service = self.job_service();
        let answer =
            self.answer(CALL_DEADLINE, service.cancel(pb::CancelRequest { job_id: job.to_string() })).await?;
        Cancelled::try_from(answer).map_err(|e| not_understood(&e))
    }

    /// Begins nothing new of a job until it is resumed. Answers when that is recorded.
    ///
    /// # Errors
    /// `NOT_FOUND`, `CONFLICT` when it has ended, or that the controller cannot be reached.
    pub async fn pause(&self, job: JobId) -> Result<JobView, Failure> {
        let request = pb::PauseRequest { job_id: job.to_string() };
        let mut service = self.job_service();
        let answer = self.answer(CALL_DEADLINE, service.pause(request)).await?;
        JobView::try_from(answer).map_err(|e| not_understood(&e))
    }

    /// Goes on with a job that was paused. Answers when that is recorded.
    ///
    /// # Errors
    /// As of [`pause`](Self::pause).
    pub async fn resume(&self, job: JobId) -> Result<JobView, Failure> {
        let request = pb::ResumeRequest { job_id: job.to_string() };
        let mut service = self.job_service();
        let answer = self.answer(CALL_DEADLINE, service.resume(request)).await?;
        JobView::try_from(answer).map_err(|e| not_understood(&e))
    }

    /// Begins nothing new of a job any more; what is under way goes on to its end. Answers when that is recorded.
    ///
    /// # Errors
    /// As of [`pause`](Self::pause).
    pub async fn abort(&self, job: JobId) -> Result<JobView, Failure> {
        let request = pb::AbortRequest { job_id: job.to_string() };
        let mut service = self.job_service();
        let answer = self.answer(CALL_DEADLINE, service.abort(request)).await?;
        JobView::try_from(answer).map_err(|e| not_understood(&e))
    }

    /// A page of the kept output of an ended invocation, from `offset`, at most `max_bytes` (0: 64 KiB).
    ///
    /// # Errors
    /// `NOT_FOUND`, or that the controller cannot be reached.
    pub async fn read_output(
        &self,
        invocation: InvocationId,
        stream: StreamName,
        offset: u64,
        max_bytes: u32,
    ) -> Result<OutputPage, Failure> {
        let stream = pb::StreamName::from(stream).into();
        let request = pb::ReadOutputRequest {
            invocation_id: invocation.to_string(),
            stream,
            offset,
            max_bytes,
            timing: false,
        };
        let mut service = self.job_service();
        let answer = self.answer(CALL_DEADLINE, service.read_output(request)).await?;
        OutputPage::try_from(answer).map_err(|e| not_understood(&e))
    }

    /// When the pieces of the output of an ended invocation came; empty when that is not known.
    ///
    /// # Errors
    /// `NOT_FOUND`, or that the controller cannot be reached.
    pub async fn output_timing(&self, invocation: InvocationId) -> Result<Timing, Failure> {
        let request = pb::ReadOutputRequest {
            invocation_id: invocation.to_string(),
            stream: pb::StreamName::Stdout.into(),
            offset: 0,
            max_bytes: 1,
            timing: true,
        };
        let mut service = self.job_service();
        let answer = self.answer(CALL_DEADLINE, service.read_output(request)).await?;
        Ok(timing_from_wire(&answer.timing))
    }
}

// === conversions ===

impl TryFrom<pb::SubmitResponse> for Submitted {
    type Error = Invalid;
    fn try_from(wire: pb::SubmitResponse) -> Result<Self, Invalid> {
        Ok(Self { job: required("submitted.job", wire.job)?.try_into()?, replayed: wire.replayed })
    }
}

impl TryFrom<pb::GetResponse> for JobPage {
    type Error = Invalid;
    fn try_from(wire: pb::GetResponse) -> Result<Self, Invalid> {
        Ok(Self {
            job: required("job", wire.job)?.try_into()?,
            invocations: wire.invocations.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            next_page: page(wire.next_page_token),
        })
    }
}

impl TryFrom<pb::ListResponse> for JobsPage {
    type Error = Invalid;
    fn try_from(wire: pb::ListResponse) -> Result<Self, Invalid> {
        Ok(Self {
            jobs: wire.jobs.into_iter().map(TryInto::try_into).collect::<Result<_, _>>()?,
            next_page: page(wire.next_page_token),
        })
    }
}

impl TryFrom<pb::CancelResponse> for Cancelled {
    type Error = Invalid;
    fn try_from(wire: pb::CancelResponse) -> Result<Self, Invalid> {
        Ok(Self { already_ended: wire.already_ended, job: required("job", wire.job)?.try_into()? })
    }
}

impl TryFrom<pb::ReadOutputResponse> for OutputPage {
    type Error = Invalid;
    fn try_from(wire: pb::ReadOutputResponse) -> Result<Self, Invalid> {
        let pb::ReadOutputResponse { chunk, bytes_total, removed, timing: _ } = wire;
        Ok(Self {
            piece: required("chunk", chunk)?.try_into()?,
            bytes_total,
            removed: removed.map(TryInto::try_into).transpose()?,
        })
    }
}

/// The token of the next page, if there is one.
pub(crate) fn page(token: String) -> Option<String> {
    Some(token).filter(|t| !t.is_empty())
}
