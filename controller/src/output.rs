//! Kept output as the API tells it: counts with every invocation, bytes in chunks by position.

use bytes::Bytes;
use lictor_core::{id::InvocationId, invocation::Invocation, output::StreamName};
use lictor_proto::{convert::invocation_to_wire, pb};
use lictor_store::{KeptOutput, KeptStream};

/// An invocation whose kept bytes are elsewhere, as the API shows it.
pub fn outline_to_wire(invocation: &Invocation, kept: &KeptOutput, show_address: bool) -> pb::Invocation {
    let mut wire = invocation_to_wire(invocation, show_address);
    if let Some(output) = &mut wire.output {
        count(output.stdout.as_mut(), &kept.stdout);
        count(output.stderr.as_mut(), &kept.stderr);
    }
    wire
}

fn count(summary: Option<&mut pb::StreamSummary>, kept: &KeptStream) {
    if let Some(summary) = summary {
        (summary.head_bytes, summary.tail_bytes) = (kept.head, kept.tail);
    }
}

/// Bytes of a stream, which lie at `offset`.
pub fn chunk(id: InvocationId, stream: StreamName, offset: u64, data: Bytes) -> pb::OutputChunk {
    let stream = pb::StreamName::from(stream).into();
    pb::OutputChunk { invocation_id: id.to_string(), stream, offset, data }
}
