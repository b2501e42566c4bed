//! The kinds of slot: what a word that is not spelled out may be. None of them admits an option by accident.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr},
};

use regex_automata::{Anchored, Input, hybrid::dfa::DFA, meta::Regex, util::start::Config as StartConfig};

use super::PatternError;

/// Longest regular expression: what does not fit should be several patterns.
pub(crate) const MAX_REGEX_BYTES: usize = 512;
/// Most memory of one compiled expression: bounds `x{1000}{1000}`, ample for a word.
const MAX_REGEX_MEMORY: usize = 256 * 1024;
/// Longest host name (RFC 1035, in text form).
const MAX_HOST_BYTES: usize = 253;
/// Longest label of a host name (RFC 1035).
const MAX_LABEL_BYTES: usize = 63;

/// What a slot admits.
#[derive(Clone)]
pub(crate) enum Kind {
    /// A plain word: `[A-Za-z0-9@_.:,+%=/-]+`, no dash first.
    Word,
    /// Any word, with spaces or empty, no dash first.
    Any,
    /// One of these, exactly.
    OneOf(Vec<String>),
    /// A decimal number without leading zeros.
    Int { min: i64, max: i64 },
    /// This absolute path, or one under it; normalised.
    Path(String),
    /// A DNS name or an IP address.
    Host,
    /// Wholly matched by this expression.
    Regex { source: String, compiled: Regex },
}

// === impl Kind ===

impl Kind {
    /// Every plain word or number between `min` and `max`.
    pub(crate) fn int(min: i64, max: i64) -> Result<Self, PatternError> {
        if min > max {
            return Err(PatternError(format!("no number is between {min} and {max}")));
        }
        Ok(Self::Int { min, max })
    }

    /// One of `choices`.
    pub(crate) fn one_of(choices: Vec<String>) -> Result<Self, PatternError> {
        if choices.is_empty() || choices.iter().any(String::is_empty) {
            return Err(PatternError("one-of needs choices, none of them empty".into()));
        }
        Ok(Self::OneOf(choices))
    }

    /// Paths at or under `root`.
    pub(crate) fn path(root: &str) -> Result<Self, PatternError> {
        if !is_normal_path(root) {
            return Err(PatternError(format!(
                "`{root}` is not an absolute path without `.`, `..`, `//` or a slash at its end"
            )));
        }
        Ok(Self::Path(root.into()))
    }

    /// What `source` matches from its first to its last character, by an engine whose time is linear.
    pub(crate) fn regex(source: &str) -> Result<Self, PatternError> {
        if source.len() > MAX_REGEX_BYTES {
            return Err(PatternError(format!("a regular expression has more than {MAX_REGEX_BYTES} bytes")));
        }
        let build = |text: &str| {
            Regex::builder()
                .configure(
                    Regex::config()
                        .nfa_size_limit(Some(MAX_REGEX_MEMORY))
                        .onepass_size_limit(Some(MAX_REGEX_MEMORY)),
                )
                .build(text)
                .map_err(|e| {
                    let why = e.syntax_error().map_or_else(|| e.to_string(), ToString::to_string);
                    let last = why.lines().last().unwrap_or_default().trim();
                    PatternError(format!(
                        "`{source}` is not a regular expression: {}",
                        last.trim_start_matches("error: ")
                    ))
                })
        };
        // First alone, so that a stray parenthesis cannot escape from the anchors around it.
        build(source)?;
        Ok(Self::Regex { source: source.into(), compiled: build(&format!(r"\A(?:{source})\z"))? })
    }

    /// Whether `word` is of this kind.
    pub(crate) fn accepts(&self, word: &str) -> bool {
        match self {
            Self::Word => !word.is_empty() && !word.starts_with('-') && word.bytes().all(is_plain),
            Self::Any => !word.starts_with('-'),
            Self::OneOf(choices) => choices.iter().any(|choice| choice == word),
            Self::Int { min, max } => canonical_int(word).is_some_and(|n| (*min..=*max).contains(&n)),
            Self::Path(root) => is_normal_path(word) && is_under(word, root),
            Self::Host => is_host(word),
            Self::Regex { compiled, .. } => compiled.is_match(Input::new(word)),
        }
    }

    /// Whether a word of this kind may start with a dash without its being spelled out in the file.
    pub(crate) fn admits_leading_dash(&self) -> bool {
        match self {
            Self::Word | Self::Any | Self::OneOf(_) | Self::Path(_) | Self::Host => false,
            Self::Int { min, .. } => *min < 0,
            Self::Regex { source, .. } => regex_admits_dash(source),
        }
    }
}

impl fmt::Debug for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Word => f.write_str("Word"),
            Self::Any => f.write_str("Any"),
            Self::OneOf(choices) => f.debug_tuple("OneOf").field(choices).finish(),
            Self::Int { min, max } => write!(f, "Int({min}..={max})"),
            Self::Path(root) => f.debug_tuple("Path").field(root).finish(),
            Self::Host => f.write_str("Host"),
            Self::Regex { source, .. } => f.debug_tuple("Regex").field(source).finish(),
        }
    }
}

pub(crate) const fn is_plain(byte: u8) -> bool {
    byte.is_ascii_alphanumeric()
        || matches!(byte, b'@' | b'_' | b'.' | b':' | b',' | b'+' | b'%' | b'=' | b'/' | b'-')
}

/// Programs disagree about `010` and `+1`, so only the one usual spelling counts.
fn canonical_int(word: &str) -> Option<i64> {
    word.parse::<i64>().ok().filter(|n| n.to_string() == word)
}

/// Absolute, and every segment is a name.
fn is_normal_path(path: &str) -> bool {
    path == "/"
        || path.strip_prefix('/').is_some_and(|rest| rest.split('/').all(|s| !matches!(s, "" | "." | "..")))
}

pub(crate) fn is_under(path: &str, root: &str) -> bool {
    root == "/" || path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// An IP address in its usual form or a DNS name that no resolver reads as an address (`127.1`, `0x7f.1`).
fn is_host(word: &str) -> bool {
    if word.parse::<IpAddr>().is_ok() {
        return true;
    }
    let label_ok = |label: &str| {
        !label.is_empty()
            && label.len() <= MAX_LABEL_BYTES
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
    };
    let like_address = |label: &str| {
        label.bytes().all(|b| b.is_ascii_digit()) || label.to_ascii_lowercase().starts_with("0x")
    };
    word.len() <= MAX_HOST_BYTES
        && word.parse::<Ipv4Addr>().is_err()
        && word.split('.').all(label_ok)
        && !word.rsplit('.').next().is_some_and(like_address)
}

/// Follows one `-` through the automaton; when in doubt, says yes.
fn regex_admits_dash(source: &str) -> bool {
    let Ok(dfa) = DFA::new(&format!(r"\A(?:{source})\z")) else { return true };
    let mut cache = dfa.create_cache();
    let start = StartConfig::new().anchored(Anchored::Yes);
    dfa.start_state(&mut cache, &start)
        .ok()
        .and_then(|state| dfa.next_state(&mut cache, state, b'-').ok())
        .is_none_or(|state| !state.is_dead())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(kind: &Kind, good: &[&str], bad: &[&str]) {
        for word in good {
            assert!(kind.accepts(word), "{kind:?} must accept {word}");
        }
        for word in bad {
            assert!(!kind.accepts(word), "{kind:?} must not accept {word}");
        }
    }

    #[test]
    fn numbers_have_one_spelling() {
        let kind = Kind::int(0, 1000).unwrap();
        check(
            &kind,
            &["0", "7", "1000"],
            &["1001", "007", "+7", "-0", "-1", "", " 7", "0x7", "7.0", "99999999999999999999"],
        );
    }

    #[test]
    fn paths_stay_under_their_root() {
        let kind = Kind::path("/var/log").unwrap();
        check(
            &kind,
            &["/var/log", "/var/log/syslog", "/var/log/a b/c", "/var/log/..x"],
            &[
                "/var/logs",
                "/var/log/../lib",
                "/var/log/./x",
                "/var/log//x",
                "/var/log/",
                "var/log/x",
                "",
                "/",
                "-/var/log",
                "/var/log/..",
            ],
        );
        assert!(
            Kind::path("/var/../etc").is_err()
                && Kind::path("log").is_err()
                && Kind::path("/var/log/").is_err()
        );
    }

    #[test]
    fn hosts_are_names_or_addresses_but_no_puns() {
        check(
            &Kind::Host,
            &["web-1", "db.example.com", "10.0.0.1", "::1", "fe80::1", "x1.eu"],
            &[
                "",
                "-oX",
                "a..b",
                "127.1",
                "0x7f.1",
                "2130706433",
                "10.0.0.256",
                "a_b",
                "x/y",
                "user@host",
                "a.-b",
                "host:22",
                "0x7f000001",
            ],
        );
    }

    #[test]
    fn expressions_are_anchored_whatever_is_in_them() {
        let kind = Kind::regex("a|b").unwrap();
        check(&kind, &["a", "b"], &["ab", "xa", "bx", ""]);
        assert!(
            Kind::regex("a)|(?:b").is_err() && Kind::regex("(").is_err() && Kind::regex(r"(a)\1").is_err()
        );
        assert!(Kind::regex("(?x)a # comment").is_err_or_anchored());
        assert!(Kind::regex(r"\w{1000}{1000}").is_err());
    }

    trait ErrOrAnchored {
        fn is_err_or_anchored(&self) -> bool;
    }
    impl ErrOrAnchored for Result<Kind, PatternError> {
        fn is_err_or_anchored(&self) -> bool {
            self.as_ref().map_or(true, |kind| !kind.accepts("ax"))
        }
    }

    #[test]
    fn an_expression_that_admits_a_dash_first_is_known() {
        for source in [".*", "-x", "[a-z-]+", "(?:a|-b)", r"[^/]+", r"\S+"] {
            assert!(Kind::regex(source).unwrap().admits_leading_dash(), "{source}");
        }
        for source in ["[a-z]+", "a-b", "x|y", r"\d{1,3}"] {
            assert!(!Kind::regex(source).unwrap().admits_leading_dash(), "{source}");
        }
    }
}
