//! Rules of another system: compared as a whole, because what one of them means depends on those around it, and shown
//! line by line.

use super::{Change, ChangeKind, Place, describe::only, uses::Sides};
use crate::{
    file::{
        LimitsFile, PolicyFile,
        imported::{ActionFile, DialectFile, ImportedFile, ImportedRuleFile, OverrideFile},
    },
    set::{PolicySet, read_strictly},
};

/// Whether the block came, went or changed, with the lines that are only in one of the two.
pub(super) fn changes(sides: Sides<'_>) -> Option<Change> {
    let (old, new) = (sides.old.imported(), sides.new.imported());
    let what = match (old, new) {
        (None, None) => return None,
        (Some(old), Some(new)) if old == new => return None,
        (None, Some(_)) => "added",
        (Some(_), None) => "removed",
        (Some(_), Some(_)) => "changed",
    };
    let (old, new) = (block(sides.old), block(sides.new));
    let (mut before, mut after) = (lines(old.as_ref()), lines(new.as_ref()));
    if let (Some(old), Some(new)) = (&old, &new) {
        let (was, is) = (shared_ids(old, new), shared_ids(new, old));
        if was != is {
            before.push(format!("order: {}", was.join(", ")));
            after.push(format!("order: {}", is.join(", ")));
        }
    }
    let (before, after) = only(&before, &after);
    Some(Change::new(&Place::section("imported"), ChangeKind::Both, what).showing(before, after))
}

/// The block as its file writes it: what is checked no longer has the texts.
fn block(set: &PolicySet) -> Option<ImportedFile> {
    read_strictly::<PolicyFile>(set.source()).ok()?.imported
}

/// The ids of `of` that `other` has too, in the order of `of`.
fn shared_ids<'a>(of: &'a ImportedFile, other: &ImportedFile) -> Vec<&'a str> {
    let has = |id: &&str| other.rules.iter().any(|rule| rule.value.id == *id);
    of.rules.iter().map(|rule| rule.value.id.as_str()).filter(has).collect()
}

/// Everything that the block says, a value in each line behind the name of its rule.
fn lines(block: Option<&ImportedFile>) -> Vec<String> {
    let Some(block) = block else { return Vec::new() };
    let dialect = match block.dialect {
        DialectFile::LastMatch => "last-match",
        DialectFile::FirstMatch => "first-match",
    };
    let mut lines = vec![format!("dialect: {dialect}")];
    lines.extend(block.deny_substrings.iter().map(|text| format!("deny_substrings: {text}")));
    lines.extend(limits("", block.limits.as_ref()));
    if let Some(overrides) = &block.overrides {
        let of = |kind: &str, (name, over): (&String, &OverrideFile)| of_override(kind, name, over);
        lines.extend(overrides.aliases.iter().flat_map(|entry| of("alias", entry)));
        lines.extend(overrides.tags.iter().flat_map(|entry| of("tag", entry)));
    }
    lines.extend(block.rules.iter().flat_map(|rule| of_rule(&rule.value)));
    lines
}

fn limits(prefix: &str, limits: Option<&LimitsFile>) -> Vec<String> {
    let Some(LimitsFile { timeout, output }) = limits else { return Vec::new() };
    let line = |key: &str, value: &Option<String>| {
        value.as_ref().map(|value| format!("{prefix}limits.{key}: {value}"))
    };
    line("timeout", timeout).into_iter().chain(line("output", output)).collect()
}

fn of_override(kind: &str, name: &str, over: &OverrideFile) -> Vec<String> {
    let prefix = format!("override of {kind} {name}: ");
    let mut lines = limits(&prefix, over.limits.as_ref());
    if let Some(texts) = &over.deny_substrings {
        lines.push(format!("{prefix}deny_substrings: {}", texts.join(", ")));
    }
    lines
}

fn of_rule(rule: &ImportedRuleFile) -> Vec<String> {
    let action = match rule.action {
        ActionFile::Allow => "allow",
        ActionFile::Deny => "deny",
    };
    let mut lines = vec![format!("rule {}: {action}", rule.id)];
    let mut each = |key: &str, values: Option<&Vec<String>>| {
        let line = |value: &String| format!("rule {}: {key}: {value}", rule.id);
        lines.extend(values.into_iter().flatten().map(line));
    };
    let path_args = rule.path_args.as_ref();
    each("aliases", rule.aliases.as_ref());
    each("tags", rule.tags.as_ref());
    each("commands", rule.commands.as_ref());
    each("simple_binaries", rule.simple_binaries.as_ref());
    each("simple_max_args", rule.simple_max_args.map(|most| vec![most.to_string()]).as_ref());
    each("binary", rule.binary.clone().map(|binary| vec![binary]).as_ref());
    // The order of these counts.
    each("arg_prefix", rule.arg_prefix.as_ref().map(|words| vec![words.join(" ")]).as_ref());
    let indices = path_args.map(|args| args.indices.iter().map(ToString::to_string).collect());
    each("path_args.indices", indices.as_ref());
    each("path_args.patterns", path_args.map(|args| &args.patterns));
    each("allow_extra_args", rule.allow_extra_args.map(|extra| vec![extra.to_string()]).as_ref());
    lines
}
