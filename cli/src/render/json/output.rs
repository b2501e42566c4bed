//! The documents about kept output.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lictor_client::{
    groups::{Group, groups},
    kept::KeptBytes,
    views::InvocationView,
};
use lictor_core::{
    outcome::{Exit, Outcome},
    output::StreamName,
};
use serde::Serialize;

/// Hosts on which a command ended alike and printed the same.
#[derive(Debug, Serialize)]
pub(crate) struct GroupDocument {
    hosts_count: usize,
    hosts: Vec<String>,
    state: &'static str,
    exit_code: Option<u32>,
    signal: Option<String>,
    reason: Option<String>,
    stdout_bytes: u64,
    stdout_sha256: Option<String>,
    stderr_bytes: u64,
    stderr_sha256: Option<String>,
    /// What they printed, where the document has it nowhere else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) streams: Option<Vec<StreamDocument>>,
}

/// Kept bytes of a stream.
#[derive(Debug, Serialize)]
pub(crate) struct StreamDocument {
    stream: &'static str,
    bytes_total: u64,
    parts: Vec<PartDocument>,
    gaps: Vec<GapDocument>,
    /// Where to read on; absent at the end.
    next_offset: Option<u64>,
    /// When and why what was printed was removed; absent while it is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    removed: Option<String>,
}

#[derive(Debug, Serialize)]
struct PartDocument {
    offset: u64,
    bytes: usize,
    text: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    base64: Option<String>,
}

#[derive(Debug, Serialize)]
struct GapDocument {
    from: u64,
    to: u64,
    bytes: u64,
}

/// The stream's name as every interface writes it.
pub(crate) const fn stream_name(stream: StreamName) -> &'static str {
    match stream {
        StreamName::Stdout => "stdout",
        StreamName::Stderr => "stderr",
    }
}

// === conversions ===

impl GroupDocument {
    /// The groups of these invocations.
    pub(crate) fn all(views: &[&InvocationView]) -> Vec<Self> {
        groups(views.iter().copied()).iter().filter_map(Self::new).collect()
    }

    /// A group without what it printed.
    pub(crate) fn new(group: &Group<'_>) -> Option<Self> {
        let first = group.first()?;
        let outcome = first.outcome.as_ref();
        Some(Self {
            hosts_count: group.members().len(),
            hosts: group.hosts().into_iter().map(str::to_owned).collect(),
            state: first.state(),
            exit_code: outcome.and_then(Outcome::exit_code),
            signal: match outcome {
                Some(Outcome::Failed(Exit::Signal(signal))) => Some(signal.clone()),
                _ => None,
            },
            reason: outcome.and_then(Outcome::reason_code).map(str::to_owned),
            stdout_bytes: first.stdout.bytes_total,
            stdout_sha256: first.stdout.digest.map(|digest| digest.to_string()),
            stderr_bytes: first.stderr.bytes_total,
            stderr_sha256: first.stderr.digest.map(|digest| digest.to_string()),
            streams: None,
        })
    }
}

impl StreamDocument {
    /// What was read of a stream.
    pub(crate) fn new(stream: StreamName, kept: &KeptBytes) -> Self {
        let gaps = (0..kept.parts.len()).filter_map(|index| kept.gap_before(index)).chain(kept.gap_at_end());
        Self {
            stream: stream_name(stream),
            bytes_total: kept.total,
            parts: kept.parts.iter().map(|part| PartDocument::new(part.offset, &part.bytes)).collect(),
            gaps: gaps.map(|gap| GapDocument { from: gap.from, to: gap.to, bytes: gap.bytes() }).collect(),
            next_offset: kept.has_more().then(|| kept.next()),
            removed: kept.removed.map(|removed| removed.to_string()),
        }
    }
}

impl PartDocument {
    fn new(offset: u64, bytes: &[u8]) -> Self {
        let base64 = std::str::from_utf8(bytes).is_err().then(|| STANDARD.encode(bytes));
        Self { offset, bytes: bytes.len(), text: String::from_utf8_lossy(bytes).into_owned(), base64 }
    }
}
