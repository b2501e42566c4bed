//! What a watcher is told: everything so far, then everything as it happens, at the watcher's own pace.
//!
//! What running commands print is told only to those who ask for it: whoever wants what is kept and nothing else is told it at
//! the end, whole. A watcher holds one event at a time, made when the one before was taken: whoever reads slowly costs no memory and holds
//! nobody up. Output is copied for it a piece at a time, from the one copy that all watchers share or from the store.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use futures_util::stream::{self, Stream};
use lictor_core::{
    id::{InvocationId, JobId},
    invocation::Invocation,
    job::{Counts, Job},
    output::StreamName,
};
use lictor_proto::{
    convert::{invocation_to_wire, job_to_wire},
    pb,
};
use lictor_store::{KeptJob, KeptOutput, Store, StoreError, outline::slice};
use tonic::Status;

use super::{
    invocation::LiveInvocation,
    job::LiveJob,
    log::Entry,
    part::{Part, part},
};
use crate::output::{chunk, outline_to_wire};

/// Invocations read at a time when a job that has ended is told again.
const PAGE: usize = 100;
/// Output in one event: what a thousand watchers that do not read hold together stays small.
const PIECE_BYTES: usize = 16 * 1024;

/// What a watcher may see, and how its call began.
#[derive(Debug, Clone, Copy)]
pub struct View {
    /// Addresses of hosts.
    pub addresses: bool,
    /// The idempotency key was known.
    pub replayed: bool,
    /// What commands print while they run is asked for.
    pub live: bool,
}

struct Watcher {
    job: Arc<LiveJob>,
    store: Arc<dyn Store>,
    view: View,
    /// Number of the log entry to look at next.
    cursor: u64,
    length: tokio::sync::watch::Receiver<u64>,
    /// How far the streams of invocations that have not ended were told.
    told: HashMap<(usize, StreamName), u64>,
    first: Option<pb::JobEvent>,
    done: bool,
}

/// What one look at the log gives.
enum Told {
    Nothing,
    Event(Box<pb::JobEvent>),
    /// A part of a stream that only the store has.
    FromStore {
        invocation: InvocationId,
        stream: StreamName,
        from: u64,
        to: u64,
    },
}

/// The events of a live job.
pub fn watch(
    job: Arc<LiveJob>,
    store: Arc<dyn Store>,
    view: View,
) -> impl Stream<Item = Result<pb::JobEvent, Status>> + Send + 'static {
    let (snapshot, _, counts) = job.snapshot();
    let length = job.listen();
    let first = Some(submitted(&snapshot, &counts, view));
    let watcher = Watcher { job, store, view, cursor: 0, length, told: HashMap::new(), first, done: false };
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
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
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
        let page = store.outlines(kept.job.id, after.as_ref(), PAGE).await.map_err(internal)?;
        if page.is_empty() {
            break;
        }
        for mut outline in page {
            let id = outline.invocation.id;
            for stream in [StreamName::Stdout, StreamName::Stderr] {
                let mut position = 0;
                while let Some((from, to)) = outline.kept.stream(stream).next(position, PIECE_BYTES as u64) {
                    match part(store, id, stream, from, to).await.map_err(internal)? {
                        Part::Bytes(bytes) => {
                            sender.send(Ok(output(id, stream, from, bytes))).await.map_err(gone)?;
                            position = to;
                        }
                        Part::Removed(now) => outline = *now,
                        Part::Gone => return Err(removed(kept.job.id)),
                    }
                }
            }
            sender
                .send(Ok(invocation_event(&outline.invocation, Some(&outline.kept), view)))
                .await
                .map_err(gone)?;
            after = Some(outline.invocation.host);
        }
    }
    sender.send(Ok(finished(&kept.job, &counts))).await.map_err(gone)
}

// === impl Watcher ===

impl Watcher {
    async fn next(&mut self) -> Result<Option<pb::JobEvent>, Status> {
        loop {
            if let Some(first) = self.first.take() {
                return Ok(Some(first));
            }
            if self.done {
                return Ok(None);
            }
            match self.look() {
                Some(Told::Nothing) => {}
                Some(Told::Event(event)) => return Ok(Some(*event)),
                Some(Told::FromStore { invocation, stream, from, to }) => {
                    match part(&*self.store, invocation, stream, from, to).await.map_err(internal)? {
                        Part::Bytes(bytes) => return Ok(Some(output(invocation, stream, from, bytes))),
                        Part::Removed(now) => self.job.output_removed(*now),
                        Part::Gone => return Err(removed(self.job.id())),
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
    fn look(&mut self) -> Option<Told> {
        let job = Arc::clone(&self.job);
        let state = job.state();
        let (number, entry) = state.log.at(self.cursor)?;
        self.cursor = number + 1;
        Some(match entry {
            Entry::Phase { index } => match state.invocations.get(index) {
                Some(invocation) => {
                    if invocation.kept.state.outcome().is_some() {
                        self.told.retain(|(of, _), _| *of != index);
                    }
                    let kept = invocation.in_store.as_ref();
                    Told::Event(Box::new(invocation_event(&invocation.kept, kept, self.view)))
                }
                None => Told::Nothing,
            },
            Entry::Job => {
                let job = job_to_wire(&state.job, &state.counts);
                Told::Event(Box::new(event(pb::job_event::Event::Progress(job))))
            }
            Entry::Output { index, stream } => {
                let told = self.told.entry((index, stream)).or_default();
                let more = state.invocations.get(index).and_then(|i| piece(i, stream, *told, self.view.live));
                match more {
                    Some((to, more)) => {
                        *told = to;
                        // There may be more of it.
                        self.cursor = number;
                        more
                    }
                    None => Told::Nothing,
                }
            }
            Entry::Finished => {
                self.done = true;
                Told::Event(Box::new(finished(&state.job, &state.counts)))
            }
        })
    }
}

/// What is to be told of a stream to somebody who was told it up to `position`, and up to where that is.
fn piece(invocation: &LiveInvocation, stream: StreamName, position: u64, live: bool) -> Option<(u64, Told)> {
    let id = invocation.kept.id;
    if invocation.kept.state.outcome().is_none() {
        if !live {
            return None;
        }
        let (from, bytes) = invocation.shown.next(stream, position, PIECE_BYTES)?;
        let to = from + bytes.len() as u64;
        let shown = event(pb::job_event::Event::Live(chunk(id, stream, from, bytes)));
        return Some((to, Told::Event(Box::new(shown))));
    }
    let kept = invocation.stream(stream);
    // Where more was shown than there is, its agent began anew: what was shown is not what was printed, and all is told again.
    let position = if position > kept.total { 0 } else { position };
    let (from, to) = kept.next(position, PIECE_BYTES as u64)?;
    if invocation.in_store.is_some() {
        return Some((to, Told::FromStore { invocation: id, stream, from, to }));
    }
    let bytes = slice(&invocation.kept.output, stream, from, to);
    Some((to, Told::Event(Box::new(output(id, stream, from, bytes)))))
}

fn output(id: InvocationId, stream: StreamName, offset: u64, bytes: Bytes) -> pb::JobEvent {
    event(pb::job_event::Event::Output(chunk(id, stream, offset, bytes)))
}

fn submitted(job: &Job, counts: &Counts, view: View) -> pb::JobEvent {
    let response = pb::SubmitResponse { job: Some(job_to_wire(job, counts)), replayed: view.replayed };
    event(pb::job_event::Event::Submitted(response))
}

/// `kept` says which bytes are kept where the invocation is without them.
fn invocation_event(invocation: &Invocation, kept: Option<&KeptOutput>, view: View) -> pb::JobEvent {
    event(pb::job_event::Event::Invocation(match kept {
        Some(kept) => outline_to_wire(invocation, kept, view.addresses),
        None => invocation_to_wire(invocation, view.addresses),
    }))
}

fn finished(job: &Job, counts: &Counts) -> pb::JobEvent {
    event(pb::job_event::Event::Finished(job_to_wire(job, counts)))
}

const fn event(event: pb::job_event::Event) -> pb::JobEvent {
    pb::JobEvent { event: Some(event) }
}

/// Retention has removed the job while it was told.
fn removed(job: JobId) -> Status {
    lictor_proto::status::to_status(&crate::failure::no_such("job", &job.to_string()))
}

fn internal(error: StoreError) -> Status {
    lictor_proto::status::to_status(&crate::failure::of_store(error))
}
