//! Why it was decided so: for each part of the command, how every rule that might have had a say fits it.
//!
//! The same comparisons as in [`evaluate`](crate::evaluate()), written down instead of summed up.

use std::fmt;

use lictor_core::{command::Simple, name::RuleId};

use crate::{
    condition::Condition,
    decision::{Decision, Effect},
    evaluate::{evaluate, shorten},
    imported::PartVerdict,
    judging::{Fit, Judging},
    request::Request,
    rule::{Match, Rule, word_at},
    set::PolicySet,
};

/// A decision with its grounds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The decision.
    pub decision: Decision,
    /// Each simple command of the request, in order.
    pub parts: Vec<PartExplanation>,
    /// Rules that are about none of the parts, the host or the principal.
    pub other_rules: usize,
}

/// One simple command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartExplanation {
    /// The command as it is rendered.
    pub text: String,
    /// The rules that match it or come near it, by id.
    pub rules: Vec<RuleExplanation>,
}

/// How a rule fits a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleExplanation {
    /// The rule.
    pub rule: RuleId,
    /// What it does with what it matches.
    pub effect: Effect,
    /// How it fits.
    pub fit: RuleFit,
    /// The pattern that matches or comes nearest; `None`: `any`.
    pub pattern: Option<String>,
    /// The word that decided, where one did.
    pub word: Option<String>,
    /// One sentence for people.
    pub detail: String,
}

/// How a rule fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RuleFit {
    /// It has its effect.
    Matches,
    /// It is for somebody else.
    OtherPrincipal,
    /// It is about other hosts.
    OtherHost,
    /// Its patterns are other commands of the same program.
    OtherCommand,
    /// It is for other variables, directories or logins.
    OtherContext,
    /// It holds at another time.
    OtherTime,
    /// Its condition is false or has no truth value.
    Condition,
}

/// Decides and says why.
pub fn explain(set: &PolicySet, request: &Request<'_>) -> Explanation {
    let judging = Judging::new(set, request);
    let parts: Vec<PartExplanation> = request
        .command
        .simples()
        .map(|simple| {
            let mut rules: Vec<RuleExplanation> =
                set.rules().filter_map(|rule| of_rule(&judging, rule, simple)).collect();
            rules.extend(of_imported(&judging, simple));
            rules.sort_by(|a, b| a.rule.cmp(&b.rule));
            PartExplanation { text: simple.render(), rules }
        })
        .collect();
    let mentioned = |rule: &&Rule| parts.iter().any(|part| part.rules.iter().any(|r| r.rule == *rule.id()));
    let other_rules = set.rules().count() - set.rules().filter(mentioned).count();
    Explanation { decision: evaluate(set, request), parts, other_rules }
}

/// `None`: the rule has nothing to do with the part.
fn of_rule(judging: &Judging<'_>, rule: &Rule, simple: &Simple) -> Option<RuleExplanation> {
    let say = |fit, pattern: Option<&str>, word: Option<String>, detail: String| {
        let pattern = pattern.map(str::to_owned);
        Some(RuleExplanation { rule: rule.id().clone(), effect: rule.effect(), fit, pattern, word, detail })
    };
    let near = || rule.find(simple);
    match judging.fit(rule, simple) {
        Fit::OtherContext(found) => {
            let detail = "matches, but denies it with another context only".to_owned();
            say(RuleFit::OtherContext, found.pattern, None, detail)
        }
        Fit::Matches(found) if !allows_in(rule, judging.request) => {
            let items = rule.context.unpermitted(judging.request.context).join(", ");
            let detail = format!("matches, but does not permit {}; it binds all the same", shorten(&items));
            say(RuleFit::OtherContext, found.pattern, None, detail)
        }
        Fit::Matches(found) => {
            say(RuleFit::Matches, found.pattern, word(rule, simple, found), matched(rule, simple, found))
        }
        Fit::OtherPrincipal => {
            let found = near()?;
            say(
                RuleFit::OtherPrincipal,
                found.pattern,
                None,
                "matches, but is for other principals or doors".into(),
            )
        }
        Fit::OtherHost => {
            let found = near()?;
            say(RuleFit::OtherHost, found.pattern, None, "matches, but is about other hosts".into())
        }
        Fit::OtherTime(found) => say(
            RuleFit::OtherTime,
            found.pattern,
            None,
            format!("matches, but not now: {}", judging.set.hours(rule)),
        ),
        Fit::ConditionFalse(found) => {
            let condition = rule.condition.as_ref().map(Condition::as_str).unwrap_or_default();
            say(
                RuleFit::Condition,
                found.pattern,
                None,
                format!("matches, but `{}` is false", shorten(condition)),
            )
        }
        Fit::ConditionFailed(found, why) if rule.effect() == Effect::Deny => say(
            RuleFit::Matches,
            found.pattern,
            word(rule, simple, found),
            format!("matches; its condition has no value here ({why}), which denies"),
        ),
        Fit::ConditionFailed(found, why) => say(
            RuleFit::Condition,
            found.pattern,
            None,
            format!("matches, but its condition has no value here: {why}"),
        ),
        Fit::OtherCommand => {
            let nearest = rule.nearest(simple).filter(|_| rule.effect() != Effect::Deny);
            if let (None, Some((class, why))) = (nearest, rule.nearest_in_class(simple)) {
                return say(RuleFit::OtherCommand, Some(class.as_str()), None, why);
            }
            let (progress, pattern) = nearest?;
            let stuck = simple.words().get(progress).map(|word| word.as_str().to_owned());
            let detail = match &stuck {
                Some(word) => format!("has no place for the word `{}`", shorten(word)),
                None => "needs more words".into(),
            };
            say(RuleFit::OtherCommand, Some(pattern.as_str()), stuck, detail)
        }
    }
}

/// Whether a rule that matches has nothing against the context.
fn allows_in(rule: &Rule, request: &Request<'_>) -> bool {
    rule.effect() == Effect::Deny || rule.context.permits(request.context)
}

/// What imported rules say of the part, if one of them speaks of it.
fn of_imported(judging: &Judging<'_>, simple: &Simple) -> Option<RuleExplanation> {
    let verdict = judging.set.imported()?.judge_part(judging.request.host, simple);
    let (rule, effect, detail) = match verdict {
        PartVerdict::Allow { rule } => {
            (Some(rule), Effect::Allow, "is the imported rule that decides".into())
        }
        PartVerdict::Deny { rule, why } => (rule, Effect::Deny, why),
        PartVerdict::Silent => return None,
    };
    // A forbidden text has no rule of its own.
    let rule = rule.or_else(|| RuleId::new("deny_substrings").ok())?;
    Some(RuleExplanation { rule, effect, fit: RuleFit::Matches, pattern: None, word: None, detail })
}

fn word(rule: &Rule, simple: &Simple, found: Match<'_>) -> Option<String> {
    (rule.effect() == Effect::Deny && found.pattern.is_some()).then(|| word_at(simple, found.word).to_owned())
}

fn matched(rule: &Rule, simple: &Simple, found: Match<'_>) -> String {
    match (found.pattern, rule.effect()) {
        (None, _) => "is about every command".into(),
        (Some(_), Effect::Deny) => format!("names the word `{}`", shorten(word_at(simple, found.word))),
        (Some(_), Effect::Allow | Effect::Approve) => "has a place for every word".into(),
    }
}

// === impl RuleFit ===

impl RuleFit {
    /// The fit as it is written in documents.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Matches => "matches",
            Self::OtherPrincipal => "other_principal",
            Self::OtherHost => "other_host",
            Self::OtherCommand => "other_command",
            Self::OtherContext => "other_context",
            Self::OtherTime => "other_time",
            Self::Condition => "condition",
        }
    }
}

impl fmt::Display for RuleFit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
