//! Bytes of unknown origin as text that cannot move a cursor, paint, ring or hide.

use std::fmt::Write as _;

/// Longest incomplete UTF-8 character, in bytes.
const MAX_CARRY: usize = 3;

/// Turns a stream into text as it comes; a character that is cut by a piece's end waits for the next piece.
#[derive(Debug, Default)]
pub(crate) struct Escaper {
    carry: Vec<u8>,
}

// === impl Escaper ===

impl Escaper {
    /// The next piece as text; only newline and tab stay what they are.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> String {
        self.carry.extend_from_slice(bytes);
        let all = std::mem::take(&mut self.carry);
        let mut out = String::with_capacity(all.len());
        let mut rest = all.as_slice();
        loop {
            match std::str::from_utf8(rest) {
                Ok(text) => {
                    escape_into(text, &mut out);
                    return out;
                }
                Err(error) => {
                    let (good, bad) = rest.split_at(error.valid_up_to());
                    escape_into(&String::from_utf8_lossy(good), &mut out);
                    match error.error_len() {
                        None if bad.len() <= MAX_CARRY => {
                            self.carry = bad.to_vec();
                            return out;
                        }
                        length => {
                            let (broken, after) = bad.split_at(length.unwrap_or(bad.len()));
                            escape_bytes(broken, &mut out);
                            rest = after;
                        }
                    }
                }
            }
        }
    }

    /// What was still waiting when the stream ended.
    pub(crate) fn finish(&mut self) -> String {
        let mut out = String::new();
        escape_bytes(&std::mem::take(&mut self.carry), &mut out);
        out
    }
}

/// `text` in one line: control and invisible characters are written out.
pub(crate) fn one_line(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut out, c| {
        push_char(c, &mut out);
        out
    })
}

/// `text` with its lines; other control and invisible characters are written out.
pub(crate) fn lines(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    escape_into(text, &mut out);
    out
}

fn escape_into(text: &str, out: &mut String) {
    for c in text.chars() {
        if matches!(c, '\n' | '\t') { out.push(c) } else { push_char(c, out) }
    }
}

fn push_char(c: char, out: &mut String) {
    if c.is_ascii_control() {
        // Writing to a String cannot fail.
        let _ = write!(out, "\\x{:02x}", u32::from(c));
    } else if is_hidden(c) {
        let _ = write!(out, "{}", c.escape_unicode());
    } else {
        out.push(c);
    }
}

fn escape_bytes(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        let _ = write!(out, "\\x{byte:02x}");
    }
}

/// Control characters, and those that change direction, lines or width without being seen.
fn is_hidden(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{ad}' | '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_printed_reaches_the_terminal_as_a_control() {
        let mut escaper = Escaper::default();
        let text = escaper.push(b"a\tb\n\x1b[2J\x07\rx\xff\xe2\x80\xae");
        assert_eq!(text, "a\tb\n\\x1b[2J\\x07\\x0dx\\xff\\u{202e}");
        assert_eq!(one_line("a\nb"), "a\\x0ab");
    }

    #[test]
    fn a_character_cut_in_two_is_put_together_and_one_never_finished_is_shown() {
        let mut escaper = Escaper::default();
        let euro = "€".as_bytes();
        assert_eq!(escaper.push(&euro[..1]), "");
        assert_eq!(escaper.push(&euro[1..2]), "");
        assert_eq!(escaper.push(&[euro[2], b'!', euro[0]]), "€!");
        assert_eq!(escaper.finish(), "\\xe2");
        assert_eq!(escaper.push(&[euro[0], b'x']), "\\xe2x");
    }
}
