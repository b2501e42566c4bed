//! A command as a glob: its words with what the host's shell may put in the place of their globs.

use lictor_core::command::{Piece, Simple, Word};

use super::glob::Set;

/// One place of a word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Symbol {
    /// This character.
    Char(char),
    /// `*`: any characters of one path segment.
    Text,
    /// `?`: one character of a path segment.
    One,
    /// `[…]`: one character of a path segment.
    Set(Set),
    /// Words that come from elsewhere: what `xargs` reads, what `find` finds.
    Unknown,
}

/// A word, place by place.
pub(crate) type Symbols = Vec<Symbol>;

/// The words of a simple command.
pub(crate) fn of_simple(simple: &Simple) -> Vec<Symbols> {
    simple.words().iter().map(of_word).collect()
}

/// A word of a command.
pub(crate) fn of_word(word: &Word) -> Symbols {
    let mut symbols = Vec::new();
    for piece in word.pieces() {
        match piece {
            Piece::Literal(text) => symbols.extend(text.chars().map(Symbol::Char)),
            Piece::AnyText => symbols.push(Symbol::Text),
            Piece::AnyChar => symbols.push(Symbol::One),
            Piece::Set(inner) => symbols.push(Symbol::Set(Set::parse(inner))),
        }
    }
    symbols
}

/// Literal text.
pub(crate) fn of_text(text: &str) -> Symbols {
    text.chars().map(Symbol::Char).collect()
}

/// The text of symbols that are all characters.
pub(crate) fn literal(symbols: &[Symbol]) -> Option<String> {
    symbols.iter().map(|symbol| if let Symbol::Char(c) = symbol { Some(*c) } else { None }).collect()
}

/// How the symbols are shown to people.
pub(crate) fn show(symbols: &[Symbol]) -> String {
    symbols
        .iter()
        .map(|symbol| match symbol {
            Symbol::Char(c) => *c,
            Symbol::Text => '*',
            Symbol::One | Symbol::Set(_) => '?',
            Symbol::Unknown => '…',
        })
        .collect()
}

pub(crate) fn is_literal(symbols: &[Symbol]) -> bool {
    symbols.iter().all(|symbol| matches!(symbol, Symbol::Char(_)))
}

pub(crate) fn has(symbols: &[Symbol], c: char) -> bool {
    symbols.contains(&Symbol::Char(c))
}

pub(crate) fn starts_with(symbols: &[Symbol], c: char) -> bool {
    symbols.first() == Some(&Symbol::Char(c))
}

/// The segments of a path; globs never stand for a `/`.
pub(crate) fn segments(symbols: &[Symbol]) -> impl Iterator<Item = &[Symbol]> {
    symbols.split(|symbol| *symbol == Symbol::Char('/'))
}

/// Whether the segment is `..` and nothing else.
pub(crate) fn is_up(segment: &[Symbol]) -> bool {
    segment == [Symbol::Char('.'), Symbol::Char('.')]
}

/// Whether the segment is `.` or empty, which changes nothing.
pub(crate) fn is_here(segment: &[Symbol]) -> bool {
    segment.is_empty() || segment == [Symbol::Char('.')]
}

/// Whether a segment with globs may expand to `.` or `..`. Names that begin with a dot are only found by a dot that is
/// written, or perhaps by a set that has one.
pub(crate) fn may_be_dots(segment: &[Symbol]) -> bool {
    let written = match segment.first() {
        Some(Symbol::Char('.')) => true,
        Some(Symbol::Set(set)) => set.contains('.'),
        _ => false,
    };
    let dot = |symbol: &Symbol| match symbol {
        Symbol::Char(c) => *c == '.',
        Symbol::Set(set) => set.contains('.'),
        Symbol::Text | Symbol::One | Symbol::Unknown => true,
    };
    let fewest = segment.iter().filter(|s| !matches!(s, Symbol::Text | Symbol::Unknown)).count();
    written && !is_literal(segment) && segment.iter().all(dot) && fewest <= 2
}

/// A path with `.`, `//` and `..` taken out, as far as its text tells; what goes up from its start stays.
pub(crate) fn normal(path: &[Symbol]) -> Symbols {
    let absolute = starts_with(path, '/');
    let mut kept: Vec<&[Symbol]> = Vec::new();
    for segment in segments(path) {
        match kept.last() {
            _ if is_here(segment) => {}
            Some(last) if is_up(segment) && !is_up(last) => {
                kept.pop();
            }
            None if is_up(segment) && absolute => {}
            _ => kept.push(segment),
        }
    }
    let mut out = if absolute { vec![Symbol::Char('/')] } else { Vec::new() };
    out.extend(kept.join(&Symbol::Char('/')));
    let ends_in_slash = path.last() == Some(&Symbol::Char('/'));
    if ends_in_slash && out.last().is_some_and(|last| *last != Symbol::Char('/')) {
        out.push(Symbol::Char('/'));
    }
    out
}

/// The last segment of a program's name.
pub(crate) fn base_name(program: &[Symbol]) -> &[Symbol] {
    segments(program).last().unwrap_or(program)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn word(text: &str, globs: &[usize]) -> Symbols {
        of_word(&Word::with_globs(text, globs).unwrap())
    }

    #[test]
    fn paths_lose_what_does_not_change_them() {
        for (path, plain) in [
            ("/etc//shadow", "/etc/shadow"),
            ("/etc/./shadow", "/etc/shadow"),
            ("/var/../etc/shadow", "/etc/shadow"),
            ("/../../etc", "/etc"),
            ("/var/log/", "/var/log/"),
            ("/", "/"),
            ("a/../../b", "../b"),
            ("../../b", "../../b"),
            ("./x", "x"),
            ("http://h/x", "http:/h/x"),
        ] {
            assert_eq!(show(&normal(&of_text(path))), plain, "{path}");
        }
    }

    #[test]
    fn globs_that_find_the_directory_above_are_known() {
        for (text, globs) in
            [(".*", &[1][..]), (".?", &[1]), ("..*", &[2]), ("[.]?", &[0, 3]), (".[.]", &[1])]
        {
            assert!(may_be_dots(&word(text, globs)), "{text}");
        }
        for (text, globs) in
            [("*", &[0][..]), ("??", &[0, 1]), (".c*", &[2]), (".???", &[1, 2, 3]), ("[a-c]?", &[0, 5])]
        {
            assert!(!may_be_dots(&word(text, globs)), "{text}");
        }
    }
}
