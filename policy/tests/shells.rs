//! What is judged is what runs: real shells read the rendered text, and the words they pass on are compared.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::process::Command as Process;

use lictor_core::{
    command::{Command, Joiner, Pipeline, Simple, Word},
    job::CommandInput,
};
use lictor_policy::parse_command;
use proptest::prelude::*;

const SHELLS: [&str; 2] = ["/bin/dash", "/bin/bash"];
/// Prints each argument with an end mark that no word contains.
const STUB: &str = "/usr/bin/printf";
const MARK: char = '\u{1}';

/// Words made of what shells care about.
fn hostile_word() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "'", "\"", "\\", "$", "`", "$(id)", "${x}", "*", "?", "[a]", "{a,b}", "~", "!", "#", "&", "|", ";",
        "<", ">", "2>&1", "(", ")", " ", "=", "-", "--", "a", "B", "7", "é", "日", "if", "%s", "\\n", "^",
        "..", "/", "''", "A=b", ":~",
    ]);
    prop::collection::vec(piece, 0..6).prop_map(|pieces| pieces.concat())
}

fn program() -> impl Strategy<Value = String> {
    prop_oneof![Just("if".to_owned()), Just("echo".to_owned()), "[a-z]{1,8}", "[a-z'$ *!]{1,8}"]
        .prop_filter("a builtin is no program", |p| {
            parse_command(&CommandInput::Argv(vec![p.clone()])).is_ok()
        })
}

fn simple() -> impl Strategy<Value = Simple> {
    (program(), prop::collection::vec(hostile_word(), 0..6), any::<bool>()).prop_filter_map(
        "refused",
        |(p, args, err)| {
            let words: Vec<Word> = std::iter::once(&p).chain(&args).map(|w| Word::new(w).unwrap()).collect();
            let alone =
                parse_command(&CommandInput::Argv(std::iter::once(p.clone()).chain(args.clone()).collect()));
            alone.ok().and_then(|_| Simple::new(words, err).ok())
        },
    )
}

fn command() -> impl Strategy<Value = Command> {
    let pipeline = || prop::collection::vec(simple(), 1..3).prop_map(|stages| Pipeline::new(stages).unwrap());
    let joiner = prop::sample::select(vec![Joiner::And, Joiner::Or, Joiner::Then]);
    (pipeline(), prop::collection::vec((joiner, pipeline()), 0..3))
        .prop_map(|(first, rest)| Command::new(first, rest).unwrap())
}

/// Runs `text` in `shell` and gives what the stub programs received, in order.
fn received(shell: &str, text: &str) -> Vec<String> {
    let output =
        Process::new(shell).arg("-c").arg(text).env_clear().env("PATH", "/nonexistent").output().unwrap();
    assert!(output.stderr.is_empty(), "{shell}: {text}: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_terminator(MARK).map(str::to_owned).collect()
}

/// Text that a caller might write: mostly acceptable, with what might not be read as the parser thinks.
fn line_piece() -> impl Strategy<Value = String> {
    prop_oneof![
        4 => "[a-zA-Z0-9_@%+=:,./-]{1,6}",
        2 => "'[ -&(-~é]{0,8}'",
        2 => "\"[ #%-\\[\\]-_a-~]{0,8}\"",
        3 => Just(" ".to_owned()),
        1 => prop::sample::select(vec!["~", "*", "\\", "$x", "#", "!", "^", "{}", "[a]", "(", ")", "2>&1", "<", "& "]).prop_map(str::to_owned),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, max_global_rejects: 1_000_000, ..ProptestConfig::default() })]

    #[test]
    fn a_rendered_command_parses_to_itself(command in command()) {
        prop_assert_eq!(parse_command(&CommandInput::Line(command.render())), Ok(command));
    }

    #[test]
    fn a_shell_passes_on_exactly_the_words_of_an_argument_list(words in prop::collection::vec(hostile_word(), 1..8)) {
        let mut argv = vec![STUB.to_owned(), "%s\\001".to_owned()];
        argv.extend(words.iter().cloned());
        let command = parse_command(&CommandInput::Argv(argv)).unwrap();
        for shell in SHELLS {
            prop_assert_eq!(&received(shell, &command.render()), &words, "{}", shell);
        }
    }

    /// The accepted line itself, not its rendering: the parser understands a line as a shell does.
    #[test]
    fn a_shell_reads_an_accepted_line_as_the_parser_does(pieces in prop::collection::vec(line_piece(), 1..10)) {
        let line = format!("{STUB} '%s\\001' {}", pieces.concat());
        let parsed = parse_command(&CommandInput::Line(line.clone()));
        prop_assume!(parsed.is_ok());
        let command = parsed.unwrap();
        let simples: Vec<&Simple> = command.simples().collect();
        prop_assert_eq!(simples.len(), 1);
        let expected: Vec<String> = simples[0].words().iter().skip(2).map(|w| w.as_str().to_owned()).collect();
        for shell in SHELLS {
            // With nothing to print, printf still prints the mark once.
            let got = received(shell, &line);
            let got = if expected.is_empty() && got == [""] { Vec::new() } else { got };
            prop_assert_eq!(&got, &expected, "{}: {}", shell, line);
        }
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
    for shell in SHELLS {
        assert_eq!(received(shell, &command.render()), ["a", "b", "c"], "{shell}");
        assert_eq!(received(shell, line), ["a", "b", "c"], "{shell}");
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
    for shell in SHELLS {
        for several in scripts.chunks(ONE_RUN) {
            let output = Process::new(shell).arg("-c").arg(several.concat()).env_clear().output().unwrap();
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!errors.lines().any(|line| line == "RAN"), "{shell} evaluates in {several:?}");
        }
    }
}
