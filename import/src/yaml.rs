//! YAML as mcp-ssh-orchestrator read it (PyYAML, YAML 1.1), with the line of everything and nothing lost on the way.
//!
//! A tree of its own, for two questions that types cannot ask: was this text quoted, and what is there twice?

mod build;
mod resolve;

use std::fmt;

pub(crate) use build::parse;

/// Deepest nesting; the files of mcp-ssh-orchestrator need seven. The tree is dropped by recursion.
const MAX_DEPTH: usize = 32;
/// Most values in one file, those that aliases repeat included: 10,000 hosts with 40 values each.
const MAX_NODES: usize = 400_000;

/// A value and the line where it begins.
#[derive(Clone)]
pub(crate) struct Node {
    pub(crate) line: usize,
    pub(crate) value: Value,
}

/// A value.
#[derive(Clone)]
pub(crate) enum Value {
    /// Text, and what YAML 1.1 takes it for when it is not quoted.
    Scalar(String, Kind),
    /// A list.
    List(Vec<Node>),
    /// A map, in the order of the file; a key that is there twice is here twice.
    Map(Vec<(Node, Node)>),
}

/// What YAML 1.1 takes a scalar for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Text.
    Text,
    /// Nothing.
    Null,
    /// Also `yes`, `no`, `on` and `off`.
    Bool(bool),
    /// Also octal, hexadecimal, and base 60; `None` beyond 127 bits.
    Int(Option<i128>),
    /// A number with a point.
    Float,
    /// A date.
    Date,
}

/// Why a file is no YAML that can be imported. It never repeats the file's text: there may be a secret in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) line: usize,
    pub(crate) why: Why,
}

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Why {
    /// Not YAML.
    Syntax,
    /// More than one document.
    Documents,
    /// A tag other than those of plain values.
    Tag,
    /// A key that is a list or a map.
    Key,
    /// `<<` with something that cannot be merged.
    Merge,
    /// An alias of something that contains it.
    Circle,
    /// Nested too deep.
    Depth,
    /// Too many values.
    Size,
}

// === impl Node ===

impl Node {
    /// Whether it is this text.
    pub(crate) fn is_text(&self, text: &str) -> bool {
        matches!(&self.value, Value::Scalar(own, Kind::Text) if own == text)
    }
    /// Whether nothing stands here.
    pub(crate) const fn is_null(&self) -> bool {
        matches!(self.value, Value::Scalar(_, Kind::Null))
    }
    /// What it is, for people.
    pub(crate) const fn kind(&self) -> &'static str {
        match &self.value {
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Scalar(_, Kind::Text) => "text",
            Value::Scalar(_, Kind::Null) => "nothing",
            Value::Scalar(_, Kind::Bool(_)) => "a boolean",
            Value::Scalar(_, Kind::Int(_) | Kind::Float) => "a number",
            Value::Scalar(_, Kind::Date) => "a date",
        }
    }
}

impl fmt::Debug for Node {
    /// Without any text of the file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} in line {}", self.kind(), self.line)
    }
}

// === impl Why ===

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Syntax => "this is not YAML: look at indentation, quotes and brackets",
            Self::Documents => "a second document begins here (---)",
            Self::Tag => "a tag (!…) that these files do not know",
            Self::Key => "a key that is a list or a map",
            Self::Merge => "<< takes a map, or a list of maps",
            Self::Circle => "an alias (*…) stands inside of what it means",
            Self::Depth => "nested too deep",
            Self::Size => "too many values",
        })
    }
}
