//! Host output as models see it: text without control or invisible characters, bounded, with what was left out counted.
//!
//! The bounds are on what is shown, after escaping, so hostile bytes cannot make it grow.

use std::fmt::Write as _;

use lictor_client::{collect::Assembled, views::StreamCounts};
use lictor_core::retention::OutputRemoved;
use unicode_general_category::{GeneralCategory, get_general_category};

/// Room kept for the mark that stands for what was left out.
const MARK_BYTES: usize = 64;

/// A stream as it is shown.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Shown {
    /// The text.
    pub(crate) text: String,
    /// Bytes that the command printed.
    pub(crate) bytes_total: u64,
    /// Bytes are missing from the text.
    pub(crate) truncated: bool,
}

/// Shows what came of a stream in at most `budget` bytes of text.
pub(crate) fn show(stream: &Assembled, counts: &StreamCounts, budget: usize) -> Shown {
    let bytes_total = counts.bytes_total.max(stream.end());
    let (first, second) = stream.tail();
    if stream.left_out(bytes_total) == 0 {
        let all = [stream.head(), first, second].concat();
        return bounded(&all, &all, 0, bytes_total, budget);
    }
    let tail = [first, second].concat();
    bounded(stream.head(), &tail, stream.left_out(bytes_total), bytes_total, budget)
}

/// Shows that what a stream held is no longer kept.
pub(crate) fn removed(counts: &StreamCounts, removed: &OutputRemoved) -> Shown {
    let bytes_total = counts.bytes_total;
    let truncated = bytes_total > 0;
    Shown { text: if truncated { removal(removed) } else { String::new() }, bytes_total, truncated }
}

/// The mark in the place of what is no longer kept.
pub(crate) fn removal(removed: &OutputRemoved) -> String {
    format!("[lictor: {removed}]")
}

/// Shows at most `budget` bytes of a line that somebody else wrote.
pub(crate) fn line(text: &str, budget: usize) -> String {
    let mut out = String::new();
    escape(text.replace('\n', " ").as_bytes(), budget, &mut out);
    out
}

/// Shows the beginning of `bytes` in at most `budget` bytes, without cutting a character; and how many were shown. At
/// least one character is.
pub(crate) fn page(bytes: &[u8], budget: usize) -> (String, usize) {
    let mut text = String::new();
    let whole = whole_characters(bytes);
    let bytes = if whole.is_empty() { bytes } else { whole };
    let taken = match escape(bytes, budget, &mut text) {
        0 if !bytes.is_empty() => {
            let first = bytes.utf8_chunks().next().map_or(1, |chunk| match chunk.valid().chars().next() {
                Some(c) => c.len_utf8(),
                None => chunk.invalid().len(),
            });
            escape(bytes.get(..first).unwrap_or(bytes), usize::MAX, &mut text)
        }
        taken => taken,
    };
    (text, taken)
}

/// Shows the end of `bytes` in at most `budget` bytes, without the broken characters at either side: what they are of is elsewhere.
pub(crate) fn end(bytes: &[u8], budget: usize) -> String {
    let bytes = whole_characters(from_whole_character(bytes));
    let mut text = String::new();
    escape(bytes.get(last(bytes, budget)..).unwrap_or_default(), usize::MAX, &mut text);
    text
}

/// `head` and `tail` are the same bytes if nothing is missing between them.
fn bounded(head: &[u8], tail: &[u8], missing: u64, bytes_total: u64, budget: usize) -> Shown {
    if missing == 0 {
        let mut text = String::new();
        if escape(head, budget, &mut text) == head.len() {
            return Shown { text, bytes_total, truncated: false };
        }
    }
    let half = budget.saturating_sub(MARK_BYTES) / 2;
    let mut text = String::new();
    // Cut characters at the gap would show as replacement characters that nobody printed.
    let head = if missing > 0 { whole_characters(head) } else { head };
    let shown_head = escape(head, half, &mut text);
    let tail =
        if missing > 0 { from_whole_character(tail) } else { tail.get(shown_head..).unwrap_or_default() };
    let tail = tail.get(last(tail, half)..).unwrap_or_default();
    let left_out = bytes_total.saturating_sub((shown_head + tail.len()) as u64);
    // Writing to a String does not fail.
    let _ = write!(text, "\n[lictor: {left_out} bytes left out]\n");
    escape(tail, usize::MAX, &mut text);
    Shown { text, bytes_total, truncated: true }
}

/// Appends `bytes` as visible text while it fits `budget`; returns how many bytes were taken.
fn escape(bytes: &[u8], budget: usize, out: &mut String) -> usize {
    let end = out.len().saturating_add(budget);
    let mut taken = 0;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            if out.len().saturating_add(shown_len(c)) > end {
                return taken;
            }
            show_char(c, out);
            taken += c.len_utf8();
        }
        if !chunk.invalid().is_empty() {
            if out.len().saturating_add(char::REPLACEMENT_CHARACTER.len_utf8()) > end {
                return taken;
            }
            out.push(char::REPLACEMENT_CHARACTER);
            taken += chunk.invalid().len();
        }
    }
    taken
}

/// Where the longest end of `bytes` that fits `budget` begins.
fn last(bytes: &[u8], budget: usize) -> usize {
    let mut starts = Vec::new();
    let mut at = 0;
    for chunk in bytes.utf8_chunks() {
        for c in chunk.valid().chars() {
            starts.push((at, shown_len(c)));
            at += c.len_utf8();
        }
        if !chunk.invalid().is_empty() {
            starts.push((at, char::REPLACEMENT_CHARACTER.len_utf8()));
            at += chunk.invalid().len();
        }
    }
    let mut room = budget;
    let mut begin = bytes.len();
    for (start, len) in starts.into_iter().rev() {
        if len > room {
            break;
        }
        room -= len;
        begin = start;
    }
    begin
}

fn show_char(c: char, out: &mut String) {
    // Writing to a String does not fail.
    let _ = match c {
        '\n' | '\t' | ' '..='~' => out.write_char(c),
        '\r' => out.write_str("\\r"),
        c if c.is_control() => write!(out, "\\x{:02x}", u32::from(c)),
        c if is_hidden(c) => write!(out, "\\u{{{:x}}}", u32::from(c)),
        c => out.write_char(c),
    };
}

fn shown_len(c: char) -> usize {
    match c {
        '\n' | '\t' | ' '..='~' => 1,
        '\r' => 2,
        c if c.is_control() => 4,
        c if is_hidden(c) => "\\u{}".len() + hex_len(c),
        c => c.len_utf8(),
    }
}

fn hex_len(c: char) -> usize {
    (usize::BITS - (c as usize).leading_zeros()).div_ceil(4) as usize
}

/// Characters that carry text past a reader: formats (direction, zero width, tags), odd line ends, private and unassigned
/// ones, and the variation selectors that can encode anything.
fn is_hidden(c: char) -> bool {
    use GeneralCategory as G;
    matches!(c, '\u{fe00}'..='\u{fe0e}' | '\u{e0100}'..='\u{e01ef}')
        || matches!(
            get_general_category(c),
            G::Format
                | G::LineSeparator
                | G::ParagraphSeparator
                | G::PrivateUse
                | G::Unassigned
                | G::Surrogate
        )
}

/// Without the beginning of a character whose rest is missing.
fn whole_characters(bytes: &[u8]) -> &[u8] {
    let cut = (1..=3.min(bytes.len())).find(|back| {
        let rest = bytes.get(bytes.len() - back..).unwrap_or_default();
        matches!(std::str::from_utf8(rest), Err(error) if error.valid_up_to() == 0 && error.error_len().is_none())
    });
    bytes.get(..bytes.len() - cut.unwrap_or(0)).unwrap_or_default()
}

/// Without the rest of a character whose beginning is missing.
fn from_whole_character(bytes: &[u8]) -> &[u8] {
    let rest = bytes.iter().take(3).take_while(|byte| **byte & 0b1100_0000 == 0b1000_0000).count();
    bytes.get(rest..).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use lictor_client::collect::Keep;

    use super::*;

    fn shown(bytes: &[u8], budget: usize) -> Shown {
        let mut stream = Assembled::default();
        stream.push(0, bytes, Keep::ALL);
        show(&stream, &StreamCounts { bytes_total: bytes.len() as u64, ..StreamCounts::default() }, budget)
    }

    #[test]
    fn what_moves_the_cursor_or_hides_is_shown_escaped() {
        for (bytes, text) in [
            (&b"plain\tand\nlines"[..], "plain\tand\nlines"),
            (b"\x1b[2J\x00\x07\r\n\x7f", "\\x1b[2J\\x00\\x07\\r\n\\x7f"),
            ("grün 日本 🙂".as_bytes(), "grün 日本 🙂"),
            (
                "\u{85}\u{202e}\u{200b}\u{feff}\u{2028}".as_bytes(),
                "\\x85\\u{202e}\\u{200b}\\u{feff}\\u{2028}",
            ),
            ("\u{e0041}\u{e0101}\u{e000}".as_bytes(), "\\u{e0041}\\u{e0101}\\u{e000}"),
            (b"a\xff\xfeb", "a\u{fffd}\u{fffd}b"),
        ] {
            assert_eq!(
                shown(bytes, 1_000),
                Shown { text: text.into(), bytes_total: bytes.len() as u64, truncated: false }
            );
            assert_eq!(text.chars().map(shown_len).sum::<usize>(), text.len());
        }
        for c in ['\r', '\u{85}', '\u{202e}', '\u{e0041}', '\u{10ffff}', 'ü'] {
            let mut text = String::new();
            show_char(c, &mut text);
            assert_eq!(text.len(), shown_len(c), "{c:?}");
        }
    }

    #[test]
    fn output_over_the_budget_keeps_both_ends_and_counts_the_rest() {
        let bytes: Vec<u8> = (b'a'..=b'z').cycle().take(1_000).collect();
        let Shown { text, bytes_total, truncated } = shown(&bytes, 164);
        assert_eq!((bytes_total, truncated), (1_000, true));
        let (head, rest) = text.split_once("\n[lictor: 900 bytes left out]\n").unwrap();
        assert!(bytes.starts_with(head.as_bytes()) && bytes.ends_with(rest.as_bytes()));
        assert_eq!((head.len(), rest.len()), (50, 50));
    }

    #[test]
    fn bytes_that_escape_long_do_not_exceed_the_budget() {
        for bytes in [
            vec![0x1b; 10_000],
            vec![0xff; 10_000],
            "\u{e0041}".repeat(5_000).into_bytes(),
            vec![b'x'; 10_000],
        ] {
            let text = shown(&bytes, 1_000).text;
            assert!(text.len() <= 1_000 && text.contains("bytes left out"), "{}", text.len());
        }
    }

    #[test]
    fn pages_together_are_the_whole_text_and_always_get_on() {
        let text = "ä€🙂\u{e0041}x\n".repeat(20);
        for (cut, budget) in [(1, 1), (3, 2), (7, 5), (1_000, 9), (64, 1_000)] {
            let (mut at, mut shown) = (0, String::new());
            while at < text.len() {
                let bytes = &text.as_bytes()[at..];
                // A page of bytes never ends inside a character that it could show whole.
                let (page, taken) = page(&bytes[..bytes.len().min(cut.max(4))], budget);
                assert!(taken > 0);
                (at, shown) = (at + taken, shown + &page);
            }
            assert_eq!(shown, text.replace('\u{e0041}', "\\u{e0041}"), "{cut} {budget}");
        }
        assert_eq!(page(b"\xe2\x82", 10).1, 2);
    }

    #[test]
    fn the_end_is_whole_characters_and_never_exceeds_its_budget() {
        for (bytes, budget, text) in [
            (&b"abcdef"[..], 3, "def"),
            (b"ab\x1b", 4, "\\x1b"),
            (b"ab\x1b", 3, ""),
            ("ä€".as_bytes(), 3, "€"),
            (&"ä€".as_bytes()[1..4], 9, ""),
            (b"", 9, ""),
        ] {
            assert_eq!(end(bytes, budget), text, "{bytes:?}");
        }
    }

    #[test]
    fn a_gap_in_the_middle_of_characters_shows_no_broken_ones() {
        let mut stream = Assembled::default();
        let text = "ä€🙂".repeat(100);
        stream.push(0, &text.as_bytes()[..10], Keep::ALL);
        stream.push(800, &text.as_bytes()[800..], Keep::ALL);
        let counts = StreamCounts { bytes_total: 900, ..StreamCounts::default() };
        let shown = show(&stream, &counts, 1_000);
        assert!(!shown.text.contains('\u{fffd}'), "{}", shown.text);
        assert!(shown.truncated && shown.text.starts_with("ä€🙂\n[lictor: 79"), "{}", shown.text);
    }

    #[test]
    fn a_stream_whose_end_never_came_is_not_called_whole() {
        let mut stream = Assembled::default();
        stream.push(0, b"begin", Keep::ALL);
        let shown = show(&stream, &StreamCounts { bytes_total: 50, ..StreamCounts::default() }, 1_000);
        assert_eq!(
            shown,
            Shown { text: "begin\n[lictor: 45 bytes left out]\n".into(), bytes_total: 50, truncated: true }
        );
    }
}
