//! One word of a glob against one word of a command: a `*` crosses `/`, as it always did, but no `..` leaves the directory
//! that the glob begins with.

use super::{
    glob::{Token, fits},
    symbols::{self, Symbol},
};

/// A word of a glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct WordGlob {
    tokens: Vec<Token>,
    /// How many characters name the directory that the word is anchored in; `None`: it begins with a glob, or has none.
    directory: Option<usize>,
}

// === impl WordGlob ===

impl WordGlob {
    pub(crate) fn new(mut tokens: Vec<Token>) -> Self {
        tokens.dedup_by(|a, b| *a == Token::Star && *b == Token::Star);
        let prefix = tokens.iter().take_while(|token| matches!(token, Token::Char(_))).count();
        let slash = tokens.iter().take(prefix).rposition(|token| *token == Token::Char('/'));
        let anchored = prefix > 0 && prefix < tokens.len();
        Self { directory: anchored.then(|| slash.map_or(0, |at| at + 1)), tokens }
    }

    pub(crate) fn tokens(&self) -> &[Token] {
        &self.tokens
    }

    /// Whether it has no globs.
    pub(crate) fn is_literal(&self) -> bool {
        self.tokens.iter().all(|token| matches!(token, Token::Char(_)))
    }

    /// The text of a word without globs.
    pub(crate) fn literal(&self) -> Option<String> {
        let char = |token: &Token| if let Token::Char(c) = token { Some(*c) } else { None };
        self.tokens.iter().map(char).collect()
    }

    /// Whether it speaks of URLs.
    pub(crate) fn is_url(&self) -> bool {
        let chars = self.tokens.iter().map(|token| if let Token::Char(c) = token { *c } else { '*' });
        chars.collect::<String>().contains("://")
    }

    /// Whether it speaks of paths.
    pub(crate) fn is_path(&self) -> bool {
        self.tokens.contains(&Token::Char('/'))
    }

    /// Whether the word, and everything that its own globs may become, is what the glob stands for.
    pub(crate) fn matches(&self, word: &[Symbol]) -> bool {
        if !self.covers(word) || !self.keeps_authority(word) {
            return false;
        }
        match self.directory {
            Some(directory) => self.stays_in(directory, word),
            None => {
                let goes_up = symbols::segments(word).any(symbols::is_up);
                let unclear = self.is_path() && symbols::segments(word).any(symbols::may_be_dots);
                !unclear && (!goes_up || self.covers(&symbols::normal(word)))
            }
        }
    }

    /// A glob of the command is covered by a star alone: it may find nothing, and then stays as it is written. `?` is
    /// one character in both cases.
    fn covers(&self, word: &[Symbol]) -> bool {
        fits(&self.tokens, word, |token, symbol| match symbol {
            Symbol::Char(c) => token.is(*c),
            Symbol::One => *token == Token::One,
            Symbol::Text | Symbol::Set(_) | Symbol::Unknown => false,
        })
    }

    /// Whether a word keeps the host that a URL glob writes: in `http://localhost*` the star is a port, a path or a query,
    /// never the rest of another name, and never a user before one.
    fn keeps_authority(&self, word: &[Symbol]) -> bool {
        let prefix: String = self
            .tokens
            .iter()
            .map_while(|token| if let Token::Char(c) = token { Some(*c) } else { None })
            .collect();
        let Some((_, authority)) = prefix.split_once("://") else { return true };
        let rest = symbols::show(word.get(prefix.chars().count()..).unwrap_or_default());
        if authority.is_empty() || authority.contains(['/', '?', '#']) || rest.is_empty() {
            return true;
        }
        let own = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let is_whole = authority == "localhost" || authority.ends_with(|c: char| c.is_ascii_digit());
        let first = rest.chars().next().unwrap_or_default();
        !own.contains('@') && first != '.' && (!is_whole || matches!(first, ':' | '/' | '?' | '#'))
    }

    fn stays_in(&self, directory: usize, word: &[Symbol]) -> bool {
        let rest = word.get(directory..).unwrap_or_default();
        if symbols::segments(rest).any(symbols::may_be_dots) {
            return false;
        }
        let mut depth = 0_usize;
        let mut goes_up = false;
        for segment in symbols::segments(rest) {
            if symbols::is_up(segment) {
                goes_up = true;
                let Some(above) = depth.checked_sub(1) else { return false };
                depth = above;
            } else if !symbols::is_here(segment) {
                depth += 1;
            }
        }
        if !goes_up {
            return true;
        }
        let mut plain = word.get(..directory).unwrap_or_default().to_vec();
        plain.extend(symbols::normal(rest));
        self.covers(&plain)
    }
}

#[cfg(test)]
mod tests {
    use lictor_core::command::Word;

    use super::{super::glob::Glob, *};

    fn matches(glob: &str, word: &str, globs: &[usize]) -> bool {
        WordGlob::new(Glob::parse(glob).tokens().to_vec())
            .matches(&symbols::of_word(&Word::with_globs(word, globs).unwrap()))
    }

    #[test]
    fn no_word_leaves_the_directory_of_its_glob() {
        for word in
            ["/var/log/a", "/var/log/a/b", "/var/log/", "/var/log/a/../b", "/var/log/./a", "/var/log/..a"]
        {
            assert!(matches("/var/log/*", word, &[]), "{word}");
        }
        for word in [
            "/var/log/..",
            "/var/log/../x",
            "/var/log/a/../../x",
            "/var/log/a/../../log/x",
            "/var/log",
            "/var/log/./..",
        ] {
            assert!(!matches("/var/log/*", word, &[]), "{word}");
        }
        assert!(!matches("/var/log*", "/var/log/../lib/x", &[]), "what is left must match as well");
        assert!(!matches("--file=/srv/*", "--file=/srv/../etc/x", &[]));
        assert!(!matches("app*", "app/../../x", &[]));
        assert!(matches("*.log", "../x.log", &[]), "a glob that begins with a star anchors nothing");
    }

    #[test]
    fn globs_of_the_command_are_covered_by_stars_of_the_policy() {
        assert!(matches("/var/log/*", "/var/log/*.log", &[9]));
        assert!(matches("/var/log/*.log", "/var/log/a*.log", &[10]));
        assert!(matches("/var/log/?", "/var/log/?", &[9]));
        assert!(matches("/var/log/*", "/var/log/app-[0-9].log", &[13]));
        for (glob, word, globs) in [
            ("/var/log/*.log", "/var/log/a*", &[10][..]),
            ("/var/log/a", "/var/log/?", &[9]),
            ("/var/log/*", "/var/*/x", &[5]),
            ("/var/log/?", "/var/log/*", &[9]),
            ("/var/log/?", "/var/log/[ab]", &[9]),
            ("/var/log/*", "/var/log/.*", &[10]),
            ("/var/log/*", "/var/log/.?/x", &[10]),
            ("/var/log/*", "/var/log/*/../../x", &[9]),
        ] {
            assert!(!matches(glob, word, globs), "{glob} {word}");
        }
    }
}
