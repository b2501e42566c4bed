//! What widened and what narrowed.

use lictor_policy::{
    PolicySet,
    diff::{Change, ChangeKind, Place},
};
use serde::Serialize;

use crate::render::{
    bytes::one_line,
    style::{Style, Tone},
    time::count,
};

/// Every change, and how many of each kind.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    old: SideDocument,
    new: SideDocument,
    same_text: bool,
    widened: usize,
    narrowed: usize,
    both: usize,
    neutral: usize,
    changes: Vec<ChangeDocument>,
}

#[derive(Debug, Serialize)]
struct SideDocument {
    name: String,
    sha256: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct ChangeDocument {
    kind: &'static str,
    rule: Option<String>,
    section: &'static str,
    entry: Option<String>,
    what: String,
    before: Option<String>,
    after: Option<String>,
    #[serde(skip)]
    place: String,
}

// === impl Document ===

impl Document {
    pub(crate) fn new(old: (&str, &PolicySet), new: (&str, &PolicySet), changes: &[Change]) -> Self {
        let side = |(name, set): (&str, &PolicySet)| SideDocument {
            name: name.to_owned(),
            sha256: set.digest().to_string(),
        };
        let of_kind = |kind| changes.iter().filter(|change| change.kind == kind).count();
        Self {
            old: side(old),
            new: side(new),
            same_text: old.1.digest() == new.1.digest(),
            widened: of_kind(ChangeKind::Widened),
            narrowed: of_kind(ChangeKind::Narrowed),
            both: of_kind(ChangeKind::Both),
            neutral: of_kind(ChangeKind::Neutral),
            changes: changes.iter().map(ChangeDocument::from).collect(),
        }
    }

    /// The changes alone, for documents about something else.
    pub(crate) fn into_changes(self) -> Vec<ChangeDocument> {
        self.changes
    }
}

impl From<&Change> for ChangeDocument {
    fn from(change: &Change) -> Self {
        let (rule, section, entry) = match &change.place {
            Place::Rule(id) => (Some(id.clone()), "rules", None),
            Place::Section { section, entry } => (None, *section, entry.clone()),
        };
        Self {
            kind: change.kind.as_str(),
            rule,
            section,
            entry,
            what: change.what.clone(),
            before: change.before.clone(),
            after: change.after.clone(),
            place: change.place.to_string(),
        }
    }
}

/// The changes by place, and the sum.
pub(crate) fn text(document: &Document, style: Style) -> String {
    let head = format!(
        "{} {} -> {}\n",
        style.faint("policy"),
        style.strong(&one_line(&document.old.name)),
        style.strong(&one_line(&document.new.name))
    );
    if document.changes.is_empty() {
        let what = if document.same_text { "they are the same" } else { "they mean the same" };
        return head + &format!("\n{what}\n");
    }
    let mut text = head;
    let mut place = None;
    for change in &document.changes {
        if place != Some(&change.place) {
            text += &format!("\n{}\n", style.strong(&one_line(&change.place)));
            place = Some(&change.place);
        }
        text += &change_text(change, style);
    }
    let kinds = [
        (document.widened, "widened"),
        (document.narrowed, "narrowed"),
        (document.both, "both"),
        (document.neutral, "neutral"),
    ];
    let sum: Vec<String> =
        kinds.iter().filter(|(n, _)| *n > 0).map(|(n, kind)| format!("{n} {kind}")).collect();
    text + &format!("\n{}: {}\n", count(document.changes.len(), "change"), sum.join(", "))
}

fn change_text(change: &ChangeDocument, style: Style) -> String {
    let tone = match change.kind {
        "widened" | "both" => Tone::Bad,
        "narrowed" => Tone::Good,
        _ => Tone::Faint,
    };
    let kind = style.paint(tone, &format!("{:<8}", change.kind));
    let line = |sign: &str, text: &Option<String>| {
        let lines = text.iter().flat_map(|text| text.lines());
        lines.map(|line| format!("            {sign} {}\n", one_line(line))).collect::<String>()
    };
    format!("  {kind}  {}\n", one_line(&change.what)) + &line("-", &change.before) + &line("+", &change.after)
}
