//! A deny rule holds for what a command may mean, however it is spelled.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use lictor_core::{
    job::CommandInput,
    label::Labels,
    name::{HostAlias, PrincipalName, SiteName, TenantName},
    principal::{Principal, PrincipalKind, Via},
};
use lictor_policy::{DecisionCode, HostFacts, PolicySet, Request, RequestedLimits, evaluate, parse_command};

fn denying(patterns: &[&str]) -> PolicySet {
    let list: Vec<String> = patterns.iter().map(|pattern| format!("'{pattern}'")).collect();
    let rule = format!("{{id: r, effect: deny, where: all, commands: [{}]}}", list.join(", "));
    PolicySet::parse(&format!("version: 1\nrules:\n  - {rule}\n")).unwrap_or_else(|e| panic!("{e}"))
}

#[track_caller]
fn denies(set: &PolicySet, code: DecisionCode, lines: &[&str]) {
    let principal = Principal {
        tenant: TenantName::new("acme").unwrap(),
        kind: PrincipalKind::User,
        name: PrincipalName::new("ops").unwrap(),
    };
    let host = HostFacts {
        alias: HostAlias::new("web-1").unwrap(),
        site: SiteName::new("eu").unwrap(),
        tags: Vec::new(),
        labels: Labels::default(),
    };
    for text in lines {
        let command =
            parse_command(&CommandInput::Line((*text).into())).unwrap_or_else(|e| panic!("{text}: {e}"));
        let requested = RequestedLimits::default();
        let request = Request {
            principal: &principal,
            via: Via::Cli,
            host: &host,
            command: &command,
            context: lictor_core::context::Context::none(),
            requested,
            at: lictor_core::clock::Timestamp::default(),
        };
        let decision = evaluate(set, &request);
        assert_eq!(decision.code, code, "{text}: {}", decision.reason);
    }
}

#[test]
fn a_deny_is_not_evaded_by_another_spelling() {
    let patterns = [
        "cat <path:/root>",
        "head /etc/shadow",
        "systemctl stop <unit>",
        "chmod <one-of:/etc/a|/etc/b>",
        "sleep <int:1..9>",
        "ping <host>",
        "ls --dir=<path:/root>",
        "tail /var/log/<name>.log",
        "<path:/tmp>",
        "halt <end>",
    ];
    let set = denying(&patterns);
    denies(
        &set,
        DecisionCode::DeniedByRule,
        &[
            "cat /root/.ssh/id",
            "cat //root/x",
            "cat /root//x",
            "cat /./root/x",
            "cat /root/./x",
            "cat /root/",
            "cat /tmp/../root/x",
            "cat ../root/x",
            "cat x",
            "cat -- /root/x",
            "cat -n /root/x",
            "sudo -- /bin/cat -- //root/x",
            "sh -c 'cat //root/x'",
            "head //etc/shadow",
            "head -- shadow",
            "head /etc/../etc/shadow",
            "systemctl stop 'a b'",
            "systemctl stop -- nginx",
            "systemctl -- stop nginx",
            "systemctl stop -f nginx",
            "systemctl stop 'ngin*'",
            "chmod /etc//b",
            "sleep 01",
            "sleep +1",
            "sleep 1s",
            "sleep -- 5",
            "ping 127.1",
            "ping a_b",
            "ls --dir=//root/x",
            "ls --dir=../root",
            "tail //var/log/./a.log",
            "tail a.log",
            "/tmp//x",
            "/tmp/x",
            "./x",
            "/opt/../tmp/x",
            "halt --",
            "sudo halt --",
        ],
    );
    denies(
        &set,
        DecisionCode::DefaultDeny,
        &[
            "cat /var/log/a",
            "cat /rooted",
            "cat",
            "head /etc/hosts",
            "head -- /etc/hosts",
            "systemctl status nginx",
            "systemctl stop",
            "chmod /etc/c",
            "sleep 10",
            "sleep -- 10",
            "ls --dir=/opt",
            "tail /var/log/a.txt",
            "x",
            "/opt/tmp/x",
            "halt -p",
            "ls ../x",
        ],
    );
}
