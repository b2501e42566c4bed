//! One stream on its way through a redactor: what comes out are its bytes with marks in the place of secrets.

use std::{borrow::Cow, fmt, sync::Arc};

use super::{
    Redactor,
    cover::Cover,
    literals::Trail,
    scan::{Found, Scan},
};

/// How many bytes are taken before what is clear is let go: bounds what is held of one large piece.
const RELEASE_EVERY: usize = 16 * 1024;

/// Masks one stream. Holds back no more than what may be the beginning of a secret.
pub struct Masker {
    redactor: Arc<Redactor>,
    plain: Trail,
    wrapped: Trail,
    scan: Scan,
    cover: Cover,
    /// Bytes taken so far.
    position: u64,
    /// Kept for its memory.
    found: Vec<Found>,
}

// === impl Masker ===

impl Masker {
    /// For a stream from its beginning.
    pub fn new(redactor: Arc<Redactor>) -> Self {
        Self {
            plain: Trail::new(&redactor.plain),
            wrapped: Trail::new(&redactor.wrapped),
            scan: Scan::new(&redactor.patterns),
            cover: Cover::new(),
            position: 0,
            found: Vec::new(),
            redactor,
        }
    }

    /// Takes the next bytes and gives those that may go on.
    pub fn push<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        // Most of what hosts say in bulk has nothing of a secret, and is not copied.
        let dull = self.skip(bytes);
        if dull == bytes.len() {
            return Cow::Borrowed(bytes);
        }
        let (dull, rest) = bytes.split_at(dull);
        let mut out = Vec::with_capacity(bytes.len());
        out.extend_from_slice(dull);
        for piece in rest.chunks(RELEASE_EVERY) {
            self.cover.hold(piece);
            piece.iter().for_each(|byte| self.take(*byte));
            self.cover.release(self.safe(), &mut out);
        }
        Cow::Owned(out)
    }

    /// Gives what was held back, when nothing follows.
    pub fn finish(&mut self) -> Vec<u8> {
        self.scan.finish(&self.redactor.patterns, self.position, &mut self.found);
        self.cover_found();
        let mut out = Vec::new();
        self.cover.release(self.position, &mut out);
        out
    }

    /// How many secrets were masked in what was given so far.
    pub const fn masked(&self) -> u64 {
        self.cover.masked()
    }

    /// Passes over the bytes at the front of `bytes` with which nothing begins, if nothing is under way; says how many.
    fn skip(&mut self, bytes: &[u8]) -> usize {
        if !self.cover.idle() || !self.nothing_under_way() {
            return 0;
        }
        let dull = |byte: &u8| self.redactor.dull[usize::from(*byte)];
        let count = match bytes {
            // One byte again and again is one comparison.
            [first, rest @ ..] if dull(first) && bytes.starts_with(rest) => bytes.len(),
            _ => bytes.iter().take_while(|byte| dull(byte)).count(),
        };
        if let Some(last) = count.checked_sub(1).and_then(|last| bytes.get(last)) {
            self.scan.skip(*last);
            self.cover.skip(count as u64);
            self.position += count as u64;
        }
        count
    }

    fn take(&mut self, byte: u8) {
        let (at, redactor) = (self.position, &self.redactor);
        self.scan.step(&redactor.patterns, byte, at, &mut self.found);
        let plain = self.plain.step(&redactor.plain, byte, at);
        let wrapped = self.wrapped.step(&redactor.wrapped, byte, at);
        self.position = at + 1;
        if !self.found.is_empty() {
            self.cover_found();
        }
        for literal in [plain, wrapped].into_iter().flatten() {
            self.cover.cover(literal.start, self.position, literal.kind);
        }
    }

    fn cover_found(&mut self) {
        for Found { start, end, kind } in self.found.drain(..) {
            self.cover.cover(start, end, kind);
        }
    }

    fn nothing_under_way(&self) -> bool {
        self.plain.idle(&self.redactor.plain)
            && self.wrapped.idle(&self.redactor.wrapped)
            && self.scan.idle(&self.redactor.patterns)
    }

    /// Before here, nothing can become part of a secret any more.
    fn safe(&self) -> u64 {
        let end = self.position;
        let literals =
            self.plain.since(&self.redactor.plain, end).min(self.wrapped.since(&self.redactor.wrapped, end));
        literals.min(self.scan.since(end))
    }
}

impl fmt::Debug for Masker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Masker").field("position", &self.position).finish_non_exhaustive()
    }
}
