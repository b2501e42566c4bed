//! A line as tokens: words with their quotes decoded, and the few operators that are accepted.

use std::ops::Range;

use lictor_core::command::{Joiner, Word};

use super::quote;
use crate::refusal::{Refusal, RefusalCode};

/// One token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    Word(RawWord),
    Pipe,
    Join(Joiner),
    /// `2>&1`
    StderrToStdout,
}

/// A decoded word, and what of it was written without quotes.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RawWord {
    pub(crate) text: String,
    /// No part was quoted, so that a shell may read the word as grammar.
    pub(crate) bare: bool,
    /// An `=` was written without quotes, so that a shell may read an assignment.
    pub(crate) bare_equals: bool,
    /// Where in the text a glob begins.
    pub(crate) globs: Vec<usize>,
}

/// What becomes of an unquoted `*`, `?` or `[…]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Globs {
    /// The line is refused.
    Refuse,
    /// They are part of their word, for rules to judge.
    Keep,
}

const STDERR_TO_STDOUT: &str = "2>&1";

/// Reads the whole line.
pub(crate) fn scan(line: &str, globs: Globs) -> Result<Vec<(Token, Range<usize>)>, Refusal> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(byte) = line.as_bytes().get(at).copied() {
        if byte == b' ' {
            at += 1;
            continue;
        }
        let (token, end) = match byte {
            b'|' | b'&' | b';' => operator(line, at)?,
            b'2' if is_stderr_to_stdout(line, at) => (Token::StderrToStdout, at + STDERR_TO_STDOUT.len()),
            _ => word(line, at, globs)?,
        };
        tokens.push((token, at..end));
        at = end;
    }
    Ok(tokens)
}

/// Whether a shell reads `2>&1` here and nothing more: `2>&12` and `2>&1x` are other redirections.
fn is_stderr_to_stdout(line: &str, at: usize) -> bool {
    let rest = line.get(at..).unwrap_or_default();
    rest.strip_prefix(STDERR_TO_STDOUT)
        .is_some_and(|after| matches!(after.bytes().next(), None | Some(b' ' | b'|' | b'&' | b';')))
}

fn operator(line: &str, at: usize) -> Result<(Token, usize), Refusal> {
    let first = line.as_bytes().get(at).copied().unwrap_or_default();
    let second = line.as_bytes().get(at + 1).copied().unwrap_or_default();
    let two = Some(at..at + 2);
    match (first, second) {
        (b'|', b'|') => Ok((Token::Join(Joiner::Or), at + 2)),
        (b'|', b'&') => {
            Err(Refusal::new(RefusalCode::Redirect, two, "`|&` is not accepted").hinting("write `2>&1 |`"))
        }
        (b'|', _) => Ok((Token::Pipe, at + 1)),
        (b'&', b'&') => Ok((Token::Join(Joiner::And), at + 2)),
        (b'&', b'>') => Err(Refusal::new(RefusalCode::Redirect, two, "`&>` writes to a file")),
        (b'&', _) => Err(Refusal::new(
            RefusalCode::Background,
            Some(at..at + 1),
            "`&` starts a command in the background",
        )),
        (_, b';' | b'&') => {
            Err(Refusal::new(RefusalCode::Compound, two, "`;;` and `;&` belong to a case command"))
        }
        _ => Ok((Token::Join(Joiner::Then), at + 1)),
    }
}

fn word(line: &str, start: usize, globs: Globs) -> Result<(Token, usize), Refusal> {
    let mut word = RawWord { bare: true, ..RawWord::default() };
    let mut at = start;
    while let Some(byte) = line.as_bytes().get(at).copied() {
        match byte {
            b' ' | b'|' | b'&' | b';' => break,
            b'\'' | b'"' => {
                let (piece, after) = quote::read(line, at)?;
                word.text.push_str(piece);
                word.bare = false;
                at = after;
            }
            b'\\' if line.as_bytes().get(at + 1) == Some(&b'\'') => {
                // The one escape that every POSIX shell decodes alike, and the only way a rendered quote is written.
                word.text.push('\'');
                word.bare = false;
                at += 2;
            }
            _ if is_bare(byte) || (is_bare_inside(byte) && follows_letter(line, start, at)) => {
                word.bare_equals |= byte == b'=';
                word.text.push(char::from(byte));
                at += 1;
            }
            // The program `[` and what ends it, and the place that `find` and `xargs` fill in: no shell reads more in them.
            b'[' | b']' if at == start && is_alone(line, at, 1) => {
                word.text.push(char::from(byte));
                word.bare = false;
                at += 1;
            }
            b'{' if at == start
                && line.get(at..).is_some_and(|r| r.starts_with("{}"))
                && is_alone(line, at, 2) =>
            {
                word.text.push_str("{}");
                word.bare = false;
                at += 2;
            }
            b'*' | b'?' | b'[' if globs == Globs::Keep => {
                let glob = line.get(at..).and_then(|rest| rest.get(..Word::glob_at(rest)?));
                let Some(glob) = glob else { return Err(unquoted(line, start, at)) };
                word.globs.push(word.text.len());
                word.text.push_str(glob);
                word.bare = false;
                at += glob.len();
            }
            _ => return Err(unquoted(line, start, at)),
        }
    }
    Ok((Token::Word(word), at))
}

/// Whether the word that begins at `at` has just `length` bytes.
fn is_alone(line: &str, at: usize, length: usize) -> bool {
    matches!(line.as_bytes().get(at + length), None | Some(b' ' | b'|' | b'&' | b';'))
}

/// Characters that may stand without quotes.
pub(crate) const fn is_bare(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'_' | b'@' | b'%' | b'+' | b'=' | b':' | b',' | b'.' | b'/' | b'-')
}

/// Characters that have a meaning to a shell only at the start of a word or behind others of their kind: `HEAD~1`,
/// `HEAD^`, `page#top`. They are quoted when the word is rendered.
const fn is_bare_inside(byte: u8) -> bool {
    matches!(byte, b'~' | b'^' | b'#')
}

fn follows_letter(line: &str, start: usize, at: usize) -> bool {
    at > start && line.as_bytes().get(at - 1).is_some_and(u8::is_ascii_alphanumeric)
}

/// Why the character at `at`, in the word that starts at `start`, may not stand without quotes.
fn unquoted(line: &str, start: usize, at: usize) -> Refusal {
    let rest = line.get(at..).unwrap_or_default();
    let c = rest.chars().next().unwrap_or_default();
    let span = Some(at..at + c.len_utf8());
    let followed_by_end = matches!(rest.as_bytes().get(1), None | Some(b' ' | b';'));
    let (code, message) = match c {
        '$' | '`' => {
            (RefusalCode::Expansion, format!("`{c}` starts an expansion, whose value cannot be judged"))
        }
        '\\' => (RefusalCode::Backslash, "a backslash outside quotes is not accepted".into()),
        '<' | '>' => (RefusalCode::Redirect, format!("`{c}` redirects input or output")),
        '(' | ')' => (RefusalCode::Compound, format!("`{c}` belongs to a subshell, a function or a pattern")),
        '{' | '}' if at == start && followed_by_end => {
            (RefusalCode::Compound, format!("`{c}` groups commands"))
        }
        '[' if at == start && rest.starts_with("[[ ") => {
            (RefusalCode::Compound, "`[[` is a compound command".into())
        }
        '*' | '?' | '[' | ']' | '{' | '}' | '~' => {
            (RefusalCode::Glob, format!("an unquoted `{c}` is replaced by names that cannot be judged"))
        }
        '!' => (RefusalCode::Meta, "`!` negates a command or recalls history".into()),
        '#' => (RefusalCode::Meta, "`#` starts a comment at the start of a word".into()),
        '^' => (RefusalCode::Meta, "`^` is a pipe in old shells and recalls history in others".into()),
        _ => (RefusalCode::NonAscii, format!("`{c}` is outside ASCII and not in quotes")),
    };
    Refusal::new(code, span, message)
}
