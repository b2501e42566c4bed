//! Which past decisions would change.

use lictor_policy::{
    PolicySet,
    simulate::{ChangedTo, Group, Item, Simulation},
};
use serde::Serialize;

use crate::render::{
    bytes::one_line,
    style::{Style, Tone},
    time,
};

/// Most single changes that are shown of a kind; the document has more.
const SHOWN_ITEMS: usize = 5;

/// The sum, and every kind of change.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    policy: String,
    policy_sha256: String,
    past: ExtentDocument,
    allowed: u64,
    would_deny: u64,
    would_ask: u64,
    would_not_ask: u64,
    refused: u64,
    would_allow: u64,
    would_allow_with_consent: u64,
    cut: u64,
    not_listed: u64,
    changes: Vec<GroupDocument>,
}

/// What of the past was read.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ExtentDocument {
    pub(crate) records: u64,
    pub(crate) log: String,
    pub(crate) tags_from: String,
    pub(crate) first: Option<String>,
    pub(crate) last: Option<String>,
    pub(crate) unknown_hosts: Vec<String>,
    pub(crate) other_refusals: u64,
}

#[derive(Debug, Serialize)]
struct GroupDocument {
    kind: &'static str,
    command: String,
    old_code: String,
    new_code: &'static str,
    new_rule: Option<String>,
    reason: String,
    count: u64,
    items: Vec<ItemDocument>,
    #[serde(skip)]
    changed_to: ChangedTo,
}

#[derive(Debug, Serialize)]
struct ItemDocument {
    host: String,
    principal: String,
    via: &'static str,
    at: String,
    old_rule: Option<String>,
}

// === impl Document ===

impl Document {
    pub(crate) fn new(name: &str, set: &PolicySet, sum: &Simulation, past: &ExtentDocument) -> Self {
        Self {
            policy: name.to_owned(),
            policy_sha256: set.digest().to_string(),
            past: past.clone(),
            allowed: sum.allowed,
            would_deny: sum.would_deny,
            would_ask: sum.would_ask,
            would_not_ask: sum.would_not_ask,
            refused: sum.refused,
            would_allow: sum.would_allow,
            would_allow_with_consent: sum.would_allow_with_consent,
            cut: sum.cut,
            not_listed: sum.not_listed,
            changes: sum.groups.iter().map(GroupDocument::from).collect(),
        }
    }
}

impl From<&Group> for GroupDocument {
    fn from(group: &Group) -> Self {
        Self {
            kind: group.kind.as_str(),
            command: group.command.clone(),
            old_code: group.old_code.clone(),
            new_code: group.new_code,
            new_rule: group.new_rule.as_ref().map(ToString::to_string),
            reason: group.reason.clone(),
            count: group.count,
            items: group.items.iter().map(ItemDocument::from).collect(),
            changed_to: group.kind,
        }
    }
}

impl From<&Item> for ItemDocument {
    fn from(item: &Item) -> Self {
        Self {
            host: item.circumstances.host.alias.to_string(),
            principal: item.circumstances.principal.to_string(),
            via: item.circumstances.via.as_str(),
            at: item.circumstances.at.to_string(),
            old_rule: item.old_rule.clone(),
        }
    }
}

/// The sum in sentences, then the changes by kind and command.
pub(crate) fn text(document: &Document, style: Style) -> String {
    let mut text = head(document, style);
    let sums = [
        (ChangedTo::Denied, "would have denied", document.would_deny, document.allowed, "that were allowed"),
        (
            ChangedTo::Asked,
            "would have asked for consent to",
            document.would_ask,
            document.allowed,
            "that were allowed",
        ),
        (
            ChangedTo::NotAsked,
            "would not have asked for consent to",
            document.would_not_ask,
            document.allowed,
            "that were allowed",
        ),
        (
            ChangedTo::Allowed,
            "would have allowed",
            document.would_allow,
            document.refused,
            "that were refused",
        ),
        (
            ChangedTo::AllowedWithConsent,
            "would have allowed with consent",
            document.would_allow_with_consent,
            document.refused,
            "that were refused",
        ),
    ];
    for (kind, verb, number, of, which) in sums {
        // What is nothing is worth saying only of the two that everybody asks for.
        if number > 0 || matches!(kind, ChangedTo::Denied | ChangedTo::Allowed) {
            let tone = if number > 0 { tone(kind) } else { Tone::Plain };
            text +=
                &format!("{verb} {} of {} {which}\n", style.paint(tone, &thousands(number)), thousands(of));
        }
    }
    for group in &document.changes {
        text += &format!("\n{}", group_text(group, style));
    }
    if document.not_listed > 0 {
        text += &format!("\nand {} other changes\n", thousands(document.not_listed));
    }
    text + &remarks(document, style)
}

fn head(document: &Document, style: Style) -> String {
    let past = &document.past;
    let span = match (&past.first, &past.last) {
        (Some(first), Some(last)) => format!(", {} to {} UTC", second(first), second(last)),
        _ => String::new(),
    };
    let facts = [
        ("policy", one_line(&document.policy)),
        ("log", format!("{}, {} records{span}", one_line(&past.log), thousands(past.records))),
        ("tags", format!("of hosts: from {}", one_line(&past.tags_from))),
    ];
    let head = facts
        .iter()
        .fold(String::new(), |text, (name, value)| text + &style.faint(&format!("{name:<7}")) + value + "\n");
    head + "\n"
}

fn group_text(group: &GroupDocument, style: Style) -> String {
    let mut text = format!(
        "{}  {}  {} -> {}  {}\n  {}\n",
        style.paint(tone(group.changed_to), group.kind),
        style.strong(&one_line(&group.command)),
        one_line(&group.old_code),
        group.new_code,
        time::count(usize::try_from(group.count).unwrap_or(usize::MAX), "time"),
        one_line(&group.reason),
    );
    for item in group.items.iter().take(SHOWN_ITEMS) {
        let rule = item.old_rule.as_ref().map(|rule| format!("  was rule {rule}")).unwrap_or_default();
        text += &format!(
            "    {}  {}  {} by {}{rule}\n",
            second(&item.at),
            one_line(&item.host),
            one_line(&item.principal),
            item.via
        );
    }
    let shown = u64::try_from(group.items.len().min(SHOWN_ITEMS)).unwrap_or_default();
    if group.count > shown {
        text += &format!("    and {} more\n", thousands(group.count - shown));
    }
    text
}

/// What the figures leave out.
fn remarks(document: &Document, style: Style) -> String {
    let mut remarks = Vec::new();
    if !document.past.unknown_hosts.is_empty() {
        remarks.push(format!(
            "no tags are known of {}; rules by tag did not match there",
            document.past.unknown_hosts.join(", ")
        ));
    }
    if document.cut > 0 {
        remarks
            .push(format!("{} commands are not recorded whole and were not judged", thousands(document.cut)));
    }
    if document.past.other_refusals > 0 {
        remarks.push(format!(
            "{} refusals were not for a rule's sake and were not judged",
            thousands(document.past.other_refusals)
        ));
    }
    remarks.iter().fold(String::new(), |text, remark| {
        let break_before = if text.is_empty() { "\n" } else { "" };
        text + &format!("{break_before}{} {}\n", style.paint(Tone::Warn, "note:"), one_line(remark))
    })
}

const fn tone(kind: ChangedTo) -> Tone {
    match kind {
        ChangedTo::Denied => Tone::Bad,
        ChangedTo::Asked | ChangedTo::AllowedWithConsent | ChangedTo::NotAsked => Tone::Warn,
        ChangedTo::Allowed => Tone::Accent,
    }
}

fn second(at: &str) -> String {
    one_line(&at.get(..19).unwrap_or(at).replace('T', " "))
}

/// `12,031`
fn thousands(number: u64) -> String {
    let digits = number.to_string();
    let head = digits.len() % 3;
    digits.char_indices().fold(String::new(), |mut text, (at, digit)| {
        if at > 0 && at % 3 == head % 3 {
            text.push(',');
        }
        text.push(digit);
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_grouped_by_three() {
        for (number, text) in
            [(0, "0"), (14, "14"), (999, "999"), (1_000, "1,000"), (12_031, "12,031"), (123_456, "123,456")]
        {
            assert_eq!(thousands(number), text);
        }
    }
}
