//! Verifying an exported log as a function from bytes to a verdict, for tests and figures; and writing one likewise.

mod changes;

use std::io;

use lictor_certs::{
    checkpoint::{Origin, sign_checkpoint},
    signer::{PublicKey, SigningKey},
};
use lictor_core::{
    audit::query::Query,
    merkle::{Frontier, TreeHead, leaf_hash},
};
use lictor_store::record::{AuditFacts, Missing, SealedEvent, reveal};

use super::{
    Verified,
    bundle::{Writer, check},
    flaw::Flaw,
    head_of,
    keys::Keys,
    lines::Problem,
    witnesses,
};

pub use self::changes::Changes;

/// What verifying found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// `ok`, or the name of the first flaw.
    pub code: &'static str,
    /// Where it is, 1 for the first line; `None` when it is no single line.
    pub line: Option<u64>,
    /// The index of the record there, if it is one.
    pub index: Option<u64>,
    /// What was found true of a log that verifies.
    pub found: Option<Found>,
}

/// What was found true of a log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Records that the checkpoint covers.
    pub records: u64,
    /// How many of them are there.
    pub held: u64,
    /// Commands that were started.
    pub started: u64,
    /// Refusals by sites that are proved.
    pub refused: u64,
    /// Payloads that are there, that were erased, and that were left out.
    pub payloads: (u64, u64, u64),
    /// How many records were verified before.
    pub anchored_at: Option<u64>,
    /// Who has cosigned.
    pub witnesses: Vec<String>,
    /// Whether their keys are known from elsewhere than the log itself.
    pub witnesses_pinned: bool,
}

/// Whose signatures count, and what was verified before.
#[derive(Debug, Clone)]
pub struct Trust {
    keys: Keys,
    known: Option<String>,
}

// === impl Trust ===

impl Trust {
    /// The keys of a file with this text.
    ///
    /// # Errors
    /// When it has no key of a log, or something that is none.
    pub fn read(keys: &str) -> Result<Self, String> {
        let keys = Keys::read(keys).map_err(|(why, _)| why)?;
        Ok(Self { keys, known: None })
    }

    /// The same, with a checkpoint that was verified before; it counts if a key of its log signed it.
    #[must_use]
    pub fn with_known(self, note: &str) -> Self {
        Self { known: Some(note.to_owned()), ..self }
    }

    fn known(&self, origin: &Origin) -> Option<TreeHead> {
        let note = self.known.as_ref()?;
        self.keys.of(origin).iter().find_map(|key| head_of(note, origin, key).ok())
    }
}

impl From<&PublicKey> for Trust {
    fn from(key: &PublicKey) -> Self {
        Self { keys: (*key).into(), known: None }
    }
}

/// Verifies the file with these bytes, for the log that its checkpoint names.
///
/// # Errors
/// When `bytes` cannot be read.
pub fn verdict(bytes: impl io::BufRead, trust: &Trust) -> io::Result<Verdict> {
    verdict_of(check(bytes, None, &trust.keys, |origin| trust.known(origin)), trust)
}

fn verdict_of(checked: Result<(Origin, Verified), Problem>, trust: &Trust) -> io::Result<Verdict> {
    let flaw = match checked {
        Ok((origin, verified)) => {
            let found = Some(Found::of(&verified, &origin, trust));
            return Ok(Verdict { code: "ok", line: None, index: None, found });
        }
        Err(Problem::Io(error)) => return Err(error),
        Err(Problem::Flaw(flaw)) => flaw,
    };
    Ok(of_flaw(&flaw))
}

fn of_flaw(flaw: &Flaw) -> Verdict {
    let (line, index) = match flaw {
        Flaw::At { line, index, .. } => (Some(*line), *index),
        Flaw::PayloadMissing { index } => (None, Some(*index)),
        _ => (None, None),
    };
    Verdict { code: flaw.code(), line, index, found: None }
}

// === impl Found ===

impl Found {
    fn of(verified: &Verified, origin: &Origin, trust: &Trust) -> Self {
        let cosigned = witnesses::of(verified, origin, trust.keys.pinned_witnesses()).unwrap_or_default();
        let records = verified.head.size;
        let payloads = &verified.payloads;
        Self {
            records,
            held: verified.part.as_ref().map_or(records, |part| part.held),
            started: verified.started,
            refused: verified.refused,
            payloads: (payloads.held, payloads.erased, payloads.left_out),
            anchored_at: verified.anchor.map(|anchor| anchor.size),
            witnesses: cosigned.into_iter().map(|one| one.witness.to_string()).collect(),
            witnesses_pinned: trust.keys.pinned_witnesses().is_some(),
        }
    }
}

/// Which records a file has, and what of them.
#[derive(Debug, Clone, Copy)]
pub struct Selection<'a> {
    /// From this index to before that.
    pub range: (u64, u64),
    /// Of those, the ones that fit.
    pub filter: Option<&'a Query>,
    /// With their payloads, as far as they were not erased.
    pub payloads: bool,
}

/// Writes a file with those of `records` that are selected; the checkpoint is signed with `key`.
///
/// # Errors
/// When `out` cannot be written.
pub fn write<W: io::Write>(
    out: W,
    records: &[SealedEvent],
    selection: &Selection<'_>,
    origin: &Origin,
    key: &SigningKey,
) -> io::Result<W> {
    let mut frontier = Frontier::default();
    for record in records {
        frontier.push(leaf_hash(&record.content));
    }
    let note = sign_checkpoint(origin, &frontier.head(), key);
    let mut writer = Writer::begin(out, &note, selection)?;
    for (index, SealedEvent { content, payload }) in (0..).zip(records) {
        if selection.has(index, content, payload) {
            writer.record(index, content, payload)?;
        } else {
            writer.leave_out(index, content);
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
        let everything = Selection { range: (0, head.size), filter: None, payloads: true };
        Writer::begin(out, &note, &everything).map(Self)
    }
    /// Adds the record with this index, and its payload.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn record(&mut self, index: u64, content: &[u8], payload: &[u8]) -> io::Result<()> {
        self.0.record(index, content, payload)
    }
    /// Ends it.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()
    }
}

// === impl Selection ===

impl Selection<'_> {
    /// Whether it has this record.
    pub(crate) fn has(&self, index: u64, content: &[u8], payload: &[u8]) -> bool {
        let (payload, missing) =
            if self.payloads { (payload, Missing::Erased) } else { ([].as_slice(), Missing::LeftOut) };
        is_in(index, &reveal(content, payload, missing), self.range, self.filter)
    }
}

/// Whether a part holds this record, as it is read.
pub(crate) fn is_in(index: u64, record: &[u8], (from, to): (u64, u64), filter: Option<&Query>) -> bool {
    let fits = |filter: &Query| AuditFacts::read(record).is_some_and(|facts| filter.matches(&facts));
    (from..to).contains(&index) && filter.is_none_or(fits)
}
