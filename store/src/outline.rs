//! Invocations without the bytes that they printed, and which of those bytes there are.
//!
//! Kept output may be thousands of times larger than what is recorded of it, so whoever does not need it does not read it.

use bytes::Bytes;
use lictor_core::{
    guard::Guard,
    id::{InvocationId, JobId},
    invocation::{Invocation, InvocationState},
    job::Limits,
    limits::{DEFAULT_OUTPUT_BYTES, DEFAULT_TIMEOUT},
    name::{HostAlias, SiteName},
    outcome::{Outcome, Unknown},
    output::{Output, StreamName, StreamSummary},
};

use crate::{StoreError, record::corrupt};

/// An invocation whose kept bytes are left where they are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outline {
    /// The invocation; its output has totals and digests, and no bytes.
    pub invocation: Invocation,
    /// Which bytes are kept.
    pub kept: KeptOutput,
}

/// What the index of a job's invocations says of one of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexedInvocation {
    /// Its identifier.
    pub id: InvocationId,
    /// Its host.
    pub host: HostAlias,
    /// Which attempt.
    pub attempt: u32,
}

/// Which bytes of both streams are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeptOutput {
    /// Of standard output.
    pub stdout: KeptStream,
    /// Of standard error.
    pub stderr: KeptStream,
}

/// Which bytes of a stream are kept: the first ones, and after a gap the last ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeptStream {
    /// Bytes that the command printed.
    pub total: u64,
    /// Bytes kept at the start.
    pub head: u64,
    /// Bytes kept at the end.
    pub tail: u64,
}

/// The site of an invocation of which only the index is left; the host says where to look.
const NO_SITE: &str = "unknown";
/// Version of what stands for a record that cannot be read; those of records begin with 1.
const NO_VERSION: u64 = 0;

/// Whether this stands for a record that cannot be read.
pub const fn is_unreadable(invocation: &Invocation) -> bool {
    invocation.version == NO_VERSION
}

// === impl Outline ===

impl Outline {
    /// What stands for a record that cannot be read: the index knows where it was to run, and nobody whether it did. It is
    /// shown and counted, and never written: the record is left for whoever can restore it.
    ///
    /// # Errors
    /// None that can happen.
    pub fn unreadable(job: JobId, entry: IndexedInvocation) -> Result<Self, StoreError> {
        let IndexedInvocation { id, host, attempt } = entry;
        let invocation = Invocation {
            id,
            job,
            host,
            site: SiteName::new(NO_SITE).map_err(corrupt)?,
            attempt,
            // Of a rollout it counts as an error, whichever wave it was in.
            wave: 1,
            state: InvocationState::Ended(Outcome::Unknown(Unknown::RecordUnreadable)),
            version: NO_VERSION,
            // What was decided is not known; these hold where nothing is.
            limits: Limits { timeout: DEFAULT_TIMEOUT, output_bytes: DEFAULT_OUTPUT_BYTES },
            rule: None,
            started_at: None,
            ended_at: None,
            address: None,
            output: Output::default(),
            output_removed: None,
            last_agent: None,
            resolution: None,
            guard: Guard::default(),
            redactions: 0,
        };
        Ok(Self { invocation, kept: KeptOutput::default() })
    }

    /// Whether this stands for a record that cannot be read.
    pub const fn is_unreadable(&self) -> bool {
        is_unreadable(&self.invocation)
    }

    /// Drops the bytes of an invocation and remembers which there were.
    pub fn of(mut invocation: Invocation) -> Self {
        let kept = KeptOutput::take_from(&mut invocation.output);
        Self { invocation, kept }
    }
}

// === impl KeptOutput ===

impl KeptOutput {
    /// What is kept in `output`.
    pub fn of(output: &Output) -> Self {
        Self { stdout: KeptStream::of(&output.stdout), stderr: KeptStream::of(&output.stderr) }
    }

    /// Drops the bytes of `output`; totals and digests stay.
    pub fn take_from(output: &mut Output) -> Self {
        let kept = Self::of(output);
        for stream in [&mut output.stdout, &mut output.stderr] {
            (stream.head, stream.tail) = (Vec::new(), Vec::new());
        }
        kept
    }

    /// Of the stream of that name.
    pub const fn stream(&self, name: StreamName) -> &KeptStream {
        match name {
            StreamName::Stdout => &self.stdout,
            StreamName::Stderr => &self.stderr,
        }
    }

    /// Where the byte at `position` of a stream is in a file that holds the kept bytes: standard output, then standard
    /// error, of each the head, then the tail.
    pub(crate) const fn place_in_file(&self, stream: StreamName, position: u64) -> u64 {
        let (kept, before) = match stream {
            StreamName::Stdout => (&self.stdout, 0),
            StreamName::Stderr => (&self.stderr, self.stdout.head + self.stdout.tail),
        };
        if position < kept.head {
            before + position
        } else {
            before + kept.head + position.saturating_sub(kept.tail_from())
        }
    }

    /// Bytes kept of both streams.
    pub const fn bytes(&self) -> u64 {
        self.stdout.head + self.stdout.tail + self.stderr.head + self.stderr.tail
    }
}

// === impl KeptStream ===

impl KeptStream {
    /// What is kept in `summary`.
    pub const fn of(summary: &StreamSummary) -> Self {
        Self { total: summary.bytes_total, head: summary.head.len() as u64, tail: summary.tail.len() as u64 }
    }

    /// Position of the first byte of the kept end.
    pub const fn tail_from(&self) -> u64 {
        self.total.saturating_sub(self.tail)
    }

    /// The kept bytes from `position` on, as (from, to): at most `most` of them, and never across the gap. `from` is later
    /// than asked for where the gap was skipped; `None` when nothing follows.
    pub fn next(&self, position: u64, most: u64) -> Option<(u64, u64)> {
        let (from, end) = if position < self.head {
            (position, self.head)
        } else {
            (position.max(self.tail_from()), self.total)
        };
        let end = if from < self.head || self.tail > 0 { end } else { from };
        (from < end).then(|| (from, end.min(from.saturating_add(most))))
    }
}

/// The kept bytes of a stream from `from` to `to`, which lie on one side of the gap.
pub fn slice(output: &Output, stream: StreamName, from: u64, to: u64) -> Bytes {
    let summary = output.stream(stream);
    let (bytes, start) = if from < summary.head.len() as u64 {
        (&summary.head, 0)
    } else {
        (&summary.tail, KeptStream::of(summary).tail_from())
    };
    let at = |position: u64| {
        usize::try_from(position.saturating_sub(start)).unwrap_or(usize::MAX).min(bytes.len())
    };
    Bytes::copy_from_slice(bytes.get(at(from)..at(to)).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn pages_give_every_kept_byte_once_and_in_order(total in 0u64..500, head in 0u64..300, tail in 0u64..300, most in 1u64..100) {
            let data: Vec<u8> = (0..total).map(|i| (i % 251) as u8).collect();
            let head = head.min(total);
            let tail = tail.min(total - head);
            let (h, t) = (usize::try_from(head).unwrap(), usize::try_from(total - tail).unwrap());
            let summary = StreamSummary {
                bytes_total: total,
                digest: None,
                head: data[..h].to_vec(),
                tail: data[t..].to_vec(),
            };
            let output = Output { stdout: summary.clone(), ..Output::default() };
            let (mut position, mut read) = (0, Vec::new());
            while let Some((from, to)) = KeptStream::of(&summary).next(position, most) {
                prop_assert!(from >= position && to > from && to - from <= most);
                let bytes = slice(&output, StreamName::Stdout, from, to);
                prop_assert_eq!(bytes.len() as u64, to - from);
                read.extend_from_slice(&bytes);
                position = to;
            }
            prop_assert_eq!(read, [summary.head, summary.tail].concat());
        }
    }
}
