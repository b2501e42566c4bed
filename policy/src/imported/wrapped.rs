//! What a command runs besides itself: the command behind `sudo`, the text behind `sh -c`, what `xargs` and `find` start.

mod table;

use std::collections::VecDeque;

use lictor_core::{
    command::{Command, Simple},
    job::CommandInput,
};

use self::table::{FIND_RUNS, SHELLS, WRAPPERS, Wrapper};
use super::symbols::{self, Symbol, Symbols};
use crate::parse::parse_command_with_globs;

/// Most commands that are looked for in one: nobody writes `sudo env nice …` deeper, and each is compared with every rule.
const MAX_RUNS: usize = 32;

/// A command that runs, itself or by way of another.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) words: Vec<Symbols>,
    pub(crate) redirects: bool,
    /// The program that runs it; `None`: it is the command itself.
    pub(crate) by: Option<String>,
}

/// Everything that a command runs, as far as its words tell.
#[derive(Debug, Clone, Default)]
pub(crate) struct Runs {
    /// The command itself comes first.
    pub(crate) runs: Vec<Run>,
    /// Texts that are run as command lines, and by what.
    pub(crate) texts: Vec<(Command, String)>,
    /// The program that runs what cannot be known.
    pub(crate) opaque: Option<String>,
}

/// Everything that `simple` runs.
pub(crate) fn runs(simple: &Simple) -> Runs {
    let itself = Run { words: symbols::of_simple(simple), redirects: simple.stderr_to_stdout(), by: None };
    let mut found = Runs::default();
    let mut queue = VecDeque::from([itself]);
    while let Some(run) = queue.pop_front() {
        if found.runs.len() == MAX_RUNS {
            found.opaque = run.by;
            break;
        }
        let name = run.words.first().and_then(|program| symbols::literal(symbols::base_name(program)));
        if let Some(name) = name {
            for inner in inside(&name, run.words.get(1..).unwrap_or_default()) {
                found.take(inner, &name, &mut queue);
            }
        }
        found.runs.push(run);
    }
    found
}

enum Inner {
    Words(Vec<Symbols>),
    Text(Symbols),
}

// === impl Runs ===

impl Runs {
    fn take(&mut self, inner: Inner, by: &str, queue: &mut VecDeque<Run>) {
        let text = match inner {
            Inner::Words(words) if words.is_empty() => return,
            Inner::Words(words) => {
                queue.push_back(Run { words, redirects: false, by: Some(by.to_owned()) });
                return;
            }
            Inner::Text(text) => symbols::literal(&text),
        };
        match text.and_then(|text| parse_command_with_globs(&CommandInput::Line(text)).ok()) {
            None => self.opaque = Some(by.to_owned()),
            Some(command) => {
                queue.extend(command.simples().map(|simple| Run {
                    words: symbols::of_simple(simple),
                    redirects: simple.stderr_to_stdout(),
                    by: Some(by.to_owned()),
                }));
                self.texts.push((command, by.to_owned()));
            }
        }
    }
}

/// The commands that the program `name` runs when it is given `operands`.
fn inside(name: &str, operands: &[Symbols]) -> Vec<Inner> {
    if SHELLS.contains(&name) {
        let text = shell_text(operands).or_else(|| reads_its_input(operands).then(|| vec![Symbol::Unknown]));
        return text.into_iter().map(Inner::Text).collect();
    }
    if name == "find" {
        return found_by_find(operands);
    }
    let Some(wrapper) = WRAPPERS.iter().find(|wrapper| wrapper.names.contains(&name)) else {
        return Vec::new();
    };
    let (mut inner, rest) = wrapper.options(operands);
    let mut command: Vec<Symbols> = rest.to_vec();
    match name {
        _ if command.is_empty() => {}
        "watch" => inner.push(Inner::Text(command.join(&Symbol::Char(' ')))),
        "xargs" => {
            command.push(vec![Symbol::Unknown]);
            let replaced = replaced_by_xargs(operands);
            let is_replaced =
                |word: &Symbols| replaced.as_ref().is_some_and(|text| symbols::show(word).contains(text));
            let put = |word: &Symbols| {
                if is_replaced(word) { vec![Symbol::Unknown] } else { with_unknown(word) }
            };
            inner.push(Inner::Words(command.iter().map(put).collect()));
        }
        _ => inner.push(Inner::Words(command)),
    }
    inner
}

/// The text behind `-c`, which may stand in a cluster of short options.
fn shell_text(operands: &[Symbols]) -> Option<Symbols> {
    let mut wanted = false;
    let mut rest = operands.iter();
    while let Some(word) = rest.next() {
        let shown = symbols::show(word);
        if !shown.starts_with(['-', '+']) || shown == "-" {
            return wanted.then(|| word.clone());
        }
        if shown == "--" {
            return rest.next().filter(|_| wanted).cloned();
        }
        wanted |= !shown.starts_with("--") && shown.contains('c');
        if matches!(shown.as_str(), "-o" | "+o" | "-O" | "+O" | "--rcfile" | "--init-file") {
            rest.next();
        }
    }
    None
}

/// Whether a shell runs what it reads from its input: it has no script, or says so.
fn reads_its_input(operands: &[Symbols]) -> bool {
    let shown: Vec<String> = operands.iter().map(|word| symbols::show(word)).collect();
    let only_prints = shown.iter().any(|word| matches!(word.as_str(), "--version" | "--help"));
    let script = shown.iter().find(|word| !word.starts_with(['-', '+']));
    let says_so = shown
        .iter()
        .take_while(|word| word.starts_with(['-', '+']))
        .any(|word| word == "-" || (!word.starts_with("--") && word.contains('s')));
    !only_prints && (says_so || script.is_none_or(|script| script == "/dev/stdin"))
}

/// The text that `xargs -I TEXT` puts its input in the place of.
fn replaced_by_xargs(operands: &[Symbols]) -> Option<String> {
    let shown: Vec<String> = operands.iter().map(|word| symbols::show(word)).collect();
    let at = shown.iter().position(|word| word.starts_with("-I"))?;
    let glued = shown.get(at)?.strip_prefix("-I").filter(|text| !text.is_empty()).map(str::to_owned);
    glued.or_else(|| shown.get(at + 1).cloned()).filter(|text| !text.is_empty())
}

fn found_by_find(operands: &[Symbols]) -> Vec<Inner> {
    let is = |word: &Symbols, texts: &[&str]| {
        symbols::literal(word).is_some_and(|word| texts.contains(&word.as_str()))
    };
    let mut inner = Vec::new();
    let mut rest = operands;
    while let Some(at) = rest.iter().position(|word| is(word, &FIND_RUNS)) {
        rest = rest.get(at + 1..).unwrap_or_default();
        let end = rest.iter().position(|word| is(word, &[";", "+"])).unwrap_or(rest.len());
        let command = rest.get(..end).unwrap_or_default();
        inner.push(Inner::Words(command.iter().map(|word| with_unknown(word)).collect()));
        rest = rest.get(end..).unwrap_or_default();
    }
    inner
}

/// The word with what is put in the place of `{}`.
fn with_unknown(word: &[Symbol]) -> Symbols {
    let mut out = Symbols::new();
    for symbol in word {
        if *symbol == Symbol::Char('}') && out.last() == Some(&Symbol::Char('{')) {
            out.pop();
            out.push(Symbol::Unknown);
        } else {
            out.push(symbol.clone());
        }
    }
    out
}

// === impl Wrapper ===

impl Wrapper {
    /// The texts among the options, and the command behind them.
    fn options<'w>(&self, operands: &'w [Symbols]) -> (Vec<Inner>, &'w [Symbols]) {
        let mut texts = Vec::new();
        let mut left = self.operands;
        let mut rest = operands;
        let mut options = true;
        while let Some((word, after)) = rest.split_first() {
            let shown = symbols::show(word);
            let option = options && shown.starts_with('-');
            if shown == "--" && options {
                options = false;
            } else if option {
                if let Some(text) = self.value(self.text, word, after.first()) {
                    texts.push(Inner::Text(text.0));
                    rest = after.get(usize::from(text.1)..).unwrap_or_default();
                    continue;
                }
                let takes_next = self.value(self.valued, word, after.first()).is_some_and(|(_, next)| next);
                rest = after.get(usize::from(takes_next)..).unwrap_or_default();
                continue;
            } else if self.assigns && is_assignment(&shown) {
                options = false;
            } else if left > 0 {
                left -= 1;
            } else {
                return (texts, rest);
            }
            rest = after;
        }
        (texts, rest)
    }

    /// The value that `word` gives to one of the `options`, and whether it is the next word.
    fn value(&self, options: &[&str], word: &Symbols, next: Option<&Symbols>) -> Option<(Symbols, bool)> {
        let shown = symbols::show(word);
        if options.contains(&shown.as_str()) {
            return next.map(|next| (next.clone(), true));
        }
        if shown.starts_with("--") {
            let (name, _) = shown.split_once('=')?;
            let value = word.get(name.chars().count() + 1..)?;
            return options.contains(&name).then(|| (value.to_vec(), false));
        }
        // Short options may stand together, and the last may have its value glued on.
        let is_valued = |list: &[&str], c: char| list.contains(&format!("-{c}").as_str());
        let at = shown.chars().skip(1).position(|c| is_valued(options, c) || is_valued(self.valued, c))? + 1;
        let glued = word.get(at + 1..).unwrap_or_default();
        if !shown.chars().nth(at).is_some_and(|c| is_valued(options, c)) {
            return None;
        }
        if glued.is_empty() { next.map(|next| (next.clone(), true)) } else { Some((glued.to_vec(), false)) }
    }
}

fn is_assignment(word: &str) -> bool {
    word.split_once('=').is_some_and(|(name, _)| {
        !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(words: &[&str]) -> Vec<String> {
        let command = Command::from_argv(words).unwrap();
        let found = runs(command.simples().next().unwrap());
        let mut all: Vec<String> = found
            .runs
            .iter()
            .skip(1)
            .map(|run| run.words.iter().map(|w| symbols::show(w)).collect::<Vec<_>>().join(" "))
            .collect();
        all.extend(found.opaque.map(|by| format!("{by}?")));
        all
    }

    #[test]
    fn commands_behind_wrappers_are_found() {
        for (words, inner) in [
            (&["sudo", "rm", "x"][..], &["rm x"][..]),
            (&["sudo", "-u", "root", "rm", "x"], &["rm x"]),
            (&["sudo", "-nu", "root", "rm"], &["rm"]),
            (&["sudo", "-uroot", "--", "rm"], &["rm"]),
            (&["sudo", "--user=root", "A=b", "rm"], &["rm"]),
            (&["/usr/bin/env", "A=b", "-i", "C=d", "rm"], &["-i C=d rm"]),
            (&["env", "-i", "A=b", "rm"], &["rm"]),
            (&["env", "-S", "rm x"], &["rm x"]),
            (&["timeout", "-k", "5", "10", "rm"], &["rm"]),
            (&["nice", "-n", "5", "nohup", "rm"], &["nohup rm", "rm"]),
            (&["sh", "-c", "rm x; ls"], &["rm x", "ls"]),
            (&["bash", "-lc", "sudo rm"], &["sudo rm", "rm"]),
            (&["bash", "-o", "pipefail", "-c", "rm"], &["rm"]),
            (&["sh", "-c", "rm $x"], &["sh?"]),
            (&["sh", "script.sh", "-c", "rm"], &[]),
            (&["xargs", "-n", "1", "rm", "-f"], &["rm -f …"]),
            (&["xargs", "-I{}", "cat", "/{}"], &["cat … …"]),
            (&["xargs", "-I%", "sh", "-c", "%"], &["sh -c … …", "sh?"]),
            (&["sh"], &["sh?"]),
            (&["bash", "-s", "x"], &["bash?"]),
            (&["bash", "/dev/stdin"], &["bash?"]),
            (&["bash", "deploy.sh"], &[]),
            (&["bash", "--version"], &[]),
            (&["unshare", "-r", "rm", "x"], &["rm x"]),
            (&["find", "/x", "-exec", "rm", "{}", ";", "-ok", "ls", "+"], &["rm …", "ls"]),
            (&["busybox", "rm", "x"], &["rm x"]),
            (&["watch", "-n", "1", "rm", "x"], &["rm x"]),
            (&["su", "-", "root", "-c", "rm x"], &["rm x"]),
            (&["su", "-c", "rm x"], &["rm x"]),
            (&["flock", "/f", "rm"], &["rm"]),
            (&["sudo"], &[]),
            (&["ls", "sudo", "rm"], &[]),
        ] {
            assert_eq!(found(words), inner, "{words:?}");
        }
    }

    #[test]
    fn the_search_has_an_end() {
        let words: Vec<&str> = std::iter::repeat_n("nohup", 100).collect();
        assert_eq!(found(&words).len(), MAX_RUNS);
    }
}
