//! Output summaries, both ways; with the kept bytes or with their counts only.

use lictor_core::output::{Output, StreamName, StreamSummary, timing::Timing};

use super::{Invalid, digest};
use crate::pb;

/// The summary with its kept bytes.
pub fn summary_with_bytes(output: &Output) -> pb::Output {
    let convert =
        |s: &StreamSummary| pb::StreamSummary { head: s.head.clone(), tail: s.tail.clone(), ..counts(s) };
    let timing = output.timing.encode();
    pb::Output { stdout: Some(convert(&output.stdout)), stderr: Some(convert(&output.stderr)), timing }
}

/// When the pieces of an output came. It is shown and decides nothing, so what cannot be read costs no result: it is unknown.
pub fn timing_from_wire(bytes: &[u8]) -> Timing {
    Timing::decode(bytes).unwrap_or_default()
}

/// The summary without its kept bytes; their counts are there.
pub fn summary_without_bytes(output: &Output) -> pb::Output {
    let timing = Vec::new();
    pb::Output { stdout: Some(counts(&output.stdout)), stderr: Some(counts(&output.stderr)), timing }
}

fn counts(summary: &StreamSummary) -> pb::StreamSummary {
    pb::StreamSummary {
        bytes_total: summary.bytes_total,
        digest: summary.digest.map(|d| d.as_bytes().to_vec()).unwrap_or_default(),
        head_bytes: summary.head.len() as u64,
        tail_bytes: summary.tail.len() as u64,
        head: Vec::new(),
        tail: Vec::new(),
    }
}

impl TryFrom<pb::StreamSummary> for StreamSummary {
    type Error = Invalid;
    /// Takes the kept bytes that the message carries; the counts beside them are for messages without bytes.
    fn try_from(wire: pb::StreamSummary) -> Result<Self, Invalid> {
        let pb::StreamSummary { bytes_total, digest: bytes, head_bytes: _, tail_bytes: _, head, tail } = wire;
        if (head.len() + tail.len()) as u64 > bytes_total {
            return Err(Invalid::new("output.bytes_total", "more bytes were kept than printed"));
        }
        let digest = if bytes.is_empty() { None } else { Some(digest("output.digest", &bytes)?) };
        Ok(Self { bytes_total, digest, head, tail })
    }
}

impl TryFrom<pb::Output> for Output {
    type Error = Invalid;
    fn try_from(wire: pb::Output) -> Result<Self, Invalid> {
        let pb::Output { stdout, stderr, timing } = wire;
        Ok(Self {
            stdout: stdout.unwrap_or_default().try_into()?,
            stderr: stderr.unwrap_or_default().try_into()?,
            timing: timing_from_wire(&timing),
        })
    }
}

impl From<StreamName> for pb::StreamName {
    fn from(name: StreamName) -> Self {
        match name {
            StreamName::Stdout => Self::Stdout,
            StreamName::Stderr => Self::Stderr,
        }
    }
}

impl TryFrom<pb::StreamName> for StreamName {
    type Error = Invalid;
    fn try_from(wire: pb::StreamName) -> Result<Self, Invalid> {
        match wire {
            pb::StreamName::Stdout => Ok(Self::Stdout),
            pb::StreamName::Stderr => Ok(Self::Stderr),
            pb::StreamName::Unspecified => Err(Invalid::new("stream", "it is not set")),
        }
    }
}
