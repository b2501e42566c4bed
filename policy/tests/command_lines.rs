//! Which lines are accepted, as which words; and which are refused, with which code. The cases are in `cases/`.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use lictor_core::{
    command::Command,
    job::CommandInput,
    limits::{MAX_LINE_BYTES, MAX_PARTS, MAX_WORD_BYTES, MAX_WORDS},
};
use lictor_policy::{Refusal, RefusalCode, check_command, parse_command};

#[path = "cases/read.rs"]
mod cases;

use cases::{benign, hostile};

fn line(text: &str) -> Result<Command, Refusal> {
    parse_command(&CommandInput::Line(text.into()))
}
fn argv(words: &[&str]) -> Result<Command, Refusal> {
    parse_command(&CommandInput::Argv(words.iter().map(|w| (*w).to_owned()).collect()))
}
fn words(command: &Command) -> Vec<Vec<&str>> {
    command.simples().map(|s| s.words().iter().map(|w| w.as_str()).collect()).collect()
}

#[test]
fn every_hostile_line_is_refused_with_its_code() {
    let mut wrong = Vec::new();
    for case in hostile() {
        match line(&case.line) {
            Err(refusal) if refusal.code.as_str() == case.code => {
                assert!(!refusal.hint.is_empty() && !refusal.message.is_empty());
                let inside = refusal.span.is_none_or(|span| case.line.get(span).is_some());
                assert!(inside, "the span of {:?} is not in the line", case.line);
            }
            Ok(_) if case.code == "DENY" => {}
            other => wrong.push(format!("{:?}: expected {}, got {other:?}", case.line, case.code)),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_benign_line_is_its_words() {
    let mut wrong = Vec::new();
    for (text, expected) in benign() {
        match line(text) {
            Ok(command) if words(&command) == expected => assert_eq!(check_command(&command), Ok(())),
            other => wrong.push(format!("{text:?}: expected {expected:?}, got {other:?}")),
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(benign().count() >= 60);
}

#[test]
fn sizes_are_bounded_in_both_forms() {
    assert_eq!(line(&"x".repeat(MAX_LINE_BYTES + 1)).unwrap_err().code, RefusalCode::TooLong);
    assert_eq!(
        line(&format!("echo {}", "x".repeat(MAX_WORD_BYTES + 1))).unwrap_err().code,
        RefusalCode::TooLong
    );
    assert_eq!(line(&"x ".repeat(MAX_WORDS + 1)).unwrap_err().code, RefusalCode::TooManyWords);
    assert_eq!(line(&vec!["x"; MAX_PARTS + 1].join("|")).unwrap_err().code, RefusalCode::TooManyParts);
    assert!(line(&vec!["x"; MAX_PARTS].join("|")).is_ok());
    assert_eq!(argv(&["x"; MAX_WORDS + 1]).unwrap_err().code, RefusalCode::TooManyWords);
    assert_eq!(argv(&["echo", &"x".repeat(MAX_WORD_BYTES + 1)]).unwrap_err().code, RefusalCode::TooLong);
    // Three words that fit each, but not together; and one that grows by being quoted.
    let long = "x".repeat(MAX_WORD_BYTES);
    assert_eq!(argv(&["echo", &long, &long, &long]).unwrap_err().code, RefusalCode::TooLong);
    assert_eq!(argv(&["echo", &"'".repeat(MAX_WORD_BYTES)]).unwrap_err().code, RefusalCode::TooLong);
}

#[test]
fn an_argument_list_is_literal_but_may_not_name_a_builtin() {
    let hostile_words = ["echo", "$(id)", "a;b", "*", "it's", "", "-x", "A=b", "\\", "2>&1", "if", "Grüße"];
    assert_eq!(words(&argv(&hostile_words).unwrap()), [hostile_words.to_vec()]);
    assert_eq!(words(&argv(&["if", "x"]).unwrap()), [["if", "x"]]);
    for (program, code) in [
        ("cd", RefusalCode::Environment),
        ("export", RefusalCode::Environment),
        ("eval", RefusalCode::Indirect),
        (".", RefusalCode::Indirect),
        ("time", RefusalCode::Indirect),
        ("coproc", RefusalCode::Background),
        ("", RefusalCode::Program),
        ("-x", RefusalCode::Program),
        ("A=b", RefusalCode::Program),
    ] {
        assert_eq!(argv(&[program, "x"]).unwrap_err().code, code, "{program}");
    }
    assert_eq!(argv(&["echo", "a\nb"]).unwrap_err().code, RefusalCode::Newline);
    assert_eq!(argv(&["echo", "a\u{202e}b"]).unwrap_err().code, RefusalCode::Control);
    assert_eq!(argv(&[]).unwrap_err().code, RefusalCode::Empty);
    assert!(argv(&["/usr/bin/time", "x"]).is_ok());
}

#[test]
fn what_a_shell_would_evaluate_in_its_own_builtins_is_refused_in_every_part() {
    for words in [["test", "-v", "b"], ["[", "b[_]", "]"], ["printf", "-vx", "y"], ["kill", "%a[0]", "x"]] {
        assert_eq!(argv(&words).unwrap_err().code, RefusalCode::Indirect, "{words:?}");
    }
    let refusal = line("echo 'a[$(id>&2)]' ; test -v 'b[_]'").unwrap_err();
    assert_eq!(refusal.code, RefusalCode::Indirect);
    assert!(refusal.hint.contains("/usr/bin/test"), "{}", refusal.hint);
    assert!(argv(&["[", "-f", "/etc/passwd", "]"]).is_ok());
    assert!(argv(&["/usr/bin/test", "-v", "b[_]"]).is_ok() && argv(&["env", "printf", "a[0]"]).is_ok());
}

#[test]
fn a_command_made_by_other_means_is_held_to_the_same_rules() {
    for words in [["cd", "/"], ["A=b", "x"], ["echo", "\u{202e}"]] {
        let command = Command::from_argv(&words).unwrap();
        assert_eq!(check_command(&command).unwrap_err().code, argv(&words).unwrap_err().code);
    }
}
