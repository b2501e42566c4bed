//! What a policy should not say by accident. An error refuses the file unless the rule acknowledges it; a warning is
//! reported by whoever checks the file.

mod between;
mod contradiction;
mod dash;
mod operands;
mod options;
pub(crate) mod programs;
mod reach;
mod starts;
mod subject;
mod transfers;

use std::fmt;

use lictor_core::name::RuleId;

use crate::{
    decision::Effect,
    file::AcknowledgeFile,
    pattern::Pattern,
    rule::{Commands, Rule},
    set::PolicySet,
};

/// What may be wrong with a rule. The names are part of the file format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// A pattern lets its caller start programs that the rule does not name.
    StartsPrograms,
    /// A slot admits a word that starts with a dash.
    LeadingDash,
    /// A free slot reaches a program that starts programs, loads code, writes files or sends data by it.
    FreeOperand,
    /// No command can match the pattern.
    NeverMatches,
    /// A program may open a pager or an editor.
    OpensPager,
    /// Any file of the host may be written.
    WritesFiles,
    /// Any file of the host may be read.
    ReadsAnyFile,
    /// A deny rule denies all that an allow pattern allows.
    AlwaysDenied,
    /// Other rules, or another pattern of the rule, say the same or more.
    Shadowed,
    /// Two patterns differ only in the order of options.
    FlagOrder,
    /// A deny pattern names an option, which has other spellings and places.
    DenyListOfOptions,
    /// An allow rule has no `not_match`.
    NoExamples,
    /// An allow rule lets commands run as root.
    RunsAsRoot,
    /// A finding is acknowledged that the rule does not have.
    UnusedAcknowledge,
}

/// What follows from a finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The file is refused unless the rule acknowledges it.
    Error,
    /// It is reported.
    Warning,
}

/// One finding about one rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LintFinding {
    /// The rule.
    pub rule: RuleId,
    /// The line of the pattern or rule, counted from 1, where it is known.
    pub line: Option<u64>,
    /// What it is.
    pub finding: Finding,
    /// What follows.
    pub severity: Severity,
    /// The pattern, when it is about one.
    pub pattern: Option<String>,
    /// What is wrong, and what to do.
    pub message: String,
}

/// What the lint knows of a rule besides what the rule decides.
#[derive(Debug, Clone, Default)]
pub(crate) struct Notes {
    /// The line of the rule.
    pub(crate) line: Option<u64>,
    /// The lines of its patterns.
    pub(crate) pattern_lines: Vec<Option<u64>>,
    /// What its author knows of.
    pub(crate) acknowledged: Vec<Finding>,
    /// Whether it has lines that it must not match.
    pub(crate) has_counterexample: bool,
}

/// A finding before it is known whether the rule acknowledges it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) finding: Finding,
    /// The index of the pattern.
    pub(crate) pattern: Option<usize>,
    pub(crate) why: String,
}

/// Everything that is to be said about a policy: what its rules acknowledge is left out. In the order of the file; the
/// order of rules changes which of two equal ones is reported, nothing else.
pub fn lint(set: &PolicySet) -> Vec<LintFinding> {
    let rules: Vec<&Rule> = set.rules().collect();
    let mut between = between::findings(&rules);
    let mut all = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let mut found = of_rule(rule);
        found.append(&mut between.remove(&index).unwrap_or_default());
        found.sort_by_key(|f| (f.pattern, f.finding));
        all.extend(reported(rule, found));
    }
    all
}

/// What is to be said about one pattern by itself.
pub(crate) fn of_pattern(pattern: &Pattern, effect: Effect) -> Vec<(Finding, String)> {
    if effect == Effect::Deny {
        let options = options::deny_list_of_options(pattern);
        return options.map(|why| (Finding::DenyListOfOptions, why)).into_iter().collect();
    }
    let subject = subject::of(pattern);
    let starts = starts::starts_programs(&subject);
    // Who may start anything is not told about single operands as well.
    let free = if starts.is_none() { operands::free_operand(&subject) } else { None };
    let reads = if starts.is_none() && free.is_none() { operands::reads_any_file(&subject) } else { None };
    let found = [
        (Finding::StartsPrograms, starts),
        (Finding::LeadingDash, dash::leading_dash(pattern)),
        (Finding::FreeOperand, free),
        (Finding::NeverMatches, contradiction::never_matches(pattern)),
        (Finding::OpensPager, operands::opens_pager(&subject)),
        (Finding::WritesFiles, operands::writes_files(&subject)),
        (Finding::ReadsAnyFile, reads),
    ];
    found.into_iter().filter_map(|(finding, why)| Some((finding, why?))).collect()
}

fn of_rule(rule: &Rule) -> Vec<Found> {
    let mut found = Vec::new();
    if rule.effect() != Effect::Deny && !rule.notes.has_counterexample {
        let why = "no line shows what the rule must not match".to_owned();
        found.push(Found { finding: Finding::NoExamples, pattern: None, why });
    }
    if rule.effect() != Effect::Deny && rule.context.names_root() {
        let why = "what it allows may run as root, who may do everything on the host".to_owned();
        found.push(Found { finding: Finding::RunsAsRoot, pattern: None, why });
    }
    if let Commands::Patterns(patterns) = &rule.commands {
        found.extend(transfers::without_content(rule, patterns));
        for (index, pattern) in patterns.iter().enumerate() {
            let of_pattern = of_pattern(pattern, rule.effect()).into_iter();
            found.extend(of_pattern.map(|(finding, why)| Found { finding, pattern: Some(index), why }));
        }
    }
    found
}

/// Takes out what is acknowledged, and says what is acknowledged for nothing.
fn reported(rule: &Rule, found: Vec<Found>) -> Vec<LintFinding> {
    let notes = &rule.notes;
    let unused = notes.acknowledged.iter().filter(|known| !found.iter().any(|f| f.finding == **known));
    let unused: Vec<Found> = unused
        .map(|known| {
            let why = format!("the rule acknowledges `{known}`, which it does not have");
            Found { finding: Finding::UnusedAcknowledge, pattern: None, why }
        })
        .collect();
    let open = found.into_iter().filter(|f| !notes.acknowledged.contains(&f.finding));
    open.chain(unused)
        .map(|Found { finding, pattern, why }| {
            let line = pattern.and_then(|index| notes.pattern_lines.get(index).copied().flatten());
            LintFinding {
                rule: rule.id().clone(),
                line: line.or(notes.line),
                finding,
                severity: finding.severity(),
                pattern: pattern.and_then(|index| rule.patterns().get(index)).map(ToString::to_string),
                message: format!("{why}; {}", finding.advice()),
            }
        })
        .collect()
}

// === impl Finding ===

impl Finding {
    /// All of them.
    pub const ALL: [Self; 14] = [
        Self::StartsPrograms,
        Self::LeadingDash,
        Self::FreeOperand,
        Self::NeverMatches,
        Self::OpensPager,
        Self::WritesFiles,
        Self::ReadsAnyFile,
        Self::AlwaysDenied,
        Self::Shadowed,
        Self::FlagOrder,
        Self::DenyListOfOptions,
        Self::NoExamples,
        Self::RunsAsRoot,
        Self::UnusedAcknowledge,
    ];

    /// Its name, as `acknowledge` takes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::StartsPrograms => "starts-programs",
            Self::LeadingDash => "leading-dash",
            Self::FreeOperand => "free-operand",
            Self::NeverMatches => "never-matches",
            Self::OpensPager => "opens-pager",
            Self::WritesFiles => "writes-files",
            Self::ReadsAnyFile => "reads-any-file",
            Self::AlwaysDenied => "always-denied",
            Self::Shadowed => "shadowed",
            Self::FlagOrder => "flag-order",
            Self::DenyListOfOptions => "deny-list-of-options",
            Self::NoExamples => "no-examples",
            Self::RunsAsRoot => "runs-as-root",
            Self::UnusedAcknowledge => "unused-acknowledge",
        }
    }

    /// What follows from it. What another rule causes is never an error: a deny must be possible to add at once.
    pub const fn severity(self) -> Severity {
        match self {
            Self::StartsPrograms | Self::LeadingDash | Self::FreeOperand | Self::NeverMatches => {
                Severity::Error
            }
            _ => Severity::Warning,
        }
    }

    /// What to do.
    pub(crate) const fn advice(self) -> &'static str {
        match self {
            Self::StartsPrograms | Self::LeadingDash => "narrow it",
            Self::FreeOperand => "list the values with `<one-of:a|b>`, or bound them with `<path:/dir>`",
            Self::NeverMatches => "correct it",
            Self::OpensPager => "commands run without a terminal, so this matters only if that changes",
            Self::WritesFiles | Self::ReadsAnyFile => {
                "bound it with `<path:/dir>`, or list the files with `<one-of:a|b>`"
            }
            Self::AlwaysDenied => "take it out here or there",
            Self::Shadowed => "take it out, or let it say something of its own",
            Self::FlagOrder => "keep one order",
            Self::DenyListOfOptions => {
                "deny the program or its subcommand, or leave the option out of what is allowed"
            }
            Self::NoExamples => "add `not_match` with lines that come close to what is allowed",
            Self::RunsAsRoot => "name the login that owns what the commands work on",
            Self::UnusedAcknowledge => "take it out",
        }
    }
}

impl Severity {
    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<AcknowledgeFile> for Finding {
    fn from(file: AcknowledgeFile) -> Self {
        match file {
            AcknowledgeFile::StartsPrograms => Self::StartsPrograms,
            AcknowledgeFile::LeadingDash => Self::LeadingDash,
            AcknowledgeFile::FreeOperand => Self::FreeOperand,
            AcknowledgeFile::NeverMatches => Self::NeverMatches,
            AcknowledgeFile::OpensPager => Self::OpensPager,
            AcknowledgeFile::WritesFiles => Self::WritesFiles,
            AcknowledgeFile::ReadsAnyFile => Self::ReadsAnyFile,
            AcknowledgeFile::AlwaysDenied => Self::AlwaysDenied,
            AcknowledgeFile::Shadowed => Self::Shadowed,
            AcknowledgeFile::FlagOrder => Self::FlagOrder,
            AcknowledgeFile::DenyListOfOptions => Self::DenyListOfOptions,
            AcknowledgeFile::NoExamples => Self::NoExamples,
            AcknowledgeFile::RunsAsRoot => Self::RunsAsRoot,
        }
    }
}

// === impl LintFinding ===

impl fmt::Display for LintFinding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        write!(f, "rule `{}`: {}: ", self.rule, self.finding)?;
        if let Some(pattern) = &self.pattern {
            write!(f, "pattern `{pattern}`: ")?;
        }
        f.write_str(&self.message)
    }
}
