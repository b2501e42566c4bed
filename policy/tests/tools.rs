//! The operators' tools: what changed, what is expected, what would have been, what would be enough.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use lictor_core::{
    clock::Timestamp,
    job::CommandInput,
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
        },
        // Monday, 5 January 2026.
        at: Timestamp::from_micros((1_767_571_200 + hour * 3_600) * 1_000_000),
    }
}

fn line(text: &str) -> CommandInput {
    CommandInput::Line(text.to_owned())
}

mod differences {
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
        one("[rm, dd]", "[rm, 'dd if=x']", "rule never: commands", Both);
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
        let strict =
            "  - {id: strict, effect: allow, where: all, commands: [uptime], limits: {timeout: 5s}}\n";
        let with = OLD.replacen("  - id: never", &format!("{strict}  - id: never"), 1);
        let kinds = |old: &str, new: &str| {
            diff(&policy(old), &policy(new)).iter().map(|c| c.kind).collect::<Vec<_>>()
        };
        assert_eq!(kinds(&with, OLD), [ChangeKind::Narrowed, ChangeKind::Widened]);
        assert_eq!(kinds(OLD, &with), [ChangeKind::Widened, ChangeKind::Narrowed]);
    }
}

/// Small policies over a small world, so that rules meet.
mod laws {
    use proptest::sample::{select, subsequence};

    use super::*;

    fn list(items: &'static [&'static str]) -> impl Strategy<Value = String> {
        subsequence(items, 1..=items.len()).prop_map(|items| format!("[{}]", items.join(", ")))
    }

    fn who() -> impl Strategy<Value = String> {
        prop_oneof![
            Just(String::new()),
            list(&["ada", "bob"]).prop_map(|l| format!(", who: {{users: {l}}}")),
            Just(", who: {groups: [ops]}".to_owned()),
            Just(", who: {kinds: [service]}".to_owned()),
            list(&["cli", "mcp"]).prop_map(|l| format!(", who: {{via: {l}}}")),
            Just(", who: {groups: [ops], via: [mcp]}".to_owned()),
        ]
    }

    fn place() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("all".to_owned()),
            list(&["web-1", "db-1", "web-*", "'*-1'"]).prop_map(|l| format!("{{hosts: {l}}}")),
            list(&["web", "db"]).prop_map(|l| format!("{{tags: {l}}}")),
            Just("{sites: [eu]}".to_owned()),
        ]
    }

    fn commands() -> impl Strategy<Value = String> {
        list(&[
            "id",
            "id <user>",
            "'id [<user>]'",
            "id root",
            "'id <one-of:root|bob>'",
            "date",
            "date <int:1..9>",
            "date <int:1..5>",
        ])
    }

    fn rule() -> impl Strategy<Value = String> {
        let effect = select(vec!["allow", "deny", "approve"]);
        let when = select(vec![
            "",
            "",
            ", when: {during: [day]}",
            ", when: {not_during: [day]}",
            ", when: {during: [day, all-day], not_during: [evening]}",
        ]);
        let condition = select(vec![
            "",
            "",
            "",
            ", condition: \"via == 'cli'\"",
            ", condition: \"'ops' in principal.groups\"",
        ]);
        let extra = select(vec![
            "",
            "",
            ", limits: {timeout: 5s}",
            ", limits: {timeout: 5m}",
            ", max_hosts: 2",
            ", exempt_from_freezes: true",
            ", network: {allow: [10.1.0.0/16]}",
            ", network: {deny: [10.1.0.0/16]}",
        ]);
        (effect, who(), place(), commands(), when, condition, extra).prop_map(
            |(effect, who, place, commands, when, condition, extra)| {
                let (extra, approve) = match effect {
                    "deny" => ("", ""),
                    "approve" => (extra, ", approve: {approvals: 1, group: ops, within: 1h}"),
                    _ => (extra, ""),
                };
                format!("effect: {effect}{who}, where: {place}, commands: {commands}{when}{condition}{extra}{approve}")
            },
        )
    }

    prop_compose! {
        fn file()(
            rules in prop::collection::btree_map(select(vec!["a", "b", "c"]), rule(), 0..=3),
            ops in list(&["ada", "bob", "eve"]),
            hours in select(vec!["from: '08:00', to: '16:00'", "from: '07:00', to: '17:00'", "from: '20:00', to: '04:00'", "days: [mon]"]),
            freeze in select(vec!["", "", "{id: f, reason: x, where: all, zone: UTC, start: 2026-01-05T09:00, end: 2026-01-05T15:00}", "{id: f, reason: x, where: {tags: [web]}, zone: UTC, start: 2026-01-05T08:00, end: 2026-01-05T23:00}"]),
            limits in select(vec!["30s", "60s"]),
            more in select(vec!["", "", "{where: {tags: [web]}, limits: {timeout: 10s}}", "{where: all, limits: {timeout: 10m}}"]),
            network in select(vec!["", "network: {allow: [10.0.0.0/8]}\n", "network: {deny: [10.2.0.0/16]}\n"]),
        ) -> String {
            let rules: String = rules.iter().map(|(id, rule)| format!("  - {{id: {id}, {rule}}}\n")).collect();
            let rules = if rules.is_empty() { "  []\n".to_owned() } else { rules };
            format!(
                "version: 1\nlimits: {{timeout: {limits}}}\n{network}groups:\n  ops: {{users: {ops}}}\nwindows:\n  day: {{zone: UTC, {hours}}}\n  all-day: {{zone: UTC}}\n  evening: {{zone: UTC, from: '18:00', to: '22:00'}}\nfreezes: [{freeze}]\noverrides: [{more}]\nrules:\n{rules}"
            )
        }
    }

    fn requests() -> impl Iterator<Item = (Circumstances, CommandInput)> {
        let people = ["user:ada", "user:bob", "user:eve", "service:ci"];
        let hosts = [("web-1", "eu", "web"), ("db-1", "us", "db"), ("web-2", "us", "web")];
        let lines = ["id", "id root", "id bob", "date", "date 3", "date 7"];
        let all = people.into_iter().flat_map(move |who| {
            [Via::Cli, Via::Mcp].into_iter().flat_map(move |via| {
                hosts.into_iter().flat_map(move |(host, site, tag)| {
                    [3, 7, 10, 19].into_iter().map(move |hour| by(who, via, host, site, &[tag], hour))
                })
            })
        });
        all.flat_map(move |circumstances| {
            lines.into_iter().map(move |text| (circumstances.clone(), line(text)))
        })
    }

    const fn rank(effect: Effect) -> u8 {
        match effect {
            Effect::Deny => 0,
            Effect::Approve => 1,
            Effect::Allow => 2,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(120))]
        #[test]
        fn no_widening_and_no_narrowing_is_left_out(old in file(), new in file(), alike in any::<bool>(), which in 0usize..12) {
            // Half of the pairs differ in one line only, as edits do.
            let new = if alike { splice(&old, &new, which) } else { new };
            let (old_set, new_set) = (policy(&old), policy(&new));
            let changes = diff(&old_set, &new_set);
            let widens = changes.iter().any(|change| change.kind.widens());
            let narrows = changes.iter().any(|change| change.kind.narrows());
            for (circumstances, input) in requests() {
                let command = old_set.parse_command(&input).unwrap();
                let request = circumstances.request(&command);
                let (before, after) = (evaluate(&old_set, &request), evaluate(&new_set, &request));
                let (was, is) = (rank(before.effect), rank(after.effect));
                let both = was > 0 && is > 0;
                let hosts = |most: Option<u32>| most.unwrap_or(u32::MAX);
                let more = is > was || both && (after.limits.timeout > before.limits.timeout || hosts(after.max_hosts) > hosts(before.max_hosts));
                let less = is < was || both && (after.limits.timeout < before.limits.timeout || hosts(after.max_hosts) < hosts(before.max_hosts));
                prop_assert!(!more || widens, "{circumstances:?} {input:?} gets more, but:\n{changes:#?}\nold:\n{old}\nnew:\n{new}");
                prop_assert!(!less || narrows, "{circumstances:?} {input:?} gets less, but:\n{changes:#?}\nold:\n{old}\nnew:\n{new}");
                if both {
                    for address in ["10.1.2.3", "10.2.3.4", "10.3.4.5", "192.0.2.1"] {
                        let address: std::net::IpAddr = address.parse().unwrap();
                        let open = |d: &lictor_policy::Decision| {
                            (d.networks_allowed.is_empty() || d.networks_allowed.iter().any(|n| n.contains(&address)))
                                && !d.networks_denied.iter().any(|n| n.contains(&address))
                        };
                        prop_assert!(open(&before) || !open(&after) || widens, "{address} opens:\n{changes:#?}\nold:\n{old}\nnew:\n{new}");
                        prop_assert!(!open(&before) || open(&after) || narrows, "{address} closes:\n{changes:#?}\nold:\n{old}\nnew:\n{new}");
                    }
                }
            }
        }
    }

    /// `old` with one line of `new`.
    fn splice(old: &str, new: &str, which: usize) -> String {
        let (mut lines, others): (Vec<&str>, Vec<&str>) = (old.lines().collect(), new.lines().collect());
        let candidates: Vec<&str> = others.into_iter().filter(|line| !lines.contains(line)).collect();
        let Some(line) = candidates.get(which % candidates.len().max(1)).copied() else {
            return old.to_owned();
        };
        let key = |line: &str| line.split([':', ',']).take(2).collect::<Vec<_>>().join(":");
        let key_of = key(line);
        if let Some(place) = lines.iter().position(|other| {
            let other = key(other);
            other == key_of
                || (!line.contains("- {id") && other.split(':').next() == key_of.split(':').next())
        }) {
            lines[place] = line;
        } else if line.contains("- {id") {
            lines.retain(|line| line.trim() != "[]");
            lines.push(line);
        } else {
            return old.to_owned();
        }
        let text = lines.join("\n") + "\n";
        // A line that does not fit there makes no pair.
        if PolicySet::parse(&text).is_ok() { text } else { old.to_owned() }
    }
}

mod expectations {
    use super::*;

    const POLICY: &str =
        "version: 1\nrules:\n  - {id: r, effect: allow, where: {tags: [web]}, commands: [uptime]}\n";

    fn run(cases_yaml: &str) -> Vec<Vec<String>> {
        let cases = cases::parse(cases_yaml).unwrap_or_else(|e| panic!("{e}"));
        cases::run(&policy(POLICY), &cases).unwrap().into_iter().map(|result| result.problems).collect()
    }

    #[test]
    fn cases_that_hold_have_no_problem_and_others_say_what_is_instead() {
        let all = "
- {as: 'user:ada', host: web-1, tags: [web], command: uptime, expect: allow, rule: r, code: POLICY_ALLOWED}
- {as: 'service:ci', via: api, host: db-1, site: eu, argv: [uptime], expect: deny}
- {as: 'user:ada', host: web-1, tags: [web], command: 'uptime > /x', expect: deny, code: E_REDIRECT}
- {name: wrong, as: 'user:ada', host: db-1, command: uptime, expect: allow, rule: r}
";
        let problems = run(all);
        assert!(problems[..3].iter().all(Vec::is_empty), "{problems:?}");
        assert_eq!(
            problems[3],
            ["expected allow, but it is denied", "expected rule `r` to decide, but no rule does"]
        );
    }

    #[test]
    fn a_file_of_cases_is_read_strictly() {
        for (bad, because) in [
            ("- {as: 'user:a', host: h, command: x, expect: allow, extra: 1}", "extra"),
            ("- {as: ada, host: h, command: x, expect: allow}", "user:NAME"),
            ("- {as: 'user:a', host: h, command: x, expect: maybe}", "approve"),
            ("- {as: 'user:a', host: h, expect: allow}", "`command` or `argv`"),
            ("- {as: 'user:a', host: h, command: x, argv: [x], expect: allow}", "not both"),
            ("- {as: 'user:a', host: '-h', command: x, expect: allow}", "host"),
            ("- {as: 'user:a', host: h, via: web, command: x, expect: allow}", "via"),
            ("- {as: 'user:a', host: h, command: x, expect: allow, at: today}", "moment"),
            ("- {as: 'user:a', host: h, command: x, expect: allow, code: E_NONE}", "code"),
            ("[]", "no case"),
        ] {
            let errors = cases::parse(bad).unwrap_err().to_string();
            assert!(errors.contains(because), "{bad}: {errors}");
        }
    }

    #[test]
    fn a_policy_with_windows_asks_when() {
        let timed = policy(
            "version: 1\nwindows: {day: {zone: UTC, from: '08:00', to: '16:00'}}\nrules:\n  - {id: r, effect: allow, where: all, when: {during: [day]}, commands: [uptime]}\n",
        );
        let case = |at: &str| format!("- {{as: 'user:a', host: h, command: uptime, expect: allow{at}}}");
        let vague = cases::parse(&case("")).unwrap();
        assert!(
            cases::run(&timed, &vague).unwrap_err().to_string().contains("line 1: the policy has windows")
        );
        for (at, holds) in [("2026-01-05T10:00:00Z", true), ("2026-01-05T10:00:00+09:00", false)] {
            let exact = cases::parse(&case(&format!(", at: '{at}'"))).unwrap();
            assert_eq!(cases::run(&timed, &exact).unwrap()[0].problems.is_empty(), holds, "{at}");
        }
    }
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
    assert_eq!((sum.ran, sum.would_deny, sum.would_ask), (4, 2, 1));
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
    assert!(suggestion.yaml.contains("#   sudo systemctl restart nginx  (1 times)"), "{}", suggestion.yaml);
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
