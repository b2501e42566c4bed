//! What a policy decides: the table of rules against commands, and the laws that no policy may break.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::time::Duration;

use lictor_core::{
    command::Command,
    job::CommandInput,
    label::Labels,
    name::{HostAlias, PrincipalName, SiteName, Tag, TenantName},
    principal::{Principal, PrincipalKind, Via},
};
use lictor_policy::{
    Decision, DecisionCode, Effect, HostFacts, PolicySet, Request, RequestedLimits, evaluate,
    evaluate_briefly, parse_command,
};
use proptest::prelude::*;

fn rule(id: &str, effect: &str, commands: &[&str]) -> String {
    let list: Vec<String> = commands.iter().map(|c| format!("'{}'", c.replace('\'', "''"))).collect();
    format!("  - {{id: {id}, effect: {effect}, where: all, commands: [{}]}}\n", list.join(", "))
}
fn policy(rules: &str) -> PolicySet {
    let rules = if rules.is_empty() { "  []\n" } else { rules };
    PolicySet::parse(&format!("version: 1\nrules:\n{rules}")).unwrap_or_else(|e| panic!("{e}"))
}
fn line(text: &str) -> Command {
    parse_command(&CommandInput::Line(text.into())).unwrap_or_else(|e| panic!("{text}: {e}"))
}
fn principal(kind: PrincipalKind, name: &str) -> Principal {
    Principal { tenant: TenantName::new("acme").unwrap(), kind, name: PrincipalName::new(name).unwrap() }
}
fn host() -> HostFacts {
    HostFacts {
        alias: HostAlias::new("web-1").unwrap(),
        site: SiteName::new("eu").unwrap(),
        tags: vec![Tag::new("web").unwrap(), Tag::new("prod").unwrap()],
        labels: Labels::default(),
    }
}
fn decide_as(set: &PolicySet, who: &Principal, via: Via, text: &str, requested: RequestedLimits) -> Decision {
    let (host, command) = (host(), line(text));
    let request = Request {
        principal: who,
        via,
        host: &host,
        command: &command,
        context: lictor_core::context::Context::none(),
        requested,
        at: lictor_core::clock::Timestamp::default(),
    };
    let decision = evaluate(set, &request);
    let briefly = if decision.is_allowed() {
        Decision { reason: String::new(), part: None, pattern: None, ..decision.clone() }
    } else {
        decision.clone()
    };
    assert_eq!(evaluate_briefly(set, &request), briefly, "{text}");
    decision
}
fn decide(set: &PolicySet, text: &str) -> Decision {
    decide_as(set, &principal(PrincipalKind::User, "ops"), Via::Cli, text, RequestedLimits::default())
}

#[track_caller]
fn allows(set: &PolicySet, lines: &[&str]) {
    for text in lines {
        let decision = decide(set, text);
        assert_eq!(decision.code, DecisionCode::Allowed, "{text}: {}", decision.reason);
    }
}
#[track_caller]
fn denies(set: &PolicySet, code: DecisionCode, lines: &[&str]) {
    for text in lines {
        let decision = decide(set, text);
        assert_eq!((decision.code, decision.effect), (code, Effect::Deny), "{text}: {}", decision.reason);
    }
}

#[test]
fn an_allowed_pattern_covers_the_whole_command_word_by_word() {
    let set = policy(&rule(
        "r",
        "allow",
        &[
            "uptime",
            "systemctl status <unit>",
            "getent hosts <name>...",
            "tail [-n <int:1..1000>] <path:/var/log>",
            "journalctl --unit=<name> [--lines=<int:1..500>]",
            "ping -c <int:1..5> <host>",
            "service <one-of:nginx|ssh> status",
            "ls '/a b' [<word>...]",
            "id <re:[a-z]{1,8}>",
            "cat /etc/<word>.conf",
        ],
    ));
    allows(
        &set,
        &[
            "uptime",
            "'uptime'",
            "systemctl status nginx",
            "getent hosts a b c",
            "tail /var/log/syslog",
            "tail -n 100 /var/log/a",
            "journalctl --unit=nginx",
            "journalctl --unit=nginx --lines=50",
            "ping -c 3 db.example.com",
            "ping -c 3 ::1",
            "service nginx status",
            "ls '/a b'",
            "ls '/a b' c d",
            "id root",
            "cat /etc/nginx.conf",
            "uptime 2>&1",
            "uptime | uptime && uptime ; id root",
        ],
    );
    denies(
        &set,
        DecisionCode::DefaultDeny,
        &[
            "uptime -x",
            "/usr/bin/uptime",
            "uptim",
            "systemctl status",
            "systemctl status -H other",
            "systemctl status a b",
            "getent hosts a -b",
            "systemctl status 'a b'",
            "systemctl statu nginx",
            "systemctl stop nginx",
            "tail -n 0 /var/log/a",
            "tail -n 01 /var/log/a",
            "tail -n /var/log/a",
            "tail /var/log/../../etc/shadow",
            "tail /var/logs",
            "tail -f /var/log/a",
            "journalctl --unit= --lines=5",
            "journalctl --unit nginx",
            "ping -c 3 -x",
            "ping -c 3 127.1",
            "service cron status",
            "ls /a b",
            "id root1234567890",
            "id Root",
            "cat /etc/.conf",
            "cat /etc/../root/x.conf",
            "cat /etc/ssh/sshd.conf",
            "uptime | id -x",
            "uptime && rm x",
        ],
    );
}

#[test]
fn a_denied_program_is_denied_by_path_behind_wrappers_and_inside_text() {
    let everything = rule("a", "allow", &["x"]);
    let set = policy(
        &(rule("no-rm", "deny", &["rm", "<one-of:dd|mkfs>", "systemctl stop", "halt <end>"]) + &everything),
    );
    denies(
        &set,
        DecisionCode::DeniedByRule,
        &[
            "rm",
            "rm -rf /",
            "/bin/rm x",
            "./rm x",
            "sudo rm x",
            "env A=b rm x",
            "nohup /usr/bin/rm x",
            "find / -exec rm x",
            "xargs rm",
            "sh -c 'rm x'",
            "sh -c 'cd / && /bin/rm x'",
            "sh -c 'echo $(rm x)'",
            "sh -c 'echo `rm x`'",
            "sh -c 'true;rm x'",
            "sh -c 'r\\m x'",
            "bash -c \"r''m x\"",
            "env -S'rm x'",
            "env -Srm",
            "tar --to-command=rm -xf a",
            "ps | xargs rm",
            "x && rm y",
            "dd if=/dev/zero",
            "sudo mkfs /dev/sda",
            "systemctl stop nginx",
            "sudo systemctl stop nginx",
            "xargs systemctl",
            "halt",
            "sudo halt",
        ],
    );
    denies(
        &set,
        DecisionCode::DefaultDeny,
        &[
            "rmdir x",
            "find . -perm 644",
            "systemctl status nginx",
            "sudo systemctl status nginx",
            "halt -p",
            "sudo halt -p",
            "xrm",
        ],
    );
    allows(&set, &["x", "x | x"]);
}

#[test]
fn a_denied_argument_with_an_equals_sign_is_found_inside_text() {
    let set = policy(&rule("r", "deny", &["dd of=/dev/sda"]));
    denies(
        &set,
        DecisionCode::DeniedByRule,
        &["dd of=/dev/sda", "sh -c 'dd of=/dev/sda'", "sudo dd of=/dev/sda bs=1"],
    );
}

#[test]
fn who_where_and_via_select_by_union_and_door() {
    let set = PolicySet::parse(
        "version: 1\nrules:\n\
         - {id: a, effect: allow, who: {users: [ops], services: [ci]}, where: all, commands: [a]}\n\
         - {id: b, effect: allow, who: {via: [mcp]}, where: all, commands: [b]}\n\
         - {id: c, effect: allow, where: {hosts: [other], tags: [web]}, commands: [c]}\n\
         - {id: d, effect: allow, where: {sites: [us]}, commands: [d]}\n\
         - {id: e, effect: deny, who: {services: [ci]}, where: {sites: [eu]}, commands: any}\n\
         - {id: f, effect: allow, where: {hosts: [web-1]}, commands: [f]}\n",
    )
    .unwrap();
    let ask = |kind, name: &str, via, text: &str| {
        decide_as(&set, &principal(kind, name), via, text, RequestedLimits::default()).is_allowed()
    };
    use PrincipalKind::{Service, User};
    assert!(ask(User, "ops", Via::Cli, "a") && ask(User, "ops", Via::Mcp, "a"));
    assert!(!ask(User, "ci", Via::Cli, "a") && !ask(User, "eve", Via::Cli, "a"));
    assert!(!ask(Service, "ci", Via::Cli, "a"), "denied by e");
    assert!(!ask(Service, "ops", Via::Cli, "a"), "a service is not the user of that name");
    assert!(ask(User, "eve", Via::Mcp, "b") && !ask(User, "eve", Via::Cli, "b"));
    assert!(ask(User, "eve", Via::Cli, "c") && ask(User, "eve", Via::Cli, "f"));
    assert!(!ask(User, "eve", Via::Cli, "d"));
}

#[test]
fn limits_are_the_smallest_of_what_is_asked_and_what_is_given() {
    let set = PolicySet::parse(
        "version: 1\nlimits: {timeout: 30s, output: 10KiB}\nrules:\n\
         - {id: a, effect: allow, where: all, commands: [a], limits: {timeout: 5m}}\n\
         - {id: b, effect: allow, where: all, commands: [b]}\n",
    )
    .unwrap();
    let ask = |text: &str, timeout: Option<u64>, output_bytes| {
        let requested = RequestedLimits { timeout: timeout.map(Duration::from_secs), output_bytes };
        let limits =
            decide_as(&set, &principal(PrincipalKind::User, "ops"), Via::Cli, text, requested).limits;
        (limits.timeout.as_secs(), limits.output_bytes)
    };
    assert_eq!(ask("a", None, None), (300, 10 * 1024));
    assert_eq!(ask("a", Some(10), Some(100)), (10, 100));
    assert_eq!(ask("a", Some(3_600), Some(1 << 40)), (300, 10 * 1024), "asking for more is lowered");
    assert_eq!(ask("b", Some(3_600), None), (30, 10 * 1024));
    assert_eq!(ask("a && b", None, None), (30, 10 * 1024), "the strictest part");
}

#[test]
fn only_rules_of_downloads_permit_files_that_no_memory_holds() {
    let file = |limits: &str, commands: &str, own: &str| {
        format!(
            "version: 1\nlimits: {{output: {limits}}}\nrules:\n\
             - {{id: r, effect: allow, where: all, commands: [{commands}], limits: {{output: {own}}}}}\n"
        )
    };
    let parse = |limits: &str, commands: &str, own: &str| PolicySet::parse(&file(limits, commands, own));
    let download = "'lictor:download <path:/srv>'";
    let set = parse("4MiB", download, "256MiB").unwrap();
    let ops = principal(PrincipalKind::User, "ops");
    let limits = |requested| decide_as(&set, &ops, Via::Cli, "lictor:download /srv/a", requested).limits;
    let asked = RequestedLimits { timeout: None, output_bytes: Some(1 << 40) };
    assert_eq!(limits(asked).output_bytes, 256 << 20);
    for (limits, commands, own, because) in [
        ("1MiB", download, "257MiB", "is not between"),
        ("5MiB", download, "1MiB", "is not between"),
        ("1MiB", "cat", "5MiB", "`lictor:download`"),
        ("1MiB", "'lictor:download <path:/srv>', cat", "5MiB", "`lictor:download`"),
        ("1MiB", "'<one-of:lictor:download|cat> <path:/srv>'", "5MiB", "`lictor:download`"),
    ] {
        let problem = parse(limits, commands, own).unwrap_err().to_string();
        assert!(problem.contains(because), "{commands} {own}: {problem}");
    }
}

#[test]
fn networks_narrow_and_never_open_by_being_combined() {
    let set = PolicySet::parse(
        "version: 1\nnetwork: {allow: [10.0.0.0/8], deny: [10.9.0.0/16]}\nrules:\n\
         - {id: a, effect: allow, where: all, commands: [a, ab]}\n\
         - {id: b, effect: allow, where: all, commands: [b, ab], network: {allow: [10.1.0.0/16, 192.168.0.0/16], deny: [10.1.2.0/24]}}\n\
         - {id: c, effect: allow, where: all, commands: [c], network: {allow: ['fd00::/8']}}\n",
    )
    .unwrap();
    let ask = |text: &str| {
        let d = decide(&set, text);
        let show = |list: &[ipnet::IpNet]| list.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
        (show(&d.networks_allowed), show(&d.networks_denied))
    };
    assert_eq!(ask("a"), ("10.0.0.0/8".into(), "10.9.0.0/16".into()));
    assert_eq!(ask("b"), ("10.1.0.0/16 192.168.0.0/16".into(), "10.1.2.0/24 10.9.0.0/16".into()));
    assert_eq!(ask("ab"), ("10.1.0.0/16".into(), "10.1.2.0/24 10.9.0.0/16".into()));
    assert_eq!(ask("a && b"), ask("ab"));
    let (allowed, denied) = ask("a && c");
    assert_eq!(allowed, "");
    assert!(
        denied.contains("0.0.0.0/0") && denied.contains("::/0"),
        "nothing in common is nothing, not anything"
    );
    assert_eq!(decide(&policy(&rule("a", "allow", &["a"])), "a").networks_allowed, []);
}

#[test]
fn a_decision_names_the_part_the_rule_and_the_words() {
    let set = policy(
        &(rule("see", "allow", &["uptime", "tail -n <int:1..9> <path:/var/log>"])
            + &rule("no-rm", "deny", &["rm"])),
    );
    let denied = decide(&set, "uptime | sudo rm x");
    assert_eq!(denied.rule.unwrap().as_str(), "no-rm");
    assert_eq!(denied.part.as_deref(), Some("sudo rm x"));
    assert_eq!(
        denied.reason,
        "rule `no-rm` denies `sudo rm x` on web-1 for user:ops: the word `rm` is what its pattern `rm` denies"
    );
    let default = decide(&set, "uptime; tail -n 10 /var/log/a");
    assert_eq!((default.rule, default.part.as_deref()), (None, Some("tail -n 10 /var/log/a")));
    assert_eq!(default.reason, "no rule allows `tail -n 10 /var/log/a` on web-1 for user:ops");
    assert_eq!(
        default.hint,
        "the nearest pattern, `tail -n <int:1..9> <path:/var/log>` of rule `see`, has no place for the word `10`"
    );
    assert!(decide(&set, "df").hint.contains("begins with this program"));
    let allowed = decide(&set, "uptime");
    assert_eq!(allowed.reason, "rule `see` allows `uptime` on web-1 for user:ops");
    assert_eq!((allowed.rule.unwrap().as_str(), allowed.hint.as_str()), ("see", ""));
}

#[test]
fn many_repeats_take_time_in_proportion() {
    // With backtracking this would take longer than the universe has been there.
    let pattern = format!("x {} y", "<a>... ".repeat(60).trim());
    let set = policy(
        &(rule("r", "allow", &[&pattern])
            + &rule("d", "deny", &[&format!("z {} y", "[<a>...] ".repeat(60).trim())])),
    );
    assert!(!decide(&set, &format!("x {}", "a ".repeat(125))).is_allowed());
    let text = format!("sh -c '{}'", "z ".repeat(1_900));
    assert_eq!(decide(&set, &text).code, DecisionCode::DeniedByRule);
}

const COMMANDS: [&str; 9] = [
    "uptime",
    "tail -n 5 /var/log/a",
    "rm x",
    "sudo rm x",
    "df -h",
    "uptime | rm x",
    "uptime && df -h",
    "sh -c 'rm x'",
    "df -h | wc",
];
const PATTERNS: [&str; 9] = [
    "uptime",
    "tail -n <int:1..9> <path:/var/log>",
    "rm",
    "rm <one-of:x|y>",
    "df -h",
    "df",
    "wc",
    "wc [<word>...]",
    "echo <any>",
];

fn rules() -> impl Strategy<Value = Vec<(bool, Vec<usize>)>> {
    prop::collection::vec((any::<bool>(), prop::collection::vec(0..PATTERNS.len(), 1..4)), 0..6)
}
fn written<'a>(rules: impl Iterator<Item = (usize, &'a (bool, Vec<usize>))>) -> PolicySet {
    let text: String = rules
        .map(|(index, (allow, patterns))| {
            let patterns: Vec<&str> = patterns.iter().map(|p| PATTERNS[*p]).collect();
            rule(&format!("r{index}"), if *allow { "allow" } else { "deny" }, &patterns)
        })
        .collect();
    policy(&text)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_order_of_rules_changes_nothing(rules in rules()) {
        let (forward, backward) = (written(rules.iter().enumerate()), written(rules.iter().enumerate().rev()));
        for text in COMMANDS {
            prop_assert_eq!(decide(&forward, text), decide(&backward, text));
        }
    }

    #[test]
    fn adding_a_deny_or_removing_an_allow_never_widens(rules in rules(), keep in any::<u8>(), denied in prop::collection::vec(0..PATTERNS.len(), 1..3)) {
        let before = written(rules.iter().enumerate());
        let fewer = written(rules.iter().enumerate().filter(|(i, (allow, _))| !allow || keep & (1 << i) != 0));
        let more = (false, denied);
        let stricter = written(rules.iter().chain([&more]).enumerate());
        for text in COMMANDS {
            let allowed = decide(&before, text).is_allowed();
            prop_assert!(allowed || !decide(&fewer, text).is_allowed());
            prop_assert!(allowed || !decide(&stricter, text).is_allowed());
        }
    }

    #[test]
    fn a_chain_is_as_allowed_as_its_strictest_part(rules in rules()) {
        let set = written(rules.iter().enumerate());
        let parts = ["uptime", "df -h", "rm x", "wc"];
        for a in parts {
            for b in parts {
                let both = decide(&set, a).is_allowed() && decide(&set, b).is_allowed();
                for joiner in ["|", "&&", "||", ";"] {
                    prop_assert_eq!(decide(&set, &format!("{a} {joiner} {b}")).is_allowed(), both);
                }
            }
        }
    }
}

#[test]
fn no_rules_deny_everything() {
    denies(&policy(""), DecisionCode::DefaultDeny, &COMMANDS);
}
