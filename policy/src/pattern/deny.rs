//! How a deny pattern matches: wider than an allow pattern, because a deny that is evaded is worse than one too many.
//!
//! 1. The program is compared by its last path component: `rm` denies `/bin/rm`.
//! 2. The pattern is a prefix of the command, unless it ends with `<end>`.
//! 3. The program is looked for at every later word too, and inside words as if they were shell text, so that
//!    `sudo rm x`, `xargs rm` and `sh -c 'cd / && rm x'` are denied by `rm`. There, words that have run out count as
//!    matching, because a wrapper may add what is missing.
//! 4. Options between the words of the pattern, and the word behind such an option, are passed over: `git push` denies
//!    `git -C /srv push`.
//! 5. Words are compared as [`spelling`] says, and `--` in a command may stand anywhere behind the program.

mod spelling;

use lictor_core::command::Word;

use super::{Element, Kind, Pattern, Test, expansion, simulate::Places};

/// Ends the options of most programs and says nothing else.
const END_OF_OPTIONS: &str = "--";

/// A word as it is compared: as it is, or as everything that it could expand to.
#[derive(Clone, Copy)]
enum Seen<'w> {
    Text(&'w str),
    Glob(&'w Word),
}

/// Where programs are: files elsewhere that a glob finds are arguments rather than programs.
const PROGRAM_DIRECTORIES: [&str; 8] =
    ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin", "/opt/bin", "/snap/bin"];

/// A walk of a pattern along words, as they are and with options left out.
struct Walk<'p> {
    pattern: &'p Pattern,
    /// Every word counts.
    strict: Places<'p>,
    /// Options count, or not, and neither does the word behind an option, which may be its argument.
    loose: Places<'p>,
    /// Where the walk was before the last word, if that was an option that may have an argument.
    before_option: Option<Places<'p>>,
}

/// The index of the word that decided, when `pattern` denies the words.
pub(crate) fn find(pattern: &Pattern, words: &[Word]) -> Option<usize> {
    // Most rules are about programs that no word of the command names; this is what they cost.
    let may_name = |word: &Word| word.literal().is_none() || mentions(pattern, word.as_str());
    if !programs(pattern).is_empty() && !words.iter().any(may_name) {
        return None;
    }
    if at_start(pattern, words) {
        return Some(0);
    }
    if anywhere(pattern, words.iter().skip(1).map(seen)) {
        let names = |word| named(pattern, seen(word)).is_some();
        return words.iter().skip(1).position(names).map(|index| index + 1);
    }
    // A word that reads as itself alone was looked at above, together with the words behind it.
    let inside = |word: &str| {
        mentions(pattern, word)
            && readings(word)
                .iter()
                .filter(|tokens| !matches!(tokens.as_slice(), [only] if only == word))
                .any(|tokens| anywhere(pattern, tokens.iter().map(|token| Seen::Text(token))))
    };
    words.iter().enumerate().skip(1).find(|(_, word)| inside(word.as_str())).map(|(index, _)| index)
}

fn seen(word: &Word) -> Seen<'_> {
    word.literal().map_or(Seen::Glob(word), Seen::Text)
}

/// Whether the command itself begins with the pattern.
fn at_start(pattern: &Pattern, words: &[Word]) -> bool {
    let mut walk = Walk::new(pattern, Places::start(pattern.elements()));
    for (index, word) in words.iter().enumerate() {
        walk.step(seen(word), index == 0);
        if !pattern.has_end() && walk.loose.complete() {
            return true;
        }
        if walk.loose.none() {
            return false;
        }
    }
    walk.loose.complete()
}

/// Whether the pattern begins at any of the words, and is complete or still under way when they end. One pass.
fn anywhere<'w>(pattern: &Pattern, words: impl Iterator<Item = Seen<'w>>) -> bool {
    // A program that is a slot would be "found" in every argument; such a pattern is about the program alone.
    if programs(pattern).is_empty() {
        return false;
    }
    let mut walk = Walk::new(pattern, Places::nowhere(pattern.elements()));
    for word in words {
        let mut fresh = Places::start(pattern.elements());
        step(pattern, &mut fresh, word, true);
        walk.step(word, false);
        walk.strict.join(&fresh);
        walk.loose.join(&fresh);
        if !pattern.has_end() && walk.loose.complete() {
            return true;
        }
    }
    // Options that were left out are no sign that the rest of the pattern is still to come.
    !walk.strict.none()
}

/// Moves on by a word; a program is compared by its last path component.
fn step(pattern: &Pattern, places: &mut Places<'_>, word: Seen<'_>, is_program: bool) {
    let named = if is_program { named(pattern, word) } else { None };
    match (word, named) {
        (Seen::Text(text), None) if !is_program => {
            places.step_or_stay(text == END_OF_OPTIONS, |element| spelling::denies(&element.test, text));
        }
        // Behind a wrapper the program itself may come out of a glob.
        (Seen::Text(_) | Seen::Glob(_), Some(text)) | (Seen::Text(text), None) => {
            places.step_by(|element| spelling::denies_program(&element.test, text));
        }
        (Seen::Glob(word), None) => {
            places.step_repeatedly(|element| expansion::could_meet(&element.test, word));
        }
    }
}

// === impl Walk ===

impl<'p> Walk<'p> {
    fn new(pattern: &'p Pattern, places: Places<'p>) -> Self {
        Self { pattern, strict: places.clone(), loose: places, before_option: None }
    }

    fn step(&mut self, word: Seen<'_>, is_program: bool) {
        step(self.pattern, &mut self.strict, word, is_program);
        let before = self.loose.clone();
        step(self.pattern, &mut self.loose, word, is_program);
        // A pattern with `<end>` is about the whole command, options included.
        if is_program || self.pattern.has_end() {
            return;
        }
        let before_option = self.before_option.take();
        if is_option(word) {
            self.loose.join(&before);
            self.before_option = Some(before).filter(|_| !has_argument(word));
        } else if let Some(before_option) = before_option {
            self.loose.join(&before_option);
        }
    }
}

fn is_option(word: Seen<'_>) -> bool {
    matches!(word, Seen::Text(text) if text.len() > 1 && text.starts_with('-') && text != END_OF_OPTIONS)
}

fn has_argument(word: Seen<'_>) -> bool {
    matches!(word, Seen::Text(text) if text.contains('='))
}

/// The program of the pattern that `word` names, as the pattern spells it.
fn named<'p>(pattern: &'p Pattern, word: Seen<'_>) -> Option<&'p str> {
    let mut programs = programs(pattern).iter().map(String::as_str);
    match word {
        Seen::Text(text) => programs.find(|program| base_name(program) == base_name(text)),
        Seen::Glob(word) => {
            let name = expansion::base_name(word)?;
            programs.find(|program| {
                let program = base_name(program);
                let in_directory =
                    |directory: &&str| expansion::could_be(word, &format!("{directory}/{program}"));
                match name.literal() {
                    Some(name) => name == program,
                    None if word.as_str().contains('/') => PROGRAM_DIRECTORIES.iter().any(in_directory),
                    None => expansion::could_be(word, program),
                }
            })
        }
    }
}

/// Whether `text`, wherever it stands, may be what `test` denies.
pub(crate) fn may_be(test: &Test, text: &str) -> bool {
    spelling::denies(test, text)
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

/// Whether a program of the pattern stands anywhere in the word: without it no reading of the word can name one.
fn mentions(pattern: &Pattern, word: &str) -> bool {
    let is_dropped = |c: char| matches!(c, '\'' | '"' | '\\');
    let unquoted = word.contains(is_dropped).then(|| word.replace(is_dropped, ""));
    let text = unquoted.as_deref().unwrap_or(word);
    // A name with quotes in it is only found in the word as it is.
    programs(pattern)
        .iter()
        .map(|program| base_name(program))
        .any(|name| text.contains(name) || word.contains(name))
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
