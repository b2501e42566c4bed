//! The operators' tools: what changed, what is expected, what would have been, what would be enough.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod differences;
mod expectations;
mod laws;

use lictor_core::{
    clock::Timestamp,
    job::CommandInput,
    label::Labels,
    name::{HostAlias, SiteName, Tag, TenantName},
    principal::Via,
};
use lictor_policy::{
    Effect, HostFacts, PolicySet, cases,
    diff::{Change, ChangeKind, diff},
    evaluate,
    simulate::{ChangedTo, Past, PastDecision, simulate},
    suggest::{Suggester, Suggestion},
    verdict::{Circumstances, judge, principal},
};
use proptest::prelude::*;

fn policy(yaml: &str) -> PolicySet {
    PolicySet::parse(yaml).unwrap_or_else(|e| panic!("{e}\n{yaml}"))
}

fn by(who: &str, via: Via, host: &str, site: &str, tags: &[&str], hour: u64) -> Circumstances {
    Circumstances {
        principal: principal(&TenantName::new("default").unwrap(), who).unwrap(),
        via,
        host: HostFacts {
            alias: HostAlias::new(host).unwrap(),
            site: SiteName::new(site).unwrap(),
            tags: tags.iter().map(|tag| Tag::new(tag).unwrap()).collect(),
            labels: Labels::default(),
        },
        context: lictor_core::context::Context::default(),
        // Monday, 5 January 2026.
        at: Timestamp::from_micros((1_767_571_200 + hour * 3_600) * 1_000_000),
    }
}

fn line(text: &str) -> CommandInput {
    CommandInput::Line(text.to_owned())
}

fn past(text: &str, who: &str, host: &str, effect: Effect, code: &str) -> Past {
    Past {
        command: line(text),
        cut: false,
        circumstances: by(who, Via::Cli, host, "eu", &["web"], 10),
        decided: PastDecision { effect, code: code.to_owned(), rule: None },
    }
}
fn ran(text: &str, who: &str, host: &str) -> Past {
    past(text, who, host, Effect::Allow, "POLICY_ALLOWED")
}

#[test]
fn imported_rules_are_compared_as_a_whole() {
    let with = |commands: &str| {
        policy(&format!(
            "version: 1\nimported:\n  dialect: last-match\n  rules:\n    - {{id: i, action: allow, commands: [{commands}]}}\nrules: []\n"
        ))
    };
    let native = policy("version: 1\nrules: []\n");
    let kinds = |old: &PolicySet, new: &PolicySet| -> Vec<(String, ChangeKind)> {
        diff(old, new).into_iter().map(|c| (format!("{}: {}", c.place, c.what), c.kind)).collect()
    };
    let one = |what: &str| vec![(format!("imported: {what}"), ChangeKind::Both)];
    assert_eq!(kinds(&native, &with("'uptime*'")), one("added"));
    assert_eq!(kinds(&with("'uptime*'"), &native), one("removed"));
    assert_eq!(kinds(&with("'uptime*'"), &with("'df*'")), one("changed"));
    assert_eq!(kinds(&with("'uptime*'"), &with("'uptime*'")), []);
    let shown = diff(&with("'uptime*', date"), &with("'df*', date")).remove(0);
    assert_eq!(shown.before.as_deref(), Some("rule i: commands: uptime*"));
    assert_eq!(shown.after.as_deref(), Some("rule i: commands: df*"));
}

#[test]
fn imported_rules_that_change_places_are_told_by_their_order() {
    let with = |first: &str, second: &str| {
        let rule = |id: &str| format!("    - {{id: {id}, action: allow, commands: [{id}]}}\n");
        let rules = format!("{}{}", rule(first), rule(second));
        policy(&format!("version: 1\nimported:\n  dialect: last-match\n  rules:\n{rules}rules: []\n"))
    };
    let shown = diff(&with("a", "b"), &with("b", "a")).remove(0);
    assert_eq!(shown.before.as_deref(), Some("order: a, b"));
    assert_eq!(shown.after.as_deref(), Some("order: b, a"));
    let shown = diff(&with("a", "b"), &with("a", "c")).remove(0);
    assert_eq!(shown.before.as_deref(), Some("rule b: allow\nrule b: commands: b"));
    assert_eq!(shown.after.as_deref(), Some("rule c: allow\nrule c: commands: c"));
}

#[test]
fn a_simulation_counts_what_would_be_decided_otherwise_and_groups_it_by_command() {
    let set = policy(
        "version: 1\ngroups: {g: {users: [x]}}\nrules:\n  - {id: a, effect: allow, where: all, commands: [uptime, df]}\n  - {id: b, effect: approve, where: all, commands: [reboot], approve: {approvals: 1, group: g, within: 1h}}\n",
    );
    let denied = |text: &str| past(text, "user:ada", "web-1", Effect::Deny, "POLICY_DEFAULT_DENY");
    let mut cut = denied("df");
    cut.cut = true;
    let sum = simulate(
        &set,
        [
            ran("uptime", "user:ada", "web-1"),
            ran("date", "user:ada", "web-1"),
            ran("date", "user:bob", "web-2"),
            ran("reboot", "user:bob", "web-2"),
            denied("df"),
            denied("rm x"),
            denied("reboot"),
            past("df > x", "user:ada", "web-1", Effect::Deny, "E_REDIRECT"),
            cut,
        ],
    );
    assert_eq!((sum.allowed, sum.would_deny, sum.would_ask), (4, 2, 1));
    assert_eq!((sum.refused, sum.would_allow, sum.would_allow_with_consent, sum.cut), (5, 1, 1, 1));
    let date = &sum.groups[0];
    assert_eq!((date.command.as_str(), date.kind, date.count), ("date", ChangedTo::Denied, 2));
    assert_eq!((date.old_code.as_str(), date.new_code), ("POLICY_ALLOWED", "POLICY_DEFAULT_DENY"));
    assert_eq!(date.items[1].circumstances.host.alias.as_str(), "web-2");
    assert_eq!(sum.groups.len(), 4);
}

fn suggest(past: &[Past]) -> Suggestion {
    let mut suggester = Suggester::new();
    past.iter().for_each(|one| suggester.push(one));
    suggester.finish().unwrap_or_else(|e| panic!("{e}"))
}

#[test]
fn a_suggestion_allows_what_was_run_where_it_was_run_and_little_else() {
    let mut all = vec![ran("uptime | grep -c 'a b'", "user:ada", "web-1")];
    for (n, file) in [(10, "syslog"), (50, "auth.log"), (100, "nginx/access.log")] {
        all.push(ran(&format!("tail -n {n} /var/log/syslog"), "user:ada", "web-1"));
        all.push(ran(&format!("tail -n 10 /var/log/{file}"), "user:ada", "web-1"));
        all.push(ran(&format!("journalctl --lines={n} -u nginx"), "service:ci", "web-2"));
    }
    for unit in ["nginx", "php-fpm", "postgres"] {
        all.push(ran(&format!("systemctl status {unit}"), "user:ada", "web-1"));
        all.push(ran(&format!("systemctl status {unit}"), "user:bob", "web-1"));
    }
    all.push(ran("cat /etc/hosts", "user:ada", "web-1"));
    all.push(ran("cat /etc/fstab", "user:ada", "web-1"));
    all.push(past("rm x", "user:ada", "web-1", Effect::Deny, "POLICY_DEFAULT_DENY"));
    let suggestion = suggest(&all);
    let yaml = &suggestion.yaml;
    for has in [
        "'systemctl status <one-of:nginx|php-fpm|postgres>'",
        "users: [ada, bob]",
        "'journalctl --lines=<int:10..100> -u nginx'",
        "'cat /etc/fstab'",
        "'cat /etc/hosts'",
        "grep -c ''a b''",
        "<path:/var/log>",
    ] {
        assert!(yaml.contains(has), "{has} is missing in\n{yaml}");
    }
    assert!(!yaml.contains("rm x") && !yaml.contains("<any>"), "{yaml}");
    let set = policy(yaml);
    for one in all.iter().filter(|one| one.decided.effect == Effect::Allow) {
        let verdict = judge(&set, &one.command, &one.circumstances);
        assert_eq!(verdict.effect, Effect::Allow, "{:?}: {}\n{yaml}", one.command, verdict.reason);
    }
    for (text, who, host) in [
        ("cat /etc/shadow", "user:ada", "web-1"),
        ("systemctl status sshd", "user:ada", "web-1"),
        ("systemctl restart nginx", "user:ada", "web-1"),
        ("systemctl status nginx", "user:ada", "web-2"),
        ("systemctl status nginx", "user:eve", "web-1"),
        ("journalctl --lines=101 -u nginx", "service:ci", "web-2"),
        ("tail -n 10 /var/log/../../etc/shadow", "user:ada", "web-1"),
    ] {
        let one = ran(text, who, host);
        assert_eq!(judge(&set, &one.command, &one.circumstances).effect, Effect::Deny, "{text} {who} {host}");
    }
}

#[test]
fn a_program_that_starts_others_gets_a_comment_and_no_rule() {
    let suggestion = suggest(&[
        ran("sudo systemctl restart nginx", "user:ada", "web-1"),
        ran("sh -c 'rm x'", "user:ada", "web-1"),
        ran("python3 x.py", "user:ada", "web-1"),
        ran("vim", "user:ada", "web-1"),
    ]);
    assert_eq!((suggestion.rules, suggestion.left_out.len()), (0, 4));
    assert!(suggestion.yaml.contains("#   sudo systemctl restart nginx  (once)"), "{}", suggestion.yaml);
}

proptest! {
    #[test]
    fn whatever_was_run_becomes_a_policy_that_allows_it(lines in prop::collection::vec(prop::collection::vec("[ -~äß]{0,6}", 1..4), 1..12)) {
        let all: Vec<Past> = lines.into_iter().filter(|words| lictor_policy::parse_command(&CommandInput::Argv(words.clone())).is_ok()).map(|words| Past {
            command: CommandInput::Argv(words),
            ..ran("x", "user:ada", "web-1")
        }).collect();
        let suggestion = suggest(&all);
        let set = policy(&suggestion.yaml);
        for one in &all {
            let CommandInput::Argv(words) = &one.command else { continue };
            let text = lictor_policy::parse_command(&one.command).unwrap().render();
            let left_out = suggestion.left_out.iter().any(|left| left.command == text);
            let effect = judge(&set, &one.command, &one.circumstances).effect;
            prop_assert_eq!(effect == Effect::Allow, !left_out, "{:?}\n{}", words, suggestion.yaml);
        }
    }
}
