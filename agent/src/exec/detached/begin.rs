//! Finds where an answer begins in a stream: everything up to the marked line is a shell's own. Pure.

use super::script::mark;

/// What may follow the mark up to the end of its line: the script's longest word has eight letters. A mark without a line
/// end so far on is not the script's.
const MAX_LINE_BYTES: usize = 64;

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

    /// Takes the next bytes. What was searched is not searched again, but for an unfinished line.
    pub(super) fn push(&mut self, bytes: &[u8]) -> Opened {
        if self.found {
            return Opened::Before;
        }
        self.held.extend_from_slice(bytes);
        let (mark, mut from) = (self.mark.as_bytes(), 0);
        while let Some(at) = find(&self.held, mark, from) {
            let line = self.held.get(at + mark.len()..).unwrap_or_default();
            match line.iter().take(MAX_LINE_BYTES).position(|b| *b == b'\n') {
                Some(end) => {
                    let (rest, after) = line.split_at(end);
                    let rest = String::from_utf8_lossy(rest).into_owned();
                    let opened = Opened::Now(rest, after.get(1..).unwrap_or_default().to_vec());
                    (self.found, self.held) = (true, Vec::new());
                    return opened;
                }
                None if line.len() < MAX_LINE_BYTES => {
                    self.held.drain(..at);
                    return Opened::NotYet;
                }
                None => from = at + 1,
            }
        }
        // A mark that is cut in two may be at the end.
        let keep = self.held.len().min(mark.len() - 1);
        self.held.drain(..self.held.len() - keep);
        Opened::NotYet
    }
}

/// Where `mark` is next, from `from` on.
fn find(held: &[u8], mark: &[u8], from: usize) -> Option<usize> {
    let rest = held.get(from..)?;
    rest.windows(mark.len()).position(|window| window == mark).map(|at| from + at)
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
    fn a_stream_without_a_mark_is_not_held_and_neither_is_a_mark_without_a_line_end() {
        let mut opening = Opening::new("abc");
        for _ in 0..10 {
            assert_eq!(opening.push(&[b'x'; 4096]), Opened::NotYet);
            assert!(opening.held.len() < opening.mark.len());
        }
        let endless = ["lictor-detached abc", &"y".repeat(MAX_LINE_BYTES)].concat();
        let whole = [&endless, "lictor-detached abc started\nout"].concat();
        for step in [1, 5, 1000] {
            let (mut opening, mut words) = (Opening::new("abc"), Vec::new());
            for piece in whole.as_bytes().chunks(step) {
                if let Opened::Now(rest, _) = opening.push(piece) {
                    words.push(rest);
                }
                assert!(opening.held.len() <= opening.mark.len() + MAX_LINE_BYTES, "step {step}");
            }
            assert_eq!(words, [" started"], "step {step}");
        }
    }
}
