//! Whether a glob of a command could become a name that a policy forbids without saying where.
//!
//! Every `*` could become every name, and so every command with one would be denied by every forbidden name. A name counts
//! when it would be a path segment from its start, and the segment is written as globs alone (`/etc/*` finds `shadow`) or
//! with some of the name in it (`/etc/s*`, `/etc/*ow`); `/var/log/*.log` is no way to write `shadow`.

use super::{
    glob::Token,
    meets::{Line, common},
    symbols::Symbol,
};

/// Names that stand in one place on every host: a glob that cannot lead there is no way to write them.
const AT_HOME: [(&str, &str); 9] = [
    ("shadow", "/etc/"),
    ("gshadow", "/etc/"),
    ("passwd", "/etc/"),
    ("sudoers", "/etc/"),
    ("id_rsa", ".ssh"),
    ("id_ed25519", ".ssh"),
    ("id_ecdsa", ".ssh"),
    ("authorized_keys", ".ssh"),
    ("known_hosts", ".ssh"),
];

/// Whether some glob of the line, if it is all of its path segment, could lead to where `name` stands; yes for names that
/// may stand anywhere.
pub(crate) fn leads_home(name: &str, line: &Line) -> bool {
    let Some((_, home)) = AT_HOME.iter().find(|(known, _)| *known == name) else { return true };
    line.globbed.iter().any(|(start, end)| {
        let word = line.symbols.get(*start..*end).unwrap_or_default();
        let shown = super::symbols::show(word);
        let value = shown.split_once('=').map_or(shown.as_str(), |(_, value)| value);
        let before = value.split(['*', '?']).next().unwrap_or_default();
        // What has something of the name written counts wherever it is.
        let is_glob = |c: char| matches!(c, '*' | '?');
        let is_written = |segment: &str| {
            let before = segment.split(is_glob).next().unwrap_or_default();
            let after = segment.rsplit(is_glob).next().unwrap_or_default();
            let begins = !before.is_empty() && name.starts_with(before);
            segment.contains(is_glob) && (begins || (!after.is_empty() && name.ends_with(after)))
        };
        if value.split('/').any(is_written) {
            return true;
        }
        let is_up = value.contains("..");
        match home.strip_prefix('/') {
            Some(_) => {
                is_up || (before.starts_with('/') && (home.starts_with(before) || before.starts_with(home)))
            }
            None => is_up || value.contains(home),
        }
    })
}

/// What has been seen of the segment, as a set of bits, because several ways lead to one place.
type States = u8;
/// Nothing of the name yet.
const FRESH: States = 1;
/// Some of the name is written in it.
const WRITTEN: States = 2;
/// All of the name so far is guessed, though the segment has other characters.
const GUESSED: States = 4;
/// All of the name so far is guessed, and the segment is globs alone.
const FOUND: States = 8;

/// Where in a word a name may begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Start {
    /// Where a path segment does.
    Segment,
    /// Where the word or a value in it does: the name is an absolute path.
    Word,
    /// Anywhere: the name says itself, with its first character, what is before it.
    Anywhere,
}

/// Whether the line could become what the tokens, of which the first is a star, stand for.
pub(crate) fn could_name(tokens: &[Token], line: &Line, start: Start) -> bool {
    let segments = Segments::of(line);
    let mut now: Vec<States> = vec![0; line.symbols.len() + 1];
    if let Some(first) = now.first_mut() {
        *first = FRESH;
    }
    for (index, token) in tokens.iter().enumerate() {
        stay(line, &mut now, Some(token));
        if index == 1 {
            for (at, states) in now.iter_mut().enumerate() {
                if !segments.starts(at, start) {
                    *states = 0;
                }
            }
        }
        now = step(line, &segments, &now, token);
        if now.iter().all(|states| *states == 0) {
            return false;
        }
    }
    stay(line, &mut now, None);
    now.last().is_some_and(|states| states & !GUESSED != 0)
}

/// The path segments of a line.
struct Segments<'a> {
    line: &'a Line,
    /// Whether the segment of this place is globs alone.
    pure: Vec<bool>,
}

const fn ends_segment(symbol: &Symbol) -> bool {
    matches!(symbol, Symbol::Char('/' | ' ' | '='))
}

// === impl Segments ===

impl<'a> Segments<'a> {
    fn of(line: &'a Line) -> Self {
        let is_glob = |symbol: &Symbol| matches!(symbol, Symbol::Text | Symbol::One | Symbol::Set(_));
        let pure = |part: &[Symbol]| part.iter().all(|symbol| ends_segment(symbol) || is_glob(symbol));
        let parts = line.symbols.split_inclusive(ends_segment);
        Self { line, pure: parts.flat_map(|part| vec![pure(part); part.len()]).collect() }
    }

    fn is_pure(&self, at: usize) -> bool {
        self.pure.get(at).copied().unwrap_or_default()
    }

    fn starts(&self, at: usize, start: Start) -> bool {
        let before = at.checked_sub(1).and_then(|before| self.line.symbols.get(before));
        match start {
            Start::Anywhere => true,
            Start::Word => matches!(before, None | Some(Symbol::Char(' ' | '=' | ':'))),
            Start::Segment => matches!(before, None | Some(Symbol::Char(' ' | '=' | ':' | '/'))),
        }
    }
}

fn add(places: &mut [States], at: usize, states: States) {
    if let Some(place) = places.get_mut(at) {
        *place |= states;
    }
}

/// Moves over symbols without a token.
fn stay(line: &Line, now: &mut [States], token: Option<&Token>) {
    let star = token == Some(&Token::Star);
    // The second round takes what came back to the start of a word with globs; nothing new comes back from that.
    for _ in 0..2 {
        for (at, symbol) in line.symbols.iter().enumerate() {
            let from = now.get(at).copied().unwrap_or_default();
            if star {
                add(now, at + 1, settled(from));
            } else if matches!(symbol, Symbol::Text | Symbol::Unknown) {
                add(now, at + 1, from);
            }
        }
        if !star {
            return;
        }
        for (start, end) in &line.globbed {
            let from = now.get(*end).copied().unwrap_or_default();
            add(now, *start, settled(from));
        }
    }
}

fn step(line: &Line, segments: &Segments<'_>, now: &[States], token: &Token) -> Vec<States> {
    if *token == Token::Star {
        return now.iter().map(|states| settled(*states)).collect();
    }
    let mut next = vec![0; now.len()];
    for (at, symbol) in line.symbols.iter().enumerate() {
        let states = now.get(at).copied().unwrap_or_default();
        if states == 0 {
            continue;
        }
        // Names that begin with a dot are found only by a dot that is written.
        let hidden = *token == Token::Char('.') && segments.starts(at, Start::Segment);
        let states_after = if hidden { states & !FRESH } else { states };
        let guessed = guess(states_after, segments.is_pure(at));
        match symbol {
            Symbol::Char(c) if !token.is(*c) => {}
            _ if ends_segment(symbol) => add(&mut next, at + 1, settled(states)),
            Symbol::Char(_) => add(&mut next, at + 1, WRITTEN),
            Symbol::Unknown => add(&mut next, at, guess(states, false)),
            Symbol::Text if common(token, |_| true) => add(&mut next, at, guessed),
            Symbol::One if common(token, |_| true) => add(&mut next, at + 1, guessed),
            Symbol::Set(set) if common(token, |c| set.contains(c)) => add(&mut next, at + 1, guessed),
            Symbol::Text | Symbol::One | Symbol::Set(_) => {}
        }
    }
    if token.is(' ') {
        for (start, end) in &line.globbed {
            let states = now.get(*end).copied().unwrap_or_default();
            add(&mut next, *start, settled(states));
        }
    }
    next
}

/// The states at the end of a segment, or of a run of characters: what is only guessed counts for nothing.
const fn settled(states: States) -> States {
    if states & !GUESSED == 0 { 0 } else { FRESH }
}

/// The states after one more character of the name is guessed.
const fn guess(states: States, pure: bool) -> States {
    let mut after = states & (WRITTEN | GUESSED | FOUND);
    if states & FRESH != 0 {
        after |= if pure { FOUND } else { GUESSED };
    }
    after
}

#[cfg(test)]
mod tests {
    use super::{
        super::{glob::Glob, meets::tests::line},
        *,
    };

    fn could(glob: &str, text: &str, start: Start) -> bool {
        could_name(Glob::parse(glob).tokens(), &line(text), start)
    }

    #[test]
    fn a_name_counts_where_it_is_a_segment_that_is_written_so() {
        for text in [
            "cat /etc/*",
            "cat /etc/s*",
            "cat /etc/*w",
            "cat /etc/s*w",
            "cat /etc/??????",
            "cat /etc/s*.bak",
            "cat *",
            "cat /*/*",
        ] {
            assert!(could("*shadow*", text, Start::Segment), "{text}");
        }
        for text in ["cat /var/*.log", "cat /etc/as*", "cat /etc/*.s", "cat /etc/?", "cat /etc/x"] {
            assert!(!could("*shadow*", text, Start::Segment), "{text}");
        }
        for text in ["cat /r*", "cat /*", "cat /?oot/x", "cat --x=/r*"] {
            assert!(could("*/root*", text, Start::Word), "{text}");
        }
        for text in ["cat /var/log/*", "cat /var/log/r*", "cat /var/log/*.log"] {
            assert!(!could("*/root*", text, Start::Word), "{text}");
        }
        assert!(could("*/secrets/*", "cat /srv/*/x", Start::Anywhere));
        assert!(!could("*/.ssh/*", "cat /home/*/x", Start::Anywhere), "a star finds no hidden name");
        assert!(could("*/.ssh/*", "cat /home/.s*/x", Start::Anywhere));
        assert!(could("* /etc/sudoers*", "cat /etc/s*", Start::Anywhere));
        assert!(!could("* /etc/sudoers*", "wc -l /etc/*.conf", Start::Anywhere));
    }
}
