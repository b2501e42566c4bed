//! What a watcher is told: everything so far, then everything as it happens, at the watcher's own pace.

use std::{collections::VecDeque, sync::Arc};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use lictor_core::{
    invocation::Invocation,
    job::{Counts, Job},
    output::{Output, StreamName},
};
use lictor_proto::{
    convert::{invocation_to_wire, job_to_wire},
    limits::MAX_CHUNK_BYTES,
    pb,
};
use lictor_store::{KeptJob, Store, StoreError};
use tonic::Status;

use super::job::{Entry, LiveJob, rank};

/// Invocations read at a time when a job that has ended is told again.
const PAGE: usize = 100;

/// What a watcher may see, and how its call began.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Addresses of hosts.
    pub addresses: bool,
    /// The idempotency key was known.
    pub replayed: bool,
}

struct Watcher {
    job: Arc<LiveJob>,
    store: Arc<dyn Store>,
    view: View,
    cursor: usize,
    length: tokio::sync::watch::Receiver<usize>,
    ready: VecDeque<pb::JobEvent>,
    done: bool,
}

/// What one log entry becomes.
enum Told {
    Nothing,
    Events(Vec<pb::JobEvent>),
    /// A part of a stream that only the store has.
    FromStore {
        invocation: lictor_core::id::InvocationId,
        stream: StreamName,
        from: u64,
        to: u64,
    },
    Finished(Box<pb::JobEvent>),
}

/// The events of a live job.
pub fn watch(
    job: Arc<LiveJob>,
    store: Arc<dyn Store>,
    view: View,
) -> impl Stream<Item = Result<pb::JobEvent, Status>> + Send + 'static {
    let (snapshot, _, counts) = job.snapshot();
    let length = job.listen();
    let ready = VecDeque::from([submitted(&snapshot, &counts, view)]);
    let watcher = Watcher { job, store, view, cursor: 0, length, ready, done: false };
    stream::try_unfold(watcher, |mut watcher| async move {
        let event = watcher.next().await?;
        Ok(event.map(|event| (event, watcher)))
    })
}

/// The events of a job that has ended, from the store.
pub fn replay(
    kept: KeptJob,
    store: Arc<dyn Store>,
    view: View,
) -> impl Stream<Item = Result<pb::JobEvent, Status>> + Send + 'static {
    let (sender, receiver) = tokio::sync::mpsc::channel(4);
    tokio::spawn(async move {
        let told = tell_kept(&kept, &*store, view, &sender).await;
        if let Err(status) = told {
            let _ = sender.send(Err(status)).await;
        }
    });
    tokio_stream::wrappers::ReceiverStream::new(receiver)
}

type Sender = tokio::sync::mpsc::Sender<Result<pb::JobEvent, Status>>;

async fn tell_kept(kept: &KeptJob, store: &dyn Store, view: View, sender: &Sender) -> Result<(), Status> {
    let counts = kept.counts.unwrap_or_default();
    let gone = |_| Status::cancelled("the watcher is gone");
    sender.send(Ok(submitted(&kept.job, &counts, view))).await.map_err(gone)?;
    let mut after = None;
    loop {
        let page = store.invocation_ids(kept.job.id, after.as_ref(), PAGE).await.map_err(internal)?;
        if page.is_empty() {
            break;
        }
        for id in page {
            let Some(invocation) = store.invocation(id).await.map_err(internal)? else { continue };
            for stream in [StreamName::Stdout, StreamName::Stderr] {
                let summary = invocation.output.stream(stream);
                let mut chunks = chunks(&invocation, stream, 0, Bytes::copy_from_slice(&summary.head));
                let tail_from = summary.bytes_total - summary.tail.len() as u64;
                chunks.extend(self::chunks(
                    &invocation,
                    stream,
                    tail_from,
                    Bytes::copy_from_slice(&summary.tail),
                ));
                for chunk in chunks {
                    sender.send(Ok(chunk)).await.map_err(gone)?;
                }
            }
            sender.send(Ok(invocation_event(&invocation, view))).await.map_err(gone)?;
            after = Some(invocation.host);
        }
    }
    sender.send(Ok(finished(&kept.job, &counts))).await.map_err(gone)
}

// === impl Watcher ===

impl Watcher {
    async fn next(&mut self) -> Result<Option<pb::JobEvent>, Status> {
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Ok(Some(event));
            }
            if self.done {
                return Ok(None);
            }
            let told = self.advance();
            match told {
                Some(Told::Nothing) => {}
                Some(Told::Events(events)) => self.ready.extend(events),
                Some(Told::Finished(event)) => {
                    self.ready.push_back(*event);
                    self.done = true;
                }
                Some(Told::FromStore { invocation, stream, from, to }) => {
                    let kept = self.store.invocation(invocation).await.map_err(internal)?;
                    if let Some(kept) = kept {
                        self.ready.extend(chunks(
                            &kept,
                            stream,
                            from,
                            kept_bytes(&kept.output, stream, from, to),
                        ));
                    }
                }
                None => {
                    if self.length.changed().await.is_err() {
                        return Ok(None);
                    }
                }
            }
        }
    }

    /// What the next log entry says, or nothing if there is none yet.
    fn advance(&mut self) -> Option<Told> {
        let state = self.job.state();
        let entry = *state.log.get(self.cursor)?;
        self.cursor += 1;
        Some(match entry {
            Entry::Phase { index, rank: told } => match state.invocations.get(index) {
                // A later entry tells of the phase that it has reached since.
                Some(invocation) if rank(&invocation.kept.state) == told => {
                    Told::Events(vec![invocation_event(&invocation.kept, self.view)])
                }
                _ => Told::Nothing,
            },
            Entry::Output { index, stream, from, to } => match state.invocations.get(index) {
                Some(invocation) if invocation.output_in_store => {
                    Told::FromStore { invocation: invocation.kept.id, stream, from, to }
                }
                Some(invocation) if invocation.kept.state.outcome().is_some() => {
                    let bytes = kept_bytes(&invocation.kept.output, stream, from, to);
                    Told::Events(chunks(&invocation.kept, stream, from, bytes))
                }
                Some(invocation) => Told::Events(chunks(
                    &invocation.kept,
                    stream,
                    from,
                    invocation.assembly.head(stream, from, to),
                )),
                None => Told::Nothing,
            },
            Entry::Job => Told::Events(vec![event(pb::job_event::Event::Progress(job_to_wire(
                &state.job,
                &state.counts,
            )))]),
            Entry::Finished => Told::Finished(Box::new(finished(&state.job, &state.counts))),
        })
    }
}

/// The kept bytes of a stream between two offsets.
fn kept_bytes(output: &Output, stream: StreamName, from: u64, to: u64) -> Bytes {
    let summary = output.stream(stream);
    let (bytes, start) = if from < summary.head.len() as u64 {
        (&summary.head, 0)
    } else {
        (&summary.tail, summary.bytes_total - summary.tail.len() as u64)
    };
    let at =
        |offset: u64| usize::try_from(offset.saturating_sub(start)).unwrap_or(usize::MAX).min(bytes.len());
    Bytes::copy_from_slice(bytes.get(at(from)..at(to)).unwrap_or_default())
}

fn chunks(invocation: &Invocation, stream: StreamName, offset: u64, mut data: Bytes) -> Vec<pb::JobEvent> {
    let mut events = Vec::new();
    let mut offset = offset;
    while !data.is_empty() {
        let piece = data.split_to(data.len().min(MAX_CHUNK_BYTES));
        let length = piece.len() as u64;
        let chunk = pb::OutputChunk {
            invocation_id: invocation.id.to_string(),
            stream: pb::StreamName::from(stream).into(),
            offset,
            data: piece,
        };
        events.push(event(pb::job_event::Event::Output(chunk)));
        offset += length;
    }
    events
}

fn submitted(job: &Job, counts: &Counts, view: View) -> pb::JobEvent {
    let response = pb::SubmitResponse { job: Some(job_to_wire(job, counts)), replayed: view.replayed };
    event(pb::job_event::Event::Submitted(response))
}

fn invocation_event(invocation: &Invocation, view: View) -> pb::JobEvent {
    event(pb::job_event::Event::Invocation(invocation_to_wire(invocation, view.addresses)))
}

fn finished(job: &Job, counts: &Counts) -> pb::JobEvent {
    event(pb::job_event::Event::Finished(job_to_wire(job, counts)))
}

const fn event(event: pb::job_event::Event) -> pb::JobEvent {
    pb::JobEvent { event: Some(event) }
}

fn internal(error: StoreError) -> Status {
    lictor_proto::status::to_status(&crate::failure::of_store(error))
}
