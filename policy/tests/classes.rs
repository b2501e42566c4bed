//! Promises about command classes: what is in them, and that nothing else is.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::collections::{BTreeMap, BTreeSet};

use lictor_core::job::CommandInput;
use lictor_policy::{
    class::{Class, ClassName},
    parse_command,
};
use proptest::{prelude::*, sample::Index};
use serde_json::Value;

/// The data, read without the crate's own types.
fn data() -> Value {
    serde_saphyr::from_str(include_str!("../data/read-only.yml")).unwrap()
}

fn class() -> &'static Class {
    Class::get(ClassName::ReadOnly)
}

fn entries(data: &Value) -> &Vec<Value> {
    data["commands"].as_array().unwrap()
}

fn strings(value: &Value) -> Vec<&str> {
    value.as_array().map(|list| list.iter().map(|item| item.as_str().unwrap()).collect()).unwrap_or_default()
}

/// The words of an example, which must be one simple command of literal words.
fn words(line: &str) -> Vec<String> {
    let command = parse_command(&CommandInput::Line(line.into())).unwrap_or_else(|e| panic!("{line}: {e:?}"));
    let simples: Vec<_> = command.simples().collect();
    assert_eq!(simples.len(), 1, "{line}");
    simples[0].words().iter().map(|word| word.literal().unwrap().to_owned()).collect()
}

fn matches(words: &[String]) -> bool {
    class().matches(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

fn nearest(line: &str) -> Option<String> {
    let words = words(line);
    class().nearest(&words.iter().map(String::as_str).collect::<Vec<_>>())
}

fn every_match(data: &Value) -> Vec<Vec<String>> {
    entries(data).iter().flat_map(|entry| strings(&entry["match"])).map(words).collect()
}

#[test]
fn every_example_is_where_the_data_says() {
    let data = data();
    let mut wrong = Vec::new();
    for entry in entries(&data) {
        for (list, expected) in [("match", true), ("not_match", false)] {
            for line in strings(&entry[list]) {
                let words = words(line);
                let plain = words[0].rsplit('/').next().unwrap();
                assert!(strings(&entry["programs"]).contains(&plain), "{line} is at the wrong entry");
                if matches(&words) != expected {
                    wrong.push(format!("{list}: {line} ({:?})", nearest(line)));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_denial_of_a_known_program_says_why_and_no_match_does() {
    let data = data();
    for entry in entries(&data) {
        for line in strings(&entry["match"]) {
            assert_eq!(nearest(line), None, "{line}");
        }
        for line in
            strings(&entry["not_match"]).into_iter().filter(|line| !line.contains("/ls ") && *line != "./ls")
        {
            assert!(nearest(line).is_some(), "{line}");
        }
    }
    assert_eq!(nearest("awk x"), None);
    for (line, reason) in [
        ("sort -o x y", "`-o` is not in the read-only forms of sort"),
        ("sort -uo x", "`-o` in `-uo` is not in the read-only forms of sort"),
        ("sort --output=x", "`--output` is not in the read-only forms of sort"),
        ("head -n x", "`x` is not a value of `-n` (like `+5`) in the read-only forms of head"),
        ("head -n", "`-n` needs a value (like `+5`) in the read-only forms of head"),
        ("uniq a b", "there is no place for `b` in the read-only forms of uniq"),
        ("top -n 1", "`-b` or `--batch-mode` is missing for the read-only forms of top"),
        ("cmp", "an operand (like `/var/log/syslog`) is missing for the read-only forms of cmp"),
        ("ifconfig eth0 -a", "`-a` must stand before the operands in the read-only forms of ifconfig"),
        ("date -- x", "`--` is not accepted at this place in the read-only forms of date"),
        ("ufw disable", "`disable` is not in the read-only forms of ufw; `status` is"),
        ("/usr/bin/sort -o x", "`-o` is not in the read-only forms of sort"),
    ] {
        assert_eq!(nearest(line).as_deref(), Some(reason), "{line}");
    }
}

#[test]
fn the_class_has_the_programs_that_operators_run_and_none_that_runs_others() {
    let programs: BTreeSet<&str> = class().programs().collect();
    assert!(programs.len() >= 100, "{}", programs.len());
    for program in [
        "awk", "bash", "busybox", "curl", "dd", "ed", "env", "gawk", "less", "man", "more", "perl",
        "printenv", "python3", "sed", "sh", "ssh", "sudo", "tar", "tcpdump", "tee", "vi", "vim", "watch",
        "wget", "xargs",
    ] {
        assert!(!programs.contains(program), "{program}");
        assert!(!class().matches(&[program]), "{program}");
    }
}

#[test]
fn a_program_is_its_plain_name_or_its_path_where_packages_put_it() {
    for good in ["cat", "/usr/bin/cat", "/bin/cat", "/usr/sbin/cat", "/sbin/cat"] {
        assert!(class().matches(&[good, "/etc/hosts"]), "{good}");
    }
    for bad in
        ["./cat", "/usr/local/bin/cat", "/tmp/cat", "/usr/bin//cat", "/bin/../tmp/cat", "bin/cat", "Cat", ""]
    {
        assert!(!class().matches(&[bad, "/etc/hosts"]), "{bad}");
    }
    assert!(!class().matches(&[]));
}

#[test]
fn an_unknown_option_anywhere_takes_any_example_out() {
    for words in every_match(&data()) {
        for at in 1..=words.len() {
            for option in ["--lictor", "--lictor=x", "-~", "-~x", "--output=/tmp/x", "---", "-\u{e9}"] {
                let mut more = words.clone();
                more.insert(at, option.into());
                // Two programs have an option `--output`.
                let listed = option.starts_with("--output")
                    && ["journalctl", "systemctl", "kubectl", "df"].contains(&more[0].as_str());
                assert!(listed || !matches(&more), "{more:?}");
            }
        }
    }
}

#[test]
fn letters_beside_known_ones_take_any_example_out() {
    for words in every_match(&data()) {
        for at in 1..words.len() {
            let word = &words[at];
            if word.starts_with('-') && !word.starts_with("--") && word.len() > 1 {
                let mut more = words.clone();
                more[at] = format!("-~{}", &word[1..]);
                assert!(!matches(&more), "{more:?}");
            }
        }
    }
}

#[test]
fn no_abbreviation_of_a_long_option_is_in_the_class() {
    let data = data();
    for words in every_match(&data) {
        let listed = options_of(&data, &words[0]);
        for at in 1..words.len() {
            let name = words[at].split('=').next().unwrap();
            for end in 3..name.len() {
                let short = &name[..end];
                if name.starts_with("--") && !listed.is_spelled(short) {
                    let mut more = words.clone();
                    more[at] = words[at].replacen(name, short, 1);
                    assert!(!matches(&more), "{more:?}");
                }
            }
        }
    }
}

#[test]
fn what_is_in_the_class_is_described() {
    let described: Vec<_> = class().describe().collect();
    assert_eq!(described.iter().map(|entry| entry.programs.len()).sum::<usize>(), class().programs().count());
    let of = |program: &str| described.iter().find(|entry| entry.programs.contains(&program)).unwrap();
    assert_eq!(
        of("uniq").forms,
        [
            "[-Dcdiuz] [--count] [--ignore-case] [--repeated] [--unique] [--zero-terminated] [-f <count>] [-s <count>] \
         [-w <count>] [-f<count>] [-s<count>] [-w<count>] [--check-chars=<count>] [--skip-chars=<count>] \
         [--skip-fields=<count>] [--] [<file>]"
        ]
    );
    assert_eq!(of("ufw").forms, ["status", "status verbose|numbered", "app list"]);
    assert_eq!(of("comm").forms[0].split("[--] ").last(), Some("<file> <file>"));
    assert!(of("comm").source.contains("comm(1)") && of("hostname").note.is_some());
    assert!(class().means().contains("changes nothing on the host"));
}

#[test]
fn a_name_is_a_class_or_it_is_not() {
    assert_eq!(ClassName::parse("read-only"), Some(ClassName::ReadOnly));
    assert_eq!(ClassName::ReadOnly.to_string(), "read-only");
    for name in ["", "readonly", "Read-Only", "read-only ", "read"] {
        assert_eq!(ClassName::parse(name), None, "{name}");
    }
}

// === an independent and looser reading of the data ===

/// Every option of a program, over all its forms.
#[derive(Debug, Default)]
struct Listed {
    letters: BTreeSet<char>,
    words: BTreeSet<String>,
    prefixes: Vec<String>,
    end: bool,
}

impl Listed {
    /// Whether the data has an option for this word.
    fn explains(&self, word: &str) -> bool {
        let bundle = |letters: &str| {
            let rest = letters.trim_start_matches(|c| self.letters.contains(&c));
            let next = rest.chars().next().map(|c| format!("-{c}"));
            next.is_none_or(|next| self.words.contains(&next) || self.prefixes.contains(&next))
        };
        self.words.contains(word)
            || self.prefixes.iter().any(|prefix| word.starts_with(prefix.as_str()))
            || (word == "--" && self.end)
            || (!self.letters.is_empty() && !word.starts_with("--") && bundle(&word[1..]))
    }
    fn is_spelled(&self, name: &str) -> bool {
        self.words.contains(name) || self.prefixes.contains(&format!("{name}="))
    }
}

fn options_of(data: &Value, program: &str) -> Listed {
    let plain = program.rsplit('/').next().unwrap();
    let entry = entries(data).iter().find(|entry| strings(&entry["programs"]).contains(&plain)).unwrap();
    let mut listed = Listed::default();
    for form in entry["forms"].as_array().unwrap() {
        listed.end |= form["end"] == true;
        for part in [form, &form["before"]] {
            listed.letters.extend(part["letters"].as_str().unwrap_or_default().chars());
            listed
                .words
                .extend(part["flags"].as_str().unwrap_or_default().split_whitespace().map(str::to_owned));
            for spelling in spellings(part).map(|(spelling, _)| spelling) {
                let name = spelling.strip_suffix('_').unwrap();
                match name.strip_suffix(' ') {
                    Some(name) => drop(listed.words.insert(name.to_owned())),
                    None => listed.prefixes.push(name.to_owned()),
                }
            }
        }
    }
    listed
}

/// Every spelling of an option with a value, and the value's kind.
fn spellings(part: &Value) -> impl Iterator<Item = (&str, &str)> {
    part["options"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(key, kind)| key.split(", ").map(move |spelling| (spelling, kind.as_str().unwrap())))
}

/// A value of a kind.
fn value(data: &Value, kind: &str) -> String {
    match kind {
        "word" => "nginx".into(),
        "any" => "some text".into(),
        "host" => "db.example.com".into(),
        _ if kind.contains('|') => kind.split('|').next().unwrap().trim().into(),
        _ => data["kinds"][kind]["like"].as_str().unwrap().into(),
    }
}

/// The options of a part of a form, each as its words.
fn options(data: &Value, part: &Value) -> Vec<Vec<String>> {
    let letters =
        part["letters"].as_str().unwrap_or_default().chars().map(|letter| vec![format!("-{letter}")]);
    let flags =
        part["flags"].as_str().unwrap_or_default().split_whitespace().map(|flag| vec![flag.to_owned()]);
    let with_value = spellings(part).map(|(spelling, kind)| {
        let (name, value) = (spelling.strip_suffix('_').unwrap(), value(data, kind));
        match name.strip_suffix(' ') {
            Some(name) => vec![name.to_owned(), value],
            None => vec![format!("{name}{value}")],
        }
    });
    letters.chain(flags).chain(with_value).collect()
}

/// A command of `form`: its subcommand, some of its options, its operands, options as far among the others as the form
/// lets them stand.
fn command(data: &Value, program: &str, form: &Value, picks: &[(Index, Index)], many: bool) -> Vec<String> {
    let mut fixed: Vec<Vec<String>> = Vec::new();
    for names in strings(&form["words"]) {
        fixed.push(vec![names.split('|').next().unwrap().trim().to_owned()]);
    }
    let subcommands = fixed.len();
    for operands in form["operands"].as_array().into_iter().flatten() {
        let max = operands["max"].as_u64().unwrap().min(3);
        let count = if many { max } else { operands["min"].as_u64().unwrap_or(0) };
        fixed.extend((0..count).map(|_| vec![value(data, operands["kind"].as_str().unwrap())]));
    }
    let place = form["place"].as_str().unwrap_or("anywhere");
    let from = if place == "anywhere" && form["before"].is_null() { 0 } else { subcommands };
    let all = options(data, form);
    let required = strings(&form["require"]).into_iter().map(|names| {
        let is = |option: &&Vec<String>| names.split('|').any(|name| option[0] == name.trim());
        all.iter().find(is).unwrap_or_else(|| panic!("{program}: {names}")).clone()
    });
    let picked = picks.iter().filter(|_| !all.is_empty()).map(|(which, _)| which.get(&all).clone());
    let positions = picks.iter().map(|(_, position)| *position).cycle();
    let chosen: Vec<_> = required.chain(picked).zip(positions).collect();
    for (option, position) in chosen {
        let last = if place == "before-operands" { from } else { fixed.len() };
        let at = from + position.index(last - from + 1);
        fixed.insert(at, option);
    }
    std::iter::once(program.to_owned()).chain(fixed.into_iter().flatten()).collect()
}

fn picks() -> impl Strategy<Value = Vec<(Index, Index)>> {
    prop::collection::vec(any::<(Index, Index)>(), 1..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, max_shrink_iters: 0, failure_persistence: None, ..ProptestConfig::default() })]

    /// Whatever the data lists is accepted, wherever it says that it may stand: the order of options does not matter.
    #[test]
    fn options_may_stand_wherever_the_form_lets_them(picks in picks(), many in any::<bool>()) {
        let data = data();
        for entry in entries(&data) {
            for program in strings(&entry["programs"]) {
                for form in entry["forms"].as_array().unwrap() {
                    let words = command(&data, program, form, &picks, many);
                    let refs: Vec<_> = words.iter().map(String::as_str).collect();
                    prop_assert!(class().matches(&refs), "{words:?}: {:?}", class().nearest(&refs));
                }
            }
        }
    }

    /// Words of all examples, mixed and bent: whatever is accepted has no option that the data does not list.
    #[test]
    fn nothing_accepted_has_an_option_that_is_not_listed(
        seeds in prop::collection::vec((any::<Index>(), any::<Index>(), 0..4_u8, "[a-zA-Z0-9=]{1,3}"), 400),
    ) {
        let data = data();
        let mut pool: BTreeMap<String, Vec<Vec<String>>> = BTreeMap::new();
        for entry in entries(&data) {
            for line in strings(&entry["match"]).into_iter().chain(strings(&entry["not_match"])) {
                let words = words(line);
                if class().programs().any(|program| program == words[0]) {
                    pool.entry(words[0].clone()).or_default().push(words);
                }
            }
        }
        let pool: Vec<_> = pool.into_iter().collect();
        for (which, at, bend, text) in seeds {
            let (program, lines) = which.get(&pool);
            let listed = options_of(&data, program);
            let mut words = at.get(lines).clone();
            let place = 1 + at.index(words.len());
            match bend {
                0 => words.insert(place.min(words.len()), format!("-{text}")),
                1 => words.insert(place.min(words.len()), format!("--{text}")),
                2 => if let Some(word) = words.get_mut(place) { word.push_str(&text) },
                _ => words.extend(which.get(lines).iter().skip(1).cloned()),
            }
            if matches(&words) {
                for (index, word) in words.iter().enumerate().skip(1) {
                    let is_number = |w: &str| w.trim_start_matches('-').starts_with(|c: char| c.is_ascii_digit());
                    let may_be_value = index > 1 && (is_number(word) || words[index - 1] == "--sort");
                    if word.len() > 1 && word.starts_with('-') && !may_be_value {
                        prop_assert!(listed.explains(word), "{words:?}: {word}");
                    }
                }
            }
        }
    }
}
