//! What would be decided, host by host.

use lictor_client::policy::{Effect, HostDecision, Plan};
use lictor_runtime::human::{HumanBytes, HumanDuration};

use super::{
    bytes::one_line,
    style::{Style, Tone},
    table::{Cell, Table},
    time::count,
};

/// The command as hosts would receive it, the decisions, and each reason once.
pub(crate) fn text(plan: &Plan, style: Style) -> String {
    let mut text =
        format!("{} {}\n", style.faint("command"), style.strong(&one_line(&plan.command.to_string())));
    text += &format!("{} version {}\n\n", style.faint("policy "), plan.policy_version);
    let mut table = Table::new(&["HOST", "SITE", "DECISION", "RULE", "TIMEOUT", "OUTPUT", "AGENT"]);
    for host in &plan.hosts {
        table.row([
            Cell::new(&host.host).tone(Tone::Strong),
            Cell::maybe(host.site.as_ref()),
            Cell::state(host.effect.as_str()),
            Cell::maybe(host.rule.as_ref()),
            Cell::maybe(host.limits.map(|l| HumanDuration::new(l.timeout))).right(),
            Cell::maybe(host.limits.map(|l| HumanBytes::new(l.output_bytes))).right(),
            if host.agent_connected { Cell::new("connected") } else { Cell::new("offline").tone(Tone::Bad) },
        ]);
    }
    text + &table.render(style, 0) + &reasons(&plan.hosts, style)
}

/// Each code with its reason once, however many hosts it holds for.
fn reasons(hosts: &[HostDecision], style: Style) -> String {
    let mut seen: Vec<(&HostDecision, String, usize)> = Vec::new();
    for host in hosts {
        let reason = without_host(host);
        match seen.iter_mut().find(|(other, same, _)| other.code == host.code && *same == reason) {
            Some((_, _, times)) => *times += 1,
            None => seen.push((host, reason, 1)),
        }
    }
    seen.iter().fold(String::new(), |text, (host, reason, times)| {
        let tone = if host.effect == Effect::Allow { Tone::Good } else { Tone::Bad };
        let head = format!("{} ({})", host.code, count(*times, "host"));
        let hint = if host.hint.is_empty() {
            String::new()
        } else {
            format!("  {} {}\n", style.paint(Tone::Accent, "next:"), one_line(&host.hint))
        };
        text + &format!("\n{}\n  {}\n{hint}", style.paint(tone, &head), one_line(reason))
    })
}

/// The reason in words that hold for every host.
fn without_host(decision: &HostDecision) -> String {
    decision.reason.replacen(&format!(" on {}", decision.host), "", 1)
}
