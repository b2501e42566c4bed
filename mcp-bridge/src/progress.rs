//! Progress notifications of one call: few, increasing, and only if the client asked for them. What was printed last comes beside
//! the message, as data in `_meta`, never within it.

use std::{collections::HashMap, time::Duration};

use lictor_client::{
    run::JobUpdate,
    views::{InvocationView, OutputPiece, Phase},
};
use lictor_core::{id::InvocationId, name::HostAlias, output::StreamName};
use rmcp::{
    RoleServer,
    model::{NotificationMetaObject, ProgressNotificationParam, ProgressToken},
    service::{Peer, RequestContext},
};
use serde_json::json;
use tokio::time::{Instant, sleep_until};

use crate::{answer::UNTRUSTED, inline};

/// Least time between two notifications: people see movement, a fan-out to thousands does not flood its client.
const INTERVAL: Duration = Duration::from_millis(250);
/// The field of `_meta` with what was printed last.
const OUTPUT: &str = "dev.lictor/output";
/// Most that is kept of what was printed last, in bytes.
const TAIL_BYTES: usize = 1024;
/// Most that is shown of it: some ten lines, escaped.
const TAIL_BUDGET: usize = 1024;
/// How far output alone moves progress, at most, in steps: it has to increase and never gets to the next one.
const MOST_OF_A_STEP: f64 = 0.9;

/// What to tell, and when.
#[derive(Debug)]
pub(crate) struct Progress {
    /// Where to tell it; `None` if the client did not ask.
    to: Option<(Peer<RoleServer>, ProgressToken)>,
    hosts: u32,
    /// The invocations that have started.
    begun: HashMap<InvocationId, Begun>,
    done: u32,
    ended: u32,
    /// Notifications of output since the last step.
    outputs: u32,
    printed: Option<Printed>,
    waiting: Option<String>,
    next: Instant,
}

/// An invocation that has started.
#[derive(Debug)]
struct Begun {
    host: HostAlias,
    /// Steps done: 1 started, 2 ended.
    steps: u32,
}

/// What was printed last, by one invocation to one stream.
#[derive(Debug)]
struct Printed {
    invocation: InvocationId,
    stream: StreamName,
    /// Where the bytes end in the whole stream.
    end: u64,
    tail: Vec<u8>,
    /// Something of it was not told yet.
    is_new: bool,
}

// === impl Progress ===

impl Progress {
    /// For the request of `context`.
    pub(crate) fn new(context: &RequestContext<RoleServer>) -> Self {
        let to = context.meta.get_progress_token().map(|token| (context.peer.clone(), token));
        Self {
            to,
            hosts: 0,
            begun: HashMap::new(),
            done: 0,
            ended: 0,
            outputs: 0,
            printed: None,
            waiting: None,
            next: Instant::now(),
        }
    }

    /// Whether the client wants to be told.
    pub(crate) const fn is_asked_for(&self) -> bool {
        self.to.is_some()
    }

    /// Takes note of an update. The job's identifier is told at once, because cancelling needs it; the rest by
    /// [`Progress::told`].
    pub(crate) async fn note(&mut self, update: &JobUpdate) {
        if self.to.is_none() {
            return;
        }
        match update {
            JobUpdate::Submitted(submitted) if self.hosts == 0 => {
                self.hosts = submitted.job.counts.total();
                self.waiting = Some(format!("{} recorded for {} hosts", submitted.job.id, self.hosts));
                self.tell().await;
            }
            JobUpdate::Invocation(invocation) => self.note_invocation(invocation),
            JobUpdate::Live(piece) => self.note_output(piece),
            JobUpdate::Submitted(_) | JobUpdate::Job(_) | JobUpdate::Output(_) | JobUpdate::Finished(_) => {}
        }
    }

    fn note_invocation(&mut self, invocation: &InvocationView) {
        let reached = match invocation.phase {
            Phase::Queued | Phase::Offered | Phase::Accepted => return,
            Phase::Running => 1,
            Phase::Ended => 2,
        };
        let begun = self
            .begun
            .entry(invocation.id)
            .or_insert_with(|| Begun { host: invocation.host.clone(), steps: 0 });
        if reached <= begun.steps {
            return;
        }
        self.done += reached - begun.steps;
        begun.steps = reached;
        self.outputs = 0;
        self.waiting = Some(if reached == 1 {
            format!("started on {}; {} of {} hosts ended", invocation.host, self.ended, self.hosts)
        } else {
            self.ended += 1;
            format!(
                "{} on {}; {} of {} hosts ended",
                invocation.state(),
                invocation.host,
                self.ended,
                self.hosts
            )
        });
    }

    /// Waits until something may be told, tells it, and returns; never returns if there is nothing to tell. Safe to drop.
    pub(crate) async fn told(&mut self) {
        if self.waiting.is_none() {
            return std::future::pending().await;
        }
        sleep_until(self.next).await;
        self.tell().await;
    }

    fn note_output(&mut self, piece: &OutputPiece) {
        let Some(begun) = self.begun.get(&piece.invocation).filter(|begun| begun.steps == 1) else { return };
        match &mut self.printed {
            Some(printed) if printed.is_followed_by(piece) => printed.push(piece),
            printed => {
                let (invocation, stream) = (piece.invocation, piece.stream);
                let first = Printed { invocation, stream, end: piece.offset, tail: Vec::new(), is_new: true };
                printed.insert(first).push(piece);
            }
        }
        if self.waiting.is_none() {
            let (ended, hosts) = (self.ended, self.hosts);
            self.waiting = Some(format!("output on {}; {ended} of {hosts} hosts ended", begun.host));
            self.outputs = self.outputs.saturating_add(1);
        }
    }

    /// The end of what was printed last, as data, if it was not told yet.
    fn printed(&mut self) -> Option<NotificationMetaObject> {
        let printed = self.printed.as_mut().filter(|printed| printed.is_new)?;
        printed.is_new = false;
        let output = json!({
            "host": self.begun.get(&printed.invocation)?.host.to_string(),
            "stream": match printed.stream {
                StreamName::Stdout => "stdout",
                StreamName::Stderr => "stderr",
            },
            "tail": inline::end(&printed.tail, TAIL_BUDGET),
            "bytes_total": printed.end,
            UNTRUSTED: ["tail"],
        });
        let mut meta = NotificationMetaObject::default();
        meta.0.0.insert(OUTPUT.to_owned(), output);
        Some(meta)
    }

    /// How far it has come, in hosts: further with every notification.
    fn so_far(&self) -> f64 {
        let outputs = f64::from(self.outputs);
        (f64::from(self.done) + MOST_OF_A_STEP * outputs / (outputs + 1.0)) / 2.0
    }

    async fn tell(&mut self) {
        let Some(message) = self.waiting.take() else { return };
        let (so_far, printed) = (self.so_far(), self.printed());
        if let Some((peer, token)) = &self.to {
            let mut params = ProgressNotificationParam::new(token.clone(), so_far)
                .with_total(f64::from(self.hosts))
                .with_message(message);
            params.meta = printed;
            self.next = Instant::now() + INTERVAL;
            // A client that cannot be told has gone; the call learns that by its cancellation.
            let _ = peer.notify_progress(params).await;
        }
    }
}

// === impl Printed ===

impl Printed {
    fn is_followed_by(&self, piece: &OutputPiece) -> bool {
        (self.invocation, self.stream, self.end) == (piece.invocation, piece.stream, piece.offset)
    }

    /// Takes the piece in, and keeps the end of it all.
    fn push(&mut self, piece: &OutputPiece) {
        let new = piece.data.get(piece.data.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default();
        let superfluous = (self.tail.len() + new.len()).saturating_sub(TAIL_BYTES);
        self.tail.drain(..superfluous.min(self.tail.len()));
        self.tail.extend_from_slice(new);
        self.end = piece.offset.saturating_add(piece.data.len() as u64);
        self.is_new = true;
    }
}
