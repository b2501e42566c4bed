//! `policy.yml` of mcp-ssh-orchestrator as a policy file, with everything that should be known about it.

use super::{
    Finding, Findings, policy_network, policy_rules, policy_scopes, policy_text,
    policy_yaml::{self, Node},
};
use crate::{
    imported::Dialect,
    set::{PolicyErrors, PolicySet},
};

/// What a file of the other system may have at its top.
const KNOWN: [&str; 5] = ["known_hosts_path", "limits", "network", "rules", "overrides"];

/// A policy taken over.
#[derive(Debug, Clone)]
pub struct ImportedPolicy {
    dialect: Dialect,
    findings: Vec<Finding>,
    yaml: String,
    set: PolicySet,
}

/// What is written about one place of the file.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    pub(crate) network: policy_network::Networks,
    pub(crate) scope: policy_scopes::Scope,
    pub(crate) aliases: Vec<(String, policy_scopes::Scope)>,
    pub(crate) tags: Vec<(String, policy_scopes::Scope)>,
    pub(crate) rules: Vec<policy_rules::RuleDraft>,
}

/// Reads a `policy.yml`. Its dialect is told from its rules, unless it is given.
///
/// The policy is the strictest reading of what the file said; whether it can be used without a word from its owner is
/// for the findings to say.
///
/// # Errors
/// When it cannot be read at all: it is not YAML, has a key twice, has a value that made the other system fail on every
/// command, has rules of both dialects, or is longer than a policy may be.
pub fn policy(text: &str, dialect: Option<Dialect>) -> Result<ImportedPolicy, PolicyErrors> {
    let mut findings = Findings::default();
    let root = match policy_yaml::read(text)? {
        Node::Map(root) => root,
        Node::Null => {
            findings.warning("policy.yml", "the file is empty, so nothing is allowed");
            Vec::new()
        }
        other => return Err(failed("policy.yml", &other, "a map")),
    };
    findings.unknown_keys("", &root, &KNOWN);
    let known_hosts = policy_yaml::get(&root, "known_hosts_path").and_then(Node::as_text).unwrap_or_default();
    if known_hosts.is_empty() {
        findings.error(
            "known_hosts_path",
            "it is missing, so every connection failed there; the host keys have to be pinned or scanned before hosts can be used",
        );
    }
    let rules = match policy_yaml::get(&root, "rules") {
        None => &[][..],
        Some(Node::List(rules)) => rules.as_slice(),
        Some(Node::Map(none)) if none.is_empty() => &[],
        Some(other) => return Err(failed("rules", other, "a list")),
    };
    let rules = policy_rules::maps(rules)?;
    let dialect = match dialect {
        Some(dialect) => dialect,
        None => policy_rules::infer(&rules)?,
    };
    let (scope, aliases, tags) = policy_scopes::read(&root, &mut findings)?;
    let draft = Draft {
        network: policy_network::read(policy_yaml::get(&root, "network"), &mut findings)?,
        scope,
        aliases,
        tags,
        rules: policy_rules::read(&rules, dialect, &mut findings)?,
    };
    let yaml = policy_text::write(dialect, &draft);
    let set = PolicySet::parse(&yaml)?;
    Ok(ImportedPolicy { dialect, findings: findings.into_vec(), yaml, set })
}

/// What made the other system fail on every command.
pub(crate) fn failed(place: &str, found: &Node, expected: &str) -> PolicyErrors {
    PolicyErrors::one(
        None,
        format!(
            "`{place}` is {}, not {expected}: with this file nothing ran at all; correct it first",
            found.kind()
        ),
    )
}

// === impl ImportedPolicy ===

impl ImportedPolicy {
    /// Which rule decides when several match.
    pub const fn dialect(&self) -> Dialect {
        self.dialect
    }
    /// What should be known about the file, in its order.
    pub fn findings(&self) -> &[Finding] {
        &self.findings
    }
    /// The policy file: the networks, and the rules as a block of imported rules.
    pub fn to_yaml(&self) -> &str {
        &self.yaml
    }
    /// The policy that the file is.
    pub const fn set(&self) -> &PolicySet {
        &self.set
    }
}
