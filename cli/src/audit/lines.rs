//! Lines of an exported log: of bounded length, each ended, and in form 2 each with its own check.

use std::io::{self, BufRead, Read as _};

use lictor_core::digest::Digest;

use super::flaw::Flaw;

/// Longest line: a record is below 60 KiB and a checkpoint below 64 KiB, which JSON may double.
pub(super) const MAX_LINE_BYTES: u64 = 256 * 1024;
/// Characters of a check: so many hexadecimal digits of a SHA-256 find any slip.
const CHECK_CHARS: usize = 16;

/// Why a file was not read to its end.
#[derive(Debug)]
pub(crate) enum Problem {
    /// It cannot be read.
    Io(io::Error),
    /// It proves nothing.
    Flaw(Flaw),
}

/// The lines of a file.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    line: Vec<u8>,
    number: u64,
}

// === impl Lines ===

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(reader: R) -> Self {
        Self { reader, line: Vec::new(), number: 0 }
    }

    /// Those that follow the line with this number.
    pub(super) const fn behind(reader: R, number: u64) -> Self {
        Self { reader, line: Vec::new(), number }
    }

    /// The number of the line that came last, 1 for the first.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// The next line without its end; `None` at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<&[u8]>, Problem> {
        self.line.clear();
        (&mut self.reader).take(MAX_LINE_BYTES).read_until(b'\n', &mut self.line)?;
        if self.line.is_empty() {
            return Ok(None);
        }
        self.number += 1;
        if self.line.pop() != Some(b'\n') {
            return Err(at(self.number, None, Flaw::Line("its end is missing")).into());
        }
        Ok(Some(&self.line))
    }
}

/// `flaw`, with its place.
pub(super) fn at(line: u64, index: Option<u64>, flaw: Flaw) -> Flaw {
    Flaw::At { line, index, flaw: Box::new(flaw) }
}

/// A line with its check, and its end.
pub(super) fn checked(content: &[u8]) -> Vec<u8> {
    let mut line = check_of(content).into_bytes();
    line.push(b' ');
    line.extend_from_slice(content);
    line.push(b'\n');
    line
}

/// The content of a line that fits its check.
pub(super) fn content_of(line: &[u8]) -> Result<&[u8], Flaw> {
    let bad = Flaw::Line("it does not begin with a check");
    let Some((check, rest)) = line.split_at_checked(CHECK_CHARS) else { return Err(bad) };
    let is_check = check.iter().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
    match rest.strip_prefix(b" ") {
        Some(content) if is_check => {
            if check == check_of(content).as_bytes() {
                Ok(content)
            } else {
                Err(Flaw::Check)
            }
        }
        _ => Err(bad),
    }
}

/// A number in its one form: without leading zeros.
pub(super) fn number(text: &str) -> Option<u64> {
    text.parse().ok().filter(|value: &u64| value.to_string() == text)
}

fn check_of(content: &[u8]) -> String {
    let mut text = Digest::of(content).to_string();
    text.truncate(CHECK_CHARS);
    text
}

impl From<io::Error> for Problem {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Flaw> for Problem {
    fn from(flaw: Flaw) -> Self {
        Self::Flaw(flaw)
    }
}
