//! A target expression: whatever it says, it is refused with a place in it, or it has a canonical form that says the same.
#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::{Corpus, fuzz_target};
use lictor_core::{
    label::Labels,
    limits::{MAX_EXPRESSION_BYTES, MAX_EXPRESSION_TERMS},
    name::{HostAlias, SiteName, Tag},
    target::{TargetExpression, TargetFacts},
};

/// A host of which something is said.
struct Host {
    alias: HostAlias,
    site: SiteName,
    tags: Vec<Tag>,
    labels: Labels,
}

static HOST: LazyLock<Host> = LazyLock::new(|| Host {
    alias: HostAlias::new("web-1").expect("a name"),
    site: SiteName::new("eu").expect("a name"),
    tags: vec![Tag::new("web").expect("a name")],
    labels: Labels::new([("env", "prod")]).expect("labels"),
});

fuzz_target!(|data: &[u8]| -> Corpus {
    let Ok(text) = std::str::from_utf8(data) else { return Corpus::Reject };
    let expression = match text.parse::<TargetExpression>() {
        Ok(expression) => expression,
        Err(error) => {
            let places = 1..=text.chars().count() + 1;
            assert!(error.position().is_none_or(|at| places.contains(&at)), "{error}");
            assert!(error.to_string().chars().all(|c| !c.is_control()), "{error:?}");
            return Corpus::Keep;
        }
    };
    assert!(expression.terms().len() <= MAX_EXPRESSION_TERMS);
    let canonical = expression.to_string();
    assert!(canonical.len() <= MAX_EXPRESSION_BYTES && canonical.is_ascii(), "{canonical}");
    assert_eq!(canonical.parse().as_ref(), Ok(&expression), "{canonical}");
    let Host { alias, site, tags, labels } = &*HOST;
    let facts = TargetFacts { alias, site, tags, labels };
    if let Ok(negated) = format!("not ({canonical})").parse::<TargetExpression>() {
        assert_ne!(negated.matches(facts), expression.matches(facts), "{canonical}");
    }
    Corpus::Keep
});
