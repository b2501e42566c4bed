//! What to look for in the audit log: terms in text, each of which must hold of a record.
//!
//! `kind:invocation_ended host:web-* -outcome:SUCCEEDED command:"rm -rf" since:2026-11-22T00:00:00.000000Z`.
//! The whole language is in `docs/audit-format.md`, because exported parts name their query.

use std::{fmt, str::FromStr};

pub mod needs;
mod vocabulary;

/// Longest query, in bytes: more than a person writes, and small in a record that says who searched for what.
pub const MAX_QUERY_BYTES: usize = 1024;
/// Most terms of a query: each is held against each record.
const MAX_TERMS: usize = 16;
/// Length of a moment as records have it: `2026-11-22T13:21:24.000000Z`.
const MOMENT_BYTES: usize = 27;
/// The shape of a moment: 0 stands for a digit.
const MOMENT: &[u8; MOMENT_BYTES] = b"0000-00-00T00:00:00.000000Z";

/// What a record says, for a query to look at.
pub trait Facts {
    /// The texts of the field `name`: none if it is absent, one, or those of a list. Of a text that was cut, its start.
    fn texts(&self, name: &str) -> Vec<&str>;
}

/// Terms that must all hold. Without terms, every record fits.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Query {
    terms: Vec<Term>,
}

/// One term: `name:value`, or `-name:value` for what must not be so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    is_negated: bool,
    what: What,
    value: String,
}

/// What a term is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// The kind of the record.
    Kind,
    /// Who asked, acted or called.
    Who,
    /// A host: of an invocation, or one that was asked for.
    Host,
    /// Text in a command.
    Command,
    /// How an invocation ended.
    Outcome,
    /// A site.
    Site,
    /// An agent.
    Agent,
    /// A job.
    Job,
    /// An invocation.
    Invocation,
    /// The rule that decided.
    Rule,
    /// By which door.
    Via,
    /// The code of a refusal.
    Code,
    /// At that moment or later.
    Since,
    /// Before that moment.
    Until,
}

/// Text that is not a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidQuery(String);

/// How a value is compared.
enum Compare {
    /// Alternatives separated by `|`, in which `*` stands for any characters.
    Pattern,
    /// Contained.
    Contains,
    /// Not before.
    NotBefore,
    /// Before.
    Before,
}

// === impl What ===

impl What {
    /// Every one, in the order in which help lists them.
    pub const ALL: [Self; 14] = [
        Self::Kind,
        Self::Who,
        Self::Host,
        Self::Command,
        Self::Outcome,
        Self::Site,
        Self::Agent,
        Self::Job,
        Self::Invocation,
        Self::Rule,
        Self::Via,
        Self::Code,
        Self::Since,
        Self::Until,
    ];
    /// The name in a query.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Kind => "kind",
            Self::Who => "who",
            Self::Host => "host",
            Self::Command => "command",
            Self::Outcome => "outcome",
            Self::Site => "site",
            Self::Agent => "agent",
            Self::Job => "job",
            Self::Invocation => "invocation",
            Self::Rule => "rule",
            Self::Via => "via",
            Self::Code => "code",
            Self::Since => "since",
            Self::Until => "until",
        }
    }
    /// The fields of a record that it looks at.
    pub const fn fields(self) -> &'static [&'static str] {
        match self {
            Self::Who => &["principal", "by", "identity"],
            Self::Host => &["host", "target"],
            Self::Kind => &["kind"],
            Self::Command => &["command"],
            Self::Outcome => &["outcome"],
            Self::Site => &["site"],
            Self::Agent => &["agent"],
            Self::Job => &["job", "jobs"],
            Self::Invocation => &["invocation"],
            Self::Rule => &["rule"],
            Self::Via => &["via"],
            Self::Code => &["code"],
            Self::Since | Self::Until => &["at"],
        }
    }
    const fn compare(self) -> Compare {
        match self {
            Self::Command => Compare::Contains,
            Self::Since => Compare::NotBefore,
            Self::Until => Compare::Before,
            _ => Compare::Pattern,
        }
    }
}

// === impl Term ===

impl Term {
    /// The term `what:value`.
    ///
    /// # Errors
    /// When the value cannot be one.
    pub fn new(what: What, value: &str) -> Result<Self, InvalidQuery> {
        let name = what.as_str();
        if value.is_empty() {
            return Err(InvalidQuery(format!("{name}: has no value")));
        }
        if let Some(c) = value.chars().find(|c| c.is_control()) {
            return Err(InvalidQuery(format!("{name}: has the control character {c:?}")));
        }
        let is_moment = value.len() == MOMENT_BYTES
            && value
                .bytes()
                .zip(MOMENT)
                .all(|(b, shape)| if *shape == b'0' { b.is_ascii_digit() } else { b == *shape });
        if matches!(what, What::Since | What::Until) && !is_moment {
            return Err(InvalidQuery(format!(
                "{name}: needs a moment as records have it, like 2026-11-22T13:21:24.000000Z"
            )));
        }
        Ok(Self { is_negated: false, what, value: value.to_owned() })
    }

    fn holds(&self, facts: &(impl Facts + ?Sized)) -> bool {
        let fits = |text: &str| match self.what.compare() {
            Compare::Pattern => self.value.split('|').any(|pattern| is_like(pattern, text)),
            Compare::Contains => text.contains(&self.value),
            Compare::NotBefore => text >= self.value.as_str(),
            Compare::Before => text < self.value.as_str(),
        };
        let any = self.what.fields().iter().any(|field| facts.texts(field).into_iter().any(fits));
        any != self.is_negated
    }

    /// Text that stands in the JSON of every record that fits, if one is known.
    fn literal(&self) -> Option<&str> {
        if self.is_negated {
            return None;
        }
        let piece = match self.what.compare() {
            Compare::Contains => self.value.as_str(),
            Compare::Pattern if !self.value.contains('|') => self.value.split('*').max_by_key(|p| p.len())?,
            _ => return None,
        };
        // JSON writes these otherwise.
        let is_plain = !piece.is_empty() && !piece.contains(['"', '\\']);
        is_plain.then_some(piece)
    }
}

// === impl Query ===

impl Query {
    /// These terms.
    ///
    /// # Errors
    /// When there are too many, or the text of all is too long.
    pub fn new(terms: Vec<Term>) -> Result<Self, InvalidQuery> {
        if terms.len() > MAX_TERMS {
            return Err(InvalidQuery(format!(
                "there are {} terms, at most {MAX_TERMS} are allowed",
                terms.len()
            )));
        }
        let query = Self { terms };
        if query.to_string().len() > MAX_QUERY_BYTES {
            return Err(InvalidQuery(format!("it is longer than {MAX_QUERY_BYTES} bytes")));
        }
        Ok(query)
    }
    /// As this one, with `terms` as well.
    ///
    /// # Errors
    /// As [`Query::new`].
    pub fn and(self, terms: impl IntoIterator<Item = Term>) -> Result<Self, InvalidQuery> {
        let mut all = self.terms;
        all.extend(terms);
        Self::new(all)
    }
    /// Whether every record fits.
    pub const fn is_everything(&self) -> bool {
        self.terms.is_empty()
    }
    /// Whether a record fits.
    pub fn matches(&self, facts: &(impl Facts + ?Sized)) -> bool {
        self.terms.iter().all(|term| term.holds(facts))
    }
    /// Whether a record of this JSON text can fit at all: a cheap look before it is parsed, never wrong when it says no.
    pub fn may_match(&self, json: &str) -> bool {
        self.may_match_parts(&[json])
    }
    /// As [`Query::may_match`], of a record whose JSON text comes in parts.
    pub fn may_match_parts(&self, parts: &[&str]) -> bool {
        self.terms.iter().filter_map(Term::literal).all(|piece| parts.iter().any(|json| json.contains(piece)))
    }
    /// Whether a term looks at `what`.
    pub fn looks_at(&self, what: What) -> bool {
        self.terms.iter().any(|term| term.what == what)
    }
}

impl fmt::Display for Query {
    /// The one form: terms as given, one blank between them, quoted where they must be.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, Term { is_negated, what, value }) in self.terms.iter().enumerate() {
            let (blank, minus) = (if at > 0 { " " } else { "" }, if *is_negated { "-" } else { "" });
            write!(f, "{blank}{minus}{}:", what.as_str())?;
            if value.contains([' ', '"', '\\']) {
                write!(f, "\"{}\"", value.replace('\\', "\\\\").replace('"', "\\\""))?;
            } else {
                f.write_str(value)?;
            }
        }
        Ok(())
    }
}

impl FromStr for Query {
    type Err = InvalidQuery;
    fn from_str(text: &str) -> Result<Self, InvalidQuery> {
        let mut terms = Vec::new();
        let mut rest = text.trim_start_matches(' ');
        while !rest.is_empty() {
            let (is_negated, tail) = rest.strip_prefix('-').map_or((false, rest), |tail| (true, tail));
            let (name, tail) = tail
                .split_once(':')
                .ok_or_else(|| InvalidQuery(format!("{:?} is not name:value", first_word(rest))))?;
            let what = What::ALL.into_iter().find(|what| what.as_str() == name).ok_or_else(|| {
                let names: Vec<&str> = What::ALL.iter().map(|what| what.as_str()).collect();
                InvalidQuery(format!("there is no {:?}; there are {}", first_word(name), names.join(", ")))
            })?;
            let (value, tail) = match tail.strip_prefix('"') {
                Some(quoted) => unquote(quoted)?,
                None => {
                    let (value, tail) = tail.split_at(tail.find(' ').unwrap_or(tail.len()));
                    (value.to_owned(), tail)
                }
            };
            terms.push(Term { is_negated, ..Term::new(what, &value)? });
            rest = match tail.strip_prefix(' ') {
                Some(next) => next.trim_start_matches(' '),
                None if tail.is_empty() => tail,
                None => return Err(InvalidQuery("a blank is missing behind a quoted value".into())),
            };
        }
        Self::new(terms)
    }
}

fn first_word(text: &str) -> &str {
    text.split(' ').next().unwrap_or_default()
}

/// The text up to the closing quote, and what follows it.
fn unquote(text: &str) -> Result<(String, &str), InvalidQuery> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, text.get(at + 1..).unwrap_or_default())),
            '\\' => match chars.next() {
                Some((_, escaped @ ('"' | '\\'))) => value.push(escaped),
                _ => return Err(InvalidQuery("in quotes, \\ stands before \" or \\ only".into())),
            },
            c => value.push(c),
        }
    }
    Err(InvalidQuery("a quote is not closed".into()))
}

/// Whether `text` is like `pattern`, in which `*` stands for any characters, none too.
fn is_like(pattern: &str, text: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else { return pattern == text };
    let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(mut text) = text.strip_prefix(first).and_then(|text| text.strip_suffix(last)) else {
        return false;
    };
    // The first place for each is the best: it leaves most for those behind it.
    middle.split('*').all(|piece| match text.split_once(piece) {
        Some((_, after)) => {
            text = after;
            true
        }
        None => false,
    })
}

// === impl InvalidQuery ===

impl fmt::Display for InvalidQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "not a query of the audit log: {}", self.0)
    }
}
impl std::error::Error for InvalidQuery {}

#[cfg(test)]
mod tests {
    use super::*;

    struct Record(&'static [(&'static str, &'static str)]);

    impl Facts for Record {
        fn texts(&self, name: &str) -> Vec<&str> {
            self.0.iter().filter(|(field, _)| *field == name).map(|(_, text)| *text).collect()
        }
    }

    const DENIED: Record = Record(&[
        ("kind", "request_denied"),
        ("at", "2026-11-22T12:00:00.000000Z"),
        ("principal", "service:ci"),
        ("target", "web-1"),
        ("target", "web-2"),
        ("command", "rm -rf \"/srv data\""),
    ]);

    #[test]
    fn a_record_fits_when_every_term_holds() {
        for (query, fits) in [
            ("", true),
            ("kind:request_denied", true),
            ("kind:request", false),
            ("kind:request_*|call_refused", true),
            ("who:service:ci host:web-2", true),
            ("who:*ci host:w*b*-3", false),
            ("-kind:request_denied", false),
            ("-outcome:SUCCEEDED", true),
            ("command:rm", true),
            (r#"command:"-rf \"/srv""#, true),
            ("command:RM", false),
            ("since:2026-11-22T12:00:00.000000Z", true),
            ("until:2026-11-22T12:00:00.000000Z", false),
            ("until:2026-11-22T12:00:00.000001Z", true),
            ("job:*", false),
        ] {
            let query: Query = query.parse().unwrap();
            assert_eq!(query.matches(&DENIED), fits, "{query}");
        }
    }

    #[test]
    fn a_query_has_one_form_that_reads_back() {
        for (text, form) in [
            ("  kind:a   -host:b*|c ", "kind:a -host:b*|c"),
            (r#"command:"a b" who:"x""#, r#"command:"a b" who:x"#),
            (r#"command:"say \"\\\"""#, r#"command:"say \"\\\"""#),
        ] {
            let query: Query = text.parse().unwrap();
            assert_eq!(query.to_string(), form);
            assert_eq!(query.to_string().parse(), Ok(query));
        }
    }

    #[test]
    fn what_is_not_known_is_refused() {
        for wrong in [
            "rm",
            "colour:red",
            "kind:",
            "command:\"open",
            "command:\"a\"b",
            "command:\"\\n\"",
            "since:yesterday",
            "since:2026-11-22T12:00:00Z",
            "command:a\tb",
        ] {
            assert!(wrong.parse::<Query>().is_err(), "{wrong}");
        }
        assert!("kind:a ".repeat(17).parse::<Query>().is_err());
        assert!(format!("command:{}", "x".repeat(2000)).parse::<Query>().is_err());
    }

    #[test]
    fn the_cheap_look_never_misses_a_record() {
        let json = r#"{"command":"rm -rf \"/srv data\"","host":"web-1","kind":"request_denied"}"#;
        for (query, may) in [
            ("host:web-1", true),
            ("host:web-7", false),
            ("host:web-*", true),
            ("host:web-7|web-1", true),
            (r#"command:"-rf \"/srv""#, true),
            ("command:rm", true),
            ("command:mv", false),
            ("-host:web-7", true),
        ] {
            assert_eq!(query.parse::<Query>().unwrap().may_match(json), may, "{query}");
        }
    }
}
