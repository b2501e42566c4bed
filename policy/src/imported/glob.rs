//! Globs as Python's `fnmatch` reads them: `*`, `?`, `[seq]`, `[!seq]`; whole text, case-sensitive, no escape.

/// One piece of a glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Token {
    /// This character.
    Char(char),
    /// `*`: any characters, none too; never twice in a row.
    Star,
    /// `?`: any one character.
    One,
    /// `[…]`: one of a set.
    Set(Set),
}

/// A set of characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Set {
    negated: bool,
    /// First and last of each range; one whose first is above its last has no members.
    ranges: Vec<(char, char)>,
}

/// A glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Glob(Vec<Token>);

// === impl Set ===

impl Set {
    /// The set between the brackets of `[…]`; a leading `!` negates it.
    pub(crate) fn parse(inner: &str) -> Self {
        let (negated, members) = match inner.strip_prefix('!') {
            Some(members) => (true, members),
            None => (false, inner),
        };
        let members: Vec<char> = members.chars().collect();
        let mut ranges = Vec::new();
        let mut rest = members.as_slice();
        loop {
            rest = match rest {
                [first, '-', last, after @ ..] => {
                    ranges.push((*first, *last));
                    after
                }
                [only, after @ ..] => {
                    ranges.push((*only, *only));
                    after
                }
                [] => return Self { negated, ranges },
            };
        }
    }

    /// Whether `c` is a member.
    pub(crate) fn contains(&self, c: char) -> bool {
        self.ranges.iter().any(|(first, last)| (*first..=*last).contains(&c)) != self.negated
    }
}

// === impl Token ===

impl Token {
    /// Whether the token, not a star, stands for `c`.
    pub(crate) fn is(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::One => true,
            Self::Set(set) => set.contains(c),
            Self::Star => false,
        }
    }
}

// === impl Glob ===

impl Glob {
    /// Reads a glob; every text is one.
    pub(crate) fn parse(text: &str) -> Self {
        let mut tokens = Vec::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let after = rest.get(c.len_utf8()..).unwrap_or_default();
            rest = after;
            tokens.push(match c {
                '*' => Token::Star,
                '?' => Token::One,
                '[' => match set_end(after) {
                    Some(end) => {
                        rest = after.get(end + 1..).unwrap_or_default();
                        Token::Set(Set::parse(after.get(..end).unwrap_or_default()))
                    }
                    None => Token::Char('['),
                },
                _ => Token::Char(c),
            });
        }
        Self::of(tokens)
    }

    /// The glob of these tokens.
    pub(crate) fn of(mut tokens: Vec<Token>) -> Self {
        tokens.dedup_by(|a, b| *a == Token::Star && *b == Token::Star);
        Self(tokens)
    }

    pub(crate) fn tokens(&self) -> &[Token] {
        &self.0
    }

    /// Whether the whole of `text` is what the glob stands for.
    pub(crate) fn matches(&self, text: &str) -> bool {
        let chars: Vec<char> = text.chars().collect();
        fits(&self.0, &chars, |token, c| token.is(*c))
    }
}

/// Where the set ends that begins behind a `[`: a `]` that is not its first member.
fn set_end(after: &str) -> Option<usize> {
    let members = after.strip_prefix('!').unwrap_or(after);
    let first = members.chars().next()?;
    let from = after.len() - members.len() + first.len_utf8();
    Some(from + after.get(from..)?.find(']')?)
}

/// Whether `tokens` stand for all of `items`, a star for any of them, another token for what `is` says. Goes back to the
/// last star only, so the time is at most the product of the lengths.
pub(crate) fn fits<T>(tokens: &[Token], items: &[T], is: impl Fn(&Token, &T) -> bool) -> bool {
    let (mut token, mut item) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    loop {
        match (tokens.get(token), items.get(item)) {
            (None, None) => return true,
            (Some(Token::Star), _) => {
                star = Some((token, item));
                token += 1;
                continue;
            }
            (Some(own), Some(other)) if is(own, other) => {
                token += 1;
                item += 1;
                continue;
            }
            _ => {}
        }
        let Some((back, from)) = star.filter(|(_, from)| *from < items.len()) else { return false };
        star = Some((back, from + 1));
        token = back + 1;
        item = from + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(glob: &str, yes: &[&str], no: &[&str]) {
        let parsed = Glob::parse(glob);
        for text in yes {
            assert!(parsed.matches(text), "{glob} must match {text}");
        }
        for text in no {
            assert!(!parsed.matches(text), "{glob} must not match {text}");
        }
    }

    #[test]
    fn globs_match_as_fnmatch_does() {
        check("", &[""], &["a"]);
        check("*", &["", "a b/c\n"], &[]);
        check("a*b*c", &["abc", "a b c", "abbcc", "aXbcbc"], &["ab", "acb", "abcd"]);
        check("???", &["abc", "a/b", "äöü"], &["ab", "abcd"]);
        check("[a-c]x", &["ax", "cx"], &["dx", "x", "-x"]);
        check("[!a-c]x", &["dx", "!x"], &["ax", "x"]);
        check("[]a]", &["]", "a"], &["[]a]"]);
        check("[!]a]", &["b"], &["]", "a"]);
        check("[a", &["[a"], &["a"]);
        check("[]", &["[]"], &["", "]"]);
        check("[a-]", &["a", "-"], &["b"]);
        check("[a-c-e]", &["b", "-", "e"], &["d"]);
        check("[--a]", &["-", ".", "A", "a"], &["b"]);
        check("[b-a]", &[], &["a", "b", "-"]);
        check("[!b-a]", &["a", "b"], &[""]);
        check("[^a]", &["^", "a"], &["b"]);
        check("\\*", &["\\", "\\x"], &["*"]);
        check("{a,b}", &["{a,b}"], &["a"]);
        check("Web*", &["Web1"], &["web1"]);
    }
}
