//! The address of a host: a name, IPv4 or IPv6.

use std::net::Ipv6Addr;

use lictor_core::name::HostAlias;

use crate::{
    fields::Fields,
    finding::{Code, Findings},
};

/// The address of the host `alias`; `None`, with a finding, when there is none that can be used.
pub(crate) fn address(fields: &Fields<'_>, alias: &HostAlias, findings: &mut Findings) -> Option<String> {
    let place = fields.place_of("host");
    let done = "the host is left out";
    let text = fields.text("host", findings).filter(|text| !text.written.trim().is_empty());
    let Some(text) = text else {
        let what = format!("{alias} has no host: with a name or an address");
        findings.add(Code::AddressMissing, place, what, done, "add it");
        return None;
    };
    let trimmed = text.written.trim();
    if trimmed.len() != text.written.len() {
        let what = format!("blanks stand around the address of {alias}; its name could not be resolved so");
        findings.add(Code::AddressBlanks, place, what, "they are dropped", "");
    }
    if let Some(address) = ipv6(trimmed) {
        let what = format!("the address of {alias} is IPv6, which mcp-ssh-orchestrator could not resolve");
        let todo = "if the policy has networks, give those of IPv6 too";
        findings.add(Code::Ipv6, place, what, "the host can be reached now", todo);
        return Some(address);
    }
    if usable(trimmed) {
        return Some(trimmed.to_owned());
    }
    // It is not repeated: user and password may stand in it.
    let what = format!("the address of {alias} is neither a host name nor an IP address");
    let todo = "a name or an address alone: the port goes to port:, the user to credentials.yml";
    findings.add(Code::UnusableAddress, place, what, done, todo);
    None
}

fn usable(text: &str) -> bool {
    !text.starts_with(['-', '.'])
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_'))
}

/// An IPv6 address without brackets, maybe with a zone.
fn ipv6(text: &str) -> Option<String> {
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let (address, zone) = match bare.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (bare, None),
    };
    address.parse::<Ipv6Addr>().ok()?;
    let zone_fits = zone.is_none_or(|z| !z.is_empty() && z.bytes().all(|b| b.is_ascii_alphanumeric()));
    zone_fits.then(|| bare.to_owned())
}
