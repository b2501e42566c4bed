//! The judgement: a policy and a request give a decision.
//!
//! Every simple command of the request is judged on its own. If any is matched by a deny rule, the request is denied;
//! else, if any is matched by no allow or approve rule, the request is denied; else, if a part has no such rule that also
//! permits the whole context, the request is denied; else, if changes are frozen on the host and a part has no rule of
//! these that is exempt, the request is denied; else, if a part is matched by an approve rule, others
//! have to consent; else it is allowed. What is allowed is so within the strictest limits and networks of all the rules
//! that allow it. The order of rules never matters.
//!
//! Rules that were imported have an order of their own and speak as one: what they deny is denied, and a part that they
//! allow is allowed.

mod in_context;
mod terms;

use lictor_core::{command::Simple, name::RuleId, transfer::is_reserved};

use self::{
    in_context::context_deny,
    terms::{Terms, limits, networks},
};
use crate::{
    decision::{ApprovalTerms, Decision, DecisionCode, Effect},
    imported::PartVerdict,
    judging::{Fit, Judging},
    request::Request,
    rule::{Match, PartialLimits, Rule, word_at},
    set::PolicySet,
};

/// Longest quotation of a command or word in a reason, in characters: enough to recognise it.
const MAX_QUOTED_CHARS: usize = 160;

/// A part of the command with the rules that permit it; never without one.
struct Permitted<'r, 's> {
    simple: &'s Simple,
    rules: Vec<(&'r Rule, Match<'r>)>,
    /// The imported rule that allows it too, or alone.
    imported: Option<RuleId>,
}

/// Of what a decision has words.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Words {
    Always,
    UnlessAllowed,
}

/// Judges `request` by `set`.
pub fn evaluate(set: &PolicySet, request: &Request<'_>) -> Decision {
    judge(set, request, Words::Always)
}

/// As [`evaluate()`], for whoever judges a command on many hosts and shows nobody why it may run: of what is allowed at once,
/// `reason`, `part` and `pattern` stay empty. Everything else is the same.
pub fn evaluate_briefly(set: &PolicySet, request: &Request<'_>) -> Decision {
    judge(set, request, Words::UnlessAllowed)
}

fn judge(set: &PolicySet, request: &Request<'_>, words: Words) -> Decision {
    let judging = Judging::new(set, request);
    for simple in request.command.simples() {
        if let Some((rule, found)) = judging.matching(set.denying(), simple).into_iter().next() {
            return denied_by_rule(&judging, simple, rule, found);
        }
    }
    let mut parts = Vec::new();
    if let Some(denied) = denied_as_a_whole(&judging) {
        return denied;
    }
    for simple in request.command.simples() {
        let imported = match set.imported().map(|block| block.judge_part(request.host, simple)) {
            Some(PartVerdict::Deny { rule, why }) => {
                return denied_by_import(&judging, Some(simple), rule, &why);
            }
            // Imported rules were written for commands of a shell: what they allow never moves a file.
            Some(PartVerdict::Allow { rule }) => Some(rule).filter(|_| !is_reserved(simple)),
            Some(PartVerdict::Silent) | None => None,
        };
        let rules = judging.matching(set.permitting(simple), simple);
        parts.push(Permitted { simple, rules, imported });
    }
    // What is denied somewhere is said before what is allowed nowhere.
    if let Some(part) = parts.iter().find(|part| part.rules.is_empty() && part.imported.is_none()) {
        return default_deny(&judging, part.simple);
    }
    if let Some(part) = parts.iter().find(|part| !part.permits(request.context)) {
        return context_deny(&judging, part);
    }
    match frozen(&judging, &parts) {
        Some(decision) => decision,
        None => permitted(&judging, &parts, words),
    }
}

/// The rule that is reported: of those that match the first part that has an effect, the first by id.
fn permitted(judging: &Judging<'_>, parts: &[Permitted<'_, '_>], words: Words) -> Decision {
    let governing: Vec<&Rule> =
        parts.iter().flat_map(|part| part.rules.iter().map(|(rule, _)| *rule)).collect();
    let mut approvals: Vec<ApprovalTerms> =
        governing.iter().filter_map(|rule| rule.approval.clone()).collect();
    approvals.sort();
    approvals.dedup();
    let asks =
        |part: &&Permitted<'_, '_>| part.rules.iter().any(|(rule, _)| rule.effect() == Effect::Approve);
    let Some(part) = parts.iter().find(asks).or_else(|| parts.first()) else {
        // A command has a first part by construction; if it had none, nothing would have been judged.
        let nothing = "there is no command to judge".into();
        return denied(judging.set, DecisionCode::DefaultDeny, nothing, String::new());
    };
    let wanted = if approvals.is_empty() { Effect::Allow } else { Effect::Approve };
    let permits = |rule: &Rule| wanted != Effect::Allow || rule.context.permits(judging.request.context);
    let native = part.rules.iter().find(|(rule, _)| rule.effect() == wanted && permits(rule));
    let Some(rule) = native.map(|(rule, _)| rule.id()).or(part.imported.as_ref()) else {
        let nothing = "no rule permits the command".into();
        return denied(judging.set, DecisionCode::DefaultDeny, nothing, String::new());
    };
    let terms = terms(judging, &governing, parts);
    let networks = networks(judging.set, &terms);
    let in_words = words == Words::Always || wanted != Effect::Allow;
    Decision {
        effect: wanted,
        code: match wanted {
            Effect::Approve => DecisionCode::ApprovalRequired,
            Effect::Allow | Effect::Deny => DecisionCode::Allowed,
        },
        rule: Some(rule.clone()),
        reason: if in_words {
            reason(judging, rule, part.simple, parts.len(), &approvals)
        } else {
            String::new()
        },
        hint: approvals.first().map(ask_for).unwrap_or_default(),
        part: in_words.then(|| part.simple.render()),
        pattern: native.and_then(|(_, found)| found.pattern).filter(|_| in_words).map(str::to_owned),
        word: None,
        limits: limits(judging, &terms),
        networks_allowed: networks.allow.unwrap_or_default(),
        networks_denied: networks.deny,
        max_hosts: governing.iter().filter_map(|rule| rule.max_hosts).min(),
        approvals,
    }
}

/// What follows from every rule that permits some part, imported ones included.
fn terms<'r>(judging: &Judging<'_>, governing: &[&'r Rule], parts: &[Permitted<'_, '_>]) -> Vec<Terms<'r>> {
    let native = governing.iter().map(|rule| Terms { limits: rule.limits, network: Some(&rule.network) });
    let block = judging.set.imported().filter(|_| parts.iter().any(|part| part.imported.is_some()));
    let imported = block.map(|block| {
        let limits = block.limits(judging.request.host);
        let limits = PartialLimits { timeout: limits.timeout, output_bytes: limits.output_bytes };
        Terms { limits, network: None }
    });
    native.chain(imported).collect()
}

fn reason(
    judging: &Judging<'_>,
    rule: &RuleId,
    simple: &Simple,
    parts: usize,
    approvals: &[ApprovalTerms],
) -> String {
    let others = match (parts, approvals.is_empty()) {
        (1, _) => String::new(),
        (n, true) => format!(" and every other of the {n} parts is allowed too"),
        (n, false) => format!(", and none of the {n} parts is denied"),
    };
    let verb = if approvals.is_empty() { "allows" } else { "asks for consent to" };
    format!("rule `{rule}` {verb} `{}` {}{others}", shorten(&simple.render()), whom(judging.request))
}

fn ask_for(terms: &ApprovalTerms) -> String {
    let people = if terms.approvals == 1 { "person" } else { "people" };
    format!("{} other {people} of group `{}` must consent", terms.approvals, terms.group)
}

fn denied_by_rule(judging: &Judging<'_>, simple: &Simple, rule: &Rule, found: Match<'_>) -> Decision {
    let word = word_at(simple, found.word).to_owned();
    let why = match found.pattern {
        None => "it denies every command there".to_owned(),
        Some(pattern) => {
            format!("the word `{}` is what its pattern `{}` denies", shorten(&word), shorten(pattern))
        }
    };
    let reason = format!(
        "rule `{}` denies `{}` {}: {why}",
        rule.id(),
        shorten(&simple.render()),
        whom(judging.request)
    );
    let hint = "no other rule can allow it; use a command that does without this word, or ask whoever keeps the policy";
    Decision {
        rule: Some(rule.id().clone()),
        part: Some(simple.render()),
        pattern: found.pattern.map(str::to_owned),
        word: found.pattern.map(|_| word),
        ..denied(judging.set, DecisionCode::DeniedByRule, reason, hint.into())
    }
}

/// What imported rules deny of a line as a whole.
fn denied_as_a_whole(judging: &Judging<'_>) -> Option<Decision> {
    let request = judging.request;
    let (rule, why) = judging.set.imported()?.judge_whole(request.host, request.command)?;
    Some(denied_by_import(judging, None, rule, &why))
}

/// `rule`: `None` when a text is forbidden whatever the rules say; `simple`: `None` for the whole line.
fn denied_by_import(
    judging: &Judging<'_>,
    simple: Option<&Simple>,
    rule: Option<RuleId>,
    why: &str,
) -> Decision {
    let text = simple.map_or_else(|| judging.request.command.render(), Simple::render);
    let by = rule.as_ref().map_or_else(
        || "an imported deny_substrings entry".to_owned(),
        |rule| format!("the imported rule `{rule}`"),
    );
    let reason = format!("{by} denies `{}` {}: {why}", shorten(&text), whom(judging.request));
    let hint = "use a command that does without these words, or ask whoever keeps the policy";
    Decision {
        rule,
        part: simple.map(Simple::render),
        ..denied(judging.set, DecisionCode::DeniedByRule, reason, hint.into())
    }
}

fn default_deny(judging: &Judging<'_>, simple: &Simple) -> Decision {
    let reason = format!("no rule allows `{}` {}", shorten(&simple.render()), whom(judging.request));
    let near = almost(judging, simple).or_else(|| nearest(judging, simple));
    let near = near.unwrap_or_else(|| Nearest {
        hint: "no rule for you on this host begins with this program; use one that is allowed, or ask whoever keeps the policy".into(),
        ..Nearest::default()
    });
    Decision {
        part: Some(simple.render()),
        pattern: near.pattern,
        word: near.word,
        ..denied(judging.set, DecisionCode::DefaultDeny, reason, near.hint)
    }
}

/// What comes nearest to allowing a part.
#[derive(Default)]
struct Nearest {
    pattern: Option<String>,
    word: Option<String>,
    hint: String,
}

/// A rule that would allow it at another time or under its condition.
fn almost(judging: &Judging<'_>, simple: &Simple) -> Option<Nearest> {
    let mut rules: Vec<&Rule> = judging.set.permitting(simple).collect();
    rules.sort_by(|a, b| a.id().cmp(b.id()));
    rules.into_iter().find_map(|rule| {
        let condition = rule.condition.as_ref().map(crate::condition::Condition::as_str).unwrap_or_default();
        let (found, hint) = match judging.fit(rule, simple) {
            Fit::OtherTime(found) => {
                (found, format!("rule `{}` allows it, but not now: {}", rule.id(), judging.set.hours(rule)))
            }
            Fit::ConditionFalse(found) => {
                (found, format!("rule `{}` allows it only if `{}`", rule.id(), shorten(condition)))
            }
            Fit::ConditionFailed(found, why) => {
                (found, format!("the condition of rule `{}` has no value here: {why}", rule.id()))
            }
            _ => return None,
        };
        Some(Nearest { pattern: found.pattern.map(str::to_owned), word: None, hint })
    })
}

/// The pattern that has a place for most of the words, and the first word it has none for.
fn nearest(judging: &Judging<'_>, simple: &Simple) -> Option<Nearest> {
    let about_this = |rule: &&Rule| matches!(judging.fit(rule, simple), Fit::OtherCommand);
    let candidates = judging.set.permitting(simple).filter(about_this).filter_map(|rule| {
        let (progress, pattern) = rule.nearest(simple)?;
        Some((progress, rule, pattern))
    });
    let nearest = candidates
        .min_by(|a, b| b.0.cmp(&a.0).then_with(|| (a.1.id(), a.2.as_str()).cmp(&(b.1.id(), b.2.as_str()))));
    // A program alone says little; what a class says of its words says more.
    if nearest.is_none_or(|(progress, _, _)| progress <= 1)
        && let Some(near) = nearest_in_class(judging, simple)
    {
        return Some(near);
    }
    let (progress, rule, pattern) = nearest?;
    let word = simple.words().get(progress);
    let what = match word {
        Some(word) if word.literal().is_none() => {
            format!(
                "takes no glob at the place of `{}`; name the files, or quote the word",
                shorten(word.as_str())
            )
        }
        Some(word) => format!("has no place for the word `{}`", shorten(word.as_str())),
        None => "needs more words".into(),
    };
    Some(Nearest {
        pattern: Some(pattern.as_str().to_owned()),
        word: word.map(|word| word.as_str().to_owned()),
        hint: format!("the nearest pattern, `{}` of rule `{}`, {what}", shorten(pattern.as_str()), rule.id()),
    })
}

/// The word that keeps a part out of the class of a rule, by the first rule in the order of ids.
fn nearest_in_class(judging: &Judging<'_>, simple: &Simple) -> Option<Nearest> {
    let about_this = |rule: &&Rule| matches!(judging.fit(rule, simple), Fit::OtherCommand);
    let rules = judging.set.permitting(simple).filter(about_this);
    let found = rules.filter_map(|rule| Some((rule, rule.nearest_in_class(simple)?)));
    let (rule, (class, why)) = found.min_by(|a, b| a.0.id().cmp(b.0.id()))?;
    let hint = format!("rule `{}` allows the class {class}: {}", rule.id(), shorten(&why));
    Some(Nearest { pattern: Some(class.as_str().to_owned()), word: None, hint })
}

/// The denial by the first freeze of the host, if a part has no rule that is exempt.
fn frozen(judging: &Judging<'_>, parts: &[Permitted<'_, '_>]) -> Option<Decision> {
    let request = judging.request;
    let freeze =
        judging.set.freezes().find(|f| f.hosts.include(request.host) && f.span.contains(request.at))?;
    let exempt = |rule: &Rule| rule.exempt_from_freezes && rule.context.permits(request.context);
    let part = parts.iter().find(|part| !part.rules.iter().any(|(rule, _)| exempt(rule)))?;
    let reason = format!(
        "changes are frozen on {} by `{}` ({}), and no rule that allows `{}` is exempt: {}",
        request.host.alias,
        freeze.id,
        freeze.span,
        shorten(&part.simple.render()),
        freeze.reason
    );
    let hint = "wait until the freeze ends, or ask whoever keeps the policy";
    Some(Decision {
        rule: Some(freeze.id.clone()),
        part: Some(part.simple.render()),
        ..denied(judging.set, DecisionCode::Frozen, reason, hint.into())
    })
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
        pattern: None,
        word: None,
        limits: set.limits(),
        networks_allowed: Vec::new(),
        networks_denied: Vec::new(),
        max_hosts: None,
        approvals: Vec::new(),
    }
}

pub(crate) fn whom(request: &Request<'_>) -> String {
    format!("on {} for {}", request.host.alias, request.principal)
}

pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(MAX_QUOTED_CHARS) {
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
        None => text.to_owned(),
    }
}
