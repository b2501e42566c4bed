//! A command pattern: what each word of a simple command must be, first to last, and nothing after.

pub(crate) mod deny;
pub(crate) mod expansion;
pub(crate) mod kind;
pub(crate) mod lint;
pub(crate) mod long;
pub(crate) mod short;
pub(crate) mod simulate;

use std::fmt;

pub(crate) use kind::Kind;
use lictor_core::{command::Word, limits::MAX_WORDS};

/// Most elements in one pattern: a command has no more words.
pub const MAX_ELEMENTS: usize = MAX_WORDS;

/// A command pattern of a rule.
#[derive(Debug, Clone)]
pub struct Pattern {
    elements: Vec<Element>,
    end: bool,
    text: String,
}

/// One place in a pattern.
#[derive(Debug, Clone)]
pub(crate) struct Element {
    pub(crate) test: Test,
    /// One or more words instead of exactly one.
    pub(crate) repeat: bool,
    /// The elements from here up to that one (exclusive) may be left out together.
    pub(crate) skip_to: Option<usize>,
}

/// What a word must be.
#[derive(Debug, Clone)]
pub(crate) enum Test {
    /// Exactly this.
    Literal(String),
    /// Something of a kind, between two fixed texts that are usually empty.
    Slot { prefix: String, kind: Kind, suffix: String },
}

/// Why a text is not a pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PatternError(pub(crate) String);

// === impl Pattern ===

impl Pattern {
    /// Puts checked elements together; `end` says that a deny pattern ends with the command.
    pub(crate) fn new(elements: Vec<Element>, end: bool, text: String) -> Result<Self, PatternError> {
        let Some(first) = elements.first() else { return Err(PatternError("the pattern is empty".into())) };
        if first.repeat || first.skip_to.is_some() {
            return Err(PatternError("the program can be neither optional nor repeated".into()));
        }
        if let Test::Literal(program) = &first.test {
            program_name(program)?;
        }
        if elements.len() > MAX_ELEMENTS {
            return Err(PatternError(format!("the pattern has more than {MAX_ELEMENTS} words")));
        }
        Ok(Self { elements, end, text })
    }

    /// Whether the words, program first, are exactly this pattern; `globs`: path slots with `...` take globs too.
    pub(crate) fn matches(&self, words: &[Word], globs: bool) -> bool {
        simulate::whole(&self.elements, words, globs)
    }
    /// How many leading words the pattern has a place for.
    pub(crate) fn progress(&self, words: &[Word], globs: bool) -> usize {
        simulate::progress(&self.elements, words, globs)
    }
    pub(crate) fn elements(&self) -> &[Element] {
        &self.elements
    }
    /// Whether it was written with `<end>`.
    pub(crate) const fn has_end(&self) -> bool {
        self.end
    }
    /// The pattern as the file has it.
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

/// What no command can begin with.
fn program_name(program: &str) -> Result<(), PatternError> {
    if program.is_empty() || program.starts_with('-') || program.contains('=') {
        return Err(PatternError(format!(
            "`{program}` cannot be a program: it is empty, an option or has an `=`"
        )));
    }
    Ok(())
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

// === impl Test ===

impl Test {
    /// Whether `word` passes.
    pub(crate) fn accepts(&self, word: &str) -> bool {
        match self {
            Self::Literal(text) => text == word,
            Self::Slot { prefix, kind, suffix } => word
                .strip_prefix(prefix.as_str())
                .and_then(|rest| rest.strip_suffix(suffix.as_str()))
                .is_some_and(|value| kind.accepts(value) && stays_in_directory(prefix, value, word)),
        }
    }
}

/// A slot behind a directory (`/etc/<name>.conf`) is one name in that directory, never a way out of it or further down.
fn stays_in_directory(prefix: &str, value: &str, word: &str) -> bool {
    !prefix.contains('/')
        || (!value.contains('/') && word.split('/').all(|segment| !matches!(segment, "." | "..")))
}

impl fmt::Display for PatternError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
