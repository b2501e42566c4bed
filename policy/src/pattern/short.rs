//! The short form of a pattern, one line of text.
//!
//! ```text
//! pattern  = item *( blank item ) [ blank "<end>" ]
//! item     = word / "[" word *( blank word ) "]"            the group may be left out
//! word     = text [ slot text ] / [ text ] slot "..."       "..." : one or more words
//! slot     = "<" name ">" / "<word>" / "<any>" / "<host>" / "<int:" min ".." max ">"
//!          / "<path:" root ">" / "<one-of:" a "|" b ">" / "<re:" expression ">"
//! text     = *( bare / single / double )                    as in a command line
//! ```

use super::{Element, Kind, Pattern, PatternError, Test};
use crate::parse::{quote, scan::is_bare};

/// Names of kinds that need something after a colon, so that they cannot be the free name of a word.
const NEED_ARGUMENT: [&str; 6] = ["int", "path", "one-of", "re", "regex", "end"];

struct Reader<'a> {
    text: &'a str,
    at: usize,
    elements: Vec<Element>,
    group: Option<usize>,
}

/// Reads a pattern; `<end>` is accepted only when `deny`.
pub(crate) fn parse(text: &str, deny: bool) -> Result<Pattern, PatternError> {
    let mut reader = Reader { text, at: 0, elements: Vec::new(), group: None };
    let mut end = false;
    loop {
        reader.skip_blanks();
        if reader.rest().is_empty() {
            break;
        }
        if end {
            return Err(PatternError("nothing may follow `<end>`".into()));
        }
        if let Some(rest) = reader.rest().strip_prefix("<end>") {
            if !deny {
                return Err(PatternError(
                    "`<end>` is only for deny rules: an allow pattern always covers the whole command".into(),
                ));
            }
            reader.at = text.len() - rest.len();
            end = true;
            continue;
        }
        reader.item()?;
    }
    if reader.group.is_some() {
        return Err(PatternError("a `[` is never closed".into()));
    }
    Pattern::new(reader.elements, end, text.trim().into())
}

/// Reads one literal word or slot, which stands once and always.
pub(crate) fn parse_word(text: &str) -> Result<Test, PatternError> {
    let mut reader = Reader { text, at: 0, elements: Vec::new(), group: None };
    let element = reader.word()?;
    if reader.at != text.len() || element.repeat {
        return Err(PatternError("it is not one word; quote what has blanks or brackets".into()));
    }
    Ok(element.test)
}

// === impl Reader ===

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
    fn peek(&self) -> Option<u8> {
        self.rest().bytes().next()
    }
    fn skip_blanks(&mut self) {
        self.at = self.text.len() - self.rest().trim_start_matches(' ').len();
    }

    /// A word, with the group that it may open or close.
    fn item(&mut self) -> Result<(), PatternError> {
        if self.peek() == Some(b'[') {
            if self.group.is_some() {
                return Err(PatternError("groups in `[ ]` cannot be nested".into()));
            }
            self.group = Some(self.elements.len());
            self.at += 1;
            self.skip_blanks();
        }
        if self.peek() != Some(b']') {
            let element = self.word()?;
            self.elements.push(element);
            self.skip_blanks();
        }
        if self.peek() == Some(b']') {
            self.close_group()?;
        }
        Ok(())
    }

    fn close_group(&mut self) -> Result<(), PatternError> {
        let start = self
            .group
            .take()
            .ok_or_else(|| PatternError("a `]` closes nothing; quote it if it is meant literally".into()))?;
        self.at += 1;
        if !matches!(self.peek(), None | Some(b' ')) {
            return Err(PatternError("write a space after `]`; `...` goes inside the brackets".into()));
        }
        let end = self.elements.len();
        match self.elements.get_mut(start) {
            Some(first) => first.skip_to = Some(end),
            None => return Err(PatternError("there is nothing in `[ ]`".into())),
        }
        Ok(())
    }

    fn word(&mut self) -> Result<Element, PatternError> {
        let (mut prefix, mut suffix) = (String::new(), String::new());
        let mut slot = None;
        let mut repeat = false;
        while let Some(byte) = self.peek() {
            let side = if slot.is_some() { &mut suffix } else { &mut prefix };
            match byte {
                b' ' | b']' => break,
                b'<' if slot.is_some() => return Err(PatternError("a word can have only one slot".into())),
                b'<' => slot = Some(self.slot()?),
                b'.' if slot.is_some() && self.at_repeat() => {
                    repeat = true;
                    self.at += 3;
                    break;
                }
                b'\'' | b'"' => {
                    let (piece, after) =
                        quote::read(self.text, self.at).map_err(|r| PatternError(r.message))?;
                    side.push_str(piece);
                    self.at = after;
                }
                _ if is_bare(byte) => {
                    side.push(char::from(byte));
                    self.at += 1;
                }
                _ => {
                    let c = self.rest().chars().next().unwrap_or_default();
                    return Err(PatternError(format!(
                        "`{c}` must be in quotes: patterns are literal words and slots, not shell text"
                    )));
                }
            }
        }
        let test = match slot {
            Some(kind) => Test::Slot { prefix, kind, suffix },
            None => Test::Literal(prefix),
        };
        Ok(Element { test, repeat, skip_to: None })
    }

    /// Whether `...` stands here as the end of a word.
    fn at_repeat(&self) -> bool {
        self.rest()
            .strip_prefix("...")
            .is_some_and(|after| matches!(after.bytes().next(), None | Some(b' ' | b']')))
    }

    fn slot(&mut self) -> Result<Kind, PatternError> {
        let inner_start = self.at + 1;
        let rest = self.text.get(inner_start..).unwrap_or_default();
        let length = if rest.starts_with("re:") { self.regex_end(rest) } else { rest.find('>') };
        let length = length.ok_or_else(|| PatternError("a `<` is never closed".into()))?;
        self.at = inner_start + length + 1;
        slot_kind(rest.get(..length).unwrap_or_default())
    }

    /// The `>` that ends an expression is the first one at which a word may end: expressions have `>` of their own.
    fn regex_end(&self, rest: &str) -> Option<usize> {
        rest.match_indices('>').map(|(at, _)| at).find(|at| {
            let after = rest.get(at + 1..).unwrap_or_default();
            after.is_empty()
                || after.starts_with(' ')
                || (after.starts_with(']') && self.group.is_some())
                || after == "..."
                || after.starts_with("... ")
                || after.starts_with("...]")
        })
    }
}

fn slot_kind(inner: &str) -> Result<Kind, PatternError> {
    let Some((name, argument)) = inner.split_once(':') else { return simple_kind(inner) };
    match name {
        "int" => {
            let bounds =
                argument.split_once("..").and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
            let (min, max) =
                bounds.ok_or_else(|| PatternError(format!("`<{inner}>` must be like `<int:1..100>`")))?;
            Kind::int(min, max)
        }
        "path" => Kind::path(argument),
        "one-of" => Kind::one_of(argument.split('|').map(str::to_owned).collect()),
        "re" => Kind::regex(argument),
        _ => Err(PatternError(format!(
            "`<{name}:…>` is not a kind of slot; there are int, path, one-of and re"
        ))),
    }
}

fn simple_kind(name: &str) -> Result<Kind, PatternError> {
    if NEED_ARGUMENT.contains(&name) {
        return Err(PatternError(format!(
            "`<{name}>` is not complete or not at its place; write e.g. `<int:1..100>`, `<path:/var/log>`"
        )));
    }
    let is_name = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
    match name {
        "any" => Ok(Kind::Any),
        "host" => Ok(Kind::Host),
        _ if is_name => Ok(Kind::Word),
        _ => Err(PatternError(format!(
            "`<{name}>` is not a slot: a name has lower-case letters, digits, `-` and `_`"
        ))),
    }
}
