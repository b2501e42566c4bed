//! Why a command is decided as it is: the parts of the command, how each rule fits, and what follows.

use std::{collections::BTreeMap, time::Duration};

use lictor_core::job::CommandInput;
use lictor_policy::{
    ApprovalTerms, Decision, Effect, Explanation, PolicySet, Refusal, explain,
    explain::{PartExplanation, RuleExplanation},
    verdict::Circumstances,
};
use lictor_runtime::human::{HumanBytes, HumanDuration};
use serde::Serialize;

use crate::{
    render::{
        bytes::one_line,
        json::ApprovalDocument,
        style::{Style, Tone},
        table::{Cell, Table},
        time::count,
    },
    run::in_context::ContextDocument,
};

/// Of which policy, about whom, where and when.
#[derive(Debug)]
pub(crate) struct Asked<'a> {
    pub(crate) policy: &'a str,
    pub(crate) set: &'a PolicySet,
    pub(crate) circumstances: &'a Circumstances,
}

/// An explanation.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    policy: String,
    policy_sha256: String,
    principal: String,
    via: &'static str,
    host: String,
    site: String,
    tags: Vec<String>,
    labels: BTreeMap<String, String>,
    at: String,
    /// The principal is told of the host; an operator is anyway.
    visible: bool,
    command: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    context: Option<ContextDocument>,
    #[serde(skip)]
    items: Vec<String>,
    decision: DecisionDocument,
    parts: Vec<PartDocument>,
    other_rules: usize,
    #[serde(skip)]
    effect: Effect,
}

#[derive(Debug, Serialize)]
struct DecisionDocument {
    effect: &'static str,
    code: &'static str,
    rule: Option<String>,
    reason: String,
    hint: String,
    part: Option<String>,
    pattern: Option<String>,
    word: Option<String>,
    /// Which bytes of the line are refused.
    span: Option<[usize; 2]>,
    obligations: Option<Obligations>,
}

/// What goes with what is allowed.
#[derive(Debug, Serialize)]
struct Obligations {
    timeout_ms: u64,
    output_bytes: u64,
    networks_allowed: Vec<String>,
    networks_denied: Vec<String>,
    max_hosts: Option<u32>,
    approvals: Vec<ApprovalDocument>,
}

/// One simple command.
#[derive(Debug, Serialize)]
pub(crate) struct PartDocument {
    command: String,
    rules: Vec<RuleDocument>,
}

#[derive(Debug, Serialize)]
struct RuleDocument {
    rule: String,
    effect: &'static str,
    fit: &'static str,
    pattern: Option<String>,
    word: Option<String>,
    detail: String,
}

// === impl Document ===

impl Document {
    pub(crate) fn new(asked: &Asked<'_>, input: &CommandInput) -> Self {
        let Asked { policy, set, circumstances } = asked;
        let (command, decision, parts, other_rules, effect) = match set.parse_command(input) {
            Err(refusal) => (written(input), refusal.into(), Vec::new(), 0, Effect::Deny),
            Ok(command) => {
                let found = explain(set, &circumstances.request(&command));
                let (parts, effect) = (PartDocument::of(&found).collect(), found.decision.effect);
                (command.render(), found.decision.into(), parts, found.other_rules, effect)
            }
        };
        Self {
            policy: (*policy).to_owned(),
            policy_sha256: set.digest().to_string(),
            principal: circumstances.principal.to_string(),
            via: circumstances.via.as_str(),
            host: circumstances.host.alias.to_string(),
            site: circumstances.host.site.to_string(),
            tags: circumstances.host.tags.iter().map(ToString::to_string).collect(),
            labels: circumstances.host.labels.to_texts(),
            at: circumstances.at.to_string(),
            visible: set.view(&circumstances.principal).shows(&circumstances.host),
            command,
            context: ContextDocument::of(&circumstances.context),
            items: circumstances.context.items(),
            decision,
            parts,
            other_rules,
            effect,
        }
    }

    /// What is decided.
    pub(crate) const fn effect(&self) -> Effect {
        self.effect
    }
}

fn written(input: &CommandInput) -> String {
    match input {
        CommandInput::Line(line) => line.clone(),
        CommandInput::Argv(words) => words.join(" "),
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

// === impl DecisionDocument ===

impl From<Refusal> for DecisionDocument {
    fn from(refusal: Refusal) -> Self {
        Self {
            effect: Effect::Deny.as_str(),
            code: refusal.code.as_str(),
            rule: None,
            reason: refusal.message,
            hint: refusal.hint,
            part: None,
            pattern: None,
            word: None,
            span: refusal.span.map(|span| [span.start, span.end]),
            obligations: None,
        }
    }
}

impl From<Decision> for DecisionDocument {
    fn from(decision: Decision) -> Self {
        let obligations = (decision.effect != Effect::Deny).then(|| Obligations {
            timeout_ms: millis(decision.limits.timeout),
            output_bytes: decision.limits.output_bytes,
            networks_allowed: decision.networks_allowed.iter().map(ToString::to_string).collect(),
            networks_denied: decision.networks_denied.iter().map(ToString::to_string).collect(),
            max_hosts: decision.max_hosts,
            approvals: decision.approvals.iter().map(ApprovalDocument::from).collect(),
        });
        Self {
            effect: decision.effect.as_str(),
            code: decision.code.as_str(),
            rule: decision.rule.map(|rule| rule.to_string()),
            reason: decision.reason,
            hint: decision.hint,
            part: decision.part,
            pattern: decision.pattern,
            word: decision.word,
            span: None,
            obligations,
        }
    }
}

impl From<&ApprovalTerms> for ApprovalDocument {
    fn from(terms: &ApprovalTerms) -> Self {
        Self {
            approvals: terms.approvals,
            group: terms.group.to_string(),
            within_ms: millis(terms.within),
            mfa: terms.mfa,
        }
    }
}

// === impl PartDocument ===

impl PartDocument {
    /// The parts of an explanation.
    pub(crate) fn of(explanation: &Explanation) -> impl Iterator<Item = Self> {
        explanation.parts.iter().map(Self::from)
    }
}

impl From<&PartExplanation> for PartDocument {
    fn from(part: &PartExplanation) -> Self {
        let rule = |rule: &RuleExplanation| RuleDocument {
            rule: rule.rule.to_string(),
            effect: rule.effect.as_str(),
            fit: rule.fit.as_str(),
            pattern: rule.pattern.clone(),
            word: rule.word.clone(),
            detail: rule.detail.clone(),
        };
        Self { command: part.text.clone(), rules: part.rules.iter().map(rule).collect() }
    }
}

/// The question, the decision, and its grounds.
pub(crate) fn text(document: &Document, style: Style) -> String {
    let labels = document.labels.iter().map(|(key, value)| format!("{key}={value}"));
    let known: Vec<String> = document.tags.iter().cloned().chain(labels).collect();
    let known = if known.is_empty() { "no tags".into() } else { known.join(", ") };
    let facts = [
        ("command", style.strong(&one_line(&document.command))),
        ("for", format!("{} by {}", document.principal, document.via)),
        ("on", format!("{} at site {} ({known})", document.host, document.site)),
        ("at", document.at.get(..19).unwrap_or(&document.at).replace('T', " ") + " UTC"),
        ("policy", one_line(&document.policy)),
    ];
    let items = Some(one_line(&document.items.join(", "))).filter(|items| !items.is_empty());
    let with = items.map(|items| ("with", items));
    let hidden = (!document.visible).then(|| {
        let Document { principal, host, .. } = document;
        ("hidden", format!("{principal} is not told of {host}, and is answered that there is no such host"))
    });
    let mut text =
        facts.iter().chain(&with).chain(&hidden).fold(String::new(), |text, (name, value)| {
            text + &style.faint(&format!("{name:<9}")) + value + "\n"
        });
    text += "\n";
    text += &decision(&document.decision, document.effect, style);
    for part in &document.parts {
        text += "\n";
        text += &part_text(part, style, 0);
    }
    if document.other_rules > 0 {
        let others = format!("not about it: {}\n", count(document.other_rules, "other rule"));
        text += &format!("\n{}", style.faint(&others));
    }
    text
}

fn decision(decision: &DecisionDocument, effect: Effect, style: Style) -> String {
    let tone = match effect {
        Effect::Allow => Tone::Good,
        Effect::Approve => Tone::Warn,
        Effect::Deny => Tone::Bad,
    };
    let head = style.paint(tone, &decision.effect.to_uppercase());
    let mut text = format!("{head}  {}\n  {}\n", decision.code, one_line(&decision.reason));
    if !decision.hint.is_empty() {
        text += &format!("  {} {}\n", style.paint(Tone::Accent, "next:"), one_line(&decision.hint));
    }
    let Some(obligations) = &decision.obligations else { return text };
    for (name, value) in obligations.facts() {
        text += &format!("  {}{value}\n", style.faint(&format!("{name:<9}")));
    }
    text
}

/// A part with the rules that match it or come near it.
pub(crate) fn part_text(part: &PartDocument, style: Style, indent: usize) -> String {
    let blanks = " ".repeat(indent);
    let mut text = format!("{blanks}{}\n", style.strong(&one_line(&part.command)));
    if part.rules.is_empty() {
        return text + &format!("{blanks}  no rule is about it\n");
    }
    let mut table = Table::new(&["RULE", "EFFECT", "FIT", "PATTERN", "WORD", "WHY"]);
    for rule in &part.rules {
        let tone = if rule.fit == "matches" { Tone::Strong } else { Tone::Plain };
        table.row([
            Cell::new(&rule.rule).tone(tone),
            Cell::new(rule.effect),
            Cell::new(rule.fit.replace('_', " ")),
            Cell::maybe(rule.pattern.as_ref()),
            Cell::maybe(rule.word.as_ref()),
            Cell::new(&rule.detail),
        ]);
    }
    text += &table.render(style, indent + 2);
    text
}

// === impl Obligations ===

impl Obligations {
    fn facts(&self) -> Vec<(&'static str, String)> {
        let timeout = HumanDuration::new(Duration::from_millis(self.timeout_ms));
        let mut facts =
            vec![("limits", format!("{timeout}, {} of output", HumanBytes::new(self.output_bytes)))];
        let (allowed, denied) = (self.networks_allowed.join(", "), self.networks_denied.join(", "));
        match (allowed.is_empty(), denied.is_empty()) {
            (true, true) => {}
            (false, true) => facts.push(("network", format!("only {allowed}"))),
            (true, false) => facts.push(("network", format!("not {denied}"))),
            (false, false) => facts.push(("network", format!("only {allowed}; not {denied}"))),
        }
        facts.extend(self.max_hosts.map(|most| ("hosts", format!("at most {most} in one job"))));
        facts.extend(self.approvals.iter().map(|terms| {
            let within = HumanDuration::new(Duration::from_millis(terms.within_ms));
            let mfa = if terms.mfa { ", with a second factor" } else { "" };
            ("consent", format!("{} of group {} within {within}{mfa}", terms.approvals, terms.group))
        }));
        facts
    }
}
