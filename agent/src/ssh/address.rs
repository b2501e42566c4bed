//! From a name to a connected address that policy allows: checked before a byte of SSH is sent.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use ipnet::IpNet;
use lictor_core::{name::HostAlias, outcome::Unreachable};
use tokio::{
    net::{TcpStream, lookup_host},
    time::timeout,
};

use super::host_key::Refused;
use crate::{inventory::host_port, site::Host};

/// Time for a name to resolve; resolvers give up after 5 s and try a second server.
const RESOLVE_TIMEOUT: Duration = Duration::from_secs(10);
/// Time for one address to answer: above a lost SYN and its two repetitions.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(8);
/// Addresses tried of one name; a name with more is a pool, of which these stand for all.
const MAX_ADDRESSES: usize = 4;

/// Where a connected address must and must not lie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Networks {
    /// Lists of which each must contain the address; an empty list says nothing.
    allowed: Vec<Vec<IpNet>>,
    denied: Vec<IpNet>,
}

// === impl Networks ===

impl Networks {
    /// Adds the terms of one decision; every decision has to be met.
    pub fn restrict(&mut self, allowed: Vec<IpNet>, denied: impl IntoIterator<Item = IpNet>) {
        if !allowed.is_empty() {
            self.allowed.push(allowed);
        }
        self.denied.extend(denied);
    }

    /// The lists of which each must contain the address, and the networks in which it must not lie.
    pub(crate) fn lists(&self) -> (&[Vec<IpNet>], &[IpNet]) {
        (&self.allowed, &self.denied)
    }

    /// Whether `address` lies where it may. An IPv4 address inside IPv6 counts as the IPv4 address it is.
    pub fn permit(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        !self.denied.iter().any(|net| net.contains(&address))
            && self.allowed.iter().all(|list| list.iter().any(|net| net.contains(&address)))
    }

    /// Whether anything is said at all.
    pub(crate) fn restrict_anything(&self) -> bool {
        !self.allowed.is_empty() || !self.denied.is_empty()
    }

    /// What of it holds for jump hosts on the way. Where a command may run says nothing of the way there, which is the
    /// site's own; where nothing may be connected to holds for every connection.
    pub(crate) fn for_jump_hosts(&self) -> Self {
        Self { allowed: Vec::new(), denied: self.denied.clone() }
    }
}

/// What a connection leads to.
#[derive(Debug, Clone)]
pub(crate) struct Peer {
    /// `address:port`, as it was connected to or asked for.
    at: String,
    /// `None`: a jump host resolved the name, and nobody here saw to what.
    ip: Option<IpAddr>,
    via: Option<(HostAlias, Arc<Peer>)>,
}

// === impl Peer ===

impl Peer {
    /// What this end is connected to.
    pub(crate) fn direct(address: SocketAddr) -> Self {
        Self { at: address.to_string(), ip: Some(address.ip()), via: None }
    }

    /// What `jump`, connected to `peer`, is asked to connect to.
    pub(crate) fn behind(jump: HostAlias, peer: Arc<Self>, host: &Host) -> Self {
        let at = host_port(&host.address, host.port);
        Self { at, ip: host.address.parse().ok(), via: Some((jump, peer)) }
    }

    /// Whether all of it lies where it may.
    pub(crate) fn permitted(&self, networks: &Networks) -> bool {
        let here = match self.ip {
            Some(ip) => networks.permit(ip),
            None => !networks.restrict_anything(),
        };
        here && self.via.as_ref().is_none_or(|(_, jump)| jump.permitted(&networks.for_jump_hosts()))
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.via {
            None => f.write_str(&self.at),
            Some((jump, peer)) => write!(f, "{} via {jump} ({peer})", self.at),
        }
    }
}

/// Judges the address of a host that a jump host is to connect to. A name is resolved there and not here, so where
/// networks are restricted there has to be an address.
pub(crate) fn judge_behind(host: &Host, jump: &HostAlias, networks: &Networks) -> Result<(), Refused> {
    match host.address.parse() {
        Ok(address) if networks.permit(address) => Ok(()),
        Ok(address) => Err(denied(&host.address, Some(address))),
        Err(_) if !networks.restrict_anything() => Ok(()),
        Err(_) => {
            let (alias, name) = (&host.alias, &host.address);
            let detail = format!(
                "policy restricts the networks of {alias}, and the jump host {jump} resolves {name} out of sight; \
                 write its IP address in place of {name} in hosts.yml"
            );
            Err(Refused { reason: Unreachable::AddressDenied, detail })
        }
    }
}

/// Resolves and connects; addresses that are not allowed are not even tried.
pub(crate) async fn dial(
    name: &str,
    port: u16,
    networks: &Networks,
) -> Result<(TcpStream, SocketAddr), Refused> {
    let failed = |detail: String| Refused { reason: Unreachable::ConnectFailed, detail };
    let found: Vec<SocketAddr> = match timeout(RESOLVE_TIMEOUT, lookup_host((name, port))).await {
        Err(_) => return Err(failed(format!("{name} did not resolve in time"))),
        Ok(Err(error)) => return Err(failed(format!("{name} does not resolve: {error}"))),
        Ok(Ok(found)) => found.collect(),
    };
    let allowed: Vec<_> =
        found.iter().copied().filter(|a| networks.permit(a.ip())).take(MAX_ADDRESSES).collect();
    if allowed.is_empty() && !found.is_empty() {
        return Err(denied(name, found.first().map(SocketAddr::ip)));
    }
    let mut last = format!("{name} has no address");
    for address in allowed {
        match timeout(CONNECT_TIMEOUT, connect(address)).await {
            Err(_) => last = format!("{address} did not answer in time"),
            Ok(Err(error)) => last = format!("{address}: {error}"),
            Ok(Ok((stream, peer))) if networks.permit(peer.ip()) => return Ok((stream, peer)),
            Ok(Ok((_, peer))) => return Err(denied(name, Some(peer.ip()))),
        }
    }
    Err(failed(last))
}

async fn connect(address: SocketAddr) -> io::Result<(TcpStream, SocketAddr)> {
    let stream = TcpStream::connect(address).await?;
    // Without it each exec waits for the other side's delayed acknowledgement (40 ms).
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?;
    Ok((stream, peer))
}

pub(crate) fn denied(name: &str, address: Option<IpAddr>) -> Refused {
    let at = address.map(|a| format!(" ({})", a.to_canonical())).unwrap_or_default();
    let detail = format!("the address of {name}{at} is outside the networks that policy allows");
    Refused { reason: Unreachable::AddressDenied, detail }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_decision_must_permit_and_mapped_addresses_count_as_ipv4() {
        let nets = |list: &[&str]| list.iter().map(|n| n.parse().unwrap()).collect::<Vec<IpNet>>();
        let mut networks = Networks::default();
        assert!(networks.permit("203.0.113.9".parse().unwrap()));
        networks.restrict(nets(&["10.0.0.0/8", "fd00::/8"]), nets(&["10.6.6.6/32"]));
        networks.restrict(nets(&["10.6.0.0/16"]), []);
        for (address, expected) in [
            ("10.6.1.1", true),
            ("::ffff:10.6.1.1", true),
            ("10.7.1.1", false),
            ("10.6.6.6", false),
            ("::ffff:10.6.6.6", false),
            ("fd00::1", false),
        ] {
            assert_eq!(networks.permit(address.parse().unwrap()), expected, "{address}");
        }
    }
}
