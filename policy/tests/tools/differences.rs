//! What widens and what narrows, change by change.

use super::*;

const OLD: &str = r#"
version: 1
limits: { timeout: 60s }
network: { allow: [10.0.0.0/8] }
groups:
  ops: { users: [ada, bob] }
windows:
  office: { zone: UTC, days: [mon, tue], from: "08:00", to: "16:00" }
rules:
  - id: look
    effect: allow
    who: { groups: [ops] }
    where: { tags: [web] }
    when: { during: [office] }
    commands: ["uptime", "systemctl status nginx"]
  - id: never
    effect: deny
    where: all
    commands: [rm, dd]
"#;

#[track_caller]
fn changes(from: &str, to: &str) -> Vec<(String, ChangeKind)> {
    assert!(OLD.contains(from), "{from}");
    let new = OLD.replacen(from, to, 1);
    let list = diff(&policy(OLD), &policy(&new));
    list.into_iter().map(|c: Change| (format!("{}: {}", c.place, c.what), c.kind)).collect()
}
#[track_caller]
fn one(from: &str, to: &str, what: &str, kind: ChangeKind) {
    assert_eq!(changes(from, to), [(what.to_owned(), kind)], "{from} -> {to}");
}

#[test]
fn a_policy_does_not_differ_from_itself_nor_from_another_order() {
    assert_eq!(diff(&policy(OLD), &policy(OLD)), []);
    let (head, rules) = OLD.split_once("rules:\n").unwrap();
    let at = rules.find("  - id: never").unwrap();
    let swapped = format!("{head}rules:\n{}{}", &rules[at..], &rules[..at]);
    assert_eq!(diff(&policy(OLD), &policy(&swapped)), []);
}

#[test]
fn what_an_allow_rule_says_more_of_widens() {
    use ChangeKind::{Both, Narrowed, Neutral, Widened};
    one("tags: [web]", "tags: [web, db]", "rule look: where", Widened);
    one("where: { tags: [web] }", "where: all", "rule look: where", Widened);
    one("where: { tags: [web] }", "where: { sites: [eu] }", "rule look: where", Both);
    one("status nginx\"", "status <unit>\"", "rule look: commands", Widened);
    one("[\"uptime\", ", "[", "rule look: commands", Narrowed);
    one("\"uptime\"", "\"uname\"", "rule look: commands", Both);
    one("    who: { groups: [ops] }\n", "", "rule look: who", Widened);
    one("who: { groups: [ops] }", "who: { users: [ada] }", "rule look: who", Narrowed);
    one("who: { groups: [ops] }", "who: { users: [ada, bob] }", "rule look: who", Neutral);
    one("who: { groups: [ops] }", "who: { groups: [ops], via: [cli] }", "rule look: who", Narrowed);
    one("    when: { during: [office] }\n", "", "rule look: when", Widened);
    one(
        "    commands: [\"uptime\"",
        "    condition: via == 'cli'\n    commands: [\"uptime\"",
        "rule look: condition",
        Narrowed,
    );
    one(
        "    commands: [\"uptime\"",
        "    description: x\n    commands: [\"uptime\"",
        "rule look: description",
        Neutral,
    );
    one(
        "    commands: [\"uptime\"",
        "    limits: {timeout: 5m}\n    commands: [\"uptime\"",
        "rule look: limits.timeout",
        Widened,
    );
    one(
        "    commands: [\"uptime\"",
        "    max_hosts: 3\n    commands: [\"uptime\"",
        "rule look: max_hosts",
        Narrowed,
    );
}

#[test]
fn what_a_deny_rule_says_more_of_narrows() {
    use ChangeKind::{Both, Narrowed, Widened};
    one("[rm, dd]", "[rm, dd, mkfs]", "rule never: commands", Narrowed);
    one("[rm, dd]", "[rm]", "rule never: commands", Widened);
    one("[rm, dd]", "[rm, 'dd if=x']", "rule never: commands", Widened);
    one("[rm, dd]", "[rm, mkfs]", "rule never: commands", Both);
    one("where: all", "where: { tags: [web] }", "rule never: where", Widened);
}

#[test]
fn rules_come_and_go_and_turn_round() {
    use ChangeKind::{Narrowed, Widened};
    let (_, tail) = OLD.split_once("  - id: never").unwrap();
    let never = format!("  - id: never{tail}");
    one(&never, "", "rule never: removed", Widened);
    one("effect: deny", "effect: allow", "rule never: effect", Widened);
    let added = "  - {id: more, effect: allow, where: all, commands: [date]}\n  - id: never";
    one("  - id: never", added, "rule more: added", Widened);
    one("  - id: never", &added.replace("allow", "deny"), "rule more: added", Narrowed);
}

#[test]
fn what_stands_beside_the_rules_counts_too() {
    use ChangeKind::{Both, Narrowed, Neutral, Widened};
    one("timeout: 60s", "timeout: 90s", "limits: timeout", Widened);
    one("allow: [10.0.0.0/8]", "allow: [10.0.0.0/9, 10.128.0.0/9]", "network: allow", Neutral);
    one("allow: [10.0.0.0/8]", "allow: [10.0.0.0/9]", "network: allow", Narrowed);
    one("network: { allow: [10.0.0.0/8] }\n", "", "network: allow", Widened);
    one("users: [ada, bob]", "users: [ada, bob, eve]", "groups ops: members", Widened);
    one("users: [ada, bob]", "users: [ada, eve]", "groups ops: members", Both);
    one("from: \"08:00\"", "from: \"07:00\"", "windows office: times", Widened);
    one("days: [mon, tue]", "days: [mon]", "windows office: times", Narrowed);
    one("zone: UTC", "zone: Europe/Vienna", "windows office: times", Both);
    let freeze = "freezes:\n  - {id: f, reason: x, where: all, zone: UTC, start: 2026-01-01T00:00, end: 2026-01-02T00:00}\nrules:";
    one("rules:", freeze, "freezes f: added", Narrowed);
    one("rules:", "quotas:\n  - {id: q, running: 3}\nrules:", "quotas q: added", Narrowed);
    one(
        "rules:",
        "overrides:\n  - {where: all, limits: {timeout: 5m}}\nrules:",
        "overrides all: timeout",
        Both,
    );
}

#[test]
fn a_rule_that_goes_frees_what_it_bound_elsewhere() {
    let strict = "  - {id: strict, effect: allow, where: all, commands: [uptime], limits: {timeout: 5s}}\n";
    let with = OLD.replacen("  - id: never", &format!("{strict}  - id: never"), 1);
    let kinds =
        |old: &str, new: &str| diff(&policy(old), &policy(new)).iter().map(|c| c.kind).collect::<Vec<_>>();
    assert_eq!(kinds(&with, OLD), [ChangeKind::Narrowed, ChangeKind::Widened]);
    assert_eq!(kinds(OLD, &with), [ChangeKind::Widened, ChangeKind::Narrowed]);
}

#[test]
fn a_rule_that_comes_or_goes_is_shown_with_everything_it_says() {
    let rule = r#"
  - id: more
    effect: approve
    where: all
    when: { during: [office] }
    condition: via == 'cli'
    commands: ["ls <path:/srv>..."]
    globs: true
    exempt_from_freezes: true
    limits: { timeout: 5m, output: 1MiB }
    network: { allow: [10.1.0.0/16], deny: [10.1.2.0/24] }
    max_hosts: 3
    approve: { approvals: 2, group: ops, within: 1h, mfa: true }
"#;
    let with = policy(&format!("{OLD}{}", rule.trim_start_matches('\n')));
    let text = "approve ls <path:/srv>... for everybody, by any door on all\n\
        when: during office\n\
        condition: via == 'cli'\n\
        globs: yes\n\
        approve: 2 of group ops within 1h, with a second factor\n\
        limits.timeout: 5m\n\
        limits.output: 1MiB\n\
        network.allow: 10.1.0.0/16\n\
        network.deny: 10.1.2.0/24\n\
        max_hosts: 3\n\
        exempt_from_freezes: yes";
    let shown = |old: &PolicySet, new: &PolicySet| {
        let all = diff(old, new);
        let of_rule =
            all.into_iter().find(|change| change.what == "added" || change.what == "removed").unwrap();
        (of_rule.before, of_rule.after)
    };
    assert_eq!(shown(&policy(OLD), &with), (None, Some(text.to_owned())));
    assert_eq!(shown(&with, &policy(OLD)), (Some(text.to_owned()), None));
}
