//! Deny globs and forbidden text: they match whatever the quoting was, whatever a glob could expand to, and whatever
//! another program would run.

use super::{
    forms::{Form, View},
    glob::{Glob, Token, fits},
    meets::{Guess, meets},
    names::{Start, could_name, leads_home},
    programs, symbols,
};

/// What joins commands; a glob or text that has one is also held against whole lines.
const JOINERS: [char; 3] = ['|', ';', '&'];

/// A deny glob.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DenyGlob {
    text: String,
    /// The glob, and as it reads without quotes, with single blanks, with its program's name alone.
    spellings: Vec<Needle>,
    /// Without blanks around what joins commands; `None`: it has nothing that does.
    whole: Option<Needle>,
}

/// A text that no command may have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forbidden {
    text: String,
    anywhere: Needle,
    /// The text as one whole word; `None`: it has only blanks.
    word: Option<Needle>,
    whole: Option<Needle>,
}

/// Tokens that are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Needle {
    tokens: Vec<Token>,
    /// It begins with a star, so nothing says where in a command it is.
    floating: bool,
    /// It is about a program alone.
    program: bool,
    /// Where in a word it may begin.
    start: Start,
    /// Its characters that are no blanks.
    weight: usize,
    /// The text between its globs, where it has one.
    literal: String,
}

// === impl DenyGlob ===

impl DenyGlob {
    pub(crate) fn parse(text: &str) -> Self {
        let raw = Glob::parse(text).tokens().to_vec();
        let collapsed = collapse(&raw);
        let unquoted = collapse(&without_quotes(&raw));
        let mut spellings: Vec<Vec<Token>> = Vec::new();
        let whole = squeezed(&unquoted);
        for spelling in [raw, collapsed, unquoted] {
            let short = with_base_name(&spelling);
            for spelling in [Some(spelling), short].into_iter().flatten() {
                if !spellings.contains(&spelling) {
                    spellings.push(spelling);
                }
            }
        }
        Self {
            text: text.to_owned(),
            whole: whole.map(|tokens| Needle::new(tokens, text)),
            spellings: spellings.into_iter().map(|tokens| Needle::new(tokens, text)).collect(),
        }
    }

    /// Why the glob matches; `None` when it does not.
    pub(crate) fn find(&self, view: &View) -> Option<String> {
        let part = || view.forms.iter().find(|form| self.spellings.iter().any(|needle| needle.is_in(form)));
        let whole = || {
            let needle = self.whole.as_ref()?;
            view.wholes.iter().find(|form| needle.is_in(form))
        };
        let form = part().or_else(whole)?;
        Some(format!("the glob `{}` {}", self.text, form.as_matched()))
    }
}

// === impl Forbidden ===

impl Forbidden {
    pub(crate) fn new(text: &str) -> Self {
        let around = |inner: Vec<Token>| [vec![Token::Star], inner, vec![Token::Star]].concat();
        let chars = |text: &str| -> Vec<Token> { text.chars().map(Token::Char).collect() };
        let word = text.trim();
        Self {
            anywhere: Needle::new(around(chars(text)), text),
            word: (!word.is_empty()).then(|| Needle::new(chars(word), text)),
            whole: squeezed(&chars(text)).map(|tokens| Needle::new(around(tokens), text)),
            text: text.to_owned(),
        }
    }

    /// Where the text is; `None` when it is not.
    pub(crate) fn find(&self, view: &View) -> Option<String> {
        let found = |form: &&Form| {
            // `nginx -t 2>&1` is `nginx -t` to all text that says nothing of redirection.
            let about_redirection = !form.redirects || self.text.contains(['>', '&']);
            about_redirection && (self.anywhere.is_in(form) || self.is_word_of(form))
        };
        let whole = || {
            let needle = self.whole.as_ref()?;
            view.wholes.iter().find(|form| needle.is_in(form))
        };
        let form = view.forms.iter().find(found).or_else(whole)?;
        Some(format!("the forbidden text `{}` {}", self.text, form.as_found()))
    }

    fn is_word_of(&self, form: &Form) -> bool {
        let Some(word) = &self.word else { return false };
        if let Some(text) = &form.text {
            return text.split_whitespace().any(|token| token == self.text.trim());
        }
        let written = form.line.symbols.split(|symbol| *symbol == symbols::Symbol::Char(' '));
        let mut written = written.filter_map(symbols::literal);
        written.any(|token| token == self.text.trim()) || word.may_be_a_word(form)
    }
}

// === impl Needle ===

impl Needle {
    fn new(tokens: Vec<Token>, text: &str) -> Self {
        let mut literal = text.trim_start_matches(['*', '?', ' ']);
        if let Some(end) = literal.find(['*', '?', '[']) {
            literal = literal.get(..end).unwrap_or_default();
        }
        // A forbidden text that begins with a slash is an absolute path; a glob has written that it need not be one.
        let start = match tokens.get(1) {
            Some(Token::Char('/')) if text.starts_with('/') => Start::Word,
            Some(Token::Char('/' | ' ')) => Start::Anywhere,
            _ => Start::Segment,
        };
        Self {
            floating: tokens.first() == Some(&Token::Star),
            program: programs::names_program(literal),
            literal: literal.trim().to_owned(),
            start,
            weight: tokens.iter().filter(|token| matches!(token, Token::Char(c) if *c != ' ')).count(),
            tokens,
        }
    }

    fn is_in(&self, form: &Form) -> bool {
        match &form.text {
            Some(text) => {
                let chars: Vec<char> = text.chars().collect();
                fits(&self.tokens, &chars, |token, c| token.is(*c))
            }
            None => self.could_be_in(form),
        }
    }

    /// Whether the form could become what the needle is about. A glob alone could become anything, so more is asked of a
    /// needle that says nothing of its place: that most of it is written, or, unless it is about a program, that it is a
    /// name that the form is a way to write.
    fn could_be_in(&self, form: &Form) -> bool {
        let written = |guess| meets(&self.tokens, &form.line, guess);
        let mostly = |count: usize| count * 2 > self.weight || self.weight == 0;
        if !self.floating || form.open_program {
            return written(Guess::Anything).is_some();
        }
        if self.program {
            return written(Guess::OneEach).is_some_and(mostly);
        }
        written(Guess::Anything).is_some_and(mostly)
            || (could_name(&self.tokens, &form.line, self.start) && leads_home(&self.literal, &form.line))
    }

    fn may_be_a_word(&self, form: &Form) -> bool {
        form.line.globbed.iter().enumerate().any(|(index, (start, end))| {
            let symbols = form.line.symbols.get(*start..*end).unwrap_or_default().to_vec();
            let line = super::meets::Line { symbols, globbed: Vec::new() };
            let program = index == 0 && *start == 0;
            meets(&self.tokens, &line, Guess::OneEach).is_some_and(|count| program || count * 2 > self.weight)
        })
    }
}

// === impl Form ===

impl Form {
    fn as_matched(&self) -> String {
        let verb = if self.text.is_some() { "matches" } else { "could match what becomes of" };
        self.described(verb)
    }
    fn as_found(&self) -> String {
        let verb = if self.text.is_some() { "is in" } else { "could be in what becomes of" };
        self.described(verb)
    }
    fn described(&self, verb: &str) -> String {
        let shown = symbols::show(&self.line.symbols);
        match &self.by {
            Some(by) => format!("{verb} `{shown}`, which `{by}` would run"),
            None => format!("{verb} `{shown}`"),
        }
    }
}

/// The tokens with single blanks and none at the ends.
fn collapse(tokens: &[Token]) -> Vec<Token> {
    let is_blank = |token: &Token| matches!(token, Token::Char(c) if c.is_whitespace());
    let mut out: Vec<Token> = Vec::new();
    for token in tokens {
        if !is_blank(token) {
            out.push(token.clone());
        } else if out.last().is_some_and(|last| !is_blank(last)) {
            out.push(Token::Char(' '));
        }
    }
    out.pop_if(|last| is_blank(last));
    out
}

fn without_quotes(tokens: &[Token]) -> Vec<Token> {
    let mut out: Vec<Token> = Vec::new();
    let mut escaped = false;
    for token in tokens {
        match token {
            Token::Char('\'' | '"') => {}
            Token::Char('\\') if !escaped => escaped = true,
            other => {
                escaped = false;
                out.push(other.clone());
            }
        }
    }
    out
}

/// The glob about the program's name alone, where it spells the program out as a path.
fn with_base_name(tokens: &[Token]) -> Option<Vec<Token>> {
    let end = tokens.iter().position(|token| *token == Token::Char(' ')).unwrap_or(tokens.len());
    let program = tokens.get(..end)?;
    let slash = program.iter().rposition(|token| *token == Token::Char('/'))?;
    let (path, name) = program.split_at(slash + 1);
    let spelled = path.iter().chain(name.first()).all(|token| matches!(token, Token::Char(_)));
    if name.is_empty() || !spelled {
        return None;
    }
    tokens.get(slash + 1..).map(<[Token]>::to_vec)
}

/// The tokens without blanks around what joins commands; `None` when nothing in them does.
fn squeezed(tokens: &[Token]) -> Option<Vec<Token>> {
    let joins = |token: &Token| matches!(token, Token::Char(c) if JOINERS.contains(c));
    if !tokens.iter().any(joins) {
        return None;
    }
    let mut out: Vec<Token> = Vec::new();
    for token in tokens {
        if joins(token) {
            while out.last() == Some(&Token::Char(' ')) {
                out.pop();
            }
        }
        if *token != Token::Char(' ') || !out.last().is_some_and(joins) {
            out.push(token.clone());
        }
    }
    Some(out)
}
