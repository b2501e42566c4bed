//! Standard input and file transfers: nothing of either is permitted that a rule does not name.

#![allow(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail like tests")]

use lictor_core::{
    clock::Timestamp,
    content::Content,
    context::Context,
    digest::Digest,
    job::CommandInput,
    name::{HostAlias, SiteName, TenantName},
    principal::Via,
};
use lictor_policy::{
    Decision, DecisionCode, Finding, HostFacts, PolicySet, RefusalCode, cases, evaluate, lint, parse_command,
    verdict::{Circumstances, principal},
};

fn policy(rules: &str) -> PolicySet {
    PolicySet::parse(&format!("version: 1\n{rules}")).unwrap_or_else(|e| panic!("{e}"))
}

fn decide(set: &PolicySet, line: &str, stdin: Option<u64>) -> Decision {
    let content = |bytes| Content::new(Digest::of(b""), bytes).unwrap();
    let asked = Circumstances {
        principal: principal(&TenantName::new("acme").unwrap(), "user:alice").unwrap(),
        via: Via::Cli,
        host: HostFacts {
            alias: HostAlias::new("web-1").unwrap(),
            site: SiteName::new("eu").unwrap(),
            tags: Vec::new(),
            labels: Default::default(),
        },
        context: Context { stdin: stdin.map(content), ..Context::default() },
        at: Timestamp::default(),
    };
    let command = set.parse_command(&CommandInput::Line(line.into())).unwrap();
    evaluate(set, &asked.request(&command))
}

const RULES: &str = "rules:
  - {id: plain, effect: allow, where: all, commands: [uptime], not_match: [id]}
  - {id: any, effect: allow, where: all, commands: [wc -c], stdin: true, not_match: [id]}
  - {id: few, effect: allow, where: all, commands: [cat], stdin: {max_bytes: 10}, not_match: [id]}
  - {id: up, effect: allow, where: all, commands: ['lictor:upload <path:/srv>'], stdin: {max_bytes: 10}, not_match: ['lictor:upload /etc/x']}
  - {id: down, effect: allow, where: all, commands: ['lictor:download <path:/srv>'], not_match: ['lictor:download /etc/x']}
  - {id: files, effect: allow, where: all, commands: [{class: read-only}]}
";

#[test]
fn standard_input_is_permitted_only_as_far_as_a_rule_says() {
    let set = policy(RULES);
    for (line, stdin, code) in [
        ("uptime", None, DecisionCode::Allowed),
        ("uptime", Some(0), DecisionCode::Context),
        ("wc -c", Some(64 * 1024 * 1024), DecisionCode::Allowed),
        ("wc -c", None, DecisionCode::Allowed),
        ("cat", Some(10), DecisionCode::Allowed),
        ("cat", Some(11), DecisionCode::Context),
        ("lictor:upload /srv/a", Some(10), DecisionCode::Allowed),
        ("lictor:upload /srv/a", Some(11), DecisionCode::Context),
        ("lictor:upload --mode=0777 /srv/a", Some(1), DecisionCode::DefaultDeny),
        ("lictor:upload /etc/passwd", Some(1), DecisionCode::DefaultDeny),
        ("lictor:download /srv/a", None, DecisionCode::Allowed),
        ("lictor:download /etc/shadow", None, DecisionCode::DefaultDeny),
        ("lictor:download /etc/hostname", None, DecisionCode::DefaultDeny),
    ] {
        assert_eq!(decide(&set, line, stdin).code, code, "{line} {stdin:?}");
    }
    let denied = decide(&set, "cat", Some(11));
    assert!(denied.reason.contains("but not with `stdin=sha256:"), "{}", denied.reason);
    assert!(denied.hint.contains("stdin: at most 10 bytes"), "{}", denied.hint);
}

#[test]
fn a_deny_rule_with_stdin_is_about_requests_that_give_something() {
    let deny = "  - {id: no, effect: deny, where: all, commands: any, stdin: true}\n";
    let set = policy(&format!("{RULES}{deny}"));
    assert_eq!(decide(&set, "wc -c", Some(1)).code, DecisionCode::DeniedByRule);
    assert_eq!(decide(&set, "wc -c", None).code, DecisionCode::Allowed);
}

#[test]
fn what_stdin_cannot_say_is_refused() {
    for (rule, because) in [
        ("effect: allow, commands: [cat], stdin: false", "leave it out"),
        ("effect: allow, commands: [cat], stdin: {max_bytes: 0}", "1 to 67108864"),
        ("effect: allow, commands: [cat], stdin: {max_bytes: 67108865}", "1 to 67108864"),
        ("effect: allow, commands: [cat], stdin: 'yes'", "max_bytes"),
        ("effect: allow, commands: [cat], stdin: {most: 1}", "most"),
        ("effect: deny, commands: [cat], stdin: {max_bytes: 1}", "stdin: true"),
        ("effect: allow, commands: [{class: read-only}], stdin: true", "a class is what changes nothing"),
    ] {
        let text = format!("version: 1\nrules:\n  - {{id: r, where: all, {rule}}}\n");
        let Err(errors) = PolicySet::parse(&text) else { panic!("accepted: {rule}") };
        assert!(errors.to_string().contains(because), "{rule}: {errors}");
    }
}

#[test]
fn transfers_are_read_whole_or_refused_and_a_free_place_is_found() {
    for line in [
        "lictor:upload /a | cat",
        "uptime; lictor:download /a",
        "lictor:download /a 2>&1",
        "lictor:exec id",
        "'lictor:'",
        "lictor:upload a",
        "lictor:download /a/../b",
    ] {
        let refused = parse_command(&CommandInput::Line(line.into())).unwrap_err();
        assert_eq!(refused.code, RefusalCode::Transfer, "{line}");
    }
    let rule = |pattern: &str| {
        format!(
            "rules:\n  - {{id: r, effect: allow, where: all, commands: ['{pattern}'], stdin: true, not_match: [id], acknowledge: [free-operand]}}\n"
        )
    };
    let found = |pattern: &str| {
        let findings: Vec<Finding> = lint(&policy(&rule(pattern))).into_iter().map(|f| f.finding).collect();
        findings
    };
    assert!(found("lictor:upload <path:/>").contains(&Finding::WritesFiles));
    assert!(found("lictor:download <path:/>").contains(&Finding::ReadsAnyFile));
}

#[test]
fn cases_know_standard_input() {
    let set = policy(RULES);
    let good = "- {as: 'user:alice', host: web-1, command: cat, stdin_bytes: 10, expect: allow}
- {as: 'user:alice', host: web-1, command: cat, stdin_bytes: 11, expect: deny, code: POLICY_CONTEXT}
";
    let results = cases::run(&set, &cases::parse(good).unwrap()).unwrap();
    assert!(results.iter().all(|result| result.problems.is_empty()), "{results:?}");
}
