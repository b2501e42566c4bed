//! For how long a client may take an answer for fresh, and whether one user's may be shown to another. A hint and nothing else:
//! whoever asks again is answered anew.

use rmcp::model::{
    CacheScope, DiscoverResult, ListPromptsResult, ListResourceTemplatesResult, ListResourcesResult,
    ListToolsResult, ReadResourceResult,
};

/// What does not change before another version of this process runs: an hour, after which clients learn of that.
const FIXED_MS: u64 = 60 * 60 * 1000;
/// Hosts and tags: sites tell of changes within seconds.
const FLEET_MS: u64 = 5_000;
/// Jobs: as often as progress may be worth a look.
const JOBS_MS: u64 = 1_000;

/// What an answer is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Freshness {
    /// What this program is: the same for every caller.
    Fixed,
    /// The same, but for what the client has declared that it can show.
    FixedForClient,
    /// Hosts, as the caller may see them.
    Fleet,
    /// The caller's jobs.
    Jobs,
}

/// An answer that carries hints.
pub(crate) trait Hinted: Sized {
    /// With the hints for what it is about.
    fn hinted(self, freshness: Freshness) -> Self;
}

macro_rules! hinted {
    ($($result:ty),* $(,)?) => {$(
        impl Hinted for $result {
            fn hinted(self, freshness: Freshness) -> Self {
                self.with_ttl_ms(freshness.ttl_ms()).with_cache_scope(freshness.scope())
            }
        }
    )*};
}

hinted! {
    DiscoverResult,
    ListPromptsResult,
    ListResourceTemplatesResult,
    ListResourcesResult,
    ListToolsResult,
    ReadResourceResult,
}

// === impl Freshness ===

impl Freshness {
    const fn ttl_ms(self) -> u64 {
        match self {
            Self::Fixed | Self::FixedForClient => FIXED_MS,
            Self::Fleet => FLEET_MS,
            Self::Jobs => JOBS_MS,
        }
    }

    const fn scope(self) -> CacheScope {
        match self {
            Self::Fixed => CacheScope::Public,
            Self::FixedForClient | Self::Fleet | Self::Jobs => CacheScope::Private,
        }
    }
}
