//! What a caller wrote, as the command that will be judged and run, or refused.
//!
//! ```text
//! line     = pipeline *( ("&&" / "||" / ";") pipeline )
//! pipeline = simple *( "|" simple )
//! simple   = word *( blank word ) [ blank "2>&1" ]
//! word     = 1*( bare / single / double / "\'" )
//! bare     = ALPHA / DIGIT / one of  _ @ % + = : , . / -  / one of ~ ^ # behind a letter or digit
//! single   = "'" *( any character but "'" ) "'"
//! double   = DQUOTE *( any character but DQUOTE $ ` !, and no backslash before one of these or a backslash ) DQUOTE
//! glob     = "*" / "?" / "[" [ "!" ] 1*( letter / digit / one of _ . , : @ % + - ) "]"
//! ```
//!
//! `[`, `]` and `{}` are words by themselves. A `glob` may be part of a word only where the reader asks for it, because some rule is able to judge one.
//!
//! One pass over the bytes, no recursion. Whatever is not in this grammar is refused: a construct that a shell would
//! understand and this parser would not is the way around a policy.

pub(crate) mod assemble;
pub(crate) mod builtins;
pub(crate) mod characters;
pub(crate) mod operands;
pub(crate) mod quote;
pub(crate) mod scan;

use std::ops::Range;

use lictor_core::{
    command::{Command, Simple},
    job::CommandInput,
    limits::{MAX_LINE_BYTES, MAX_WORD_BYTES, MAX_WORDS},
    transfer::Transfer,
};

use self::scan::Globs;
use crate::refusal::{Refusal, RefusalCode};

/// Makes `input` a command.
///
/// # Errors
/// A [`Refusal`] with a stable code and a hint when the input is not made of literal words.
pub fn parse_command(input: &CommandInput) -> Result<Command, Refusal> {
    read(input, Globs::Refuse)
}

/// As [`parse_command`], but unquoted `*`, `?` and `[…]` in a line become globs of their words, which only a rule that
/// says so allows, and which a deny rule sees as everything that they could expand to.
///
/// # Errors
/// As `parse_command`.
pub fn parse_command_with_globs(input: &CommandInput) -> Result<Command, Refusal> {
    read(input, Globs::Keep)
}

fn read(input: &CommandInput, globs: Globs) -> Result<Command, Refusal> {
    let command = match input {
        CommandInput::Argv(words) => parse_argv(words)?,
        CommandInput::Line(line) => parse_line(line, globs)?,
    };
    check_transfer(&command)?;
    check_rendering(&command)?;
    Ok(command)
}

/// Checks a command that was not made by [`parse_command`] but taken apart and put together again, as on its way to
/// an agent: it passes exactly when `parse_command_with_globs` could have made it.
///
/// # Errors
/// A [`Refusal`] as `parse_command_with_globs` would give it.
pub fn check_command(command: &Command) -> Result<(), Refusal> {
    for simple in command.simples() {
        for word in simple.words() {
            characters::check(word.as_str(), false)?;
        }
        check_simple(simple, None)?;
    }
    check_transfer(command)?;
    check_rendering(command)
}

fn parse_argv(words: &[String]) -> Result<Command, Refusal> {
    // Sizes come first, so that the price of refusing does not grow with the input.
    if words.len() > MAX_WORDS {
        return Err(Refusal::new(
            RefusalCode::TooManyWords,
            None,
            format!("there are {} words", words.len()),
        ));
    }
    if words.iter().any(|w| w.len() > MAX_WORD_BYTES) {
        return Err(Refusal::new(RefusalCode::TooLong, None, "a word is too long"));
    }
    words.iter().try_for_each(|word| characters::check(word, false))?;
    let command = Command::from_argv(words).map_err(|e| assemble::from_core(e, None))?;
    command.simples().try_for_each(|simple| check_simple(simple, None))?;
    Ok(command)
}

fn parse_line(line: &str, globs: Globs) -> Result<Command, Refusal> {
    if line.len() > MAX_LINE_BYTES {
        return Err(Refusal::new(RefusalCode::TooLong, None, format!("the line has {} bytes", line.len())));
    }
    parse_line_of_any_length(line, globs)
}

fn parse_line_of_any_length(line: &str, globs: Globs) -> Result<Command, Refusal> {
    characters::check(line, true)?;
    assemble::assemble(scan::scan(line, globs)?)
}

/// The reading of a line without the bound on its length, to measure how its time grows; for nothing else.
///
/// # Errors
/// A [`Refusal`] as [`parse_command`] would give it.
#[doc(hidden)]
pub fn measure_line(line: &str) -> Result<Command, Refusal> {
    parse_line_of_any_length(line, Globs::Refuse)
}

/// The rules for one simple command that hold however it was written; `span` is its first word's.
pub(crate) fn check_simple(simple: &Simple, span: Option<Range<usize>>) -> Result<(), Refusal> {
    let mut words = simple.words().iter().map(lictor_core::command::Word::as_str);
    let program = words.clone().next().unwrap_or_default();
    if program.contains('=') {
        return Err(Refusal::new(RefusalCode::Program, span, "the program's name has an `=`"));
    }
    match builtins::problem(&mut words) {
        None => Ok(()),
        Some((code, message)) => {
            let refusal = Refusal::new(code, span, message);
            Err(match builtins::hint(program) {
                Some(hint) => refusal.hinting(hint),
                None => refusal,
            })
        }
    }
}

/// What names a program of Lictor's own is one whole transfer; no shell ever reads such a name.
fn check_transfer(command: &Command) -> Result<(), Refusal> {
    match Transfer::of(command) {
        Ok(_) => Ok(()),
        Err(invalid) => Err(Refusal::new(RefusalCode::Transfer, None, invalid.message).hinting(invalid.hint)),
    }
}

/// What is sent fits, and reads back as the words that were judged.
fn check_rendering(command: &Command) -> Result<(), Refusal> {
    let text = command.render();
    if text.len() > MAX_LINE_BYTES {
        let message = format!("the command has {} bytes when its words are quoted", text.len());
        return Err(Refusal::new(RefusalCode::TooLong, None, message));
    }
    if parse_line(&text, Globs::Keep).as_ref() == Ok(command) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::Rendering,
        None,
        "the text for the host does not read back as the same command",
    ))
}
