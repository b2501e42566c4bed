//! The ends that one commit records for one job.

use std::sync::Arc;

use lictor_core::{
    invocation::Invocation,
    job::{Counts, Job},
};
use lictor_store::{KeptOutput, KeptStream, Write};

use crate::arrivals::Arriving;

/// The ends that one commit records for one job.
#[derive(Debug, Default)]
pub struct Closing {
    /// The invocations as they will be.
    pub ended: Vec<Ending>,
    /// The job as it will be, if this ends it.
    pub job: Option<(Job, u64, Counts)>,
    /// Bytes of output that are then kept of the job; of one that goes on, nothing.
    pub output_bytes: u64,
}

/// One of them.
#[derive(Debug)]
pub struct Ending {
    /// Its place in the job.
    pub index: usize,
    /// The invocation as it will be: what records it and what says so share it.
    pub invocation: Arc<Invocation>,
    /// Its whole standard output, where that came as a file and is not in the invocation.
    pub file: Option<Arc<Arriving>>,
}

// === impl Ending ===

impl Ending {
    /// What is kept of what it printed.
    pub(super) fn kept(&self) -> KeptOutput {
        let kept = KeptOutput::of(&self.invocation.output);
        if self.file.is_none() {
            return kept;
        }
        let total = self.invocation.output.stdout.bytes_total;
        KeptOutput { stdout: KeptStream { total, head: total, tail: 0 }, ..kept }
    }

    /// What records it.
    pub(crate) fn write(&self) -> Write {
        match &self.file {
            // Its output has no bytes here.
            Some(file) => Write::UpdateInvocationWithFile {
                invocation: Invocation::clone(&self.invocation),
                file: file.path().to_owned(),
            },
            None => Write::UpdateInvocation(Arc::clone(&self.invocation)),
        }
    }
}
