//! When the pieces of an output came: marks of bounded number, finer where little comes and coarser where much does.
//!
//! A mark says when, in milliseconds since the agent began to follow the command, the bytes of a stream from a position on came.
//! What came between two marks of a stream is told as having come with the first of them, at most twice [`Timing::gap_ms`] too early.

use super::StreamName;

/// Most marks of an output: they take at most some 5 KiB, so that a message full of results with their output still has room.
pub const MAX_MARKS: usize = 512;
/// Fewest marks that there is room for, however short memory is.
const MIN_MARKS: usize = 16;
/// The form of the encoding.
const VERSION: u8 = 1;
/// Longest number in the encoding: seven bits a byte.
const MAX_NUMBER_BYTES: u32 = 10;

/// When bytes of a stream came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    /// Which stream.
    pub stream: StreamName,
    /// Position in the whole stream of the first byte that came then.
    pub offset: u64,
    /// Milliseconds since the beginning.
    pub millis: u64,
}

/// When the pieces of an output came, in the order in which they came.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Timing {
    marks: Vec<Mark>,
    gap_ms: u64,
    /// Most marks while memory is short.
    most: Option<usize>,
}

// === impl Timing ===

impl Timing {
    /// Notes that bytes of `stream` from `offset` on came at `millis`.
    pub fn note(&mut self, stream: StreamName, offset: u64, millis: u64) {
        let last = self.marks.iter().rev().find(|mark| mark.stream == stream);
        let is_near = |mark: &Mark| millis <= mark.millis.saturating_add(self.gap_ms);
        if last.is_some_and(is_near) {
            return;
        }
        // A clock that stands still is told as it is; one that goes back is not.
        let millis = self.marks.last().map_or(millis, |mark| mark.millis.max(millis));
        self.marks.push(Mark { stream, offset, millis });
        if self.marks.len() > self.most.unwrap_or(MAX_MARKS) {
            self.thin_out();
        }
    }

    /// Bytes of memory that the marks take.
    pub const fn bytes(&self) -> usize {
        self.marks.len() * size_of::<Mark>()
    }
    /// Has no more marks than now, because memory is short; they become coarser instead.
    pub fn stop_growing(&mut self) {
        self.most = Some(self.marks.len().max(MIN_MARKS));
    }

    /// The marks, in order.
    pub fn marks(&self) -> &[Mark] {
        &self.marks
    }
    /// How far two marks of a stream are apart at least; a piece is told at most twice that too early.
    pub const fn gap_ms(&self) -> u64 {
        self.gap_ms
    }
    /// Whether nothing is known.
    pub const fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    /// As it is kept and sent; nothing when nothing is known.
    pub fn encode(&self) -> Vec<u8> {
        if self.marks.is_empty() {
            return Vec::new();
        }
        let mut out = vec![VERSION];
        put(self.gap_ms, &mut out);
        let (mut millis, mut offsets) = (0, [0; 2]);
        for mark in &self.marks {
            let slot = &mut offsets[side(mark.stream)];
            put((mark.millis - millis) << 1 | side(mark.stream) as u64, &mut out);
            put(mark.offset - *slot, &mut out);
            (millis, *slot) = (mark.millis, mark.offset);
        }
        out
    }

    /// What was encoded; `None` if these bytes are nothing that was.
    pub fn decode(bytes: &[u8]) -> Option<Self> {
        if bytes.is_empty() {
            return Some(Self::default());
        }
        let (VERSION, mut rest) = bytes.split_first().map(|(version, rest)| (*version, rest))? else {
            return None;
        };
        let gap_ms = take(&mut rest)?;
        let mut marks = Vec::new();
        let (mut millis, mut offsets) = (0u64, [0u64; 2]);
        while !rest.is_empty() {
            let (since, further) = (take(&mut rest)?, take(&mut rest)?);
            let stream = if since & 1 == 0 { StreamName::Stdout } else { StreamName::Stderr };
            millis = millis.checked_add(since >> 1)?;
            let slot = &mut offsets[side(stream)];
            *slot = slot.checked_add(further)?;
            if marks.len() == MAX_MARKS {
                return None;
            }
            marks.push(Mark { stream, offset: *slot, millis });
        }
        Some(Self { marks, gap_ms, most: None })
    }

    /// Takes out marks that follow too soon upon the one before of their stream, with ever larger gaps; a quarter at least, so
    /// that this is seldom.
    fn thin_out(&mut self) {
        let enough = self.most.unwrap_or(MAX_MARKS) / 4 * 3;
        while self.marks.len() > enough {
            self.gap_ms = self.gap_ms.saturating_mul(2).max(1);
            let (gap, mut kept) = (self.gap_ms, [None; 2]);
            self.marks.retain(|mark| {
                let before = &mut kept[side(mark.stream)];
                let is_far = before.is_none_or(|before: u64| mark.millis > before.saturating_add(gap));
                if is_far {
                    *before = Some(mark.millis);
                }
                is_far
            });
        }
    }
}

const fn side(stream: StreamName) -> usize {
    match stream {
        StreamName::Stdout => 0,
        StreamName::Stderr => 1,
    }
}

/// Seven bits a byte, the lowest first; the highest bit says that more follow.
fn put(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

fn take(bytes: &mut &[u8]) -> Option<u64> {
    let mut number = 0u64;
    for place in 0..MAX_NUMBER_BYTES {
        let (byte, rest) = bytes.split_first()?;
        *bytes = rest;
        let part = u64::from(byte & 0x7f);
        number |= part.checked_shl(place * 7).filter(|shifted| shifted >> (place * 7) == part)?;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream(n: u64) -> StreamName {
        if n.is_multiple_of(3) { StreamName::Stderr } else { StreamName::Stdout }
    }

    #[test]
    fn marks_come_back_as_they_were_noted() {
        let mut timing = Timing::default();
        assert_eq!(Timing::decode(&timing.encode()), Some(Timing::default()));
        for (name, offset, millis) in [
            (StreamName::Stdout, 0, 12),
            (StreamName::Stderr, 0, 12),
            (StreamName::Stdout, 100, 12),
            (StreamName::Stdout, 300, 5_000),
            (StreamName::Stderr, u64::MAX >> 1, 90_000_000),
        ] {
            timing.note(name, offset, millis);
        }
        // What came in the same millisecond came with what was before it.
        let offsets: Vec<u64> = timing.marks().iter().map(|mark| mark.offset).collect();
        assert_eq!(offsets, [0, 0, 300, u64::MAX >> 1]);
        assert_eq!(Timing::decode(&timing.encode()), Some(timing));
    }

    #[test]
    fn however_long_a_command_prints_the_marks_are_few_in_order_and_not_coarser_than_they_say() {
        for step in [1, 7, 1000] {
            let mut timing = Timing::default();
            let mut came = Vec::new();
            for n in 0..60_000u64 {
                timing.note(stream(n), n * 10, n * step);
                came.push((stream(n), n * 10, n * step));
            }
            assert!(
                timing.marks().len() <= MAX_MARKS && timing.marks().len() > 100,
                "{}",
                timing.marks().len()
            );
            assert!(timing.encode().len() < 5 * 1024);
            assert!(timing.marks().is_sorted_by_key(|mark| mark.millis));
            for (name, offset, millis) in came.into_iter().step_by(97) {
                let told =
                    timing.marks().iter().rfind(|mark| mark.stream == name && mark.offset <= offset).unwrap();
                assert!(
                    told.millis <= millis && millis - told.millis <= 2 * timing.gap_ms(),
                    "{told:?} {millis}"
                );
            }
            assert_eq!(Timing::decode(&timing.encode()), Some(timing));
        }
    }

    #[test]
    fn where_memory_is_short_marks_become_coarser_and_not_more() {
        let mut timing = Timing::default();
        for n in 0..40_000u64 {
            timing.note(stream(n), n, n * 5);
            if n == 100 {
                timing.stop_growing();
            }
        }
        assert!(
            timing.bytes() <= 101 * size_of::<Mark>() && timing.marks().len() > 20,
            "{}",
            timing.marks().len()
        );
    }

    #[test]
    fn what_was_not_encoded_is_refused() {
        for wrong in [
            &[2u8, 0][..],
            &[1],
            &[1, 0, 2],
            &[1, 0x80],
            &[1, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 0],
        ] {
            assert_eq!(Timing::decode(wrong), None, "{wrong:?}");
        }
        let many = [vec![1, 0], [2, 1].repeat(MAX_MARKS + 1)].concat();
        assert_eq!(Timing::decode(&many), None);
    }
}
