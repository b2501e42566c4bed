//! The part of a stream that is not let go yet: its bytes, and which of them are covered by a secret.

use std::{cmp::Reverse, collections::VecDeque};

use super::Kind;

/// Bytes that may still be covered.
pub(super) struct Cover {
    /// The place of the first byte of `held` in the stream.
    base: u64,
    held: Vec<u8>,
    /// Apart from each other, in order. The bytes of the first may be gone already: they are covered whatever comes.
    covered: VecDeque<Covered>,
    masked: u64,
}

/// Bytes that belong to a secret, or to several that overlap.
#[derive(Debug, Clone, Copy)]
struct Covered {
    start: u64,
    end: u64,
    /// Of the secrets in it, the one that begins first names it, and of those the longest.
    named_by: (u64, Reverse<u64>, Kind),
}

// === impl Cover ===

impl Cover {
    pub(super) const fn new() -> Self {
        Self { base: 0, held: Vec::new(), covered: VecDeque::new(), masked: 0 }
    }

    /// Nothing is held.
    pub(super) fn idle(&self) -> bool {
        self.held.is_empty() && self.covered.is_empty()
    }

    /// How many secrets, or runs of secrets that overlap, were masked.
    pub(super) const fn masked(&self) -> u64 {
        self.masked
    }

    /// Passes over bytes that are let go at once, while nothing is held.
    pub(super) const fn skip(&mut self, bytes: u64) {
        self.base += bytes;
    }

    /// Takes the next bytes.
    pub(super) fn hold(&mut self, bytes: &[u8]) {
        self.held.extend_from_slice(bytes);
    }

    /// Covers the bytes from `start` to `end`, which were not let go yet.
    pub(super) fn cover(&mut self, start: u64, end: u64, kind: Kind) {
        let mut covered = Covered { start, end, named_by: (start, Reverse(end), kind) };
        while let Some(last) = self.covered.pop_back_if(|last| last.end > covered.start) {
            covered.start = covered.start.min(last.start);
            covered.end = covered.end.max(last.end);
            covered.named_by = covered.named_by.min(last.named_by);
        }
        self.covered.push_back(covered);
    }

    /// Lets go of everything before `safe`, where nothing more can become covered.
    pub(super) fn release(&mut self, safe: u64, out: &mut Vec<u8>) {
        loop {
            let clear_to = self.covered.front().map_or(safe, |first| first.start.min(safe));
            out.extend_from_slice(self.held.get(..self.length_to(clear_to)).unwrap_or_default());
            self.forget_to(clear_to);
            let Some(first) = self.covered.front().copied().filter(|first| first.start <= safe) else {
                return;
            };
            self.forget_to(first.end);
            if first.end > safe {
                return;
            }
            out.extend_from_slice(first.named_by.2.mark().as_bytes());
            self.masked += 1;
            self.covered.pop_front();
        }
    }

    fn length_to(&self, place: u64) -> usize {
        usize::try_from(place.saturating_sub(self.base)).unwrap_or(usize::MAX).min(self.held.len())
    }

    fn forget_to(&mut self, place: u64) {
        let bytes = self.length_to(place);
        self.held.drain(..bytes);
        self.base += bytes as u64;
    }
}
