//! Finds where an answer begins in a stream: everything up to the marked line is a shell's own. Pure.

use super::script::mark;

/// How much may come before the mark: start-up files print, but not this much.
const SEARCH_BYTES: usize = 64 * 1024;

/// Holds the start of one stream until its mark came.
#[derive(Debug)]
pub(super) struct Opening {
    mark: String,
    held: Vec<u8>,
    found: bool,
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Opened {
    /// Nothing of the command yet.
    NotYet,
    /// The rest of the marked line, and what follows it.
    Now(String, Vec<u8>),
    /// It came before: the bytes are the command's.
    Before,
}

impl Opening {
    pub(super) fn new(nonce: &str) -> Self {
        Self { mark: mark(nonce), held: Vec::new(), found: false }
    }

    /// Takes the next bytes.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Opened {
        if self.found {
            return Opened::Before;
        }
        self.held.extend_from_slice(bytes);
        let mark = self.mark.as_bytes();
        let Some(at) = self.held.windows(mark.len()).position(|window| window == mark) else {
            // A mark that is cut in two may be at the end.
            let keep = self.held.len().min(SEARCH_BYTES);
            self.held.drain(..self.held.len() - keep);
            return Opened::NotYet;
        };
        let line = self.held.get(at + mark.len()..).unwrap_or_default();
        let Some(end) = line.iter().position(|b| *b == b'\n') else { return Opened::NotYet };
        let (rest, after) = line.split_at(end);
        let opened = Opened::Now(
            String::from_utf8_lossy(rest).into_owned(),
            after.get(1..).unwrap_or_default().to_vec(),
        );
        (self.found, self.held) = (true, Vec::new());
        opened
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_before_the_mark_is_not_the_commands_however_it_is_cut() {
        let text =
            b"motd\nlictor-detached other x\nlictor-detached abc started\n\0bytes\nlictor-detached abc x\n";
        for step in [1, 3, 7, 1000] {
            let (mut opening, mut word, mut seen) = (Opening::new("abc"), None, Vec::new());
            for piece in text.chunks(step) {
                match opening.push(piece) {
                    Opened::NotYet => {}
                    Opened::Now(rest, after) => {
                        word = Some(rest);
                        seen.extend(after);
                    }
                    Opened::Before => seen.extend_from_slice(piece),
                }
            }
            assert_eq!(word.as_deref(), Some(" started"), "step {step}");
            assert_eq!(seen, b"\0bytes\nlictor-detached abc x\n");
        }
    }

    #[test]
    fn a_stream_without_a_mark_is_not_held_without_end() {
        let mut opening = Opening::new("abc");
        for _ in 0..10 {
            assert_eq!(opening.push(&[b'x'; SEARCH_BYTES]), Opened::NotYet);
        }
        assert!(opening.held.len() <= SEARCH_BYTES);
    }
}
