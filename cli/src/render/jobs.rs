//! Jobs: as a table, and one with its facts.

use lictor_client::views::JobView;
use lictor_core::{clock::Timestamp, job::Target};

use super::{
    approvals,
    bytes::one_line,
    invocations::counts,
    rollout,
    style::{Style, Tone},
    table::{Cell, Table},
    time,
};

/// Longest command in a table, in characters.
const MAX_COMMAND: usize = 40;

/// Jobs, in the order given.
pub(crate) fn table(jobs: &[JobView], now: Timestamp, style: Style) -> String {
    if jobs.is_empty() {
        return "no jobs\n".to_owned();
    }
    let mut table = Table::new(&["JOB", "STATE", "WHO", "WHERE", "WHEN", "COMMAND"]);
    for job in jobs {
        table.row([
            Cell::new(job.id),
            Cell::state(job.state.as_str()),
            Cell::new(&job.principal),
            Cell::new(target(&job.target, 1)),
            Cell::new(time::ago(job.created_at, now)),
            Cell::new(short(&job.command.to_string(), MAX_COMMAND)),
        ]);
    }
    table.render(style, 0)
}

/// One job.
pub(crate) fn facts(job: &JobView, style: Style) -> String {
    let state = job.state.as_str();
    let asked = if job.cancel_requested { " (asked to cancel)" } else { "" };
    let via = format!("{} via {} {}", job.principal, job.origin.via.as_str(), one_line(&job.origin.client));
    let facts = [
        ("job", style.strong(&job.id.to_string())),
        ("state", format!("{}{asked}: {}", style.paint(Tone::of_state(state), state), counts(job))),
        ("command", one_line(&job.command.to_string())),
        ("where", one_line(&target(&job.target, 8))),
        ("who", via),
        ("when", format!("{} UTC", time::moment(job.created_at))),
        ("policy", format!("version {}", job.policy_version)),
    ];
    let rollout = approvals::facts(job).into_iter().chain(rollout::facts(job));
    let items = Some(one_line(&job.context.items().join(", "))).filter(|items| !items.is_empty());
    let with = items.map(|items| ("with", items));
    facts
        .into_iter()
        .chain(with)
        .chain(rollout)
        .fold(String::new(), |text, (name, value)| text + &style.faint(&format!("{name:<8}")) + &value + "\n")
}

/// Longest expression shown, in characters: more is in the JSON.
const MAX_EXPRESSION_SHOWN: usize = 60;

/// For which hosts, naming at most `most` of them.
pub(crate) fn target(target: &Target, most: usize) -> String {
    match target {
        Target::Tag(tag) => format!("tag {tag}"),
        Target::Expression(expression) => short(&expression.to_string(), MAX_EXPRESSION_SHOWN),
        Target::Hosts(hosts) => {
            let named: Vec<&str> = hosts.iter().take(most).map(|host| host.as_str()).collect();
            let more = hosts.len() - named.len();
            if more == 0 { named.join(",") } else { format!("{} +{more}", named.join(",")) }
        }
    }
}

/// `text` in at most `most` characters.
pub(crate) fn short(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    text.chars().take(most.saturating_sub(1)).collect::<String>() + "…"
}
