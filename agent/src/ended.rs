//! How an invocation ended, with what it printed: in memory if small, in the spool if not.

use lictor_certs::evidence::Evidence;
use lictor_core::{
    clock::Timestamp,
    digest::Digest,
    guard::Guard,
    id::InvocationId,
    outcome::Outcome,
    output::{Output, StreamName, StreamSummary, timing::Timing},
};
use lictor_proto::{convert::summary_with_bytes, pb};

use crate::evidence;

/// One end, as it is kept until the controller has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) invocation: InvocationId,
    pub(crate) outcome: Outcome,
    /// When the exec request was sent; `None` if it never was.
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) ended_at: Timestamp,
    /// The address that was connected to; empty if none.
    pub(crate) address: String,
    pub(crate) output: Kept,
    /// Proof that what the controller had signed was refused; made once, and the same whenever it is sent.
    pub(crate) evidence: Option<Evidence>,
    /// What kept it from starting twice.
    pub(crate) guard: Guard,
    /// How many secrets were masked in what its host said.
    pub(crate) redactions: u64,
}

/// Where the kept output is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Kept {
    /// Here.
    Inline(Output),
    /// In the spool file of the invocation.
    Spooled(SpooledOutput),
}

/// What is known of output whose bytes are in the spool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpooledOutput {
    pub(crate) stdout: SpooledStream,
    pub(crate) stderr: SpooledStream,
    /// When its pieces came.
    pub(crate) timing: Timing,
    /// A file of a host: all that was asked for, where the output of a command is told beside its end.
    pub(crate) is_file: bool,
}

/// One stream in the spool; its bytes lie there as head, then tail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SpooledStream {
    pub(crate) bytes_total: u64,
    pub(crate) digest: Option<Digest>,
    pub(crate) head_bytes: u64,
    pub(crate) tail_bytes: u64,
}

// === impl Ended ===

impl Ended {
    /// An end without a start.
    pub(crate) fn not_run(invocation: InvocationId, outcome: Outcome, now: Timestamp) -> Self {
        let output = Kept::Inline(Output::default());
        let address = String::new();
        Self {
            invocation,
            outcome,
            started_at: None,
            ended_at: now,
            address,
            output,
            evidence: None,
            guard: Guard::Journal,
            redactions: 0,
        }
    }
    /// The result as it is sent.
    pub(crate) fn to_wire(&self) -> pb::InvocationResult {
        let (output, output_inline) = match &self.output {
            Kept::Inline(output) => (summary_with_bytes(output), true),
            Kept::Spooled(spooled) => (spooled.to_wire(), false),
        };
        pb::InvocationResult {
            invocation_id: self.invocation.to_string(),
            outcome: Some((&self.outcome).into()),
            started_at: self.started_at.map_or(0, Timestamp::as_micros),
            ended_at: self.ended_at.as_micros(),
            address: self.address.clone(),
            output: Some(output),
            output_inline,
            evidence: self.evidence.as_ref().map(evidence::to_wire),
            guard: pb::Guard::from(self.guard).into(),
            redactions: self.redactions,
        }
    }
    pub(crate) const fn is_spooled(&self) -> bool {
        matches!(self.output, Kept::Spooled(_))
    }
}

// === impl SpooledOutput ===

impl SpooledOutput {
    /// The counts of what a command printed.
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            stdout: SpooledStream::of(&output.stdout),
            stderr: SpooledStream::of(&output.stderr),
            timing: output.timing.clone(),
            is_file: false,
        }
    }
    /// Bytes in the file.
    pub(crate) fn bytes(&self) -> u64 {
        self.pieces().iter().map(|(_, _, length)| length).sum()
    }
    /// The pieces in the order in which they lie in the file: stream, offset in the stream, length.
    pub(crate) fn pieces(&self) -> [(StreamName, u64, u64); 4] {
        let [a, b] = self.stdout.pieces();
        let [c, d] = self.stderr.pieces();
        let (out, err) = (StreamName::Stdout, StreamName::Stderr);
        [(out, a.0, a.1), (out, b.0, b.1), (err, c.0, c.1), (err, d.0, d.1)]
    }
    fn to_wire(&self) -> pb::Output {
        pb::Output {
            stdout: Some(self.stdout.to_wire()),
            stderr: Some(self.stderr.to_wire()),
            timing: self.timing.encode(),
        }
    }
}

// === impl SpooledStream ===

impl SpooledStream {
    fn of(summary: &StreamSummary) -> Self {
        Self {
            bytes_total: summary.bytes_total,
            digest: summary.digest,
            head_bytes: summary.head.len() as u64,
            tail_bytes: summary.tail.len() as u64,
        }
    }
    const fn pieces(&self) -> [(u64, u64); 2] {
        [(0, self.head_bytes), (self.bytes_total.saturating_sub(self.tail_bytes), self.tail_bytes)]
    }
    fn to_wire(&self) -> pb::StreamSummary {
        pb::StreamSummary {
            bytes_total: self.bytes_total,
            digest: self.digest.map(|d| d.as_bytes().to_vec()).unwrap_or_default(),
            head_bytes: self.head_bytes,
            tail_bytes: self.tail_bytes,
            head: Vec::new(),
            tail: Vec::new(),
        }
    }
}
