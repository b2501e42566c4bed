//! What came of cases: those that do not hold, each with its grounds.

use lictor_policy::{
    PolicySet,
    cases::{Case, CaseResult},
};
use serde::Serialize;

use super::explain;
use crate::render::{
    bytes::one_line,
    style::{Style, Tone},
    time::count,
};

/// What came of them.
#[derive(Debug, Serialize)]
pub(crate) struct Document {
    examples: usize,
    cases: usize,
    failed: usize,
    results: Vec<ResultDocument>,
}

#[derive(Debug, Serialize)]
struct ResultDocument {
    line: Option<u64>,
    name: Option<String>,
    command: String,
    passed: bool,
    problems: Vec<String>,
    decision: &'static str,
    code: &'static str,
    rule: Option<String>,
    reason: String,
    /// Only of those that failed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    parts: Vec<explain::PartDocument>,
}

// === impl Document ===

impl Document {
    pub(crate) fn new(set: &PolicySet, cases: &[Case], results: &[CaseResult]) -> Self {
        let examples =
            |rule: &lictor_policy::Rule| rule.examples_matching().len() + rule.examples_not_matching().len();
        let results: Vec<ResultDocument> =
            cases.iter().zip(results).map(|(case, result)| ResultDocument::new(set, case, result)).collect();
        Self {
            examples: set.rules().map(examples).sum(),
            cases: results.len(),
            failed: results.iter().filter(|result| !result.passed).count(),
            results,
        }
    }

    /// Whether every case holds.
    pub(crate) const fn holds(&self) -> bool {
        self.failed == 0
    }
}

impl ResultDocument {
    fn new(set: &PolicySet, case: &Case, result: &CaseResult) -> Self {
        let passed = result.problems.is_empty();
        let explanation = if passed { None } else { case.explain(set) };
        Self {
            line: case.line,
            name: case.name.clone(),
            command: case.text(),
            passed,
            problems: result.problems.clone(),
            decision: result.verdict.effect.as_str(),
            code: result.verdict.code,
            rule: result.verdict.rule.as_ref().map(ToString::to_string),
            reason: result.verdict.reason.clone(),
            parts: explanation.iter().flat_map(explain::PartDocument::of).collect(),
        }
    }
}

/// What does not hold, and the sum.
pub(crate) fn text(document: &Document, style: Style) -> String {
    let mut text = String::new();
    for result in document.results.iter().filter(|result| !result.passed) {
        let line = result.line.map(|line| format!(" (line {line})")).unwrap_or_default();
        let name = result.name.as_ref().unwrap_or(&result.command);
        text += &format!("{}  {}{line}\n", style.paint(Tone::Bad, "fail"), style.strong(&one_line(name)));
        text += &format!("  {}\n", one_line(&result.command));
        for problem in &result.problems {
            text += &format!("  {}\n", one_line(problem));
        }
        text += &format!("  {}\n", style.faint(&one_line(&result.reason)));
        for part in &result.parts {
            text += &explain::part_text(part, style, 2);
        }
        text += "\n";
    }
    let cases = count(document.cases, "case");
    let sum = if document.holds() {
        format!("{}  {} of {cases}", style.paint(Tone::Good, "ok"), document.cases)
    } else {
        style.paint(Tone::Bad, &format!("{} of {cases} failed", document.failed)).to_string()
    };
    text + &format!("{sum}; {} of its rules hold\n", count(document.examples, "example"))
}
