//! Records of the audit log in a line each, and what was proved of it.

use lictor_certs::cosignature::Cosigned;
use serde_json::{Map, Value};

use super::{
    bytes::one_line,
    jobs::short,
    style::{Style, Tone},
};
use crate::audit::Verified;

/// Longest value in a line, in characters; the whole is in the JSON form.
const MAX_VALUE: usize = 80;
/// Fields that have a place of their own, that are the same in every record, or that a line has no room for.
const NOT_LISTED: [&str; 6] = ["v", "at", "kind", "tenant", "client", "policy_version"];
/// Fields that people look for, in the order in which they read them; the others follow.
const FIRST: [&str; 11] = [
    "principal",
    "by",
    "via",
    "host",
    "target",
    "command",
    "outcome",
    "exit_code",
    "code",
    "reason",
    "detail",
];

/// `  12  2026-11-22 13:21:24  invocation_ended  host=web-1 outcome=SUCCEEDED`
pub(crate) fn line(index: u64, content: &[u8], style: Style) -> String {
    let Ok(record) = serde_json::from_slice::<Map<String, Value>>(content) else {
        return format!("{index:>6}  {}\n", style.paint(Tone::Bad, "not a record"));
    };
    let text = |name: &str| record.get(name).and_then(Value::as_str).unwrap_or_default();
    let at = text("at").get(..19).unwrap_or_default().replace('T', " ");
    let kind = text("kind");
    let listed = |(name, value): &(&String, &Value)| {
        !NOT_LISTED.contains(&name.as_str()) && !name.ends_with("_digest") && !value.is_null()
    };
    let mut fields: Vec<(&String, &Value)> = record.iter().filter(listed).collect();
    fields.sort_by_key(|(name, _)| FIRST.iter().position(|first| first == name).unwrap_or(FIRST.len()));
    let fields: Vec<String> = fields
        .into_iter()
        .map(|(name, value)| {
            format!("{}{}", style.faint(&format!("{}=", one_line(name))), short(&plain(value), MAX_VALUE))
        })
        .collect();
    let kind = style.paint(tone(kind, text("outcome")), &one_line(kind));
    format!("{index:>6}  {}  {kind}  {}\n", style.faint(&one_line(&at)), fields.join(" "))
}

fn plain(value: &Value) -> String {
    match value {
        Value::String(text) if text.contains(char::is_whitespace) => format!("{:?}", one_line(text)),
        Value::String(text) => one_line(text),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        other => one_line(&other.to_string()),
    }
}

fn tone(kind: &str, outcome: &str) -> Tone {
    match kind {
        "request_denied" | "call_refused" | "result_conflict" | "witness_refused" => Tone::Bad,
        "invocation_ended" => Tone::of_state(outcome),
        "policy_changed" | "join_token_issued" | "agent_enrolled" | "cancel_requested" | "freeze_set"
        | "freeze_lifted" | "witness_enrolled" | "witness_resolved" | "log_key_rotated" => Tone::Warn,
        _ => Tone::Plain,
    }
}

/// What was proved.
pub(crate) fn verified(verified: &Verified, cosigned: &[Cosigned], log: &str, style: Style) -> String {
    let span =
        verified.times.as_ref().map(|(first, last)| format!(", {} to {}", second(first), second(last)));
    let anchor = match verified.anchor {
        Some(anchor) => format!("it begins with the {} records verified here before", anchor.size),
        None => format!(
            "{}: no earlier checkpoint is known here, so an older history could have been replaced",
            style.paint(Tone::Warn, "unanchored")
        ),
    };
    let witnesses = match cosigned {
        [] => format!(
            "{}: no witness has cosigned this head, so the controller could show others another one",
            style.paint(Tone::Warn, "unanchored")
        ),
        some => {
            let plural = if some.len() == 1 { "" } else { "es" };
            format!("anchored by {} witness{plural} at size {}", some.len(), verified.head.size)
        }
    };
    let facts = [
        ("log", log.to_owned()),
        ("records", format!("{}{}", verified.head.size, span.unwrap_or_default())),
        ("intents", format!("{} commands started, each with its intent recorded before", verified.started)),
        ("refusals", format!("{} by sites, each signed by the agent that refused", verified.refused)),
        ("root", verified.head.root.to_string()),
        ("signed", "with the pinned key".to_owned()),
        ("witnesses", witnesses),
        ("anchor", anchor),
    ];
    let head =
        format!("{}  no record was changed, removed or reordered\n", style.paint(Tone::Good, "verified"));
    facts
        .iter()
        .fold(head, |text, (name, value)| text + &style.faint(&format!("  {name:<10}")) + value + "\n")
}

fn second(at: &str) -> String {
    one_line(&at.get(..19).unwrap_or(at).replace('T', " "))
}
