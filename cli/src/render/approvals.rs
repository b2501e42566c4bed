//! Consent: what waits for it, what exactly is consented to, and what a job waits for.

use lictor_client::{
    approval::{ApprovalRequestView, ApprovalState, ApprovalView},
    views::{InvocationView, JobView},
};
use lictor_core::{approval::words, clock::Timestamp, job::JobState};

use super::{
    bytes::one_line,
    jobs, rollout,
    style::{Style, Tone},
    table::{Cell, Table},
    time,
};

/// Longest command in a table, in characters; nothing is decided by the table.
const MAX_COMMAND: usize = 40;

/// What waits for consent.
pub(crate) fn table(approvals: &[ApprovalRequestView], now: Timestamp, style: Style) -> String {
    if approvals.is_empty() {
        return "nothing waits for consent\n".to_owned();
    }
    let mut table = Table::new(&["JOB", "WHO", "WHEN", "UNTIL", "HOSTS", "MISSING", "YOURS", "COMMAND"]);
    for view in approvals {
        table.row([
            Cell::new(view.job),
            Cell::new(&view.requester),
            Cell::new(time::ago(view.requested_at, now)),
            Cell::new(format!("{} UTC", time::moment(view.approval.expires_at))),
            Cell::new(view.hosts).right(),
            Cell::new(words(&view.missing)),
            Cell::new(if view.why_not.is_none() { "yes" } else { "no" }),
            Cell::new(one_line(&jobs::short(&view.command.to_string(), MAX_COMMAND))),
        ]);
    }
    table.render(style, 0)
}

/// Exactly what is consented to: nothing of it is cut, and nothing in it can move a cursor or hide.
pub(crate) fn whole(
    request: &ApprovalRequestView,
    job: &JobView,
    hosts: &[InvocationView],
    style: Style,
) -> String {
    let approval = &request.approval;
    let command = request.command.render();
    let via = format!(
        "{} via {} {}",
        request.requester,
        request.origin.via.as_str(),
        one_line(&request.origin.client)
    );
    let rules: Vec<String> = approval.rules.iter().map(|rule| format!("`{rule}`")).collect();
    let mut facts = vec![
        ("job", style.strong(&request.job.to_string())),
        ("state", style.paint(Tone::of_state(approval.state.as_str()), approval.state.as_str())),
        ("who", via),
        ("command", style.strong(&one_line(&command))),
        ("", style.faint(&format!("{} as the host's shell reads it", time::count(command.len(), "byte")))),
        ("with", one_line(&request.context.items().join(", "))),
        (
            "detached",
            if request.detached { "it outlives connections and agents".into() } else { String::new() },
        ),
        ("policy", format!("version {}, rule {}", request.policy_version, rules.join(", "))),
        ("why", one_line(&approval.policy_reason)),
        ("needs", approval.whom()),
        ("until", format!("{} UTC", time::moment(approval.expires_at))),
        ("plan", approval.plan.to_string()),
    ];
    facts.extend(rollout::facts(job));
    for consent in &approval.consents {
        let note = consent.note.as_ref().map(|note| format!(": {}", one_line(note.as_str())));
        let when = time::moment(consent.at);
        facts.push(("given", format!("{} at {when} UTC{}", consent.by, note.unwrap_or_default())));
    }
    let text = facts.into_iter().filter(|(_, value)| !value.is_empty());
    let text = text.fold(String::new(), |text, (name, value)| {
        text + &style.faint(&format!("{name:<9}")) + &value + "\n"
    });
    format!("{text}\n{}", on_hosts(hosts, style))
}

/// On which hosts, by which rule and within which limits; and on which it is denied.
fn on_hosts(hosts: &[InvocationView], style: Style) -> String {
    let mut table = Table::new(&["HOST", "SITE", "RULE", "TIMEOUT", "OUTPUT", "WAVE"]);
    let (runs, denied): (Vec<_>, Vec<_>) = hosts.iter().partition(|view| view.wave > 0);
    for view in &runs {
        table.row([
            Cell::new(&view.host).tone(Tone::Strong),
            Cell::new(&view.site),
            view.rule.as_ref().map_or_else(Cell::none, Cell::new),
            Cell::new(time::duration(view.limits.timeout)).right(),
            Cell::new(time::size(view.limits.output_bytes)).right(),
            Cell::new(view.wave).right(),
        ]);
    }
    let mut text =
        format!("it would run on {}:\n{}", time::count(runs.len(), "host"), table.render(style, 2));
    if !denied.is_empty() {
        let names: Vec<&str> = denied.iter().map(|view| view.host.as_str()).collect();
        text += &format!("and not, because it is denied there, on: {}\n", names.join(", "));
    }
    text
}

/// What was decided, in a line.
pub(crate) fn decided(request: &ApprovalRequestView, style: Style) -> String {
    let approval = &request.approval;
    let job = request.job;
    match approval.state {
        ApprovalState::Pending => format!(
            "{} your consent is recorded; still missing: {}\n",
            style.paint(Tone::Good, "approved:"),
            words(&request.missing)
        ),
        ApprovalState::Used => format!(
            "{} nothing is missing any more, and the job goes on\nsee it: lictor watch {job}\n",
            style.paint(Tone::Good, "approved:")
        ),
        _ => format!("{} {}\n", style.paint(Tone::Warn, "denied:"), stands(approval)),
    }
}

/// That a job waits for consent, for whose, and how they give it.
pub(crate) fn waits(job: &JobView, style: Style) -> Option<String> {
    let approval = job.approval.as_ref().filter(|_| job.state == JobState::AwaitingApproval)?;
    let why = one_line(&approval.policy_reason);
    Some(format!(
        "{} {why}\nuntil {} UTC, {} must consent: {}",
        style.paint(Tone::Warn, "waiting:"),
        time::moment(approval.expires_at),
        approval.whom(),
        style.paint(Tone::Accent, &format!("lictor approve {}", job.id)),
    ))
}

/// What has changed between two looks at a job, in a line.
pub(crate) fn news(before: &JobView, after: &JobView) -> Option<String> {
    let (old, new) = (before.approval.as_ref()?, after.approval.as_ref()?);
    if new.state == ApprovalState::Pending {
        let more = new.consents.get(old.consents.len()..).unwrap_or_default();
        return more.last().map(|consent| format!("{} has consented", consent.by));
    }
    (old.state != new.state).then(|| match new.state {
        ApprovalState::Used => "everybody has consented; it begins".to_owned(),
        _ => stands(new),
    })
}

/// The facts of a job that needs or needed consent; none of another.
pub(crate) fn facts(job: &JobView) -> Vec<(&'static str, String)> {
    let Some(approval) = &job.approval else { return Vec::new() };
    let by: Vec<String> = approval.consents.iter().map(|consent| consent.by.to_string()).collect();
    let mut facts = vec![("consent", stands(approval))];
    if !by.is_empty() {
        facts.push(("given by", by.join(", ")));
    }
    facts
}

fn stands(approval: &ApprovalView) -> String {
    let reason = one_line(&approval.reason);
    match approval.state {
        ApprovalState::Pending => {
            format!("waits until {} UTC: {} must consent", time::moment(approval.expires_at), approval.whom())
        }
        ApprovalState::Used => format!("given: {}", approval.whom()),
        ApprovalState::Denied => {
            let by = approval.denied_by.as_ref().map(ToString::to_string).unwrap_or_default();
            format!("refused by {by}: {reason}")
        }
        ApprovalState::Expired => format!("did not come in time: {} had to consent", approval.whom()),
        ApprovalState::Voided => format!("void ({}): {reason}", approval.code),
        ApprovalState::Withdrawn => "not needed any more: the job was stopped".to_owned(),
    }
}
