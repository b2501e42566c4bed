//! Verdicts on many changes of one file: what was found on the lines before a change depends on nothing behind them, so
//! the lines that a change leaves as they were are verified once for all changes behind them.

use std::io;

use super::{Trust, Verdict, of_flaw, verdict, verdict_of};
use crate::audit::{
    bundle::{Reading, rest},
    flaw::Flaw,
    lines::{Lines, MAX_LINE_BYTES},
};

/// A file that was verified as far as some line.
#[derive(Debug)]
pub struct Changes<'a> {
    base: &'a [u8],
    trust: &'a Trust,
    /// What the lines before `end` come to; `None` before the first.
    reading: Option<Result<Reading, Flaw>>,
    lines: u64,
    end: usize,
}

// === impl Changes ===

impl<'a> Changes<'a> {
    /// Of the file with these bytes.
    pub const fn of(base: &'a [u8], trust: &'a Trust) -> Self {
        Self { base, trust, reading: None, lines: 0, end: 0 }
    }

    /// The verdict on the file with `insert` in place of `remove` bytes from `at` on. Changes come in the order of `at`, or
    /// are verified from the first line on.
    ///
    /// # Errors
    /// When the bytes cannot be read.
    pub fn verdict(&mut self, at: usize, remove: usize, insert: &[u8]) -> io::Result<Verdict> {
        self.advance(at);
        let before = self.base.get(self.end..at).unwrap_or_default();
        let behind = self.base.get(at.saturating_add(remove)..).unwrap_or_default();
        match &self.reading {
            Some(Ok(reading)) if self.end <= at => {
                let bytes = [before, insert, behind].concat();
                let mut lines = Lines::behind(bytes.as_slice(), self.lines);
                verdict_of(rest(reading.clone(), &mut lines, &self.trust.keys), self.trust)
            }
            Some(Err(flaw)) if self.end <= at => Ok(of_flaw(flaw)),
            _ => {
                let bytes = [self.base.get(..at).unwrap_or_default(), insert, behind].concat();
                verdict(bytes.as_slice(), self.trust)
            }
        }
    }

    /// Goes on to the line in which the byte `at` stands.
    fn advance(&mut self, at: usize) {
        while let Some(line) = self.base.get(self.end..at)
            && let Some(length) = line.iter().position(|b| *b == b'\n')
            && (length as u64) < MAX_LINE_BYTES
        {
            let line = line.get(..length).unwrap_or_default();
            self.lines += 1;
            self.end += length + 1;
            let trust = self.trust;
            self.reading = Some(match self.reading.take() {
                None => Reading::begin(line, None, &trust.keys, |origin| trust.known(origin)),
                Some(Ok(mut reading)) => reading.take(self.lines, line).map(|()| reading),
                Some(flaw) => flaw,
            });
        }
    }
}
