//! What is judged is what runs: what is rendered reads back as itself, and real shells pass on exactly its words.
//!
//! `LICTOR_CASES` says how many random commands are tried; each shell gets a tenth of them.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{path::Path, process::Command as Process};

use lictor_core::{
    command::{Command, Joiner, Pipeline, Simple, Word},
    job::CommandInput,
};
use lictor_policy::parse_command;
use proptest::{prelude::*, strategy::ValueTree as _, test_runner::TestRunner};

/// Random cases when nothing else is said: some seconds. A campaign takes a million.
const CASES: u32 = 20_000;
/// A shell starts a process for each case, so it gets fewer.
const CASES_PER_SHELL_CASE: u32 = 10;
/// Longest script given to a shell at once; Linux caps one argument at 128 KiB.
const MAX_SCRIPT_BYTES: usize = 96 * 1024;

/// Prints each argument with an end mark that no word contains.
const STUB: &str = "/usr/bin/printf";
const FORMAT: &str = "%s\\001";
const MARK: char = '\u{1}';
/// Passes on what it reads.
const PASS_ON: &str = "/bin/cat";

/// A shell that somebody's login may be.
struct Shell {
    path: &'static str,
    arguments: &'static [&'static str],
    /// Where it is missing, the test fails; of the others, those that are installed are tried.
    required: bool,
    /// It reads a line as the grammar says; of the others, only what is rendered is known to be read so, which is all
    /// that they are ever given.
    posix: bool,
}

const DASH: Shell = Shell { path: "/bin/dash", arguments: &["-c"], required: true, posix: true };
const BASH: Shell = Shell { path: "/bin/bash", arguments: &["-c"], required: true, posix: true };
const ASH: Shell = Shell { path: "/bin/busybox", arguments: &["ash", "-c"], required: true, posix: true };
const MKSH: Shell = Shell { path: "/bin/mksh", arguments: &["-c"], required: false, posix: true };
/// It has a meaning for `=` at the start of a word, which is never rendered bare.
const ZSH: Shell = Shell { path: "/bin/zsh", arguments: &["-f", "-c"], required: false, posix: false };
const SHELLS: [Shell; 5] = [DASH, BASH, ASH, MKSH, ZSH];

/// One text for a shell, and the words that its programs must receive.
#[derive(Debug)]
struct Case {
    text: String,
    words: Vec<String>,
}

// === impl Shell ===

impl Shell {
    fn is_there(&self) -> bool {
        let there = Path::new(self.path).exists();
        assert!(there || !self.required, "{} is missing; scripts/test installs it", self.path);
        there
    }

    /// Runs `script` and gives what the stub programs received, in order.
    fn received(&self, script: &str) -> Vec<String> {
        let mut process = Process::new(self.path);
        process.args(self.arguments).arg(script).env_clear().env("PATH", "/nonexistent");
        let output = process.output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(errors.is_empty(), "{}: {errors}", self.path);
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_terminator(MARK).map(str::to_owned).collect()
    }

    /// Has the shell run all of `cases`, as many at a time as one script holds, and compares every word.
    fn passes_on(&self, cases: &[Case]) {
        let mut rest = cases;
        while !rest.is_empty() {
            let mut script = String::new();
            let taken = rest
                .iter()
                .take_while(|case| {
                    let fits = script.is_empty() || script.len() + case.text.len() < MAX_SCRIPT_BYTES;
                    if fits {
                        script.push_str(&case.text);
                        script.push('\n');
                    }
                    fits
                })
                .count();
            let (now, later) = rest.split_at(taken);
            let mut received = self.received(&script).into_iter();
            for case in now {
                let words: Vec<String> = received.by_ref().take(case.words.len()).collect();
                assert_eq!(words, case.words, "{}: {}", self.path, case.text);
            }
            assert_eq!(received.next(), None, "{} has run more than it was given", self.path);
            rest = later;
        }
    }
}

fn cases() -> u32 {
    std::env::var("LICTOR_CASES").ok().map_or(CASES, |n| n.parse().unwrap())
}

/// So many random values, without the cost of a test each.
fn sample<S: Strategy>(strategy: S, count: u32) -> impl Iterator<Item = S::Value> {
    let config = ProptestConfig { max_local_rejects: u32::MAX, ..ProptestConfig::default() };
    let mut runner = TestRunner::new(config);
    (0..count).map(move |_| strategy.new_tree(&mut runner).unwrap().current())
}

fn argv(words: &[String]) -> Result<Command, lictor_policy::Refusal> {
    parse_command(&CommandInput::Argv(words.to_vec()))
}

/// Words made of what shells care about.
fn hostile_word() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "'", "\"", "\\", "$", "`", "$(id)", "${x}", "*", "?", "[a]", "{a,b}", "~", "!", "#", "&", "|", ";",
        "<", ">", "2>&1", "(", ")", " ", "=", "-", "--", "a", "B", "7", "é", "日", "if", "%s", "\\n", "^",
        "..", "/", "''", "A=b", ":~", "<(id)", "!!", "$'", "\\'", "]]", ",", "+", "@", "%", "_", ".",
        "~root", "{1..9}", "**", "?(a)", "||", "&&", ";;", "\u{301}", "ß",
    ]);
    prop_oneof![
        8 => prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat()),
        1 => "[ -~]{0,24}",
        1 => "[ -~À-ÿα-ωА-я]{0,12}",
    ]
}

fn program() -> impl Strategy<Value = String> {
    prop_oneof![Just("if".to_owned()), Just("echo".to_owned()), "[a-z]{1,8}", "[a-z'$ *!]{1,8}"]
        .prop_filter("a builtin is no program", |p| argv(std::slice::from_ref(p)).is_ok())
}

fn simple() -> impl Strategy<Value = Simple> {
    (program(), prop::collection::vec(hostile_word(), 0..6), any::<bool>()).prop_filter_map(
        "refused",
        |(program, arguments, both)| {
            let words: Vec<String> = std::iter::once(program).chain(arguments).collect();
            argv(&words).ok()?;
            Simple::new(words.iter().map(|w| Word::new(w).unwrap()).collect(), both).ok()
        },
    )
}

fn joiner() -> impl Strategy<Value = Joiner> {
    prop::sample::select(vec![Joiner::And, Joiner::Or, Joiner::Then])
}

fn command() -> impl Strategy<Value = Command> {
    let pipeline = || prop::collection::vec(simple(), 1..3).prop_map(|stages| Pipeline::new(stages).unwrap());
    (pipeline(), prop::collection::vec((joiner(), pipeline()), 0..3))
        .prop_map(|(first, rest)| Command::new(first, rest).unwrap())
}

/// The stub with words of its own: what a shell runs that can be checked from outside.
fn stub(words: &[String], both: bool) -> Simple {
    let fixed = [STUB, FORMAT].into_iter().map(str::to_owned);
    let all = fixed.chain(words.iter().cloned()).map(|word| Word::new(&word).unwrap());
    Simple::new(all.collect(), both).unwrap()
}

/// A rendered list of stubs, some behind a pipe. Every stub succeeds, so all run but those behind `||`.
fn rendered_case() -> impl Strategy<Value = Case> {
    let part = || (prop::collection::vec(hostile_word(), 1..8), any::<bool>(), prop::bool::weighted(0.1));
    let rest = prop_oneof![
        4 => Just(Vec::new()).boxed(),
        1 => prop::collection::vec((joiner(), part()), 1..3).boxed(),
    ];
    (part(), rest).prop_map(|(first, rest)| {
        let pipeline = |(words, both, piped): &(Vec<String>, bool, bool)| {
            let pass_on = || Simple::new(vec![Word::new(PASS_ON).unwrap()], false).unwrap();
            let stages = std::iter::once(stub(words, *both)).chain(piped.then(pass_on));
            Pipeline::new(stages.collect()).unwrap()
        };
        let run = rest.iter().filter(|(joiner, _)| *joiner != Joiner::Or).flat_map(|(_, (words, ..))| words);
        let words = first.0.iter().chain(run).cloned().collect();
        let rest = rest.iter().map(|(joiner, part)| (*joiner, pipeline(part))).collect();
        let command = Command::new(pipeline(&first), rest).unwrap();
        let text = command.render();
        assert_eq!(parse_command(&CommandInput::Line(text.clone())), Ok(command));
        Case { text, words }
    })
}

/// Text that a caller might write: mostly acceptable, with what might not be read as the parser thinks.
fn line_piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z0-9_@%+=:,./-]{1,6}",
        2 => "'[ -&(-~é]{0,8}'",
        2 => "\"[ #%-\\[\\]-_a-~]{0,8}\"",
        3 => Just(" ".to_owned()),
        1 => prop::sample::select(vec![
            "~", "*", "\\", "\\'", "$x", "#", "!", "^", "{}", "[a]", "(", ")", " 2>&1", "2>&1", "<", "& ",
        ]).prop_map(str::to_owned),
    ]
}

/// An accepted line as it was written, not as it is rendered: the parser understands a line as a shell does.
fn written_case() -> impl Strategy<Value = Case> {
    prop::collection::vec(line_piece(), 1..10).prop_filter_map("refused", |pieces| {
        let text = format!("{STUB} '{FORMAT}' first {}", pieces.concat());
        let command = parse_command(&CommandInput::Line(text.clone())).ok()?;
        let mut simples = command.simples();
        let (only, more) = (simples.next()?, simples.next());
        assert_eq!(more, None, "{text}");
        let words = only.words().iter().skip(2).map(|word| word.as_str().to_owned()).collect();
        Some(Case { text, words })
    })
}

/// Few enough cases for one round that a failure is found early.
const ROUND: u32 = 5_000;

fn judge(shell: &Shell) {
    if !shell.is_there() {
        println!("{} is not installed and was not tried", shell.path);
        return;
    }
    let mut left = cases() / CASES_PER_SHELL_CASE;
    let all = left;
    while left > 0 {
        let now = left.min(ROUND);
        left -= now;
        let written = if shell.posix { now / 2 } else { 0 };
        shell.passes_on(&sample(rendered_case(), now - written).collect::<Vec<_>>());
        shell.passes_on(&sample(written_case(), written).collect::<Vec<_>>());
    }
    println!("{}: {all} cases", shell.path);
}

#[test]
fn dash_passes_on_exactly_the_judged_words() {
    judge(&DASH);
}

#[test]
fn bash_passes_on_exactly_the_judged_words() {
    judge(&BASH);
}

#[test]
fn busybox_ash_passes_on_exactly_the_judged_words() {
    judge(&ASH);
}

#[test]
fn mksh_passes_on_exactly_the_judged_words() {
    judge(&MKSH);
}

#[test]
fn zsh_passes_on_exactly_the_judged_words() {
    judge(&ZSH);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases(),
        failure_persistence: None,
        max_local_rejects: u32::MAX,
        max_global_rejects: u32::MAX,
        ..ProptestConfig::default()
    })]

    #[test]
    fn an_argument_list_is_rendered_as_what_parses_to_it(program in program(), arguments in prop::collection::vec(hostile_word(), 0..10)) {
        let words: Vec<String> = std::iter::once(program).chain(arguments).collect();
        let parsed = argv(&words);
        prop_assume!(parsed.is_ok());
        let command = parsed.unwrap();
        let judged: Vec<&str> = command.simples().flat_map(Simple::words).map(Word::as_str).collect();
        prop_assert_eq!(&judged, &words);
        prop_assert_eq!(parse_command(&CommandInput::Line(command.render())), Ok(command));
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: cases() / CASES_PER_SHELL_CASE,
        failure_persistence: None,
        max_local_rejects: u32::MAX,
        max_global_rejects: u32::MAX,
        ..ProptestConfig::default()
    })]

    #[test]
    fn a_rendered_command_parses_to_itself(command in command()) {
        prop_assert_eq!(parse_command(&CommandInput::Line(command.render())), Ok(command));
    }

    #[test]
    fn nothing_makes_the_parser_panic(line in "\\PC{0,200}", bytes in prop::collection::vec(any::<char>(), 0..60)) {
        let _ = parse_command(&CommandInput::Line(line));
        let _ = parse_command(&CommandInput::Line(bytes.into_iter().collect()));
    }
}

#[test]
fn operators_join_as_a_shell_joins_them() {
    let line = "/usr/bin/printf '%s\\001' a && /usr/bin/printf '%s\\001' b 2>&1 | /bin/cat ; /bin/false || /usr/bin/printf '%s\\001' c";
    let command = parse_command(&CommandInput::Line(line.into())).unwrap();
    for shell in SHELLS.iter().filter(|shell| shell.is_there()) {
        assert_eq!(shell.received(&command.render()), ["a", "b", "c"], "{}", shell.path);
        assert_eq!(shell.received(line), ["a", "b", "c"], "{}", shell.path);
    }
}

/// Every list of up to three of these, for each builtin; `kill` is left out, because it would.
#[test]
fn an_accepted_builtin_evaluates_none_of_its_operands() {
    /// Few enough for one argument of a program.
    const ONE_RUN: usize = 200;
    const HOSTILE: &str = "a[$(echo RAN >&2)]";
    let operands = ["-v", "-vx", "-R", "-eq", "-t", "!", "_", "1", "b[_]", HOSTILE, "%d", "--", "]"];
    let mut lists: Vec<Vec<&str>> = vec![vec!["test"], vec!["["], vec!["printf"]];
    let mut longest = lists.clone();
    for _ in 0..3 {
        longest = longest
            .iter()
            .flat_map(|list| operands.map(|last| [list.as_slice(), &[last]].concat()))
            .collect();
        lists.extend(longest.iter().cloned());
    }
    let accepted = lists.iter().filter_map(|list| {
        let words = list.iter().map(|w| (*w).to_owned()).collect();
        parse_command(&CommandInput::Argv(words)).ok()
    });
    let scripts: Vec<String> =
        accepted.map(|command| format!("echo '{HOSTILE}' ; {}\n", command.render())).collect();
    assert!(scripts.len() > 100);
    for shell in SHELLS.iter().filter(|shell| shell.is_there()) {
        for several in scripts.chunks(ONE_RUN) {
            let mut process = Process::new(shell.path);
            let output = process.args(shell.arguments).arg(several.concat()).env_clear().output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!errors.lines().any(|line| line == "RAN"), "{} evaluates in {several:?}", shell.path);
        }
    }
}
