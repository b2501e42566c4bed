//! `limits` and `overrides` of a `policy.yml`.

use lictor_core::limits::{MAX_OUTPUT_BYTES, MAX_TIMEOUT};

use super::{
    Findings,
    policy::failed,
    policy_yaml::{Node, get},
};
use crate::set::PolicyErrors;

/// What the other system forbade when `deny_substrings` was not there (1.0.0 to 1.2.0); blanks at the ends count.
const DEFAULT_FORBIDDEN: [&str; 20] = [
    "rm -rf /",
    ":(){ :|:& };:",
    "mkfs ",
    "dd if=/dev/zero",
    "shutdown -h",
    "reboot",
    "userdel ",
    "passwd ",
    "ssh ",
    "scp ",
    "rsync -e ssh",
    "curl ",
    "wget ",
    "nc ",
    "nmap ",
    "telnet ",
    "kubectl ",
    "aws ",
    "gcloud ",
    "az ",
];
/// Its runtime in seconds when `max_seconds` was not there.
const DEFAULT_SECONDS: u64 = 60;
/// Its output in bytes, of each stream, when `max_output_bytes` was not there.
const DEFAULT_OUTPUT: u64 = 1_048_576;

const KNOWN: [&str; 7] = [
    "max_seconds",
    "max_output_bytes",
    "host_key_auto_add",
    "require_known_host",
    "task_result_ttl",
    "task_progress_interval",
    "deny_substrings",
];

/// Limits and forbidden text of the file, an alias or a tag.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scope {
    pub(crate) seconds: Option<u64>,
    pub(crate) output: Option<u64>,
    pub(crate) forbidden: Option<Vec<String>>,
}

/// Scopes by name.
type Scopes = Vec<(String, Scope)>;

/// The file's limits, with what held when they said nothing, and the overrides by alias and by tag.
pub(crate) fn read(
    root: &[(String, Node)],
    findings: &mut Findings,
) -> Result<(Scope, Scopes, Scopes), PolicyErrors> {
    let mut scope = match get(root, "limits") {
        None => Scope::default(),
        Some(limits) => one("limits", limits, findings)?,
    };
    scope.seconds.get_or_insert(DEFAULT_SECONDS);
    scope.output.get_or_insert(DEFAULT_OUTPUT);
    scope.forbidden.get_or_insert_with(|| DEFAULT_FORBIDDEN.map(str::to_owned).to_vec());
    if scope.forbidden.as_ref().is_some_and(|list| !list.is_empty()) {
        findings.info(
            "limits.deny_substrings",
            "forbidden texts are kept and still deny harmless commands that contain them (`grep reboot /var/log/syslog`); rules of your own do without",
        );
    }
    let overrides = match get(root, "overrides") {
        None => return Ok((scope, Vec::new(), Vec::new())),
        Some(node) => node.as_map().ok_or_else(|| failed("overrides", node, "a map"))?,
    };
    findings.unknown_keys("overrides", overrides, &["aliases", "tags"]);
    Ok((scope, named("aliases", overrides, findings)?, named("tags", overrides, findings)?))
}

fn named(key: &str, overrides: &[(String, Node)], findings: &mut Findings) -> Result<Scopes, PolicyErrors> {
    let place = format!("overrides.{key}");
    let Some(node) = get(overrides, key) else { return Ok(Vec::new()) };
    let entries = node.as_map().ok_or_else(|| failed(&place, node, "a map"))?;
    let mut scopes = Vec::new();
    for (name, limits) in entries {
        let place = format!("{place}.{name}");
        let scope = one(&place, limits, findings)?;
        if scope.forbidden.is_some() {
            findings
                .info(&place, "`deny_substrings` replaces the list of the file here; it does not add to it");
        }
        scopes.push((name.clone(), scope));
    }
    Ok(scopes)
}

fn one(place: &str, node: &Node, findings: &mut Findings) -> Result<Scope, PolicyErrors> {
    let map = node.as_map().ok_or_else(|| failed(place, node, "a map"))?;
    findings.unknown_keys(place, map, &KNOWN);
    for (key, value) in [("require_known_host", false), ("host_key_auto_add", true)] {
        if get(map, key) == Some(&Node::Bool(value)) {
            findings.info(&format!("{place}.{key}"), "it had no effect: a host's key always had to be known");
        }
    }
    for key in ["task_result_ttl", "task_progress_interval"] {
        if get(map, key).is_some() {
            findings.info(
                &format!("{place}.{key}"),
                "jobs and their results are kept by other rules here; it is left out",
            );
        }
    }
    let seconds = number(place, "max_seconds", map)?;
    let output = number(place, "max_output_bytes", map)?;
    let max = MAX_TIMEOUT.as_secs();
    if seconds == Some(0) {
        findings.warning(
            &format!("{place}.max_seconds"),
            format!("0 meant no limit; commands get {max} seconds"),
        );
    } else if seconds.is_some_and(|seconds| seconds > max) {
        findings.warning(&format!("{place}.max_seconds"), format!("commands get {max} seconds at most"));
    }
    let bounded = |bytes: u64| bytes.clamp(1, MAX_OUTPUT_BYTES);
    if output.is_some_and(|bytes| bounded(bytes) != bytes) {
        findings.warning(
            &format!("{place}.max_output_bytes"),
            format!("between 1 and {MAX_OUTPUT_BYTES} bytes of output can be kept"),
        );
    }
    Ok(Scope {
        seconds: seconds.map(|seconds| if seconds == 0 { max } else { seconds.min(max) }),
        output: output.map(bounded),
        forbidden: get(map, "deny_substrings").map(|node| forbidden(place, node, findings)).transpose()?,
    })
}

/// A number as the other system read it: digits in quotes counted too. One below nothing stopped every command.
fn number(place: &str, key: &str, map: &[(String, Node)]) -> Result<Option<u64>, PolicyErrors> {
    let Some(node) = get(map, key) else { return Ok(None) };
    let value = match node {
        Node::Int(value) => u64::try_from(*value).ok(),
        Node::Text(text) => text.trim().parse().ok(),
        Node::Float(value) if value.is_finite() && *value >= 0.0 => format!("{value:.0}").parse().ok(),
        _ => None,
    };
    value.map(Some).ok_or_else(|| failed(&format!("{place}.{key}"), node, "a whole number from 0 on"))
}

fn forbidden(place: &str, node: &Node, findings: &mut Findings) -> Result<Vec<String>, PolicyErrors> {
    let place = format!("{place}.deny_substrings");
    let Some(list) = node.as_list().filter(|list| !list.is_empty()) else {
        let what = if node.as_list().is_some() { "an empty list" } else { node.kind() };
        findings.error(
            &place,
            format!("{what} switched every forbidden text off, and does so here; leave the key out for the usual 20, or list texts"),
        );
        return Ok(Vec::new());
    };
    let mut texts = Vec::new();
    for item in list {
        match item.as_text() {
            // An empty text was skipped there.
            Some("") => {}
            Some(text) => texts.push(text.to_owned()),
            None => return Err(failed(&place, item, "a text, in quotes where YAML reads it otherwise")),
        }
    }
    Ok(texts)
}
