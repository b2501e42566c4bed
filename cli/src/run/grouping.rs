//! Whether results of many hosts are shown grouped.

use clap::Args;

/// On more hosts than this nobody can follow lines as they come.
const MAX_LIVE_HOSTS: u32 = 8;

/// How results of several hosts are shown.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Grouping {
    /// Show each different result once, with its hosts, when all have ended (so with more than 8 hosts)
    #[arg(long, conflicts_with = "no_group")]
    group: bool,
    /// Show every host's lines as they come
    #[arg(long)]
    no_group: bool,
}

// === impl Grouping ===

impl Grouping {
    /// Whether so many hosts are shown grouped.
    pub(crate) const fn applies(self, hosts: u32) -> bool {
        if self.group { hosts > 1 } else { !self.no_group && hosts > MAX_LIVE_HOSTS }
    }
}
