//! A policy file that was read, with what the lint finds.

use std::path::{Path, PathBuf};

use lictor_policy::{Effect, LintFinding, PolicySet};
use serde::Serialize;

use crate::render::{
    bytes::{lines, one_line},
    style::{Style, Tone},
    time::count,
};

/// What was found.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    file: PathBuf,
    rules: usize,
    allow: usize,
    approve: usize,
    deny: usize,
    imported: usize,
    examples: usize,
    sha256: String,
    findings: Vec<Finding>,
}

#[derive(Debug, Serialize)]
struct Finding {
    rule: String,
    line: Option<u64>,
    finding: &'static str,
    severity: &'static str,
    pattern: Option<String>,
    message: String,
}

// === impl Document ===

impl Document {
    pub(crate) fn new(file: &Path, set: &PolicySet, findings: &[LintFinding]) -> Self {
        let with = |effect| set.rules().filter(|rule| rule.effect() == effect).count();
        let examples =
            |rule: &lictor_policy::Rule| rule.examples_matching().len() + rule.examples_not_matching().len();
        Self {
            file: file.to_owned(),
            rules: set.rules().count(),
            allow: with(Effect::Allow),
            approve: with(Effect::Approve),
            deny: with(Effect::Deny),
            imported: set.imported_rules(),
            examples: set.rules().map(examples).sum(),
            sha256: set.digest().to_string(),
            findings: findings.iter().map(Finding::from).collect(),
        }
    }
}

impl From<&LintFinding> for Finding {
    fn from(found: &LintFinding) -> Self {
        Self {
            rule: found.rule.to_string(),
            line: found.line,
            finding: found.finding.as_str(),
            severity: found.severity.as_str(),
            pattern: found.pattern.clone(),
            message: found.message.clone(),
        }
    }
}

/// Each finding in a line, and the sum.
pub(crate) fn text(document: &Document, style: Style) -> String {
    let mut text = String::new();
    for found in &document.findings {
        let line = found.line.map(|line| format!("line {line}: ")).unwrap_or_default();
        let pattern = found.pattern.as_ref().map(|p| format!(" `{}`", one_line(p))).unwrap_or_default();
        text += &format!(
            "{} {line}rule `{}`:{pattern} {}\n",
            style.paint(Tone::Warn, &format!("{} {}", found.severity, found.finding)),
            one_line(&found.rule),
            lines(&found.message)
        );
    }
    if !document.findings.is_empty() {
        text += "\n";
    }
    let kinds = [(document.allow, "allow"), (document.approve, "approve"), (document.deny, "deny")];
    let kinds: Vec<String> =
        kinds.iter().filter(|(n, _)| *n > 0).map(|(n, kind)| format!("{n} {kind}")).collect();
    let kinds = if kinds.is_empty() { String::new() } else { format!(" ({})", kinds.join(", ")) };
    let imported = match document.imported {
        0 => String::new(),
        n => format!(", {}", count(n, "imported rule")),
    };
    text += &format!(
        "{}  {}, {}{kinds}{imported}, {}{}\n",
        style.paint(Tone::Good, "ok"),
        document.file.display(),
        count(document.rules, "rule"),
        count(document.examples, "example"),
        match document.findings.len() {
            0 => String::new(),
            n => format!(", {}", count(n, "warning")),
        }
    );
    if document.approve > 0 {
        text += &format!(
            "{} {} for consent: what needs it waits until others have given it (lictor approve)\n",
            style.paint(Tone::Warn, "note:"),
            match document.approve {
                1 => "1 rule asks".to_owned(),
                n => format!("{n} rules ask"),
            }
        );
    }
    text
}
