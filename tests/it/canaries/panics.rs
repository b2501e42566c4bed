//! A panic while a secret is at hand says once where it was, and nothing of the secret, whichever way it panics and logs.

use std::{fs::File, io::Write as _, process::Stdio};

use lictor_runtime::exit::Exit;

use super::*;

/// How often `lictor-panics` panics.
const PANICS: usize = 12;
/// How each of its lines begins to say so.
const MARK: &str = "panicked: a defect of Lictor";

/// What the program says on standard output, and how it ends, with standard error there.
fn run(mode: &str, environment: &[(&str, &str)], secret: &str, errors: Stdio) -> Output {
    let mut command = Command::new(binaries::path("lictor-panics").unwrap());
    command.arg(mode).env_remove("LICTOR_LOG").env_remove("RUST_BACKTRACE").env_remove("RUST_LIB_BACKTRACE");
    command.envs(environment.iter().copied());
    let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(errors);
    let mut child = piped.spawn().unwrap();
    child.stdin.take().unwrap().write_all(secret.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// All that the program says on both outputs, and its exit code.
fn panicked(mode: &str, environment: &[(&str, &str)], secret: &str) -> (String, Option<i32>) {
    let output = run(mode, environment, secret, Stdio::piped());
    (String::from_utf8([output.stdout, output.stderr].concat()).unwrap(), output.status.code())
}

#[test]
fn a_panic_says_once_where_it_was_and_nothing_of_the_secrets_at_hand() {
    let canary = Canary::new(format!("pan/ic \"{}", random()), true);
    let search = Search::of([&canary]);
    let internal = Some(i32::from(Exit::Internal.code()));

    let (bare, _) = panicked("bare", &[], &canary.text);
    assert!(search.find(bare.as_bytes()).is_some(), "without the hook there is something to find: {bare}");

    let traced: &[(&str, &str)] = &[("RUST_BACKTRACE", "1"), LOG_ALL];
    // Where the log takes nothing, and where there is none.
    let modes: [(&str, &[(&str, &str)]); 4] =
        [("text", &[]), ("json", traced), ("text", &[("LICTOR_LOG", "off")]), ("none", &[])];
    for (mode, environment) in modes {
        let (told, code) = panicked(mode, environment, &canary.text);
        assert_eq!(search.find(told.as_bytes()), None, "{mode}: the secret is in it");
        assert_eq!(code, internal, "{mode}: {told}");
        let lines: Vec<&str> = told.lines().filter(|line| line.contains(MARK)).collect();
        assert_eq!(lines.len(), PANICS, "{mode}: {told}");
        for line in &lines {
            assert_eq!(line.matches(MARK).count(), 1, "{mode}: {line}");
            assert!(line.contains("thread"), "{mode}: {line}");
            assert_eq!(line.contains("this stands in the source"), *line == lines[0], "{mode}: {line}");
            assert_eq!(line.contains("fn: "), environment == traced, "{mode}: {line}");
        }
        // The others panic where the standard library is called.
        let at = |line: &&&str| line.contains("lictor-panics.rs:");
        assert!(lines.iter().filter(at).count() >= PANICS - 1, "{mode}: {told}");
        let length = canary.text.len() + "it was ".len();
        assert!(
            lines[1].contains("withheld_bytes") && lines[1].contains(&length.to_string()),
            "{}",
            lines[1]
        );
        if mode == "json" {
            let said: serde_json::Value = serde_json::from_str(lines[1]).unwrap();
            assert_eq!((&said["level"], &said["withheld_bytes"]), (&json!("ERROR"), &json!(length)));
        }
    }
}

#[test]
fn a_panic_where_standard_error_takes_nothing_ends_only_what_it_ends_elsewhere() {
    for mode in ["text", "json", "none"] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = run(mode, &[], "of no matter", full.into());
        let code = output.status.code();
        assert_eq!(code, Some(i32::from(Exit::Internal.code())), "{mode}: {}", output.status);
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.matches("Err(Panicked)").count() > 1, "{mode}: it goes on after the first: {said}");
    }
}
