//! A command line: whatever it says, it is refused or it is words, and the words are what a host's shell would read.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use lictor_core::{
    clock::Timestamp,
    command::Command,
    job::CommandInput,
    label::Labels,
    name::{HostAlias, PrincipalName, SiteName, Tag, TenantName},
    principal::{Principal, PrincipalKind, Via},
};
use lictor_policy::{HostFacts, PolicySet, Request, RequestedLimits, check_command, evaluate, parse_command};

/// Small, so that many lines are judged in a second; with each kind of slot, and each way to deny.
const POLICY: &str = r#"
version: 1
rules:
  - id: look
    effect: allow
    where: all
    commands:
      - uptime [-p]
      - systemctl status <unit> [--no-pager]
      - tail [-n <int:1..100>] <path:/var/log>...
      - ping -c <int:1..5> <host>
      - cat /etc/<name>.conf
      - service <one-of:nginx|ssh> status
      - id <re:[a-z]{1,8}>
      - echo <any>...
  - id: never
    effect: deny
    where: all
    commands: [rm, <path:/tmp>, "halt <end>", "systemctl stop", "cat <path:/root>", "kill <int:1..9>"]
"#;

/// Who asks, where, and the policy that judges.
struct Judge {
    principal: Principal,
    host: HostFacts,
    policy: PolicySet,
}

static JUDGE: LazyLock<Judge> = LazyLock::new(|| Judge {
    principal: Principal {
        tenant: TenantName::new("acme").expect("a name"),
        kind: PrincipalKind::User,
        name: PrincipalName::new("ops").expect("a name"),
    },
    host: HostFacts {
        alias: HostAlias::new("web-1").expect("a name"),
        site: SiteName::new("eu").expect("a name"),
        tags: vec![Tag::new("web").expect("a name")],
        labels: Labels::default(),
    },
    policy: PolicySet::parse(POLICY).expect("a policy"),
});

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    if let Ok(command) = parse_command(&CommandInput::Line(text.to_owned())) {
        holds(&command);
    }
    // The same text as an argument list, words apart by line breaks.
    if let Ok(command) = parse_command(&CommandInput::Argv(text.split('\n').map(str::to_owned).collect())) {
        holds(&command);
    }
    Corpus::Keep
});

/// What holds for every command that was accepted.
fn holds(command: &Command) {
    let rendered = command.render();
    assert_eq!(parse_command(&CommandInput::Line(rendered.clone())).as_ref(), Ok(command), "{rendered}");
    assert_eq!(check_command(command), Ok(()), "{rendered}");
    for word in command.simples().flat_map(|simple| simple.words()) {
        assert!(!word.as_str().chars().any(char::is_control), "{rendered}");
    }
    let judge = &*JUDGE;
    let requested = RequestedLimits::default();
    let request = Request {
        principal: &judge.principal,
        via: Via::Cli,
        host: &judge.host,
        command,
        context: lictor_core::context::Context::none(),
        requested,
        at: Timestamp::default(),
    };
    let decision = evaluate(&judge.policy, &request);
    assert!(!decision.reason.is_empty(), "{rendered}");
    assert_eq!(
        decision.rule.is_none(),
        decision.code == lictor_policy::DecisionCode::DefaultDeny,
        "{rendered}"
    );
}
