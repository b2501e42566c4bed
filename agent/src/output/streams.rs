//! Both streams of one command, as they come: masked, counted, kept as head and tail in bounded memory, shown live.

use std::sync::Arc;

use lictor_core::output::{Capture, Output, StreamName};

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
        Self { cap, redactor, stdout, stderr, charge, live }
    }

    /// Takes the next bytes of a stream.
    pub(crate) fn push(&mut self, name: StreamName, bytes: &[u8]) {
        let stream = match name {
            StreamName::Stdout => &mut self.stdout,
            StreamName::Stderr => &mut self.stderr,
        };
        let clear = stream.masker.push(bytes);
        stream.keep(name, &clear, &mut self.live);
        self.pay();
    }

    /// Forgets everything that came.
    pub(crate) fn start_over(&mut self) {
        [self.stdout, self.stderr] = Stream::both(&self.redactor, self.cap);
    }

    /// Everything that came, and how many secrets were masked in it.
    pub(crate) fn finish(mut self) -> (Output, u64) {
        self.stdout.end(StreamName::Stdout, &mut self.live);
        self.stderr.end(StreamName::Stderr, &mut self.live);
        let masked = self.stdout.masker.masked() + self.stderr.masker.masked();
        (Output { stdout: self.stdout.kept.finish(), stderr: self.stderr.kept.finish() }, masked)
    }

    /// Keeps no more when memory is short.
    fn pay(&mut self) {
        if !self.charge.cover(self.stdout.kept.kept() + self.stderr.kept.kept()) {
            self.stdout.kept.stop_growing();
            self.stderr.kept.stop_growing();
        }
    }
}

// === impl Stream ===

impl Stream {
    fn both(redactor: &Arc<Redactor>, cap: u64) -> [Self; 2] {
        let stream = |cap| Self { masker: Masker::new(Arc::clone(redactor)), kept: Capture::new(cap) };
        [stream(cap - cap / STDERR_SHARE), stream(cap / STDERR_SHARE)]
    }

    fn keep(&mut self, name: StreamName, bytes: &[u8], live: &mut Live) {
        let offset = self.kept.total();
        let head = self.kept.push(bytes).len();
        live.push(name, offset, bytes.get(..head).unwrap_or_default());
    }

    /// Takes what was held back.
    fn end(&mut self, name: StreamName, live: &mut Live) {
        let rest = self.masker.finish();
        self.keep(name, &rest, live);
    }
}
