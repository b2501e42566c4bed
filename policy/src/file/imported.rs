//! The block of rules that were taken over from another system, as the file writes it.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::LimitsFile;

/// Rules taken over from mcp-ssh-orchestrator, with the order and the globs that they had there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Imported")]
pub(crate) struct ImportedFile {
    /// Which rule decides when several match.
    pub(crate) dialect: DialectFile,
    /// The rules, in order.
    #[schemars(with = "Vec<ImportedRuleFile>")]
    pub(crate) rules: Vec<Spanned<ImportedRuleFile>>,
    /// Texts that no command may have, before any rule.
    #[serde(default)]
    pub(crate) deny_substrings: Vec<String>,
    /// What commands get, and at most.
    pub(crate) limits: Option<LimitsFile>,
    /// Limits and forbidden text of some hosts.
    pub(crate) overrides: Option<OverridesFile>,
}

/// Which rule decides when several match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ImportedDialect")]
pub(crate) enum DialectFile {
    /// The last one; rules have `commands`.
    LastMatch,
    /// The first one; rules have `simple_binaries` or `binary`.
    FirstMatch,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "ImportedAction")]
pub(crate) enum ActionFile {
    /// Allows, when this is the rule that decides.
    Allow,
    /// Denies, when this is the rule that decides.
    Deny,
}

/// A rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ImportedRule")]
pub(crate) struct ImportedRuleFile {
    /// Its name, unique in the block.
    pub(crate) id: String,
    /// What it does.
    pub(crate) action: ActionFile,
    /// Globs for aliases; left out: every host.
    pub(crate) aliases: Option<Vec<String>>,
    /// Globs for tags; left out: every host.
    pub(crate) tags: Option<Vec<String>>,
    /// Globs for commands (`last-match`).
    pub(crate) commands: Option<Vec<String>>,
    /// Programs that take any arguments (`first-match`).
    pub(crate) simple_binaries: Option<Vec<String>>,
    /// Most arguments of these programs.
    pub(crate) simple_max_args: Option<usize>,
    /// A program with words in their places (`first-match`).
    pub(crate) binary: Option<String>,
    /// Its first arguments.
    pub(crate) arg_prefix: Option<Vec<String>>,
    /// Words that must match globs.
    pub(crate) path_args: Option<PathArgsFile>,
    /// Whether more arguments are free; left out: they are.
    pub(crate) allow_extra_args: Option<bool>,
}

/// Words that must match globs.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ImportedPathArgs")]
pub(crate) struct PathArgsFile {
    /// Places: the program is 0, the last word is -1.
    pub(crate) indices: Vec<i64>,
    /// Globs, one of which must match at each place.
    pub(crate) patterns: Vec<String>,
}

/// Limits and forbidden text of some hosts: what an alias says counts most, then the last of a host's tags.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ImportedOverrides")]
pub(crate) struct OverridesFile {
    /// By alias.
    #[serde(default)]
    pub(crate) aliases: BTreeMap<String, OverrideFile>,
    /// By tag.
    #[serde(default)]
    pub(crate) tags: BTreeMap<String, OverrideFile>,
}

/// What is different there.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "ImportedOverride")]
pub(crate) struct OverrideFile {
    /// Limits.
    pub(crate) limits: Option<LimitsFile>,
    /// Forbidden text, in place of the block's.
    pub(crate) deny_substrings: Option<Vec<String>>,
}
