//! What a command printed: two streams, kept as head and tail up to a cap, with exact counts and a digest of the whole.

pub mod timing;

use std::collections::VecDeque;

use self::timing::Timing;
use crate::digest::{Digest, Sha256Stream};

/// Which of the two streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StreamName {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

/// What is known of one whole stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct StreamSummary {
    /// Bytes that the command printed.
    pub bytes_total: u64,
    /// SHA-256 of all of them; `None` if the command never started, or if a host let go of bytes before they were read.
    pub digest: Option<Digest>,
    /// The first bytes.
    pub head: Vec<u8>,
    /// The last bytes, after the gap; empty if nothing was left out.
    pub tail: Vec<u8>,
}

/// Both streams.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Output {
    /// Standard output.
    pub stdout: StreamSummary,
    /// Standard error.
    pub stderr: StreamSummary,
    /// When its pieces came, as far as that is known.
    pub timing: Timing,
}

/// Takes a stream of any length and keeps head and tail in bounded memory.
#[derive(Debug)]
pub struct Capture {
    head_cap: usize,
    tail_cap: usize,
    head: Vec<u8>,
    tail: VecDeque<u8>,
    total: u64,
    digest: Sha256Stream,
}

// === impl StreamSummary ===

impl StreamSummary {
    /// Bytes kept.
    pub fn bytes_kept(&self) -> u64 {
        (self.head.len() + self.tail.len()) as u64
    }
    /// Whether bytes were left out between head and tail.
    pub fn truncated(&self) -> bool {
        self.bytes_kept() < self.bytes_total
    }
}

// === impl Output ===

impl Output {
    /// The stream of that name.
    pub const fn stream(&self, name: StreamName) -> &StreamSummary {
        match name {
            StreamName::Stdout => &self.stdout,
            StreamName::Stderr => &self.stderr,
        }
    }
}

// === impl Capture ===

impl Capture {
    /// Keeps at most `cap_bytes`, half as head and half as tail.
    pub fn new(cap_bytes: u64) -> Self {
        let cap = usize::try_from(cap_bytes).unwrap_or(usize::MAX);
        Self {
            head_cap: cap - cap / 2,
            tail_cap: cap / 2,
            head: Vec::new(),
            tail: VecDeque::new(),
            total: 0,
            digest: Sha256Stream::default(),
        }
    }

    /// Takes the next bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.total += bytes.len() as u64;
        self.digest.update(bytes);
        let room = self.head_cap.saturating_sub(self.head.len()).min(bytes.len());
        let (to_head, to_tail) = bytes.split_at(room);
        self.head.extend_from_slice(to_head);
        let keep = to_tail.len().min(self.tail_cap);
        let overflow = (self.tail.len() + keep).saturating_sub(self.tail_cap);
        self.tail.drain(..overflow.min(self.tail.len()));
        self.tail.extend(to_tail.iter().skip(to_tail.len() - keep));
    }

    /// Bytes kept now.
    pub fn kept(&self) -> usize {
        self.head.len() + self.tail.len()
    }

    /// Keeps no more than it has now, because memory is short; what is left out is still counted.
    pub fn stop_growing(&mut self) {
        self.head_cap = self.head.len();
        self.tail_cap = self.tail.len();
        self.tail.shrink_to_fit();
    }

    /// Bytes taken so far.
    pub const fn total(&self) -> u64 {
        self.total
    }

    /// Ends the stream.
    pub fn finish(self) -> StreamSummary {
        StreamSummary {
            bytes_total: self.total,
            digest: Some(self.digest.finish()),
            head: self.head,
            tail: self.tail.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn head_and_tail_are_kept_and_every_byte_is_counted() {
        let data: Vec<u8> = (0..=255u8).cycle().take(10_000).collect();
        for (cap, step) in
            [(0u64, 7usize), (1, 1), (64, 1), (64, 1000), (9_999, 3), (10_000, 512), (20_000, 10_000)]
        {
            let mut capture = Capture::new(cap);
            for piece in data.chunks(step) {
                capture.push(piece);
            }
            let summary = capture.finish();
            assert_eq!(summary.bytes_total, 10_000);
            assert_eq!(summary.digest, Some(Digest::of(&data)));
            assert_eq!(summary.bytes_kept(), cap.min(10_000), "cap {cap} step {step}");
            assert!(data.starts_with(&summary.head) && data.ends_with(&summary.tail));
            assert_eq!(summary.truncated(), cap < 10_000);
        }
    }
}
