//! The port of a host, as `int()` of Python took it.

use lictor_core::name::HostAlias;

use crate::{
    fields::Fields,
    finding::{Code, Findings},
    yaml::{Kind, Node, Value},
};

/// The SSH port (RFC 4253).
pub(crate) const SSH_PORT: u16 = 22;

/// The port of the host `alias`; `None`, with a finding, when it cannot be used.
pub(crate) fn port(fields: &Fields<'_>, alias: &HostAlias, findings: &mut Findings) -> Option<u16> {
    let Some(node) = fields.get("port") else { return Some(SSH_PORT) };
    let place = fields.place_of("port");
    let Some(port) = number(node) else {
        let what = format!(
            "the port of {alias} is no number from 1 to 65535; mcp-ssh-orchestrator failed at every connection"
        );
        findings.add(
            Code::UnusablePort,
            place,
            what,
            "the host is left out",
            "correct it, or remove it for 22",
        );
        return None;
    };
    if let Value::Scalar(text, Kind::Int(_)) = &node.value
        && *text != port.to_string()
    {
        let what = format!("the port of {alias} is written as another number than it looks: it was {port}");
        findings.add(Code::YamlNumber, place, what, format!("it is {port}"), "");
    }
    if port != SSH_PORT {
        let what = format!("{alias} listens at {port}; mcp-ssh-orchestrator needed two lines in known_hosts");
        let todo = format!("its key is pinned as [address]:{port}; lictor host scan {alias} does it");
        findings.add(Code::OtherPort, place, what, "the port is kept", todo);
    }
    Some(port)
}

fn number(node: &Node) -> Option<u16> {
    let number = match &node.value {
        Value::Scalar(_, Kind::Int(value)) => u16::try_from((*value)?).ok(),
        // `int("22")` and `int(" 22 ")` work, `int("0x16")` and `int("022")` as well as `int(True)` are not meant.
        Value::Scalar(text, Kind::Text) => {
            text.trim().parse().ok().filter(|_| text.trim().bytes().all(|b| b.is_ascii_digit()))
        }
        _ => None,
    };
    number.filter(|n| *n > 0)
}
