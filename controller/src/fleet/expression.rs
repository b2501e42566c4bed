//! The hosts that a target expression means. A term that is true of no host is a slip of the pen, and behind a `not` it would
//! mean every host: it is refused, with what was perhaps meant.

use std::{collections::BTreeSet, sync::Arc};

use lictor_core::{
    error::{ErrorCode, Failure},
    near::near,
    target::{TargetExpression, TargetFacts, Term},
};
use lictor_store::KeptHost;

/// Shortest text before a `*` that says what was meant.
const MIN_START: usize = 2;

type Hosts<'a> = [&'a Arc<KeptHost>];

/// Why an expression means no hosts.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Unmeant {
    /// This term is true of no host; which were perhaps meant.
    Term { term: String, what: String, near: Vec<String> },
    /// Each term is true of some host, the whole of none.
    Whole(String),
}

/// The hosts that `wanted` means, by alias.
pub(super) fn resolve(hosts: &Hosts<'_>, wanted: &TargetExpression) -> Result<Vec<Arc<KeptHost>>, Unmeant> {
    for term in wanted.terms() {
        if !hosts.iter().any(|host| term.matches(facts(host))) {
            return Err(unknown(hosts, term));
        }
    }
    let found: Vec<_> =
        hosts.iter().filter(|host| wanted.matches(facts(host))).map(|host| Arc::clone(host)).collect();
    if found.is_empty() { Err(Unmeant::Whole(wanted.to_string())) } else { Ok(found) }
}

fn facts(host: &KeptHost) -> TargetFacts<'_> {
    TargetFacts { alias: &host.alias, site: &host.site, tags: &host.tags, labels: &host.labels }
}

fn unknown(hosts: &Hosts<'_>, term: &Term) -> Unmeant {
    let hosts = || hosts.iter();
    let (what, near) = match term {
        Term::Tag(tag) => {
            let known = hosts().flat_map(|host| &host.tags).map(|tag| tag.as_str()).collect();
            (format!("no host has the tag {tag}"), like("tag:", tag.as_str(), known))
        }
        Term::Site(site) => {
            let known = hosts().map(|host| host.site.as_str()).collect();
            (format!("no host is at the site {site}"), like("site:", site.as_str(), known))
        }
        Term::Label(key, wanted) => {
            let values: BTreeSet<&str> =
                hosts().filter_map(|host| host.labels.get(key)).map(|value| value.as_str()).collect();
            match wanted {
                Some(value) if !values.is_empty() => (
                    format!("no host has the label {key}={value}"),
                    like(&format!("label:{key}="), value.as_str(), values),
                ),
                _ => {
                    let known = hosts().flat_map(|host| host.labels.iter()).map(|(key, _)| key.as_str());
                    (format!("no host has a label {key}"), like("label:", key.as_str(), known.collect()))
                }
            }
        }
        Term::Host(glob) => {
            let known = hosts().map(|host| host.alias.as_str()).collect();
            (format!("no host is called {glob}"), like("host:", glob.as_str(), known))
        }
    };
    Unmeant::Term { term: term.to_string(), what, near }
}

/// The known names that are almost `name`, as terms; of a pattern, those that begin almost as it does.
fn like(prefix: &str, name: &str, known: BTreeSet<&str>) -> Vec<String> {
    let start = name.split('*').next().unwrap_or(name);
    if start.len() == name.len() {
        return near(name, known).into_iter().map(|name| format!("{prefix}{name}")).collect();
    }
    if start.len() < MIN_START {
        return Vec::new();
    }
    let starts: BTreeSet<&str> = known.iter().filter_map(|known| known.get(..start.len())).collect();
    near(start, starts).into_iter().map(|start| format!("{prefix}{start}*")).collect()
}

// === impl Unmeant ===

impl Unmeant {
    /// As a failure; `list` says how to see what there is.
    pub(super) fn into_failure(self, list: &str) -> Failure {
        match self {
            Self::Term { term, what, near } => {
                let meant = if near.is_empty() {
                    String::new()
                } else {
                    format!("did you mean {}? ", near.join(" or "))
                };
                Failure::new(ErrorCode::NotFound, what, format!("{meant}{list}")).with("term", term)
            }
            Self::Whole(expression) => {
                let what = format!("no host is meant by {expression}");
                Failure::new(ErrorCode::NotFound, what, list)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lictor_core::label::Labels;

    use super::*;

    fn fleet() -> Vec<Arc<KeptHost>> {
        let host = |alias: &str, site: &str, tags: &[&str], labels: &[(&str, &str)]| {
            let kept = KeptHost {
                alias: alias.parse().unwrap(),
                site: site.parse().unwrap(),
                tags: tags.iter().map(|tag| tag.parse().unwrap()).collect(),
                labels: Labels::new(labels.iter().copied()).unwrap(),
                description: String::new(),
                address: "192.0.2.1:22".into(),
                user: "ops".into(),
                host_key_fingerprints: Vec::new(),
            };
            Arc::new(kept)
        };
        [
            host("db-1", "eu", &["db"], &[("env", "prod"), ("role", "primary")]),
            host("web-1", "eu", &["web", "canary"], &[("env", "prod")]),
            host("web-2", "us", &["web"], &[("env", "staging")]),
        ]
        .into()
    }

    fn of(text: &str) -> Result<Vec<String>, Failure> {
        let fleet = fleet();
        let hosts: Vec<_> = fleet.iter().collect();
        let found = resolve(&hosts, &text.parse().unwrap()).map_err(|e| e.into_failure("list the hosts"))?;
        Ok(found.iter().map(|host| host.alias.to_string()).collect())
    }

    #[test]
    fn an_expression_means_the_hosts_that_it_is_true_of_in_order_of_alias() {
        for (text, hosts) in [
            ("all", &["db-1", "web-1", "web-2"][..]),
            ("tag:web and not site:us", &["web-1"]),
            ("not tag:canary", &["db-1", "web-2"]),
            ("label:env=prod", &["db-1", "web-1"]),
            ("label:role or web-2", &["db-1", "web-2"]),
            ("label:env=* and not host:web-*", &["db-1"]),
        ] {
            assert_eq!(of(text).unwrap(), hosts, "{text}");
        }
    }

    #[test]
    fn a_term_that_is_true_of_no_host_is_refused_wherever_it_stands_and_says_what_was_perhaps_meant() {
        for (text, term, meant) in [
            ("not tag:wbe", "tag:wbe", Some("tag:web?")),
            ("tag:web or tag:Web", "tag:Web", Some("tag:web?")),
            ("all and not site:ue", "site:ue", Some("site:eu or site:us?")),
            ("not label:evn=prod", "label:evn=prod", Some("label:env?")),
            ("not label:evn", "label:evn", Some("label:env?")),
            ("not label:env=prd", "label:env=prd", Some("label:env=prod?")),
            ("not label:env=stagin*x", "label:env=stagin*x", Some("label:env=stagin*?")),
            ("not web-3", "host:web-3", Some("host:web-1 or host:web-2?")),
            ("not wbe-*", "host:wbe-*", Some("host:web-*?")),
            ("not cache-*", "host:cache-*", None),
            ("not *-9", "host:*-9", None),
        ] {
            let failure = of(text).unwrap_err();
            assert_eq!((failure.code, failure.detail("term")), (ErrorCode::NotFound, Some(term)), "{text}");
            let shown = meant.is_none_or(|meant| failure.next_step.contains(meant));
            assert!(shown && failure.next_step.contains("list the hosts"), "{text}: {failure:?}");
            assert_eq!(meant.is_some(), failure.next_step.contains("did you mean"), "{text}: {failure:?}");
        }
    }

    #[test]
    fn an_expression_of_known_terms_that_means_no_host_is_refused() {
        for text in ["tag:web and tag:db", "not all", "site:us and label:role"] {
            let failure = of(text).unwrap_err();
            assert_eq!(failure.code, ErrorCode::NotFound, "{text}");
            assert!(failure.message.contains(text), "{failure:?}");
        }
    }
}
