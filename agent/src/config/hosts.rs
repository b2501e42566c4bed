//! `hosts.yml` as it is written, and its checks: each host on its own, then how they lie behind each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, Ipv4Addr},
    path::Path,
};

use lictor_core::{
    label::{InvalidLabels, Labels},
    limits::{MAX_HOSTS_PER_SITE, MAX_NOTE_BYTES, MAX_TAGS_PER_HOST},
    name::{HostAlias, Tag},
};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    Problem, Problems,
    file::{read, text_of},
    jumps,
    limits::{channels_per_connection, connections_per_host},
};
use crate::site::Host;

/// The SSH port when a host does not name one (RFC 4253).
const SSH_PORT: u16 = 22;
/// Longest address: a name of the DNS has at most 253 (RFC 1035).
const MAX_ADDRESS_BYTES: usize = 253;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostsFile {
    hosts: Vec<HostEntry>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct HostEntry {
    alias: Spanned<String>,
    address: Spanned<String>,
    port: Option<Spanned<u16>>,
    user: Spanned<String>,
    credential: Spanned<String>,
    via: Option<Spanned<String>>,
    host_key_alias: Option<Spanned<String>>,
    max_connections_per_host: Option<Spanned<usize>>,
    max_channels_per_connection: Option<Spanned<usize>>,
    #[serde(default)]
    tags: Vec<Spanned<String>>,
    #[serde(default)]
    labels: BTreeMap<String, Spanned<String>>,
    #[serde(default)]
    description: String,
}

/// Reads the hosts; `credentials` are the names that may be referred to.
pub(crate) fn load_hosts(
    path: &Path,
    credentials: &BTreeSet<String>,
) -> Result<BTreeMap<HostAlias, Host>, Problems> {
    parse_hosts(path, &text_of(path)?, |name| credentials.contains(name))
}

/// Reads the hosts in `text`, which is what `path` says; `known` tells which credentials there are.
pub(super) fn parse_hosts(
    path: &Path,
    text: &str,
    known: impl Fn(&str) -> bool,
) -> Result<BTreeMap<HostAlias, Host>, Problems> {
    let file: HostsFile = read(path, text)?;
    let mut problems = Problems(Vec::new());
    if file.hosts.len() > MAX_HOSTS_PER_SITE {
        let message = format_args!("there are more than {MAX_HOSTS_PER_SITE} hosts");
        problems.0.push(Problem::new(path, 0, message));
    }
    let mut hosts = BTreeMap::new();
    let mut lines = BTreeMap::new();
    for entry in file.hosts {
        let line = entry.alias.referenced.line();
        let via_line = entry.via.as_ref().map_or(line, |via| via.referenced.line());
        let Some(host) = check_host(path, entry, &known, &mut problems.0) else { continue };
        if hosts.contains_key(&host.alias) {
            problems.0.push(Problem::new(path, line, format_args!("the alias {} is used twice", host.alias)));
        }
        lines.insert(host.alias.clone(), via_line);
        hosts.insert(host.alias.clone(), host);
    }
    // An entry that is wrong in itself is missing here, and whoever is behind it would be reported for it.
    if problems.0.is_empty() {
        let found = jumps::check(&hosts, |alias| lines.get(alias).copied().unwrap_or(0));
        problems.0.extend(found.into_iter().map(|(line, message)| Problem::new(path, line, message)));
    }
    problems.or(hosts)
}

fn check_host(
    path: &Path,
    entry: HostEntry,
    known: &impl Fn(&str) -> bool,
    problems: &mut Vec<Problem>,
) -> Option<Host> {
    let before = problems.len();
    let mut wrong = |line: u64, message: String| problems.push(Problem::new(path, line, message));
    let alias = alias_of(&entry.alias, &mut wrong);
    let address = check_address("address", &entry.address, &mut wrong);
    if !plain(&entry.user.value) {
        wrong(
            entry.user.referenced.line(),
            "user must be a plain word that does not start with a dash".into(),
        );
    }
    if let Some(port) = entry.port.as_ref().filter(|port| port.value == 0) {
        wrong(port.referenced.line(), "port must be 1 to 65535".into());
    }
    if !known(&entry.credential.value) {
        // Its text is not shown: it may be the secret itself.
        let message = "credential must be the name of one in credentials.yml, and this is none";
        wrong(entry.credential.referenced.line(), message.into());
    }
    if entry.tags.len() > MAX_TAGS_PER_HOST {
        wrong(entry.alias.referenced.line(), format!("a host may have at most {MAX_TAGS_PER_HOST} tags"));
    }
    if entry.description.len() > MAX_NOTE_BYTES || entry.description.chars().any(char::is_control) {
        let message = format!("description must be one line of at most {MAX_NOTE_BYTES} bytes");
        wrong(entry.alias.referenced.line(), message);
    }
    let mut tags = Vec::new();
    for tag in &entry.tags {
        match Tag::new(&tag.value) {
            Ok(tag) => tags.push(tag),
            Err(error) => wrong(tag.referenced.line(), error.to_string()),
        }
    }
    let labels = labels_of(&entry, &mut wrong);
    let via = entry.via.as_ref().and_then(|via| alias_of(via, &mut wrong));
    let host_key_alias =
        entry.host_key_alias.as_ref().map(|name| check_address("host_key_alias", name, &mut wrong));
    let max_connections = connections_per_host(entry.max_connections_per_host.as_ref(), &mut wrong);
    let max_channels = channels_per_connection(entry.max_channels_per_connection.as_ref(), &mut wrong);
    let alias = alias.filter(|_| problems.len() == before)?;
    Some(Host {
        alias,
        address,
        port: entry.port.map_or(SSH_PORT, |p| p.value),
        user: entry.user.value,
        credential: entry.credential.value,
        via,
        host_key_alias,
        max_connections,
        max_channels,
        tags,
        labels: labels?,
        description: entry.description,
    })
}

fn labels_of(entry: &HostEntry, wrong: &mut impl FnMut(u64, String)) -> Option<Labels> {
    for (key, value) in &entry.labels {
        if let Err(error) = Labels::new([(key, &value.value)]) {
            wrong(value.referenced.line(), error.to_string());
        }
    }
    let labels = Labels::new(entry.labels.iter().map(|(key, value)| (key, &value.value)));
    if labels == Err(InvalidLabels::TooMany) {
        wrong(entry.alias.referenced.line(), InvalidLabels::TooMany.to_string());
    }
    labels.ok()
}

fn alias_of(text: &Spanned<String>, wrong: &mut impl FnMut(u64, String)) -> Option<HostAlias> {
    HostAlias::new(&text.value).map_err(|e| wrong(text.referenced.line(), e.to_string())).ok()
}

fn plain(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('-') && text.chars().all(|c| c.is_ascii_graphic())
}

/// A name or address in the one form by which keys are filed: IPv6 addresses have many.
fn check_address(key: &str, written: &Spanned<String>, wrong: &mut impl FnMut(u64, String)) -> String {
    let text = written.value.as_str();
    let what =
        if !plain(text) || text.contains(['/', '@', ',', '*', '?', '!']) || text.len() > MAX_ADDRESS_BYTES {
            "must be a host name or an IP address, without a port"
        } else if text.contains('%') {
            "has a zone (%), by which a connection cannot be judged; use an address without one"
        } else if text.contains(['[', ']']) {
            "is written without brackets, and its port under `port`"
        } else if let Ok(address) = text.parse::<IpAddr>() {
            return address.to_string();
        } else if text.contains(':') {
            "is neither a host name nor an IP address; a port is written under `port`"
        } else if text.rsplit('.').next().is_some_and(is_number) && text.parse::<Ipv4Addr>().is_err() {
            // Resolvers read 010.0.0.1 as 8.0.0.1, and 2130706433 as 127.0.0.1.
            "ends in a number and is no IPv4 address: four numbers from 0 to 255, without leading zeros"
        } else {
            return text.to_owned();
        };
    wrong(written.referenced.line(), format!("{key} {what}"));
    String::new()
}

fn is_number(label: &str) -> bool {
    let hex = label.strip_prefix("0x").or_else(|| label.strip_prefix("0X"));
    hex.map_or(!label.is_empty() && label.bytes().all(|b| b.is_ascii_digit()), |hex| {
        hex.bytes().all(|b| b.is_ascii_hexdigit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(entries: &[&str]) -> Result<BTreeMap<HostAlias, Host>, String> {
        let text = entries
            .iter()
            .fold("hosts:\n".to_owned(), |all, e| all + "  - {user: ops, credential: key, " + e + "}\n");
        parse_hosts(Path::new("hosts.yml"), &text, |name| name == "key").map_err(|e| e.to_string())
    }

    #[test]
    fn addresses_have_one_form_and_none_that_resolvers_read_otherwise() {
        for (written, kept) in [
            ("'::1'", "::1"),
            ("'0:0::0001'", "::1"),
            ("'FE80::A'", "fe80::a"),
            ("192.0.2.1", "192.0.2.1"),
            ("db-1.example.com", "db-1.example.com"),
            ("1und1.example", "1und1.example"),
        ] {
            let hosts = parse(&[&format!("alias: a, address: {written}")]).unwrap();
            assert_eq!(hosts.values().next().unwrap().address, kept);
        }
        for (written, why) in [
            ("'fe80::1%eth0'", "zone"),
            ("'[::1]'", "without brackets"),
            ("'[::1]:22'", "without brackets"),
            ("'a:22'", "under `port`"),
            ("010.0.0.1", "leading zeros"),
            ("'2130706433'", "no IPv4 address"),
            ("0x7f.1", "no IPv4 address"),
            ("127.0x1", "no IPv4 address"),
        ] {
            let error = parse(&[&format!("alias: a, address: {written}")]).unwrap_err();
            assert!(error.contains(why) && error.contains("hosts.yml:2"), "{written}: {error}");
        }
    }

    #[test]
    fn a_circle_a_stranger_and_too_many_jumps_are_refused_with_their_line() {
        let circle = parse(&[
            "alias: a, address: a, via: b",
            "alias: b, address: b, via: c",
            "alias: c, address: c, via: b",
        ])
        .unwrap_err();
        assert_eq!(circle.lines().count(), 1, "one circle is one problem: {circle}");
        assert!(circle.contains("hosts.yml:3") && circle.contains("b → c → b"), "{circle}");
        let itself = parse(&["alias: a, address: a, via: a"]).unwrap_err();
        assert!(itself.contains("hosts.yml:2") && itself.contains("a → a"), "{itself}");
        let stranger = parse(&["alias: a, address: a, via: nobody"]).unwrap_err();
        assert!(stranger.contains("hosts.yml:2") && stranger.contains("no host nobody"), "{stranger}");
        let entry = |n: usize| format!("alias: h{n}, address: h{n}, via: h{}", n + 1);
        let chain = |jumps: usize| {
            let mut entries: Vec<_> = (0..jumps).map(entry).collect();
            entries.push(format!("alias: h{jumps}, address: h{jumps}"));
            parse(&entries.iter().map(String::as_str).collect::<Vec<_>>())
        };
        assert_eq!(chain(jumps::MAX_JUMPS).unwrap().len(), jumps::MAX_JUMPS + 1);
        let long = chain(jumps::MAX_JUMPS + 1).unwrap_err();
        assert!(long.contains("hosts.yml:2") && long.contains("at most"), "{long}");
    }

    #[test]
    fn one_address_by_two_ways_needs_a_name_for_its_keys() {
        let jump = "alias: j, address: j";
        let (direct, behind) = ("alias: a, address: 10.0.0.1", "alias: b, address: 10.0.0.1, via: j");
        let error = parse(&[jump, direct, behind]).unwrap_err();
        assert!(error.contains("host_key_alias") && error.contains("hosts.yml:4"), "{error}");
        parse(&[jump, direct, "alias: b, address: 10.0.0.1, via: j, host_key_alias: b"]).unwrap();
        parse(&[jump, direct, "alias: b, address: 10.0.0.1, via: j, port: 2222"]).unwrap();
        parse(&[jump, direct, "alias: c, address: 10.0.0.1"]).unwrap();
        let same = "host_key_alias: one";
        parse(&[jump, &format!("{direct}, {same}"), &format!("{behind}, {same}")]).unwrap();
    }
}
