//! Laws of target expressions.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

use lictor_core::{
    job::{CommandInput, JobSpec, Origin, Target},
    label::Labels,
    limits::{MAX_EXPRESSION_BYTES, MAX_EXPRESSION_DEPTH, MAX_EXPRESSION_TERMS},
    name::{HostAlias, SiteName, Tag},
    principal::Via,
    target::{InvalidExpression, TargetExpression, TargetFacts},
};
use proptest::prelude::*;

#[derive(Debug, Clone)]
struct Host {
    alias: HostAlias,
    site: SiteName,
    tags: Vec<Tag>,
    labels: Labels,
}

fn parse(text: &str) -> Result<TargetExpression, InvalidExpression> {
    text.parse()
}

fn host(alias: &str, site: &str, tags: &[&str], labels: &[(&str, &str)]) -> Host {
    Host {
        alias: HostAlias::new(alias).unwrap(),
        site: SiteName::new(site).unwrap(),
        tags: tags.iter().map(|tag| Tag::new(tag).unwrap()).collect(),
        labels: Labels::new(labels.iter().copied()).unwrap(),
    }
}

fn means(text: &str, host: &Host) -> bool {
    let facts = TargetFacts { alias: &host.alias, site: &host.site, tags: &host.tags, labels: &host.labels };
    parse(text).unwrap_or_else(|e| panic!("{text}: {e}")).matches(facts)
}

fn any_host() -> impl Strategy<Value = Host> {
    let tags = prop::sample::subsequence(vec!["web", "db", "canary"], 0..=3);
    let labels = prop::sample::subsequence(vec![("env", "prod"), ("role", "db"), ("tier", "1")], 0..=3);
    (
        prop::sample::select(vec!["web-1", "web-2", "db-1"]),
        prop::sample::select(vec!["eu", "us"]),
        tags,
        labels,
    )
        .prop_map(|(alias, site, tags, labels)| host(alias, site, &tags, &labels))
}

fn any_term() -> impl Strategy<Value = String> {
    prop::sample::select(vec![
        "all",
        "tag:web",
        "tag:db",
        "site:eu",
        "label:env",
        "label:env=prod",
        "label:env=p*",
        "host:web-*",
        "db-1",
        "host:not",
        "*-1",
    ])
    .prop_map(str::to_owned)
}

/// An expression as somebody may write it, with brackets and blanks that change nothing.
fn any_expression() -> impl Strategy<Value = String> {
    any_term().prop_recursive(5, 24, 3, |inner| {
        let pair = (inner.clone(), inner.clone());
        prop_oneof![
            pair.clone().prop_map(|(a, b)| format!("{a} and {b}")),
            pair.clone().prop_map(|(a, b)| format!("({a})or  {b}")),
            pair.prop_map(|(a, b)| format!("({a} or {b}) and\t({b})")),
            inner.clone().prop_map(|a| format!("not({a})")),
            inner.prop_map(|a| format!("not {a}")),
        ]
    })
}

proptest! {
    #[test]
    fn the_canonical_form_of_an_expression_parses_to_it(text in any_expression()) {
        let Ok(expression) = parse(&text) else { return Ok(()) };
        let canonical = expression.to_string();
        prop_assert_eq!(parse(&canonical), Ok(expression), "{} as {}", &text, &canonical);
    }

    #[test]
    fn an_expression_is_refused_or_kept_whatever_it_is_made_of(
        text in "(tag:|site:|label:|host:|and |or |not |all|[(]|[)]| |=|[*]|[a-zA-Z0-9é,&|!.:-]){0,40}",
    ) {
        match parse(&text) {
            Ok(expression) => {
                let canonical = expression.to_string();
                prop_assert_eq!(parse(&canonical), Ok(expression), "{} as {}", &text, &canonical);
            }
            Err(error) => {
                let places = 1..=text.chars().count() + 1;
                prop_assert!(error.position().is_none_or(|at| places.contains(&at)), "{}: {}", text, error);
                prop_assert!(error.to_string().chars().all(|c| !c.is_control()));
            }
        }
    }

    #[test]
    fn expressions_obey_the_laws_of_logic(a in any_expression(), b in any_expression(), host in any_host()) {
        prop_assume!(a.len() + b.len() < MAX_EXPRESSION_BYTES / 4);
        let is = |text: String| means(&text, &host);
        prop_assert_eq!(is(format!("not not ({a})")), is(a.clone()));
        prop_assert_eq!(is(format!("not (({a}) and ({b}))")), is(format!("not ({a}) or not ({b})")));
        prop_assert_eq!(is(format!("not (({a}) or ({b}))")), is(format!("not ({a}) and not ({b})")));
        prop_assert_eq!(is(format!("({a}) and ({b})")), is(a.clone()) && is(b.clone()));
        prop_assert_eq!(is(format!("({a}) or ({b})")), is(a.clone()) || is(b.clone()));
        let (either, both) = (is(format!("({a}) or not ({a})")), is(format!("({a}) and not ({a})")));
        prop_assert!(either && !both);
    }
}

#[test]
fn a_term_means_the_hosts_that_it_names() {
    let host = host("web-1", "eu", &["web"], &[("env", "prod")]);
    for text in [
        "all",
        "tag:web",
        "site:eu",
        "label:env",
        "label:env=prod",
        "label:env=p*d",
        "host:web-1",
        "web-*",
        "tag:web and site:eu",
        "tag:db or web-1",
        "not tag:db",
        // `and` binds closer than `or`, `not` closer than both.
        "web-1 or tag:db and site:us",
        "not tag:db and web-1",
        "not (tag:db or site:us)",
    ] {
        assert!(means(text, &host), "{text}");
    }
    for text in [
        "tag:Web",
        "site:us",
        "label:role",
        "label:env=staging",
        "label:env=pro",
        "host:web",
        "db-*",
        "not all",
        "not (tag:db or site:eu)",
        "(web-1 or tag:db) and site:us",
    ] {
        assert!(!means(text, &host), "{text}");
    }
}

#[test]
fn an_expression_has_one_canonical_form() {
    for (text, canonical) in [
        ("web-1", "host:web-1"),
        ("  tag:a   and(tag:b and tag:c) ", "tag:a and tag:b and tag:c"),
        ("((tag:a)) or (tag:b and tag:c)", "tag:a or tag:b and tag:c"),
        ("(tag:a or tag:b) and not(tag:c)", "(tag:a or tag:b) and not tag:c"),
        ("not (not (tag:a))", "not not tag:a"),
        ("not(tag:a or tag:b)", "not (tag:a or tag:b)"),
        ("host:and or host:all", "host:and or host:all"),
    ] {
        assert_eq!(parse(text).unwrap().to_string(), canonical, "{text}");
    }
}

#[test]
fn a_request_for_another_expression_is_another_request() {
    let digest = |target| {
        JobSpec::new(target, CommandInput::Line("uptime".into()), Origin::new(Via::Cli, "test")).digest()
    };
    let of = |text: &str| digest(Target::Expression(parse(text).unwrap()));
    assert_eq!(of("tag:web"), of("(tag:web)"));
    assert!(
        of("tag:web") != of("not tag:web") && of("tag:web") != digest(Target::Tag("web".parse().unwrap()))
    );
}

#[test]
fn an_error_says_where_it_is_and_what_would_be_right() {
    for (text, at, right) in [
        ("", None, "tag:web and not site:eu"),
        ("  ", None, "tag:web and not site:eu"),
        ("tag:web site:eu", Some(9), "tag:web and site:eu"),
        ("tag:web and", Some(12), "tag:web and site:eu"),
        ("and tag:web", Some(1), "tag:web and site:eu"),
        ("tag:web or or x", Some(12), "tag:web or site:eu"),
        ("tag:web AND site:eu", Some(9), "write and"),
        ("Not tag:web", Some(1), "write not, or host:Not"),
        ("tag:web && x", Some(9), "write and"),
        ("!tag:web", Some(1), "not tag:web"),
        ("web-1,web-2", Some(1), "web-1 or web-2"),
        ("tags:web", Some(1), "tag:, site:, label: and host:"),
        ("tag:", Some(1), "tag:web"),
        ("tag:w*", Some(1), "tag:web"),
        ("label:env=", Some(1), "label:env=prod"),
        ("label:e*=x", Some(1), "label:env=prod"),
        ("é and host:a/b", Some(1), "host:web-*"),
        ("ab and host:a/b", Some(8), "host:web-*"),
        ("*", Some(1), "write all"),
        ("not host:**", Some(5), "write all"),
        ("(tag:web", Some(9), "add )"),
        ("tag:web)", Some(8), "leave it out"),
        ("()", Some(2), "(tag:web or tag:app)"),
        ("tag:web (x)", Some(9), "tag:web and (a or b)"),
    ] {
        let error = parse(text).expect_err(text);
        assert_eq!(error.position(), at, "{text}: {error}");
        assert!(error.to_string().contains(right), "{text}: {error}");
    }
}

#[test]
fn an_expression_is_bounded_in_length_depth_and_terms() {
    let terms = |n: usize| vec!["tag:a"; n].join(" or ");
    assert!(parse(&terms(MAX_EXPRESSION_TERMS)).is_ok());
    assert!(parse(&terms(MAX_EXPRESSION_TERMS + 1)).is_err());
    let deep = |n: usize| format!("{}tag:a{}", "(".repeat(n), ")".repeat(n));
    assert!(parse(&deep(MAX_EXPRESSION_DEPTH)).is_ok());
    assert!(parse(&deep(MAX_EXPRESSION_DEPTH + 1)).is_err());
    let negated = |n: usize| format!("{}tag:a", "not ".repeat(n));
    assert!(parse(&negated(MAX_EXPRESSION_DEPTH)).is_ok());
    assert!(parse(&negated(MAX_EXPRESSION_DEPTH + 1)).is_err());
    assert!(parse(&"(".repeat(MAX_EXPRESSION_BYTES)).is_err());
    assert!(parse(&format!("{}tag:a", " ".repeat(MAX_EXPRESSION_BYTES - 5))).is_ok());
    assert!(parse(&format!("{}tag:a", " ".repeat(MAX_EXPRESSION_BYTES - 4))).is_err());
    // What is kept has a prefix before each alias, and must be readable again.
    let aliases = vec!["x".repeat(12); MAX_EXPRESSION_TERMS].join(" or ");
    assert!(aliases.len() <= MAX_EXPRESSION_BYTES, "{}", aliases.len());
    assert!(parse(&aliases).is_err());
}
