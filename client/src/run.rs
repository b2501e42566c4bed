//! Following a job as it happens: submit and watch in one call, and picking the job up again when the connection breaks.

use std::time::Duration;

use lictor_core::{
    error::{ErrorCode, Failure},
    id::JobId,
    job::JobSpec,
};
use lictor_proto::{
    convert::{Invalid, required},
    pb,
};
use tonic::{Response, Status, Streaming};

use crate::{
    connect::{CALL_DEADLINE, Client},
    failure::not_understood,
    jobs::Submitted,
    views::{InvocationView, JobView, OutputPiece},
};

/// First pause before a broken watch is opened again; it doubles with each further failure.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Failures in a row after which a watch is given up: with doubling pauses, half a minute, in which a controller restarts.
const MAX_FAILURES: u32 = 9;

/// Something that happened to a job.
///
/// After a broken connection the job is told again from its start. Whoever keeps output therefore goes by its offsets,
/// as [`Collector`](crate::collect::Collector) does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobUpdate {
    /// First: the job as it stands.
    Submitted(Box<Submitted>),
    /// An invocation has another phase; its output so far came before.
    Invocation(Box<InvocationView>),
    /// Kept output of an invocation that has ended.
    Output(OutputPiece),
    /// Output of an invocation that runs. What lies between one piece of a stream and the next was not shown.
    Live(OutputPiece),
    /// The job itself changed: another wave, paused, resumed, halted, being cancelled.
    Job(Box<JobView>),
    /// Last: the job as it ended.
    Finished(Box<JobView>),
}

/// The updates of one job, until it has ended. Dropping it does not cancel the job.
#[derive(Debug)]
pub struct RunStream {
    client: Client,
    job: JobId,
    live: bool,
    events: Streaming<pb::JobEvent>,
    first: Option<JobUpdate>,
    failures: u32,
    finished: bool,
}

// === impl Client ===

impl Client {
    /// Submits and watches in one call; kept output is told when its invocation has ended. Answers when the intent is
    /// durable; the first update is then at hand.
    ///
    /// With an idempotency key, a connection that breaks before that is tried once more: the key keeps the job from
    /// being recorded twice.
    ///
    /// # Errors
    /// The controller's refusal, or that it cannot be reached.
    pub async fn run(&self, spec: &JobSpec) -> Result<RunStream, Failure> {
        self.run_as(spec, false).await
    }

    /// As [`run`](Self::run); what commands print is told as they print it, as far as this keeps up.
    ///
    /// # Errors
    /// The controller's refusal, or that it cannot be reached.
    pub async fn run_live(&self, spec: &JobSpec) -> Result<RunStream, Failure> {
        self.run_as(spec, true).await
    }

    async fn run_as(&self, spec: &JobSpec, live: bool) -> Result<RunStream, Failure> {
        let open = async || {
            let request = pb::SubmitRequest { live, ..pb::SubmitRequest::from(spec) };
            self.open(live, async move { self.job_service().run(request).await }).await
        };
        match open().await {
            Err(failure) if failure.code == ErrorCode::Unavailable && spec.idempotency_key.is_some() => {
                open().await
            }
            other => other,
        }
    }

    /// What has happened to a job so far, then what happens; kept output when its invocation has ended.
    ///
    /// # Errors
    /// `NOT_FOUND`, or that the controller cannot be reached.
    pub async fn watch(&self, job: JobId) -> Result<RunStream, Failure> {
        self.watch_as(job, false).await
    }

    /// As [`watch`](Self::watch); what commands print is told as they print it, as far as this keeps up.
    ///
    /// # Errors
    /// `NOT_FOUND`, or that the controller cannot be reached.
    pub async fn watch_live(&self, job: JobId) -> Result<RunStream, Failure> {
        self.watch_as(job, true).await
    }

    async fn watch_as(&self, job: JobId, live: bool) -> Result<RunStream, Failure> {
        let request = pb::WatchRequest { job_id: job.to_string(), live };
        self.open(live, async move { self.job_service().watch(request).await }).await
    }

    /// Awaits the stream and its first event, within the deadline of a unary call: both commit nothing more than that.
    async fn open(
        &self,
        live: bool,
        call: impl Future<Output = Result<Response<Streaming<pb::JobEvent>>, Status>>,
    ) -> Result<RunStream, Failure> {
        let first = async {
            let mut events = call.await?.into_inner();
            let event = events.message().await?;
            Ok(Response::new((events, event)))
        };
        let (events, event) = self.answer(CALL_DEADLINE, first).await?;
        let event = event.ok_or_else(|| not_understood(&Invalid::new("job event", "there is none")))?;
        let update = JobUpdate::try_from(event).map_err(|e| not_understood(&e))?;
        let JobUpdate::Submitted(submitted) = &update else {
            return Err(not_understood(&Invalid::new(
                "job event",
                "the first is not the job as it was recorded",
            )));
        };
        Ok(RunStream {
            client: self.clone(),
            job: submitted.job.id,
            live,
            events,
            first: Some(update),
            failures: 0,
            finished: false,
        })
    }
}

// === impl RunStream ===

impl RunStream {
    /// The job.
    pub const fn job(&self) -> JobId {
        self.job
    }

    /// The next update; `None` after the job has ended. Safe to drop and call again.
    ///
    /// # Errors
    /// When the connection broke and the job could not be picked up again. The job itself goes on.
    pub async fn next(&mut self) -> Result<Option<JobUpdate>, Failure> {
        loop {
            if let Some(first) = self.first.take() {
                return Ok(Some(first));
            }
            if self.finished {
                return Ok(None);
            }
            match self.events.message().await {
                Ok(Some(event)) => {
                    let update = JobUpdate::try_from(event).map_err(|e| not_understood(&e))?;
                    self.finished = matches!(update, JobUpdate::Finished(_));
                    self.failures = 0;
                    return Ok(Some(update));
                }
                Ok(None) => self.resume(self.ended_early()).await?,
                Err(status) => self.resume(self.client.failure(&status)).await?,
            }
        }
    }

    /// Watches the job again, unless the failure is final or there were too many.
    async fn resume(&mut self, failure: Failure) -> Result<(), Failure> {
        let mut failure = failure;
        loop {
            let passing = matches!(failure.code, ErrorCode::Unavailable | ErrorCode::DeadlineExceeded);
            if !passing || self.failures >= MAX_FAILURES {
                return Err(failure.with("job_id", self.job.to_string()));
            }
            // Counted before the pause, so that a caller who drops this future and calls again gets nearer to the end.
            self.failures += 1;
            tokio::time::sleep(FIRST_PAUSE * 2_u32.pow(self.failures - 1)).await;
            match self.client.watch_as(self.job, self.live).await {
                Ok(stream) => {
                    (self.events, self.first) = (stream.events, stream.first);
                    return Ok(());
                }
                Err(next) => failure = next,
            }
        }
    }

    fn ended_early(&self) -> Failure {
        let message = format!("the controller at {} stopped telling about the job", self.client.address());
        Failure::new(ErrorCode::Unavailable, message, "ask for the job again")
    }
}

// === impl JobUpdate ===

impl TryFrom<pb::JobEvent> for JobUpdate {
    type Error = Invalid;
    fn try_from(wire: pb::JobEvent) -> Result<Self, Invalid> {
        Ok(match required("job event", wire.event)? {
            pb::job_event::Event::Submitted(submitted) => Self::Submitted(Box::new(submitted.try_into()?)),
            pb::job_event::Event::Invocation(invocation) => {
                Self::Invocation(Box::new(invocation.try_into()?))
            }
            pb::job_event::Event::Output(chunk) => Self::Output(chunk.try_into()?),
            pb::job_event::Event::Live(chunk) => Self::Live(chunk.try_into()?),
            pb::job_event::Event::Progress(job) => Self::Job(Box::new(job.try_into()?)),
            pb::job_event::Event::Finished(job) => Self::Finished(Box::new(job.try_into()?)),
        })
    }
}
