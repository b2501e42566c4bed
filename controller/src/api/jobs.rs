//! JobService: decode, call, encode.

use std::{pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use lictor_core::{
    clock::Timestamp,
    error::{ErrorCode, Failure},
    id::{InvocationId, JobId},
    invocation::InvocationState,
    job::{JobSpec, Origin},
    name::HostAlias,
    output::StreamName,
};
use lictor_proto::{
    convert::{Invalid, job_to_wire, known, page_size, parse},
    limits::MAX_CHUNK_BYTES,
    pb::{self, job_service_server::JobService},
};
use lictor_store::{KeptJob, KeptStream, Outline};
use prost::Message as _;
use tokio_stream::Stream;
use tonic::{Request, Response, Status, Streaming};

use super::{audit::Reads, content, cursor::Cursors, own_records::OwnRecords, pages::Room, status};
use crate::{
    authn::Authenticated,
    failure::{no_such, of_store},
    lifecycle::{Lifecycle, Submitted},
    live::{LiveJob, Part, View, part, replay, watch},
    output::{chunk, outline_to_wire},
};

/// Jobs on a page when the caller does not say.
const DEFAULT_JOBS: u32 = 50;
/// Invocations on a page when the caller does not say.
const DEFAULT_INVOCATIONS: u32 = 100;
/// Most jobs that one call for a list looks at, whoever may see them: what a store reads in a fraction of a second.
const MAX_LOOKED_AT: usize = 5_000;
/// Fewest that are read at a time: jobs of others may lie between the caller's.
const MIN_BATCH: usize = 64;

/// How often a job is looked for that is recorded and not live yet.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How many times; far longer than a commit takes.
const LOOKS: usize = 50;

/// The service.
#[derive(Debug)]
pub struct Jobs {
    lifecycle: Arc<Lifecycle>,
    records: OwnRecords,
    cursors: Cursors,
}

/// A job that the caller may see: live, or as kept.
enum Seen {
    Live(Arc<LiveJob>),
    Kept(Box<KeptJob>),
}

impl Seen {
    fn origin(&self) -> Origin {
        match self {
            Self::Live(live) => live.snapshot().0.origin,
            Self::Kept(kept) => kept.job.origin.clone(),
        }
    }
}

type Events = Pin<Box<dyn Stream<Item = Result<pb::JobEvent, Status>> + Send>>;

impl Jobs {
    /// The service of this lifecycle; who reads records of the audit is recorded by `reads`.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub fn new(lifecycle: Arc<Lifecycle>, reads: Arc<Reads>) -> anyhow::Result<Self> {
        let records = OwnRecords::new(Arc::clone(&lifecycle), reads);
        let cursors = Cursors::new().map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
        Ok(Self { lifecycle, records, cursors })
    }

    async fn submit_spec(
        &self,
        request: Request<pb::SubmitRequest>,
    ) -> Result<(Authenticated, Submitted), Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let mut spec: JobSpec = request.into_inner().try_into().map_err(status::<Invalid>)?;
        caller.mark(&mut spec.origin);
        let submitted = self.lifecycle.submit(&caller, &spec).await.map_err(status)?;
        Ok((caller, submitted))
    }

    /// The job, if the caller may see it: operators see all of their tenant's, others their own.
    async fn see(&self, caller: &Authenticated, text: &str) -> Result<Seen, Failure> {
        let id: JobId = parse("job_id", text)?;
        let seen = self.find(id).await?.ok_or_else(|| no_such("job", text))?;
        let may_see = match &seen {
            Seen::Live(live) => caller.may_see(&live.snapshot().0),
            Seen::Kept(kept) => caller.may_see(&kept.job),
        };
        if may_see { Ok(seen) } else { Err(no_such("job", text)) }
    }

    /// The job, if the caller may stop it: whoever may see it, and the service that brought it for a user whose token has
    /// expired meanwhile.
    async fn see_to_stop(&self, caller: &Authenticated, text: &str) -> Result<Seen, Failure> {
        let seen = self.see(caller, text).await;
        let Err(Failure { code: ErrorCode::NotFound, .. }) = &seen else { return seen };
        match self.find(parse("job_id", text)?).await? {
            Some(found) if caller.brought(&found.origin()) => Ok(found),
            _ => seen,
        }
    }

    /// The job, live or as kept. One that was recorded a moment ago is about to be live.
    async fn find(&self, id: JobId) -> Result<Option<Seen>, Failure> {
        let mut found = None;
        for _ in 0..LOOKS {
            if let Some(live) = self.lifecycle.jobs.job(id) {
                return Ok(Some(Seen::Live(live)));
            }
            let Some(kept) = self.lifecycle.store.job(id).await.map_err(of_store)? else { return Ok(None) };
            let ended = kept.counts.is_some();
            found = Some(Seen::Kept(Box::new(kept)));
            if ended {
                break;
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        Ok(found)
    }

    /// The caller's jobs that are older than `before`, newest first; and before which one to read on, if there is more. It looks
    /// for one more than it shows: where only jobs of others follow, the list ends as if there were none.
    async fn page(
        &self,
        caller: &Authenticated,
        before: Option<JobId>,
        limit: usize,
    ) -> Result<(Vec<pb::Job>, Option<JobId>), Failure> {
        let (mut jobs, mut room) = (Vec::new(), Room::beside(0));
        let (mut at, mut left) = (before, MAX_LOOKED_AT);
        while left > 0 {
            let size = limit.saturating_add(1).max(MIN_BATCH).min(left);
            let batch = self.lifecycle.store.jobs(at, size).await.map_err(of_store)?;
            let is_last = batch.len() < size;
            left -= batch.len();
            for kept in batch {
                let id = kept.job.id;
                if caller.may_see(&kept.job) {
                    if jobs.len() == limit {
                        return Ok((jobs, at));
                    }
                    let job = self.kept_to_wire(kept).await?;
                    if !room.takes(&job) {
                        return Ok((jobs, at));
                    }
                    jobs.push(job);
                }
                at = Some(id);
            }
            if is_last {
                return Ok((jobs, None));
            }
        }
        Ok((jobs, at))
    }

    async fn kept_to_wire(&self, kept: KeptJob) -> Result<pb::Job, Failure> {
        if let Some(live) = self.lifecycle.jobs.job(kept.job.id) {
            let (job, _, counts) = live.snapshot();
            return Ok(job_to_wire(&job, &counts));
        }
        let counts = self.lifecycle.counts(&kept).await.map_err(of_store)?;
        Ok(job_to_wire(&kept.job, &counts))
    }

    fn events(&self, seen: Seen, caller: &Authenticated, replayed: bool, live: bool) -> Events {
        let store = Arc::clone(&self.lifecycle.store);
        let view = View { addresses: caller.is_operator(), replayed, live };
        match seen {
            Seen::Live(job) => Box::pin(watch(job, store, view)),
            Seen::Kept(kept) => Box::pin(replay(*kept, store, view)),
        }
    }

    async fn invocations(
        &self,
        id: JobId,
        caller: &Authenticated,
        after: Option<&HostAlias>,
        limit: usize,
        mut room: Room,
    ) -> Result<(Vec<pb::Invocation>, String), Failure> {
        let store = &self.lifecycle.store;
        let outlines = store.outlines(id, after, limit).await.map_err(of_store)?;
        let mut full = outlines.len() == limit;
        let mut page = Vec::with_capacity(outlines.len());
        for mut outline in outlines {
            let kept = &mut outline.invocation;
            self.freshen(kept.id, &mut kept.state, &mut kept.started_at);
            let invocation = outline_to_wire(&outline.invocation, &outline.kept, caller.is_operator());
            if !room.takes(&invocation) {
                full = true;
                break;
            }
            page.push(invocation);
        }
        let next = if full { page.last().map(|i| i.host.clone()).unwrap_or_default() } else { String::new() };
        Ok((page, next))
    }

    /// Who wants to steer which job, if they may see it.
    async fn steered<T>(&self, request: &Request<T>, text: &str) -> Result<(Authenticated, JobId), Status> {
        let caller = Authenticated::from_call(request).map_err(status)?;
        self.see(&caller, text).await.map_err(status)?;
        let id = parse("job_id", text).map_err(status::<Invalid>)?;
        Ok((caller, id))
    }

    /// Who paused a job may resume it, and every operator.
    fn may_resume(&self, caller: &Authenticated, id: JobId) -> Result<(), Status> {
        let paused = self.lifecycle.jobs.job(id).and_then(|job| job.snapshot().0.progress.paused);
        match paused {
            Some((by, _)) if by != *caller.principal() && !caller.is_operator() => {
                let message = format!("{id} was paused by {by}");
                Err(status(Failure::new(
                    ErrorCode::Forbidden,
                    message,
                    "ask them, or an operator, to resume it",
                )))
            }
            _ => Ok(()),
        }
    }

    async fn as_it_stands(&self, caller: &Authenticated, id: JobId) -> Result<Response<pb::Job>, Status> {
        let seen = self.see(caller, &id.to_string()).await.map_err(status)?;
        Ok(Response::new(self.told(seen).await.map_err(status)?))
    }

    async fn told(&self, seen: Seen) -> Result<pb::Job, Failure> {
        match seen {
            Seen::Live(live) => {
                let (job, _, counts) = live.snapshot();
                Ok(job_to_wire(&job, &counts))
            }
            Seen::Kept(kept) => self.kept_to_wire(*kept).await,
        }
    }

    /// Accepted and running are known only in memory; the store knows what was offered and what ended.
    fn freshen(&self, id: InvocationId, state: &mut InvocationState, started_at: &mut Option<Timestamp>) {
        if state.outcome().is_none()
            && let Some(slot) = self.lifecycle.jobs.invocation(id)
            && let Some((live, started)) =
                slot.job.with(slot.index, |i, _| (i.kept.state.clone(), i.kept.started_at))
            && live.outcome().is_none()
        {
            *state = live;
            *started_at = started;
        }
    }
}

#[tonic::async_trait]
impl JobService for Jobs {
    type RunStream = Events;
    type WatchStream = Events;

    async fn submit(
        &self,
        request: Request<pb::SubmitRequest>,
    ) -> Result<Response<pb::SubmitResponse>, Status> {
        let (_, submitted) = self.submit_spec(request).await?;
        let (job, counts, replayed) = match submitted {
            Submitted::Live { job, replayed } => {
                let (job, _, counts) = job.snapshot();
                (job, counts, replayed)
            }
            Submitted::Ended(kept) => (kept.job, kept.counts.unwrap_or_default(), true),
        };
        Ok(Response::new(pb::SubmitResponse { job: Some(job_to_wire(&job, &counts)), replayed }))
    }

    async fn run(&self, request: Request<pb::SubmitRequest>) -> Result<Response<Events>, Status> {
        let live = request.get_ref().live;
        let (caller, submitted) = self.submit_spec(request).await?;
        let (seen, replayed) = match submitted {
            Submitted::Live { job, replayed } => (Seen::Live(job), replayed),
            Submitted::Ended(kept) => (Seen::Kept(kept), true),
        };
        Ok(Response::new(self.events(seen, &caller, replayed, live)))
    }

    async fn get(&self, request: Request<pb::GetRequest>) -> Result<Response<pb::GetResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let pb::GetRequest { job_id, page_size: size, page_token } = request.into_inner();
        let limit = page_size("page_size", size, DEFAULT_INVOCATIONS).map_err(status)? as usize;
        let after = (!page_token.is_empty())
            .then(|| parse("page_token", &page_token))
            .transpose()
            .map_err(status::<Invalid>)?;
        let (job, id) = match self.see(&caller, &job_id).await.map_err(status)? {
            Seen::Live(live) => {
                let (job, _, counts) = live.snapshot();
                (job_to_wire(&job, &counts), job.id)
            }
            Seen::Kept(kept) => {
                let id = kept.job.id;
                (self.kept_to_wire(*kept).await.map_err(status)?, id)
            }
        };
        let room = Room::beside(job.encoded_len());
        let (invocations, next_page_token) =
            self.invocations(id, &caller, after.as_ref(), limit, room).await.map_err(status)?;
        Ok(Response::new(pb::GetResponse { job: Some(job), invocations, next_page_token }))
    }

    async fn list(&self, request: Request<pb::ListRequest>) -> Result<Response<pb::ListResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let pb::ListRequest { page_size: size, page_token } = request.into_inner();
        let limit = page_size("page_size", size, DEFAULT_JOBS).map_err(status)? as usize;
        let me = caller.principal();
        let before = (!page_token.is_empty())
            .then(|| self.cursors.open(me, &page_token))
            .transpose()
            .map_err(status)?;
        let (jobs, more_before) = self.page(&caller, before, limit).await.map_err(status)?;
        let next = more_before.map(|job| self.cursors.seal(me, job)).transpose().map_err(status)?;
        Ok(Response::new(pb::ListResponse { jobs, next_page_token: next.unwrap_or_default() }))
    }

    async fn watch(&self, request: Request<pb::WatchRequest>) -> Result<Response<Events>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let seen = self.see(&caller, &request.get_ref().job_id).await.map_err(status)?;
        Ok(Response::new(self.events(seen, &caller, false, request.get_ref().live)))
    }

    async fn cancel(
        &self,
        request: Request<pb::CancelRequest>,
    ) -> Result<Response<pb::CancelResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let text = &request.get_ref().job_id;
        self.see_to_stop(&caller, text).await.map_err(status)?;
        let id: JobId = parse("job_id", text).map_err(status::<Invalid>)?;
        let already_ended = self.lifecycle.cancel(id, &caller).await.map_err(status)?;
        let seen = self.see_to_stop(&caller, text).await.map_err(status)?;
        let job = self.told(seen).await.map_err(status)?;
        Ok(Response::new(pb::CancelResponse { already_ended, job: Some(job) }))
    }

    async fn pause(&self, request: Request<pb::PauseRequest>) -> Result<Response<pb::Job>, Status> {
        let (caller, id) = self.steered(&request, &request.get_ref().job_id).await?;
        self.lifecycle.pause(id, &caller).await.map_err(status)?;
        self.as_it_stands(&caller, id).await
    }

    async fn resume(&self, request: Request<pb::ResumeRequest>) -> Result<Response<pb::Job>, Status> {
        let (caller, id) = self.steered(&request, &request.get_ref().job_id).await?;
        self.may_resume(&caller, id)?;
        self.lifecycle.resume(id, &caller).await.map_err(status)?;
        self.as_it_stands(&caller, id).await
    }

    async fn abort(&self, request: Request<pb::AbortRequest>) -> Result<Response<pb::Job>, Status> {
        let (caller, id) = self.steered(&request, &request.get_ref().job_id).await?;
        self.lifecycle.abort(id, &caller).await.map_err(status)?;
        self.as_it_stands(&caller, id).await
    }

    async fn put_content(
        &self,
        request: Request<Streaming<pb::PutContentRequest>>,
    ) -> Result<Response<pb::PutContentResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let contents = &self.lifecycle.contents;
        let known = content::put(contents, &caller, request.into_inner()).await.map_err(status)?;
        Ok(Response::new(pb::PutContentResponse { known }))
    }

    async fn search_records(
        &self,
        request: Request<pb::SearchRecordsRequest>,
    ) -> Result<Response<pb::SearchRecordsResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let found = self.records.search(&caller, request.into_inner()).await.map_err(status)?;
        Ok(Response::new(found))
    }

    async fn read_output(
        &self,
        request: Request<pb::ReadOutputRequest>,
    ) -> Result<Response<pb::ReadOutputResponse>, Status> {
        let caller = Authenticated::from_call(&request).map_err(status)?;
        let pb::ReadOutputRequest { invocation_id, stream, offset, max_bytes, timing } = request.into_inner();
        let id: InvocationId = parse("invocation_id", &invocation_id).map_err(status::<Invalid>)?;
        let name: pb::StreamName = known("stream", stream).map_err(status::<Invalid>)?;
        let name: StreamName = name.try_into().map_err(status::<Invalid>)?;
        let missing = || status(no_such("invocation", &invocation_id));
        let store = &self.lifecycle.store;
        let outline = store.outline(id).await.map_err(|e| status(of_store(e)))?;
        let mut outline = outline.ok_or_else(missing)?;
        // An invocation is seen by whoever sees its job.
        let hidden = self.see(&caller, &outline.invocation.job.to_string()).await.is_err();
        if hidden {
            return Err(missing());
        }
        let most = if max_bytes == 0 { MAX_CHUNK_BYTES as u64 } else { u64::from(max_bytes) };
        let range = |kept: &KeptStream| {
            let end = offset.max(kept.total);
            kept.next(offset, most.min(MAX_CHUNK_BYTES as u64)).unwrap_or((end, end))
        };
        let (mut from, to) = range(outline.kept.stream(name));
        let data = match part(&**store, id, name, from, to).await.map_err(|e| status(of_store(e)))? {
            Part::Bytes(bytes) => bytes,
            Part::Removed(now) => {
                outline = *now;
                (from, _) = range(outline.kept.stream(name));
                Bytes::new()
            }
            Part::Gone => return Err(missing()),
        };
        let Outline { invocation, kept } = &outline;
        let bytes_total = kept.stream(name).total;
        let removed = invocation.output_removed.as_ref().map(Into::into);
        let timing = if timing { invocation.output.timing.encode() } else { Vec::new() };
        let chunk = Some(chunk(id, name, from, data));
        Ok(Response::new(pb::ReadOutputResponse { chunk, bytes_total, removed, timing }))
    }
}
