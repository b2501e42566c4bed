//! From what a file says to rules: every value checked, every problem collected with its place.

mod context;
mod people;
mod sections;

use std::{
    collections::{BTreeMap, BTreeSet},
    str::FromStr,
};

use ipnet::IpNet;
use lictor_core::{
    job::Limits,
    limits::{DEFAULT_OUTPUT_BYTES, DEFAULT_TIMEOUT, MAX_OUTPUT_BYTES},
    name::{GroupName, RuleId, WindowName},
    transfer::DOWNLOAD,
};
use serde_saphyr::Spanned;

use super::{
    MAX_DENY_RULES, MAX_LIST, MAX_PATTERNS_PER_RULE, MAX_RULES, PolicyError, PolicyErrors,
    contents::{self, Contents},
    examples, units,
};
use crate::{
    class::ClassName,
    condition::Condition,
    decision::Effect,
    file::{
        AcknowledgeFile, ClassFile, CommandsFile, EffectFile, LimitsFile, LongPatternFile, NetworkFile,
        PatternFile, PolicyFile, RuleFile,
    },
    imported,
    lint::{self, Finding, Severity},
    parse::builtins,
    pattern::{Pattern, deny, long, short},
    rule::{Commands, Examples, Network, PartialLimits, Rule},
    time::Window,
};

/// The only version of the format.
const VERSION: u64 = 1;

/// Why an example does not hold for a rule; `None` when it does.
type ExampleCheck = fn(&Rule, &str) -> Option<String>;

/// How an amount of output is read, with its bound.
type ReadSize = fn(&str) -> Result<u64, String>;

/// Collects problems about one place.
pub(super) struct Problems {
    found: Vec<PolicyError>,
    line: Option<u64>,
    rule: Option<String>,
}

/// The names that the file defines and rules refer to.
#[derive(Clone, Copy)]
pub(super) struct Scope<'a> {
    pub(super) groups: &'a BTreeSet<GroupName>,
    pub(super) windows: &'a [(WindowName, Window)],
}

/// Checks everything.
pub(crate) fn check(file: &PolicyFile) -> Result<Contents, PolicyErrors> {
    if file.version != VERSION {
        return Err(PolicyErrors::one(
            None,
            format!("version {} is not known; this program reads version {VERSION}", file.version),
        ));
    }
    let mut problems = Problems { found: Vec::new(), line: None, rule: None };
    problems.keep(lint::programs::check());
    let limits = problems.limits(file.limits.as_ref(), units::size);
    let network = problems.network(file.network.as_ref());
    let groups = problems.groups(&file.groups);
    let windows = problems.windows(&file.windows);
    let mut freezes = problems.freezes(&file.freezes);
    freezes.sort_by(|a, b| a.id.cmp(&b.id));
    let overrides = problems.overrides(&file.overrides);
    let scope = Scope { groups: &groups.names, windows: &windows };
    let quotas = problems.quotas(&file.quotas, scope);
    let visible = file.visible.as_deref().map(|entries| problems.visible(entries, scope));
    if file.rules.len() > MAX_RULES {
        problems.add(format!("there are more than {MAX_RULES} rules"));
    }
    let mut first_lines = BTreeMap::new();
    let rules: Vec<Rule> =
        file.rules.iter().filter_map(|rule| problems.rule(rule, scope, &mut first_lines)).collect();
    let (denying, by_program) = contents::index(&rules);
    if denying.len() > MAX_DENY_RULES {
        problems.add(format!(
            "there are more than {MAX_DENY_RULES} deny rules; join some: a rule may have many patterns"
        ));
    }
    let imported =
        file.imported.as_ref().and_then(|block| imported::check::check(block, &mut problems.found));
    PolicyErrors::unless_empty(problems.found)?;
    let limits = Limits {
        timeout: limits.timeout.unwrap_or(DEFAULT_TIMEOUT),
        output_bytes: limits.output_bytes.unwrap_or(DEFAULT_OUTPUT_BYTES),
    };
    let memberships = groups.memberships;
    Ok(Contents {
        rules,
        denying,
        by_program,
        limits,
        network,
        memberships,
        windows,
        freezes,
        overrides,
        quotas,
        visible,
        imported,
    })
}

pub(super) fn line_of<T>(spanned: &Spanned<T>) -> Option<u64> {
    Some(spanned.referenced.line()).filter(|line| *line > 0)
}

/// What the lint of the whole file needs besides the rule.
fn notes(spanned: &Spanned<RuleFile>) -> lint::Notes {
    let file = &spanned.value;
    let pattern_lines = match &file.commands {
        CommandsFile::Any(_) => Vec::new(),
        CommandsFile::Patterns(patterns) => patterns.iter().map(line_of).collect(),
    };
    lint::Notes {
        line: line_of(spanned),
        pattern_lines,
        acknowledged: file.acknowledge.iter().copied().map(Finding::from).collect(),
        has_counterexample: !file.not_match.is_empty(),
    }
}

/// The classes that a rule lists.
fn classes(file: &CommandsFile) -> Vec<ClassName> {
    let CommandsFile::Patterns(files) = file else { return Vec::new() };
    let class = |file: &Spanned<PatternFile>| match &file.value {
        PatternFile::Long(LongPatternFile { class: Some(ClassFile::ReadOnly), .. }) => {
            Some(ClassName::ReadOnly)
        }
        PatternFile::Long(LongPatternFile { class: None, .. }) | PatternFile::Short(_) => None,
    };
    files.iter().filter_map(class).collect()
}

/// Whether a rule permits nothing but downloads.
fn only_downloads(rule: &Rule) -> bool {
    match &rule.commands {
        Commands::Any => false,
        Commands::Patterns(patterns) => {
            rule.classes.is_empty() && patterns.iter().all(|pattern| deny::programs(pattern) == [DOWNLOAD])
        }
    }
}

// === impl Problems ===

impl Problems {
    pub(super) fn add(&mut self, message: impl Into<String>) {
        self.found.push(PolicyError { line: self.line, rule: self.rule.clone(), message: message.into() });
    }

    pub(super) fn keep<T>(&mut self, result: Result<T, impl ToString>) -> Option<T> {
        result.map_err(|error| self.add(error.to_string())).ok()
    }

    /// Runs `check` with problems placed at `line`.
    pub(super) fn at<T>(&mut self, line: Option<u64>, check: impl FnOnce(&mut Self) -> T) -> T {
        let before = self.line;
        self.line = line.or(before);
        let out = check(self);
        self.line = before;
        out
    }

    fn rule(
        &mut self,
        spanned: &Spanned<RuleFile>,
        scope: Scope<'_>,
        first_lines: &mut BTreeMap<String, Option<u64>>,
    ) -> Option<Rule> {
        let file = &spanned.value;
        (self.line, self.rule) = (line_of(spanned), Some(file.id.clone()));
        let id = self.keep(RuleId::new(&file.id));
        match first_lines.insert(file.id.clone(), self.line) {
            Some(Some(line)) => self.add(format!("the id is used already, at line {line}")),
            Some(None) => self.add("the id is used already"),
            None => {}
        }
        let effect = match file.effect {
            EffectFile::Allow => Effect::Allow,
            EffectFile::Deny => Effect::Deny,
            EffectFile::Approve => Effect::Approve,
        };
        self.only_for_allow(file, effect);
        let rule = Rule {
            line: self.line,
            who: self.who(file.who.as_ref(), scope),
            hosts: self.hosts(&file.hosts),
            commands: self.commands(&file.commands, effect, &file.acknowledge),
            classes: classes(&file.commands),
            context: self.context(file, effect),
            when: self.when(file.when.as_ref(), scope),
            condition: file.condition.as_deref().and_then(|text| self.keep(Condition::parse(text))),
            globs: file.globs,
            exempt_from_freezes: file.exempt_from_freezes,
            max_hosts: self.max_hosts(file.max_hosts),
            approval: self.approval(file.approve.as_ref(), effect, scope),
            examples: Examples {
                matching: file.matching.iter().map(|line| line.value.clone()).collect(),
                not_matching: file.not_match.iter().map(|line| line.value.clone()).collect(),
            },
            limits: self.limits(file.limits.as_ref(), units::file_size),
            network: self.network(file.network.as_ref()),
            description: file.description.clone(),
            notes: notes(spanned),
            effect,
            id: id?,
        };
        self.only_files_are_large(&rule);
        self.examples(file, &rule);
        Some(rule)
    }

    /// What a command prints goes through memory; a limit that would not hold is a misunderstanding.
    fn only_files_are_large(&mut self, rule: &Rule) {
        let large = rule.limits.output_bytes.is_some_and(|bytes| bytes > MAX_OUTPUT_BYTES);
        if large && !only_downloads(rule) {
            let most = MAX_OUTPUT_BYTES / 1024;
            self.add(format!(
                "`limits.output` is above {most}KiB, the most that is kept of what a command prints; more is only for a rule of which every pattern is one of `{DOWNLOAD}`"
            ));
        }
    }

    /// A key that would do nothing is a misunderstanding.
    fn only_for_allow(&mut self, file: &RuleFile, effect: Effect) {
        if effect != Effect::Deny {
            return;
        }
        let unused = [
            ("globs", file.globs),
            ("exempt_from_freezes", file.exempt_from_freezes),
            ("max_hosts", file.max_hosts.is_some()),
            ("limits", file.limits.is_some()),
            ("network", file.network.is_some()),
        ];
        for (key, _) in unused.into_iter().filter(|(_, present)| *present) {
            self.add(format!("`{key}` has no meaning in a deny rule; leave it out"));
        }
    }

    fn examples(&mut self, file: &RuleFile, rule: &Rule) {
        let checks: [(_, ExampleCheck); 2] =
            [(&file.matching, examples::must_match), (&file.not_match, examples::must_not_match)];
        for (lines, check) in checks {
            for line in lines {
                if let Some(problem) = check(rule, &line.value) {
                    self.at(line_of(line), |p| p.add(problem));
                }
            }
        }
    }

    fn commands(
        &mut self,
        file: &CommandsFile,
        effect: Effect,
        acknowledged: &[AcknowledgeFile],
    ) -> Commands {
        let files = match (file, effect) {
            (CommandsFile::Any(_), Effect::Deny) => return Commands::Any,
            (CommandsFile::Any(_), Effect::Allow | Effect::Approve) => {
                self.add("`commands: any` is only for deny rules: a rule that allows every command allows a shell, and with it everything that no rule can see; list the commands");
                return Commands::Patterns(Vec::new());
            }
            (CommandsFile::Patterns(files), _) => files,
        };
        if files.is_empty() {
            self.add("`commands` is empty; list at least one pattern");
        }
        if files.len() > MAX_PATTERNS_PER_RULE {
            self.add(format!("`commands` has more than {MAX_PATTERNS_PER_RULE} patterns; split the rule"));
        }
        let patterns = files
            .iter()
            .filter_map(|file| self.at(line_of(file), |p| p.pattern(&file.value, effect, acknowledged)));
        Commands::Patterns(patterns.collect())
    }

    fn pattern(
        &mut self,
        file: &PatternFile,
        effect: Effect,
        acknowledged: &[AcknowledgeFile],
    ) -> Option<Pattern> {
        let deny = effect == Effect::Deny;
        match file {
            PatternFile::Short(_) => {}
            PatternFile::Long(LongPatternFile { argv: None, class: Some(_), end: false }) if !deny => {
                return None;
            }
            PatternFile::Long(LongPatternFile { argv: Some(_), class: None, end: _ }) => {}
            PatternFile::Long(LongPatternFile { class: Some(_), .. }) if deny => {
                self.add(
                    "a deny rule has no classes: a class is what is known to be harmless; list patterns",
                );
                return None;
            }
            PatternFile::Long(_) => {
                self.add(
                    "an entry of `commands` is a pattern, or a map with `argv`, or one with only `class`",
                );
                return None;
            }
        }
        let pattern = match file {
            PatternFile::Short(text) => {
                short::parse(text, deny).map_err(|e| format!("pattern `{text}`: {e}"))
            }
            PatternFile::Long(long) => long::build(long, deny).map_err(|e| format!("pattern: {e}")),
        };
        let pattern = self.keep(pattern)?;
        if !deny {
            self.lint(&pattern, acknowledged);
        }
        Some(pattern)
    }

    fn lint(&mut self, pattern: &Pattern, acknowledged: &[AcknowledgeFile]) {
        let programs = deny::programs(pattern);
        if programs.is_empty() {
            self.add(format!("pattern `{pattern}`: an allow rule must spell its program out, or list it with `<one-of:a|b>`"));
        }
        if let Some((_, why)) =
            programs.iter().find_map(|name| builtins::problem(std::iter::once(name.as_str())))
        {
            self.add(format!(
                "pattern `{pattern}` can never match: {why}, which is refused before any rule is asked"
            ));
        }
        let acknowledged: Vec<Finding> = acknowledged.iter().copied().map(Finding::from).collect();
        for (finding, why) in lint::of_pattern(pattern, Effect::Allow) {
            if finding.severity() == Severity::Error && !acknowledged.contains(&finding) {
                let advice = finding.advice();
                self.add(format!(
                    "lint: pattern `{pattern}`: {why}; {advice}, or add `acknowledge: [{finding}]` to the rule"
                ));
            }
        }
    }

    /// A list of names; an empty one is refused, because readers differ on whether it means all or none.
    pub(super) fn names<T: FromStr>(&mut self, key: &str, list: Option<&[String]>) -> Option<Vec<T>>
    where
        T::Err: ToString,
    {
        let list = list?;
        self.bounded(key, list.len());
        let parse =
            |text: &String| text.parse::<T>().map_err(|e| format!("`{key}` has `{text}`: {}", e.to_string()));
        Some(list.iter().filter_map(|text| self.keep(parse(text))).collect())
    }

    pub(super) fn bounded(&mut self, key: &str, length: usize) {
        if length == 0 {
            self.add(format!("`{key}` is empty; leave it out, or list at least one"));
        }
        if length > MAX_LIST {
            self.add(format!("`{key}` has more than {MAX_LIST} entries"));
        }
    }

    pub(super) fn limits(&mut self, file: Option<&LimitsFile>, size: ReadSize) -> PartialLimits {
        let Some(file) = file else { return PartialLimits::default() };
        if file.timeout.is_none() && file.output.is_none() {
            self.add("`limits` is empty; leave it out, or give `timeout` or `output`");
        }
        PartialLimits {
            timeout: file.timeout.as_deref().and_then(|text| self.keep(units::duration(text))),
            output_bytes: file.output.as_deref().and_then(|text| self.keep(size(text))),
        }
    }

    fn network(&mut self, file: Option<&NetworkFile>) -> Network {
        let Some(file) = file else { return Network::default() };
        if file.allow.is_none() && file.deny.is_none() {
            self.add("`network` is empty; leave it out, or give `allow` or `deny`");
        }
        Network {
            allow: file.allow.as_deref().map(|list| self.networks("network.allow", list)),
            deny: file.deny.as_deref().map(|list| self.networks("network.deny", list)).unwrap_or_default(),
        }
    }

    fn networks(&mut self, key: &str, list: &[String]) -> Vec<IpNet> {
        self.bounded(key, list.len());
        list.iter().filter_map(|text| self.keep(units::network(text))).collect()
    }
}
