//! What a command printed, piece by piece, with the times at which the pieces came.

pub(crate) mod cast;

use lictor_client::kept::{Gap, KeptBytes};
use lictor_core::output::{StreamName, timing::Timing};

/// Longest beginning of a UTF-8 character that is not whole, in bytes.
const MAX_INCOMPLETE: usize = 3;

/// Something that came at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Piece {
    /// Milliseconds since the beginning.
    pub(crate) millis: u64,
    /// On which stream.
    pub(crate) stream: StreamName,
    /// What.
    pub(crate) content: Content,
}

/// What came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Content {
    /// Bytes.
    Bytes(Vec<u8>),
    /// Bytes that were not kept.
    Gap(Gap),
}

/// The kept output in the order in which it came. A character of UTF-8 that came in two pieces stands whole in the later one; what
/// nothing is known of comes last.
pub(crate) fn pieces(timing: &Timing, stdout: &KeptBytes, stderr: &KeptBytes) -> Vec<Piece> {
    let marks = timing.marks();
    let mut pieces = Vec::new();
    let mut from = [0, 0];
    for (at, mark) in marks.iter().enumerate() {
        let after = marks.get(at + 1..).unwrap_or_default();
        let to = after.iter().find(|next| next.stream == mark.stream).map_or(u64::MAX, |next| next.offset);
        let (kept, from) = match mark.stream {
            StreamName::Stdout => (stdout, &mut from[0]),
            StreamName::Stderr => (stderr, &mut from[1]),
        };
        take(kept, *from, to, &mut |content| {
            pieces.push(Piece { millis: mark.millis, stream: mark.stream, content })
        });
        *from = to;
    }
    let last = marks.last().map_or(0, |mark| mark.millis);
    for (stream, kept, from) in [(StreamName::Stdout, stdout, from[0]), (StreamName::Stderr, stderr, from[1])]
    {
        take(kept, from, u64::MAX, &mut |content| pieces.push(Piece { millis: last, stream, content }));
    }
    whole_characters(&mut pieces);
    pieces
}

/// What is kept between two positions of a stream, and what is not.
fn take(kept: &KeptBytes, from: u64, to: u64, give: &mut impl FnMut(Content)) {
    let is_here = |gap: &Gap| (from..to).contains(&gap.from);
    for (index, part) in kept.parts.iter().enumerate() {
        if let Some(gap) = kept.gap_before(index).filter(is_here) {
            give(Content::Gap(gap));
        }
        let place = |position: u64| {
            usize::try_from(position.clamp(part.offset, part.end()) - part.offset).unwrap_or(usize::MAX)
        };
        if let Some(bytes) = part.bytes.get(place(from)..place(to)).filter(|bytes| !bytes.is_empty()) {
            give(Content::Bytes(bytes.to_vec()));
        }
    }
    if let Some(gap) = kept.gap_at_end().filter(is_here) {
        give(Content::Gap(gap));
    }
}

/// Moves the beginning of a character at the end of a piece into the next of its stream; a gap ends it.
fn whole_characters(pieces: &mut [Piece]) {
    for stream in [StreamName::Stdout, StreamName::Stderr] {
        let mut carry = Vec::new();
        let mut last: Option<&mut Vec<u8>> = None;
        for piece in pieces.iter_mut().filter(|piece| piece.stream == stream) {
            match &mut piece.content {
                Content::Gap(_) => {
                    if let Some(last) = last.take() {
                        last.append(&mut carry);
                    }
                }
                Content::Bytes(bytes) => {
                    let mut all = std::mem::take(&mut carry);
                    all.append(bytes);
                    carry = all.split_off(all.len() - incomplete(&all));
                    *bytes = all;
                    last = Some(bytes);
                }
            }
        }
        if let Some(last) = last {
            last.append(&mut carry);
        }
    }
}

/// How many bytes at the end begin a character that is not whole.
fn incomplete(bytes: &[u8]) -> usize {
    for (behind, byte) in bytes.iter().rev().take(MAX_INCOMPLETE).enumerate() {
        let needed = match byte {
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            0x80..=0xbf => continue,
            _ => return 0,
        };
        return if behind + 1 < needed { behind + 1 } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use lictor_client::kept::Part;

    use super::*;

    fn timing(marks: &[(StreamName, u64, u64)]) -> Timing {
        let mut timing = Timing::default();
        marks.iter().for_each(|(stream, offset, millis)| timing.note(*stream, *offset, *millis));
        timing
    }

    fn kept(total: u64, parts: &[(u64, &[u8])]) -> KeptBytes {
        KeptBytes::of(
            total,
            parts.iter().map(|(offset, bytes)| Part { offset: *offset, bytes: bytes.to_vec() }).collect(),
        )
    }

    fn shown(pieces: &[Piece]) -> Vec<String> {
        let one = |piece: &Piece| {
            let what = match &piece.content {
                Content::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                Content::Gap(gap) => format!("-{}", gap.bytes()),
            };
            let stream = if piece.stream == StreamName::Stdout { "out" } else { "err" };
            format!("{} {stream} {what}", piece.millis)
        };
        pieces.iter().map(one).collect()
    }

    #[test]
    fn pieces_come_in_their_order_and_every_kept_byte_once() {
        use StreamName::{Stderr, Stdout};
        let timing = timing(&[(Stdout, 0, 5), (Stderr, 0, 9), (Stdout, 3, 700), (Stdout, 8, 900)]);
        let (stdout, stderr) = (kept(10, &[(0, b"abc"), (3, b"defgh"), (8, b"ij")]), kept(2, &[(0, b"!!")]));
        assert_eq!(
            shown(&pieces(&timing, &stdout, &stderr)),
            ["5 out abc", "9 err !!", "700 out defgh", "900 out ij"]
        );
    }

    #[test]
    fn what_was_not_kept_is_told_where_it_was_and_what_has_no_time_comes_last() {
        use StreamName::Stdout;
        let timing = timing(&[(Stdout, 0, 5), (Stdout, 50, 60)]);
        let (stdout, stderr) = (kept(100, &[(0, b"head"), (96, b"tail")]), kept(3, &[(0, b"err")]));
        assert_eq!(
            shown(&pieces(&timing, &stdout, &stderr)),
            ["5 out head", "5 out -92", "60 out tail", "60 err err"]
        );
        let none = pieces(&Timing::default(), &kept(9, &[]), &stderr);
        assert_eq!(shown(&none), ["0 out -9", "0 err err"]);
    }

    #[test]
    fn a_character_that_came_in_two_pieces_stands_whole() {
        use StreamName::{Stderr, Stdout};
        let text = "aé😀".as_bytes();
        for cut in 1..text.len() {
            let timing = timing(&[(Stdout, 0, 1), (Stderr, 0, 2), (Stdout, cut as u64, 3)]);
            let stdout = kept(text.len() as u64, &[(0, text)]);
            let pieces = pieces(&timing, &stdout, &kept(1, &[(0, b"x")]));
            let of_stdout = pieces.iter().filter(|piece| piece.stream == Stdout);
            let whole: Vec<String> = of_stdout
                .map(|piece| match &piece.content {
                    Content::Bytes(bytes) => String::from_utf8(bytes.clone()).unwrap(),
                    Content::Gap(_) => unreachable!(),
                })
                .collect();
            assert_eq!(whole.concat(), "aé😀", "{cut}");
        }
        // What never becomes a character is not kept back for ever.
        let timing = timing(&[(Stdout, 0, 1)]);
        assert_eq!(pieces(&timing, &kept(2, &[(0, b"a\xf0")]), &kept(0, &[])).len(), 1);
    }
}
