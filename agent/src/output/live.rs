//! The live view of one running command: what it prints, as it comes, never waited for.

use std::{sync::Arc, time::Duration};

use lictor_core::{id::InvocationId, output::StreamName};
use tokio::time::Instant;

use super::{feed::Feed, uplink::Uplink};

/// A command that runs longer is shown live; a shorter one is told by its result alone.
const LIVE_AFTER: Duration = Duration::from_millis(100);
/// A command that prints more is shown live at once: its output does not travel with its result.
const LIVE_ABOVE_BYTES: usize = 32 * 1024;

/// Holds the first bytes back until it is clear that a live view is worth sending. What still waits to be sent when the
/// command has ended is not: the result tells it.
#[derive(Debug)]
pub(crate) struct Live {
    id: InvocationId,
    feed: Arc<Feed>,
    due: Instant,
    /// What came before that was clear; `None` since then.
    held_back: Option<Vec<(StreamName, u64, Vec<u8>)>>,
    held_back_bytes: usize,
    /// What was shown was not what the command printed; nothing more is.
    stopped: bool,
}

impl Live {
    pub(crate) fn new(id: InvocationId, uplink: Uplink) -> Self {
        let due = Instant::now() + LIVE_AFTER;
        Self { id, feed: uplink.feed(), due, held_back: Some(Vec::new()), held_back_bytes: 0, stopped: false }
    }

    /// When [`Live::open`] should be called at the latest.
    pub(crate) const fn due(&self) -> Instant {
        self.due
    }

    /// Shows `bytes`, which lie at `offset` of `stream`.
    pub(crate) fn push(&mut self, stream: StreamName, offset: u64, bytes: &[u8]) {
        if self.stopped {
            return;
        }
        let Some(held_back) = &mut self.held_back else {
            return self.feed.push(self.id, stream, offset, bytes);
        };
        let (short, early) =
            (self.held_back_bytes + bytes.len() <= LIVE_ABOVE_BYTES, Instant::now() < self.due);
        if short && early {
            held_back.push((stream, offset, bytes.to_vec()));
            self.held_back_bytes += bytes.len();
            return;
        }
        self.open();
        self.feed.push(self.id, stream, offset, bytes);
    }

    /// Shows nothing more: what comes begins anew, and what was shown is not taken back.
    pub(crate) fn stop(&mut self) {
        self.stopped = true;
        self.held_back = None;
        self.feed.forget(self.id);
    }

    /// The command has run long enough to be shown.
    pub(crate) fn open(&mut self) {
        for (stream, offset, bytes) in self.held_back.take().unwrap_or_default() {
            self.feed.push(self.id, stream, offset, &bytes);
        }
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.feed.forget(self.id);
    }
}
