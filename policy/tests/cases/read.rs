//! Reads the files of cases beside it.
#![allow(dead_code, clippy::unwrap_used, reason = "each test takes what it needs, and fails by panicking")]

use std::collections::BTreeMap;

/// One file a kind: constructs of shells, and classes of published weaknesses under a heading each.
const HOSTILE: [&str; 2] = [include_str!("hostile.txt"), include_str!("hostile_advisories.txt")];
const BENIGN: &str = include_str!("benign.txt");
const OPERATIONS: &str = include_str!("benign_operations.txt");

/// A line that must not run.
pub(crate) struct Hostile {
    /// The refusal code, or `DENY`: it is a command, and no example policy allows it.
    pub(crate) code: String,
    pub(crate) line: String,
}

/// A line that must run.
pub(crate) struct Operation {
    /// Under which example policies.
    pub(crate) policies: Vec<&'static str>,
    pub(crate) line: String,
}

/// Every hostile line.
pub(crate) fn hostile() -> impl Iterator<Item = Hostile> {
    HOSTILE.into_iter().flat_map(cases).map(|case| {
        let (code, line) = case.split_once(' ').unwrap();
        Hostile { code: code.to_owned(), line: expand(line) }
    })
}

/// How many hostile lines stand under each heading.
pub(crate) fn hostile_classes() -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    let mut class = "";
    for line in HOSTILE[1].lines() {
        if let Some(heading) = line.strip_prefix("## ") {
            class = heading.split(' ').next().unwrap();
        } else if is_case(line) {
            *counts.entry(class).or_default() += 1;
        }
    }
    counts
}

/// What operators type.
pub(crate) fn benign_operations() -> impl Iterator<Item = Operation> {
    cases(OPERATIONS).map(|case| {
        let (names, line) = case.split_once(' ').unwrap();
        Operation { policies: names.split(',').collect(), line: expand(line) }
    })
}

/// Lines that are commands, each with its words: words by simple command.
pub(crate) fn benign() -> impl Iterator<Item = (&'static str, Vec<Vec<&'static str>>)> {
    cases(BENIGN).map(|case| {
        let (line, words) = case.split_once(" => ").unwrap();
        (line, words.split('‖').map(|part| part.split('¦').collect()).collect())
    })
}

fn cases(file: &'static str) -> impl Iterator<Item = &'static str> {
    file.lines().filter(|line| is_case(line))
}

fn is_case(line: &str) -> bool {
    !line.is_empty() && !line.starts_with("# ") && !line.starts_with("## ")
}

/// `<U+XXXX>` as the character, `<N*text>` as the text N times.
fn expand(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('<') {
        out.push_str(before);
        match after.split_once('>').and_then(|(inside, tail)| Some((expanded(inside)?, tail))) {
            Some((expanded, tail)) => {
                out.push_str(&expanded);
                rest = tail;
            }
            None => {
                out.push('<');
                rest = after;
            }
        }
    }
    out + rest
}

fn expanded(inside: &str) -> Option<String> {
    if let Some(hex) = inside.strip_prefix("U+") {
        return char::from_u32(u32::from_str_radix(hex, 16).ok()?).map(String::from);
    }
    let (count, text) = inside.split_once('*')?;
    Some(text.repeat(count.parse().ok()?))
}
