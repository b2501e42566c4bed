//! Puts the updates of a job together: each invocation with its output, in bounded memory.

use std::collections::{BTreeMap, VecDeque};

use lictor_core::{id::InvocationId, output::StreamName};

use crate::{
    jobs::Submitted,
    run::JobUpdate,
    views::{InvocationView, JobView, OutputPiece},
};

/// How much of each stream of each invocation is kept: its first and its last bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Keep {
    /// Bytes kept of the start.
    pub head: usize,
    /// Bytes kept of the end.
    pub tail: usize,
}

/// What is known of a job so far. Taking the same updates twice, as after a broken connection, changes nothing.
#[derive(Debug)]
pub struct Collector {
    keep: Keep,
    submitted: Option<Submitted>,
    finished: Option<JobView>,
    invocations: BTreeMap<InvocationId, Collected>,
}

/// An invocation with its output.
#[derive(Debug, Default)]
pub struct Collected {
    /// The invocation as it was last told; `None` while only output has come.
    pub invocation: Option<InvocationView>,
    /// Standard output.
    pub stdout: Assembled,
    /// Standard error.
    pub stderr: Assembled,
}

/// One stream: its start, and its end after the gap.
#[derive(Debug, Default)]
pub struct Assembled {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    /// Position behind the last byte that came.
    end: u64,
    /// A gap came: what follows belongs to the end.
    head_closed: bool,
}

// === impl Keep ===

impl Keep {
    /// Everything that the controller sends.
    pub const ALL: Self = Self { head: usize::MAX, tail: usize::MAX };

    /// At most `bytes` of each stream, half of the start and half of the end.
    pub const fn at_most(bytes: usize) -> Self {
        Self { head: bytes - bytes / 2, tail: bytes / 2 }
    }
}

// === impl Collector ===

impl Collector {
    /// Nothing yet.
    pub const fn new(keep: Keep) -> Self {
        Self { keep, submitted: None, finished: None, invocations: BTreeMap::new() }
    }

    /// Changes how much is kept of what comes from now on, e.g. when the number of hosts is known.
    pub const fn set_keep(&mut self, keep: Keep) {
        self.keep = keep;
    }

    /// Takes an update.
    pub fn take(&mut self, update: JobUpdate) {
        match update {
            // Told again after a broken connection, the first answer to "was it replayed" stays the true one.
            JobUpdate::Submitted(again) => match &mut self.submitted {
                Some(submitted) => submitted.job = again.job,
                None => self.submitted = Some(*again),
            },
            JobUpdate::Invocation(invocation) => {
                let id = invocation.id;
                self.invocations.entry(id).or_default().invocation = Some(*invocation);
            }
            JobUpdate::Output(OutputPiece { invocation, stream, offset, data }) => {
                let collected = self.invocations.entry(invocation).or_default();
                collected.stream_mut(stream).push(offset, &data, self.keep);
            }
            // Only what is kept is put together; it is told whole at the end.
            JobUpdate::Live(_) => {}
            JobUpdate::Job(job) => {
                if let Some(submitted) = &mut self.submitted {
                    submitted.job = *job;
                }
            }
            JobUpdate::Finished(job) => self.finished = Some(*job),
        }
    }

    /// The job as it was recorded.
    pub const fn submitted(&self) -> Option<&Submitted> {
        self.submitted.as_ref()
    }
    /// The job as it ended, once it has.
    pub const fn finished(&self) -> Option<&JobView> {
        self.finished.as_ref()
    }
    /// The job as last told.
    pub fn job(&self) -> Option<&JobView> {
        self.finished.as_ref().or_else(|| self.submitted.as_ref().map(|s| &s.job))
    }
    /// The invocations, ordered by host.
    pub fn invocations(&self) -> Vec<(&InvocationView, &Collected)> {
        let mut all: Vec<_> =
            self.invocations.values().filter_map(|c| Some((c.invocation.as_ref()?, c))).collect();
        all.sort_by(|(a, _), (b, _)| (&a.host, a.attempt).cmp(&(&b.host, b.attempt)));
        all
    }
    /// How many invocations have ended.
    pub fn ended(&self) -> usize {
        self.invocations
            .values()
            .filter(|c| c.invocation.as_ref().is_some_and(|i| i.outcome.is_some()))
            .count()
    }
}

// === impl Collected ===

impl Collected {
    /// The stream of that name.
    pub const fn stream(&self, name: StreamName) -> &Assembled {
        match name {
            StreamName::Stdout => &self.stdout,
            StreamName::Stderr => &self.stderr,
        }
    }
    const fn stream_mut(&mut self, name: StreamName) -> &mut Assembled {
        match name {
            StreamName::Stdout => &mut self.stdout,
            StreamName::Stderr => &mut self.stderr,
        }
    }
}

// === impl Assembled ===

impl Assembled {
    /// Places `data`, whose first byte is at `offset`; what came before is skipped. Returns what was new, for live viewers.
    pub fn push<'a>(&mut self, offset: u64, data: &'a [u8], keep: Keep) -> &'a [u8] {
        let known = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX).min(data.len());
        let (_, new) = data.split_at(known);
        if new.is_empty() {
            return new;
        }
        if offset > self.end {
            // What was kept as the end lies before the gap: it is neither the stream's start nor its end.
            self.head_closed = true;
            self.tail.clear();
        }
        let room =
            if self.head_closed { 0 } else { keep.head.saturating_sub(self.head.len()).min(new.len()) };
        let (to_head, to_tail) = new.split_at(room);
        self.head.extend_from_slice(to_head);
        if !to_tail.is_empty() {
            self.head_closed = true;
            let kept = to_tail.len().min(keep.tail);
            let overflow = self.tail.len().saturating_add(kept).saturating_sub(keep.tail);
            self.tail.drain(..overflow.min(self.tail.len()));
            self.tail.extend(to_tail.iter().skip(to_tail.len() - kept));
        }
        self.end = offset.max(self.end) + new.len() as u64;
        new
    }

    /// The first bytes.
    pub fn head(&self) -> &[u8] {
        &self.head
    }
    /// The last bytes that came, in two parts; empty if all of them are in the head.
    pub fn tail(&self) -> (&[u8], &[u8]) {
        self.tail.as_slices()
    }
    /// Bytes that are not here, between head and tail, out of a stream of `total` bytes.
    pub fn left_out(&self, total: u64) -> u64 {
        total.saturating_sub(self.head.len() as u64 + self.tail.len() as u64)
    }
    /// Position behind the last byte that came.
    pub const fn end(&self) -> u64 {
        self.end
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(stream: &Assembled) -> (String, String) {
        let (a, b) = stream.tail();
        (String::from_utf8_lossy(stream.head()).into(), String::from_utf8_lossy(&[a, b].concat()).into())
    }

    #[test]
    fn a_gap_parts_head_from_tail_and_pieces_told_twice_change_nothing() {
        let mut stream = Assembled::default();
        for _ in 0..2 {
            stream.push(0, b"abc", Keep::ALL);
            stream.push(3, b"de", Keep::ALL);
            stream.push(100, b"xy", Keep::ALL);
            stream.push(102, b"z", Keep::ALL);
        }
        assert_eq!(text(&stream), ("abcde".into(), "xyz".into()));
        assert_eq!((stream.end(), stream.left_out(103)), (103, 95));
        assert_eq!(stream.push(101, b"yz!", Keep::ALL), b"!");
    }

    #[test]
    fn a_stream_of_any_length_is_kept_in_bounded_memory() {
        let data: Vec<u8> = (b'a'..=b'z').cycle().take(1_000).collect();
        for step in [1, 7, 1_000] {
            let mut stream = Assembled::default();
            for (index, piece) in data.chunks(step).enumerate() {
                stream.push((index * step) as u64, piece, Keep::at_most(9));
            }
            assert_eq!(text(&stream), ("abcde".into(), "ijkl".into()), "{step}");
            assert_eq!(stream.left_out(1_000), 991);
        }
    }

    #[test]
    fn a_gap_after_a_full_head_drops_the_bytes_before_it() {
        let mut stream = Assembled::default();
        stream.push(0, b"abcdef", Keep::at_most(8));
        stream.push(50, b"z", Keep::at_most(8));
        assert_eq!(text(&stream), ("abcd".into(), "z".into()));
    }
}
