//! A judged command: words with structure, never a line of text. What a host receives is [`Command::render`]ed from it.

mod word;

use std::fmt;

pub use self::word::{Piece, Word};
use crate::{
    digest::{Digest, Sha256Builder},
    limits::{MAX_PARTS, MAX_WORD_BYTES, MAX_WORDS},
};

/// A program and its arguments.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Simple {
    words: Vec<Word>,
    stderr_to_stdout: bool,
}

/// Simple commands joined by `|`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Pipeline {
    stages: Vec<Simple>,
}

/// How a pipeline depends on the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Joiner {
    /// `&&`: runs if the one before succeeded.
    And,
    /// `||`: runs if the one before failed.
    Or,
    /// `;`: runs in any case.
    Then,
}

/// What a job runs on each host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Command {
    first: Pipeline,
    rest: Vec<(Joiner, Pipeline)>,
}

/// Why words do not make a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InvalidCommand {
    /// There is no word, or a part without one.
    Empty,
    /// A word is longer than [`MAX_WORD_BYTES`].
    WordTooLong,
    /// There are more words than [`MAX_WORDS`].
    TooManyWords,
    /// There are more simple commands than [`MAX_PARTS`].
    TooManyParts,
    /// A word has a NUL or another control character.
    ControlCharacter,
    /// The program's name is empty, starts with a dash or is a glob.
    Program,
    /// A glob is said to be where none is, or is one that shells read differently.
    Glob,
}

/// `text` as one word that every POSIX shell reads back as it is.
pub fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    word::quote(text, &mut out);
    out
}

// === impl Simple ===

impl Simple {
    /// A program with its arguments; with `stderr_to_stdout`, its standard error joins its standard output (`2>&1`).
    ///
    /// # Errors
    /// [`InvalidCommand::Empty`], [`InvalidCommand::TooManyWords`], or [`InvalidCommand::Program`].
    pub fn new(words: Vec<Word>, stderr_to_stdout: bool) -> Result<Self, InvalidCommand> {
        let program = words.first().ok_or(InvalidCommand::Empty)?.literal().unwrap_or_default();
        if program.is_empty() || program.starts_with('-') {
            return Err(InvalidCommand::Program);
        }
        if words.len() > MAX_WORDS {
            return Err(InvalidCommand::TooManyWords);
        }
        Ok(Self { words, stderr_to_stdout })
    }
    /// The words, program first; never empty.
    pub fn words(&self) -> &[Word] {
        &self.words
    }
    /// Whether standard error joins standard output.
    pub const fn stderr_to_stdout(&self) -> bool {
        self.stderr_to_stdout
    }
    /// Its text, as it stands in that of the command.
    pub fn render(&self) -> String {
        let mut out = String::new();
        render_simple(self, &mut out);
        out
    }
}

// === impl Pipeline ===

impl Pipeline {
    /// Joins `stages` by `|`.
    ///
    /// # Errors
    /// [`InvalidCommand::Empty`] without a stage.
    pub fn new(stages: Vec<Simple>) -> Result<Self, InvalidCommand> {
        if stages.is_empty() {
            return Err(InvalidCommand::Empty);
        }
        Ok(Self { stages })
    }
    /// The stages, left to right; never empty.
    pub fn stages(&self) -> &[Simple] {
        &self.stages
    }
}

// === impl Joiner ===

impl Joiner {
    /// The joiner as a shell writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::And => "&&",
            Self::Or => "||",
            Self::Then => ";",
        }
    }
}

// === impl Command ===

impl Command {
    /// A list of pipelines.
    ///
    /// # Errors
    /// [`InvalidCommand::TooManyParts`] or [`InvalidCommand::TooManyWords`] over all parts together.
    pub fn new(first: Pipeline, rest: Vec<(Joiner, Pipeline)>) -> Result<Self, InvalidCommand> {
        let command = Self { first, rest };
        if command.simples().count() > MAX_PARTS {
            return Err(InvalidCommand::TooManyParts);
        }
        if command.simples().map(|s| s.words.len()).sum::<usize>() > MAX_WORDS {
            return Err(InvalidCommand::TooManyWords);
        }
        Ok(command)
    }

    /// One program with its arguments.
    ///
    /// # Errors
    /// When a word or the list of words is not acceptable.
    pub fn from_argv<S: AsRef<str>>(argv: &[S]) -> Result<Self, InvalidCommand> {
        let words = argv.iter().map(|w| Word::new(w.as_ref())).collect::<Result<Vec<_>, _>>()?;
        Self::new(Pipeline::new(vec![Simple::new(words, false)?])?, Vec::new())
    }

    /// The first pipeline.
    pub const fn first(&self) -> &Pipeline {
        &self.first
    }
    /// The pipelines after it, each with what joins it to the one before.
    pub fn rest(&self) -> &[(Joiner, Pipeline)] {
        &self.rest
    }
    /// Every simple command, in order; each has to be allowed on its own.
    pub fn simples(&self) -> impl Iterator<Item = &Simple> {
        std::iter::once(&self.first).chain(self.rest.iter().map(|(_, p)| p)).flat_map(|p| p.stages.iter())
    }

    /// The one text of this command: what a host's shell receives, what people and the audit see.
    pub fn render(&self) -> String {
        let mut out = String::new();
        render_pipeline(&self.first, &mut out);
        for (joiner, pipeline) in &self.rest {
            if *joiner != Joiner::Then {
                out.push(' ');
            }
            out.push_str(joiner.as_str());
            out.push(' ');
            render_pipeline(pipeline, &mut out);
        }
        out
    }

    /// A digest of the structure, so that two commands with the same digest are the same command.
    pub fn digest(&self) -> Digest {
        // Commands with globs are a domain of their own, in which each word says where its globs are.
        let globs = self.simples().flat_map(Simple::words).any(|word| word.literal().is_none());
        let mut builder = Sha256Builder::new(if globs { "lictor command v2" } else { "lictor command v1" });
        for (joiner, pipeline) in
            std::iter::once(("", &self.first)).chain(self.rest.iter().map(|(j, p)| (j.as_str(), p)))
        {
            builder = builder.part(joiner.as_bytes()).part(&(pipeline.stages.len() as u64).to_be_bytes());
            for simple in &pipeline.stages {
                builder = builder
                    .part(&[u8::from(simple.stderr_to_stdout)])
                    .part(&(simple.words.len() as u64).to_be_bytes());
                for word in &simple.words {
                    builder = builder.part(word.as_str().as_bytes());
                    if globs {
                        let offsets: Vec<u8> =
                            word.globs().iter().flat_map(|at| (*at as u64).to_be_bytes()).collect();
                        builder = builder.part(&offsets);
                    }
                }
            }
        }
        builder.finish()
    }
}

fn render_pipeline(pipeline: &Pipeline, out: &mut String) {
    for (stage, simple) in pipeline.stages.iter().enumerate() {
        if stage > 0 {
            out.push_str(" | ");
        }
        render_simple(simple, out);
    }
}

fn render_simple(simple: &Simple, out: &mut String) {
    for (index, word) in simple.words.iter().enumerate() {
        if index > 0 {
            out.push(' ');
        }
        word.render(index == 0, out);
    }
    if simple.stderr_to_stdout {
        out.push_str(" 2>&1");
    }
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render())
    }
}

// === impl InvalidCommand ===

impl fmt::Display for InvalidCommand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => f.write_str("there is no command"),
            Self::WordTooLong => write!(f, "a word is longer than {MAX_WORD_BYTES} bytes"),
            Self::TooManyWords => write!(f, "there are more than {MAX_WORDS} words"),
            Self::TooManyParts => write!(f, "there are more than {MAX_PARTS} commands in one line"),
            Self::ControlCharacter => f.write_str("a word has a control character"),
            Self::Program => f.write_str("the program's name is empty, starts with a dash or is a glob"),
            Self::Glob => f.write_str("a glob is not where it is said to be, or shells read it differently"),
        }
    }
}
impl std::error::Error for InvalidCommand {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_with_a_meaning_to_a_shell_are_quoted() {
        let argv = ["echo", "plain-1.2/x", "a b", "it's", "$HOME", "", "~", "A=b", "2>&1", "*"];
        let command = Command::from_argv(&argv).unwrap();
        assert_eq!(command.render(), "echo plain-1.2/x 'a b' 'it'\\''s' '$HOME' '' '~' 'A=b' '2>&1' '*'");
        assert_eq!(Command::from_argv(&["if", "then"]).unwrap().render(), "'if' then");
        assert_eq!(Command::from_argv(&["A=b"]).unwrap().render(), "'A=b'");
    }

    #[test]
    fn options_empty_names_and_control_characters_are_not_programs() {
        assert_eq!(Command::from_argv::<&str>(&[]), Err(InvalidCommand::Empty));
        assert_eq!(Command::from_argv(&["-x"]), Err(InvalidCommand::Program));
        assert_eq!(Command::from_argv(&[""]), Err(InvalidCommand::Program));
        assert_eq!(Command::from_argv(&["echo", "a\nb"]), Err(InvalidCommand::ControlCharacter));
        assert_eq!(Command::from_argv(&["x"; MAX_WORDS + 1]), Err(InvalidCommand::TooManyWords));
    }

    #[test]
    fn structure_is_part_of_the_digest() {
        let simple =
            |w: &[&str]| Simple::new(w.iter().map(|w| Word::new(w).unwrap()).collect(), false).unwrap();
        let one = Command::from_argv(&["a", "b"]).unwrap();
        let piped =
            Command::new(Pipeline::new(vec![simple(&["a"]), simple(&["b"])]).unwrap(), vec![]).unwrap();
        let listed = Command::new(
            Pipeline::new(vec![simple(&["a"])]).unwrap(),
            vec![(Joiner::And, Pipeline::new(vec![simple(&["b"])]).unwrap())],
        )
        .unwrap();
        assert_eq!(piped.render(), "a | b");
        assert_eq!(listed.render(), "a && b");
        assert!(
            one.digest() != piped.digest()
                && piped.digest() != listed.digest()
                && one.digest() != listed.digest()
        );
    }
}
