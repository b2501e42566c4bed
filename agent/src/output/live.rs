//! The live view of one running command: the head of its streams, as it comes, never waited for.

use std::time::Duration;

use bytes::Bytes;
use lictor_core::{id::InvocationId, output::StreamName};
use lictor_proto::{limits::MAX_CHUNK_BYTES, pb};
use tokio::{sync::mpsc, time::Instant};

use super::uplink::Uplink;

/// A command that runs longer is shown live; a shorter one is told by its result alone.
const LIVE_AFTER: Duration = Duration::from_millis(100);
/// A command that prints more is shown live at once: its output does not travel with its result.
const LIVE_ABOVE_BYTES: usize = 32 * 1024;

/// Holds the first bytes back until it is clear that a live view is worth a stream.
#[derive(Debug)]
pub(crate) struct Live {
    id: InvocationId,
    uplink: Uplink,
    due: Instant,
    waiting: Vec<pb::OutputChunk>,
    waiting_bytes: usize,
    stream: Stream,
}

#[derive(Debug)]
enum Stream {
    NotYet,
    Open(mpsc::Sender<pb::OutputChunk>),
    Never,
}

impl Live {
    pub(crate) fn new(id: InvocationId, uplink: Uplink) -> Self {
        let due = Instant::now() + LIVE_AFTER;
        Self { id, uplink, due, waiting: Vec::new(), waiting_bytes: 0, stream: Stream::NotYet }
    }

    /// When [`Live::open`] should be called at the latest.
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// Shows `bytes`, which lie at `offset` of `stream`.
    pub(crate) fn push(&mut self, stream: StreamName, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() || matches!(self.stream, Stream::Never) {
            return;
        }
        let mut at = offset;
        for piece in bytes.chunks(MAX_CHUNK_BYTES) {
            let chunk = pb::OutputChunk {
                invocation_id: self.id.to_string(),
                stream: pb::StreamName::from(stream).into(),
                offset: at,
                data: Bytes::copy_from_slice(piece),
            };
            at += piece.len() as u64;
            match &self.stream {
                // What a full queue drops is sent again at the end.
                Stream::Open(sender) => drop(sender.try_send(chunk)),
                Stream::NotYet => {
                    self.waiting_bytes += piece.len();
                    self.waiting.push(chunk);
                }
                Stream::Never => {}
            }
        }
        if self.waiting_bytes > LIVE_ABOVE_BYTES || (!self.waiting.is_empty() && Instant::now() >= self.due) {
            self.open_stream();
        }
    }

    /// The command has run long enough to be shown; if it has printed nothing yet, its first bytes open the stream.
    pub(crate) fn open(&mut self) {
        if !self.waiting.is_empty() {
            self.open_stream();
        }
    }

    fn open_stream(&mut self) {
        if !matches!(self.stream, Stream::NotYet) {
            return;
        }
        self.stream = match self.uplink.open_live() {
            Some(sender) => {
                for chunk in self.waiting.drain(..) {
                    drop(sender.try_send(chunk));
                }
                Stream::Open(sender)
            }
            None => Stream::Never,
        };
        (self.waiting, self.waiting_bytes) = (Vec::new(), 0);
    }
}
