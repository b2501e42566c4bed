//! How two outputs differ, line by line.

use std::time::Duration;

use lictor_client::kept::KeptBytes;
use similar::TextDiff;

/// Longest search for the shortest difference; after it, a longer one is told.
const SEARCH: Duration = Duration::from_secs(5);
/// Lines that are the same around each difference.
const CONTEXT: usize = 3;

/// The unified diff; empty when there is no difference in what was kept. A gap counts as a line that says what is missing.
pub(crate) fn unified(a: (&str, &KeptBytes), b: (&str, &KeptBytes)) -> String {
    let (old, new) = (text(a.1), text(b.1));
    TextDiff::configure()
        .timeout(SEARCH)
        .diff_lines(&old, &new)
        .unified_diff()
        .context_radius(CONTEXT)
        .header(a.0, b.0)
        .to_string()
}

fn text(kept: &KeptBytes) -> String {
    let mut text = String::new();
    for (index, part) in kept.parts.iter().enumerate() {
        if let Some(gap) = kept.gap_before(index) {
            end_line(&mut text);
            text += &format!("{gap}\n");
        }
        text += &String::from_utf8_lossy(&part.bytes);
    }
    if let Some(gap) = kept.gap_at_end() {
        end_line(&mut text);
        text += &format!("{gap}\n");
    }
    text
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use lictor_client::kept::Part;

    use super::*;

    fn kept(parts: &[(u64, &str)]) -> KeptBytes {
        let part = |(offset, text): &(u64, &str)| Part { offset: *offset, bytes: text.as_bytes().to_vec() };
        let parts: Vec<Part> = parts.iter().map(part).collect();
        KeptBytes::of(parts.last().map_or(0, Part::end), parts)
    }

    #[test]
    fn a_difference_is_told_as_a_unified_diff_and_a_gap_shows() {
        let (a, b) = (kept(&[(0, "one\ntwo\nthree\n")]), kept(&[(0, "one\n2\nthree\n")]));
        assert_eq!(
            unified(("web-1", &a), ("web-2", &b)),
            "--- web-1\n+++ web-2\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"
        );
        assert_eq!(unified(("a", &a), ("b", &a)), "");
        let gone = kept(&[(0, "one\ntw"), (10, "three\n")]);
        assert!(unified(("a", &a), ("b", &gone)).contains("+[lictor: 4 bytes not kept, 6 to 10]\n"));
    }
}
