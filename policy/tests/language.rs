//! What the words of the language beyond commands mean: who, where, when, on which condition, within which limits, with
//! whose consent; and that an explanation says what was decided.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use lictor_core::{
    clock::Timestamp,
    context::{Context, Environment},
    job::CommandInput,
    label::Labels,
    name::{HostAlias, PrincipalName, SiteName, Tag, TenantName},
    principal::{Principal, PrincipalKind, Via},
};
use lictor_policy::{
    Decision, DecisionCode, Effect, Explanation, HostFacts, PolicySet, QuotaBound, Request, RequestedLimits,
    evaluate, explain, explain::RuleFit, parse_command,
};
use proptest::prelude::*;

/// A request; every field has a plain default.
#[derive(Debug, Clone)]
struct Ask {
    user: PrincipalKind,
    name: &'static str,
    via: Via,
    host: &'static str,
    site: &'static str,
    tags: &'static [&'static str],
    at: u64,
    line: &'static str,
    timeout: Option<u64>,
    variables: &'static [(&'static str, &'static str)],
    directory: Option<&'static str>,
    login: Option<&'static str>,
}

const NOON: u64 = 1_767_610_800; // 2026-01-05T11:00:00Z, a Monday, 12:00 in Vienna
const ASK: Ask = Ask {
    user: PrincipalKind::User,
    name: "alice",
    via: Via::Cli,
    host: "web-1",
    site: "eu",
    tags: &["web"],
    at: NOON,
    line: "a",
    timeout: None,
    variables: &[],
    directory: None,
    login: None,
};

impl Ask {
    fn with<T>(&self, set: &PolicySet, then: impl FnOnce(&Request<'_>) -> T) -> T {
        let principal = Principal {
            tenant: TenantName::new("acme").unwrap(),
            kind: self.user,
            name: PrincipalName::new(self.name).unwrap(),
        };
        let host = HostFacts {
            alias: HostAlias::new(self.host).unwrap(),
            site: SiteName::new(self.site).unwrap(),
            tags: self.tags.iter().map(|tag| Tag::new(tag).unwrap()).collect(),
            labels: Labels::default(),
        };
        let command = set
            .parse_command(&CommandInput::Line(self.line.into()))
            .unwrap_or_else(|e| panic!("{}: {e}", self.line));
        let requested =
            RequestedLimits { timeout: self.timeout.map(Duration::from_secs), output_bytes: None };
        let at = Timestamp::from_micros(self.at * 1_000_000);
        let context = &self.context();
        then(&Request {
            principal: &principal,
            via: self.via,
            host: &host,
            command: &command,
            context,
            requested,
            at,
        })
    }
    fn context(&self) -> Context {
        Context {
            environment: Environment::from_pairs(self.variables.iter().copied()).unwrap(),
            working_directory: self.directory.map(|path| path.parse().unwrap()),
            run_as: self.login.map(|name| name.parse().unwrap()),
            stdin: None,
        }
    }
    fn decide(&self, set: &PolicySet) -> Decision {
        self.with(set, |request| evaluate(set, request))
    }
    fn explain(&self, set: &PolicySet) -> Explanation {
        self.with(set, |request| explain(set, request))
    }
    fn allowed(&self, set: &PolicySet) -> bool {
        self.decide(set).is_allowed()
    }
}

#[track_caller]
fn policy(yaml: &str) -> PolicySet {
    PolicySet::parse(&format!("version: 1\n{yaml}")).unwrap_or_else(|e| panic!("{e}"))
}
#[track_caller]
fn refused(yaml: &str, because: &str) {
    let Err(errors) = PolicySet::parse(&format!("version: 1\n{yaml}")) else { panic!("accepted: {yaml}") };
    let errors = errors.to_string();
    assert!(errors.contains(because), "{yaml}\nmust be refused because of `{because}`, but: {errors}");
}

#[test]
fn groups_and_kinds_are_ways_to_name_principals() {
    let set = policy(
        "groups: {ops: {users: [alice], services: [ci]}, leads: {users: [bob]}}\nrules:\n\
         - {id: g, effect: allow, who: {groups: [ops]}, where: all, commands: [a]}\n\
         - {id: k, effect: allow, who: {kinds: [service], via: [mcp]}, where: all, commands: [b]}\n\
         - {id: u, effect: allow, who: {users: [carol], groups: [leads]}, where: all, commands: [c]}\n",
    );
    assert!(ASK.allowed(&set));
    assert!(!Ask { name: "bob", ..ASK }.allowed(&set));
    assert!(
        !Ask { user: PrincipalKind::Service, ..ASK }.allowed(&set),
        "a service is not the user of that name"
    );
    assert!(Ask { user: PrincipalKind::Service, name: "ci", ..ASK }.allowed(&set));
    let machine = Ask { user: PrincipalKind::Service, name: "any", via: Via::Mcp, line: "b", ..ASK };
    assert!(machine.allowed(&set) && !Ask { via: Via::Api, ..machine.clone() }.allowed(&set));
    assert!(Ask { name: "bob", line: "c", ..ASK }.allowed(&set), "any of the users and groups");
    assert!(Ask { name: "carol", line: "c", ..ASK }.allowed(&set) && !Ask { line: "c", ..ASK }.allowed(&set));
    refused(
        "rules: [{id: g, effect: allow, who: {groups: [nobody]}, where: all, commands: [a]}]",
        "no group `nobody`",
    );
    refused("groups: {ops: {}}\nrules: []", "group `ops` is empty");
}

#[test]
fn a_star_in_a_host_name_stands_for_any_characters() {
    let set = policy(
        "rules: [{id: h, effect: allow, where: {hosts: ['web-*', 'db-*-eu', 'x*y*z']}, commands: [a]}]",
    );
    for host in ["web-1", "web-", "db-1-eu", "db--eu", "xyz", "x1y2z", "xyyz"] {
        assert!(Ask { host, ..ASK }.allowed(&set), "{host}");
    }
    for host in ["web", "aweb-1", "db-eu", "db-1-us", "xz", "xyz1", "xy"] {
        assert!(!Ask { host, ..ASK }.allowed(&set), "{host}");
    }
    for bad in ["*", "**", "-*", "a b*", "$*"] {
        refused(
            &format!("rules: [{{id: h, effect: allow, where: {{hosts: ['{bad}']}}, commands: [a]}}]"),
            "hosts",
        );
    }
}

const TIMES: &str = "windows:\n  office: {zone: Europe/Vienna, days: [mon, tue, wed, thu, fri], from: '08:00', to: '18:00'}\n  \
                     release: {zone: UTC, start: '2026-01-05T10:00', end: '2026-01-05T12:00'}\n";

#[test]
fn a_rule_holds_during_its_windows_only() {
    let set = policy(&format!(
        "{TIMES}rules:\n\
         - {{id: o, effect: allow, where: all, commands: [a], when: {{during: [office]}}}}\n\
         - {{id: n, effect: allow, where: all, commands: [b], when: {{not_during: [office]}}}}\n\
         - {{id: r, effect: allow, where: all, commands: [c], when: {{during: [office, release], not_during: [release]}}}}\n\
         - {{id: d, effect: deny, where: all, commands: [a x], when: {{during: [release]}}}}\n"
    ));
    let night = NOON + 12 * 3600;
    assert!(ASK.allowed(&set) && !Ask { at: night, ..ASK }.allowed(&set));
    assert!(!Ask { line: "b", ..ASK }.allowed(&set) && Ask { line: "b", at: night, ..ASK }.allowed(&set));
    assert!(
        !Ask { line: "c", ..ASK }.allowed(&set)
            && Ask { line: "c", at: NOON + 2 * 3600, ..ASK }.allowed(&set)
    );
    let hint = Ask { at: night, ..ASK }.decide(&set).hint;
    assert_eq!(
        hint,
        "rule `o` allows it, but not now: only during office (Mon, Tue, Wed, Thu, Fri 08:00–18:00 Europe/Vienna)"
    );
    refused(
        "rules: [{id: o, effect: allow, where: all, commands: [a], when: {during: [x]}}]",
        "no window `x`",
    );
    refused("windows: {w: {zone: Nowhere, days: [mon]}}\nrules: []", "not a time zone");
    refused("windows: {w: {zone: UTC, from: '08:00'}}\nrules: []", "both `from` and `to`");
    refused(
        "windows: {w: {zone: UTC, days: [mon], start: '2026-01-01T00:00', end: '2026-01-02T00:00'}}\nrules: []",
        "two windows",
    );
}

#[test]
fn a_freeze_stops_everything_that_is_not_exempt() {
    let set = policy(
        "freezes:\n- {id: year-end, reason: books are closed, where: {tags: [web]}, zone: UTC, start: '2026-01-05T11:00', end: '2026-01-05T12:00'}\n\
         rules:\n- {id: change, effect: allow, where: all, commands: [a]}\n\
         - {id: look, effect: allow, where: all, commands: [b], exempt_from_freezes: true}\n\
         - {id: never, effect: deny, where: all, commands: [a never]}\n",
    );
    let frozen = ASK.decide(&set);
    assert_eq!((frozen.code, frozen.effect), (DecisionCode::Frozen, Effect::Deny));
    assert_eq!(frozen.rule.unwrap().as_str(), "year-end");
    assert!(frozen.reason.contains("books are closed") && frozen.reason.contains("`a`"), "{}", frozen.reason);
    assert!(Ask { line: "b", ..ASK }.allowed(&set));
    assert!(!Ask { line: "b; a", ..ASK }.allowed(&set), "each part on its own");
    assert!(Ask { tags: &["db"], ..ASK }.allowed(&set) && Ask { at: NOON + 3600, ..ASK }.allowed(&set));
    assert!(Ask { at: NOON - 1, ..ASK }.allowed(&set));
    assert_eq!(Ask { line: "a never", ..ASK }.decide(&set).code, DecisionCode::DeniedByRule);
}

#[test]
fn a_condition_is_about_the_request_and_fails_closed() {
    let set = policy(
        "groups: {ops: {users: [alice]}}\nrules:\n\
         - {id: c, effect: allow, where: all, commands: [a <any>...], condition: \"via == 'cli' && 'web' in host.tags && 'ops' in principal.groups\"}\n\
         - {id: i, effect: allow, where: all, commands: ['b [<any>...]'], condition: \"command.parts[0][2] == 'x'\"}\n\
         - {id: d, effect: deny, where: all, commands: ['c [<any>...]'], condition: \"command.parts[0][2] == 'x'\"}\n\
         - {id: e, effect: allow, where: all, commands: ['c [<any>...]']}\n\
         - {id: t, effect: allow, where: all, commands: [t], condition: \"requested.timeout_seconds > 0 && requested.timeout_seconds <= 60\"}\n",
    );
    let good = Ask { line: "a y", ..ASK };
    assert!(good.allowed(&set));
    assert!(!Ask { via: Via::Mcp, ..good.clone() }.allowed(&set));
    assert!(
        !Ask { tags: &["db"], ..good.clone() }.allowed(&set)
            && !Ask { name: "bob", ..good.clone() }.allowed(&set)
    );
    assert!(
        Ask { via: Via::Mcp, ..good }
            .decide(&set)
            .hint
            .starts_with("rule `c` allows it only if `via == 'cli'")
    );
    assert!(Ask { line: "b 1 x", ..ASK }.allowed(&set) && !Ask { line: "b 1", ..ASK }.allowed(&set));
    assert!(!Ask { line: "c 1 x", ..ASK }.allowed(&set));
    assert!(!Ask { line: "c 1", ..ASK }.allowed(&set), "a deny whose condition has no value denies");
    assert!(Ask { line: "c 1 y", ..ASK }.allowed(&set));
    assert!(
        !Ask { line: "t", ..ASK }.allowed(&set) && Ask { line: "t", timeout: Some(60), ..ASK }.allowed(&set)
    );
    let condition = |text: &str| {
        format!("rules: [{{id: c, effect: allow, where: all, commands: [a], condition: \"{text}\"}}]")
    };
    refused(&condition("now > 3"), "uses `now`");
    refused(&condition("host.tags"), "not true or false");
    refused(&condition("host.address == 'x'"), "cannot be evaluated");
    refused(&condition("via =="), "not a CEL expression");
    refused(&condition(&"(".repeat(5_000)), "longer than 1024 bytes");
    refused(&condition(&format!("{}true{}", "(".repeat(100), ")".repeat(100))), "nested deeper than 16");
    refused(&condition("host.tags.all(a, host.tags.all(b, host.tags.all(c, true)))"), "more than 2 loops");
}

#[test]
fn an_override_is_the_default_and_the_most_on_its_hosts_the_closest_first() {
    let set = policy(
        "limits: {timeout: 60s, output: 100KiB}\noverrides:\n\
         - {where: all, limits: {output: 50KiB}}\n\
         - {where: {sites: [eu]}, limits: {timeout: 50s}}\n\
         - {where: {tags: [slow]}, limits: {timeout: 10m}}\n\
         - {where: {tags: [web]}, limits: {timeout: 5m}}\n\
         - {where: {hosts: [web-9]}, limits: {timeout: 5s}}\n\
         rules:\n- {id: a, effect: allow, where: all, commands: [a]}\n\
         - {id: b, effect: allow, where: all, commands: [b], limits: {timeout: 1h}}\n\
         - {id: c, effect: allow, where: all, commands: [c], limits: {timeout: 2s, output: 1MiB}}\n",
    );
    let seconds = |ask: Ask| ask.decide(&set).limits.timeout.as_secs();
    assert_eq!(seconds(Ask { tags: &[], site: "us", ..ASK }), 60);
    assert_eq!(seconds(Ask { tags: &[], ..ASK }), 50, "of the site");
    assert_eq!(seconds(ASK), 300, "of the tag, though the site has less");
    assert_eq!(seconds(Ask { tags: &["web", "slow"], ..ASK }), 300, "the strictest of two tags");
    assert_eq!(seconds(Ask { host: "web-9", ..ASK }), 5, "of the host");
    assert_eq!(seconds(Ask { line: "b", ..ASK }), 300, "no rule gives more than the override");
    assert_eq!(seconds(Ask { line: "c", ..ASK }), 2, "a rule may give less");
    assert_eq!(seconds(Ask { timeout: Some(7), ..ASK }), 7);
    assert_eq!(ASK.decide(&set).limits.output_bytes, 50 * 1024, "each limit on its own");
    assert_eq!(Ask { line: "c", ..ASK }.decide(&set).limits.output_bytes, 50 * 1024);
}

#[test]
fn consent_is_asked_for_when_any_part_needs_it() {
    let set = policy(
        "groups: {leads: {users: [bob]}, dba: {users: [dora]}}\nrules:\n\
         - {id: see, effect: allow, where: all, commands: [a, b]}\n\
         - {id: b, effect: approve, where: all, commands: [b], approve: {approvals: 1, group: leads, within: 1h}, max_hosts: 5}\n\
         - {id: c, effect: approve, where: all, commands: [c], approve: {approvals: 2, group: dba, within: 30m, mfa: true}}\n\
         - {id: d, effect: deny, where: all, commands: [c now]}\n",
    );
    assert!(ASK.allowed(&set));
    let b = Ask { line: "b", ..ASK }.decide(&set);
    assert_eq!((b.effect, b.code, b.max_hosts), (Effect::Approve, DecisionCode::ApprovalRequired, Some(5)));
    assert_eq!(
        (b.rule.unwrap().as_str(), b.hint.as_str()),
        ("b", "1 other person of group `leads` must consent")
    );
    let both = Ask { line: "a && c | b", ..ASK }.decide(&set);
    assert_eq!(both.effect, Effect::Approve);
    let groups: Vec<&str> = both.approvals.iter().map(|terms| terms.group.as_str()).collect();
    assert_eq!(groups, ["leads", "dba"], "everybody who is asked for");
    assert_eq!(Ask { line: "b; c now", ..ASK }.decide(&set).effect, Effect::Deny);
    assert_eq!(Ask { line: "b; x", ..ASK }.decide(&set).code, DecisionCode::DefaultDeny);
    let approve = |rest: &str| {
        format!("groups: {{leads: {{users: [bob]}}}}\nrules: [{{id: b, where: all, commands: [b], {rest}}}]")
    };
    refused(&approve("effect: approve"), "needs `approve:");
    refused(
        &approve("effect: allow, approve: {approvals: 1, group: leads, within: 1h}"),
        "only with `effect: approve`",
    );
    refused(&approve("effect: approve, approve: {approvals: 0, group: leads, within: 1h}"), "between 1 and");
    refused(&approve("effect: approve, approve: {approvals: 1, group: x, within: 1h}"), "no group `x`");
}

#[test]
fn globs_run_only_under_a_repeated_path_of_a_rule_that_takes_them_and_deny_rules_see_through_them() {
    let set = policy(
        "rules:\n\
         - {id: g, effect: allow, where: all, globs: true, commands: ['ls [-l] <path:/var/log>...', 'wc <any>...', 'cat <path:/etc>']}\n\
         - {id: n, effect: allow, where: all, commands: ['du <path:/var/log>...', 'sudo ls <path:/>...']}\n\
         - {id: d, effect: deny, where: all, commands: [ls /var/log/secret, 'shutdown', 'ls <path:/var/log/audit>']}\n",
    );
    for line in
        ["ls /var/log/*.gz", "ls -l /var/log/nginx/access?.log /var/log/x", "ls '/var/log/*'", "wc '*'"]
    {
        assert!(Ask { line, ..ASK }.allowed(&set), "{line}: {}", Ask { line, ..ASK }.decide(&set).reason);
    }
    for line in [
        "wc *",
        "cat /etc/*",
        "du /var/log/*",
        "ls /var/*",
        "ls /var/log*",
        "ls -l /var/log/../*",
        "ls -? /var/log/x",
    ] {
        assert!(!Ask { line, ..ASK }.allowed(&set), "{line}");
    }
    let hint = Ask { line: "du /var/log/*", ..ASK }.decide(&set).hint;
    assert!(hint.contains("takes no glob at the place of `/var/log/*`"), "{hint}");
    for line in [
        "ls /var/log/sec*",
        "ls /var/log/??????",
        "ls /var/log/*/x",
        "ls /var/log/[s]ecret",
        "sudo /sbin/shut* now",
    ] {
        let decision = Ask { line, ..ASK }.decide(&set);
        assert_eq!(decision.code, DecisionCode::DeniedByRule, "{line}: {}", decision.reason);
    }
    let plain = policy("rules: [{id: n, effect: allow, where: all, commands: ['du <path:/var/log>...']}]");
    assert!(!plain.takes_globs() && set.takes_globs());
    assert_eq!(
        plain.parse_command(&CommandInput::Line("du /var/log/*".into())).unwrap_err().code.as_str(),
        "E_GLOB"
    );
}

#[test]
fn options_between_the_words_of_a_deny_pattern_do_not_hide_them() {
    let set = policy(
        "rules:\n- {id: a, effect: allow, where: all, acknowledge: [starts-programs, leading-dash], commands: ['git [<re:.*>...]', 'ls [<re:.*>...]', 'sudo git [<re:.*>...]', 'reboot [<re:.*>...]', 'grep [<re:.*>...]']}\n\
         - {id: d, effect: deny, where: all, commands: [git push, 'ls <path:/root>', 'reboot <end>', 'git tag <n>']}\n",
    );
    for line in [
        "git push",
        "git -C /srv push",
        "git --no-pager -c a=b push x",
        "git --git-dir=/x push",
        "sudo git -C /srv push",
        "ls -l /root/x",
        "ls -l -a /root",
        "ls -l/root",
        "ls -- /root",
        "reboot",
        "grep git push",
    ] {
        let decision = Ask { line, ..ASK }.decide(&set);
        assert_eq!(decision.code, DecisionCode::DeniedByRule, "{line}: {}", decision.reason);
    }
    for line in [
        "git status push",
        "git --git-dir=/x status push",
        "git -C /srv status",
        "ls -l /tmp",
        "ls -l",
        "ls --color=auto /tmp",
        "reboot -f",
        "grep git -i file",
    ] {
        assert!(Ask { line, ..ASK }.allowed(&set), "{line}: {}", Ask { line, ..ASK }.decide(&set).reason);
    }
}

#[test]
fn quotas_are_for_those_that_they_name() {
    let set = policy(
        "groups: {bots: {services: [ci]}}\nquotas:\n\
         - {id: all, running: 10}\n- {id: bots, who: {groups: [bots], via: [api]}, invocations: 100, per: 1h}\nrules: []",
    );
    let of = |kind, name: &str, via| {
        let principal = Principal {
            tenant: TenantName::new("acme").unwrap(),
            kind,
            name: PrincipalName::new(name).unwrap(),
        };
        set.quotas(&principal, via).map(|quota| (quota.id().to_string(), quota.bound())).collect::<Vec<_>>()
    };
    let all = ("all".to_owned(), QuotaBound::Running(10));
    let bots = ("bots".to_owned(), QuotaBound::Rate { invocations: 100, per: Duration::from_secs(3_600) });
    assert_eq!(of(PrincipalKind::Service, "ci", Via::Api), [all.clone(), bots]);
    assert_eq!(of(PrincipalKind::Service, "ci", Via::Mcp), std::slice::from_ref(&all));
    assert_eq!(of(PrincipalKind::User, "ci", Via::Api), [all]);
    for bad in [
        "{id: q}",
        "{id: q, invocations: 1}",
        "{id: q, running: 1, invocations: 1, per: 1h}",
        "{id: q, running: 0}",
    ] {
        refused(&format!("quotas: [{bad}]\nrules: []"), "quota `q`");
    }
    refused("quotas: [{id: q, running: 1}, {id: q, running: 2}]\nrules: []", "two entries with the id `q`");
}

#[test]
fn a_floor_has_no_use_for_what_only_a_controller_can_hold() {
    let floor = |yaml: &str| policy(yaml).not_for_floors();
    assert_eq!(floor("rules: [{id: a, effect: allow, where: all, commands: [a]}]"), None);
    assert_eq!(floor("quotas: [{id: q, running: 1}]\nrules: []"), Some("quotas"));
    assert_eq!(
        floor("rules: [{id: a, effect: allow, where: all, commands: [a], max_hosts: 3}]"),
        Some("max_hosts")
    );
}

const EFFECTS: [&str; 3] =
    ["effect: allow", "effect: deny", "effect: approve, approve: {approvals: 1, group: ops, within: 1h}"];
const SCOPES: [&str; 6] = [
    "where: all",
    "where: {hosts: ['web-*']}",
    "where: {tags: [db]}",
    "where: all, who: {groups: [ops]}",
    "where: all, who: {kinds: [service]}",
    "where: {sites: [eu]}, who: {via: [mcp]}",
];
const TERMS: [&str; 10] = [
    "commands: [a]",
    "commands: [a, b <n>]",
    "commands: [b <int:1..9>], when: {during: [office]}",
    "commands: [a], condition: \"via == 'cli'\"",
    "commands: [b <n>], condition: \"command.parts[0][1] == '5'\"",
    "commands: [a, b 7], when: {not_during: [office]}",
    "commands: [a, b <n>], run_as: [deploy, root]",
    "commands: [a], run_as: [root], environment: [LANG=C]",
    "commands: [a, b 7], environment: [LANG, LC_*], working_directory: ['<path:/srv>']",
    "commands: [a, b <n>], environment: [LANG], run_as: [deploy]",
];

fn rules() -> impl Strategy<Value = Vec<(usize, usize, usize)>> {
    prop::collection::vec((0..EFFECTS.len(), 0..SCOPES.len(), 0..TERMS.len()), 0..7)
}
fn written(rules: &[(usize, usize, usize)], reversed: bool) -> PolicySet {
    let mut lines: Vec<String> = rules
        .iter()
        .enumerate()
        .map(|(index, (effect, scope, terms))| {
            format!("- {{id: r{index}, {}, {}, {}}}\n", EFFECTS[*effect], SCOPES[*scope], TERMS[*terms])
        })
        .collect();
    if reversed {
        lines.reverse();
    }
    let rules = if lines.is_empty() { "[]".into() } else { format!("\n{}", lines.concat()) };
    policy(&format!("groups: {{ops: {{users: [alice]}}}}\n{TIMES}rules: {rules}"))
}
fn asks() -> Vec<Ask> {
    let mut asks = Vec::new();
    for line in ["a", "b 5", "b 7", "a; b 5", "c", "b x"] {
        for (host, tags) in [("web-1", &["web"][..]), ("db-1", &["db"])] {
            for via in [Via::Cli, Via::Mcp] {
                for at in [NOON, NOON + 12 * 3600] {
                    asks.push(Ask { line, host, tags, via, at, ..ASK });
                    asks.push(Ask {
                        user: PrincipalKind::Service,
                        name: "ci",
                        line,
                        host,
                        tags,
                        via,
                        at,
                        ..ASK
                    });
                }
            }
        }
    }
    // Doors and times meet contexts nowhere.
    let plain: Vec<Ask> = asks.iter().filter(|ask| ask.via == Via::Cli && ask.at == NOON).cloned().collect();
    for (variables, directory, login) in CONTEXTS {
        asks.extend(plain.iter().map(|ask| Ask { variables, directory, login, ..ask.clone() }));
    }
    asks
}

/// What a request may ask for besides its command.
type InContext = (&'static [(&'static str, &'static str)], Option<&'static str>, Option<&'static str>);

const CONTEXTS: [InContext; 5] = [
    (&[], None, Some("deploy")),
    (&[], None, Some("root")),
    (&[("LANG", "C")], None, Some("root")),
    (&[("LANG", "de"), ("LC_ALL", "C")], Some("/srv/app"), None),
    (&[("OTHER", "x")], None, None),
];

/// What the parts of an explanation add up to, by the law that the documentation states.
fn concluded(explanation: &Explanation) -> Effect {
    let has = |effect: Effect| {
        move |part: &&lictor_policy::explain::PartExplanation| {
            part.rules.iter().any(|rule| rule.fit == RuleFit::Matches && rule.effect == effect)
        }
    };
    // What does not permit the context binds all the same.
    let asks = |part: &lictor_policy::explain::PartExplanation| {
        part.rules.iter().any(|r| r.fit == RuleFit::OtherContext && r.effect == Effect::Approve)
    };
    let parts = &explanation.parts;
    if parts.iter().any(|part| has(Effect::Deny)(&part)) {
        return Effect::Deny;
    }
    if !parts.iter().all(|part| has(Effect::Allow)(&part) || has(Effect::Approve)(&part)) {
        return Effect::Deny;
    }
    if parts.iter().any(|part| has(Effect::Approve)(&part) || asks(part)) {
        Effect::Approve
    } else {
        Effect::Allow
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_rules_of_every_kind_changes_nothing(rules in rules()) {
        let (forward, backward) = (written(&rules, false), written(&rules, true));
        for ask in asks() {
            prop_assert_eq!(ask.decide(&forward), ask.decide(&backward));
        }
    }

    #[test]
    fn an_explanation_adds_up_to_the_decision(rules in rules()) {
        let set = written(&rules, false);
        for ask in asks() {
            let explanation = ask.explain(&set);
            prop_assert_eq!(&explanation.decision, &ask.decide(&set));
            prop_assert_eq!(concluded(&explanation), explanation.decision.effect, "{:?}", ask);
        }
    }

    #[test]
    fn a_context_only_takes_away(rules in rules()) {
        let set = written(&rules, false);
        let rank = |effect| match effect { Effect::Deny => 0, Effect::Approve => 1, Effect::Allow => 2 };
        for ask in asks() {
            let plain = Ask { variables: &[], directory: None, login: None, ..ask.clone() };
            let (with, without) = (ask.decide(&set), plain.decide(&set));
            prop_assert!(rank(with.effect) <= rank(without.effect), "{:?}", ask);
            if with.effect != Effect::Deny {
                prop_assert_eq!(&with.limits, &without.limits, "{:?}", ask);
                prop_assert_eq!(&with.approvals, &without.approvals, "{:?}", ask);
            }
        }
    }

    #[test]
    fn a_deny_or_an_approve_more_never_widens_and_an_allow_less_neither(rules in rules(), scope in 0..SCOPES.len(), terms in 0..TERMS.len(), strict in 1..EFFECTS.len(), drop in any::<prop::sample::Index>()) {
        let before = written(&rules, false);
        let denying: Vec<_> = rules.iter().copied().chain([(1, scope, terms)]).collect();
        let stricter = written(&denying, false);
        let asking: Vec<_> = rules.iter().copied().chain([(strict, scope, terms)]).collect();
        let asking = written(&asking, false);
        let mut fewer = rules.clone();
        if !fewer.is_empty() {
            let index = drop.index(fewer.len());
            if fewer[index].0 == 0 {
                fewer.remove(index);
            }
        }
        let fewer = written(&fewer, false);
        for ask in asks() {
            let allowed = ask.allowed(&before);
            prop_assert!(allowed || !ask.allowed(&stricter));
            prop_assert!(allowed || !ask.allowed(&asking));
            let permitted = ask.decide(&before).effect != Effect::Deny;
            prop_assert!(permitted || ask.decide(&stricter).effect == Effect::Deny);
            prop_assert!(permitted || ask.decide(&fewer).effect == Effect::Deny);
        }
    }
}

#[test]
fn a_policy_without_rules_denies_everything() {
    let set = policy("rules: []");
    for ask in asks() {
        assert_eq!(ask.decide(&set).code, DecisionCode::DefaultDeny);
    }
    assert!(parse_command(&CommandInput::Line("ls *".into())).is_err());
}
