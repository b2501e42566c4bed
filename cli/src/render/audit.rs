//! Records of the audit log in a line each, and what was proved of it.

use std::collections::BTreeMap;

use lictor_certs::cosignature::Cosigned;
use lictor_core::digest::Digest;
use serde_json::{Map, Value};

use super::{
    bytes::one_line,
    jobs::short,
    style::{Style, Tone},
};
use crate::{
    audit::{Verified, part::Part, payloads::PayloadCounts},
    commands::audit::stats::Counts,
};

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
        "request_denied" | "call_refused" | "enrolment_refused" | "result_conflict"
        | "records_unreadable" | "witness_refused" => Tone::Bad,
        "invocation_ended" => Tone::of_state(outcome),
        "policy_changed"
        | "join_token_issued"
        | "agent_enrolled"
        | "agent_revoked"
        | "cancel_requested"
        | "freeze_set"
        | "freeze_lifted"
        | "witness_enrolled"
        | "witness_resolved"
        | "log_key_rotated"
        | "erasure_requested"
        | "payloads_erased"
        | "hold_set"
        | "hold_lifted"
        | "retention_shortening_requested"
        | "retention_shortened" => Tone::Warn,
        _ => Tone::Plain,
    }
}

/// Whoever has the log's key could have made up such witnesses; pinned ones they could not.
const NAMED_BY_LOG: &str = ", which the log itself names (pin their keys: --witness-keys)";

/// What was proved; `pinned` tells whether the witnesses are known from elsewhere than the log.
pub(crate) fn verified(
    verified: &Verified,
    cosigned: &[Cosigned],
    pinned: bool,
    log: &str,
    style: Style,
) -> String {
    let span =
        verified.times.as_ref().map(|(first, last)| format!(", {} to {}", second(first), second(last)));
    let anchor = match (verified.anchor, &verified.part) {
        (Some(anchor), _) => format!("it begins with the {} records verified here before", anchor.size),
        (None, Some(_)) => format!(
            "{}: a part cannot be held against the checkpoint kept here",
            style.paint(Tone::Warn, "unanchored")
        ),
        (None, None) => format!(
            "{}: no earlier checkpoint is known here, so an older history could have been replaced",
            style.paint(Tone::Warn, "unanchored")
        ),
    };
    let records = match &verified.part {
        None => format!("{}{}", verified.head.size, span.unwrap_or_default()),
        Some(part) => part_of(part, verified.head.size) + &span.unwrap_or_default(),
    };
    let intents = match &verified.part {
        None => "each with its intent recorded before",
        Some(_) => "whose intents may be in what is left out",
    };
    let witnesses = match cosigned {
        [] => format!(
            "{}: no witness has cosigned this head, so the controller could show others another one",
            style.paint(Tone::Warn, "unanchored")
        ),
        some => {
            let plural = if some.len() == 1 { "" } else { "es" };
            let size = verified.head.size;
            format!(
                "anchored by {} witness{plural} at size {size}{}",
                some.len(),
                if pinned { "" } else { NAMED_BY_LOG }
            )
        }
    };
    let facts = [
        ("log", log.to_owned()),
        ("records", records),
        ("intents", format!("{} commands started, {intents}", verified.started)),
        ("refusals", format!("{} by sites, each signed by the agent that refused", verified.refused)),
        ("payloads", payloads(&verified.payloads)),
        ("root", verified.head.root.to_string()),
        ("signed", "with the pinned key".to_owned()),
        ("witnesses", witnesses),
        ("anchor", anchor),
    ];
    let what = match verified.part.as_ref().map(|part| part.filter.is_some()) {
        None => "no record was changed, removed or reordered",
        Some(false) => "a part of the log, in which no record was changed, removed or reordered",
        Some(true) => {
            "a selection: no record in it was changed or reordered; what was not selected is not here"
        }
    };
    let head = format!("{}  {what}\n", style.paint(Tone::Good, "verified"));
    facts
        .iter()
        .fold(head, |text, (name, value)| text + &style.faint(&format!("  {name:<10}")) + value + "\n")
}

fn payloads(counts: &PayloadCounts) -> String {
    let PayloadCounts { held, erased, left_out } = counts;
    let mut text = format!("{held}, each what its record commits to");
    if *erased > 0 {
        text += &format!("; {erased} erased, as the log says");
    }
    if *left_out > 0 {
        text += &format!("; {left_out} not here");
    }
    text
}

fn part_of(part: &Part, size: u64) -> String {
    let Part { from, to, filter, held } = part;
    let last = to.saturating_sub(1);
    match filter {
        None if held == &0 => format!("none, of {size} in the log"),
        None => format!("{held}: all from {from} to {last}, of {size} in the log"),
        Some(filter) => {
            format!("{held} selected by `{}` from {from} to {last}, of {size} in the log", one_line(filter))
        }
    }
}

/// One record, a line for each of its fields.
pub(crate) fn whole(index: u64, content: &[u8], leaf: &Digest, style: Style) -> String {
    let Ok(record) = serde_json::from_slice::<Map<String, Value>>(content) else {
        return format!("{index:>6}  {}\n", style.paint(Tone::Bad, "not a record"));
    };
    let width = record.keys().map(|name| name.chars().count()).max().unwrap_or(0);
    let mut lines = vec![("index", index.to_string()), ("leaf", leaf.to_string())];
    let value = |value: &Value| match value {
        Value::String(text) => one_line(text),
        other => one_line(&other.to_string()),
    };
    lines.extend(record.iter().map(|(name, field)| (name.as_str(), value(field))));
    lines.iter().fold(String::new(), |text, (name, value)| {
        text + &style.faint(&format!("{:<width$}  ", one_line(name))) + value + "\n"
    })
}

/// Most names of a column that are shown; the JSON form has all.
const MAX_COUNTED: usize = 10;

/// What was counted.
pub(crate) fn counts(counts: &Counts, style: Style) -> String {
    let mut text = format!("{}: {} verified\n", one_line(&counts.log), counts.verified);
    let span = counts.times.as_ref().map(|(first, last)| format!(", {} to {}", second(first), second(last)));
    text += &format!("{} records fit{}\n", counts.records, span.unwrap_or_default());
    let columns = [
        ("kinds", &counts.kinds),
        ("outcomes", &counts.outcomes),
        ("who", &counts.who),
        ("hosts", &counts.hosts),
    ];
    for (name, column) in columns.into_iter().filter(|(_, column)| !column.is_empty()) {
        text += &format!("\n{}\n", style.faint(name));
        text += &counted(column);
    }
    text
}

fn counted(column: &BTreeMap<String, u64>) -> String {
    let mut rows: Vec<(&String, &u64)> = column.iter().collect();
    rows.sort_by(|a, b| b.1.cmp(a.1).then(a.0.cmp(b.0)));
    let more = rows.len().saturating_sub(MAX_COUNTED);
    rows.truncate(MAX_COUNTED);
    let lines = rows.into_iter().map(|(name, count)| format!("{count:>9}  {}\n", one_line(name)));
    let rest = if more > 0 { format!("{:>9}  and {more} more\n", "") } else { String::new() };
    lines.collect::<String>() + &rest
}

fn second(at: &str) -> String {
    one_line(&at.get(..19).unwrap_or(at).replace('T', " "))
}
