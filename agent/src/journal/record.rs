//! Records as they are stored: JSON in frames, one enum variant per version, converted both ways.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lictor_certs::evidence::Evidence;
use lictor_core::{
    clock::Timestamp,
    guard::Guard,
    id::InvocationId,
    outcome::{Exit, Outcome, Unknown, Unreachable},
    output::{Output, StreamSummary, timing::Timing},
};
use serde::{Deserialize, Serialize};

use super::held::{Held, HeldV1};
use crate::ended::{Ended, Kept, SpooledOutput, SpooledStream};

/// One line of the journal, in words of the domain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// The journal's own identity, made with it.
    Identity(String),
    /// It will start once or not at all.
    Accepted(InvocationId, Timestamp),
    /// The exec request is about to be sent.
    Starting(InvocationId, Timestamp),
    /// As [`Record::Starting`], for one that its host knows by its identifier.
    Detached(Box<Held>),
    /// It ended.
    Done(Box<Ended>),
    /// The controller has the end; the identifier is never to be started again.
    Forgotten(InvocationId, Timestamp),
}

/// A record that cannot be understood.
#[derive(Debug)]
pub(crate) struct Unreadable;

#[derive(Debug, Serialize, Deserialize)]
enum JournalRecord {
    V1(RecordV1),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum RecordV1 {
    Identity { id: String },
    Accepted { invocation: String, at: u64 },
    Starting { invocation: String, at: u64 },
    Detached(Box<HeldV1>),
    Done(Box<DoneV1>),
    Forgotten { invocation: String, at: u64 },
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct DoneV1 {
    invocation: String,
    outcome: OutcomeV1,
    started_at: Option<u64>,
    ended_at: u64,
    address: String,
    spooled: bool,
    stdout: StreamV1,
    stderr: StreamV1,
    /// Absent for what was not refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    evidence: Option<EvidenceV1>,
    /// Absent: the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guard: Option<String>,
    /// Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redactions: Option<u64>,
    /// When the pieces of the output came, in base64; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timing: Option<String>,
    /// Whether what is spooled is a file of a host; absent: it is not.
    #[serde(default, skip_serializing_if = "is_false")]
    file: bool,
}

/// Each in base64.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct EvidenceV1 {
    statement: String,
    signature: String,
    certificates: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StreamV1 {
    total: u64,
    digest: Option<String>,
    head_bytes: u64,
    tail_bytes: u64,
    /// Base64; empty when spooled.
    head: String,
    tail: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
enum OutcomeV1 {
    Denied { code: String, reason: String },
    Expired,
    Skipped,
    Cancelled,
    Unreachable { reason: String, detail: String },
    Succeeded,
    ExitCode(u32),
    Signal(String),
    TimedOut,
    Killed,
    Unknown(String),
}

// === impl Record ===

impl Record {
    /// The bytes of a frame's payload.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let id = ToString::to_string;
        let record = match self {
            Self::Identity(id) => RecordV1::Identity { id: id.clone() },
            Self::Accepted(invocation, at) => {
                RecordV1::Accepted { invocation: id(invocation), at: at.as_micros() }
            }
            Self::Starting(invocation, at) => {
                RecordV1::Starting { invocation: id(invocation), at: at.as_micros() }
            }
            Self::Detached(held) => RecordV1::Detached(Box::new((&**held).into())),
            Self::Done(ended) => RecordV1::Done(Box::new(done_to_stored(ended))),
            Self::Forgotten(invocation, at) => {
                RecordV1::Forgotten { invocation: id(invocation), at: at.as_micros() }
            }
        };
        // Serialising plain strings and numbers does not fail; an empty payload would be refused on reading.
        serde_json::to_vec(&JournalRecord::V1(record)).unwrap_or_default()
    }

    /// Reads a payload.
    pub(crate) fn decode(payload: &[u8]) -> Result<Self, Unreadable> {
        let JournalRecord::V1(record) = serde_json::from_slice(payload).map_err(|_| Unreadable)?;
        let id = |text: &str| text.parse::<InvocationId>().map_err(|_| Unreadable);
        Ok(match record {
            RecordV1::Identity { id } => Self::Identity(id),
            RecordV1::Accepted { invocation, at } => {
                Self::Accepted(id(&invocation)?, Timestamp::from_micros(at))
            }
            RecordV1::Starting { invocation, at } => {
                Self::Starting(id(&invocation)?, Timestamp::from_micros(at))
            }
            RecordV1::Detached(held) => Self::Detached(Box::new((*held).try_into()?)),
            RecordV1::Done(done) => Self::Done(Box::new(done_from_stored(*done)?)),
            RecordV1::Forgotten { invocation, at } => {
                Self::Forgotten(id(&invocation)?, Timestamp::from_micros(at))
            }
        })
    }
}

fn done_to_stored(ended: &Ended) -> DoneV1 {
    let (stdout, stderr, timing) = match &ended.output {
        Kept::Inline(output) => {
            (inline_to_stored(&output.stdout), inline_to_stored(&output.stderr), &output.timing)
        }
        Kept::Spooled(output) => {
            (spooled_to_stored(&output.stdout), spooled_to_stored(&output.stderr), &output.timing)
        }
    };
    let (spooled, file) = match &ended.output {
        Kept::Inline(_) => (false, false),
        Kept::Spooled(output) => (true, output.is_file),
    };
    DoneV1 {
        invocation: ended.invocation.to_string(),
        outcome: outcome_to_stored(&ended.outcome),
        started_at: ended.started_at.map(Timestamp::as_micros),
        ended_at: ended.ended_at.as_micros(),
        address: ended.address.clone(),
        spooled,
        stdout,
        stderr,
        evidence: ended.evidence.as_ref().map(evidence_to_stored),
        guard: (ended.guard != Guard::Journal).then(|| ended.guard.as_str().to_owned()),
        redactions: (ended.redactions > 0).then_some(ended.redactions),
        timing: Some(timing)
            .filter(|timing| !timing.is_empty())
            .map(|timing| STANDARD.encode(timing.encode())),
        file,
    }
}

/// What is not said of most.
#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde hands it over so")]
const fn is_false(flag: &bool) -> bool {
    !*flag
}

fn done_from_stored(done: DoneV1) -> Result<Ended, Unreadable> {
    let timing = match &done.timing {
        None => Timing::default(),
        Some(text) => {
            STANDARD.decode(text).ok().and_then(|bytes| Timing::decode(&bytes)).ok_or(Unreadable)?
        }
    };
    let output = if done.spooled {
        Kept::Spooled(SpooledOutput {
            stdout: spooled_from(&done.stdout)?,
            stderr: spooled_from(&done.stderr)?,
            timing,
            is_file: done.file,
        })
    } else {
        let (stdout, stderr) = (inline_from(&done.stdout)?, inline_from(&done.stderr)?);
        Kept::Inline(Output { stdout, stderr, timing })
    };
    Ok(Ended {
        invocation: done.invocation.parse().map_err(|_| Unreadable)?,
        outcome: outcome_from_stored(done.outcome)?,
        started_at: done.started_at.map(Timestamp::from_micros),
        ended_at: Timestamp::from_micros(done.ended_at),
        address: done.address,
        output,
        evidence: done.evidence.map(evidence_from_stored).transpose()?,
        guard: match done.guard.as_deref() {
            None => Guard::Journal,
            Some(text) => Guard::parse(text).ok_or(Unreadable)?,
        },
        redactions: done.redactions.unwrap_or(0),
    })
}

fn evidence_to_stored(evidence: &Evidence) -> EvidenceV1 {
    EvidenceV1 {
        statement: STANDARD.encode(&evidence.statement),
        signature: STANDARD.encode(&evidence.signature),
        certificates: evidence.certificates.iter().map(|der| STANDARD.encode(der)).collect(),
    }
}

fn evidence_from_stored(stored: EvidenceV1) -> Result<Evidence, Unreadable> {
    let bytes = |text: &String| STANDARD.decode(text).map_err(|_| Unreadable);
    Ok(Evidence {
        statement: bytes(&stored.statement)?,
        signature: bytes(&stored.signature)?,
        certificates: stored.certificates.iter().map(bytes).collect::<Result<_, _>>()?,
    })
}

fn inline_to_stored(summary: &StreamSummary) -> StreamV1 {
    StreamV1 {
        total: summary.bytes_total,
        digest: summary.digest.map(|d| d.to_string()),
        head_bytes: summary.head.len() as u64,
        tail_bytes: summary.tail.len() as u64,
        head: STANDARD.encode(&summary.head),
        tail: STANDARD.encode(&summary.tail),
    }
}

fn spooled_to_stored(stream: &SpooledStream) -> StreamV1 {
    StreamV1 {
        total: stream.bytes_total,
        digest: stream.digest.map(|d| d.to_string()),
        head_bytes: stream.head_bytes,
        tail_bytes: stream.tail_bytes,
        head: String::new(),
        tail: String::new(),
    }
}

fn inline_from(stored: &StreamV1) -> Result<StreamSummary, Unreadable> {
    let bytes = |text: &str| STANDARD.decode(text).map_err(|_| Unreadable);
    let spooled = spooled_from(stored)?;
    Ok(StreamSummary {
        bytes_total: spooled.bytes_total,
        digest: spooled.digest,
        head: bytes(&stored.head)?,
        tail: bytes(&stored.tail)?,
    })
}

fn spooled_from(stored: &StreamV1) -> Result<SpooledStream, Unreadable> {
    Ok(SpooledStream {
        bytes_total: stored.total,
        digest: stored.digest.as_deref().map(str::parse).transpose().map_err(|_| Unreadable)?,
        head_bytes: stored.head_bytes,
        tail_bytes: stored.tail_bytes,
    })
}

fn outcome_to_stored(outcome: &Outcome) -> OutcomeV1 {
    match outcome {
        Outcome::Denied { code, reason } => OutcomeV1::Denied { code: code.clone(), reason: reason.clone() },
        Outcome::Expired => OutcomeV1::Expired,
        Outcome::Skipped => OutcomeV1::Skipped,
        Outcome::Cancelled => OutcomeV1::Cancelled,
        Outcome::Unreachable { reason, detail } => {
            OutcomeV1::Unreachable { reason: reason.as_str().into(), detail: detail.clone() }
        }
        Outcome::Succeeded => OutcomeV1::Succeeded,
        Outcome::Failed(Exit::Code(code)) => OutcomeV1::ExitCode(*code),
        Outcome::Failed(Exit::Signal(signal)) => OutcomeV1::Signal(signal.clone()),
        Outcome::TimedOut => OutcomeV1::TimedOut,
        Outcome::Killed => OutcomeV1::Killed,
        Outcome::Unknown(reason) => OutcomeV1::Unknown(reason.as_str().into()),
    }
}

fn outcome_from_stored(stored: OutcomeV1) -> Result<Outcome, Unreadable> {
    Ok(match stored {
        OutcomeV1::Denied { code, reason } => Outcome::Denied { code, reason },
        OutcomeV1::Expired => Outcome::Expired,
        OutcomeV1::Skipped => Outcome::Skipped,
        OutcomeV1::Cancelled => Outcome::Cancelled,
        OutcomeV1::Unreachable { reason, detail } => {
            let reason = Unreachable::ALL.into_iter().find(|r| r.as_str() == reason).ok_or(Unreadable)?;
            Outcome::Unreachable { reason, detail }
        }
        OutcomeV1::Succeeded => Outcome::Succeeded,
        OutcomeV1::ExitCode(code) => Outcome::Failed(Exit::Code(code)),
        OutcomeV1::Signal(signal) => Outcome::Failed(Exit::Signal(signal)),
        OutcomeV1::TimedOut => Outcome::TimedOut,
        OutcomeV1::Killed => Outcome::Killed,
        OutcomeV1::Unknown(reason) => {
            Outcome::Unknown(Unknown::ALL.into_iter().find(|r| r.as_str() == reason).ok_or(Unreadable)?)
        }
    })
}
