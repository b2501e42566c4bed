//! What came of a detached command's output so far: where each stream goes on, and what is kept of it.

use lictor_core::{
    id::InvocationId,
    output::{Output, StreamName, StreamSummary},
};

use super::script::Kept;
use crate::{
    exec::Runner,
    output::{live::Live, streams::Streams},
};

/// Both streams.
#[derive(Debug)]
pub(super) struct Intake {
    streams: Streams,
    /// How much came, as the host has it: standard output, standard error.
    came: (u64, u64),
}

impl Intake {
    pub(super) fn new(runner: &Runner, id: InvocationId, cap: u64) -> Self {
        let live = Live::new(id, runner.uplink.clone());
        Self {
            streams: Streams::new(runner.site.redactor(), runner.budget.charge(), live, cap),
            came: (0, 0),
        }
    }

    /// Takes the next bytes of a stream.
    pub(super) fn push(&mut self, stream: StreamName, bytes: &[u8]) {
        let came = match stream {
            StreamName::Stdout => &mut self.came.0,
            StreamName::Stderr => &mut self.came.1,
        };
        *came += bytes.len() as u64;
        self.streams.push(stream, bytes);
    }

    /// Where the streams go on: standard output, standard error.
    pub(super) const fn offsets(&self) -> (u64, u64) {
        self.came
    }

    pub(super) const fn live(&mut self) -> &mut Live {
        &mut self.streams.live
    }

    /// Forgets everything: what came cannot be what the host has.
    pub(super) fn start_over(&mut self) {
        self.came = (0, 0);
        self.streams.start_over();
    }

    /// The output, given what the host is known to have had, and how many secrets were masked in it.
    pub(super) fn finish(self, known: Option<[Kept; 2]>) -> (Output, u64) {
        let ([out, err], (out_came, err_came)) = (known.unwrap_or_default(), self.came);
        let (Output { stdout, stderr, timing }, masked) = self.streams.finish();
        let stdout = whole_or_cut(stdout, out_came, out);
        let stderr = whole_or_cut(stderr, err_came, err);
        (Output { stdout, stderr, timing }, masked)
    }
}

/// Of a stream whose end nobody has, there is neither a tail nor a digest; its length says that something is missing.
/// `came` is how much of it came before secrets were masked.
fn whole_or_cut(seen: StreamSummary, came: u64, kept: Kept) -> StreamSummary {
    let missing = kept.bytes.unwrap_or(came).saturating_sub(came).saturating_add(kept.lost);
    if missing == 0 {
        return seen;
    }
    let bytes_total = seen.bytes_total.saturating_add(missing);
    StreamSummary { bytes_total, digest: None, tail: Vec::new(), head: seen.head }
}

#[cfg(test)]
mod tests {
    use lictor_core::output::Capture;

    use super::*;

    #[test]
    fn what_the_host_let_go_is_counted_and_leaves_neither_tail_nor_digest() {
        let seen = || {
            let mut capture = Capture::new(4);
            capture.push(b"abcdef");
            capture.finish()
        };
        let known = |bytes, lost| Kept { bytes, lost };
        assert_eq!(whole_or_cut(seen(), 6, known(Some(6), 0)), seen());
        assert_eq!(whole_or_cut(seen(), 6, known(None, 0)), seen());
        for (kept, printed) in [(known(Some(6), 5), 11), (known(Some(9), 0), 9)] {
            let cut = whole_or_cut(seen(), 6, kept);
            assert_eq!((cut.bytes_total, cut.digest, cut.tail.len()), (printed, None, 0));
            assert!(cut.truncated() && cut.head == b"ab");
        }
        // Masking made six bytes of what were twenty; nothing is missing.
        assert_eq!(whole_or_cut(seen(), 20, known(Some(20), 0)), seen());
        assert_eq!(whole_or_cut(seen(), 20, known(Some(23), 0)).bytes_total, 9);
    }
}
