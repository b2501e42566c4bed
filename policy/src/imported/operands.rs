//! What programs make of words that a `*` would take: which options give an operand themselves, and what may stand behind
//! a path, a script or a URL.

use super::{
    anchor::WordGlob,
    symbols::{self, Symbol},
};

/// Programs that run the script which is their first operand.
const INTERPRETERS: [&str; 14] = [
    "sh", "bash", "dash", "ash", "ksh", "zsh", "python", "python3", "perl", "ruby", "node", "php", "lua",
    "java",
];

/// Options of curl and wget that neither send nor keep anything elsewhere.
const URL_FLAGS: [&str; 22] = [
    "-s",
    "-S",
    "-sS",
    "-Ss",
    "-f",
    "-fs",
    "-fsS",
    "-sf",
    "-i",
    "-I",
    "-sI",
    "-k",
    "-sk",
    "-v",
    "-q",
    "-qO-",
    "--silent",
    "--show-error",
    "--fail",
    "--head",
    "--include",
    "--compressed",
];

/// Those that have a value, which is only looked at or sent as a header.
const URL_VALUED: [&str; 9] =
    ["-m", "-w", "-H", "-X", "--max-time", "--connect-timeout", "--write-out", "--header", "--timeout"];

/// What more words an open last word about paths takes: options and their values, and no path outside. A word has no `/`
/// and does not begin like a path, or its path is one that the glob matches; one that is neither an option nor a number
/// stands behind an option. Behind a URL, only options that send and keep nothing elsewhere.
pub(crate) fn may_follow(glob: &WordGlob, word: &[Symbol], after_option: bool) -> bool {
    if !symbols::is_literal(word) {
        return false;
    }
    if glob.is_url() {
        return is_harmless_for_url(&symbols::show(word), after_option);
    }
    let is_option = symbols::starts_with(word, '-');
    if !is_option && !after_option && !is_number(word) && !symbols::has(word, '/') {
        return false;
    }
    let equals = word.iter().position(|symbol| *symbol == Symbol::Char('='));
    let value =
        equals.filter(|_| symbols::starts_with(word, '-')).map(|at| word.get(at + 1..).unwrap_or_default());
    if symbols::has(word, '/') {
        return value.is_some_and(|value| glob.matches(value));
    }
    let plain = |part: &[Symbol]| !matches!(part.first(), Some(Symbol::Char('.' | '~')));
    plain(word) && value.is_none_or(plain)
}

/// Whether an option gives the program the operand that a `*` stands for, so that the next word is another one.
pub(crate) fn supplies_operand(program: &str, option: &str) -> bool {
    let cluster = option.strip_prefix('-').filter(|rest| !rest.starts_with('-')).unwrap_or_default();
    let long = |names: &[&str]| names.iter().any(|name| option.starts_with(name));
    match program {
        "grep" | "egrep" | "fgrep" | "zgrep" | "sed" | "awk" | "gawk" | "mawk" => {
            let glued = cluster.char_indices().find(|(_, c)| matches!(c, 'e' | 'f'));
            glued.is_some_and(|(at, c)| at + c.len_utf8() < cluster.len())
                || long(&["--reg", "--fil", "--exp"])
        }
        "chmod" => (!cluster.is_empty() && cluster.chars().all(|c| "rwxXst".contains(c))) || long(&["--ref"]),
        "chown" | "chgrp" => long(&["--ref"]),
        "cp" | "mv" | "ln" | "install" => cluster.contains('t') || long(&["--tar"]),
        _ => false,
    }
}

pub(crate) fn is_number(word: &[Symbol]) -> bool {
    !word.is_empty() && word.iter().all(|symbol| matches!(symbol, Symbol::Char(c) if c.is_ascii_digit()))
}

/// Whether the program runs the script that it is given.
pub(crate) fn is_interpreter(name: &str) -> bool {
    INTERPRETERS.contains(&name)
}

/// Whether a word behind a URL is an option that sends and keeps nothing elsewhere, or the value of one.
fn is_harmless_for_url(word: &str, after_option: bool) -> bool {
    if word.starts_with('-') {
        return URL_FLAGS.contains(&word) || URL_VALUED.contains(&word);
    }
    // Of options without a value only those above can stand before; a word behind them would be another URL.
    after_option
        && (word == "/dev/null"
            || word.contains(['%', ':', ' ']) && !word.contains('@')
            || is_plain_value(word))
}

/// A number or a method.
fn is_plain_value(word: &str) -> bool {
    let number = word.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    let method = matches!(word, "GET" | "HEAD" | "OPTIONS");
    !word.is_empty() && (number || method)
}
