//! The policy file as it is written: types for reading it, and their JSON schema. Nothing here decides anything.

pub(crate) mod imported;
mod shapes;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

/// A policy file.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Policy")]
pub(crate) struct PolicyFile {
    /// The version of the format: 1.
    #[schemars(range(min = 1, max = 1))]
    pub(crate) version: u64,
    /// What rules that say nothing about limits give, and at most.
    pub(crate) limits: Option<LimitsFile>,
    /// Where connections may go, unless a rule says otherwise.
    pub(crate) network: Option<NetworkFile>,
    /// Rules taken over from another system.
    pub(crate) imported: Option<imported::ImportedFile>,
    /// The rules; their order has no meaning. A command that no rule allows is denied.
    #[schemars(with = "Vec<RuleFile>")]
    pub(crate) rules: Vec<Spanned<RuleFile>>,
}

/// Limits.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Limits")]
pub(crate) struct LimitsFile {
    /// Longest runtime: a whole number and `s`, `m`, `h` or `d`.
    #[schemars(regex(pattern = "^[0-9]+(s|m|h|d)$"))]
    pub(crate) timeout: Option<String>,
    /// Most output kept: a whole number and `B`, `KiB` or `MiB`.
    #[schemars(regex(pattern = "^[0-9]+(B|KiB|MiB)$"))]
    pub(crate) output: Option<String>,
}

/// Networks, in CIDR form.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Network")]
pub(crate) struct NetworkFile {
    /// The address of the host must be in one of these.
    pub(crate) allow: Option<Vec<String>>,
    /// The address of the host must be in none of these.
    pub(crate) deny: Option<Vec<String>>,
}

/// One rule.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Rule")]
pub(crate) struct RuleFile {
    /// Its name, unique in the file.
    pub(crate) id: String,
    /// What it is for.
    pub(crate) description: Option<String>,
    /// What it does.
    pub(crate) effect: EffectFile,
    /// For whom; left out: for everybody.
    pub(crate) who: Option<WhoFile>,
    /// On which hosts: `all`, or a map.
    #[serde(rename = "where")]
    pub(crate) hosts: WhereFile,
    /// Which commands: a list of patterns, or (deny only) `any`.
    pub(crate) commands: CommandsFile,
    /// What commands allowed by this rule get, and at most.
    pub(crate) limits: Option<LimitsFile>,
    /// `allow` replaces the list of the file, `deny` is added to it.
    pub(crate) network: Option<NetworkFile>,
    /// Findings about this rule that its author knows of.
    #[serde(default)]
    pub(crate) acknowledge: Vec<AcknowledgeFile>,
    /// Commands that the patterns must match; checked when the file is loaded.
    #[serde(default, rename = "match")]
    #[schemars(with = "Vec<String>")]
    pub(crate) matching: Vec<Spanned<String>>,
    /// Commands that the patterns must not match; checked when the file is loaded.
    #[serde(default)]
    #[schemars(with = "Vec<String>")]
    pub(crate) not_match: Vec<Spanned<String>>,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Effect")]
pub(crate) enum EffectFile {
    /// Allows.
    Allow,
    /// Denies, whatever else allows.
    Deny,
}

/// Findings that can be acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Finding")]
pub(crate) enum AcknowledgeFile {
    /// A pattern lets its caller start programs that the rule does not name.
    StartsPrograms,
    /// A slot admits a word that starts with a dash.
    LeadingDash,
}

/// Doors by which requests come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Via")]
pub(crate) enum ViaFile {
    /// The `lictor` command.
    Cli,
    /// An MCP client.
    Mcp,
    /// Another caller of the API.
    Api,
}

/// For whom: any of the users or services, and by any of the doors.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Who")]
pub(crate) struct WhoFile {
    /// People, by name.
    pub(crate) users: Option<Vec<String>>,
    /// Services, by name.
    pub(crate) services: Option<Vec<String>>,
    /// Doors; left out: any.
    pub(crate) via: Option<Vec<ViaFile>>,
}

/// Hosts: any that is listed, has a listed tag or is at a listed site.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Hosts")]
pub(crate) struct HostsFile {
    /// Hosts, by alias.
    pub(crate) hosts: Option<Vec<String>>,
    /// Tags.
    pub(crate) tags: Option<Vec<String>>,
    /// Sites, by name.
    pub(crate) sites: Option<Vec<String>>,
}

/// `all`, or which hosts.
#[derive(Debug, JsonSchema)]
#[schemars(untagged, rename = "Where")]
pub(crate) enum WhereFile {
    /// Every host.
    All(AllFile),
    /// Some.
    Some(HostsFile),
}

/// The word `all`.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "All", rename_all = "kebab-case")]
pub(crate) enum AllFile {
    /// Every host.
    All,
}

/// `any`, or patterns.
#[derive(Debug, JsonSchema)]
#[schemars(untagged, rename = "Commands")]
pub(crate) enum CommandsFile {
    /// Every command.
    Any(AnyFile),
    /// These patterns.
    Patterns(#[schemars(with = "Vec<PatternFile>")] Vec<Spanned<PatternFile>>),
}

/// The word `any`.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "Any", rename_all = "kebab-case")]
pub(crate) enum AnyFile {
    /// Every command.
    Any,
}

/// A pattern in short or long form.
#[derive(Debug, JsonSchema)]
#[schemars(untagged, rename = "Pattern")]
pub(crate) enum PatternFile {
    /// One line of text.
    Short(String),
    /// A list.
    Long(LongPatternFile),
}

/// A pattern in long form.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LongPattern")]
pub(crate) struct LongPatternFile {
    /// The words, program first.
    pub(crate) argv: Vec<WordFile>,
    /// The command ends here (deny rules only; allow patterns always end).
    #[serde(default)]
    pub(crate) end: bool,
}

/// A literal word or a slot.
#[derive(Debug, JsonSchema)]
#[schemars(untagged, rename = "Word")]
pub(crate) enum WordFile {
    /// Exactly this word.
    Literal(String),
    /// A word of a kind.
    Slot(SlotFile),
}

/// A slot: exactly one of the kinds, and how often.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Slot")]
pub(crate) struct SlotFile {
    /// A plain word.
    pub(crate) word: Option<bool>,
    /// Any word that does not start with a dash.
    pub(crate) any: Option<bool>,
    /// A DNS name or IP address.
    pub(crate) host: Option<bool>,
    /// One of these words.
    pub(crate) one_of: Option<Vec<String>>,
    /// A decimal number.
    pub(crate) int: Option<IntFile>,
    /// This absolute path or one under it.
    pub(crate) path: Option<String>,
    /// Wholly matched by this expression.
    pub(crate) regex: Option<String>,
    /// What the word starts with, before the slot.
    pub(crate) prefix: Option<String>,
    /// What the word ends with, after the slot.
    pub(crate) suffix: Option<String>,
    /// The word may be left out.
    #[serde(default)]
    pub(crate) optional: bool,
    /// One or more words of this kind.
    #[serde(default)]
    pub(crate) repeat: bool,
}

/// Bounds of a number, both included.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Int")]
pub(crate) struct IntFile {
    /// Smallest.
    pub(crate) min: i64,
    /// Largest.
    pub(crate) max: i64,
}

/// The JSON schema of the policy file, for editors and other tools.
pub fn json_schema() -> serde_json::Value {
    schemars::schema_for!(PolicyFile).to_value()
}
