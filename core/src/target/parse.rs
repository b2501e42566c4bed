//! Reading a target expression. An error says at which character it is wrong, and shows what would be right.

use std::{fmt, iter::Peekable, str::FromStr, vec};

use super::{Node, TargetExpression, Term};
use crate::{
    glob::Glob,
    limits::{MAX_EXPRESSION_BYTES, MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_TERMS},
    name::{LabelKey, SiteName, Tag},
};

/// Longest word that an error repeats, in characters.
const MAX_SHOWN: usize = 40;
/// The words that are no aliases.
const KEYWORDS: [&str; 4] = ["and", "or", "not", "all"];

/// A text that is no target expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidExpression {
    /// The character at which it is wrong, counted from 1; `None`: as a whole.
    at: Option<usize>,
    why: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token<'a> {
    Open,
    Close,
    Word(&'a str),
}

/// Tokens, each with its place, and what of the bounds is used up.
struct Parser<'a> {
    tokens: Peekable<vec::IntoIter<(usize, Token<'a>)>>,
    /// The place behind the last character.
    end: usize,
    terms: usize,
}

impl FromStr for TargetExpression {
    type Err = InvalidExpression;

    fn from_str(text: &str) -> Result<Self, InvalidExpression> {
        if text.len() > MAX_EXPRESSION_BYTES {
            return Err(InvalidExpression::whole(format!(
                "it is longer than {MAX_EXPRESSION_BYTES} bytes; give the hosts a tag or a label of their own"
            )));
        }
        let mut parser =
            Parser { tokens: tokens(text).into_iter().peekable(), end: text.chars().count() + 1, terms: 0 };
        if parser.tokens.peek().is_none() {
            return Err(InvalidExpression::whole(
                "it is empty; write e.g. tag:web and not site:eu, or all for every host",
            ));
        }
        let root = parser.any_of(0)?;
        if let Some((at, token)) = parser.tokens.next() {
            return Err(unexpected(at, token));
        }
        let expression = Self { root };
        // What is kept is the canonical form, in which an alias has its prefix.
        if expression.to_string().len() > MAX_EXPRESSION_BYTES {
            return Err(InvalidExpression::whole(format!(
                "with host: before each alias it is longer than {MAX_EXPRESSION_BYTES} bytes; give the hosts a tag \
                 or a label of their own"
            )));
        }
        Ok(expression)
    }
}

fn tokens(text: &str) -> Vec<(usize, Token<'_>)> {
    let mut tokens = Vec::new();
    let mut word: Option<(usize, usize)> = None;
    let ends = |c: char| c.is_ascii_whitespace() || c == '(' || c == ')';
    for (place, (at, c)) in text.char_indices().enumerate() {
        if !ends(c) {
            word.get_or_insert((place + 1, at));
            continue;
        }
        tokens
            .extend(word.take().map(|(place, from)| (place, Token::Word(text.get(from..at).unwrap_or("")))));
        match c {
            '(' => tokens.push((place + 1, Token::Open)),
            ')' => tokens.push((place + 1, Token::Close)),
            _ => {}
        }
    }
    tokens.extend(word.map(|(place, from)| (place, Token::Word(text.get(from..).unwrap_or("")))));
    tokens
}

/// What cannot follow a whole expression.
fn unexpected(at: usize, token: Token<'_>) -> InvalidExpression {
    match token {
        Token::Close => {
            InvalidExpression::at(at, "this ) closes no bracket; leave it out, or open one before it")
        }
        Token::Open => {
            InvalidExpression::at(at, "and or or is missing before the bracket, as in tag:web and (a or b)")
        }
        Token::Word(word) => match keyword_in_capitals(word) {
            Some(keyword) => InvalidExpression::at(at, format!("keywords are lower case: write {keyword}")),
            None => sign(at, word).unwrap_or_else(|| {
                let word = shown(word);
                InvalidExpression::at(
                    at,
                    format!("and or or is missing before {word}, as in tag:web and {word}"),
                )
            }),
        },
    }
}

fn keyword_in_capitals(word: &str) -> Option<&'static str> {
    KEYWORDS.into_iter().find(|keyword| keyword.eq_ignore_ascii_case(word) && *keyword != word)
}

/// What other languages write for the keywords.
fn sign(at: usize, word: &str) -> Option<InvalidExpression> {
    let why = match word {
        _ if word.starts_with("&") => "write and for &, as in tag:web and site:eu",
        _ if word.starts_with("|") => "write or for |, as in tag:web or tag:app",
        _ if word.starts_with("!") => "write not for !, as in not tag:web",
        _ if word.contains(',') => "a comma means nothing here; write or, as in web-1 or web-2",
        _ => return None,
    };
    Some(InvalidExpression::at(at, why))
}

/// A word for an error: without what could disturb a screen, and not long.
fn shown(word: &str) -> String {
    let plain = |c: char| if c.is_ascii_graphic() { c } else { '?' };
    let mut text: String = word.chars().take(MAX_SHOWN).map(plain).collect();
    if word.chars().count() > MAX_SHOWN {
        text.push_str("...");
    }
    text
}

fn term(at: usize, word: &str) -> Result<Term, InvalidExpression> {
    let wrong = |what: &str, e: &dyn fmt::Display| {
        InvalidExpression::at(at, format!("{} is {e}; write e.g. {what}", shown(word)))
    };
    if let Some(keyword) = keyword_in_capitals(word) {
        let why = format!("keywords are lower case: write {keyword}, or host:{word} for a host of that name");
        return Err(InvalidExpression::at(at, why));
    }
    if let Some(error) = sign(at, word) {
        return Err(error);
    }
    let (kind, name) = word.split_once(':').unwrap_or(("host", word));
    match kind {
        "tag" => Tag::new(name).map(Term::Tag).map_err(|e| wrong("tag:web", &e)),
        "site" => SiteName::new(name).map(Term::Site).map_err(|e| wrong("site:eu", &e)),
        "label" => {
            let (key, value) = name.split_once('=').map_or((name, None), |(key, value)| (key, Some(value)));
            let key = LabelKey::new(key).map_err(|e| wrong("label:env=prod", &e))?;
            let value = value.map(Glob::new).transpose().map_err(|e| wrong("label:env=prod", &e))?;
            Ok(Term::Label(key, value))
        }
        "host" if !name.is_empty() && name.bytes().all(|b| b == b'*') => {
            Err(InvalidExpression::at(at, format!("write all for every host, not {}", shown(word))))
        }
        "host" => Glob::new(name).map(Term::Host).map_err(|e| wrong("host:web-*", &e)),
        _ => {
            let why = format!("there is no {}:; there are tag:, site:, label: and host:", shown(kind));
            Err(InvalidExpression::at(at, why))
        }
    }
}

// === impl Parser ===

impl Parser<'_> {
    fn any_of(&mut self, depth: usize) -> Result<Node, InvalidExpression> {
        let mut node = self.all_of(depth)?;
        while self.takes("or") {
            node = node.or(self.all_of(depth)?);
        }
        Ok(node)
    }

    fn all_of(&mut self, depth: usize) -> Result<Node, InvalidExpression> {
        let mut node = self.one(depth)?;
        while self.takes("and") {
            node = node.and(self.one(depth)?);
        }
        Ok(node)
    }

    fn one(&mut self, depth: usize) -> Result<Node, InvalidExpression> {
        let Some((at, token)) = self.tokens.next() else {
            return Err(InvalidExpression::at(
                self.end,
                "it ends where a term is missing, as in tag:web and site:eu",
            ));
        };
        if depth > MAX_EXPRESSION_DEPTH {
            let why = format!("it is nested deeper than {MAX_EXPRESSION_DEPTH}; leave brackets out");
            return Err(InvalidExpression::at(at, why));
        }
        match token {
            Token::Word("not") => Ok(Node::Not(Box::new(self.one(depth + 1)?))),
            Token::Word("all") => Ok(Node::All),
            Token::Word(word @ ("and" | "or")) => {
                let why = format!("a term is missing before {word}, as in tag:web {word} site:eu");
                Err(InvalidExpression::at(at, why))
            }
            Token::Word(word) => {
                self.terms += 1;
                if self.terms > MAX_EXPRESSION_TERMS {
                    let why = format!(
                        "it has more than {MAX_EXPRESSION_TERMS} terms; give the hosts a tag or a label of their own"
                    );
                    return Err(InvalidExpression::at(at, why));
                }
                term(at, word).map(Node::Term)
            }
            Token::Open => {
                let node = self.any_of(depth + 1)?;
                match self.tokens.next() {
                    Some((_, Token::Close)) => Ok(node),
                    Some((at, token)) => Err(unexpected(at, token)),
                    None => {
                        let why = format!("the bracket at character {at} is not closed; add )");
                        Err(InvalidExpression::at(self.end, why))
                    }
                }
            }
            Token::Close => {
                Err(InvalidExpression::at(at, "a term is missing before ), as in (tag:web or tag:app)"))
            }
        }
    }

    fn takes(&mut self, keyword: &str) -> bool {
        self.tokens.next_if(|(_, token)| *token == Token::Word(keyword)).is_some()
    }
}

// === impl InvalidExpression ===

impl InvalidExpression {
    fn at(at: usize, why: impl Into<String>) -> Self {
        Self { at: Some(at), why: why.into() }
    }
    fn whole(why: impl Into<String>) -> Self {
        Self { at: None, why: why.into() }
    }
    /// The character at which it is wrong, counted from 1; `None`: as a whole.
    pub const fn position(&self) -> Option<usize> {
        self.at
    }
}

impl fmt::Display for InvalidExpression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.at {
            Some(at) => write!(f, "not a target expression: at character {at}, {}", self.why),
            None => write!(f, "not a target expression: {}", self.why),
        }
    }
}
impl std::error::Error for InvalidExpression {}
