//! The options of a form, and reading a word as one.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use super::fault::Why;
use crate::pattern::Kind;

/// The options that one part of a form may have.
#[derive(Debug, Default)]
pub(super) struct OptionSet {
    /// Short options without a value that may stand together: `-la`.
    pub(super) letters: BTreeSet<char>,
    /// Words without a value.
    pub(super) flags: BTreeSet<String>,
    /// Options whose value is the next word.
    pub(super) separate: BTreeMap<String, Arc<Value>>,
    /// Options whose value is behind the first `=` of the word; the key ends with it.
    pub(super) joined: BTreeMap<String, Arc<Value>>,
    /// Short options whose value is the rest of the word, where letters may stand together.
    pub(super) glued: BTreeMap<char, Arc<Value>>,
    /// Other texts behind which the value follows in the same word.
    pub(super) prefixes: Vec<(String, Arc<Value>)>,
}

/// The value of an option, or an operand.
#[derive(Debug)]
pub(super) struct Value {
    /// Its name in the data.
    pub(super) name: String,
    /// An example.
    pub(super) like: String,
    pub(super) kind: Kind,
}

/// How a word was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reading {
    /// As an option, complete in this word.
    Option,
    /// As an option whose value is the next word.
    OptionWithNext,
    /// Not as an option.
    NotAnOption,
}

// === impl Value ===

impl Value {
    pub(super) fn accepts(&self, word: &str) -> bool {
        self.kind.accepts(word)
    }
    fn refuse(&self, option: &str, value: &str) -> Why {
        Why::Value { option: option.into(), value: value.into(), like: self.like.clone() }
    }
}

// === impl OptionSet ===

impl OptionSet {
    /// Reads `word`, before which no `--` stands; `next` is the word behind it. `seen` is told each option by the name
    /// that it is listed by.
    pub(super) fn read(
        &self,
        word: &str,
        next: Option<&str>,
        seen: &mut impl FnMut(&str),
    ) -> Result<Reading, Why> {
        if let Some(value) = self.separate.get(word) {
            return self.read_separate(word, value, next, seen);
        }
        if self.flags.contains(word) {
            seen(word);
            return Ok(Reading::Option);
        }
        if let Some(found) = self.read_joined(word, seen) {
            return found;
        }
        for (prefix, value) in &self.prefixes {
            if word.strip_prefix(prefix.as_str()).is_some_and(|rest| !rest.is_empty() && value.accepts(rest))
            {
                seen(prefix);
                return Ok(Reading::Option);
            }
        }
        match word.strip_prefix('-') {
            None | Some("") => Ok(Reading::NotAnOption),
            Some(letters) if self.bundles() && !letters.starts_with('-') => {
                self.read_bundle(word, letters, next, seen)
            }
            Some(_) => {
                let option = word.split('=').next().unwrap_or(word);
                Err(unknown(option, option))
            }
        }
    }

    /// An option whose value is the next word; some may stand without one.
    fn read_separate(
        &self,
        word: &str,
        value: &Value,
        next: Option<&str>,
        seen: &mut impl FnMut(&str),
    ) -> Result<Reading, Why> {
        seen(word);
        match next {
            Some(next) if value.accepts(next) => Ok(Reading::OptionWithNext),
            _ if self.flags.contains(word) => Ok(Reading::Option),
            Some(next) => Err(value.refuse(word, next)),
            None => Err(Why::NoValue { option: word.into(), like: value.like.clone() }),
        }
    }

    /// `NAME=VALUE`, when that name is listed so.
    fn read_joined(&self, word: &str, seen: &mut impl FnMut(&str)) -> Option<Result<Reading, Why>> {
        let (name, rest) = word.split_at_checked(word.find('=')? + 1)?;
        let value = self.joined.get(name)?;
        let option = name.trim_end_matches('=');
        seen(option);
        Some(if value.accepts(rest) { Ok(Reading::Option) } else { Err(value.refuse(option, rest)) })
    }

    /// Short options that stand together, as getopt(3) reads them: the first that takes a value takes the rest of the
    /// word, or the next word when there is no rest.
    fn read_bundle(
        &self,
        word: &str,
        letters: &str,
        next: Option<&str>,
        seen: &mut impl FnMut(&str),
    ) -> Result<Reading, Why> {
        for (at, letter) in letters.char_indices() {
            let option = format!("-{letter}");
            if self.letters.contains(&letter) {
                seen(&option);
                continue;
            }
            let rest = letters.get(at + letter.len_utf8()..).unwrap_or_default();
            if rest.is_empty() {
                let value = self.separate.get(&option).ok_or_else(|| unknown(&option, word))?;
                return self.read_separate(&option, value, next, seen);
            }
            let value = self.glued.get(&letter).ok_or_else(|| unknown(&option, word))?;
            seen(&option);
            return if value.accepts(rest) { Ok(Reading::Option) } else { Err(value.refuse(&option, rest)) };
        }
        Ok(Reading::Option)
    }

    /// Whether short options may stand together.
    pub(super) fn bundles(&self) -> bool {
        !self.letters.is_empty()
    }
}

fn unknown(option: &str, word: &str) -> Why {
    Why::UnknownOption { option: option.into(), word: word.into() }
}
