//! Kept output of one invocation as it arrives: pieces by offset, in any order, more than once; bounded by what may be kept.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use lictor_core::output::{Output, StreamName, StreamSummary};

/// What a piece that waits for those before it costs beside its bytes.
pub(super) const PIECE_OVERHEAD: u64 = 128;

/// Kept output that has arrived so far.
#[derive(Debug, Default)]
pub struct Assembly {
    stdout: StreamAssembly,
    stderr: StreamAssembly,
    /// Bytes held, both streams together, with what pieces cost beside theirs.
    held: u64,
}

#[derive(Debug, Default)]
struct StreamAssembly {
    head: BytesMut,
    /// Pieces beyond the head, by offset.
    later: BTreeMap<u64, Bytes>,
    /// What these cost.
    later_cost: u64,
}

impl Assembly {
    /// Takes a piece, if with what it costs no more than `cap` is held.
    pub fn push(&mut self, stream: StreamName, offset: u64, data: &Bytes, cap: u64) {
        if data.is_empty() || self.held + cost(data) > cap {
            return;
        }
        self.stream_mut(stream).push(offset, data);
        // Pieces that overlap can make it less.
        self.held = self.stdout.held() + self.stderr.held();
    }

    /// The kept output that `claimed` describes, with as much of it as has arrived; and whether that is all of it.
    pub fn finish(&self, claimed: &[(StreamName, Claim); 2]) -> (Output, bool) {
        let mut output = Output::default();
        let mut complete = true;
        for (name, claim) in claimed {
            let (summary, whole) = self.stream(*name).finish(claim);
            complete &= whole;
            match name {
                StreamName::Stdout => output.stdout = summary,
                StreamName::Stderr => output.stderr = summary,
            }
        }
        (output, complete)
    }

    const fn stream(&self, name: StreamName) -> &StreamAssembly {
        match name {
            StreamName::Stdout => &self.stdout,
            StreamName::Stderr => &self.stderr,
        }
    }
    const fn stream_mut(&mut self, name: StreamName) -> &mut StreamAssembly {
        match name {
            StreamName::Stdout => &mut self.stdout,
            StreamName::Stderr => &mut self.stderr,
        }
    }
}

/// What a result says of a stream whose bytes travel apart.
#[derive(Debug, Clone, Default)]
pub struct Claim {
    /// Totals and digest; no bytes.
    pub summary: StreamSummary,
    /// Bytes kept at the start.
    pub head_bytes: u64,
    /// Bytes kept at the end.
    pub tail_bytes: u64,
}

fn cost(piece: &Bytes) -> u64 {
    piece.len() as u64 + PIECE_OVERHEAD
}

impl StreamAssembly {
    fn held(&self) -> u64 {
        self.head.len() as u64 + self.later_cost
    }

    fn push(&mut self, offset: u64, data: &Bytes) {
        let have = self.head.len() as u64;
        if offset > have {
            let longer = self.later.get(&offset).is_none_or(|kept| kept.len() < data.len());
            if longer {
                self.later_cost += cost(data);
                // A copy, because a piece may be the least part of the message that it came in.
                let before = self.later.insert(offset, Bytes::copy_from_slice(data));
                self.later_cost -= before.as_ref().map_or(0, cost);
            }
            return;
        }
        self.extend_head(offset, data);
        while let Some(entry) = self.later.first_entry() {
            if *entry.key() > self.head.len() as u64 {
                break;
            }
            let (offset, data) = entry.remove_entry();
            self.later_cost -= cost(&data);
            self.extend_head(offset, &data);
        }
    }

    fn extend_head(&mut self, offset: u64, data: &Bytes) {
        let skip = usize::try_from(self.head.len() as u64 - offset).unwrap_or(usize::MAX);
        if let Some(new) = data.get(skip..) {
            self.head.extend_from_slice(new);
        }
    }

    /// The bytes from `from` on that have arrived without a gap, at most up to `to`.
    fn run(&self, from: u64, to: u64) -> Vec<u8> {
        let mut out = Vec::new();
        let mut add = |offset: u64, data: &[u8]| {
            let at = from + out.len() as u64;
            if offset <= at && at < to {
                let skip = usize::try_from(at - offset).unwrap_or(usize::MAX);
                let take = usize::try_from(to - at).unwrap_or(usize::MAX);
                out.extend(data.iter().skip(skip).take(take));
            }
        };
        add(0, &self.head);
        for (offset, data) in &self.later {
            add(*offset, data);
        }
        out
    }

    fn finish(&self, claim: &Claim) -> (StreamSummary, bool) {
        let total = claim.summary.bytes_total;
        let head = self.run(0, claim.head_bytes.min(total));
        let tail = self.run(total.saturating_sub(claim.tail_bytes), total);
        let whole = head.len() as u64 == claim.head_bytes && tail.len() as u64 == claim.tail_bytes;
        // A tail that is not complete does not end where the stream ended, so it is not one.
        let tail = if whole { tail } else { Vec::new() };
        (StreamSummary { head, tail, ..claim.summary.clone() }, whole)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn kept_output_comes_together_from_pieces_in_any_order(
            total in 0usize..2000, head in 0usize..600, tail in 0usize..600, step in 1usize..200,
            order in any::<u64>(), repeats in 0usize..5,
        ) {
            let data: Vec<u8> = (0..total).map(|i| (i % 251) as u8).collect();
            let head = head.min(total);
            let tail = tail.min(total - head);
            let mut pieces: Vec<(u64, Bytes)> = Vec::new();
            for (start, end) in [(0, head), (total - tail, total)] {
                let mut at = start;
                while at < end {
                    let to = (at + step).min(end);
                    pieces.push((at as u64, Bytes::copy_from_slice(&data[at..to])));
                    at = to;
                }
            }
            for n in 0..repeats.min(pieces.len()) {
                pieces.push(pieces[n].clone());
            }
            let mut state = order;
            pieces.sort_by_cached_key(|_| {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                state >> 33
            });
            let mut assembly = Assembly::default();
            let claim = Claim {
                summary: StreamSummary { bytes_total: total as u64, ..StreamSummary::default() },
                head_bytes: head as u64,
                tail_bytes: tail as u64,
            };
            let claims = [(StreamName::Stdout, claim), (StreamName::Stderr, Claim::default())];
            for (offset, data) in &pieces {
                assembly.push(StreamName::Stdout, *offset, data, 1_000_000);
            }
            let (output, complete) = assembly.finish(&claims);
            prop_assert!(complete);
            prop_assert_eq!(&output.stdout.head[..], &data[..head]);
            prop_assert_eq!(&output.stdout.tail[..], &data[total - tail..]);
        }
    }

    #[test]
    fn pieces_that_overlap_never_count_below_zero() {
        let mut assembly = Assembly::default();
        for (offset, length) in [(5u64, 10usize), (6, 9), (0, 5), (0, 20)] {
            assembly.push(StreamName::Stdout, offset, &Bytes::from(vec![7; length]), 1000);
        }
        assert_eq!((assembly.stdout.head.len(), assembly.held), (20, 20));
    }

    #[test]
    fn what_is_missing_is_not_made_up_and_the_cap_holds() {
        let mut assembly = Assembly::default();
        let claim = Claim {
            summary: StreamSummary { bytes_total: 10, ..StreamSummary::default() },
            head_bytes: 4,
            tail_bytes: 4,
        };
        let claims = [(StreamName::Stdout, claim), (StreamName::Stderr, Claim::default())];
        assembly.push(StreamName::Stdout, 0, &Bytes::from_static(b"ab"), 140);
        assembly.push(StreamName::Stdout, 7, &Bytes::from_static(b"hij"), 140);
        assembly.push(StreamName::Stdout, 2, &Bytes::from_static(b"cd"), 140);
        let (output, complete) = assembly.finish(&claims);
        assert!(!complete);
        assert_eq!((&output.stdout.head[..], &output.stdout.tail[..]), (&b"ab"[..], &b""[..]));
    }
}
