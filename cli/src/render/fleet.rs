//! Sites, agents and hosts as tables.

use lictor_client::{
    fleet::{HostView, SiteView},
    operator::{AgentView, RevocationDone},
};
use lictor_core::{
    clock::Timestamp,
    name::{AgentName, SiteName},
};

use super::{
    bytes::one_line,
    style::{Style, Tone},
    table::{Cell, Table},
    time,
};

/// Hosts.
pub(crate) fn hosts(hosts: &[HostView], style: Style) -> String {
    if hosts.is_empty() {
        return "no hosts\n".to_owned();
    }
    // A column that is empty in every row only takes room.
    let has_labels = hosts.iter().any(|host| !host.labels.is_empty());
    let mut table = Table::new(if has_labels {
        &["HOST", "SITE", "TAGS", "LABELS", "ADDRESS", "AGENT", "HOST KEY", "DESCRIPTION"]
    } else {
        &["HOST", "SITE", "TAGS", "ADDRESS", "AGENT", "HOST KEY", "DESCRIPTION"]
    });
    for host in hosts {
        let tags: Vec<&str> = host.tags.iter().map(|tag| tag.as_str()).collect();
        let login = host.address.as_ref().map(|address| match &host.user {
            Some(user) => format!("{user}@{address}"),
            None => address.clone(),
        });
        let labels = Some(&host.labels).filter(|labels| !labels.is_empty());
        let mut row = vec![
            Cell::new(&host.alias).tone(Tone::Strong),
            Cell::new(&host.site),
            if tags.is_empty() { Cell::none() } else { Cell::new(tags.join(",")) },
        ];
        row.extend(has_labels.then(|| Cell::maybe(labels)));
        row.extend([
            Cell::maybe(login),
            yes_or(host.agent_connected, "connected", "offline"),
            yes_or(host.host_key_pinned, "pinned", "not pinned"),
            Cell::new(&host.description),
        ]);
        table.row(row);
    }
    table.render(style, 0)
}

/// Sites.
pub(crate) fn sites(sites: &[SiteView], style: Style) -> String {
    if sites.is_empty() {
        return "no sites\n".to_owned();
    }
    let mut table = Table::new(&["SITE", "HOSTS", "AGENTS CONNECTED"]);
    for site in sites {
        let tone = if site.agents_connected > 0 { Tone::Good } else { Tone::Bad };
        table.row([
            Cell::new(&site.name).tone(Tone::Strong),
            Cell::new(site.hosts).right(),
            Cell::new(site.agents_connected).right().tone(tone),
        ]);
    }
    table.render(style, 0)
}

/// Agents.
pub(crate) fn agents(agents: &[AgentView], now: Timestamp, style: Style) -> String {
    if agents.is_empty() {
        return "no agents\n".to_owned();
    }
    let mut table =
        Table::new(&["SITE", "AGENT", "STATE", "LAST SEEN", "FROM", "RUNNING", "EPOCH", "VERSION"]);
    for agent in agents {
        table.row([
            Cell::new(&agent.site),
            Cell::new(&agent.name).tone(Tone::Strong),
            Cell::state(agent.state.as_str()),
            Cell::maybe(agent.last_seen.map(|seen| time::ago(seen, now))),
            Cell::maybe(agent.address.as_ref()),
            Cell::new(agent.in_flight).right(),
            Cell::new(agent.epoch).right(),
            Cell::maybe(Some(&agent.version).filter(|v| !v.is_empty())),
        ]);
    }
    let refusals = agents.iter().filter_map(|agent| {
        let why = agent.witness_refusal.as_ref()?;
        Some(format!("{}/{} refuses this controller: {}\n", agent.site, agent.name, one_line(why)))
    });
    let revocations = agents.iter().filter_map(|agent| {
        let AgentView { site, name, .. } = agent;
        let said = agent.revocation.as_ref()?.sentence();
        Some(format!("{site}/{name} was {}; {}\n", one_line(&said), way_back(site, name)))
    });
    table.render(style, 0) + &refusals.collect::<String>() + &revocations.collect::<String>()
}

/// What becomes of an agent that is revoked.
pub(crate) fn revoked((site, name): (&SiteName, &AgentName), done: &RevocationDone, style: Style) -> String {
    let said = one_line(&done.revocation.sentence());
    let head = if done.already_revoked {
        format!("nothing changed: {site}/{name} was {said}\n")
    } else {
        format!(
            "{} {site}/{name} is refused from now on; what it has started runs on at its site\n",
            style.paint(Tone::Good, "revoked:")
        )
    };
    format!("{head}{}\n", way_back(site, name))
}

/// How an agent that is revoked comes back.
pub(crate) fn way_back(site: &SiteName, name: &AgentName) -> String {
    format!(
        "to let it serve again: lictor agent token --site {site} --name {name}, and at its site: \
         lictor-agent join --config agent.yml --token-file FILE"
    )
}

fn yes_or(is: bool, yes: &str, no: &str) -> Cell {
    if is { Cell::new(yes).tone(Tone::Good) } else { Cell::new(no).tone(Tone::Bad) }
}
