//! What stands beside the rules of a file, and what a rule says of time and consent: as they are written.

use schemars::JsonSchema;
use serde::Deserialize;

use super::{KindFile, LimitsFile, WhereFile, WhoFile};

/// Principals under one name.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Group")]
pub(crate) struct GroupFile {
    /// People, by name.
    pub(crate) users: Option<Vec<String>>,
    /// Services, by name.
    pub(crate) services: Option<Vec<String>>,
}

/// A span of time: either weekly (`days`, `from`, `to`) or once (`start`, `end`).
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Window")]
pub(crate) struct WindowFile {
    /// The time zone by its IANA name, e.g. `Europe/Vienna`.
    pub(crate) zone: String,
    /// On these days of the week; left out: every day.
    pub(crate) days: Option<Vec<DayFile>>,
    /// From this time of day, `HH:MM`; with `to` left out too: the whole day.
    pub(crate) from: Option<String>,
    /// Up to this time of day; earlier than `from`: on the next day.
    pub(crate) to: Option<String>,
    /// From this moment, `YYYY-MM-DDTHH:MM`.
    pub(crate) start: Option<String>,
    /// Up to this moment.
    pub(crate) end: Option<String>,
}

/// Days of the week.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "Day")]
pub(crate) enum DayFile {
    /// Monday.
    Mon,
    /// Tuesday.
    Tue,
    /// Wednesday.
    Wed,
    /// Thursday.
    Thu,
    /// Friday.
    Fri,
    /// Saturday.
    Sat,
    /// Sunday.
    Sun,
}

/// A span of time in which nothing but what is exempt may run.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Freeze")]
pub(crate) struct FreezeFile {
    /// Its name, unique among freezes.
    pub(crate) id: String,
    /// Why, for whoever is refused.
    pub(crate) reason: String,
    /// On which hosts.
    #[serde(rename = "where")]
    pub(crate) hosts: WhereFile,
    /// The time zone by its IANA name.
    pub(crate) zone: String,
    /// From this moment, `YYYY-MM-DDTHH:MM`.
    pub(crate) start: String,
    /// Up to this moment.
    pub(crate) end: String,
}

/// Hosts, and who is told of them.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Visible")]
pub(crate) struct VisibleFile {
    /// Who; left out: everybody.
    pub(crate) who: Option<VisibleWhoFile>,
    /// Which hosts.
    #[serde(rename = "where")]
    pub(crate) hosts: WhereFile,
}

/// Principals, by whatever door they come: any of the users, services, groups and kinds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "VisibleWho")]
pub(crate) struct VisibleWhoFile {
    /// People, by name.
    pub(crate) users: Option<Vec<String>>,
    /// Services, by name.
    pub(crate) services: Option<Vec<String>>,
    /// Groups of this file, by name.
    pub(crate) groups: Option<Vec<String>>,
    /// Every person, or every service.
    pub(crate) kinds: Option<Vec<KindFile>>,
}

/// When a rule holds.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "When")]
pub(crate) struct WhenFile {
    /// In any of these windows.
    pub(crate) during: Option<Vec<String>>,
    /// In none of these windows.
    pub(crate) not_during: Option<Vec<String>>,
}

/// Limits of some hosts.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Override")]
pub(crate) struct OverrideFile {
    /// The hosts: listed hosts go before tags, tags and labels alone before sites, `all` comes last.
    #[serde(rename = "where")]
    pub(crate) hosts: WhereFile,
    /// What rules that say nothing about limits give there, and at most.
    pub(crate) limits: LimitsFile,
}

/// How much each principal may run; exactly one of `invocations` with `per`, or `running`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Quota")]
pub(crate) struct QuotaFile {
    /// Its name, unique among quotas.
    pub(crate) id: String,
    /// For whom, each counted alone; left out: everybody.
    pub(crate) who: Option<WhoFile>,
    /// Most invocations (one host, one command) that may be asked for in each span of `per`.
    pub(crate) invocations: Option<u32>,
    /// The span.
    #[schemars(regex(pattern = "^[0-9]+(s|m|h|d)$"))]
    pub(crate) per: Option<String>,
    /// Most invocations that may be under way at once.
    pub(crate) running: Option<u32>,
}

/// Whose consent is needed.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Approve")]
pub(crate) struct ApproveFile {
    /// How many people, each another one and none of them who asked.
    pub(crate) approvals: u32,
    /// Out of this group.
    pub(crate) group: String,
    /// Within this time; then the request lapses.
    #[schemars(regex(pattern = "^[0-9]+(s|m|h|d)$"))]
    pub(crate) within: String,
    /// Each must have proved a second factor.
    #[serde(default)]
    pub(crate) mfa: bool,
}
