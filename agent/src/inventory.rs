//! What a site says of its hosts to the controller: everything a person needs to choose one, and no secret.

use lictor_proto::pb;

use crate::site::Site;

/// The report of `site`.
pub fn report(site: &Site) -> pb::Inventory {
    let hosts = site.hosts.values().map(|host| pb::InventoryHost {
        alias: host.alias.to_string(),
        tags: host.tags.iter().map(ToString::to_string).collect(),
        description: host.description.clone(),
        address: host_port(&host.address, host.port),
        user: host.user.clone(),
        labels: host.labels.to_texts(),
        host_key_fingerprints: site.known_hosts.fingerprints(&host.key_name()),
    });
    pb::Inventory { hosts: hosts.collect() }
}

/// `address:port`, with brackets around an IPv6 address.
pub(crate) fn host_port(address: &str, port: u16) -> String {
    if address.contains(':') { format!("[{address}]:{port}") } else { format!("{address}:{port}") }
}
