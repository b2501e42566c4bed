//! What would be decided, host by host.

use lictor_client::policy::{ApprovalTerms, Effect, HostDecision, Plan, QuotaState};
use lictor_runtime::human::{HumanBytes, HumanDuration};

use super::{
    bytes::one_line,
    style::{Style, Tone},
    table::{Cell, Table},
    time::count,
};

/// The command as hosts would receive it, the decisions, each reason once, quotas, and the plan's digest.
pub(crate) fn text(plan: &Plan, style: Style) -> String {
    let mut text =
        format!("{} {}\n", style.faint("command"), style.strong(&one_line(&plan.command.to_string())));
    text += &format!("{} version {}\n", style.faint("policy "), plan.policy_version);
    text += &format!("{} {}\n\n", style.faint("plan   "), plan.plan_digest);
    let mut table = Table::new(&["HOST", "SITE", "DECISION", "RULE", "TIMEOUT", "OUTPUT", "AGENT"]);
    for host in &plan.hosts {
        table.row([
            Cell::new(&host.host).tone(Tone::Strong),
            Cell::maybe(host.site.as_ref()),
            Cell::new(host.effect.as_str()).tone(tone(host.effect)),
            Cell::maybe(host.rule.as_ref()),
            Cell::maybe(host.limits.map(|l| HumanDuration::new(l.timeout))).right(),
            Cell::maybe(host.limits.map(|l| HumanBytes::new(l.output_bytes))).right(),
            if host.agent_connected { Cell::new("connected") } else { Cell::new("offline").tone(Tone::Bad) },
        ]);
    }
    text += &table.render(style, 0);
    text += &reasons(&plan.hosts, style);
    text += &quotas(&plan.quotas, style);
    text + &ending(plan, style)
}

/// How to run it, or why it would not run.
fn ending(plan: &Plan, style: Style) -> String {
    if !permits(plan) {
        return String::new();
    }
    let obstacles = obstacles(plan);
    if obstacles.is_empty() {
        return format!(
            "\n{} lictor run --plan {} and the same arguments run exactly this, or fail as stale\n",
            style.paint(Tone::Accent, "next:"),
            plan.plan_digest
        );
    }
    let refused = style.paint(Tone::Bad, "refused:");
    obstacles.iter().fold("\n".to_owned(), |text, obstacle| text + &format!("{refused} {obstacle}\n"))
}

/// Whether the request would run as it is.
pub(crate) fn runs(plan: &Plan) -> bool {
    permits(plan) && obstacles(plan).is_empty()
}

fn permits(plan: &Plan) -> bool {
    permitted(plan).next().is_some()
}

fn permitted(plan: &Plan) -> impl Iterator<Item = &HostDecision> {
    plan.hosts.iter().filter(|host| host.effect != Effect::Deny)
}

/// Why the whole request would be refused although policy permits it somewhere, as the controller refuses it.
fn obstacles(plan: &Plan) -> Vec<String> {
    let hosts = permitted(plan).count();
    let mut all = Vec::new();
    if permitted(plan).any(|host| host.approvals.iter().any(|terms| terms.mfa)) {
        all.push(
            "consent with a second factor cannot be collected yet: leave out the hosts that ask for it, or ask whoever keeps \
             the policy for a rule without `mfa`"
                .to_owned(),
        );
    }
    if let Some(most) = permitted(plan).filter_map(|host| host.max_hosts).min()
        && hosts > most as usize
    {
        all.push(format!(
            "policy allows at most {} in one job, and these are {hosts}: ask for fewer at a time",
            count(most as usize, "host")
        ));
    }
    for quota in &plan.quotas {
        // What is asked for counts on every host, what is under way only where it runs.
        let more = if quota.per.is_some() { plan.hosts.len() } else { hosts };
        if more > quota.left() as usize {
            all.push(format!(
                "quota `{}` has room for {} of these {}: {}",
                one_line(&quota.id.to_string()),
                quota.left(),
                count(more, "invocation"),
                if quota.per.is_some() {
                    "wait, or ask for fewer hosts"
                } else {
                    "wait until some have ended"
                }
            ));
        }
    }
    all
}

/// Each reason once with what goes with it, however many hosts it holds for.
fn reasons(hosts: &[HostDecision], style: Style) -> String {
    let mut seen: Vec<(&HostDecision, String, usize)> = Vec::new();
    for host in hosts {
        let said = said(host, style);
        match seen.iter_mut().find(|(other, same, _)| other.code == host.code && *same == said) {
            Some((_, _, times)) => *times += 1,
            None => seen.push((host, said, 1)),
        }
    }
    seen.iter().fold(String::new(), |text, (host, said, times)| {
        let head = format!("{} ({})", host.code, count(*times, "host"));
        text + &format!("\n{}\n{said}", style.paint(tone(host.effect), &head))
    })
}

/// The reason, the pattern and word that decided, what goes with it, and what to do next.
fn said(host: &HostDecision, style: Style) -> String {
    let mut text = format!("  {}\n", one_line(&without_host(host)));
    let mut fact = |name: &str, value: String| {
        text += &format!("  {}{}\n", style.faint(&format!("{name:<9}")), one_line(&value));
    };
    if let Some(pattern) = &host.pattern {
        let word = host.word.as_ref().map(|word| format!(", at the word {word:?}")).unwrap_or_default();
        fact("pattern", format!("{pattern}{word}"));
    }
    if host.effect != Effect::Deny {
        let (allowed, denied) = (host.networks_allowed.join(", "), host.networks_denied.join(", "));
        match (allowed.is_empty(), denied.is_empty()) {
            (true, true) => {}
            (false, true) => fact("network", format!("only {allowed}")),
            (true, false) => fact("network", format!("not {denied}")),
            (false, false) => fact("network", format!("only {allowed}; not {denied}")),
        }
        if let Some(most) = host.max_hosts {
            fact("hosts", format!("at most {most} in one job"));
        }
        for terms in &host.approvals {
            fact("consent", consent(terms));
        }
    }
    if !host.hint.is_empty() {
        text += &format!("  {} {}\n", style.paint(Tone::Accent, "next:"), one_line(&host.hint));
    }
    text
}

fn consent(terms: &ApprovalTerms) -> String {
    let within = HumanDuration::new(terms.within);
    let mfa = if terms.mfa { ", with a second factor" } else { "" };
    format!("{} of group {} within {within}{mfa}", terms.approvals, terms.group)
}

fn quotas(quotas: &[QuotaState], style: Style) -> String {
    if quotas.is_empty() {
        return String::new();
    }
    let mut table = Table::new(&["QUOTA", "LIMIT", "USED", "LEFT", "OF"]);
    for quota in quotas {
        let left = quota.left();
        table.row([
            Cell::new(&quota.id).tone(Tone::Strong),
            Cell::new(quota.limit).right(),
            Cell::new(quota.used).right(),
            Cell::new(left).right().tone(if left == 0 { Tone::Bad } else { Tone::Plain }),
            Cell::new(match quota.per {
                Some(per) => format!("invocations in {}", HumanDuration::new(per)),
                None => "invocations under way".to_owned(),
            }),
        ]);
    }
    format!("\n{}", table.render(style, 0))
}

const fn tone(effect: Effect) -> Tone {
    match effect {
        Effect::Allow => Tone::Good,
        Effect::Approve => Tone::Warn,
        Effect::Deny => Tone::Bad,
    }
}

/// The reason in words that hold for every host.
fn without_host(decision: &HostDecision) -> String {
    decision.reason.replacen(&format!(" on {}", decision.host), "", 1)
}
