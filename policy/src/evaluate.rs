//! The judgement: a policy and a request give a decision.
//!
//! Every simple command of the request is judged on its own. If any is matched by a deny rule, the request is denied;
//! else, if any is matched by no allow rule, the request is denied; else it is allowed, within the strictest limits and
//! networks of all the rules that allow it. The order of rules never matters.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use lictor_core::{
    command::{Command, Pipeline, Simple},
    job::Limits,
};

use crate::{
    decision::{Decision, DecisionCode, Effect},
    request::Request,
    rule::{Match, Network, Rule, words},
    set::PolicySet,
};

/// Longest quotation of a command or word in a reason, in characters: enough to recognise it.
const MAX_QUOTED_CHARS: usize = 160;

/// Judges `request` by `set`.
pub fn evaluate(set: &PolicySet, request: &Request<'_>) -> Decision {
    let applicable: Vec<&Rule> = set.rules().filter(|rule| rule.applies_to(request)).collect();
    let of = |effect: Effect| applicable.iter().copied().filter(move |rule| rule.effect() == effect);

    for simple in request.command.simples() {
        if let Some((rule, found)) = first_match(of(Effect::Deny), simple) {
            return denied_by_rule(set, request, simple, rule, found);
        }
    }
    let mut governing = Vec::new();
    let mut first = None;
    for simple in request.command.simples() {
        let matching = matches(of(Effect::Allow), simple);
        let Some((rule, _)) = matching.first() else {
            return default_deny(set, request, simple, of(Effect::Allow));
        };
        first.get_or_insert((*rule, simple));
        governing.extend(matching.iter().map(|(rule, _)| *rule));
    }
    match first {
        Some((rule, simple)) => allowed(set, request, simple, rule, &governing),
        // A command has a first part by construction; if it had none, nothing would have been judged.
        None => denied(set, DecisionCode::DefaultDeny, "there is no command to judge".into(), String::new()),
    }
}

/// The rules that match, by id, so that the order in the file has no influence on what is reported.
fn matches<'r>(rules: impl Iterator<Item = &'r Rule>, simple: &Simple) -> Vec<(&'r Rule, Match<'r>)> {
    let mut found: Vec<_> = rules.filter_map(|rule| rule.find(simple).map(|m| (rule, m))).collect();
    found.sort_by(|(a, _), (b, _)| a.id().cmp(b.id()));
    found
}

fn first_match<'r>(rules: impl Iterator<Item = &'r Rule>, simple: &Simple) -> Option<(&'r Rule, Match<'r>)> {
    matches(rules, simple).into_iter().next()
}

fn allowed(
    set: &PolicySet,
    request: &Request<'_>,
    simple: &Simple,
    rule: &Rule,
    governing: &[&Rule],
) -> Decision {
    let networks = networks(set, governing);
    let parts = match request.command.simples().count() {
        1 => String::new(),
        n => format!(" and every other of the {n} parts is allowed too"),
    };
    Decision {
        effect: Effect::Allow,
        code: DecisionCode::Allowed,
        rule: Some(rule.id().clone()),
        reason: format!(
            "rule `{}` allows `{}` {}{parts}",
            rule.id(),
            shorten(&render(simple)),
            whom(request)
        ),
        hint: String::new(),
        part: Some(render(simple)),
        limits: limits(set, request, governing),
        networks_allowed: networks.allow.unwrap_or_default(),
        networks_denied: networks.deny,
    }
}

fn denied_by_rule(
    set: &PolicySet,
    request: &Request<'_>,
    simple: &Simple,
    rule: &Rule,
    found: Match<'_>,
) -> Decision {
    let why = match found.pattern {
        None => "it denies every command there".to_owned(),
        Some(pattern) => {
            let words = words(simple);
            let word = shorten(words.get(found.word).copied().unwrap_or_default());
            format!("the word `{word}` is what its pattern `{}` denies", shorten(pattern.as_str()))
        }
    };
    let reason =
        format!("rule `{}` denies `{}` {}: {why}", rule.id(), shorten(&render(simple)), whom(request));
    let hint = "no other rule can allow it; use a command that does without this word, or ask whoever keeps the policy";
    Decision {
        rule: Some(rule.id().clone()),
        part: Some(render(simple)),
        ..denied(set, DecisionCode::DeniedByRule, reason, hint.into())
    }
}

fn default_deny<'r>(
    set: &PolicySet,
    request: &Request<'_>,
    simple: &Simple,
    rules: impl Iterator<Item = &'r Rule>,
) -> Decision {
    let reason = format!("no rule allows `{}` {}", shorten(&render(simple)), whom(request));
    let hint = nearest(simple, rules).unwrap_or_else(|| {
        "no rule for you on this host begins with this program; use one that is allowed, or ask whoever keeps the policy".into()
    });
    Decision { part: Some(render(simple)), ..denied(set, DecisionCode::DefaultDeny, reason, hint) }
}

/// The pattern that has a place for most of the words, and the first word it has none for.
fn nearest<'r>(simple: &Simple, rules: impl Iterator<Item = &'r Rule>) -> Option<String> {
    let words = &words(simple);
    let candidates = rules.flat_map(|rule| {
        rule.patterns().iter().map(move |pattern| (pattern.progress(words), rule.id(), pattern))
    });
    let (progress, rule, pattern) = candidates
        .filter(|(progress, _, _)| *progress > 0)
        .min_by(|a, b| b.0.cmp(&a.0).then_with(|| (a.1, a.2.as_str()).cmp(&(b.1, b.2.as_str()))))?;
    let what = match words.get(progress) {
        Some(word) => format!("has no place for the word `{}`", shorten(word)),
        None => "needs more words".into(),
    };
    Some(format!("the nearest pattern, `{}` of rule `{rule}`, {what}", shorten(pattern.as_str())))
}

/// A denial that names no rule and no part.
fn denied(set: &PolicySet, code: DecisionCode, reason: String, hint: String) -> Decision {
    Decision {
        effect: Effect::Deny,
        code,
        rule: None,
        reason,
        hint,
        part: None,
        limits: set.limits(),
        networks_allowed: Vec::new(),
        networks_denied: Vec::new(),
    }
}

/// The smallest of what is asked for and what each rule gives.
fn limits(set: &PolicySet, request: &Request<'_>, governing: &[&Rule]) -> Limits {
    let file = set.limits();
    let timeouts = governing.iter().map(|rule| rule.limits.timeout.unwrap_or(file.timeout));
    let outputs = governing.iter().map(|rule| rule.limits.output_bytes.unwrap_or(file.output_bytes));
    Limits {
        timeout: timeouts.chain(request.requested.timeout).min().unwrap_or(file.timeout),
        output_bytes: outputs.chain(request.requested.output_bytes).min().unwrap_or(file.output_bytes),
    }
}

/// Addresses that every rule allows and none denies. When the rules have no address in common, everything is denied:
/// an empty list of allowed networks would mean "any".
fn networks(set: &PolicySet, governing: &[&Rule]) -> Network {
    let file = set.network();
    let mut deny = file.deny.clone();
    let mut allow: Option<Vec<IpNet>> = None;
    for rule in governing {
        deny.extend(&rule.network.deny);
        if let Some(list) = rule.network.allow.as_ref().or(file.allow.as_ref()) {
            allow = Some(match allow {
                None => list.clone(),
                Some(before) => intersect(&before, list),
            });
        }
    }
    if allow.as_ref().is_some_and(Vec::is_empty) {
        deny.extend([IpNet::V4(Ipv4Net::default()), IpNet::V6(Ipv6Net::default())]);
    }
    deny.sort_unstable();
    deny.dedup();
    if let Some(list) = allow.as_mut() {
        list.sort_unstable();
        list.dedup();
    }
    Network { allow, deny }
}

/// Two networks overlap only when one contains the other, and then in the smaller.
fn intersect(a: &[IpNet], b: &[IpNet]) -> Vec<IpNet> {
    let smaller = |x: &IpNet, y: &IpNet| if x.contains(y) { Some(*y) } else { y.contains(x).then_some(*x) };
    let mut both: Vec<IpNet> = a.iter().flat_map(|x| b.iter().filter_map(move |y| smaller(x, y))).collect();
    both.sort_unstable();
    both.dedup();
    both
}

fn whom(request: &Request<'_>) -> String {
    format!("on {} for {}", request.host.alias, request.principal)
}

fn render(simple: &Simple) -> String {
    Pipeline::new(vec![simple.clone()])
        .and_then(|first| Command::new(first, Vec::new()))
        .map(|c| c.render())
        .unwrap_or_default()
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
