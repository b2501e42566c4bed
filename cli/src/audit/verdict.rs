//! Verifying an exported log as a function from bytes to a verdict, for tests and figures; and writing one likewise.

use std::io;

use lictor_certs::{
    checkpoint::{Origin, sign_checkpoint},
    signer::{PublicKey, SigningKey},
};
use lictor_core::{
    audit::query::Query,
    merkle::{Frontier, TreeHead, leaf_hash},
};
use lictor_store::record::AuditFacts;

use super::{
    bundle::{Writer, check},
    flaw::Flaw,
    lines::Problem,
};

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `ok`, or the name of the first flaw.
    pub code: &'static str,
    /// Where it is, 1 for the first line; `None` when it is no single line.
    pub line: Option<u64>,
    /// The index of the record there, if it is one.
    pub index: Option<u64>,
}

/// Verifies the file with these bytes, for the log that its checkpoint names.
///
/// # Errors
/// When `bytes` cannot be read.
pub fn verdict(bytes: impl io::BufRead, key: &PublicKey) -> io::Result<Verdict> {
    let flaw = match check(bytes, None, &(*key).into(), |_| None) {
        Ok(_) => return Ok(Verdict { code: "ok", line: None, index: None }),
        Err(Problem::Io(error)) => return Err(error),
        Err(Problem::Flaw(flaw)) => flaw,
    };
    let (line, index) = match &flaw {
        Flaw::At { line, index, .. } => (Some(*line), *index),
        _ => (None, None),
    };
    Ok(Verdict { code: flaw.code(), line, index })
}

/// Writes a file with those of `records` in `range` that `filter` selects; the checkpoint is signed with `key`.
///
/// # Errors
/// When `out` cannot be written.
pub fn write<W: io::Write>(
    out: W,
    records: &[Vec<u8>],
    range: (u64, u64),
    filter: Option<&Query>,
    origin: &Origin,
    key: &SigningKey,
) -> io::Result<W> {
    let mut frontier = Frontier::default();
    for record in records {
        frontier.push(leaf_hash(record));
    }
    let note = sign_checkpoint(origin, &frontier.head(), key);
    let mut writer = Writer::begin(out, &note, range, filter)?;
    for (index, record) in (0..).zip(records) {
        if is_in(index, record, range, filter) {
            writer.record(index, record)?;
        } else {
            writer.leave_out(index, record);
        }
    }
    writer.finish()
}

/// A whole log on its way into a file, record by record: for logs that are larger than memory.
#[derive(Debug)]
pub struct Exporter<W>(Writer<W>);

// === impl Exporter ===

impl<W: io::Write> Exporter<W> {
    /// Begins with the checkpoint of `head`, signed with `key`.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn begin(out: W, head: TreeHead, origin: &Origin, key: &SigningKey) -> io::Result<Self> {
        let note = sign_checkpoint(origin, &head, key);
        Writer::begin(out, &note, (0, head.size), None).map(Self)
    }
    /// Adds the record with this index.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record(&mut self, index: u64, content: &[u8]) -> io::Result<()> {
        self.0.record(index, content)
    }
    /// Ends it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

/// Whether a part holds this record.
pub(crate) fn is_in(index: u64, record: &[u8], (from, to): (u64, u64), filter: Option<&Query>) -> bool {
    let fits = |filter: &Query| AuditFacts::read(record).is_some_and(|facts| filter.matches(&facts));
    (from..to).contains(&index) && filter.is_none_or(fits)
}
