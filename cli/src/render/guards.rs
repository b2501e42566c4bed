//! What kept the invocations of a detached job from starting twice, in one line of its facts.

use lictor_client::views::{InvocationView, JobView};
use lictor_core::{guard::Guard, outcome::Ran};

use super::style::Style;

/// Hosts named; of more, how many there are says enough.
const MAX_NAMED: usize = 8;

/// The line, with its end; empty for a job that was not asked for as detached.
pub(crate) fn line(job: &JobView, views: &[InvocationView], style: Style) -> String {
    if !job.detached {
        return String::new();
    }
    // What has not ended, or never started, has nothing to say of its guard.
    let ran = |view: &&InvocationView| view.outcome.as_ref().is_some_and(|o| o.ran() != Ran::NotRun);
    let of = |guard| views.iter().filter(ran).filter(|view| view.guard == guard).collect::<Vec<_>>();
    let (host, journal) = (of(Guard::Host), of(Guard::Journal));
    let mut parts = Vec::new();
    if !host.is_empty() {
        parts.push(format!("on the host ({})", named(&host)));
    }
    if !journal.is_empty() {
        parts.push(format!(
            "only in the agent's journal, because the host offered no place for it ({})",
            named(&journal)
        ));
    }
    let text = if parts.is_empty() { "asked for on the host".to_owned() } else { parts.join("; ") };
    style.faint(&format!("{:<8}", "guard")) + &text + "\n"
}

fn named(views: &[&InvocationView]) -> String {
    let names: Vec<&str> = views.iter().take(MAX_NAMED).map(|view| view.host.as_str()).collect();
    let more = views.len() - names.len();
    if more == 0 { names.join(",") } else { format!("{} +{more}", names.join(",")) }
}
