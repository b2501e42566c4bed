//! Why an input is not a command that may be judged: a stable code, the place, and what to write instead.

use std::{fmt, ops::Range};

use lictor_core::limits::{MAX_LINE_BYTES, MAX_PARTS, MAX_WORD_BYTES, MAX_WORDS};

/// A refused input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The stable code.
    pub code: RefusalCode,
    /// Which bytes of the line are meant; `None` for an argument list or when it is the whole.
    pub span: Option<Range<usize>>,
    /// What is wrong, in one sentence.
    pub message: String,
    /// What to write instead.
    pub hint: String,
}

/// The codes, a closed list that callers can rely on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RefusalCode {
    /// `$`, backtick: the value is not known to whoever judges.
    Expansion,
    /// A backslash outside single quotes.
    Backslash,
    /// An unquoted `* ? [ ] { } ~`.
    Glob,
    /// A redirection other than `2>&1` at the end of a command.
    Redirect,
    /// `&` or `coproc`.
    Background,
    /// A line break.
    Newline,
    /// An assignment, or a builtin that changes the state of the shell.
    Environment,
    /// A reserved word, a subshell, a function.
    Compound,
    /// An unquoted `!`, `#` or `^`.
    Meta,
    /// A builtin that runs text or other commands.
    Indirect,
    /// A quote without its end.
    Quote,
    /// A character that is invisible, unassigned or a control character.
    Control,
    /// A character outside ASCII without quotes.
    NonAscii,
    /// A program name that is empty, an option, or has an `=`.
    Program,
    /// A line or a word is too long.
    TooLong,
    /// Too many words.
    TooManyWords,
    /// Too many commands in one line.
    TooManyParts,
    /// No command, or a joiner without a command on one side.
    Empty,
    /// A program of Lictor's own that is not exactly one file transfer.
    Transfer,
    /// The text that would be sent does not read back as the same words. Never expected.
    Rendering,
}

// === impl RefusalCode ===

impl RefusalCode {
    /// Every code, for documentation and tests.
    pub const ALL: [Self; 20] = [
        Self::Expansion,
        Self::Backslash,
        Self::Glob,
        Self::Redirect,
        Self::Background,
        Self::Newline,
        Self::Environment,
        Self::Compound,
        Self::Meta,
        Self::Indirect,
        Self::Quote,
        Self::Control,
        Self::NonAscii,
        Self::Program,
        Self::TooLong,
        Self::TooManyWords,
        Self::TooManyParts,
        Self::Empty,
        Self::Transfer,
        Self::Rendering,
    ];

    /// The code as it is written in every interface.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Expansion => "E_EXPANSION",
            Self::Backslash => "E_BACKSLASH",
            Self::Glob => "E_GLOB",
            Self::Redirect => "E_REDIRECT",
            Self::Background => "E_BACKGROUND",
            Self::Newline => "E_NEWLINE",
            Self::Environment => "E_ENVIRONMENT",
            Self::Compound => "E_COMPOUND",
            Self::Meta => "E_META",
            Self::Indirect => "E_INDIRECT",
            Self::Quote => "E_QUOTE",
            Self::Control => "E_CONTROL",
            Self::NonAscii => "E_NON_ASCII",
            Self::Program => "E_PROGRAM",
            Self::TooLong => "E_TOO_LONG",
            Self::TooManyWords => "E_TOO_MANY_WORDS",
            Self::TooManyParts => "E_TOO_MANY_PARTS",
            Self::Empty => "E_EMPTY",
            Self::Transfer => "E_TRANSFER",
            Self::Rendering => "E_RENDERING",
        }
    }

    /// What to write instead, when nothing more exact is known.
    pub fn hint(self) -> String {
        match self {
            Self::Expansion => "write the value itself; if the character is meant literally, put the word in single quotes",
            Self::Backslash => "put the word in single quotes instead of escaping characters",
            Self::Glob => "name the files one by one; if the character is meant literally, put the word in single quotes",
            Self::Redirect => "leave it out: both outputs are captured; `2>&1` is accepted at the end of a command",
            Self::Background => "leave the `&` out: a job runs on by itself and can be watched; join commands by `&&`, `||` or `;`",
            Self::Newline => "run one line at a time, or join the commands by `;`",
            Self::Environment => "leave it out; name the program directly, with absolute paths instead of a directory change",
            Self::Compound => "run the commands as separate jobs, or join them by `&&`, `||`, `;` or `|`",
            Self::Meta => "put the word in single quotes if the character is meant literally",
            Self::Indirect => "name the program to run directly as the first word",
            Self::Quote => "close the quote; a single quote inside single quotes is written '\\''",
            Self::Control => "remove the character; only visible characters and the plain space are accepted",
            Self::NonAscii => "put the word in single quotes",
            Self::Program => "start with the name of a program: not empty, not an option, without `=`",
            Self::TooLong => {
                return format!("at most {MAX_LINE_BYTES} bytes a command and {MAX_WORD_BYTES} a word; put the data in a file on the host");
            }
            Self::TooManyWords => return format!("at most {MAX_WORDS} words; put the list in a file on the host"),
            Self::TooManyParts => return format!("at most {MAX_PARTS} commands a line; run several jobs"),
            Self::Empty => "write a command on both sides of each joiner and nothing after the last",
            Self::Transfer => "write `lictor:upload PATH` or `lictor:download PATH`, alone",
            Self::Rendering => "this is a defect in Lictor; please report the command",
        }
        .into()
    }
}

impl fmt::Display for RefusalCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Refusal ===

impl Refusal {
    /// A refusal with the usual hint of its code.
    pub(crate) fn new(code: RefusalCode, span: Option<Range<usize>>, message: impl Into<String>) -> Self {
        Self { code, span, message: message.into(), hint: code.hint() }
    }

    /// The same with a more exact hint.
    pub(crate) fn hinting(mut self, hint: impl Into<String>) -> Self {
        self.hint = hint.into();
        self
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}; {}", self.code, self.message, self.hint)
    }
}
impl std::error::Error for Refusal {}
