//! A policy file: whatever it says, it is refused with its problems or it is a policy, the same one each time.
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
use lictor_policy::{HostFacts, PolicySet, Request, RequestedLimits, evaluate, parse_command};

/// Who asks, where, and what for.
struct Asked {
    principal: Principal,
    host: HostFacts,
    commands: Vec<Command>,
}

static ASKED: LazyLock<Asked> = LazyLock::new(|| Asked {
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
    commands: [
        "uptime",
        "systemctl status nginx --no-pager",
        "tail -n 5 /var/log/../x",
        "sudo -- rm -rf /",
        "sh -c 'cd / && rm x' | wc -l",
        "ping -c 3 db.example.com ; df -h",
    ]
    .map(|line| parse_command(&CommandInput::Line(line.into())).expect("a command"))
    .into(),
});

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    let set = match PolicySet::parse(text) {
        Ok(set) => set,
        Err(errors) => {
            assert!(errors.iter().all(|error| !error.message.is_empty()), "a problem without words");
            return Corpus::Keep;
        }
    };
    let again = PolicySet::parse(set.source()).expect("a policy reads back");
    assert_eq!(again.digest(), set.digest());
    assert_eq!(again.rules().count(), set.rules().count());
    let asked = &*ASKED;
    for command in &asked.commands {
        let requested = RequestedLimits::default();
        let request = Request {
            principal: &asked.principal,
            via: Via::Mcp,
            host: &asked.host,
            command,
            context: lictor_core::context::Context::none(),
            requested,
            at: Timestamp::default(),
        };
        let decision = evaluate(&set, &request);
        assert_eq!(decision, evaluate(&again, &request));
        assert!(!decision.is_allowed() || decision.rule.is_some(), "allowed by no rule");
    }
    Corpus::Keep
});
