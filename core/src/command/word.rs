//! One word of a command: literal text, in which some characters may be a glob that the host's shell expands.

use std::fmt;

use super::InvalidCommand;
use crate::limits::MAX_WORD_BYTES;

/// One word: no NUL, no control character, at most [`MAX_WORD_BYTES`].
///
/// Almost every word is literal. One that a policy lets be expanded has `*`, `?` or `[…]` that were written without
/// quotes; where they stand is part of the word, so `'*'` and `*` are two words.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Word {
    text: Box<str>,
    /// The byte offsets at which a glob begins, in order; empty for a literal word.
    globs: Box<[usize]>,
}

/// A piece of a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Piece<'a> {
    /// These characters, as they are; never empty.
    Literal(&'a str),
    /// `*`: any characters of one path segment.
    AnyText,
    /// `?`: one character of a path segment.
    AnyChar,
    /// `[…]`: one of a set; the text between the brackets, with a leading `!` for all others.
    Set(&'a str),
}

// === impl Word ===

impl Word {
    /// Checks `text` and makes it a literal word.
    ///
    /// # Errors
    /// [`InvalidCommand::WordTooLong`] or [`InvalidCommand::ControlCharacter`].
    pub fn new(text: &str) -> Result<Self, InvalidCommand> {
        Self::with_globs(text, &[])
    }

    /// Checks `text` and makes it a word whose globs begin at the byte offsets `globs`, in order.
    ///
    /// # Errors
    /// As [`new`](Self::new), and [`InvalidCommand::Glob`] when there is no glob at an offset.
    pub fn with_globs(text: &str, globs: &[usize]) -> Result<Self, InvalidCommand> {
        if text.len() > MAX_WORD_BYTES {
            return Err(InvalidCommand::WordTooLong);
        }
        if text.chars().any(char::is_control) {
            return Err(InvalidCommand::ControlCharacter);
        }
        let mut free_from = 0;
        for at in globs.iter().copied() {
            let length = text.get(at..).and_then(glob_length).ok_or(InvalidCommand::Glob)?;
            if at < free_from {
                return Err(InvalidCommand::Glob);
            }
            free_from = at + length;
        }
        Ok(Self { text: text.into(), globs: globs.into() })
    }

    /// The word without quotes; globs look like the characters that they are written with. Compare words by
    /// [`literal`](Self::literal) or [`pieces`](Self::pieces) where that matters.
    pub fn as_str(&self) -> &str {
        &self.text
    }
    /// The text of a word without globs; `None` when the host's shell would expand it.
    pub fn literal(&self) -> Option<&str> {
        self.globs.is_empty().then_some(&*self.text)
    }
    /// How many bytes the glob takes with which `text` begins; `None` when it begins with none that shells read alike.
    pub fn glob_at(text: &str) -> Option<usize> {
        glob_length(text)
    }
    /// The byte offsets at which its globs begin, in order.
    pub fn globs(&self) -> &[usize] {
        &self.globs
    }

    /// The word piece by piece; nothing for an empty one.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let mut at = 0;
        let mut globs = self.globs.iter().copied().peekable();
        std::iter::from_fn(move || {
            let rest = self.text.get(at..).filter(|rest| !rest.is_empty())?;
            let until = globs.peek().map_or(self.text.len(), |next| *next);
            if until > at {
                at = until;
                return rest.get(..rest.len() - (self.text.len() - until)).map(Piece::Literal);
            }
            globs.next();
            let length = glob_length(rest)?;
            at += length;
            Some(match rest.as_bytes().first() {
                Some(b'*') => Piece::AnyText,
                Some(b'?') => Piece::AnyChar,
                _ => Piece::Set(rest.get(1..length - 1).unwrap_or_default()),
            })
        })
    }

    /// Appends the word as a POSIX shell reads it back: each literal piece bare when every character is plain and
    /// single-quoted otherwise, each glob bare.
    pub(super) fn render(&self, first: bool, out: &mut String) {
        if self.text.is_empty() {
            out.push_str("''");
        }
        for piece in self.pieces() {
            match piece {
                Piece::Literal(text) if is_plain(text) && !(first && is_reserved(&self.text)) => {
                    out.push_str(text);
                }
                Piece::Literal(text) => quote(text, out),
                Piece::AnyText => out.push('*'),
                Piece::AnyChar => out.push('?'),
                Piece::Set(inner) => {
                    out.push('[');
                    out.push_str(inner);
                    out.push(']');
                }
            }
        }
    }
}

impl fmt::Debug for Word {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)?;
        if self.globs.is_empty() { Ok(()) } else { write!(f, " with globs at {:?}", self.globs) }
    }
}

/// Appends `text` in single quotes, as every POSIX shell reads it back.
pub(super) fn quote(text: &str, out: &mut String) {
    out.push('\'');
    for piece in text.split_inclusive('\'') {
        match piece.strip_suffix('\'') {
            Some(before) => {
                out.push_str(before);
                out.push_str("'\\''");
            }
            None => out.push_str(piece),
        }
    }
    out.push('\'');
}

/// How many bytes the glob takes with which `text` begins. A set has letters, digits and `_ . , : @ % + -` between its
/// brackets: what shells read alike.
fn glob_length(text: &str) -> Option<usize> {
    match text.as_bytes().first()? {
        b'*' | b'?' => Some(1),
        b'[' => {
            let inner = text.get(1..text.find(']')?)?;
            let members = inner.strip_prefix('!').unwrap_or(inner);
            let plain = |b: u8| b.is_ascii_alphanumeric() || b"_.,:@%+-".contains(&b);
            (!members.is_empty() && members.bytes().all(plain)).then_some(inner.len() + 2)
        }
        _ => None,
    }
}

/// Characters that no POSIX shell gives a meaning to; `=` and `~` are left out, they have one at some places.
fn is_plain(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|b| {
            b.is_ascii_alphanumeric()
                || matches!(b, b'_' | b'@' | b'%' | b'+' | b':' | b',' | b'.' | b'/' | b'-')
        })
}

/// Words that a shell reads as grammar at the start of a command; quoting takes that away.
fn is_reserved(word: &str) -> bool {
    matches!(
        word,
        "if" | "then"
            | "else"
            | "elif"
            | "fi"
            | "do"
            | "done"
            | "case"
            | "esac"
            | "while"
            | "until"
            | "for"
            | "in"
            | "function"
            | "select"
            | "time"
            | "coproc"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn globs_are_bare_and_everything_around_them_is_quoted_as_always() {
        let rendered = |text: &str, globs: &[usize]| {
            let mut out = String::new();
            Word::with_globs(text, globs).unwrap().render(false, &mut out);
            out
        };
        assert_eq!(rendered("/var/log/*.log", &[9]), "/var/log/*.log");
        assert_eq!(rendered("/var/log/*.log", &[]), "'/var/log/*.log'");
        assert_eq!(rendered("a b*c?[!a-z]", &[3, 5, 6]), "'a b'*c?[!a-z]");
        assert_eq!(rendered("**", &[1]), "'*'*");
    }

    #[test]
    fn pieces_are_the_whole_word() {
        let word = Word::with_globs("a*[b-d]e?", &[1, 2, 8]).unwrap();
        let pieces: Vec<_> = word.pieces().collect();
        assert_eq!(
            pieces,
            [Piece::Literal("a"), Piece::AnyText, Piece::Set("b-d"), Piece::Literal("e"), Piece::AnyChar]
        );
        assert_eq!(word.literal(), None);
        assert_eq!(Word::new("a*").unwrap().literal(), Some("a*"));
        assert_eq!(Word::new("").unwrap().pieces().count(), 0);
    }

    #[test]
    fn a_glob_stands_where_it_is_said_to() {
        for (text, globs) in [
            ("a", &[0][..]),
            ("*", &[1]),
            ("[a", &[0]),
            ("[]", &[0]),
            ("[^a]", &[0]),
            ("[!]", &[0]),
            ("[a b]", &[0]),
            ("[[:alpha:]]", &[0]),
            ("**", &[1, 0]),
            ("[*]", &[0]),
            ("é*", &[1]),
        ] {
            assert_eq!(Word::with_globs(text, globs), Err(InvalidCommand::Glob), "{text} {globs:?}");
        }
    }
}
