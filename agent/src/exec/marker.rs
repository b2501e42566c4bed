//! Takes the marker line out of standard error and learns the process id from it. Pure.

use std::borrow::Cow;

use lictor_core::id::InvocationId;

use super::wrapper;

/// How much of standard error is searched: start-up files of a shell may print before the marker, but not this much.
const SEARCH_BYTES: usize = 64 * 1024;
/// Digits of the largest process id anywhere, and the line end.
const MAX_PID_BYTES: usize = 11;

/// Holds back the start of standard error until the marker came or cannot come any more.
#[derive(Debug)]
pub(crate) struct MarkerFilter {
    marker: String,
    held: Vec<u8>,
    searching: bool,
    pid: Option<u32>,
}

impl MarkerFilter {
    pub(crate) fn new(invocation: InvocationId) -> Self {
        Self { marker: wrapper::marker(invocation), held: Vec::new(), searching: true, pid: None }
    }

    /// The process id, once the marker came.
    pub(crate) const fn pid(&self) -> Option<u32> {
        self.pid
    }

    /// Takes the next bytes and gives those that belong to the command.
    pub(crate) fn push<'a>(&mut self, bytes: &'a [u8]) -> Cow<'a, [u8]> {
        if !self.searching {
            return Cow::Borrowed(bytes);
        }
        if self.held.is_empty()
            && let Some((before, after)) = self.split(bytes)
            && before == 0
        {
            return Cow::Borrowed(bytes.get(after..).unwrap_or_default());
        }
        self.searching = true;
        self.held.extend_from_slice(bytes);
        let held = std::mem::take(&mut self.held);
        if let Some((before, after)) = self.split(&held) {
            let mut rest = held.get(..before).unwrap_or_default().to_vec();
            rest.extend_from_slice(held.get(after..).unwrap_or_default());
            return Cow::Owned(rest);
        }
        if held.len() >= SEARCH_BYTES {
            self.searching = false;
            return Cow::Owned(held);
        }
        self.held = held;
        Cow::Borrowed(&[])
    }

    /// What was held back, when nothing follows.
    pub(crate) fn finish(&mut self) -> Vec<u8> {
        self.searching = false;
        std::mem::take(&mut self.held)
    }

    /// Finds the first whole marker line: where it starts, and where what follows it starts.
    fn split(&mut self, bytes: &[u8]) -> Option<(usize, usize)> {
        let marker = self.marker.as_bytes();
        let mut from = 0;
        loop {
            let rest = bytes.get(from..)?;
            let at = from + rest.windows(marker.len()).position(|window| window == marker)?;
            let digits = bytes.get(at + marker.len()..)?;
            let end = digits.iter().take(MAX_PID_BYTES).position(|b| *b == b'\n');
            let pid = end.and_then(|end| std::str::from_utf8(digits.get(..end)?).ok()?.parse().ok());
            if let (Some(end), Some(pid)) = (end, pid) {
                self.pid = Some(pid);
                self.searching = false;
                return Some((at, at + marker.len() + end + 1));
            }
            if end.is_none() && digits.len() < MAX_PID_BYTES {
                return None;
            }
            from = at + 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id() -> InvocationId {
        InvocationId::from_bytes([3; 16])
    }

    #[test]
    fn the_first_marker_line_goes_and_every_other_byte_stays_however_it_is_cut() {
        let marker = wrapper::marker(id());
        for (text, expected, pid) in [
            (format!("{marker}42\nerror\n"), "error\n".to_owned(), Some(42)),
            (format!("motd\n{marker}7\nx{marker}8\n"), format!("motd\nx{marker}8\n"), Some(7)),
            (format!("{marker}x\n{marker}9\n"), format!("{marker}x\n"), Some(9)),
            ("no marker at all".to_owned(), "no marker at all".to_owned(), None),
            (format!("{marker}12"), format!("{marker}12"), None),
            (String::new(), String::new(), None),
        ] {
            for step in [1, 2, 7, 1000] {
                let mut filter = MarkerFilter::new(id());
                let mut seen = Vec::new();
                for piece in text.as_bytes().chunks(step) {
                    seen.extend_from_slice(&filter.push(piece));
                }
                seen.extend_from_slice(&filter.finish());
                assert_eq!(String::from_utf8(seen).unwrap(), expected, "step {step}");
                assert_eq!(filter.pid(), pid);
            }
        }
    }

    #[test]
    fn nothing_is_held_back_beyond_the_search_region() {
        let mut filter = MarkerFilter::new(id());
        let noise = vec![b'x'; SEARCH_BYTES];
        assert!(filter.push(&noise[1..]).is_empty());
        assert_eq!(filter.push(b"xyz").len(), SEARCH_BYTES + 2);
        assert_eq!(filter.push(b"more").as_ref(), b"more");
    }
}
