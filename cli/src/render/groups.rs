//! The line above what a group of hosts printed.

use lictor_client::{
    groups::{Group, groups},
    ranges::compact,
    views::InvocationView,
};
use lictor_core::outcome::{Exit, Outcome};

use super::style::{Style, Tone};

/// Most names and ranges of names in a line; JSON has all.
const MAX_NAMES: usize = 32;

/// `198 of 200 hosts SUCCEEDED: web-[1-198]`.
pub(crate) fn header(group: &Group<'_>, all: usize, style: Style) -> String {
    let Some(first) = group.first() else { return String::new() };
    let printed = first.stdout.bytes_total + first.stderr.bytes_total;
    let nothing = if printed == 0 { ", no output" } else { "" };
    format!(
        "{} {} {}{nothing}: {}",
        style.faint("---"),
        number(group.members().len(), all),
        style.paint(Tone::of_state(first.state()), &state(first)),
        style.strong(&names(&group.hosts()))
    )
}

/// The headers of all groups, where some hosts have the same result.
pub(crate) fn summary(views: &[&InvocationView], style: Style) -> String {
    let groups = groups(views.iter().copied());
    if groups.len() == views.len() {
        return String::new();
    }
    groups.iter().fold("\n".to_owned(), |text, group| text + &header(group, views.len(), style) + "\n")
}

/// `198 hosts, error output: web-[1-198]`.
pub(crate) fn header_of_errors(group: &Group<'_>, style: Style) -> String {
    let count = group.members().len();
    format!(
        "{} {}, error output: {}",
        style.faint("---"),
        number(count, count),
        style.strong(&names(&group.hosts()))
    )
}

/// The names in little room, the first of them if they are many.
pub(crate) fn names(hosts: &[&str]) -> String {
    let mut names = compact(hosts.iter().copied());
    let more = names.len().saturating_sub(MAX_NAMES);
    if more > 0 {
        names.truncate(MAX_NAMES);
        names.push(format!("and {more} more names"));
    }
    names.join(", ")
}

fn number(count: usize, all: usize) -> String {
    match (count, all) {
        (1, 1) => "1 host".to_owned(),
        (count, all) if count == all => format!("{count} hosts"),
        (count, all) => format!("{count} of {all} hosts"),
    }
}

fn state(view: &InvocationView) -> String {
    let state = view.state();
    match view.outcome.as_ref() {
        Some(Outcome::Failed(Exit::Code(code))) => format!("{state} (exit {code})"),
        Some(Outcome::Failed(Exit::Signal(signal))) => format!("{state} (signal {signal})"),
        Some(outcome) => outcome.reason_code().map_or(state.to_owned(), |why| format!("{state} ({why})")),
        None => state.to_owned(),
    }
}
