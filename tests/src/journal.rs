//! An agent's journal as it is on disk, read by a test: which records it has, in order.

use std::{fs, path::PathBuf};

use lictor_core::frame;

use crate::World;

/// What kind of line it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Line {
    /// It will start once or not at all.
    Accepted,
    /// The exec request is about to be sent.
    Starting,
    /// It ended.
    Done,
    /// The controller has the end.
    Forgotten,
}

/// One line about an invocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// What it says.
    pub line: Line,
    /// Of which invocation.
    pub invocation: String,
    /// Where its payload begins in the file, and its length.
    pub place: (usize, usize),
}

impl World {
    /// The directory in which the agent keeps its journal.
    pub fn agent_state(&self) -> PathBuf {
        self.home().join("state/agent")
    }

    /// Every whole line of the agent's journal that names an invocation.
    pub fn agent_journal(&self) -> Vec<Entry> {
        read(&fs::read(self.agent_state().join("journal")).unwrap_or_default())
    }

    /// What the agent's journal says of one invocation, in order.
    pub fn journal_of(&self, invocation: &str) -> Vec<Line> {
        self.agent_journal().into_iter().filter(|e| e.invocation == invocation).map(|e| e.line).collect()
    }
}

fn read(bytes: &[u8]) -> Vec<Entry> {
    let (mut entries, mut at) = (Vec::new(), 0);
    while let Some((length, _)) = bytes.get(at..).and_then(frame::read_header) {
        let start = at + frame::HEADER_BYTES;
        let Some(payload) = bytes.get(start..start + length) else { break };
        entries.extend(entry(payload, start));
        at = start + length;
    }
    entries
}

fn entry(payload: &[u8], start: usize) -> Option<Entry> {
    let value: serde_json::Value = serde_json::from_slice(payload).ok()?;
    let (kind, body) = value.get("V1")?.as_object()?.iter().next()?;
    let line = match kind.as_str() {
        "Accepted" => Line::Accepted,
        "Starting" => Line::Starting,
        "Done" => Line::Done,
        "Forgotten" => Line::Forgotten,
        _ => return None,
    };
    Some(Entry { line, invocation: body["invocation"].as_str()?.to_owned(), place: (start, payload.len()) })
}
