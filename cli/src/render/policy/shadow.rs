//! Where a proposed policy differs from the one in force.

use lictor_client::operator::{DifferenceKind, ShadowDifference, ShadowView};
use serde::Serialize;

use crate::render::{
    bytes::one_line,
    style::{Style, Tone},
    table::{Cell, Table},
    time,
};

/// Differences that are shown; the document has all that the controller tells.
const SHOWN: usize = 20;

/// The figures and the newest differences.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    sha256: String,
    put_by: String,
    put_at: String,
    counted_since: String,
    requests: u64,
    hosts: u64,
    not_judged: u64,
    would_deny: u64,
    would_allow: u64,
    would_ask: u64,
    other_limits: u64,
    differences: Vec<DifferenceDocument>,
}

#[derive(Debug, Serialize)]
struct DifferenceDocument {
    kind: &'static str,
    at: String,
    principal: String,
    host: String,
    command: String,
    live_code: String,
    live_rule: Option<String>,
    shadow_code: String,
    shadow_rule: Option<String>,
}

impl From<&ShadowView> for Document {
    fn from(view: &ShadowView) -> Self {
        Self {
            sha256: view.digest.to_string(),
            put_by: view.put_by.clone(),
            put_at: view.put_at.to_string(),
            counted_since: view.counted_since.to_string(),
            requests: view.requests,
            hosts: view.hosts,
            not_judged: view.not_judged,
            would_deny: view.would_deny,
            would_allow: view.would_allow,
            would_ask: view.would_ask,
            other_limits: view.other_limits,
            differences: view.differences.iter().map(DifferenceDocument::from).collect(),
        }
    }
}

impl From<&ShadowDifference> for DifferenceDocument {
    fn from(difference: &ShadowDifference) -> Self {
        let rule = |rule: &Option<lictor_core::name::RuleId>| rule.as_ref().map(ToString::to_string);
        Self {
            kind: difference.kind.as_str(),
            at: difference.at.to_string(),
            principal: difference.principal.to_string(),
            host: difference.host.to_string(),
            command: difference.command.clone(),
            live_code: difference.live_code.clone(),
            live_rule: rule(&difference.live_rule),
            shadow_code: difference.shadow_code.clone(),
            shadow_rule: rule(&difference.shadow_rule),
        }
    }
}

/// The figures in sentences, and the newest differences as a table.
pub(crate) fn text(view: &ShadowView, style: Style) -> String {
    let mut text = format!(
        "{} put by {} at {} UTC, sha256 {}\n{} {} requests, {} host decisions, since {} UTC\n\n",
        style.faint("proposed"),
        one_line(&view.put_by),
        time::moment(view.put_at),
        view.digest,
        style.faint("judged  "),
        view.requests,
        view.hosts,
        time::moment(view.counted_since),
    );
    let sums = [
        (DifferenceKind::WouldDeny, "would have denied", view.would_deny),
        (DifferenceKind::WouldAllow, "would have allowed", view.would_allow),
        (DifferenceKind::WouldAsk, "would have asked for consent to", view.would_ask),
        (DifferenceKind::OtherLimits, "would have given other limits to", view.other_limits),
    ];
    for (kind, verb, number) in sums {
        let tone = if number > 0 { tone(kind) } else { Tone::Plain };
        text += &format!("{verb} {}\n", style.paint(tone, &number.to_string()));
    }
    if view.not_judged > 0 {
        let many = format!("{} requests came too fast to be judged twice", view.not_judged);
        text += &format!("{} {many}\n", style.paint(Tone::Warn, "note:"));
    }
    if view.differences.is_empty() {
        return text;
    }
    let mut table = Table::new(&["WHEN", "HOST", "WHO", "COMMAND", "IN FORCE", "PROPOSED", "RULE"]);
    for difference in view.differences.iter().take(SHOWN) {
        table.row([
            Cell::new(time::moment(difference.at)),
            Cell::new(&difference.host).tone(Tone::Strong),
            Cell::new(&difference.principal),
            Cell::new(&difference.command),
            Cell::new(&difference.live_code),
            Cell::new(&difference.shadow_code).tone(tone(difference.kind)),
            Cell::maybe(difference.shadow_rule.as_ref().or(difference.live_rule.as_ref())),
        ]);
    }
    text + "\n" + &table.render(style, 0)
}

const fn tone(kind: DifferenceKind) -> Tone {
    match kind {
        DifferenceKind::WouldDeny => Tone::Bad,
        DifferenceKind::WouldAllow => Tone::Accent,
        DifferenceKind::WouldAsk | DifferenceKind::OtherLimits => Tone::Warn,
    }
}
