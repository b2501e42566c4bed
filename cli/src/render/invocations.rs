//! What became of a job, host by host, as a table; and the one line that sums it up.

use lictor_client::views::{InvocationView, JobView};
use lictor_core::outcome::{Exit, Outcome};

use super::{
    bytes::one_line,
    style::{Style, Tone},
    table::{Cell, Table},
    time,
};

/// One row for each invocation.
pub(crate) fn table(invocations: &[&InvocationView], style: Style) -> String {
    let mut table = Table::new(&["HOST", "SITE", "STATE", "EXIT", "TIME", "STDOUT", "STDERR", "DETAIL"]);
    for view in invocations {
        let bytes = |total: u64, kept: u64| {
            let cut = if kept < total && view.outcome.is_some() { "…" } else { "" };
            Cell::new(format!("{}{cut}", time::size(total))).right()
        };
        table.row([
            Cell::new(&view.host).tone(Tone::Strong),
            Cell::new(&view.site),
            Cell::state(view.state()),
            exit(view.outcome.as_ref()),
            view.duration().map_or_else(Cell::none, |d| Cell::new(time::duration(d))).right(),
            bytes(view.stdout.bytes_total, view.stdout.bytes_kept),
            bytes(view.stderr.bytes_total, view.stderr.bytes_kept),
            Cell::new(detail(view)),
        ]);
    }
    table.render(style, 0)
}

/// The end of one invocation in a line: `web-1 FAILED (exit 3) after 12 ms`.
pub(crate) fn line(view: &InvocationView, style: Style) -> String {
    let state = view.state();
    let what = match &view.outcome {
        Some(outcome) => one_line(&outcome.to_string()),
        None => state.to_owned(),
    };
    let took = view.duration().map(|d| format!(" after {}", time::duration(d))).unwrap_or_default();
    let masked = masked(view).map(|masked| format!(" ({masked})")).unwrap_or_default();
    format!(
        "{} {}{took}{masked}",
        style.strong(view.host.as_str()),
        style.paint(Tone::of_state(state), &what)
    )
}

/// `3 secrets masked`, if any were.
fn masked(view: &InvocationView) -> Option<String> {
    match view.redactions {
        0 => None,
        1 => Some("1 secret masked".to_owned()),
        count => Some(format!("{count} secrets masked")),
    }
}

/// What ended how, in a line: `job_… PARTIAL: 5 succeeded, 1 failed`.
pub(crate) fn summary(job: &JobView, style: Style) -> String {
    let state = job.state.as_str();
    format!(
        "{} {}: {}",
        style.faint(&job.id.to_string()),
        style.paint(Tone::of_state(state), state),
        counts(job)
    )
}

/// `5 succeeded, 1 failed`.
pub(crate) fn counts(job: &JobView) -> String {
    let counts = job.counts;
    let named = [
        (counts.queued, "queued"),
        (counts.active, "running"),
        (counts.succeeded, "succeeded"),
        (counts.failed, "failed"),
        (counts.not_run, "not run"),
        (counts.cancelled, "cancelled"),
        (counts.unknown, "unknown"),
    ];
    let parts: Vec<String> = named
        .iter()
        .filter(|(number, _)| *number > 0)
        .map(|(number, name)| format!("{number} {name}"))
        .collect();
    if parts.is_empty() { "no hosts".to_owned() } else { parts.join(", ") }
}

fn exit(outcome: Option<&Outcome>) -> Cell {
    match outcome {
        Some(Outcome::Failed(Exit::Signal(signal))) => Cell::new(signal).right(),
        other => Cell::maybe(other.and_then(Outcome::exit_code)).right(),
    }
}

fn detail(view: &InvocationView) -> String {
    let mut detail = match &view.outcome {
        Some(Outcome::Denied { code, reason }) => format!("{code}: {reason}"),
        Some(Outcome::Unreachable { reason, detail }) => format!("{}: {detail}", reason.as_str()),
        Some(Outcome::Unknown(reason)) => reason.as_str().to_owned(),
        _ => String::new(),
    };
    if let Some(removed) = &view.output_removed {
        detail += &format!("{}output {removed}", if detail.is_empty() { "" } else { "; " });
    }
    if let Some(resolution) = &view.resolution {
        detail += &format!("; later evidence: {resolution}");
    }
    if let Some(masked) = masked(view) {
        detail += &if detail.is_empty() { masked } else { format!("; {masked}") };
    }
    detail
}
