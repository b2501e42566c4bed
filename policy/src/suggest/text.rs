//! The suggested rules as a policy file.

use std::collections::BTreeMap;

use lictor_core::principal::PrincipalKind;

use super::{
    Draft, LeftOut, MAX_EXAMPLES, MAX_EXAMPLES_PER_RULE, MAX_LEFT_OUT, NEVER_SEEN,
    generalise::{Place, Shape, Slot},
};
use crate::parse::scan::is_bare;

/// What names may have that YAML never reads as something else than text.
const PLAIN_YAML_START: &str = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
/// Longest part of a rule's id that is the program's name.
const MAX_PROGRAM_CHARS: usize = 40;

/// The file.
pub(super) fn policy(drafts: &[Draft], left_out: &[LeftOut], observed: u64) -> String {
    let mut out = format!(
        "# Suggested from {observed} commands that were run. Read every rule before you use it: what was run is not\n\
         # always what should be.\nversion: 1\nrules:"
    );
    if drafts.is_empty() {
        out += " []\n";
    } else {
        out.push('\n');
    }
    let mut ids = BTreeMap::<String, usize>::new();
    for draft in drafts {
        let base = id(&draft.program);
        let number = ids.entry(base.clone()).or_default();
        *number += 1;
        out += &rule(&format!("{base}-{number}"), draft);
    }
    out + &comments(left_out)
}

fn rule(id: &str, draft: &Draft) -> String {
    let mut out = format!("  - id: {id}\n    description: run {}\n    effect: allow\n", times(draft.count));
    let of_kind = |kind: PrincipalKind| {
        let names = draft.callers.iter().filter(|(other, _)| *other == kind);
        names.map(|(_, name)| scalar(name)).collect::<Vec<_>>().join(", ")
    };
    let lists = [("users", of_kind(PrincipalKind::User)), ("services", of_kind(PrincipalKind::Service))];
    let mut who: Vec<String> = lists
        .into_iter()
        .filter(|(_, names)| !names.is_empty())
        .map(|(key, names)| format!("{key}: [{names}]"))
        .collect();
    let doors: Vec<&str> = draft.doors.iter().map(|via| via.as_str()).collect();
    who.push(format!("via: [{}]", doors.join(", ")));
    out += &format!("    who: {{ {} }}\n", who.join(", "));
    let hosts: Vec<String> = draft.hosts.iter().map(|host| scalar(host.as_str())).collect();
    out += &format!("    where: {{ hosts: [{}] }}\n    commands:\n", hosts.join(", "));
    for shape in &draft.shapes {
        out += &format!("      - {}\n", quoted(&pattern(shape).unwrap_or_default()));
    }
    out += "    match:\n";
    let examples = draft.shapes.iter().flat_map(|shape| shape.examples.iter().take(MAX_EXAMPLES));
    for example in examples.take(MAX_EXAMPLES_PER_RULE) {
        out += &format!("      - {}\n", quoted(&command(example)));
    }
    let never = draft.shapes.first().and_then(|shape| shape.examples.first()).map(|example| command(example));
    out + &format!(
        "    not_match:\n      - {}\n",
        quoted(&format!("{} {NEVER_SEEN}", never.unwrap_or_default()))
    )
}

fn comments(left_out: &[LeftOut]) -> String {
    let mut by_reason = BTreeMap::<&str, Vec<&LeftOut>>::new();
    for one in left_out {
        by_reason.entry(&one.why).or_default().push(one);
    }
    let mut out = String::new();
    for (why, mut commands) in by_reason {
        commands.sort_by(|a, b| b.count.cmp(&a.count).then_with(|| a.command.cmp(&b.command)));
        out += &format!("\n# No rule, because {why}:\n");
        for one in commands.iter().take(MAX_LEFT_OUT) {
            out += &format!("#   {}  ({})\n", one.command, times(one.count));
        }
        if commands.len() > MAX_LEFT_OUT {
            out += &format!("#   and {} more\n", commands.len() - MAX_LEFT_OUT);
        }
    }
    out
}

/// The pattern in its short form; `None` when a word cannot be written in it.
pub(super) fn pattern(shape: &Shape) -> Option<String> {
    let place = |place: &Place| match place {
        Place::Word(text) => can_be_quoted(text).then(|| word(text)),
        Place::Slot { prefix, slot } => can_be_quoted(prefix).then(|| {
            let prefix = if prefix.is_empty() { String::new() } else { word(prefix) };
            format!("{prefix}{}", slot_text(slot))
        }),
    };
    Some(shape.places.iter().map(place).collect::<Option<Vec<_>>>()?.join(" "))
}

fn slot_text(slot: &Slot) -> String {
    match slot {
        Slot::Int { min, max } => format!("<int:{min}..{max}>"),
        Slot::Path(root) => format!("<path:{root}>"),
        Slot::OneOf(choices) => format!("<one-of:{}>", choices.join("|")),
        Slot::Host => "<host>".into(),
    }
}

/// A word as patterns and command lines write it: bare, or in one kind of quotes.
pub(super) fn word(text: &str) -> String {
    if !text.is_empty() && text.bytes().all(is_bare) {
        text.to_owned()
    } else if text.contains('\'') {
        format!("\"{text}\"")
    } else {
        format!("'{text}'")
    }
}

fn can_be_quoted(text: &str) -> bool {
    !text.contains('\'') || !text.contains(['"', '$', '`', '\\', '!'])
}

/// A command line that reads back as these words.
pub(super) fn command(words: &[String]) -> String {
    lictor_core::command::Command::from_argv(words).map(|command| command.render()).unwrap_or_default()
}

/// The text in YAML, always in single quotes.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A name in YAML: bare where nobody reads it as a number or a truth value.
fn scalar(name: &str) -> String {
    let is_word = matches!(name, "true" | "false" | "null" | "yes" | "no" | "on" | "off" | "y" | "n");
    let plain = name.starts_with(|c| PLAIN_YAML_START.contains(c)) && !is_word;
    if plain { name.to_owned() } else { quoted(name) }
}

fn times(count: u64) -> String {
    if count == 1 { "once".into() } else { format!("{count} times") }
}

/// The beginning of an id.
fn id(program: &str) -> String {
    let base = program.rsplit('/').next().unwrap_or(program);
    let kept = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let name: String = base.chars().filter(kept).take(MAX_PROGRAM_CHARS).collect();
    format!("observed-{}", if name.is_empty() { "program" } else { &name })
}
