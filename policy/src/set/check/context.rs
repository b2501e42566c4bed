//! Checking what a rule says of variables, directories, logins and standard input.

use lictor_core::context::LoginName;

use super::{Problems, classes};
use crate::{
    decision::Effect,
    file::{RuleFile, StdinFile},
    rule::context::{DirectoryPattern, InContext, StdinBound, VariablePattern},
};

impl Problems {
    pub(super) fn context(&mut self, file: &RuleFile, effect: Effect) -> InContext {
        let deny = effect == Effect::Deny;
        let context = InContext {
            environment: self.entries("environment", file.environment.as_deref(), |text| {
                VariablePattern::parse(text, deny)
            }),
            working_directory: self.entries(
                "working_directory",
                file.working_directory.as_deref(),
                DirectoryPattern::parse,
            ),
            run_as: self.entries("run_as", file.run_as.as_deref(), |text| {
                LoginName::new(text).map_err(|why| why.to_string())
            }),
            stdin: file.stdin.as_ref().and_then(|stdin| self.stdin(stdin, deny)),
        };
        if !context.is_silent() && !classes(&file.commands).is_empty() {
            self.add("a class is what changes nothing when it runs as the site's login does; give what needs `environment`, `working_directory`, `run_as` or `stdin` a rule with patterns");
        }
        context
    }

    fn stdin(&mut self, stdin: &StdinFile, deny: bool) -> Option<StdinBound> {
        let bound = match stdin {
            StdinFile::Any(true) => Ok(StdinBound::ANY),
            StdinFile::Any(false) => {
                Err("`stdin` is `false`; leave it out, then nothing can be given".into())
            }
            StdinFile::Bounded(_) if deny => {
                Err("a deny rule says `stdin: true`: it is about every request that gives something".into())
            }
            StdinFile::Bounded(bounded) => StdinBound::at_most(bounded.max_bytes),
        };
        self.keep(bound)
    }

    fn entries<T>(
        &mut self,
        key: &str,
        list: Option<&[String]>,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<Vec<T>> {
        let list = list?;
        self.bounded(key, list.len());
        let parsed = list.iter().map(|text| parse(text).map_err(|why| format!("`{key}`: {why}")));
        Some(parsed.filter_map(|entry| self.keep(entry)).collect())
    }
}
