//! An exported log: one file of JSON lines that can be verified anywhere, for ever, with the public key alone.
//!
//! The first line is `{"lictor_audit":1,"checkpoint":"…"}`; each line after it is a record, byte for byte as it was
//! hashed. Records are JSON objects without line ends, so a line is a record.

use std::{
    fs::File,
    io::{self, BufRead as _, BufReader, BufWriter, Read as _, Write as _},
    path::Path,
};

use lictor_certs::{checkpoint::Origin, signer::PublicKey};
use serde::{Deserialize, Serialize};

use super::{Verified, anchor, flaw::Flaw, log_key, replay::Replay};
use crate::trouble::Trouble;

/// The version of the file's form.
const VERSION: u32 = 1;
/// Longest line: a record is below 60 KiB and a checkpoint below 64 KiB, which JSON may double.
const MAX_LINE_BYTES: u64 = 256 * 1024;

#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Head {
    lictor_audit: u32,
    checkpoint: String,
}

/// A log on its way into a file.
#[derive(Debug)]
pub(crate) struct Writer {
    file: BufWriter<File>,
}

// === impl Writer ===

impl Writer {
    /// Begins the new file `path` with the checkpoint `note`; a file that is there is not touched.
    pub(crate) fn create(path: &Path, note: &str) -> Result<Self, Trouble> {
        let file = File::create_new(path).map_err(|e| Trouble::file("write", path, &e))?;
        let head = Head { lictor_audit: VERSION, checkpoint: note.to_owned() };
        let line = serde_json::to_vec(&head).map_err(|e| Trouble::internal(e.to_string()))?;
        let mut writer = Self { file: BufWriter::new(file) };
        writer.record(&line)?;
        Ok(writer)
    }

    /// Adds a record.
    pub(crate) fn record(&mut self, content: &[u8]) -> io::Result<()> {
        self.file.write_all(content)?;
        self.file.write_all(b"\n")
    }

    /// Ends the file; it is on disk when this returns.
    pub(crate) fn finish(self) -> io::Result<()> {
        self.file.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all()
    }
}

/// Verifies the file `path` against `key`. Without `origin`, the log is the one that its checkpoint names. The records
/// under the checkpoint in the file `known` must be its first, if it has so many.
pub(crate) fn verify(
    path: &Path,
    origin: Option<&Origin>,
    key: &PublicKey,
    known: Option<&Path>,
) -> Result<(Origin, Verified), Trouble> {
    let file = File::open(path).map_err(|e| Trouble::file("read", path, &e))?;
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    next_line(&mut lines, &mut line).map_err(|e| Trouble::file("read", path, &e))?;
    let head = head(path, &line)?;
    let named = || {
        let name = head.checkpoint.lines().next().unwrap_or_default();
        Origin::new(name).map_err(|e| Flaw::Checkpoint(e.to_string()))
    };
    let origin = origin.map_or_else(named, |origin| Ok(origin.clone()))?;
    let (keys, signed) = log_key::of_file(path, &head.checkpoint, &origin, key)?;
    let anchor = match known {
        // An export may be older than what was verified since; then only the newer one can contradict it.
        Some(known) => anchor::load(known, &origin, &keys)?.filter(|anchor| anchor.size <= signed.size),
        None => None,
    };
    let mut replay = Replay::new(anchor);
    let mut index = 0;
    while next_line(&mut lines, &mut line).map_err(|e| Trouble::file("read", path, &e))? {
        replay.push(index, &line)?;
        index += 1;
    }
    let verified = replay.finish(signed)?.under(&head.checkpoint, &keys)?;
    Ok((origin, verified))
}

/// Gives every record of the file `path` to `take`, unverified.
pub(crate) fn each_record(path: &Path, mut take: impl FnMut(&[u8])) -> Result<(), Trouble> {
    let file = File::open(path).map_err(|e| Trouble::file("read", path, &e))?;
    let mut lines = BufReader::new(file);
    let mut line = Vec::new();
    next_line(&mut lines, &mut line).map_err(|e| Trouble::file("read", path, &e))?;
    head(path, &line)?;
    while next_line(&mut lines, &mut line).map_err(|e| Trouble::file("read", path, &e))? {
        take(&line);
    }
    Ok(())
}

/// The first line of the file `path`.
fn head(path: &Path, line: &[u8]) -> Result<Head, Trouble> {
    let head = serde_json::from_slice(line).ok().filter(|head: &Head| head.lictor_audit == VERSION);
    head.ok_or_else(|| {
        Trouble::usage(
            format!("{} is not an exported audit log", path.display()),
            "make one: lictor audit export FILE",
        )
    })
}

/// The next line without its end; `false` at the end of the file.
fn next_line(lines: &mut BufReader<File>, line: &mut Vec<u8>) -> io::Result<bool> {
    line.clear();
    lines.by_ref().take(MAX_LINE_BYTES).read_until(b'\n', line)?;
    if line.is_empty() {
        return Ok(false);
    }
    match line.pop() {
        Some(b'\n') => Ok(true),
        // A last line without its end was cut; what is left of it leads to another root.
        Some(other) => {
            line.push(other);
            Ok(true)
        }
        None => Ok(false),
    }
}
