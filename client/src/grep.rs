//! Lines that match, with where they are. Behind a gap nobody can count lines, so there they have no number.

use std::collections::VecDeque;

use regex::bytes::Regex;

use crate::kept::KeptBytes;

/// A line that matches, or one beside it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found<'a> {
    /// Its number, from 1; `None` behind a gap.
    pub line: Option<u64>,
    /// Position of its first byte in the whole stream.
    pub offset: u64,
    /// The line, without its end.
    pub text: &'a [u8],
    /// It matches; otherwise it is told for its neighbour's sake.
    pub matches: bool,
    /// It does not follow the line told before it.
    pub apart: bool,
}

/// Tells the lines that match `pattern`, each with `context` lines around it, in order. Lines are not joined over a gap.
pub fn grep<'a>(kept: &'a KeptBytes, pattern: &Regex, context: usize, mut tell: impl FnMut(Found<'a>)) {
    let mut line = Some(1_u64);
    for (index, part) in kept.parts.iter().enumerate() {
        if kept.gap_before(index).is_some() || part.offset > 0 && index == 0 {
            line = None;
        }
        let (mut before, mut after, mut apart) = (VecDeque::new(), 0, true);
        let mut offset = part.offset;
        for whole in part.bytes.split_inclusive(|byte| *byte == b'\n') {
            let text = whole.strip_suffix(b"\n").unwrap_or(whole);
            let mut found = Found { line, offset, text, matches: pattern.is_match(text), apart: false };
            offset += whole.len() as u64;
            line = line.map(|number| number + 1);
            if found.matches {
                for beside in before.drain(..) {
                    tell(Found { apart: std::mem::take(&mut apart), ..beside });
                }
                found.apart = std::mem::take(&mut apart);
                tell(found);
                after = context;
            } else if after > 0 {
                after -= 1;
                tell(found);
            } else if context == 0 {
                apart = true;
            } else {
                if before.len() == context {
                    before.pop_front();
                    apart = true;
                }
                before.push_back(found);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::Part;

    fn found(text: &[(u64, &str)], pattern: &str, context: usize) -> Vec<String> {
        let part = |(offset, text): &(u64, &str)| Part { offset: *offset, bytes: text.as_bytes().to_vec() };
        let parts: Vec<Part> = text.iter().map(part).collect();
        let kept = KeptBytes::of(parts.last().map_or(0, Part::end), parts);
        let mut lines = Vec::new();
        grep(&kept, &Regex::new(pattern).unwrap(), context, |found| {
            let number = found.line.map_or("?".into(), |line| line.to_string());
            let apart = if found.apart { "--" } else { "" };
            let mark = if found.matches { ':' } else { '-' };
            lines.push(format!(
                "{apart}{number}{mark}{}{mark}{}",
                found.offset,
                String::from_utf8_lossy(found.text)
            ));
        });
        lines
    }

    #[test]
    fn matches_come_with_line_and_position_and_each_line_once() {
        let text = [(0, "a\nb\nhit 1\nc\nhit 2\nd\ne\nf\nhit 3")];
        assert_eq!(found(&text, "hit", 0), ["--3:4:hit 1", "--5:12:hit 2", "--9:24:hit 3"]);
        assert_eq!(
            found(&text, "hit", 1),
            ["--2-2-b", "3:4:hit 1", "4-10-c", "5:12:hit 2", "6-18-d", "--8-22-f", "9:24:hit 3"]
        );
        assert!(found(&text, "^$", 3).is_empty());
    }

    #[test]
    fn behind_a_gap_lines_have_a_position_and_no_number() {
        let text = [(0, "hit\ncut he"), (1_000, "re hit\nhit\n")];
        assert_eq!(found(&text, "hit", 1), ["--1:0:hit", "2-4-cut he", "--?:1000:re hit", "?:1007:hit"]);
        assert_eq!(found(&[(5, "hit\n")], "hit", 0), ["--?:5:hit"]);
    }
}
