//! How a deny pattern matches: wider than an allow pattern, because a deny that is evaded is worse than one too many.
//!
//! 1. The program is compared by its last path component: `rm` denies `/bin/rm`.
//! 2. The pattern is a prefix of the command, unless it ends with `<end>`.
//! 3. The program is looked for at every later word too, and inside words as if they were shell text, so that
//!    `sudo rm x`, `xargs rm` and `sh -c 'cd / && rm x'` are denied by `rm`. There, words that have run out count as
//!    matching, because a wrapper may add what is missing.
//! 4. Words are compared as [`spelling`] says, and `--` in a command may stand anywhere behind the program.

mod spelling;

use super::{Element, Kind, Pattern, Test, simulate::Places};

/// Ends the options of most programs and says nothing else.
const END_OF_OPTIONS: &str = "--";

/// The index of the word that decided, when `pattern` denies the words.
pub(crate) fn find(pattern: &Pattern, words: &[&str]) -> Option<usize> {
    if at_start(pattern, words) {
        return Some(0);
    }
    if anywhere(pattern, words.iter().copied().skip(1)) {
        return words.iter().skip(1).position(|word| named(pattern, word).is_some()).map(|index| index + 1);
    }
    // A word that reads as itself alone was looked at above, together with the words behind it.
    let inside = |word: &str| {
        readings(word)
            .iter()
            .filter(|tokens| !matches!(tokens.as_slice(), [only] if only == word))
            .any(|tokens| anywhere(pattern, tokens.iter().map(String::as_str)))
    };
    words.iter().enumerate().skip(1).find(|(_, word)| inside(word)).map(|(index, _)| index)
}

/// Whether the command itself begins with the pattern.
fn at_start(pattern: &Pattern, words: &[&str]) -> bool {
    let mut places = Places::start(pattern.elements());
    for (index, word) in words.iter().enumerate() {
        step(pattern, &mut places, word, index == 0);
        if !pattern.has_end() && places.complete() {
            return true;
        }
        if places.none() {
            return false;
        }
    }
    places.complete()
}

/// Whether the pattern begins at any of the words, and is complete or still under way when they end. One pass.
fn anywhere<'w>(pattern: &Pattern, words: impl Iterator<Item = &'w str>) -> bool {
    // A program that is a slot would be "found" in every argument; such a pattern is about the program alone.
    if programs(pattern).is_empty() {
        return false;
    }
    let mut under_way = Places::nowhere(pattern.elements());
    for word in words {
        let mut fresh = Places::start(pattern.elements());
        step(pattern, &mut fresh, word, true);
        step(pattern, &mut under_way, word, false);
        under_way.join(&fresh);
        if !pattern.has_end() && under_way.complete() {
            return true;
        }
    }
    !under_way.none()
}

/// Moves on by a word; a program is compared by its last path component.
fn step(pattern: &Pattern, places: &mut Places<'_>, word: &str, is_program: bool) {
    if is_program {
        let word = named(pattern, word).unwrap_or(word);
        return places.step_by(|test| spelling::denies_program(test, word));
    }
    places.step_or_stay(word == END_OF_OPTIONS, |test| spelling::denies(test, word));
}

/// The program of the pattern that `word` names, as the pattern spells it.
fn named<'p>(pattern: &'p Pattern, word: &str) -> Option<&'p str> {
    let name = base_name(word);
    programs(pattern).iter().map(String::as_str).find(|program| base_name(program) == name)
}

/// The programs that the pattern spells out; none when the program is another slot.
pub(crate) fn programs(pattern: &Pattern) -> &[String] {
    spelled_out(pattern.elements().first())
}

/// The programs that a first element spells out.
pub(crate) fn spelled_out(program: Option<&Element>) -> &[String] {
    match program.map(|element| &element.test) {
        Some(Test::Literal(text)) => std::slice::from_ref(text),
        Some(Test::Slot { prefix, kind: Kind::OneOf(choices), suffix })
            if prefix.is_empty() && suffix.is_empty() =>
        {
            choices
        }
        _ => &[],
    }
}

/// The last component of a path.
pub(crate) fn base_name(word: &str) -> &str {
    word.rsplit('/').next().unwrap_or(word)
}

/// The ways in which a word might be read as the text of commands: with quotes and backslashes as separators and
/// without them (`r''m` is `rm` to a shell), split at shell operators only and also inside `--option=value`, and with
/// the letter of a short option taken off (`env -Srm`).
fn readings(word: &str) -> Vec<Vec<String>> {
    let unquoted: String = word.chars().filter(|c| !matches!(c, '\'' | '"' | '\\')).collect();
    let mut readings = Vec::new();
    for text in [word, unquoted.as_str()] {
        for also in ["=:,", ""] {
            let plain = tokens(text, also);
            readings.push(plain.iter().map(|token| without_option_letter(token).to_owned()).collect());
            readings.push(plain);
        }
    }
    readings
}

fn tokens(text: &str, separators: &str) -> Vec<String> {
    let is_part = |c: char| {
        let plain = c.is_ascii_alphanumeric() || "_./+-@%=:,".contains(c) || !c.is_ascii();
        plain && !separators.contains(c)
    };
    text.split(|c| !is_part(c)).filter(|t| !t.is_empty()).map(str::to_owned).collect()
}

fn without_option_letter(token: &str) -> &str {
    let glued = token.strip_prefix('-').filter(|rest| !rest.starts_with('-')).and_then(|rest| {
        let mut chars = rest.chars();
        chars.next().map(|_| chars.as_str())
    });
    glued.filter(|operand| !operand.is_empty()).unwrap_or(token)
}
