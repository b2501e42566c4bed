//! Output of many hosts on one screen: whole lines, each behind its host's name.

/// Longest line that is waited for; a longer one is cut into several, so that memory stays bounded.
const MAX_LINE_BYTES: usize = 16 * 1024;

/// Cuts a stream into lines.
#[derive(Debug, Default)]
pub(crate) struct Lines {
    open: Vec<u8>,
}

// === impl Lines ===

impl Lines {
    /// The lines that `bytes` complete, without their ends.
    pub(crate) fn push(&mut self, bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        for piece in bytes.split_inclusive(|b| *b == b'\n') {
            match piece.strip_suffix(b"\n") {
                Some(end) => {
                    let mut line = std::mem::take(&mut self.open);
                    line.extend_from_slice(end);
                    lines.push(line);
                }
                None => self.open.extend_from_slice(piece),
            }
            if self.open.len() > MAX_LINE_BYTES {
                lines.push(std::mem::take(&mut self.open));
            }
        }
        lines
    }

    /// The line that never ended, if there is one.
    pub(crate) fn finish(&mut self) -> Option<Vec<u8>> {
        Some(std::mem::take(&mut self.open)).filter(|line| !line.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_whole_however_they_arrive_and_an_endless_one_is_cut() {
        let mut lines = Lines::default();
        assert!(lines.push(b"a").is_empty());
        assert_eq!(lines.push(b"b\n\nc\nd"), [b"ab".to_vec(), Vec::new(), b"c".to_vec()]);
        assert_eq!(lines.finish(), Some(b"d".to_vec()));
        assert_eq!(lines.finish(), None);
        assert_eq!(lines.push(&[b'x'; 2 * MAX_LINE_BYTES]).len(), 1);
    }
}
