//! Patterns that no command can match, because what they ask for contradicts itself or is refused before.

use lictor_core::limits::MAX_WORD_BYTES;
use regex_automata::{Anchored, hybrid::dfa::DFA, util::start::Config as StartConfig};

use crate::{
    parse::builtins,
    pattern::{Element, Kind, Pattern, Test, long},
};

/// Most states of an expression that are looked at; with more it is taken to match something.
const MAX_STATES: usize = 256;

/// Why no command matches the pattern; `None` when one may.
pub(crate) fn never_matches(pattern: &Pattern) -> Option<String> {
    let elements = pattern.elements();
    let needed = required(elements);
    let impossible = elements.iter().zip(needed).find_map(|(element, needed)| {
        let why = impossible(&element.test).filter(|_| needed)?;
        Some(format!("no word is `{}`: {why}", long::describe(element)))
    });
    impossible.or_else(|| refused(elements))
}

/// Which elements no command can leave out.
fn required(elements: &[Element]) -> Vec<bool> {
    let mut optional_until = 0;
    let is_required = |(index, element): (usize, &Element)| {
        optional_until = optional_until.max(element.skip_to.unwrap_or(0));
        index >= optional_until
    };
    elements.iter().enumerate().map(is_required).collect()
}

/// A command that is spelled out, and that is refused before any rule is asked.
fn refused(elements: &[Element]) -> Option<String> {
    let literal = |element: &Element| match &element.test {
        Test::Literal(text) if element.skip_to.is_none() => Some(text.clone()),
        _ => None,
    };
    let words: Option<Vec<String>> = elements.iter().map(literal).collect();
    let words = words?;
    // A program that is refused whatever follows it is reported with the other problems of the file.
    builtins::problem(words.iter().take(1).map(String::as_str)).is_none().then_some(())?;
    let (_, why) = builtins::problem(words.iter().map(String::as_str))?;
    Some(format!("{why}, which is refused before any rule is asked"))
}

/// Why no word passes the test.
fn impossible(test: &Test) -> Option<&'static str> {
    const TOO_LONG: &str = "it is longer than a word may be";
    match test {
        Test::Literal(text) => (text.len() > MAX_WORD_BYTES).then_some(TOO_LONG),
        Test::Slot { prefix, suffix, .. } if prefix.len() + suffix.len() > MAX_WORD_BYTES => Some(TOO_LONG),
        Test::Slot { prefix, kind, suffix } => {
            let in_directory = prefix.contains('/');
            let up = |text: &str| text.split('/').any(|segment| matches!(segment, "." | ".."));
            let whole = |text: &str| text.rsplit_once('/').is_some_and(|(before, _)| up(before));
            let whole_suffix = suffix.split_once('/').is_some_and(|(_, behind)| up(behind));
            match kind {
                _ if in_directory && (whole(prefix) || whole_suffix) => {
                    Some("a slot in a directory does not pass by `.` or `..`")
                }
                Kind::Path(_) if in_directory => {
                    Some("a slot behind a directory is one name in it, and a path begins with `/`")
                }
                Kind::OneOf(choices)
                    if !choices.iter().any(|choice| test.accepts(&format!("{prefix}{choice}{suffix}"))) =>
                {
                    Some("a slot behind a directory is one name in it, and no choice is one")
                }
                Kind::Regex { source, .. } if matches_nothing(source) => {
                    Some("the expression matches nothing")
                }
                _ => None,
            }
        }
    }
}

/// Whether the expression matches no text at all; when in doubt, no.
fn matches_nothing(source: &str) -> bool {
    walk(source).unwrap_or(false)
}

/// Looks at every state that the automaton of the expression can reach.
fn walk(source: &str) -> Option<bool> {
    let dfa = DFA::new(&format!(r"\A(?:{source})\z")).ok()?;
    let mut cache = dfa.create_cache();
    let start = dfa.start_state(&mut cache, &StartConfig::new().anchored(Anchored::Yes)).ok()?;
    let mut seen = vec![start];
    let mut next = 0;
    while let Some(state) = seen.get(next).copied() {
        next += 1;
        // A match is reported one step late, so the end of the text is the only place to look for it.
        if dfa.next_eoi_state(&mut cache, state).ok()?.is_match() {
            return Some(false);
        }
        for unit in dfa.byte_classes().representatives(0..=u8::MAX) {
            let Some(byte) = unit.as_u8() else { continue };
            let to = dfa.next_state(&mut cache, state, byte).ok()?;
            if to.is_quit() || cache.clear_count() > 0 {
                return None;
            }
            if !to.is_dead() && !seen.contains(&to) {
                seen.push(to);
            }
        }
        if seen.len() > MAX_STATES {
            return None;
        }
    }
    Some(true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_expression_without_a_word_is_known() {
        for source in [r"[^\s\S]", "a[^\\x00-\\x{10ffff}]", "a$b", "x^y"] {
            assert!(matches_nothing(source), "{source}");
        }
        for source in ["", "a", "a|b", "[a-z]{1,8}", ".*", r"(?:[^\s\S]|x)", "a{200}"] {
            assert!(!matches_nothing(source), "{source}");
        }
    }
}
