//! Laws that hold for every policy and command: nothing is allowed that was denied where the policy comes from, and a
//! glob is allowed only when everything that it could become is.

use lictor_core::command::{Command, Pipeline, Simple, Word};
use proptest::prelude::*;

use super::{
    host, judge,
    old::{self, OldRule},
    read,
};

/// Words that make much of few characters.
fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        3 => "[abr/.=-]{1,6}",
        2 => prop::sample::select(vec!["ls", "rm", "cat", "/var/log/a", "/var/log/b", "/etc/a", "..", "-a", "--a=b", "5", "sudo", "sh", "-c", "a b"])
            .prop_map(str::to_owned),
    ]
}
fn glob() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        3 => prop::sample::select(vec!["*", "ls", "rm", "cat", "/var/log/*", "/var/*/a", "a*", "-a", "?", "[ab]*", "*b", "sudo", "/var/log/a*", "*/a"])
            .prop_map(str::to_owned),
        1 => "[abr/.*?=-]{1,5}",
    ];
    prop::collection::vec(part, 1..4).prop_map(|parts| parts.join(" "))
}
fn rules() -> impl Strategy<Value = Vec<OldRule>> {
    let rule = (any::<bool>(), prop::collection::vec(glob(), 1..4))
        .prop_map(|(allow, commands)| OldRule { allow, commands });
    prop::collection::vec(rule, 1..5)
}
fn forbidden() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(
        prop::sample::select(vec!["rm ", "rm -a", "/etc", "b a", "ab", "sudo "]).prop_map(str::to_owned),
        0..2,
    )
}

fn yaml(rules: &[OldRule], forbidden: &[String]) -> String {
    let list = |texts: &[String]| serde_json::to_string(texts).unwrap();
    let mut out = format!("limits: {{deny_substrings: {}}}\nrules:\n", list(forbidden));
    for rule in rules {
        let action = if rule.allow { "allow" } else { "deny" };
        out += &format!("  - {{action: {action}, commands: {}}}\n", list(&rule.commands));
    }
    out
}
fn command(words: &[Word]) -> Option<Command> {
    let simple = Simple::new(words.to_vec(), false).ok()?;
    Command::new(Pipeline::new(vec![simple]).ok()?, Vec::new()).ok()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn nothing_is_allowed_that_was_denied(
        rules in rules(),
        forbidden in forbidden(),
        words in prop::collection::vec(word(), 1..5),
    ) {
        let Some(command) = command(&words.iter().map(|w| Word::new(w).unwrap()).collect::<Vec<_>>()) else { return Ok(()) };
        let policy = read(&yaml(&rules, &forbidden));
        if judge(policy.set().imported().unwrap(), &host("a", &[]), &command).is_ok() {
            let text = words.join(" ");
            prop_assert!(old::allows(&rules, &forbidden, &text), "{text} by {rules:?} without {forbidden:?}");
        }
    }

    #[test]
    fn a_glob_is_allowed_only_when_all_that_it_becomes_is(
        rules in rules(),
        forbidden in forbidden(),
        before in prop::collection::vec(word(), 1..3),
        prefix in prop::sample::select(vec!["", "/var/log/", "/var/", "a", "../", "/etc/"]),
        suffix in prop::sample::select(vec!["", "b", "/a", ".b"]),
        names in prop::collection::vec("[abr.-]{1,4}", 1..3),
    ) {
        let with_glob = Word::with_globs(&format!("{prefix}*{suffix}"), &[prefix.len()]).unwrap();
        let before: Vec<Word> = before.iter().map(|w| Word::new(w).unwrap()).collect();
        let Some(globbed) = command(&[before.clone(), vec![with_glob]].concat()) else { return Ok(()) };
        let policy = read(&yaml(&rules, &forbidden));
        let block = policy.set().imported().unwrap();
        if judge(block, &host("a", &[]), &globbed).is_err() {
            return Ok(());
        }
        // Names that begin with a dot are not found by a star; the forbidden text has its own rule of what it guesses.
        let hidden = |name: &String| name.starts_with('.') && (prefix.is_empty() || prefix.ends_with('/'));
        if names.iter().any(hidden) || !forbidden.is_empty() {
            return Ok(());
        }
        let found = names.iter().map(|name| Word::new(&format!("{prefix}{name}{suffix}")).unwrap());
        let Some(expanded) = command(&before.iter().cloned().chain(found).collect::<Vec<_>>()) else { return Ok(()) };
        let verdict = judge(block, &host("a", &[]), &expanded);
        prop_assert!(verdict.is_ok(), "{globbed} is allowed, {expanded} is not: {verdict:?} by {rules:?}");
    }

    #[test]
    fn no_policy_and_no_command_is_too_strange(text in "\\PC{0,60}", line in "\\PC{0,60}") {
        let rules = [OldRule { allow: true, commands: vec![text.clone()] }, OldRule { allow: false, commands: vec![text] }];
        if let Ok(policy) = lictor_policy::import::policy(&yaml(&rules, &[]), None) {
            let _ = super::judge_line(policy.set().imported().unwrap(), &host("a", &[]), &line);
        }
    }
}
