//! The policy file as it is written: types for reading it, and their JSON schema. Nothing here decides anything.

pub(crate) mod imported;
mod sections;
mod shapes;

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_saphyr::Spanned;

pub(crate) use self::sections::{
    ApproveFile, FreezeFile, GroupFile, OverrideFile, QuotaFile, VisibleFile, VisibleWhoFile, WhenFile,
    WindowFile,
};

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
    /// Groups of principals, by name, for `who` and `approve`.
    #[serde(default)]
    pub(crate) groups: BTreeMap<String, GroupFile>,
    /// Spans of time, by name, for `when`.
    #[serde(default)]
    pub(crate) windows: BTreeMap<String, WindowFile>,
    /// Spans of time in which only rules with `exempt_from_freezes` allow.
    #[serde(default)]
    #[schemars(with = "Vec<FreezeFile>")]
    pub(crate) freezes: Vec<Spanned<FreezeFile>>,
    /// Limits of some hosts: their default and their most.
    #[serde(default)]
    #[schemars(with = "Vec<OverrideFile>")]
    pub(crate) overrides: Vec<Spanned<OverrideFile>>,
    /// How much each principal may run.
    #[serde(default)]
    #[schemars(with = "Vec<QuotaFile>")]
    pub(crate) quotas: Vec<Spanned<QuotaFile>>,
    /// Who is told of which hosts; left out: everybody of every host. Operators are told of every host.
    #[schemars(with = "Option<Vec<VisibleFile>>")]
    pub(crate) visible: Option<Vec<Spanned<VisibleFile>>>,
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
    /// Variables that a request may set: `NAME`, `BEGINNING_*`, `NAME=value` or `NAME=<slot>`; left out: none. In a deny
    /// rule: only requests that set one of these.
    pub(crate) environment: Option<Vec<String>>,
    /// Directories in which a request may start it, as `/srv/app` or `<path:/srv/app>`; left out: none but the login's
    /// own. In a deny rule: only requests for one of these.
    pub(crate) working_directory: Option<Vec<String>>,
    /// Logins as which a request may run it; left out: none but the site's own. In a deny rule: only requests for one of
    /// these.
    pub(crate) run_as: Option<Vec<String>>,
    /// What a request may give it to read, which an upload writes: `true`, or `max_bytes`; left out: nothing. In a deny
    /// rule, `true`: only requests that give something.
    pub(crate) stdin: Option<StdinFile>,
    /// When; left out: always.
    pub(crate) when: Option<WhenFile>,
    /// Only if this expression (CEL) is true.
    pub(crate) condition: Option<String>,
    /// Path slots with `...` also take unquoted `*`, `?` and `[…]` whose every expansion is under the path.
    #[serde(default)]
    pub(crate) globs: bool,
    /// Allows even during a freeze.
    #[serde(default)]
    pub(crate) exempt_from_freezes: bool,
    /// Most hosts in one job.
    pub(crate) max_hosts: Option<u32>,
    /// Whose consent is needed; only, and always, with effect `approve`.
    pub(crate) approve: Option<ApproveFile>,
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
    /// Allows once others have consented.
    Approve,
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
    /// A free slot reaches a program that starts programs, loads code, writes files or sends data by it.
    FreeOperand,
    /// No command can match a pattern.
    NeverMatches,
    /// A program may open a pager or an editor.
    OpensPager,
    /// Any file of the host may be written.
    WritesFiles,
    /// Any file of the host may be read.
    ReadsAnyFile,
    /// A deny rule denies all that a pattern allows.
    AlwaysDenied,
    /// Other rules, or another pattern of the rule, say the same or more.
    Shadowed,
    /// Two patterns differ only in the order of options.
    FlagOrder,
    /// A deny pattern names an option, which has other spellings and places.
    DenyListOfOptions,
    /// The rule has no `not_match`.
    NoExamples,
    /// The rule lets commands run as root.
    RunsAsRoot,
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

/// For whom: any of the users, services, groups and kinds, and by any of the doors.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Who")]
pub(crate) struct WhoFile {
    /// People, by name.
    pub(crate) users: Option<Vec<String>>,
    /// Services, by name.
    pub(crate) services: Option<Vec<String>>,
    /// Groups of this file, by name.
    pub(crate) groups: Option<Vec<String>>,
    /// Every person, or every service.
    pub(crate) kinds: Option<Vec<KindFile>>,
    /// Doors; left out: any.
    pub(crate) via: Option<Vec<ViaFile>>,
}

/// Kinds of principal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Kind")]
pub(crate) enum KindFile {
    /// A person.
    User,
    /// A machine.
    Service,
}

/// Hosts: any that is listed, has a listed tag or is at a listed site, or every one where nothing is listed; of these, the
/// ones with all the labels.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Hosts")]
pub(crate) struct HostsFile {
    /// Hosts, by alias; `*` stands for any characters, as in `web-*`.
    pub(crate) hosts: Option<Vec<String>>,
    /// Tags.
    pub(crate) tags: Option<Vec<String>>,
    /// Sites, by name.
    pub(crate) sites: Option<Vec<String>>,
    /// Labels that each of the hosts must have, all of them; in a value, `*` stands for any characters, as in `env: prod-*`.
    pub(crate) labels: Option<BTreeMap<String, String>>,
}

/// `true`, or how much.
#[derive(Debug, JsonSchema)]
#[schemars(untagged, rename = "Stdin")]
pub(crate) enum StdinFile {
    /// As much as can be given.
    Any(bool),
    /// At most so much.
    Bounded(StdinBoundFile),
}

/// How much standard input.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "StdinBound")]
pub(crate) struct StdinBoundFile {
    /// The most bytes.
    #[schemars(range(min = 1, max = 67_108_864))]
    pub(crate) max_bytes: u64,
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
    /// A list, or a class.
    Long(LongPatternFile),
}

/// A pattern in long form, or a class of commands.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "LongPattern")]
pub(crate) struct LongPatternFile {
    /// The words, program first.
    pub(crate) argv: Option<Vec<WordFile>>,
    /// Every command of this class instead; only in allow and approve rules.
    pub(crate) class: Option<ClassFile>,
    /// The command ends here (deny rules only; allow patterns always end).
    #[serde(default)]
    pub(crate) end: bool,
}

/// Classes of commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Class")]
pub(crate) enum ClassFile {
    /// Changes nothing on the host.
    ReadOnly,
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
