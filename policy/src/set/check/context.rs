//! Checking what a rule says of variables, directories and logins.

use lictor_core::context::LoginName;

use super::{Problems, classes};
use crate::{
    decision::Effect,
    file::RuleFile,
    rule::context::{DirectoryPattern, InContext, VariablePattern},
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
        };
        if !context.is_silent() && !classes(&file.commands).is_empty() {
            self.add("a class is what changes nothing when it runs as the site's login does; give what needs `environment`, `working_directory` or `run_as` a rule with patterns");
        }
        context
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
