//! From what a file says to a block of imported rules: every value checked, every problem collected.

use std::collections::{BTreeMap, BTreeSet};

use lictor_core::name::RuleId;
use serde_saphyr::Spanned;

use super::{
    Dialect, Imported, ImportedRule, Scope, What,
    anchor::WordGlob,
    deny::{DenyGlob, Forbidden},
    glob::Glob,
    pattern::Pattern,
    structured::{PathGlob, Structured},
};
use crate::{
    file::{
        LimitsFile,
        imported::{ActionFile, DialectFile, ImportedFile, ImportedRuleFile, OverrideFile, PathArgsFile},
    },
    set::{MAX_LIST, MAX_RULES, PolicyError, units},
};

/// Longest glob or forbidden text, in characters: longer than any command that people write, and short enough that
/// comparing it with the longest command is not felt.
const MAX_GLOB_CHARS: usize = 1_024;
/// Most globs in all rules together; each may be compared with every command.
const MAX_GLOBS: usize = 10_000;
/// Most deny globs and forbidden texts together: each is walked along the whole of every command that has globs.
const MAX_DENIES: usize = 1_000;
/// Farthest place of a word that a rule may name: a command has no more words.
const MAX_PLACE: u64 = lictor_core::limits::MAX_WORDS as u64;

/// Collects problems.
struct Check<'a> {
    problems: &'a mut Vec<PolicyError>,
    line: Option<u64>,
    rule: Option<String>,
    globs: usize,
    denies: usize,
}

/// Checks the block; `None`, and at least one more problem, when something is wrong.
pub(crate) fn check(file: &ImportedFile, problems: &mut Vec<PolicyError>) -> Option<Imported> {
    let before = problems.len();
    let dialect = match file.dialect {
        DialectFile::LastMatch => Dialect::LastMatch,
        DialectFile::FirstMatch => Dialect::FirstMatch,
    };
    let mut check = Check { problems, line: None, rule: None, globs: 0, denies: 0 };
    if file.rules.len() > MAX_RULES {
        check.add(format!("`imported` has more than {MAX_RULES} rules"));
    }
    let mut ids = BTreeSet::new();
    let rules = file.rules.iter().filter_map(|rule| check.rule(rule, dialect, &mut ids)).collect();
    (check.line, check.rule) = (None, None);
    let mut scope = check.limits(file.limits.as_ref());
    scope.forbidden = Some(check.forbidden(&file.deny_substrings));
    let overrides = file.overrides.as_ref();
    let aliases = check.scopes(overrides.map(|o| &o.aliases));
    let tags = check.scopes(overrides.map(|o| &o.tags));
    if check.denies > MAX_DENIES {
        check.add(format!("`imported` has more than {MAX_DENIES} deny globs and forbidden texts"));
    }
    (check.problems.len() == before).then_some(Imported { dialect, rules, scope, aliases, tags })
}

// === impl Check ===

impl Check<'_> {
    fn add(&mut self, message: impl Into<String>) {
        self.problems.push(PolicyError { line: self.line, rule: self.rule.clone(), message: message.into() });
    }

    fn keep<T>(&mut self, result: Result<T, impl ToString>) -> Option<T> {
        result.map_err(|error| self.add(error.to_string())).ok()
    }

    fn rule(
        &mut self,
        spanned: &Spanned<ImportedRuleFile>,
        dialect: Dialect,
        ids: &mut BTreeSet<String>,
    ) -> Option<ImportedRule> {
        let file = &spanned.value;
        self.line = Some(spanned.referenced.line()).filter(|line| *line > 0);
        self.rule = Some(file.id.clone());
        let id = self.keep(RuleId::new(&file.id));
        if !ids.insert(file.id.clone()) {
            self.add("the id is used already in `imported`");
        }
        let aliases = self.names("aliases", file.aliases.as_deref());
        let tags = self.names("tags", file.tags.as_deref());
        let what = match dialect {
            Dialect::LastMatch => self.globs(file),
            Dialect::FirstMatch => self.words(file),
        };
        Some(ImportedRule { id: id?, aliases, tags, what: what? })
    }

    /// Globs for hosts; an empty list is refused, because it said "every host" where these rules come from.
    fn names(&mut self, key: &str, list: Option<&[String]>) -> Option<Vec<Glob>> {
        let list = list?;
        self.bounded(key, list);
        if list.is_empty() {
            self.add(format!("`{key}` is empty; leave it out for every host"));
        }
        Some(list.iter().map(|text| Glob::parse(text)).collect())
    }

    fn bounded(&mut self, key: &str, list: &[String]) {
        self.globs += list.len();
        if list.len() > MAX_LIST {
            self.add(format!("`{key}` has more than {MAX_LIST} entries"));
        }
        if self.globs > MAX_GLOBS && self.globs - list.len() <= MAX_GLOBS {
            self.add(format!("`imported` has more than {MAX_GLOBS} globs"));
        }
        if list.iter().any(|text| text.chars().count() > MAX_GLOB_CHARS) {
            self.add(format!("`{key}` has an entry of more than {MAX_GLOB_CHARS} characters"));
        }
    }

    fn globs(&mut self, file: &ImportedRuleFile) -> Option<What> {
        let other = file.simple_binaries.is_some()
            || file.simple_max_args.is_some()
            || file.binary.is_some()
            || file.arg_prefix.is_some()
            || file.path_args.is_some()
            || file.allow_extra_args.is_some();
        if other {
            self.add("a rule of the dialect `last-match` has `commands` and nothing else that says what it is about");
        }
        let commands = file.commands.as_deref().unwrap_or_default();
        if commands.is_empty() {
            self.add("`commands` is missing or empty, so the rule would never match; leave it out");
        }
        self.bounded("commands", commands);
        if file.action == ActionFile::Deny {
            self.denies += commands.len();
        }
        Some(match file.action {
            ActionFile::Allow => What::Allow(commands.iter().map(|text| Pattern::parse(text)).collect()),
            ActionFile::Deny => What::Deny(commands.iter().map(|text| DenyGlob::parse(text)).collect()),
        })
    }

    fn words(&mut self, file: &ImportedRuleFile) -> Option<What> {
        if file.commands.is_some() {
            self.add("`commands` belongs to the dialect `last-match`; name `simple_binaries` or a `binary`");
        }
        let simple = file.simple_binaries.clone().unwrap_or_default();
        let prefix = file.arg_prefix.clone().unwrap_or_default();
        self.bounded("simple_binaries", &simple);
        self.bounded("arg_prefix", &prefix);
        let paths = file.path_args.as_ref().map(|paths| self.path_args(paths));
        let has_places = !prefix.is_empty() || paths.is_some();
        if simple.is_empty() && file.simple_max_args.is_some() {
            self.add("`simple_max_args` says nothing without `simple_binaries`");
        }
        if file.binary.is_none() && (has_places || file.allow_extra_args.is_some()) {
            self.add("`arg_prefix`, `path_args` and `allow_extra_args` say nothing without `binary`");
        }
        if file.binary.is_some() && !has_places {
            self.add("`binary` alone never matches; add `arg_prefix` or `path_args`, or list it in `simple_binaries`");
        }
        if simple.is_empty() && file.binary.is_none() {
            self.add(
                "the rule would never match: it has neither `simple_binaries` nor `binary`; leave it out",
            );
        }
        let words = Structured {
            simple,
            simple_max: file.simple_max_args,
            binary: file.binary.clone(),
            prefix,
            paths,
            extra: file.allow_extra_args.unwrap_or(true),
        };
        Some(match file.action {
            ActionFile::Allow => What::AllowWords(words),
            ActionFile::Deny => What::DenyWords(words),
        })
    }

    fn path_args(&mut self, file: &PathArgsFile) -> (Vec<i64>, Vec<PathGlob>) {
        self.bounded("path_args.patterns", &file.patterns);
        if file.indices.is_empty() || file.patterns.is_empty() {
            self.add("`path_args` needs both `indices` and `patterns`");
        }
        if file.indices.len() > MAX_LIST || file.indices.iter().any(|place| place.unsigned_abs() > MAX_PLACE)
        {
            self.add(format!(
                "`path_args.indices` names a word beyond the {MAX_PLACE}th, which no command has"
            ));
        }
        let glob = |text: &String| PathGlob(WordGlob::new(Glob::parse(text).tokens().to_vec()));
        (file.indices.clone(), file.patterns.iter().map(glob).collect())
    }

    fn forbidden(&mut self, texts: &[String]) -> Vec<Forbidden> {
        self.bounded("deny_substrings", texts);
        self.denies += texts.len();
        if texts.iter().any(String::is_empty) {
            self.add("`deny_substrings` has an empty text, which would be in every command");
        }
        texts.iter().map(|text| Forbidden::new(text)).collect()
    }

    fn limits(&mut self, file: Option<&LimitsFile>) -> Scope {
        let Some(file) = file else { return Scope::default() };
        Scope {
            timeout: file.timeout.as_deref().and_then(|text| self.keep(units::duration(text))),
            output_bytes: file.output.as_deref().and_then(|text| self.keep(units::size(text))),
            forbidden: None,
        }
    }

    fn scopes(&mut self, files: Option<&BTreeMap<String, OverrideFile>>) -> BTreeMap<String, Scope> {
        let Some(files) = files else { return BTreeMap::new() };
        if files.len() > MAX_LIST {
            self.add(format!("`overrides` has more than {MAX_LIST} entries"));
        }
        let scope = |check: &mut Self, file: &OverrideFile| {
            let mut scope = check.limits(file.limits.as_ref());
            scope.forbidden = file.deny_substrings.as_deref().map(|texts| check.forbidden(texts));
            scope
        };
        files.iter().map(|(name, file)| (name.clone(), scope(self, file))).collect()
    }
}
