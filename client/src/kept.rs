//! The kept output of an ended invocation, read page by page; what lies in the gap is counted, never passed over.

use lictor_core::{error::Failure, id::InvocationId, output::StreamName, retention::OutputRemoved};

use crate::connect::Client;

/// Largest page that is asked for: what the controller gives at most.
const PAGE_BYTES: u32 = 64 * 1024;

/// Kept bytes of a stream.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct KeptBytes {
    /// Bytes that the command printed.
    pub total: u64,
    /// What was read, in order; there is a gap between one part and the next.
    pub parts: Vec<Part>,
    /// Position from which on was read.
    from: u64,
    /// Everything that is kept from there on was read.
    to_the_end: bool,
    /// Nothing is kept any more.
    pub removed: Option<OutputRemoved>,
}

/// Bytes without a gap.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Position of the first byte in the whole stream.
    pub offset: u64,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Bytes that are not kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// Position of the first of them.
    pub from: u64,
    /// Position behind the last of them.
    pub to: u64,
}

impl Client {
    /// The kept output of a stream from `from` on, at most `most` bytes of it.
    ///
    /// # Errors
    /// `NOT_FOUND`, or that the controller cannot be reached.
    pub async fn kept_output(
        &self,
        invocation: InvocationId,
        stream: StreamName,
        from: u64,
        most: u64,
    ) -> Result<KeptBytes, Failure> {
        let mut kept = KeptBytes { from, ..KeptBytes::default() };
        let (mut position, mut left) = (from, most);
        while left > 0 {
            let size = u32::try_from(left).unwrap_or(PAGE_BYTES).min(PAGE_BYTES);
            let page = self.read_output(invocation, stream, position, size).await?;
            (kept.total, kept.removed) = (page.bytes_total, page.removed);
            if page.piece.data.is_empty() {
                kept.to_the_end = true;
                break;
            }
            let end = page.piece.offset.saturating_add(page.piece.data.len() as u64);
            left = left.saturating_sub(page.piece.data.len() as u64);
            kept.take(page.piece.offset, &page.piece.data);
            position = end;
        }
        if position >= kept.total {
            kept.to_the_end = true;
        }
        Ok(kept)
    }
}

// === impl KeptBytes ===

impl KeptBytes {
    /// All that is kept of a stream of `total` bytes.
    pub const fn of(total: u64, parts: Vec<Part>) -> Self {
        Self { total, parts, from: 0, to_the_end: true, removed: None }
    }

    fn take(&mut self, offset: u64, data: &[u8]) {
        match self.parts.last_mut() {
            Some(last) if last.end() == offset => last.bytes.extend_from_slice(data),
            _ => self.parts.push(Part { offset, bytes: data.to_vec() }),
        }
    }

    /// The gap before the part at `index`, if there is one.
    pub fn gap_before(&self, index: usize) -> Option<Gap> {
        let to = self.parts.get(index)?.offset;
        let from = match index.checked_sub(1) {
            Some(before) => self.parts.get(before)?.end(),
            None => self.from,
        };
        (from < to).then_some(Gap { from, to })
    }

    /// The gap behind the last part, where the end of the stream was not kept.
    pub fn gap_at_end(&self) -> Option<Gap> {
        let from = self.next().max(self.from);
        (self.to_the_end && from < self.total).then_some(Gap { from, to: self.total })
    }

    /// Position behind the last byte that was read.
    pub fn next(&self) -> u64 {
        self.parts.last().map_or(self.from, Part::end)
    }

    /// Whether more is kept behind what was read.
    pub const fn has_more(&self) -> bool {
        !self.to_the_end
    }

    /// Bytes that were read.
    pub fn bytes_read(&self) -> usize {
        self.parts.iter().map(|part| part.bytes.len()).sum()
    }
}

// === impl Part ===

impl Part {
    /// Position behind its last byte.
    pub const fn end(&self) -> u64 {
        self.offset.saturating_add(self.bytes.len() as u64)
    }
}

// === impl Gap ===

impl Gap {
    /// How many bytes are missing.
    pub const fn bytes(&self) -> u64 {
        self.to - self.from
    }
}

impl std::fmt::Display for Gap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "[lictor: {} bytes not kept, {} to {}]", self.bytes(), self.from, self.to)
    }
}
