//! What another version of a policy lets more of, and what less: for whoever has to say yes to it.
//!
//! Rules are compared by id and part by part. What one part lets more of is called widened even if another part takes
//! it away again, and what cannot be compared is called [`ChangeKind::Both`]: a widening is never left out and never
//! called neutral.

mod bounds;
mod describe;
mod imported;
mod relation;
mod rules;
mod scope;
mod sections;
mod uses;

use std::fmt;

use crate::set::PolicySet;

/// One difference between two policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Where in the file.
    pub place: Place,
    /// Whether more or less is possible with it.
    pub kind: ChangeKind,
    /// What changed there: a key of the file, `added`, `removed`, or a sentence.
    pub what: String,
    /// What is gone, an entry of a list in a line.
    pub before: Option<String>,
    /// What has come, an entry of a list in a line.
    pub after: Option<String>,
}

/// A place in a policy.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The rule with this id.
    Rule(String),
    /// An entry of a section, or a section as a whole.
    Section {
        /// The key of the section.
        section: &'static str,
        /// The id, name or `where` of the entry.
        entry: Option<String>,
    },
}

/// Whether a change lets more or less happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ChangeKind {
    /// More is possible.
    Widened,
    /// Less is possible.
    Narrowed,
    /// Some more and some less, or it cannot be told.
    Both,
    /// Nothing changes for any request.
    Neutral,
}

/// What `new` changes of `old`: rules first, each kind in the order of its ids. Empty when the two mean the same.
pub fn diff(old: &PolicySet, new: &PolicySet) -> Vec<Change> {
    let sides = uses::Sides { old, new };
    let mut changes = rules::changes(sides);
    changes.extend(sections::changes(sides));
    changes
}

// === impl Change ===

impl Change {
    pub(crate) fn new(place: &Place, kind: ChangeKind, what: impl Into<String>) -> Self {
        Self { place: place.clone(), kind, what: what.into(), before: None, after: None }
    }
    pub(crate) fn showing(mut self, before: Option<String>, after: Option<String>) -> Self {
        (self.before, self.after) = (before.filter(|t| !t.is_empty()), after.filter(|t| !t.is_empty()));
        self
    }
}

// === impl Place ===

impl Place {
    pub(crate) fn section(section: &'static str) -> Self {
        Self::Section { section, entry: None }
    }
    pub(crate) fn entry(section: &'static str, entry: impl fmt::Display) -> Self {
        Self::Section { section, entry: Some(entry.to_string()) }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rule(id) => write!(f, "rule {id}"),
            Self::Section { section, entry: None } => f.write_str(section),
            Self::Section { section, entry: Some(entry) } => write!(f, "{section} {entry}"),
        }
    }
}

// === impl ChangeKind ===

impl ChangeKind {
    /// The kind as it is written in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Widened => "widened",
            Self::Narrowed => "narrowed",
            Self::Both => "both",
            Self::Neutral => "neutral",
        }
    }
    /// Whether more may be possible.
    pub const fn widens(self) -> bool {
        matches!(self, Self::Widened | Self::Both)
    }
    /// Whether less may be possible.
    pub const fn narrows(self) -> bool {
        matches!(self, Self::Narrowed | Self::Both)
    }
    /// Both changes together.
    #[must_use]
    pub(crate) const fn and(self, other: Self) -> Self {
        match (self.widens() || other.widens(), self.narrows() || other.narrows()) {
            (true, true) => Self::Both,
            (true, false) => Self::Widened,
            (false, true) => Self::Narrowed,
            (false, false) => Self::Neutral,
        }
    }
}

impl fmt::Display for ChangeKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
