//! What came of a detached command's output so far: where each stream goes on, and head, tail and digest of it.

use lictor_core::{
    id::InvocationId,
    output::{Capture, Output, StreamName, StreamSummary},
};

use super::script::Kept;
use crate::{
    exec::Runner,
    exec::drive::STDERR_SHARE,
    output::{budget::Charge, live::Live},
};

/// Both streams.
#[derive(Debug)]
pub(super) struct Intake {
    cap: u64,
    stdout: Capture,
    stderr: Capture,
    charge: Charge,
    pub(super) live: Live,
}

impl Intake {
    pub(super) fn new(runner: &Runner, id: InvocationId, cap: u64) -> Self {
        let [stdout, stderr] = captures(cap);
        Self {
            cap,
            stdout,
            stderr,
            charge: runner.budget.charge(),
            live: Live::new(id, runner.uplink.clone()),
        }
    }

    /// Takes the next bytes of a stream.
    pub(super) fn push(&mut self, stream: StreamName, bytes: &[u8]) {
        let capture = match stream {
            StreamName::Stdout => &mut self.stdout,
            StreamName::Stderr => &mut self.stderr,
        };
        let offset = capture.total();
        let head = capture.push(bytes).len();
        self.live.push(stream, offset, bytes.get(..head).unwrap_or_default());
        if !self.charge.cover(self.stdout.kept() + self.stderr.kept()) {
            self.stdout.stop_growing();
            self.stderr.stop_growing();
        }
    }

    /// Where the streams go on: standard output, standard error.
    pub(super) const fn offsets(&self) -> (u64, u64) {
        (self.stdout.total(), self.stderr.total())
    }

    /// Forgets everything: what came cannot be what the host has.
    pub(super) fn start_over(&mut self) {
        [self.stdout, self.stderr] = captures(self.cap);
    }

    /// The output, given what the host is known to have had.
    pub(super) fn finish(self, known: Option<[Kept; 2]>) -> Output {
        let [out, err] = known.unwrap_or_default();
        Output {
            stdout: whole_or_cut(self.stdout.finish(), out),
            stderr: whole_or_cut(self.stderr.finish(), err),
        }
    }
}

fn captures(cap: u64) -> [Capture; 2] {
    [Capture::new(cap - cap / STDERR_SHARE), Capture::new(cap / STDERR_SHARE)]
}

/// Of a stream whose end nobody has, there is neither a tail nor a digest; its length says that something is missing.
fn whole_or_cut(seen: StreamSummary, kept: Kept) -> StreamSummary {
    let printed = kept.bytes.unwrap_or(seen.bytes_total).max(seen.bytes_total).saturating_add(kept.lost);
    if printed == seen.bytes_total {
        return seen;
    }
    StreamSummary { bytes_total: printed, digest: None, tail: Vec::new(), head: seen.head }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_host_let_go_is_counted_and_leaves_neither_tail_nor_digest() {
        let seen = || {
            let mut capture = Capture::new(4);
            capture.push(b"abcdef");
            capture.finish()
        };
        let known = |bytes, lost| Kept { bytes, lost };
        assert_eq!(whole_or_cut(seen(), known(Some(6), 0)), seen());
        assert_eq!(whole_or_cut(seen(), known(None, 0)), seen());
        for (kept, printed) in [(known(Some(6), 5), 11), (known(Some(9), 0), 9)] {
            let cut = whole_or_cut(seen(), kept);
            assert_eq!((cut.bytes_total, cut.digest, cut.tail.len()), (printed, None, 0));
            assert!(cut.truncated() && cut.head == b"ab");
        }
    }
}
