//! What became of a command on hosts where it ended alike and printed the same, as models see it: told once for all.

use lictor_client::{collect::Collected, groups::Group, ranges::compact};
use schemars::JsonSchema;
use serde::Serialize;

use crate::host_run::HostRun;

/// Most names and ranges of names in a row: more tell a model nothing, and may be as long as names are.
const MAX_NAMES: usize = 32;

/// What became of a command on hosts where it ended alike and printed the same.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(inline)]
pub(crate) struct GroupRun {
    /// Number of hosts with this result; the same state, exit code and whole output.
    pub(crate) hosts_count: usize,
    /// These hosts in little room: web-[1-3,7] stands for web-1, web-2, web-3 and web-7.
    hosts: Vec<String>,
    /// How many further names and ranges of names hosts leaves out.
    #[serde(skip_serializing_if = "is_zero")]
    hosts_left_out: usize,
    /// The first of these hosts; its duration and output are shown for all.
    #[serde(flatten)]
    run: HostRun,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
const fn is_zero(number: &usize) -> bool {
    *number == 0
}

// === impl GroupRun ===

impl GroupRun {
    /// Shows the group by its first invocation, with at most `budget` bytes of each stream.
    pub(crate) fn show(group: &Group<'_>, collected: &Collected, budget: usize) -> Option<Self> {
        let mut hosts = compact(group.hosts());
        let hosts_left_out = hosts.len().saturating_sub(MAX_NAMES);
        hosts.truncate(MAX_NAMES);
        let run = HostRun::show(group.first()?, collected, budget);
        Some(Self { hosts_count: group.members().len(), hosts, hosts_left_out, run })
    }
}
