//! The text of every file of a new directory: the commented examples, with what is known of this installation.

use std::net::SocketAddr;

use lictor_agent::{EXAMPLE_AGENT, EXAMPLE_CREDENTIALS, EXAMPLE_HOSTS};
use lictor_controller::EXAMPLE_CONTROLLER;

use crate::trouble::Trouble;

/// The policy of a new directory: looking is allowed, nothing else.
pub(crate) const POLICY: &str = include_str!("templates/policy.yml");
/// An empty `known_hosts`.
pub(crate) const KNOWN_HOSTS: &str = "# Pinned host keys; `lictor host scan ALIAS` adds to it.\n";

/// `lictor.yml`
pub(crate) fn client(controller: &str) -> Result<String, Trouble> {
    set(include_str!("templates/lictor.yml"), "controller", controller)
}

/// `bridge.yml`
pub(crate) fn bridge(controller: &str) -> Result<String, Trouble> {
    set(include_str!("templates/bridge.yml"), "controller", controller)
}

/// `controller.yml`; the addresses that agents are told are written only where they differ.
pub(crate) fn controller(
    listen: SocketAddr,
    enroll: SocketAddr,
    advertise: &str,
    enroll_advertise: &str,
) -> Result<String, Trouble> {
    let mut text = set(EXAMPLE_CONTROLLER, "listen", &listen.to_string())?;
    text = set(&text, "enroll_listen", &enroll.to_string())?;
    if advertise != listen.to_string() {
        text = set(&text, "advertise", advertise)?;
        text = set(&text, "enroll_advertise", enroll_advertise)?;
    }
    Ok(text)
}

/// `agent.yml` of the local agent.
pub(crate) fn agent(controller: &str) -> Result<String, Trouble> {
    let text = set(EXAMPLE_AGENT, "controller", controller)?;
    let text = set(&text, "state_dir", "state/agent")?;
    let text = set(&text, "identity_dir", "identity/agent")?;
    // A floor is the site owner's own decision; on one machine the policy is.
    let without_floor = text.lines().map(|line| {
        let quiet = if line.starts_with("floor:") { "# " } else { "" };
        format!("{quiet}{line}\n")
    });
    Ok(without_floor.collect())
}

/// `hosts.yml` without a host; the example stands in comments.
pub(crate) fn hosts() -> String {
    empty_list(EXAMPLE_HOSTS, "hosts")
}

/// `credentials.yml` without a credential; the example stands in comments.
pub(crate) fn credentials() -> String {
    empty_list(EXAMPLE_CREDENTIALS, "credentials")
}

/// Gives `key` another value; a key that stands in a comment is taken out of it.
pub(crate) fn set(text: &str, key: &str, value: &str) -> Result<String, Trouble> {
    let is_key = |line: &str| line.strip_prefix("# ").unwrap_or(line).starts_with(&format!("{key}:"));
    let at = text.lines().position(is_key);
    let at = at.ok_or_else(|| Trouble::internal(format!("the example has no key {key}")))?;
    let lines = text
        .lines()
        .enumerate()
        .map(|(number, line)| if number == at { format!("{key}: {value}\n") } else { format!("{line}\n") });
    Ok(lines.collect())
}

/// The example with its list emptied and the entries in comments.
fn empty_list(example: &str, key: &str) -> String {
    let mut entries = false;
    let lines = example.lines().map(|line| match line {
        _ if entries => format!("#{line}\n"),
        _ if line == format!("{key}:") => {
            entries = true;
            format!("# Take the brackets away and put entries below, as in the example.\n{key}: []\n")
        }
        _ => format!("{line}\n"),
    });
    lines.collect()
}

#[cfg(test)]
mod tests {
    use lictor_policy::PolicySet;

    use super::*;

    #[test]
    fn the_policy_of_a_new_directory_loads_as_it_is_and_so_does_its_example() {
        PolicySet::parse(POLICY).unwrap();
        let example: String = POLICY
            .lines()
            .map(|line| match line.strip_prefix('#') {
                Some(rest) if rest.starts_with("  - id:") || rest.starts_with("    ") => format!("{rest}\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        assert_eq!(
            PolicySet::parse(&example).unwrap().rules().count(),
            PolicySet::parse(POLICY).unwrap().rules().count() + 1
        );
    }

    #[test]
    fn a_key_is_set_where_it_stands_and_a_missing_one_is_an_error() {
        assert_eq!(set("a: 1\n# b: 2\n", "b", "3").unwrap(), "a: 1\nb: 3\n");
        assert!(set("a: 1\n", "b", "3").is_err());
        assert_eq!(empty_list("# x\nhosts:\n  - a\n", "hosts").lines().last(), Some("#  - a"));
    }
}
