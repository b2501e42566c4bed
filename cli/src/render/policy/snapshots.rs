//! What the policy verbs show, kept as files: a change of any of them is seen and meant.

use std::path::Path;

use lictor_client::operator::{DifferenceKind, PolicyVersion, ShadowDifference, ShadowView};
use lictor_core::{
    clock::Timestamp,
    digest::Digest,
    job::CommandInput,
    label::Labels,
    name::{HostAlias, RuleId, SiteName, Tag, TenantName},
    principal::Via,
};
use lictor_policy::{
    Effect, HostFacts, PolicySet, cases, diff, lint,
    simulate::{Past, PastDecision, Simulator},
    verdict::{Circumstances, principal},
};
use serde::Serialize;

use super::{check, diff as diff_view, explain, history, shadow, simulate, test};
use crate::render::style::Style;

const NOON: Timestamp = Timestamp::from_micros(1_795_348_800_000_000);

const POLICY: &str = r#"
version: 1
limits: { timeout: 30s, output: 64KiB }
network: { deny: [169.254.169.254/32] }
groups: { leads: { users: [grace] } }
rules:
  - id: look
    effect: allow
    who: { users: [ada] }
    where: { tags: [web] }
    commands: ["uptime", "systemctl status <unit>"]
    match: ["uptime"]
    not_match: ["uptime -x"]
  - id: restart
    effect: approve
    where: all
    commands: ["systemctl restart nginx"]
    approve: { approvals: 1, group: leads, within: 1h }
    max_hosts: 3
  - id: never
    effect: deny
    where: all
    commands: [rm]
"#;

fn policy(text: &str) -> PolicySet {
    PolicySet::parse(text).unwrap_or_else(|e| panic!("{e}"))
}
fn line(text: &str) -> CommandInput {
    CommandInput::Line(text.to_owned())
}
fn ada_on(host: &str) -> Circumstances {
    Circumstances {
        principal: principal(&TenantName::new("default").unwrap(), "user:ada").unwrap(),
        via: Via::Cli,
        host: HostFacts {
            alias: HostAlias::new(host).unwrap(),
            site: SiteName::new("eu").unwrap(),
            tags: vec![Tag::new("web").unwrap()],
            labels: Labels::default(),
        },
        context: lictor_core::context::Context::default(),
        at: NOON,
    }
}
fn json(document: &impl Serialize) -> String {
    serde_json::to_string_pretty(document).unwrap()
}

#[test]
fn a_checked_file() {
    let set = policy(POLICY);
    let document = check::Document::new(Path::new("policy.yml"), &set, &lint(&set));
    insta::assert_snapshot!("check", check::text(&document, Style::PLAIN) + "\n" + &json(&document));
    let imported = policy(
        "version: 1\nimported:\n  dialect: last-match\n  rules:\n    - {id: i, action: allow, commands: [uptime]}\nrules: []\n",
    );
    let document = check::Document::new(Path::new("policy.yml"), &imported, &lint(&imported));
    assert_eq!(
        check::text(&document, Style::PLAIN),
        "ok  policy.yml, 0 rules, 1 imported rule, 0 examples\n"
    );
}

#[test]
fn cases_that_hold_and_cases_that_do_not() {
    let set = policy(POLICY);
    let cases = cases::parse(
        "- {name: looking, as: 'user:ada', host: web-1, tags: [web], command: uptime, expect: allow}\n- {name: restarting, as: 'user:ada', host: web-1, command: systemctl restart sshd, expect: allow, rule: restart}\n",
    )
    .unwrap();
    let results = cases::run(&set, &cases).unwrap();
    let document = test::Document::new(&set, &cases, &results);
    assert!(!document.holds());
    insta::assert_snapshot!("test", test::text(&document, Style::PLAIN) + "\n" + &json(&document));
}

#[test]
fn explanations() {
    let set = policy(POLICY);
    let circumstances = ada_on("web-1");
    let asked = explain::Asked { policy: "policy.yml", set: &set, circumstances: &circumstances };
    let shown: Vec<String> =
        ["uptime; systemctl restart nginx", "systemctl stop nginx", "uptime > /x", "sudo rm x"]
            .into_iter()
            .map(|command| explain::text(&explain::Document::new(&asked, &line(command)), Style::PLAIN))
            .collect();
    let document = explain::Document::new(&asked, &line("systemctl restart nginx"));
    insta::assert_snapshot!("explain", shown.join("\n---\n") + "\n---\n" + &json(&document));
}

#[test]
fn differences() {
    let (old, new) = (
        policy(POLICY),
        policy(
            &POLICY
                .replace("users: [ada]", "users: [ada, bob]")
                .replace("timeout: 30s", "timeout: 20s")
                .replace("commands: [rm]", "commands: [\"rm x\"]"),
        ),
    );
    let changes = diff::diff(&old, &new);
    let document = diff_view::Document::new(("version 3", &old), ("policy.yml", &new), &changes);
    let same = diff_view::Document::new(("version 3", &old), ("policy.yml", &old), &[]);
    let text =
        [diff_view::text(&document, Style::PLAIN), diff_view::text(&same, Style::PLAIN), json(&document)];
    insta::assert_snapshot!("diff", text.join("\n"));
}

#[test]
fn a_simulation() {
    let set = policy(POLICY);
    let mut simulator = Simulator::new(&set);
    let past = |command: &str, effect, code: &str| Past {
        command: line(command),
        cut: false,
        circumstances: ada_on("web-1"),
        decided: PastDecision { effect, code: code.to_owned(), rule: Some("old".to_owned()) },
    };
    for _ in 0..7 {
        simulator.push(past("df -h", Effect::Allow, "POLICY_ALLOWED"));
    }
    simulator.push(past("uptime", Effect::Allow, "POLICY_ALLOWED"));
    simulator.push(past("systemctl restart nginx", Effect::Allow, "POLICY_ALLOWED"));
    simulator.push(past("uptime", Effect::Deny, "POLICY_DEFAULT_DENY"));
    let extent = simulate::ExtentDocument {
        records: 12_031,
        log: "127.0.0.1:7400".to_owned(),
        tags_from: "the controller, now".to_owned(),
        first: Some(NOON.to_string()),
        last: Some(NOON.to_string()),
        unknown_hosts: vec!["db-9".to_owned()],
        other_refusals: 2,
    };
    let document = simulate::Document::new("policy.yml", &set, &simulator.finish(), &extent);
    insta::assert_snapshot!("simulate", simulate::text(&document, Style::PLAIN) + "\n" + &json(&document));
}

#[test]
fn versions_and_a_proposed_policy() {
    let versions = [
        PolicyVersion {
            version: 4,
            digest: Digest::of(b"4"),
            changed_by: "user:ada".to_owned(),
            changed_at: NOON,
            note: "the new\u{202e} host".to_owned(),
        },
        PolicyVersion {
            version: 3,
            digest: Digest::of(b"3"),
            changed_by: "file".to_owned(),
            changed_at: NOON,
            note: String::new(),
        },
    ];
    let documents: Vec<history::Document> = versions.iter().map(Into::into).collect();
    let view = ShadowView {
        digest: Digest::of(b"shadow"),
        put_by: "user:ada".to_owned(),
        put_at: NOON,
        counted_since: NOON,
        requests: 40,
        hosts: 400,
        not_judged: 1,
        would_deny: 3,
        would_allow: 0,
        would_ask: 0,
        other_limits: 12,
        differences: vec![ShadowDifference {
            kind: DifferenceKind::WouldDeny,
            at: NOON,
            principal: ada_on("web-1").principal,
            host: HostAlias::new("web-1").unwrap(),
            command: "df -h".to_owned(),
            live_code: "POLICY_ALLOWED".to_owned(),
            live_rule: Some(RuleId::new("look").unwrap()),
            shadow_code: "POLICY_DEFAULT_DENY".to_owned(),
            shadow_rule: None,
        }],
    };
    let text = [
        history::text(&documents, Style::PLAIN),
        json(&documents),
        shadow::text(&view, Style::PLAIN),
        json(&shadow::Document::from(&view)),
    ];
    insta::assert_snapshot!("versions", text.join("\n"));
}
