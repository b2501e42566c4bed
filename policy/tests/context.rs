//! Variables, working directories and logins: a rule permits what it lists, and the same rule has to permit the command
//! and all of it.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use lictor_core::{
    clock::Timestamp,
    context::{Context, Environment},
    job::CommandInput,
    name::{HostAlias, SiteName, TenantName},
    principal::Via,
};
use lictor_policy::{
    Decision, DecisionCode, Effect, Finding, HostFacts, PolicySet, cases, evaluate, explain,
    explain::RuleFit,
    json_schema, lint,
    verdict::{Circumstances, principal},
};

#[track_caller]
fn policy(rules: &str) -> PolicySet {
    PolicySet::parse(&format!("version: 1\ngroups: {{ops: {{users: [bob]}}}}\n{rules}"))
        .unwrap_or_else(|e| panic!("{e}"))
}
#[track_caller]
fn refused(rule: &str, because: &str) {
    let text = format!("version: 1\nrules:\n  - {{id: r, where: all, {rule}}}\n");
    let Err(errors) = PolicySet::parse(&text) else { panic!("accepted: {rule}") };
    assert!(
        errors.to_string().contains(because),
        "{rule}\nmust be refused because of `{because}`, but: {errors}"
    );
}

/// `LANG=C cd=/srv as=deploy`
fn context(text: &str) -> Context {
    let mut context = Context::default();
    let mut variables = Vec::new();
    for (name, value) in text.split(' ').filter_map(|item| item.split_once('=')) {
        match name {
            "cd" => context.working_directory = Some(value.parse().unwrap()),
            "as" => context.run_as = Some(value.parse().unwrap()),
            _ => variables.push((name, value)),
        }
    }
    context.environment = Environment::from_pairs(variables).unwrap();
    context
}
fn asked(text: &str) -> Circumstances {
    Circumstances {
        principal: principal(&TenantName::new("acme").unwrap(), "user:alice").unwrap(),
        via: Via::Cli,
        host: HostFacts {
            alias: HostAlias::new("web-1").unwrap(),
            site: SiteName::new("eu").unwrap(),
            tags: Vec::new(),
            labels: Default::default(),
        },
        context: context(text),
        at: Timestamp::default(),
    }
}
fn decide(set: &PolicySet, line: &str, in_what: &str) -> Decision {
    let command = set.parse_command(&CommandInput::Line(line.into())).unwrap();
    evaluate(set, &asked(in_what).request(&command))
}
fn code(set: &PolicySet, line: &str, in_what: &str) -> DecisionCode {
    decide(set, line, in_what).code
}

const MIGRATE: &str = "rules:
  - id: migrate
    effect: allow
    where: all
    commands: [app migrate]
    environment: [LANG, LC_*, APP_ENV=prod, 'RETRIES=<int:1..9>', 'NAME=<re:[a-z]+>', EMPTY=, 'TEXT=''a b''']
    working_directory: ['<path:/srv/app>', /opt/tool, '/var/lib/<name>']
    run_as: [deploy, www-data]
";

#[test]
fn a_rule_permits_exactly_what_it_lists() {
    let set = policy(MIGRATE);
    for good in [
        "",
        "LANG=C",
        "LANG=",
        "LC_ALL=C LC_TIME=de",
        "APP_ENV=prod",
        "RETRIES=3",
        "NAME=abc",
        "EMPTY=",
        "cd=/srv/app",
        "cd=/srv/app/a/b",
        "cd=/opt/tool",
        "cd=/var/lib/x",
        "as=deploy",
        "as=www-data",
        "LANG=C APP_ENV=prod cd=/srv/app as=deploy",
    ] {
        assert_eq!(code(&set, "app migrate", good), DecisionCode::Allowed, "{good}");
    }
    for bad in [
        "APP_ENV=test",
        "APP_ENV=",
        "APP_ENV=prod2",
        "RETRIES=10",
        "RETRIES=03",
        "NAME=a1",
        "EMPTY=x",
        "LC=C",
        "lang=C",
        "LANGUAGE=x",
        "TEXT=a",
        "cd=/srv",
        "cd=/srv/application",
        "cd=/opt",
        "cd=/opt/tool/x",
        "cd=/var/lib/x/y",
        "cd=/",
        "as=root",
        "as=Deploy",
        "LANG=C as=root",
        "APP_ENV=prod cd=/srv",
    ] {
        assert_eq!(code(&set, "app migrate", bad), DecisionCode::Context, "{bad}");
    }
    let quoted = Circumstances {
        context: Context {
            environment: Environment::from_pairs([("TEXT", "a b")]).unwrap(),
            ..Context::default()
        },
        ..asked("")
    };
    let command = set.parse_command(&CommandInput::Line("app migrate".into())).unwrap();
    assert!(evaluate(&set, &quoted.request(&command)).is_allowed());
    assert_eq!(
        code(&set, "app other", "LANG=C"),
        DecisionCode::DefaultDeny,
        "another command is another matter"
    );
}

#[test]
fn a_rule_that_says_nothing_of_a_context_permits_none() {
    let set = policy("rules:\n  - {id: r, effect: allow, where: all, commands: [a, {class: read-only}]}\n");
    assert_eq!(code(&set, "a", ""), DecisionCode::Allowed);
    for line in ["a", "uptime"] {
        for bad in ["LANG=C", "cd=/", "as=deploy"] {
            let decision = decide(&set, line, bad);
            assert_eq!(
                (decision.code, decision.effect, decision.rule),
                (DecisionCode::Context, Effect::Deny, None)
            );
        }
    }
}

#[test]
fn the_same_rule_permits_the_command_and_all_of_the_context() {
    let set = policy(
        "rules:
  - {id: plain, effect: allow, where: all, commands: [a, b]}
  - {id: login, effect: allow, where: all, commands: [a], run_as: [deploy]}
  - {id: language, effect: allow, where: all, commands: [a, b], environment: [LANG]}
",
    );
    assert_eq!(code(&set, "a", "as=deploy"), DecisionCode::Allowed);
    assert_eq!(code(&set, "a", "LANG=C"), DecisionCode::Allowed);
    assert_eq!(
        code(&set, "a", "LANG=C as=deploy"),
        DecisionCode::Context,
        "each of two rules permits a half"
    );
    assert_eq!(code(&set, "b", "as=deploy"), DecisionCode::Context, "the login is for another command");
    assert_eq!(code(&set, "a; b", "as=deploy"), DecisionCode::Context, "every part runs as that login");
    assert_eq!(code(&set, "a; b", "LANG=C"), DecisionCode::Allowed);
    let allowed = decide(&set, "a", "as=deploy");
    assert_eq!(allowed.rule.unwrap().as_str(), "login", "the rule that permits it is the one that is named");
}

#[test]
fn a_context_is_no_way_around_consent_limits_or_a_freeze() {
    let set = policy(
        "freezes: [{id: f, reason: x, where: {hosts: [web-1]}, zone: UTC, start: '2020-01-01T00:00', end: '2020-01-02T00:00'}]
rules:
  - {id: ask, effect: approve, where: all, commands: [a], approve: {approvals: 1, group: ops, within: 1h}}
  - {id: short, effect: allow, where: all, commands: [b], limits: {timeout: 5s}, exempt_from_freezes: true}
  - {id: wide, effect: allow, where: all, commands: [a, b], environment: [LANG], limits: {timeout: 1h}}
",
    );
    assert_eq!(code(&set, "a", ""), DecisionCode::ApprovalRequired);
    assert_eq!(
        code(&set, "a", "LANG=C"),
        DecisionCode::ApprovalRequired,
        "a variable does not do away with it"
    );
    let limits = |in_what| decide(&set, "b", in_what).limits.timeout.as_secs();
    assert_eq!((limits(""), limits("LANG=C")), (5, 5));
    let command = set.parse_command(&CommandInput::Line("b".into())).unwrap();
    let during = |in_what| {
        let at = Timestamp::from_micros(1_577_880_000 * 1_000_000);
        evaluate(&set, &Circumstances { at, ..asked(in_what) }.request(&command)).code
    };
    assert_eq!(during(""), DecisionCode::Allowed);
    assert_eq!(
        during("LANG=C"),
        DecisionCode::Frozen,
        "the rule that is exempt does not permit the variable"
    );
}

#[test]
fn a_deny_rule_that_names_a_context_denies_that_and_nothing_else() {
    let set = policy(
        "rules:
  - {id: all, effect: allow, where: all, commands: [a, b], run_as: [root, deploy], environment: [LANG, APP_ENV], working_directory: ['<path:/>']}
  - {id: no-root, effect: deny, where: all, commands: any, run_as: [root]}
  - {id: no-etc, effect: deny, where: all, commands: [b], working_directory: ['<path:/etc>'], environment: [APP_ENV=prod]}
",
    );
    for (line, in_what, expected) in [
        ("a", "", DecisionCode::Allowed),
        ("a", "as=deploy", DecisionCode::Allowed),
        ("a", "as=root", DecisionCode::DeniedByRule),
        ("a", "as=root LANG=C", DecisionCode::DeniedByRule),
        ("b", "cd=/etc", DecisionCode::Allowed),
        ("b", "APP_ENV=prod", DecisionCode::Allowed),
        ("b", "APP_ENV=prod cd=/etc/x", DecisionCode::DeniedByRule),
        ("a", "APP_ENV=prod cd=/etc/x", DecisionCode::Allowed),
        ("b", "APP_ENV=test cd=/etc", DecisionCode::Allowed),
    ] {
        assert_eq!(code(&set, line, in_what), expected, "{line} {in_what}");
    }
    let all = policy(
        "rules:
  - {id: all, effect: allow, where: all, commands: [a], run_as: [root], environment: [LANG]}
  - {id: never, effect: deny, where: all, commands: [a]}
",
    );
    for in_what in ["", "as=root", "LANG=C"] {
        assert_eq!(
            code(&all, "a", in_what),
            DecisionCode::DeniedByRule,
            "a deny without these keys is about all"
        );
    }
    let any = policy(
        "rules:
  - {id: all, effect: allow, where: all, commands: [a], environment: [LANG]}
  - {id: none, effect: deny, where: all, commands: any, environment: ['*']}
",
    );
    assert_eq!(code(&any, "a", ""), DecisionCode::Allowed);
    assert_eq!(code(&any, "a", "LANG=C"), DecisionCode::DeniedByRule);
}

#[test]
fn imported_rules_permit_no_context() {
    let policy = lictor_policy::import::policy("rules:\n  - {action: allow, commands: [a]}\n", None).unwrap();
    assert_eq!(code(policy.set(), "a", ""), DecisionCode::Allowed);
    for in_what in ["as=root", "LANG=C", "cd=/"] {
        assert_eq!(code(policy.set(), "a", in_what), DecisionCode::Context, "{in_what}");
    }
}

#[test]
fn what_would_permit_nothing_or_too_much_does_not_load() {
    let allow = |keys: &str| format!("effect: allow, commands: [a], {keys}");
    for (keys, because) in [
        ("environment: [PATH]", "no request can set"),
        ("environment: [LD_PRELOAD=x]", "no request can set"),
        ("environment: ['LD_*']", "no request can set"),
        ("environment: ['P*']", "no request can set"),
        ("environment: ['*']", "not a variable"),
        ("environment: [1A]", "not a variable"),
        ("environment: ['A*B']", "not a variable"),
        ("environment: ['A=<int:1>']", "must be like"),
        ("environment: ['A=a b']", "not one word"),
        ("environment: ['A=<x>...']", "not one word"),
        ("environment: []", "`environment` is empty"),
        ("working_directory: [srv]", "not an absolute path"),
        ("working_directory: [/srv/../etc]", "not an absolute path"),
        ("working_directory: ['<any>']", "any directory"),
        ("working_directory: ['<path:srv>']", "not an absolute path"),
        ("working_directory: []", "`working_directory` is empty"),
        ("run_as: ['#0']", "not a login name"),
        ("run_as: ['-u']", "not a login name"),
        ("run_as: []", "`run_as` is empty"),
    ] {
        refused(&allow(keys), because);
    }
    refused(
        "effect: allow, commands: [{class: read-only}], run_as: [deploy]",
        "a class is what changes nothing",
    );
}

#[test]
fn a_denial_says_what_is_not_permitted_and_what_would_be() {
    let set = policy(MIGRATE);
    let decision = decide(&set, "app migrate", "LANG=C as=root");
    assert_eq!(
        decision.reason,
        "rule `migrate` allows `app migrate` on web-1 for user:alice, but not with `run_as=root`"
    );
    assert!(decision.hint.contains("run_as: deploy, www-data"), "{}", decision.hint);
    let command = set.parse_command(&CommandInput::Line("app migrate".into())).unwrap();
    let explained = explain(&set, &asked("as=root").request(&command));
    let rule = &explained.parts[0].rules[0];
    assert_eq!(rule.fit, RuleFit::OtherContext);
    assert!(rule.detail.contains("run_as=root"), "{}", rule.detail);
}

#[test]
fn the_lint_warns_of_root_and_knows_what_a_context_adds() {
    let of = |rules: &str| -> Vec<Finding> { lint(&policy(rules)).into_iter().map(|f| f.finding).collect() };
    let rule = |id: &str, effect: &str, more: &str| {
        format!("  - {{id: {id}, effect: {effect}, where: all, commands: [a b], not_match: [x]{more}}}\n")
    };
    let root = format!("rules:\n{}", rule("r", "allow", ", run_as: [root]"));
    assert_eq!(of(&root), [Finding::RunsAsRoot]);
    let known = format!("rules:\n{}", rule("r", "allow", ", run_as: [root], acknowledge: [runs-as-root]"));
    assert_eq!(of(&known), []);
    let deny = format!("rules:\n{}", rule("r", "deny", ", run_as: [root]"));
    assert_eq!(of(&deny), []);
    let both = |a: &str, b: &str| format!("rules:\n{}{}", rule("x", "allow", a), rule("y", "allow", b));
    assert_eq!(of(&both("", ", run_as: [deploy]")), [Finding::Shadowed], "the second says as much and more");
    assert_eq!(of(&both(", run_as: [deploy]", ", environment: [LANG]")), []);
    let denied = |more: &str| {
        format!("rules:\n{}{}", rule("x", "allow", ", run_as: [deploy]"), rule("y", "deny", more))
    };
    assert_eq!(of(&denied("")), [Finding::AlwaysDenied]);
    assert_eq!(of(&denied(", run_as: [deploy]")), [], "without the login it is allowed still");
}

#[test]
fn cases_and_the_schema_know_contexts() {
    let set = policy(MIGRATE);
    let good = "- {as: 'user:alice', host: web-1, command: app migrate, environment: {LANG: C}, working_directory: /srv/app, run_as: deploy, expect: allow}
- {as: 'user:alice', host: web-1, command: app migrate, run_as: root, expect: deny, code: POLICY_CONTEXT}
";
    let results = cases::run(&set, &cases::parse(good).unwrap()).unwrap();
    assert!(results.iter().all(|result| result.problems.is_empty()), "{results:?}");
    for bad in ["environment: {PATH: x}", "working_directory: x", "run_as: '0'"] {
        let text = format!("- {{as: 'user:alice', host: web-1, command: a, {bad}, expect: deny}}\n");
        assert!(cases::parse(&text).is_err(), "{bad}");
    }
    let schema = json_schema().to_string();
    for key in ["\"environment\"", "\"working_directory\"", "\"run_as\"", "\"runs-as-root\""] {
        assert!(schema.contains(key), "{key}");
    }
}
