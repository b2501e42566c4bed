//! Both streams of one command, as they come: masked, counted, kept as head and tail in bounded memory, shown live.

use std::sync::Arc;

use lictor_core::output::{Capture, Output, StreamName, timing::Timing};
use tokio::time::Instant;

use super::{budget::Charge, live::Live};
use crate::redact::{Masker, Redactor};

/// Part of the output limit that standard error may use; the rest is standard output's.
const STDERR_SHARE: u64 = 4;

/// What a command says.
#[derive(Debug)]
pub(crate) struct Streams {
    cap: u64,
    redactor: Arc<Redactor>,
    stdout: Stream,
    stderr: Stream,
    /// When it was asked for: pieces are told to have come so long after it.
    begun: Instant,
    timing: Timing,
    charge: Charge,
    pub(crate) live: Live,
}

#[derive(Debug)]
struct Stream {
    masker: Masker,
    kept: Capture,
}

// === impl Streams ===

impl Streams {
    /// Keeps at most `cap` bytes, and none of what `redactor` masks.
    pub(crate) fn new(redactor: Arc<Redactor>, charge: Charge, live: Live, cap: u64) -> Self {
        let [stdout, stderr] = Stream::both(&redactor, cap);
        Self { cap, redactor, stdout, stderr, begun: Instant::now(), timing: Timing::default(), charge, live }
    }

    /// Takes the next bytes of a stream.
    pub(crate) fn push(&mut self, name: StreamName, bytes: &[u8]) {
        let clear = self.stream(name).masker.push(bytes);
        self.keep(name, &clear);
    }

    /// Forgets everything that came.
    pub(crate) fn start_over(&mut self) {
        [self.stdout, self.stderr] = Stream::both(&self.redactor, self.cap);
        self.timing = Timing::default();
        self.live.stop();
    }

    /// Everything that came, and how many secrets were masked in it.
    pub(crate) fn finish(mut self) -> (Output, u64) {
        for name in [StreamName::Stdout, StreamName::Stderr] {
            let held_back = self.stream(name).masker.finish();
            self.keep(name, &held_back);
        }
        let masked = self.stdout.masker.masked() + self.stderr.masker.masked();
        (
            Output {
                stdout: self.stdout.kept.finish(),
                stderr: self.stderr.kept.finish(),
                timing: self.timing,
            },
            masked,
        )
    }

    const fn stream(&mut self, name: StreamName) -> &mut Stream {
        match name {
            StreamName::Stdout => &mut self.stdout,
            StreamName::Stderr => &mut self.stderr,
        }
    }

    /// Keeps and shows what was masked, and notes when it came.
    fn keep(&mut self, name: StreamName, clear: &[u8]) {
        let kept = &mut self.stream(name).kept;
        let offset = kept.total();
        kept.push(clear);
        if !clear.is_empty() {
            let millis = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
            self.timing.note(name, offset, millis);
        }
        self.live.push(name, offset, clear);
        self.pay();
    }

    /// Keeps no more when memory is short.
    fn pay(&mut self) {
        if !self.charge.cover(self.stdout.kept.kept() + self.stderr.kept.kept() + self.timing.bytes()) {
            self.stdout.kept.stop_growing();
            self.stderr.kept.stop_growing();
            self.timing.stop_growing();
        }
    }
}

// === impl Stream ===

impl Stream {
    fn both(redactor: &Arc<Redactor>, cap: u64) -> [Self; 2] {
        let stream = |cap| Self { masker: Masker::new(Arc::clone(redactor)), kept: Capture::new(cap) };
        [stream(cap - cap / STDERR_SHARE), stream(cap / STDERR_SHARE)]
    }
}
