//! Labels of hosts in rules, conditions, overrides, cases, differences and lints.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

use std::time::Duration;

use lictor_core::{job::CommandInput, label::Labels, name::TenantName, principal::Via};
use lictor_policy::{
    HostFacts, PolicySet, cases,
    diff::{ChangeKind, diff},
    lint::{Finding, lint},
    verdict::{Circumstances, judge, principal},
};

fn policy(yaml: &str) -> PolicySet {
    PolicySet::parse(yaml).unwrap_or_else(|e| panic!("{e}\n{yaml}"))
}

fn rule(effect: &str, scope: &str) -> String {
    format!(
        "version: 1\nrules:\n- {{id: r, effect: {effect}, where: {scope}, commands: [uptime], not_match: [id]}}\n"
    )
}

fn host(tags: &[&str], labels: &[(&str, &str)]) -> HostFacts {
    HostFacts {
        alias: "web-1".parse().unwrap(),
        site: "eu".parse().unwrap(),
        tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
        labels: Labels::new(labels.iter().copied()).unwrap(),
    }
}

fn allowed(set: &PolicySet, host: HostFacts) -> bool {
    let principal = principal(&TenantName::new("acme").unwrap(), "user:ada").unwrap();
    let circumstances =
        Circumstances { principal, via: Via::Cli, host, context: Default::default(), at: Default::default() };
    judge(set, &CommandInput::Line("uptime".into()), &circumstances).code == "POLICY_ALLOWED"
}

#[test]
fn a_host_must_have_every_label_of_a_rule_besides_what_else_is_listed() {
    let prod_db: &[_] = &[("env", "prod"), ("role", "db")];
    for (scope, tags, labels, expected) in [
        ("{labels: {env: prod}}", &[][..], prod_db, true),
        ("{labels: {env: prod}}", &[], &[("env", "staging")], false),
        ("{labels: {env: prod}}", &[], &[("Env", "prod")], false),
        ("{labels: {env: prod}}", &["env", "prod"], &[], false),
        ("{labels: {env: prod, role: db}}", &[], prod_db, true),
        ("{labels: {env: prod, role: web}}", &[], prod_db, false),
        ("{labels: {env: 'p*'}}", &[], prod_db, true),
        ("{labels: {env: 'p*x'}}", &[], prod_db, false),
        ("{labels: {env: '*'}}", &[], prod_db, true),
        ("{labels: {env: '*'}}", &[], &[("role", "db")], false),
        ("{tags: [web], labels: {env: prod}}", &["web"], prod_db, true),
        ("{tags: [web], labels: {env: prod}}", &["db"], prod_db, false),
        ("{tags: [web], labels: {env: prod}}", &["web"], &[("env", "staging")], false),
        ("{tags: [db], sites: [eu], labels: {env: prod}}", &[], prod_db, true),
        ("{tags: [db], hosts: ['web-*'], labels: {env: prod}}", &[], prod_db, true),
        ("{hosts: ['web-*'], labels: {env: staging}}", &[], prod_db, false),
    ] {
        let set = policy(&rule("allow", scope));
        assert_eq!(allowed(&set, host(tags, labels)), expected, "{scope} on {tags:?} {labels:?}");
    }
}

#[test]
fn a_deny_rule_by_label_denies_where_the_label_is() {
    let text = rule("deny", "{labels: {env: prod}}")
        + "- {id: a, effect: allow, where: all, commands: [uptime], not_match: [id]}\n";
    let set = policy(&text);
    assert!(!allowed(&set, host(&[], &[("env", "prod")])));
    assert!(allowed(&set, host(&[], &[("env", "staging")])) && allowed(&set, host(&[], &[])));
}

#[test]
fn labels_that_cannot_be_are_refused() {
    for (labels, because) in [
        ("{}", "empty"),
        ("{'a b': c}", "a label key"),
        ("{a: 'b/c'}", "pattern of names"),
        ("{a: ''}", "is empty"),
        ("[env]", "map"),
        ("{env: [prod]}", "string"),
        ("{env: prod, env: test}", "twice"),
    ] {
        let text = rule("allow", &format!("{{labels: {labels}}}"));
        let errors = PolicySet::parse(&text).unwrap_err().to_string();
        assert!(errors.contains(because), "{labels}: {errors}");
    }
}

#[test]
fn a_condition_knows_the_labels_and_must_ask_whether_one_is_there() {
    let text = |condition: &str| {
        format!(
            "version: 1\nrules:\n- {{id: r, effect: allow, where: all, commands: [uptime], not_match: [id], condition: '{condition}'}}\n"
        )
    };
    let set = policy(&text(r#""env" in host.labels && host.labels["env"] == "prod""#));
    assert!(allowed(&set, host(&[], &[("env", "prod")])));
    assert!(!allowed(&set, host(&[], &[("env", "staging")])) && !allowed(&set, host(&[], &[])));
    for bare in [r#"host.labels["env"] == "prod""#, r#"host.labels.env == "prod""#] {
        let errors = PolicySet::parse(&text(bare)).unwrap_err().to_string();
        assert!(errors.contains(r#""env" in host.labels"#), "{errors}");
    }
}

#[test]
fn labels_alone_in_an_override_count_as_tags_do() {
    let text = "version: 1\noverrides:\n\
                - {where: {hosts: [web-1], labels: {env: prod}}, limits: {timeout: 1s}}\n\
                - {where: {labels: {env: '*'}}, limits: {timeout: 2s}}\n\
                - {where: {tags: [web]}, limits: {timeout: 3s}}\n\
                - {where: {sites: [eu]}, limits: {timeout: 4s}}\n\
                rules: [{id: r, effect: allow, where: all, commands: [uptime]}]\n";
    let set = policy(text);
    let timeout = |tags: &[&str], labels: &[(&str, &str)]| {
        let principal = principal(&TenantName::new("acme").unwrap(), "user:ada").unwrap();
        let host = host(tags, labels);
        let circumstances = Circumstances {
            principal,
            via: Via::Cli,
            host,
            context: Default::default(),
            at: Default::default(),
        };
        let command = set.parse_command(&CommandInput::Line("uptime".into())).unwrap();
        lictor_policy::evaluate(&set, &circumstances.request(&command)).limits.timeout
    };
    assert_eq!(timeout(&["web"], &[("env", "prod")]), Duration::from_secs(1));
    assert_eq!(timeout(&["web"], &[("env", "test")]), Duration::from_secs(2));
    assert_eq!(timeout(&["web"], &[]), Duration::from_secs(3));
    assert_eq!(timeout(&[], &[("env", "test")]), Duration::from_secs(2));
    assert_eq!(timeout(&[], &[]), Duration::from_secs(4));
}

#[test]
fn a_label_more_narrows_and_a_wider_value_widens() {
    use ChangeKind::{Both, Narrowed, Neutral, Widened};
    for (old, new, kind) in [
        ("{tags: [web]}", "{tags: [web], labels: {env: prod}}", Narrowed),
        ("all", "{labels: {env: prod}}", Narrowed),
        ("{labels: {env: prod}}", "{labels: {env: 'p*'}}", Widened),
        ("{labels: {env: prod}}", "{labels: {env: prod, role: db}}", Narrowed),
        ("{labels: {env: prod}}", "{labels: {env: test}}", Both),
        ("{labels: {env: prod}}", "{tags: [web], labels: {env: prod}}", Narrowed),
        ("{labels: {env: prod}}", "{tags: [web]}", Both),
        ("{labels: {env: '**'}}", "{labels: {env: '*'}}", Neutral),
    ] {
        let kinds = |old: &str, new: &str| -> Vec<ChangeKind> {
            let changes = diff(&policy(&rule("allow", old)), &policy(&rule("allow", new)));
            changes.into_iter().map(|change| change.kind).collect()
        };
        assert_eq!(kinds(old, new), [kind], "{old} to {new}");
        let back = match kind {
            Narrowed => Widened,
            Widened => Narrowed,
            other => other,
        };
        assert_eq!(kinds(new, old), [back], "{new} to {old}");
    }
    let changes =
        diff(&policy(&rule("allow", "{tags: [web]}")), &policy(&rule("allow", "{labels: {env: 'p*'}}")));
    assert!(format!("{changes:?}").contains("label:env=p*"), "{changes:?}");
}

#[test]
fn a_rule_that_another_covers_but_for_labels_is_a_finding_only_where_the_labels_are_covered() {
    // That the narrow one is; where both cover each other, one is said to be.
    let shadowed = |narrow: &str, wide: &str| {
        let set = policy(&format!(
            "version: 1\nrules:\n- {{id: n, effect: allow, where: {narrow}, commands: [uptime], not_match: [id]}}\n\
             - {{id: w, effect: allow, where: {wide}, commands: [uptime], not_match: [id]}}\n"
        ));
        lint(&set).iter().any(|found| found.finding == Finding::Shadowed && found.rule.as_str() == "n")
    };
    assert!(shadowed("{labels: {env: prod}}", "all"));
    assert!(shadowed("{labels: {env: prod, role: db}}", "{labels: {env: 'p*'}}"));
    assert!(shadowed("{tags: [web], labels: {env: prod}}", "{tags: [web]}"));
    assert!(shadowed("{tags: [web], labels: {env: prod}}", "{labels: {env: prod}}"));
    assert!(!shadowed("{labels: {env: prod}}", "{labels: {env: test}}"));
    assert!(!shadowed("{labels: {env: prod}}", "{tags: [web], labels: {env: prod}}"));
}

#[test]
fn a_case_says_which_labels_its_host_has() {
    let set = policy(&rule("allow", "{labels: {env: prod}}"));
    let cases = cases::parse(
        "- {as: 'user:ada', host: web-1, labels: {env: prod}, command: uptime, expect: allow, rule: r}\n\
         - {as: 'user:ada', host: web-1, labels: {env: test}, command: uptime, expect: deny}\n\
         - {as: 'user:ada', host: web-1, command: uptime, expect: deny}\n",
    )
    .unwrap();
    for (case, result) in cases.iter().zip(cases::run(&set, &cases).unwrap()) {
        assert!(result.problems.is_empty(), "{case:?}: {:?}", result.problems);
    }
    let broken = "- {as: 'user:ada', host: h, labels: {env: 'p*'}, command: uptime, expect: allow}\n";
    assert!(cases::parse(broken).unwrap_err().to_string().contains("labels"));
}
