//! `network` of a `policy.yml`.

use std::net::IpAddr;

use ipnet::IpNet;

use super::{
    Findings,
    policy::failed,
    policy_yaml::{Node, get},
};
use crate::set::PolicyErrors;

const KNOWN: [&str; 5] = ["allow_ips", "allow_cidrs", "block_ips", "block_cidrs", "require_known_host"];

/// Where connections may go.
#[derive(Debug, Default)]
pub(crate) struct Networks {
    pub(crate) allow: Vec<IpNet>,
    pub(crate) deny: Vec<IpNet>,
}

/// Every address.
const EVERYTHING: [&str; 2] = ["0.0.0.0/0", "::/0"];

/// Reads the networks. An entry that was dropped there is an error; when nothing is left of what was to be allowed, no
/// address is, where every address was.
pub(crate) fn read(node: Option<&Node>, findings: &mut Findings) -> Result<Networks, PolicyErrors> {
    let map = match node {
        None | Some(Node::Null) => return Ok(Networks::default()),
        Some(node) => node.as_map().ok_or_else(|| failed("network", node, "a map"))?,
    };
    findings.unknown_keys("network", map, &KNOWN);
    if get(map, "require_known_host") == Some(&Node::Bool(false)) {
        findings.info("network.require_known_host", "it had no effect: a host's key always had to be known");
    }
    let mut networks = Networks::default();
    let mut meant_to_allow = false;
    for (key, allow) in
        [("allow_ips", true), ("allow_cidrs", true), ("block_ips", false), ("block_cidrs", false)]
    {
        let Some(node) = get(map, key) else { continue };
        let (found, meant) = entries(key, node, findings);
        meant_to_allow |= allow && meant;
        if allow { networks.allow.extend(found) } else { networks.deny.extend(found) }
    }
    if meant_to_allow && networks.allow.is_empty() {
        findings.error("network", "none of the addresses to be allowed is valid, and so every address was allowed there; here none is");
        networks.deny = EVERYTHING.iter().filter_map(|text| text.parse().ok()).collect();
    }
    for list in [&mut networks.allow, &mut networks.deny] {
        list.sort_unstable();
        list.dedup();
    }
    Ok(networks)
}

/// The networks of one list, and whether it was meant to have any.
fn entries(key: &str, node: &Node, findings: &mut Findings) -> (Vec<IpNet>, bool) {
    let place = format!("network.{key}");
    let list = match node {
        Node::List(list) => list.as_slice(),
        Node::Null => &[],
        other => {
            findings.error(
                &place,
                format!("it is {}, not a list, and was ignored there; write a list", other.kind()),
            );
            std::slice::from_ref(other)
        }
    };
    let mut found = Vec::new();
    for (index, item) in list.iter().enumerate() {
        let place = format!("{place}[{index}]");
        let text = item.shown();
        let network = if key.ends_with("_ips") {
            text.parse::<IpAddr>().ok().map(IpNet::from)
        } else {
            text.parse::<IpNet>().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
        };
        match network {
            None => findings
                .error(&place, format!("`{text}` is not valid and was silently dropped there; correct it")),
            Some(network) => {
                if network.trunc() != network {
                    findings.info(
                        &place,
                        format!("`{text}` has bits behind its prefix; it is `{}`", network.trunc()),
                    );
                }
                found.push(network.trunc());
            }
        }
    }
    (found, !list.is_empty())
}
