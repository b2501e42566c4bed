//! An exported log or a part of one: a file of lines that can be verified anywhere, for ever, with the public key alone.
//!
//! Form 3, which is written: each line is a check, a blank and content; the first has the head as JSON, each other one
//! `INDEX RECORD` or `INDEX RECORD<TAB>PAYLOAD`, or `INDEX+COUNT ROOT` for records that are left out. Still read: form 2,
//! which has no payloads, and form 1: the first line is `{"lictor_audit":1,"checkpoint":"…"}`, each other one a record. `docs/audit-format.md` has it byte by byte.

use std::{
    fs::File,
    io::{self, BufRead, BufReader, BufWriter, Write},
    path::Path,
};

use lictor_certs::checkpoint::Origin;
use lictor_core::{
    audit::query::Query,
    digest::Digest,
    merkle::{TreeHead, leaf_hash},
};
use lictor_store::record::{AuditFacts, Missing, json::is_object, reveal};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::{
    Verified, anchor,
    flaw::Flaw,
    keys::Keys,
    lines::{Lines, Problem, at, checked, content_of, number},
    part::{LeftOut, Part},
    replay::Replay,
    said_by, signers,
    verdict::Selection,
    witnesses,
};
use crate::trouble::Trouble;

/// The form without checks, in which a file holds a whole log.
const FORM_1: u32 = 1;
/// The form before payloads.
const FORM_2: u32 = 2;
/// The form that is written.
const FORM_3: u32 = 3;
/// Stands before a payload; no record has it.
const TAB: u8 = b'\t';

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head1 {
    lictor_audit: u32,
    checkpoint: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head2 {
    lictor_audit: u32,
    from: u64,
    to: u64,
    filter: Option<String>,
    checkpoint: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head3 {
    lictor_audit: u32,
    from: u64,
    to: u64,
    filter: Option<String>,
    payloads: bool,
    checkpoint: String,
}

/// What the first line says, in any form.
#[derive(Debug, Clone)]
struct Head {
    checkpoint: String,
    /// Form 1 cannot hold a part.
    part: Option<(u64, u64, Option<Query>)>,
    /// Payloads are there, as far as they were not erased.
    payloads: bool,
}

/// A log on its way out of a file.
#[derive(Debug, Clone)]
pub(super) struct Reading {
    head: Head,
    origin: Origin,
    signed: TreeHead,
    replay: Replay,
    held: u64,
}

/// What a line behind the head holds.
enum Entry<'a> {
    Record { index: u64, content: &'a [u8], payload: &'a [u8] },
    LeftOut { index: u64, count: u64, root: Digest },
}

/// A log on its way into a file.
#[derive(Debug)]
pub(crate) struct Writer<W> {
    out: W,
    payloads: bool,
    left_out: LeftOut,
}

// === impl Writer ===

impl Writer<BufWriter<File>> {
    /// Begins the new file `path`; a file that is there is not touched.
    pub(crate) fn create(path: &Path, note: &str, selection: &Selection<'_>) -> Result<Self, Trouble> {
        let failed = |e: io::Error| Trouble::file("write", path, &e);
        let file = File::create_new(path).map_err(failed)?;
        Self::begin(BufWriter::new(file), note, selection).map_err(failed)
    }

    /// Ends the file; it is on disk when this returns.
    pub(crate) fn close(self) -> io::Result<()> {
        self.finish()?.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

impl<W: Write> Writer<W> {
    /// Begins with the checkpoint `note`. The records that are selected follow.
    pub(crate) fn begin(mut out: W, note: &str, selection: &Selection<'_>) -> io::Result<Self> {
        let Selection { range: (from, to), filter, payloads } = *selection;
        let filter = filter.map(ToString::to_string);
        let head = Head3 { lictor_audit: FORM_3, from, to, filter, payloads, checkpoint: note.to_owned() };
        out.write_all(&checked(&serde_json::to_vec(&head)?))?;
        Ok(Self { out, payloads, left_out: LeftOut::default() })
    }

    /// Adds the record with this index, and its payload if this file has payloads.
    pub(crate) fn record(&mut self, index: u64, content: &[u8], payload: &[u8]) -> io::Result<()> {
        self.put_left_out()?;
        let mut line = [format!("{index} ").as_bytes(), content].concat();
        if self.payloads && !payload.is_empty() {
            line.push(TAB);
            line.extend_from_slice(payload);
        }
        self.out.write_all(&checked(&line))
    }

    /// Leaves out the record with this index.
    pub(crate) fn leave_out(&mut self, index: u64, content: &[u8]) {
        self.left_out.push(index, leaf_hash(content));
    }

    /// Ends it.
    pub(crate) fn finish(mut self) -> io::Result<W> {
        self.put_left_out()?;
        Ok(self.out)
    }

    fn put_left_out(&mut self) -> io::Result<()> {
        for tree in self.left_out.take() {
            self.out
                .write_all(&checked(format!("{}+{} {}", tree.start, tree.count, tree.root).as_bytes()))?;
        }
        Ok(())
    }
}

/// Verifies the file `path` against `keys`. Without `origin`, the log is the one that its checkpoint names. The records
/// under the checkpoint in the file `known` must be its first, if it has so many.
pub(crate) fn verify(
    path: &Path,
    origin: Option<&Origin>,
    keys: &Keys,
    known: Option<&Path>,
) -> Result<(Origin, Verified), Trouble> {
    let unread = |e: io::Error| Trouble::file("read", path, &e);
    let file = BufReader::new(File::open(path).map_err(unread)?);
    let anchor =
        |origin: &Origin| known.map_or(Ok(None), |known| anchor::load(known, origin, &keys.of(origin)));
    let mut anchor_trouble = None;
    let verified = check(file, origin, keys, |origin| {
        anchor(origin).unwrap_or_else(|trouble| {
            anchor_trouble = Some(trouble);
            None
        })
    });
    match (anchor_trouble, verified) {
        (Some(trouble), _) => Err(trouble),
        (None, Ok(verified)) => Ok(verified),
        (None, Err(Problem::Io(error))) => Err(unread(error)),
        (None, Err(Problem::Flaw(flaw))) => Err(flaw.into()),
    }
}

/// Verifies what `reader` gives. `known` tells what was verified before of the log of that name.
pub(crate) fn check(
    reader: impl BufRead,
    origin: Option<&Origin>,
    keys: &Keys,
    known: impl FnOnce(&Origin) -> Option<TreeHead>,
) -> Result<(Origin, Verified), Problem> {
    let mut lines = Lines::new(reader);
    let reading = Reading::begin(lines.next()?.unwrap_or_default(), origin, keys, known)?;
    rest(reading, &mut lines, keys)
}

/// Goes on with all of `lines`.
pub(super) fn rest(
    mut reading: Reading,
    lines: &mut Lines<impl BufRead>,
    keys: &Keys,
) -> Result<(Origin, Verified), Problem> {
    loop {
        let place = lines.number() + 1;
        let Some(line) = lines.next()? else { break };
        reading.take(place, line)?;
    }
    Ok(reading.finish(lines.number(), keys)?)
}

/// The log's name, and the head that `note` says it has.
fn named(note: &str, origin: Option<&Origin>) -> Result<(Origin, TreeHead), Flaw> {
    let named = || {
        let name = note.split('\n').next().unwrap_or_default();
        Origin::new(name).map_err(|e| Flaw::Checkpoint(e.to_string()))
    };
    let origin = origin.map_or_else(named, |origin| Ok(origin.clone()))?;
    let head = said_by(note, &origin)?;
    Ok((origin, head))
}

/// Gives every record of the file `path` to `take`, as it is hashed and as it is read with its payload; unverified.
pub(crate) fn each_record(path: &Path, mut take: impl FnMut(u64, &[u8], &[u8])) -> Result<(), Trouble> {
    let unread = |problem: Problem| match problem {
        Problem::Io(error) => Trouble::file("read", path, &error),
        Problem::Flaw(flaw) => flaw.into(),
    };
    let file = File::open(path).map_err(|e| Trouble::file("read", path, &e))?;
    let mut lines = Lines::new(BufReader::new(file));
    let head = Head::read(lines.next().map_err(unread)?.unwrap_or_default());
    let head = head.map_err(|_| {
        Trouble::usage(
            format!("{} is not an exported audit log", path.display()),
            "make one: lictor audit export --out FILE",
        )
    })?;
    let mut next = 0;
    loop {
        let place = lines.number() + 1;
        let Some(line) = lines.next().map_err(unread)? else { return Ok(()) };
        match head.entry(line, next).map_err(|flaw| at(place, None, flaw))? {
            Entry::Record { index, content, payload } => {
                take(index, content, &reveal(content, payload, head.missing()));
                next = index.saturating_add(1);
            }
            Entry::LeftOut { index, count, .. } => next = index.saturating_add(count),
        }
    }
}

// === impl Reading ===

impl Reading {
    /// Takes the first line.
    pub(super) fn begin(
        line: &[u8],
        origin: Option<&Origin>,
        keys: &Keys,
        known: impl FnOnce(&Origin) -> Option<TreeHead>,
    ) -> Result<Self, Flaw> {
        let here = |flaw| at(1, None, flaw);
        let head = Head::read(line).map_err(here)?;
        let note = &head.checkpoint;
        let (origin, signed) = named(note, origin).map_err(here)?;
        let trusted = keys.of(&origin);
        // Who signed may be a key that the records lead to; what claims to be of a trusted one is looked at now.
        signers(note, &origin, &trusted).map_err(here)?;
        if head.part.as_ref().is_some_and(|(from, to, _)| from > to || *to > signed.size) {
            return Err(here(Flaw::Outside("it says that it has records that were never signed")));
        }
        // An export may be older than what was verified since; then only the newer one can contradict it.
        let anchor = known(&origin).filter(|anchor| anchor.size <= signed.size);
        let replay = Replay::new(&origin, trusted, anchor);
        Ok(Self { head, origin, signed, replay, held: 0 })
    }

    /// Takes the next line, which has this number.
    pub(super) fn take(&mut self, place: u64, line: &[u8]) -> Result<(), Flaw> {
        let entry = self.head.entry(line, self.replay.size()).map_err(|flaw| at(place, None, flaw))?;
        let index = entry.index();
        let taken = entry.go_into(&mut self.replay, &self.head, self.signed.size);
        taken.map_err(|flaw| at(place, Some(index), flaw))?;
        self.held += u64::from(matches!(entry, Entry::Record { .. }));
        Ok(())
    }

    /// Nothing follows the line with this number.
    fn finish(self, last: u64, keys: &Keys) -> Result<(Origin, Verified), Flaw> {
        let Self { head, origin, signed, replay, held } = self;
        let (found, here) = (replay.size(), |flaw| at(1, None, flaw));
        if found < signed.size {
            return Err(at(last, Some(found), Flaw::Short { found, signed: signed.size }));
        }
        let verified = replay.finish(signed)?;
        let is_part = |(from, to, filter): &(u64, u64, Option<Query>)| {
            (*from, *to) != (0, signed.size) || filter.is_some()
        };
        let part = head.part.filter(is_part);
        let part =
            part.map(|(from, to, filter)| Part { from, to, filter: filter.map(|f| f.to_string()), held });
        let verified = verified.under(&head.checkpoint, &origin).map_err(here)?;
        witnesses::of(&verified, &origin, keys.pinned_witnesses()).map_err(here)?;
        Ok((origin, Verified { part, ..verified }))
    }
}

// === impl Head ===

impl Head {
    fn read(line: &[u8]) -> Result<Self, Flaw> {
        if line.first() == Some(&b'{') {
            let head: Head1 = serde_json::from_slice(line).map_err(|_| Flaw::Head)?;
            let is_form = head.lictor_audit == FORM_1;
            return if is_form {
                Ok(Self { checkpoint: head.checkpoint, part: None, payloads: false })
            } else {
                Err(Flaw::Head)
            };
        }
        let content = content_of(line)?;
        let head: Head3 = match canonical::<Head2>(content) {
            Some(Head2 { lictor_audit: lictor_audit @ FORM_2, from, to, filter, checkpoint }) => {
                Head3 { lictor_audit, from, to, filter, payloads: false, checkpoint }
            }
            _ => canonical(content).filter(|head: &Head3| head.lictor_audit == FORM_3).ok_or(Flaw::Head)?,
        };
        let filter: Option<Query> =
            head.filter.as_deref().map(str::parse).transpose().map_err(|_| Flaw::Head)?;
        let (part, payloads) = (Some((head.from, head.to, filter)), head.payloads);
        Ok(Self { checkpoint: head.checkpoint, part, payloads })
    }

    /// Why a payload is not there.
    const fn missing(&self) -> Missing {
        if self.payloads { Missing::Erased } else { Missing::LeftOut }
    }

    /// What `line` holds; `next` is the index that is due.
    fn entry<'a>(&self, line: &'a [u8], next: u64) -> Result<Entry<'a>, Flaw> {
        if self.part.is_none() {
            return Ok(Entry::Record { index: next, content: line, payload: &[] });
        }
        let bad = Flaw::Line("it holds neither a record nor a root");
        let content = content_of(line)?;
        let Some(blank) = content.iter().position(|b| *b == b' ') else { return Err(bad) };
        let (Some(place), Some(content)) = (content.get(..blank), content.get(blank + 1..)) else {
            return Err(bad);
        };
        let place = std::str::from_utf8(place).map_err(|_| bad.clone())?;
        match place.split_once('+') {
            None => {
                let index = number(place).ok_or(bad)?;
                let tab = content.iter().position(|b| *b == TAB).filter(|_| self.payloads);
                let (content, payload) = tab.map_or((content, [].as_slice()), |at| {
                    (content.get(..at).unwrap_or_default(), content.get(at + 1..).unwrap_or_default())
                });
                Ok(Entry::Record { index, content, payload })
            }
            Some((index, count)) => {
                let root = std::str::from_utf8(content).ok().and_then(|text| text.parse().ok());
                let (Some(index), Some(count), Some(root)) = (number(index), number(count), root) else {
                    return Err(bad);
                };
                Ok(Entry::LeftOut { index, count, root })
            }
        }
    }

    /// Whether the file may hold, or leave out, what it does.
    fn agrees(&self, entry: &Entry<'_>) -> Result<(), Flaw> {
        let Some((from, to, filter)) = &self.part else { return Ok(()) };
        match entry {
            Entry::Record { index, .. } if !(*from..*to).contains(index) => {
                Err(Flaw::Outside("the record is not in the range that the file says it has"))
            }
            Entry::Record { content, payload, .. } => {
                let record = || Some(*content).filter(|content| is_object(content));
                let facts = || AuditFacts::read_with(record()?, payload, self.missing());
                let fits = |filter: &Query| facts().is_some_and(|facts| filter.matches(&facts));
                match filter.as_ref().is_none_or(fits) {
                    true => Ok(()),
                    false => {
                        Err(Flaw::Outside("the record does not fit the filter that the file says it has"))
                    }
                }
            }
            Entry::LeftOut { index, count, .. } => {
                let is_inside = *index < *to && index.saturating_add(*count) > *from;
                match filter.is_none() && is_inside {
                    true => Err(Flaw::Outside("records are left out of the range that the file says it has")),
                    false => Ok(()),
                }
            }
        }
    }
}

// === impl Entry ===

impl Entry<'_> {
    const fn index(&self) -> u64 {
        match self {
            Self::Record { index, .. } | Self::LeftOut { index, .. } => *index,
        }
    }

    /// Goes on with this; the log has `signed` records.
    fn go_into(&self, replay: &mut Replay, head: &Head, signed: u64) -> Result<(), Flaw> {
        let (index, count) = match self {
            Self::Record { index, .. } => (*index, 1),
            Self::LeftOut { index, count, .. } => (*index, *count),
        };
        if index != replay.size() {
            return Err(Flaw::Order { expected: replay.size(), found: index });
        }
        if index.checked_add(count).is_none_or(|end| end > signed) {
            return Err(Flaw::Excess { signed });
        }
        head.agrees(self)?;
        match self {
            Self::Record { index, content, payload } => {
                replay.push(*index, content, head.payloads.then_some(*payload))
            }
            Self::LeftOut { index, count, root } => replay.leave_out(*index, *count, *root),
        }
    }
}

/// What is written like this, and in no other way.
fn canonical<T: Serialize + DeserializeOwned>(content: &[u8]) -> Option<T> {
    let value: T = serde_json::from_slice(content).ok()?;
    serde_json::to_vec(&value).is_ok_and(|again| again == content).then_some(value)
}
