//! Whether a glob of a policy and a command with globs have a text in common: both are automata, and their product is
//! walked once, in time linear in the product of their lengths.

use super::{
    glob::Token,
    symbols::{Symbol, Symbols},
};

/// A command as one line, in which words with globs may become several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    pub(crate) symbols: Symbols,
    /// Where the words with globs begin and end.
    pub(crate) globbed: Vec<(usize, usize)>,
}

/// What the host's shell is taken to find.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Guess {
    /// Any names, and several for one word.
    Anything,
    /// One name for each word.
    OneEach,
}

/// The most characters of the glob that are written in the command, over all texts in common; `None` when there is none.
/// Blanks do not count: they are in every command.
pub(crate) fn meets(tokens: &[Token], line: &Line, guess: Guess) -> Option<usize> {
    let walk = Walk { line, guess };
    let mut now: Vec<Option<usize>> = vec![None; line.symbols.len() + 1];
    now[0] = Some(0);
    for token in tokens {
        walk.stay(&mut now, Some(token));
        if now.iter().all(Option::is_none) {
            return None;
        }
        now = walk.step(&now, token);
    }
    walk.stay(&mut now, None);
    now.last().copied().flatten()
}

struct Walk<'a> {
    line: &'a Line,
    guess: Guess,
}

fn raise(place: Option<&mut Option<usize>>, by: Option<usize>) {
    if let Some(place) = place {
        *place = (*place).max(by);
    }
}

/// Characters that are taken to be in the names of files.
fn in_names(c: char) -> bool {
    !c.is_whitespace() && !"/|&;<>(){}'\"`$".contains(c)
}

// === impl Walk ===

impl Walk<'_> {
    fn several(&self) -> &[(usize, usize)] {
        if self.guess == Guess::OneEach { &[] } else { &self.line.globbed }
    }

    /// Moves over symbols without a token: globs that stand for nothing, and everything under a star.
    fn stay(&self, now: &mut [Option<usize>], token: Option<&Token>) {
        let star = token == Some(&Token::Star);
        // The second round takes what came back to the start of a word with globs; nothing new comes back from that.
        for _ in 0..2 {
            for (at, symbol) in self.line.symbols.iter().enumerate() {
                if star || matches!(symbol, Symbol::Text | Symbol::Unknown) {
                    let from = now.get(at).copied().flatten();
                    raise(now.get_mut(at + 1), from);
                }
            }
            if !star {
                return;
            }
            for (start, end) in self.several() {
                let from = now.get(*end).copied().flatten();
                raise(now.get_mut(*start), from);
            }
        }
    }

    fn step(&self, now: &[Option<usize>], token: &Token) -> Vec<Option<usize>> {
        if *token == Token::Star {
            return now.to_vec();
        }
        let mut next = vec![None; now.len()];
        for (at, symbol) in self.line.symbols.iter().enumerate() {
            let Some(written) = now.get(at).copied().flatten() else { continue };
            match symbol {
                Symbol::Char(c) if token.is(*c) => {
                    let exact = matches!(token, Token::Char(c) if *c != ' ');
                    raise(next.get_mut(at + 1), Some(written + usize::from(exact)));
                }
                Symbol::Char(_) => {}
                Symbol::Unknown => raise(next.get_mut(at), Some(written)),
                Symbol::Text if in_some_name(token) => raise(next.get_mut(at), Some(written)),
                Symbol::One if in_some_name(token) => raise(next.get_mut(at + 1), Some(written)),
                Symbol::Set(set) if common(token, |c| set.contains(c)) => {
                    raise(next.get_mut(at + 1), Some(written));
                }
                Symbol::Text | Symbol::One | Symbol::Set(_) => {}
            }
        }
        if token.is(' ') {
            for (start, end) in self.several() {
                raise(next.get_mut(*start), now.get(*end).copied().flatten());
            }
        }
        next
    }
}

fn in_some_name(token: &Token) -> bool {
    common(token, |_| true)
}

/// Whether the token stands for a character of names that `is` takes. Sets of the policy are taken to.
pub(crate) fn common(token: &Token, is: impl Fn(char) -> bool) -> bool {
    match token {
        Token::Char(c) => in_names(*c) && is(*c),
        Token::One | Token::Set(_) | Token::Star => true,
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::{glob::Glob, symbols};
    use super::*;

    /// A line in which every `*` and `?` is a glob.
    pub(crate) fn line(text: &str) -> Line {
        let mut line = Line { symbols: Vec::new(), globbed: Vec::new() };
        for word in text.split(' ') {
            if !line.symbols.is_empty() {
                line.symbols.push(Symbol::Char(' '));
            }
            let start = line.symbols.len();
            line.symbols.extend(symbols::of_text(word).into_iter().map(|symbol| match symbol {
                Symbol::Char('*') => Symbol::Text,
                Symbol::Char('?') => Symbol::One,
                other => other,
            }));
            if word.contains(['*', '?']) {
                line.globbed.push((start, line.symbols.len()));
            }
        }
        line
    }
    fn common_text(glob: &str, text: &str, guess: Guess) -> Option<usize> {
        meets(Glob::parse(glob).tokens(), &line(text), guess)
    }

    #[test]
    fn a_glob_meets_what_a_command_could_become() {
        for (glob, text) in [
            ("cat /etc/shadow", "cat /etc/sh*"),
            ("cat /etc/shadow", "cat /etc/*"),
            ("cat /etc/shadow", "cat /???/s?????"),
            ("cat /etc/*", "cat /*/shadow"),
            ("cat * /etc/shadow", "cat /etc/*"),
            ("* b c", "x *"),
            ("a", "a"),
        ] {
            assert!(common_text(glob, text, Guess::Anything).is_some(), "{glob} and {text}");
        }
        for (glob, text) in [
            ("cat /etc/shadow", "cat /*"),
            ("cat /etc/shadow", "cat /var/*"),
            ("cat /etc/shadow", "cat /etc/sh?"),
            ("rm *", "ls *"),
            ("ls a b", "ls x*"),
            ("ls (x", "ls *"),
        ] {
            assert_eq!(common_text(glob, text, Guess::Anything), None, "{glob} and {text}");
        }
    }

    #[test]
    fn what_is_written_is_counted() {
        assert_eq!(common_text("*shadow*", "cat /etc/shad*", Guess::Anything), Some(4));
        assert_eq!(common_text("*shadow*", "cat /etc/*", Guess::Anything), Some(0));
        assert_eq!(common_text("*password*", "cat app*", Guess::Anything), Some(1));
        assert_eq!(common_text("*ssh *", "ls /etc/ssh*", Guess::OneEach), None);
        assert_eq!(common_text("*ssh *", "ls /etc/ssh*", Guess::Anything), Some(3));
    }
}
