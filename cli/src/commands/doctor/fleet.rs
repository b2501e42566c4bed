//! What the controller tells, and whether the hosts of this site answer.

use std::time::Duration;

use lictor_agent::{AgentConfig, site::Site};
use lictor_client::operator::AgentState;
use lictor_core::revocation::Revocation;
use lictor_runtime::exit::Exit;
use tokio::net::TcpStream;

use super::Finding;
use crate::{
    context::Connected,
    home::Home,
    render::{fleet::way_back, time::count},
    trouble::exit_of,
};

/// Longest wait for a host to answer; one that takes longer is of no use to anybody.
const ANSWER_WAIT: Duration = Duration::from_secs(3);
/// Most hosts tried; a site of thousands is not a doctor's work.
const MAX_TRIED: usize = 100;

/// What the controller tells, and whether it knows any host.
pub(super) async fn look(connected: &Connected) -> (Vec<Finding>, bool) {
    let client = connected.client();
    let sites = match client.sites().await {
        Ok(sites) => sites,
        Err(failure) => {
            let exit = exit_of(failure.code);
            return (vec![Finding::fail("controller", failure.message, failure.next_step, exit)], false);
        }
    };
    let mut findings = vec![Finding::ok(
        "controller",
        format!("{} answers, {}", client.address(), count(sites.len(), "site")),
    )];
    match connected.operator.agents().await {
        Err(failure) => {
            findings.push(Finding::fail("agents", failure.message, failure.next_step, exit_of(failure.code)))
        }
        Ok(agents) => findings.extend(agents.iter().map(|agent| {
            let name = format!("{}/{} is {}", agent.site, agent.name, agent.state.as_str());
            match agent.state {
                AgentState::Connected => Finding::ok("agent", name),
                AgentState::Suspect => Finding::warn("agent", name, "see its log and the network"),
                AgentState::WitnessRefused => {
                    let why = agent.witness_refusal.clone().unwrap_or_default();
                    Finding::fail("agent", name, why, Exit::AuditFailed)
                }
                AgentState::Revoked => {
                    let said = agent.revocation.as_ref().map(Revocation::sentence).unwrap_or_default();
                    Finding::warn("agent", format!("{name}: {said}"), way_back(&agent.site, &agent.name))
                }
                AgentState::Disconnected => {
                    Finding::warn("agent", name, "start it: lictor-agent run --config FILE")
                }
            }
        })),
    }
    let mut has_hosts = false;
    match client.hosts(None).await {
        Err(failure) => {
            findings.push(Finding::fail("hosts", failure.message, failure.next_step, exit_of(failure.code)))
        }
        // A fleet without hosts is a warning of the site's files.
        Ok(hosts) if hosts.is_empty() => {}
        Ok(hosts) => {
            has_hosts = true;
            let open: Vec<&str> =
                hosts.iter().filter(|h| !h.host_key_pinned).map(|h| h.alias.as_str()).collect();
            findings.push(if open.is_empty() {
                Finding::ok("host keys", format!("pinned for {}", count(hosts.len(), "host")))
            } else {
                let detail = format!("none is pinned for {}, so nothing can run there", open.join(", "));
                let which = if let [one] = open.as_slice() { *one } else { "--all" };
                Finding::warn("host keys", detail, format!("at the site: lictor host scan {which}"))
            });
        }
    }
    (findings, has_hosts)
}

/// Whether the SSH ports of this site's hosts answer; nothing is sent to them.
pub(super) async fn reach_hosts(home: &Home) -> Vec<Finding> {
    let config = AgentConfig::load(&home.agent_file());
    // What is wrong with the files has been said before.
    let Some(site) = config.ok().and_then(|config| Site::load(&config.site, 0).ok()) else {
        return Vec::new();
    };
    let tried: Vec<_> = site
        .hosts
        .values()
        // What is behind a jump host is not reached from here.
        .filter(|host| host.via.is_none())
        .take(MAX_TRIED)
        .map(|host| {
            let (alias, address, port) = (host.alias.to_string(), host.address.clone(), host.port);
            tokio::spawn(async move {
                let answer =
                    tokio::time::timeout(ANSWER_WAIT, TcpStream::connect((address.as_str(), port))).await;
                let why = match answer {
                    Ok(Ok(_)) => return None,
                    Ok(Err(error)) => error.to_string(),
                    Err(_) => format!("no answer within {} s", ANSWER_WAIT.as_secs()),
                };
                let detail = format!("{alias} at {address}:{port}: {why}");
                Some(Finding::warn(
                    "host",
                    detail,
                    "check address and port in hosts.yml, and the host itself",
                ))
            })
        })
        .collect();
    let number = tried.len();
    let behind = site.hosts.values().filter(|host| host.via.is_some()).count();
    let mut findings = Vec::new();
    for look in tried {
        findings.extend(look.await.ok().flatten());
    }
    if findings.is_empty() && number > 0 {
        findings.push(Finding::ok("hosts", format!("{} answer on their SSH ports", number)));
    }
    if behind > 0 {
        let detail =
            format!("{} behind jump hosts not tried; lictor host scan HOST tries one", count(behind, "host"));
        findings.push(Finding::ok("hosts", detail));
    }
    findings
}
