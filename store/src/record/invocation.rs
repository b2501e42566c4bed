//! Invocations as they are stored; small output inside the record, large output in a file beside the store.

use std::{borrow::Cow, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use lictor_core::{
    clock::Timestamp,
    digest::Digest,
    guard::Guard,
    invocation::{Invocation, InvocationState},
    job::Limits,
    outcome::{Exit, Outcome, Unknown, Unreachable},
    output::{Output, StreamSummary, timing::Timing},
};
use serde::{Deserialize, Serialize};

use super::{corrupt, parse, retention::OutputRemovedV1};
use crate::{KeptOutput, KeptStream, StoreError};

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "v")]
pub(crate) enum InvocationRecord<'a> {
    #[serde(rename = "1")]
    V1(Box<InvocationV1<'a>>),
}

/// Texts that an invocation has are borrowed from it: each invocation is written at least twice.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct InvocationV1<'a> {
    id: String,
    job: String,
    host: Cow<'a, str>,
    site: Cow<'a, str>,
    attempt: u32,
    state: StateV1<'a>,
    version: u64,
    timeout_ms: u64,
    output_bytes: u64,
    rule: Option<Cow<'a, str>>,
    started_at: Option<u64>,
    ended_at: Option<u64>,
    address: Option<Cow<'a, str>>,
    stdout: StreamV1,
    stderr: StreamV1,
    resolution: Option<OutcomeV1<'a>>,
    /// 1 where it is absent: every invocation began in the first wave before there were others.
    #[serde(default = "first_wave", skip_serializing_if = "is_first_wave")]
    wave: u32,
    /// Absent: the journal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    guard: Option<Cow<'a, str>>,
    /// Absent: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    redactions: Option<u64>,
    /// SHA-256 of the file with the kept bytes, which is its name; absent where they are in the record, and where the file
    /// is named by the invocation, as it was before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_file: Option<String>,
    /// Absent while what it printed is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    output_removed: Option<OutputRemovedV1>,
    /// When its pieces came, in base64; absent: not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    timing: Option<String>,
    /// The agent that had it when it ended. Absent: none had it, it has not ended, or it was written before this was kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_agent: Option<Cow<'a, str>>,
}

const fn first_wave() -> u32 {
    1
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde gives a reference")]
const fn is_first_wave(wave: &u32) -> bool {
    *wave == 1
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum StateV1<'a> {
    Queued,
    Offered { agent: Cow<'a, str>, epoch: u64 },
    Accepted { agent: Cow<'a, str> },
    Running { agent: Cow<'a, str> },
    Ended(OutcomeV1<'a>),
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum OutcomeV1<'a> {
    Denied { code: Cow<'a, str>, reason: Cow<'a, str> },
    Expired,
    Skipped,
    Cancelled,
    Unreachable { reason: Cow<'a, str>, detail: Cow<'a, str> },
    Succeeded,
    Exited(u32),
    Signalled(Cow<'a, str>),
    TimedOut,
    Killed,
    Unknown(Cow<'a, str>),
}

#[derive(Debug, Serialize, Deserialize)]
struct StreamV1 {
    total: u64,
    digest: Option<String>,
    head_bytes: usize,
    tail_bytes: usize,
    /// Absent when the bytes are in the file.
    head: Option<String>,
    tail: Option<String>,
}

/// Where the kept bytes of an invocation are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum OutputPlace {
    /// In the record itself.
    Record,
    /// In the file named by their digest.
    SharedFile(Digest),
    /// In a file named by the invocation.
    OwnFile,
}

/// The kept bytes of both streams, one after the other, as they are in a file.
pub(crate) fn outputs_to_bytes(output: &Output) -> Vec<u8> {
    pieces_of(output).concat()
}

/// How many bytes these are.
pub(crate) fn outputs_bytes(output: &Output) -> usize {
    pieces_of(output).iter().map(|piece| piece.len()).sum()
}

fn pieces_of(output: &Output) -> [&[u8]; 4] {
    [&output.stdout.head, &output.stdout.tail, &output.stderr.head, &output.stderr.tail]
}

/// Puts the bytes of a file back into an invocation that was read without them.
pub(crate) fn outputs_from_bytes(
    record: &InvocationRecord<'_>,
    bytes: &[u8],
    output: &mut Output,
) -> Result<(), StoreError> {
    let InvocationRecord::V1(v1) = record;
    let mut rest = bytes;
    for (stream, kept) in [(&mut output.stdout, &v1.stdout), (&mut output.stderr, &v1.stderr)] {
        for (slot, length) in [(&mut stream.head, kept.head_bytes), (&mut stream.tail, kept.tail_bytes)] {
            let (piece, after) =
                rest.split_at_checked(length).ok_or_else(|| corrupt("an output file is too short"))?;
            *slot = piece.to_vec();
            rest = after;
        }
    }
    Ok(())
}

// === impl InvocationRecord ===

impl<'a> InvocationRecord<'a> {
    pub(crate) fn new(invocation: &'a Invocation, place: OutputPlace) -> Self {
        let state = match &invocation.state {
            InvocationState::Queued => StateV1::Queued,
            InvocationState::Offered { agent, epoch } => {
                StateV1::Offered { agent: agent.as_str().into(), epoch: *epoch }
            }
            InvocationState::Accepted { agent } => StateV1::Accepted { agent: agent.as_str().into() },
            InvocationState::Running { agent } => StateV1::Running { agent: agent.as_str().into() },
            InvocationState::Ended(outcome) => StateV1::Ended(outcome.into()),
        };
        Self::V1(Box::new(InvocationV1 {
            id: invocation.id.to_string(),
            job: invocation.job.to_string(),
            host: invocation.host.as_str().into(),
            site: invocation.site.as_str().into(),
            attempt: invocation.attempt,
            state,
            version: invocation.version,
            timeout_ms: u64::try_from(invocation.limits.timeout.as_millis()).unwrap_or(u64::MAX),
            output_bytes: invocation.limits.output_bytes,
            rule: invocation.rule.as_ref().map(|rule| rule.as_str().into()),
            started_at: invocation.started_at.map(Timestamp::as_micros),
            ended_at: invocation.ended_at.map(Timestamp::as_micros),
            address: invocation.address.as_deref().map(Into::into),
            stdout: StreamV1::new(&invocation.output.stdout, place),
            stderr: StreamV1::new(&invocation.output.stderr, place),
            resolution: invocation.resolution.as_ref().map(Into::into),
            wave: invocation.wave,
            guard: (invocation.guard != Guard::Journal).then(|| invocation.guard.as_str().into()),
            redactions: (invocation.redactions > 0).then_some(invocation.redactions),
            output_file: match place {
                OutputPlace::SharedFile(digest) => Some(digest.to_string()),
                OutputPlace::Record | OutputPlace::OwnFile => None,
            },
            output_removed: invocation.output_removed.as_ref().map(Into::into),
            timing: Some(&invocation.output.timing)
                .filter(|t| !t.is_empty())
                .map(|t| BASE64.encode(t.encode())),
            last_agent: invocation.last_agent.as_ref().map(|agent| agent.as_str().into()),
        }))
    }

    /// Of one whose whole standard output is in the file of this digest, and not in the invocation.
    pub(crate) fn with_file(invocation: &'a Invocation, file: Digest) -> Self {
        let mut record = Self::new(invocation, OutputPlace::SharedFile(file));
        let Self::V1(v1) = &mut record;
        v1.stdout.head_bytes = usize::try_from(v1.stdout.total).unwrap_or(usize::MAX);
        record
    }

    /// Where the kept bytes are.
    pub(crate) fn place(&self) -> Result<OutputPlace, StoreError> {
        let Self::V1(v1) = self;
        if v1.stdout.head.is_some() {
            return Ok(OutputPlace::Record);
        }
        Ok(v1
            .output_file
            .as_deref()
            .map(parse)
            .transpose()?
            .map_or(OutputPlace::OwnFile, OutputPlace::SharedFile))
    }

    /// Which bytes are kept.
    pub(crate) const fn kept(&self) -> KeptOutput {
        let Self::V1(v1) = self;
        KeptOutput { stdout: v1.stdout.kept(), stderr: v1.stderr.kept() }
    }

    /// The invocation; without kept bytes if they are in a file.
    pub(crate) fn to_invocation(&self) -> Result<Invocation, StoreError> {
        let Self::V1(v1) = self;
        let state = match &v1.state {
            StateV1::Queued => InvocationState::Queued,
            StateV1::Offered { agent, epoch } => {
                InvocationState::Offered { agent: parse(agent)?, epoch: *epoch }
            }
            StateV1::Accepted { agent } => InvocationState::Accepted { agent: parse(agent)? },
            StateV1::Running { agent } => InvocationState::Running { agent: parse(agent)? },
            StateV1::Ended(outcome) => InvocationState::Ended(outcome.to_outcome()?),
        };
        Ok(Invocation {
            id: parse(&v1.id)?,
            job: parse(&v1.job)?,
            host: parse(&v1.host)?,
            site: parse(&v1.site)?,
            attempt: v1.attempt,
            state,
            version: v1.version,
            limits: Limits { timeout: Duration::from_millis(v1.timeout_ms), output_bytes: v1.output_bytes },
            rule: v1.rule.as_deref().map(parse).transpose()?,
            started_at: v1.started_at.map(Timestamp::from_micros),
            ended_at: v1.ended_at.map(Timestamp::from_micros),
            address: v1.address.as_deref().map(str::to_owned),
            output: Output {
                stdout: v1.stdout.to_summary()?,
                stderr: v1.stderr.to_summary()?,
                timing: v1.timing.as_deref().map(timing_from).transpose()?.unwrap_or_default(),
            },
            resolution: v1.resolution.as_ref().map(OutcomeV1::to_outcome).transpose()?,
            wave: v1.wave,
            guard: match v1.guard.as_deref() {
                None => Guard::Journal,
                Some(text) => Guard::parse(text).ok_or_else(|| corrupt("unknown guard"))?,
            },
            output_removed: v1.output_removed.as_ref().map(Into::into),
            redactions: v1.redactions.unwrap_or(0),
            last_agent: v1.last_agent.as_deref().map(parse).transpose()?,
        })
    }
}

fn timing_from(text: &str) -> Result<Timing, StoreError> {
    let bytes = BASE64.decode(text).map_err(corrupt)?;
    Timing::decode(&bytes).ok_or_else(|| corrupt("a timing that cannot be read"))
}

// === impl OutcomeV1 ===

impl<'a> From<&'a Outcome> for OutcomeV1<'a> {
    fn from(outcome: &'a Outcome) -> Self {
        match outcome {
            Outcome::Denied { code, reason } => Self::Denied { code: code.into(), reason: reason.into() },
            Outcome::Expired => Self::Expired,
            Outcome::Skipped => Self::Skipped,
            Outcome::Cancelled => Self::Cancelled,
            Outcome::Unreachable { reason, detail } => {
                Self::Unreachable { reason: reason.as_str().into(), detail: detail.into() }
            }
            Outcome::Succeeded => Self::Succeeded,
            Outcome::Failed(Exit::Code(code)) => Self::Exited(*code),
            Outcome::Failed(Exit::Signal(signal)) => Self::Signalled(signal.into()),
            Outcome::TimedOut => Self::TimedOut,
            Outcome::Killed => Self::Killed,
            Outcome::Unknown(reason) => Self::Unknown(reason.as_str().into()),
        }
    }
}

impl OutcomeV1<'_> {
    fn to_outcome(&self) -> Result<Outcome, StoreError> {
        Ok(match self {
            Self::Denied { code, reason } => {
                Outcome::Denied { code: code.to_string(), reason: reason.to_string() }
            }
            Self::Expired => Outcome::Expired,
            Self::Skipped => Outcome::Skipped,
            Self::Cancelled => Outcome::Cancelled,
            Self::Unreachable { reason, detail } => {
                let reason = Unreachable::ALL.into_iter().find(|r| reason == r.as_str());
                Outcome::Unreachable {
                    reason: reason.ok_or_else(|| corrupt("unknown reason"))?,
                    detail: detail.to_string(),
                }
            }
            Self::Succeeded => Outcome::Succeeded,
            Self::Exited(code) => Outcome::Failed(Exit::Code(*code)),
            Self::Signalled(signal) => Outcome::Failed(Exit::Signal(signal.to_string())),
            Self::TimedOut => Outcome::TimedOut,
            Self::Killed => Outcome::Killed,
            Self::Unknown(reason) => {
                let reason = Unknown::ALL.into_iter().find(|r| reason == r.as_str());
                Outcome::Unknown(reason.ok_or_else(|| corrupt("unknown reason"))?)
            }
        })
    }
}

// === impl StreamV1 ===

impl StreamV1 {
    fn new(summary: &StreamSummary, place: OutputPlace) -> Self {
        let text = |bytes: &[u8]| (place == OutputPlace::Record).then(|| BASE64.encode(bytes));
        Self {
            total: summary.bytes_total,
            digest: summary.digest.map(|d| d.to_string()),
            head_bytes: summary.head.len(),
            tail_bytes: summary.tail.len(),
            head: text(&summary.head),
            tail: text(&summary.tail),
        }
    }

    const fn kept(&self) -> KeptStream {
        KeptStream { total: self.total, head: self.head_bytes as u64, tail: self.tail_bytes as u64 }
    }

    fn to_summary(&self) -> Result<StreamSummary, StoreError> {
        let bytes = |text: &Option<String>| match text {
            Some(text) => BASE64.decode(text).map_err(corrupt),
            None => Ok(Vec::new()),
        };
        Ok(StreamSummary {
            bytes_total: self.total,
            digest: self.digest.as_deref().map(parse).transpose()?,
            head: bytes(&self.head)?,
            tail: bytes(&self.tail)?,
        })
    }
}

#[cfg(test)]
mod tests;
