//! What waits to be shown live of all running commands: bounded, command by command in turn, the newest bytes first to stay.
//!
//! All of it goes over one stream, so that any number of commands is shown and none can hold up what else is sent. What
//! comes faster than it can be sent is left out in long runs, and its offsets say so.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use lictor_core::{id::InvocationId, output::StreamName};
use lictor_proto::pb::{self, agent_link_client::AgentLinkClient};
use tokio::{
    sync::{Notify, mpsc},
    time::{Instant, sleep, sleep_until},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, transport::Channel};

/// Bytes sent of one command before another has its turn.
const PIECE_BYTES: usize = 16 * 1024;
/// Bytes that wait of one command, twice: those that are next, and the newest behind them. What the default output limit
/// (256 KiB) keeps fits, with what its pieces cost and one that does not fill its run, so that it is shown whole however
/// quickly it comes.
const RUN_BYTES: usize = 144 * 1024;
/// Bytes that wait of all commands; beyond, each has only the newest bytes of its share, so that many are shown all the same.
const ALL_BYTES: usize = 12 * 1024 * 1024;
/// What each command may have beyond that, twice as well.
const SHARE_BYTES: usize = 2 * 1024;
/// What these shares may take together. With it, live output stays a small part of an agent's memory.
const SHARES_BYTES: usize = 4 * 1024 * 1024;
/// What each piece costs beside its bytes.
const OVERHEAD_BYTES: usize = 64;
/// Live bytes sent in a second: more than anybody reads, and a small part of a link and of a processor.
const BYTES_PER_SECOND: u32 = 4 * 1024 * 1024;
/// How long nothing need have been sent for as much to be sent at once: the beginning of what a command prints does not wait.
const BURST: Duration = Duration::from_millis(500);
/// Wait before a stream that broke is opened again.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// What waits; one per agent.
#[derive(Debug, Default)]
pub(crate) struct Feed {
    waiting: Mutex<Waiting>,
    more: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    commands: HashMap<InvocationId, Command>,
    /// Those of which something waits, in the order of their turns; what has ended since is passed over.
    turns: VecDeque<InvocationId>,
    bytes: usize,
}

/// What waits of one command.
#[derive(Debug, Default)]
struct Command {
    /// What is sent next; nothing of it is left out any more.
    next: Run,
    /// What came behind it; when it is full, it gives way to what comes.
    newest: Run,
    has_turn: bool,
}

#[derive(Debug, Default)]
struct Run {
    pieces: VecDeque<Piece>,
    bytes: usize,
}

#[derive(Debug)]
struct Piece {
    stream: StreamName,
    offset: u64,
    bytes: Vec<u8>,
}

// === impl Feed ===

impl Feed {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what a command printed at `offset` of `stream`. Never waits.
    pub(crate) fn push(&self, id: InvocationId, stream: StreamName, offset: u64, bytes: &[u8]) {
        if bytes.is_empty() {
            return;
        }
        let mut at = offset;
        let mut waiting = self.waiting();
        for piece in bytes.chunks(PIECE_BYTES) {
            waiting.push(id, stream, at, piece);
            at += piece.len() as u64;
        }
        drop(waiting);
        self.more.notify_one();
    }

    /// Forgets what waits of a command.
    pub(crate) fn forget(&self, id: InvocationId) {
        let mut waiting = self.waiting();
        if let Some(command) = waiting.commands.remove(&id) {
            waiting.bytes -= command.next.bytes + command.newest.bytes;
            if command.has_turn {
                waiting.turns.retain(|turn| *turn != id);
            }
        }
    }

    /// The next piece of whichever command has its turn.
    async fn next(&self) -> pb::OutputChunk {
        loop {
            let more = self.more.notified();
            if let Some(chunk) = self.waiting().take() {
                return chunk;
            }
            more.await;
        }
    }

    /// Passes on what waits and what comes, when it is taken and no quicker than it may be sent.
    async fn pass_on(&self, to: mpsc::Sender<pb::OutputChunk>) {
        let mut free_at = Instant::now();
        loop {
            free_at = free_at.max(Instant::now().checked_sub(BURST).unwrap_or(free_at));
            sleep_until(free_at).await;
            // What is passed on is chosen only when it can go.
            let Ok(permit) = to.reserve().await else { return };
            let chunk = self.next().await;
            let bytes = u32::try_from(chunk.data.len()).unwrap_or(u32::MAX);
            free_at += Duration::from_secs(1) * bytes / BYTES_PER_SECOND;
            permit.send(chunk);
        }
    }
}

/// Sends live output for as long as the session lasts; only its being dropped ends it.
pub(crate) async fn send(feed: Arc<Feed>, mut client: AgentLinkClient<Channel>) {
    loop {
        let (sender, receiver) = mpsc::channel(1);
        tokio::select! {
            ended = client.send_live(ReceiverStream::new(receiver)) => match ended {
                Err(status) if status.code() == Code::Unimplemented => return std::future::pending().await,
                // It costs the live view only: what is kept comes with the result.
                ended => tracing::debug!(?ended, "the live output stream ended"),
            },
            () = feed.pass_on(sender) => {}
        }
        sleep(RETRY_DELAY).await;
    }
}

// === impl Waiting ===

impl Waiting {
    fn push(&mut self, id: InvocationId, stream: StreamName, offset: u64, bytes: &[u8]) {
        let command = self.commands.entry(id).or_default();
        let more = bytes.len() + OVERHEAD_BYTES;
        let mut room = RUN_BYTES;
        if self.bytes + more > ALL_BYTES {
            room = SHARE_BYTES;
        }
        if command.newest.bytes + more > room {
            if command.next.pieces.is_empty() {
                std::mem::swap(&mut command.next, &mut command.newest);
            } else {
                self.bytes -= command.newest.clear();
            }
        }
        // Of a piece beyond all bounds the end is shown.
        let fits = room.saturating_sub(OVERHEAD_BYTES).min(bytes.len());
        let (before, bytes) = bytes.split_at(bytes.len() - fits);
        if self.bytes + bytes.len() + OVERHEAD_BYTES > ALL_BYTES + SHARES_BYTES {
            return;
        }
        self.bytes += command.newest.push(stream, offset + before.len() as u64, bytes);
        if !std::mem::replace(&mut command.has_turn, true) {
            self.turns.push_back(id);
        }
    }

    fn take(&mut self) -> Option<pb::OutputChunk> {
        while let Some(id) = self.turns.pop_front() {
            let Some(command) = self.commands.get_mut(&id) else { continue };
            if command.next.pieces.is_empty() {
                std::mem::swap(&mut command.next, &mut command.newest);
            }
            let Some(piece) = command.next.pieces.pop_front() else {
                command.has_turn = false;
                continue;
            };
            let cost = piece.bytes.len() + OVERHEAD_BYTES;
            command.next.bytes -= cost;
            self.bytes -= cost;
            command.has_turn = !command.next.pieces.is_empty() || !command.newest.pieces.is_empty();
            if command.has_turn {
                self.turns.push_back(id);
            }
            return Some(pb::OutputChunk {
                invocation_id: id.to_string(),
                stream: pb::StreamName::from(piece.stream).into(),
                offset: piece.offset,
                data: Bytes::from(piece.bytes),
            });
        }
        None
    }
}

// === impl Run ===

impl Run {
    /// Adds bytes behind what is there; answers what that costs.
    fn push(&mut self, stream: StreamName, offset: u64, bytes: &[u8]) -> usize {
        let before = self.bytes;
        match self.pieces.back_mut().filter(|last| last.goes_on_with(stream, offset, bytes)) {
            Some(last) => last.bytes.extend_from_slice(bytes),
            None => {
                self.pieces.push_back(Piece { stream, offset, bytes: bytes.to_vec() });
                self.bytes += OVERHEAD_BYTES;
            }
        }
        self.bytes += bytes.len();
        self.bytes - before
    }

    /// Drops everything; answers what it cost.
    fn clear(&mut self) -> usize {
        std::mem::take(self).bytes
    }
}

// === impl Piece ===

impl Piece {
    fn goes_on_with(&self, stream: StreamName, offset: u64, bytes: &[u8]) -> bool {
        let adjoins = self.stream == stream && self.offset + self.bytes.len() as u64 == offset;
        adjoins && self.bytes.len() + bytes.len() <= PIECE_BYTES
    }
}

#[cfg(test)]
mod tests {
    use lictor_core::{id::InvocationId, output::StreamName};

    use super::*;

    fn id(number: u128) -> InvocationId {
        InvocationId::from_bytes(number.to_be_bytes())
    }

    fn push(feed: &Feed, number: u128, offset: u64, bytes: &[u8]) {
        feed.push(id(number), StreamName::Stdout, offset, bytes);
    }

    fn all(feed: &Feed) -> Vec<pb::OutputChunk> {
        std::iter::from_fn(|| feed.waiting().take()).collect()
    }

    /// Positions at which something was left out.
    fn gaps(chunks: &[pb::OutputChunk]) -> Vec<u64> {
        let mut end = 0;
        let mut gaps = Vec::new();
        for chunk in chunks {
            assert!(chunk.offset >= end, "nothing is sent twice or out of its place");
            if chunk.offset > end {
                gaps.push(end);
            }
            end = chunk.offset + chunk.data.len() as u64;
        }
        gaps
    }

    #[test]
    fn each_of_hundreds_of_commands_has_its_turn_and_none_waits_for_one_that_never_stops() {
        let feed = Feed::default();
        for number in 0..300 {
            push(&feed, number, 0, &[b'x'; 100_000]);
        }
        let first: std::collections::BTreeSet<_> =
            (0..300).map(|_| feed.waiting().take().unwrap().invocation_id).collect();
        assert_eq!(first.len(), 300);
    }

    #[test]
    fn what_comes_too_fast_is_left_out_in_long_runs_and_the_first_and_the_newest_bytes_stay() {
        let feed = Feed::default();
        let piece = [b'x'; 10_000];
        for number in 0..1_000 {
            push(&feed, 1, number * 10_000, &piece);
        }
        let chunks = all(&feed);
        assert_eq!(chunks[0].offset, 0);
        let end = chunks.last().map(|chunk| chunk.offset + chunk.data.len() as u64);
        assert_eq!((gaps(&chunks).len(), end), (1, Some(10_000_000)));
        push(&feed, 1, 10_000_000, b"more");
        assert_eq!(all(&feed)[0].offset, 10_000_000, "it goes on");
    }

    #[test]
    fn what_the_default_limit_keeps_is_shown_whole_however_quickly_it_comes() {
        for step in [100u64, 1_000, 16_384, 32_768] {
            let feed = Feed::default();
            let mut at = 0;
            while at + step <= 256 * 1024 {
                push(&feed, 1, at, &vec![b'x'; usize::try_from(step).unwrap()]);
                at += step;
            }
            let chunks = all(&feed);
            assert_eq!(gaps(&chunks), Vec::<u64>::new(), "{step}");
            assert_eq!(chunks.iter().map(|chunk| chunk.data.len() as u64).sum::<u64>(), at);
        }
    }

    #[test]
    fn memory_is_bounded_every_command_still_shows_something_and_all_of_it_comes_back() {
        let feed = Feed::default();
        let cost = || {
            let waiting = feed.waiting();
            let runs = waiting.commands.values().flat_map(|command| [&command.next, &command.newest]);
            let pieces = runs.flat_map(|run| &run.pieces).map(|piece| piece.bytes.len() + OVERHEAD_BYTES);
            assert_eq!(pieces.sum::<usize>(), waiting.bytes);
            waiting.bytes
        };
        for number in 0..600 {
            for offset in 0..20 {
                push(&feed, number, offset * 20_000, &[b'x'; 20_000]);
            }
            assert!(cost() <= ALL_BYTES + SHARES_BYTES);
        }
        let waits = |command: &Command| command.next.bytes + command.newest.bytes > 0;
        assert!(feed.waiting().commands.values().all(waits));
        for number in 600..9_000 {
            push(&feed, number, 0, &[b'x'; 20_000]);
        }
        assert!(cost() <= ALL_BYTES + SHARES_BYTES);
        for number in 0..9_000 {
            feed.forget(id(number));
        }
        assert_eq!((cost(), all(&feed).len(), feed.waiting().turns.len()), (0, 0, 0));
    }

    #[test]
    fn a_byte_at_a_time_costs_hardly_more_than_its_bytes() {
        let feed = Feed::default();
        for offset in 0..100_000 {
            push(&feed, 1, offset, b"x");
        }
        assert!(feed.waiting().bytes < 101_000);
        assert_eq!(gaps(&all(&feed)), Vec::<u64>::new());
    }
}
