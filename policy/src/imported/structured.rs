//! Rules of the first-match dialect: programs by name, with the words that must stand where.

use super::{
    anchor::WordGlob,
    glob::{Token, fits},
    meets::{Guess, Line, meets},
    symbols::{self, Symbol, Symbols},
    wrapped::Run,
};

/// What a simple command of [`Structured::simple`] may not have in any argument; the dialect's own list.
const NOT_SIMPLE: [&str; 6] = [";", "&&", "||", "|", "`", "$("];

/// What the dialect never allows in a command, wherever it stands.
const NEVER: [&str; 2] = ["`", "$("];

/// A rule's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Structured {
    /// Programs that take any arguments.
    pub(crate) simple: Vec<String>,
    /// Most arguments of a simple program; `None`: any number.
    pub(crate) simple_max: Option<usize>,
    /// The program of what follows.
    pub(crate) binary: Option<String>,
    /// The first arguments.
    pub(crate) prefix: Vec<String>,
    /// Places, from the program as 0 or from the end as -1, and what may stand there.
    pub(crate) paths: Option<(Vec<i64>, Vec<PathGlob>)>,
    /// Whether more arguments are free.
    pub(crate) extra: bool,
}

/// A glob for one word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PathGlob(pub(crate) WordGlob);

/// Whether the dialect could allow the command at all: its program is a bare name and no word looks like a substitution.
pub(crate) fn is_speakable(words: &[Symbols]) -> bool {
    let shown: Vec<String> = words.iter().map(|word| symbols::show(word)).collect();
    let program = shown.first().is_some_and(|program| !program.is_empty() && !program.contains('/'));
    program && !NEVER.iter().any(|never| shown.iter().any(|word| word.contains(never)))
}

// === impl Structured ===

impl Structured {
    /// Whether the words, and everything that their globs may become, are what the rule speaks of.
    pub(crate) fn allows(&self, words: &[Symbols]) -> bool {
        let Some(program) = words.first().and_then(|word| symbols::literal(word)) else { return false };
        self.allows_simple(&program, words)
            || (self.binary.as_deref() == Some(&*program) && self.allows_places(words))
    }

    fn allows_simple(&self, program: &str, words: &[Symbols]) -> bool {
        let arguments = words.get(1..).unwrap_or_default();
        let counted = self.simple_max.is_none_or(|max| {
            // A glob may become any number of arguments.
            arguments.len() <= max && arguments.iter().all(|word| symbols::is_literal(word))
        });
        let plain = |word: &Symbols| {
            let shown = symbols::show(word);
            !NOT_SIMPLE.iter().any(|bad| shown.contains(bad))
        };
        self.simple.iter().any(|name| name == program) && counted && arguments.iter().all(plain)
    }

    fn allows_places(&self, words: &[Symbols]) -> bool {
        if self.prefix.is_empty() && self.paths.is_none() {
            return false;
        }
        if !self.extra && (!words.iter().all(|word| symbols::is_literal(word)) || !self.is_exact(words.len()))
        {
            return false;
        }
        let is_prefix = self.prefix.iter().enumerate().all(|(at, expected)| {
            words.get(at + 1).and_then(|word| symbols::literal(word)).as_deref() == Some(expected)
        });
        is_prefix
            && self
                .paths
                .as_ref()
                .is_none_or(|(places, globs)| places.iter().all(|place| self.allows_at(*place, globs, words)))
    }

    /// A glob before a place that is counted from the start, or behind one that is counted from the end, would move it.
    fn allows_at(&self, place: i64, globs: &[PathGlob], words: &[Symbols]) -> bool {
        let Some(at) = index(place, words.len()) else { return false };
        let Some(word) = words.get(at) else { return false };
        let between = if place < 0 { words.get(at + 1..) } else { words.get(..at) };
        between.unwrap_or_default().iter().all(|word| symbols::is_literal(word))
            && globs.iter().any(|glob| glob.0.matches(word))
    }

    /// What `allow_extra_args: false` says of the number of words.
    fn is_exact(&self, words: usize) -> bool {
        let arguments = words.saturating_sub(1);
        let Some((places, _)) = &self.paths else { return arguments == self.prefix.len() };
        if self.prefix.is_empty() {
            return arguments == places.len();
        }
        let mut named: Vec<usize> =
            places.iter().filter_map(|place| usize::try_from(*place - 1).ok()).collect();
        named.sort_unstable();
        named.dedup();
        let behind = self.prefix.len()..arguments;
        arguments == self.prefix.len() + named.len() && behind.into_iter().all(|at| named.contains(&at))
    }

    /// Whether a deny rule of these words is about what runs, or could become so.
    pub(crate) fn denies(&self, run: &Run) -> bool {
        let Some((program, arguments)) = run.words.split_first() else { return false };
        let program = symbols::base_name(program);
        let named = |name: &str| could_be(program, name.rsplit('/').next().unwrap_or(name));
        let fixed = arguments.iter().all(|word| symbols::is_literal(word));
        let few = self.simple_max.is_none_or(|max| arguments.len() <= max || !fixed);
        if few && self.simple.iter().any(|name| named(name)) {
            return true;
        }
        if !self.binary.as_deref().is_some_and(named) || (self.prefix.is_empty() && self.paths.is_none()) {
            return false;
        }
        if fixed && !self.extra && !self.is_exact(run.words.len()) {
            return false;
        }
        let more = arguments.last().is_some_and(|word| word.contains(&Symbol::Unknown));
        let is_prefix = self
            .prefix
            .iter()
            .enumerate()
            .all(|(at, expected)| arguments.get(at).map_or(more, |word| could_be(word, expected)));
        is_prefix
            && self.paths.as_ref().is_none_or(|(places, globs)| {
                places.iter().all(|place| denies_at(*place, globs, &run.words, fixed))
            })
    }
}

/// Words that become several may bring any argument to any place.
fn denies_at(place: i64, globs: &[PathGlob], words: &[Symbols], fixed: bool) -> bool {
    let is_in = |word: &Symbols| globs.iter().any(|glob| could_match(word, &glob.0));
    if !fixed {
        return words.iter().skip(1).any(is_in);
    }
    index(place, words.len()).and_then(|at| words.get(at)).is_some_and(is_in)
}

fn index(place: i64, words: usize) -> Option<usize> {
    if place >= 0 {
        return usize::try_from(place).ok();
    }
    words.checked_sub(usize::try_from(place.unsigned_abs()).ok()?)
}

fn could_be(word: &[Symbol], text: &str) -> bool {
    let tokens: Vec<Token> = text.chars().map(Token::Char).collect();
    meets(&tokens, &line(word.to_vec()), Guess::OneEach).is_some()
}

fn could_match(word: &[Symbol], glob: &WordGlob) -> bool {
    if let Some(text) = symbols::literal(word) {
        let plain = symbols::literal(&symbols::normal(word)).unwrap_or_default();
        let is = |text: &str| fits(glob.tokens(), &text.chars().collect::<Vec<_>>(), |token, c| token.is(*c));
        return is(&text) || is(&plain);
    }
    [word.to_vec(), symbols::normal(word)]
        .into_iter()
        .any(|word| meets(glob.tokens(), &line(word), Guess::OneEach).is_some())
}

fn line(symbols: Symbols) -> Line {
    Line { symbols, globbed: Vec::new() }
}
