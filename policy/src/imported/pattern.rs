//! An allow glob for command lines, word by word. `docs/decisions/0010-imported-globs.md` says why each element is as it
//! is; none lets anything through that the glob did not match as one text.

use super::{
    anchor::WordGlob,
    glob::{Glob, Token},
    operands::{is_interpreter, is_number, may_follow, supplies_operand},
    symbols::{self, Symbol, Symbols},
};

/// What the end of a pattern writes for a redirection of standard error.
const STDERR_TO_STDOUT: &str = "2>&1";

/// An allow glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pattern {
    /// The glob for one text.
    glob: Glob,
    elements: Vec<Element>,
    /// It ends with `2>&1`.
    redirects: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Element {
    /// One word.
    Word(WordGlob),
    /// A `*` on its own between other words: one word that is no option, and any options.
    Middle,
    /// A `*` on its own at the end: one word or more.
    Rest,
    /// A last word that ends with `*`: that word, and any more.
    Open(WordGlob),
    /// A last word with a `*` in it: one such word or more.
    Again(WordGlob),
}

/// Where in an element a match stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    element: usize,
    /// The element has had its word.
    taken: bool,
    /// The word before was an option of a [`Element::Middle`].
    after_option: bool,
}

/// A word of the glob's text.
struct Piece {
    tokens: Vec<Token>,
    quoted: bool,
}

// === impl Pattern ===

impl Pattern {
    /// Reads a glob. Quotes and backslashes are read as in a command line; one that is never closed is a plain character.
    pub(crate) fn parse(text: &str) -> Self {
        let mut pieces = split(Glob::parse(text).tokens());
        let is_redirect =
            |piece: &Piece| !piece.quoted && piece.tokens == Glob::parse(STDERR_TO_STDOUT).tokens();
        let redirects = pieces.len() > 1 && pieces.pop_if(|piece| is_redirect(piece)).is_some();
        let last = pieces.len().saturating_sub(1);
        let elements =
            pieces.into_iter().enumerate().map(|(index, piece)| Element::new(piece, index == last)).collect();
        Self { glob: Glob::parse(text), elements, redirects }
    }

    /// Whether the glob matches a line as one text.
    pub(crate) fn matches_text(&self, line: &str) -> bool {
        self.glob.matches(line)
    }

    /// Whether the words, and everything that their globs may become, are what the glob allows.
    pub(crate) fn matches(&self, words: &[Symbols], redirects: bool) -> bool {
        if self.redirects && !redirects {
            return false;
        }
        let mut places = Vec::new();
        self.enter(&mut places, Place::at(0));
        for word in words {
            let mut next = Vec::new();
            for place in &places {
                self.step(*place, word, &mut next);
            }
            if next.is_empty() {
                return false;
            }
            places = next;
        }
        places.iter().any(|place| match self.elements.get(place.element) {
            None => true,
            Some(element) => place.taken && element.is_repeated(),
        })
    }

    fn enter(&self, places: &mut Vec<Place>, place: Place) {
        if places.contains(&place) {
            return;
        }
        places.push(place);
        if place.taken && self.elements.get(place.element) == Some(&Element::Middle) {
            places.extend(Some(Place::at(place.element + 1)).filter(|next| !places.contains(next)));
        }
    }

    fn step(&self, place: Place, word: &[Symbol], next: &mut Vec<Place>) {
        let Some(element) = self.elements.get(place.element) else { return };
        if place.element == 0 && !place.taken && !element.is_program(word) {
            return;
        }
        let had_its_word = Place { taken: true, after_option: false, ..place };
        match element {
            Element::Word(glob) => {
                if symbols::is_literal(word) && glob.matches(word) {
                    self.enter(next, Place::at(place.element + 1));
                }
            }
            Element::Middle if !symbols::is_literal(word) => {}
            Element::Middle => self.step_middle(place, word, next),
            Element::Rest => self.enter(next, had_its_word),
            Element::Open(glob) => {
                let free = !glob.is_path() || self.is_script(place.element);
                let follows = place.taken && (free || may_follow(glob, word, place.after_option));
                if glob.matches(word) || follows {
                    let after_option = place.taken && symbols::starts_with(word, '-');
                    self.enter(next, Place { after_option, ..had_its_word });
                }
            }
            Element::Again(glob) => {
                if glob.matches(word) {
                    self.enter(next, had_its_word);
                }
            }
        }
    }

    /// A `*` between other words: one operand, and options with what belongs to them.
    fn step_middle(&self, place: Place, word: &[Symbol], next: &mut Vec<Place>) {
        let program = self.program().unwrap_or_default();
        let taken = Place { taken: true, after_option: false, ..place };
        if symbols::starts_with(word, '-') {
            if symbols::has(word, '/') {
                return;
            }
            let option = symbols::show(word);
            let is_value =
                self.is_behind_option(place.element) && is_number(word.get(1..).unwrap_or_default());
            if is_value || supplies_operand(&program, &option) {
                if !place.taken {
                    self.enter(next, taken);
                }
                return;
            }
            return self.enter(next, Place { after_option: true, ..place });
        }
        if place.after_option && is_number(word) {
            self.enter(next, Place { after_option: false, ..place });
        }
        let goes_up = program == "service" && symbols::segments(word).any(symbols::is_up);
        if !place.taken && !goes_up {
            self.enter(next, taken);
        }
    }

    /// The program, where the pattern spells it out.
    fn program(&self) -> Option<String> {
        match self.elements.first()? {
            Element::Word(glob) => glob.literal(),
            _ => None,
        }
    }

    /// Whether the element before is an option that is spelled out, so that the next word is its value.
    fn is_behind_option(&self, element: usize) -> bool {
        let before = element.checked_sub(1).and_then(|before| self.elements.get(before));
        matches!(before, Some(Element::Word(glob)) if glob.literal().is_some_and(|text| text.starts_with('-')))
    }

    /// Whether the element is a program, or the script of an interpreter: what follows are its own arguments.
    fn is_script(&self, element: usize) -> bool {
        element == 0 || (element == 1 && self.program().is_some_and(|name| is_interpreter(&name)))
    }
}

// === impl Place ===

impl Place {
    const fn at(element: usize) -> Self {
        Self { element, taken: false, after_option: false }
    }
}

// === impl Element ===

impl Element {
    fn new(piece: Piece, last: bool) -> Self {
        let star = |token: Option<&Token>| token == Some(&Token::Star) && !piece.quoted;
        if star(piece.tokens.first()) && piece.tokens.len() == 1 {
            return if last { Self::Rest } else { Self::Middle };
        }
        let open = last && star(piece.tokens.last());
        let again = last && !piece.quoted && piece.tokens.contains(&Token::Star);
        let glob = WordGlob::new(piece.tokens);
        match (open, again) {
            (true, _) => Self::Open(glob),
            (false, true) => Self::Again(glob),
            _ => Self::Word(glob),
        }
    }

    /// Whether the word may be the program: a glob for a name is about no path, and about no name with blanks in it.
    fn is_program(&self, word: &[Symbol]) -> bool {
        match self {
            Self::Middle | Self::Rest => true,
            Self::Word(glob) | Self::Open(glob) | Self::Again(glob) => {
                let path = symbols::has(word, '/') && !glob.is_path();
                glob.is_literal() || (!path && !symbols::has(word, ' '))
            }
        }
    }

    const fn is_repeated(&self) -> bool {
        matches!(self, Self::Rest | Self::Open(_) | Self::Again(_))
    }
}

/// The words of a glob's text.
fn split(tokens: &[Token]) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut piece: Option<Piece> = None;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        let blank = matches!(token, Token::Char(c) if c.is_whitespace());
        if blank {
            pieces.extend(piece.take());
            continue;
        }
        let piece = piece.get_or_insert_with(|| Piece { tokens: Vec::new(), quoted: false });
        let rest = tokens.get(at..).unwrap_or_default();
        match token {
            Token::Char(quote @ ('\'' | '"')) => match rest.iter().position(|t| t == token) {
                Some(length) => {
                    piece.quoted = true;
                    piece.tokens.extend(unescaped(rest.get(..length).unwrap_or_default(), *quote));
                    at += length + 1;
                }
                None => piece.tokens.push(token.clone()),
            },
            Token::Char('\\') if matches!(rest.first(), Some(Token::Char(_))) => {
                piece.tokens.extend(rest.first().cloned());
                at += 1;
            }
            _ => piece.tokens.push(token.clone()),
        }
    }
    pieces.extend(piece);
    pieces
}

/// Inside double quotes a backslash still protects these.
fn unescaped(tokens: &[Token], quote: char) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::new();
    for token in tokens {
        let protected = quote == '"' && matches!(token, Token::Char('$' | '`' | '\\'));
        if protected && out.last() == Some(&Token::Char('\\')) {
            out.pop();
        }
        out.push(token.clone());
    }
    out
}

#[cfg(test)]
mod tests {
    use lictor_core::command::{Simple, Word};

    use super::*;

    /// `words` apart by blanks; every `*` is a glob, `_` a blank.
    fn matches(pattern: &str, words: &str) -> bool {
        let words = words.split(' ').map(|word| {
            let text = word.replace('_', " ");
            let globs: Vec<usize> = text.match_indices('*').map(|(at, _)| at).collect();
            Word::with_globs(&text, &globs).unwrap()
        });
        let simple = Simple::new(words.collect(), false).unwrap();
        Pattern::parse(pattern).matches(&symbols::of_simple(&simple), false)
    }
    #[track_caller]
    fn check(pattern: &str, yes: &[&str], no: &[&str]) {
        for words in yes {
            assert!(matches(pattern, words), "{pattern} must allow {words}");
        }
        for words in no {
            assert!(!matches(pattern, words), "{pattern} must not allow {words}");
        }
    }

    #[test]
    fn each_element_takes_the_words_it_says() {
        check("uptime", &["uptime"], &["uptime -p", "uptimes", "/usr/bin/uptime"]);
        check("uptime*", &["uptime", "uptime -p", "uptimes x"], &["up"]);
        check("ls *", &["ls a", "ls -la /etc", "ls *"], &["ls", "lsof x"]);
        check("df -h*", &["df -h", "df -hT", "df -h /etc"], &["df", "df -i"]);
        check(
            "systemctl status nginx*",
            &["systemctl status nginx", "systemctl status nginx.service --no-pager"],
            &["systemctl status ssh"],
        );
        check(
            "grep * /var/log/*",
            &[
                "grep error /var/log/x",
                "grep -i error /var/log/x",
                "grep error -i /var/log/x",
                "grep -A 5 -B 5 error /var/log/x",
                "grep two_words /var/log/x",
                "grep x /var/log/*.log",
                "grep -m 3 5 /var/log/x /var/log/y -n",
            ],
            &[
                "grep /var/log/x",
                "grep x /etc/shadow /var/log/x",
                "grep x y /var/log/x",
                "grep --file=/etc/shadow x /var/log/x",
                "grep x /var/log/x /etc/shadow",
                "grep * /var/log/x",
            ],
        );
        check(
            "cat /var/log/*",
            &[
                "cat /var/log/a",
                "cat /var/log/a /var/log/b",
                "cat /var/log/a -n",
                "cat /var/log/*.log",
                "cat /var/log/a --x=/var/log/b",
            ],
            &[
                "cat /var/log/a /etc/shadow",
                "cat /var/log/a ../x",
                "cat /var/log/a .ssh",
                "cat /var/log/a --x=/etc/shadow",
                "cat /var/log/a --x=.ssh",
                "cat /var/log/a -x/etc/shadow",
                "cat -n /var/log/a",
                "cat /var/log/.*",
            ],
        );
        check(
            "cat /var/log/*.log",
            &["cat /var/log/a.log", "cat /var/log/a.log /var/log/b.log", "cat /var/log/*.log"],
            &["cat /var/log/a", "cat /var/log/a.log /etc/x", "cat /var/log/*"],
        );
        check("*", &["a", "a b c"], &[]);
        check("* --version", &["git --version", "git -x --version"], &["git", "git log --version"]);
        check(
            "docker exec * ps",
            &["docker exec web ps", "docker exec -it web ps"],
            &["docker exec web sh ps", "docker exec ps"],
        );
    }

    #[test]
    fn the_text_of_a_glob_is_read_with_its_quotes() {
        check("grep 'a b' *", &["grep a_b x"], &["grep a b x", "grep 'a b' x"]);
        check("grep \"a b\" x", &["grep a_b x"], &["grep a b x"]);
        check("find * -name '*.log'", &["find /x -name a.log"], &["find /x -name a.log b.log"]);
        check("echo it's", &["echo it's"], &["echo its"]);
        check("echo a\\ b", &["echo a_b"], &["echo a b"]);
        check("  ls   -l  ", &["ls -l"], &["ls"]);
        check("ls [a b]", &["ls a", "ls _"], &["ls [a b]"]);
        let redirecting = Pattern::parse("nginx -t 2>&1");
        let words: Vec<Symbols> = ["nginx", "-t"].map(symbols::of_text).into();
        assert!(redirecting.matches(&words, true) && !redirecting.matches(&words, false));
    }
}
