//! What can be wrong with an audit log, so that each way of tampering has a name.

use lictor_core::error::{ErrorCode, Failure};
use lictor_runtime::exit::Exit;

use crate::trouble::Trouble;

/// Why a log does not verify.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// The checkpoint is damaged, or its signature is false.
    Checkpoint(String),
    /// The checkpoint is signed with another key than the pinned one.
    OtherKey,
    /// The checkpoint is signed with a key that the log says was replaced before.
    RetiredKey,
    /// A record says that another key signs from then on, and the key before does not prove it.
    Rotation {
        /// The record.
        index: u64,
        /// What does not hold.
        why: String,
    },
    /// The checkpoint belongs to another log than this one.
    OtherLog(String),
    /// A record is missing, or one is there twice.
    Order {
        /// The index that was due.
        expected: u64,
        /// The index that came.
        found: u64,
    },
    /// A record is not one.
    NotARecord(u64),
    /// The log ends before the checkpoint says.
    Short {
        /// Records that came.
        found: u64,
        /// Records that the checkpoint covers.
        signed: u64,
    },
    /// The records do not lead to the root that was signed: at least one was changed.
    Changed,
    /// The log does not begin with the records that were verified before.
    Forked {
        /// How many records were verified before.
        known: u64,
    },
    /// The log is shorter than it was.
    Truncated {
        /// How many records were verified before.
        known: u64,
        /// How many there are now.
        now: u64,
    },
    /// Something ran, and no record of the intent precedes it.
    RanWithoutIntent {
        /// The record of its end.
        index: u64,
        /// Which.
        invocation: String,
    },
    /// The file does not begin as an exported log does.
    Head,
    /// A line is not of the form of an exported log.
    Line(&'static str),
    /// A line does not fit its own check: it was changed.
    Check,
    /// There is more than was signed.
    Excess {
        /// Records that the checkpoint covers.
        signed: u64,
    },
    /// The file says that it holds other records than it does.
    Outside(&'static str),
    /// A payload is not the one that its record commits to.
    Payload(&'static str),
    /// A payload is not there, and the log does not say that it was erased.
    PayloadMissing {
        /// The record.
        index: u64,
    },
    /// Where in a file something else is wrong.
    At {
        /// The line, 1 for the first.
        line: u64,
        /// The index of the record, if it is one.
        index: Option<u64>,
        /// What is wrong there.
        flaw: Box<Flaw>,
    },
    /// Something was meant to start without the consent that it needed, or consent is recorded that nobody could give.
    Consent {
        /// The record.
        index: u64,
        /// What does not hold.
        why: String,
    },
    /// A site's refusal is recorded, and its evidence does not prove it.
    Evidence {
        /// The record of the refusal.
        index: u64,
        /// What does not hold.
        why: String,
    },
}

// === impl Flaw ===

impl Flaw {
    /// The name by which scripts and other verifiers know it; `docs/audit-format.md` lists them.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Checkpoint(_) => "checkpoint",
            Self::OtherKey => "other_key",
            Self::RetiredKey => "retired_key",
            Self::Rotation { .. } => "rotation",
            Self::OtherLog(_) => "other_log",
            Self::Order { .. } => "order",
            Self::NotARecord(_) => "not_a_record",
            Self::Short { .. } => "short",
            Self::Changed => "changed",
            Self::Forked { .. } => "forked",
            Self::Truncated { .. } => "truncated",
            Self::RanWithoutIntent { .. } => "ran_without_intent",
            Self::Consent { .. } => "consent",
            Self::Evidence { .. } => "evidence",
            Self::Head => "head",
            Self::Line(_) => "line",
            Self::Check => "check",
            Self::Excess { .. } => "excess",
            Self::Outside(_) => "outside",
            Self::Payload(_) => "payload",
            Self::PayloadMissing { .. } => "payload_missing",
            Self::At { flaw, .. } => flaw.code(),
        }
    }
}

impl std::fmt::Display for Flaw {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Checkpoint(why) => write!(f, "the checkpoint proves nothing: {why}"),
            Self::OtherKey => f.write_str(
                "the checkpoint is not signed with a key that is trusted for this log, or that such a key leads to",
            ),
            Self::RetiredKey => f.write_str(
                "the checkpoint is signed with a key that the log itself says was replaced before",
            ),
            Self::Rotation { index, why } => {
                write!(f, "record {index} names another key of the log, which the key before does not prove: {why}")
            }
            Self::OtherLog(name) => write!(f, "the checkpoint belongs to another log than {name}"),
            Self::Order { expected, found } => {
                write!(
                    f,
                    "record {expected} was due and record {found} came: records are missing or out of order"
                )
            }
            Self::NotARecord(index) => write!(f, "record {index} is not an audit record"),
            Self::Short { found, signed } => write!(f, "there are {found} records, and {signed} were signed"),
            Self::Changed => {
                f.write_str("the records do not lead to the signed root: at least one was changed")
            }
            Self::Forked { known } => {
                write!(
                    f,
                    "the first {known} records are not those that were verified here before: history was rewritten"
                )
            }
            Self::Truncated { known, now } => {
                write!(
                    f,
                    "{known} records were verified here before, and now there are {now}: the end was cut off"
                )
            }
            Self::RanWithoutIntent { index, invocation } => {
                write!(
                    f,
                    "record {index} says that {invocation} ran, and no record of its intent precedes it"
                )
            }
            Self::Head => f.write_str("it does not begin as an exported log does"),
            Self::Line(why) => write!(f, "it is no line of an exported log: {why}"),
            Self::Check => f.write_str("the line was changed: it does not fit its check"),
            Self::Excess { signed } => write!(f, "there is more than the {signed} records that were signed"),
            Self::Outside(why) => f.write_str(why),
            Self::Payload(why) => write!(f, "the payload is not what the record commits to: {why}"),
            Self::PayloadMissing { index } => {
                write!(
                    f,
                    "the payload of record {index} is missing, and nothing in the log says that it was erased"
                )
            }
            Self::At { line, index: Some(index), flaw } => write!(f, "line {line}, record {index}: {flaw}"),
            Self::At { line, index: None, flaw } => write!(f, "line {line}: {flaw}"),
            Self::Consent { index, why } => {
                write!(f, "record {index} contradicts the consent that was needed: {why}")
            }
            Self::Evidence { index, why } => {
                write!(f, "record {index} tells of a refusal that its evidence does not prove: {why}")
            }
        }
    }
}

impl From<Flaw> for Trouble {
    fn from(flaw: Flaw) -> Self {
        let inner = match &flaw {
            Flaw::At { flaw, .. } => flaw.as_ref(),
            other => other,
        };
        let next_step = match inner {
            Flaw::Head => "is it the right file? one is made by: lictor audit export --out FILE",
            Flaw::OtherKey | Flaw::OtherLog(_) => {
                "if the controller was set up anew, this is expected: pin its new key; otherwise treat it as an attack"
            }
            _ => {
                "treat it as an attack: keep the controller's disk as it is, and compare with exports kept elsewhere"
            }
        };
        let failure =
            Failure::new(ErrorCode::Conflict, format!("the audit does not verify: {flaw}"), next_step);
        Self::Failed { failure: Box::new(failure), exit: Exit::AuditFailed }
    }
}
