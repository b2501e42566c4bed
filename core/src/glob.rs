//! Patterns of names, in which `*` stands for any characters.

use std::{fmt, str::FromStr, sync::Arc};

use crate::name::{InvalidName, check};

/// What stands for each `*` when the rest is checked.
const STAND_IN: &str = "x";

/// A name, or a pattern of names with `*` for any characters, none too.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Glob(Arc<str>);

// === impl Glob ===

impl Glob {
    /// Checks `text` and makes it a pattern.
    ///
    /// # Errors
    /// When it is no name once each `*` is a letter.
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        check("a name or a pattern of names", &text.replace('*', STAND_IN)).map(|()| Self(text.into()))
    }
    /// The pattern as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
    /// Whether it stands for every name.
    pub fn is_any(&self) -> bool {
        self.0.bytes().all(|b| b == b'*')
    }
    /// Whether it stands for `name`; takes time in proportion to the length of both multiplied, at most.
    pub fn matches(&self, name: &str) -> bool {
        let Some((first, rest)) = self.0.split_once('*') else { return *self.0 == *name };
        let (middle, last) = rest.rsplit_once('*').unwrap_or(("", rest));
        let Some(mut name) = name.strip_prefix(first).and_then(|name| name.strip_suffix(last)) else {
            return false;
        };
        // The first place for each is the best: it leaves most for those behind it.
        middle.split('*').all(|text| match name.split_once(text) {
            Some((_, after)) => {
                name = after;
                true
            }
            None => false,
        })
    }
    /// Whether it stands for all that `other` stands for; never wrong when it says so.
    pub fn covers(&self, other: &Self) -> bool {
        // No text between stars has a star itself, so what fits the pattern's text fits all that it stands for.
        self.matches(&other.0)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl FromStr for Glob {
    type Err = InvalidName;
    fn from_str(text: &str) -> Result<Self, InvalidName> {
        Self::new(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_any_characters_and_everything_else_for_itself() {
        let matches = |glob: &str, name: &str| Glob::new(glob).unwrap().matches(name);
        for (glob, name) in [
            ("web-1", "web-1"),
            ("web-*", "web-"),
            ("web-*", "web-1"),
            ("*", "a"),
            ("**", "a"),
            ("*-1", "web-1"),
            ("w*b*1", "web-b-1"),
            ("a*a", "aa"),
            ("a*b*a", "a-b-b-a"),
        ] {
            assert!(matches(glob, name), "{glob} {name}");
        }
        for (glob, name) in [
            ("web-1", "web-11"),
            ("web-*", "xweb-1"),
            ("web-*", "WEB-1"),
            ("a*a", "a"),
            ("*-1", "web-12"),
            ("a*b*c", "acb"),
            ("a*b", "a"),
        ] {
            assert!(!matches(glob, name), "{glob} {name}");
        }
    }

    #[test]
    fn a_pattern_covers_another_only_if_it_stands_for_all_of_it() {
        let covers = |wide: &str, narrow: &str| Glob::new(wide).unwrap().covers(&Glob::new(narrow).unwrap());
        assert!(covers("*", "web-*") && covers("web-*", "web-1*") && covers("web-*", "web-*-x"));
        assert!(!covers("web-1", "web-*") && !covers("web-*", "we*") && !covers("a*b", "a*"));
    }

    #[test]
    fn what_is_no_name_without_stars_is_no_pattern() {
        for bad in ["", "-*", ".*", "a b*", "a/*", "a?", "[a]", "ü*"] {
            assert!(Glob::new(bad).is_err(), "{bad}");
        }
    }
}
