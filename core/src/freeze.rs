//! A freeze: an operator's word that nothing new starts on a host, at a site, or anywhere, until it is lifted.
//!
//! Freezes that a policy plans ahead are another thing: they are part of the policy and have exemptions; these have none.

use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc};

use crate::{
    clock::Timestamp,
    error::ErrorCode,
    id::FreezeId,
    limits::MAX_NOTE_BYTES,
    name::{HostAlias, SiteName},
    principal::Principal,
};

/// The code of whatever a freeze refuses.
pub const FROZEN: &str = ErrorCode::Frozen.as_str();

/// An operator's word that nothing new starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Freeze {
    /// Its identifier.
    pub id: FreezeId,
    /// Where.
    pub scope: FreezeScope,
    /// Why.
    pub reason: FreezeReason,
    /// Who.
    pub by: Principal,
    /// Since when.
    pub at: Timestamp,
}

/// Where nothing new starts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FreezeScope {
    /// Everywhere.
    Everything,
    /// On every host of a site.
    Site(SiteName),
    /// On one host.
    Host(HostAlias),
}

/// Why something is frozen: 1 to [`MAX_NOTE_BYTES`] bytes without control characters, and not blank.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FreezeReason(Arc<str>);

/// Text that is no scope, or no reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InvalidFreeze(String);

/// The freezes in force.
#[derive(Debug, Clone, Default)]
pub struct FreezeSet {
    /// Oldest first.
    all: Vec<Arc<Freeze>>,
    /// The oldest of each scope.
    by_scope: BTreeMap<FreezeScope, Arc<Freeze>>,
}

// === impl Freeze ===

impl Freeze {
    /// Who froze what, when and why, in one sentence without a full stop.
    pub fn sentence(&self) -> String {
        let Self { id: _, scope, reason, by, at } = self;
        format!("{by} froze {} at {at}: {reason}", scope.words())
    }
}

// === impl FreezeScope ===

impl FreezeScope {
    /// Whether it covers this host of this site.
    pub fn covers(&self, site: &SiteName, host: &HostAlias) -> bool {
        match self {
            Self::Everything => true,
            Self::Site(frozen) => frozen == site,
            Self::Host(frozen) => frozen == host,
        }
    }
    /// The scope in a sentence: `everything`, `site eu`, `host web-1`.
    pub fn words(&self) -> String {
        match self {
            Self::Everything => "everything".to_owned(),
            Self::Site(site) => format!("site {site}"),
            Self::Host(host) => format!("host {host}"),
        }
    }
}

impl fmt::Display for FreezeScope {
    /// `all`, `site:eu`, `host:web-1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Everything => f.write_str("all"),
            Self::Site(site) => write!(f, "site:{site}"),
            Self::Host(host) => write!(f, "host:{host}"),
        }
    }
}

impl FromStr for FreezeScope {
    type Err = InvalidFreeze;
    fn from_str(text: &str) -> Result<Self, InvalidFreeze> {
        let invalid = |e: &dyn fmt::Display| InvalidFreeze(e.to_string());
        match text.split_once(':') {
            Some(("site", site)) => SiteName::new(site).map(Self::Site).map_err(|e| invalid(&e)),
            Some(("host", host)) => HostAlias::new(host).map(Self::Host).map_err(|e| invalid(&e)),
            None if text == "all" => Ok(Self::Everything),
            _ => Err(invalid(&"not a scope: expected all, site:NAME or host:ALIAS")),
        }
    }
}

// === impl FreezeReason ===

impl FreezeReason {
    /// The reason as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FreezeReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for FreezeReason {
    type Err = InvalidFreeze;
    fn from_str(text: &str) -> Result<Self, InvalidFreeze> {
        let why = if text.trim().is_empty() {
            "a freeze needs a reason".to_owned()
        } else if text.len() > MAX_NOTE_BYTES {
            format!("the reason is longer than {MAX_NOTE_BYTES} bytes")
        } else if text.chars().any(char::is_control) {
            "the reason has control characters".to_owned()
        } else {
            return Ok(Self(text.into()));
        };
        Err(InvalidFreeze(why))
    }
}

// === impl FreezeSet ===

impl FreezeSet {
    /// The freeze by which nothing new starts on this host of this site: the widest, of those the oldest.
    pub fn covering(&self, site: &SiteName, host: &HostAlias) -> Option<&Arc<Freeze>> {
        if self.by_scope.is_empty() {
            return None;
        }
        let scopes =
            [FreezeScope::Everything, FreezeScope::Site(site.clone()), FreezeScope::Host(host.clone())];
        scopes.iter().find_map(|scope| self.by_scope.get(scope))
    }
    /// Every freeze, oldest first.
    pub fn all(&self) -> &[Arc<Freeze>] {
        &self.all
    }
    /// The freeze with this identifier.
    pub fn get(&self, id: FreezeId) -> Option<&Arc<Freeze>> {
        self.all.iter().find(|freeze| freeze.id == id)
    }
    /// These and one more.
    #[must_use]
    pub fn with(&self, freeze: Arc<Freeze>) -> Self {
        self.all.iter().cloned().chain([freeze]).collect()
    }
    /// These without one.
    #[must_use]
    pub fn without(&self, id: FreezeId) -> Self {
        self.all.iter().filter(|freeze| freeze.id != id).cloned().collect()
    }
}

impl FromIterator<Arc<Freeze>> for FreezeSet {
    fn from_iter<I: IntoIterator<Item = Arc<Freeze>>>(freezes: I) -> Self {
        let mut all: Vec<_> = freezes.into_iter().collect();
        all.sort_by_key(|freeze| (freeze.at, freeze.id));
        let mut by_scope = BTreeMap::new();
        for freeze in &all {
            by_scope.entry(freeze.scope.clone()).or_insert_with(|| Arc::clone(freeze));
        }
        Self { all, by_scope }
    }
}

// === impl InvalidFreeze ===

impl fmt::Display for InvalidFreeze {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
impl std::error::Error for InvalidFreeze {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        name::{PrincipalName, TenantName},
        principal::PrincipalKind,
    };

    fn freeze(n: u8, scope: &str) -> Arc<Freeze> {
        Arc::new(Freeze {
            id: FreezeId::from_bytes([n; 16]),
            scope: scope.parse().unwrap(),
            reason: "disk full".parse().unwrap(),
            by: Principal {
                tenant: TenantName::new("default").unwrap(),
                kind: PrincipalKind::User,
                name: PrincipalName::new("ops").unwrap(),
            },
            at: Timestamp::from_micros(n.into()),
        })
    }

    fn covering(set: &FreezeSet, site: &str, host: &str) -> Option<u8> {
        let (site, host) = (SiteName::new(site).unwrap(), HostAlias::new(host).unwrap());
        set.covering(&site, &host).map(|freeze| freeze.id.as_bytes()[0])
    }

    #[test]
    fn a_scope_survives_its_text_and_nothing_else_is_one() {
        for text in ["all", "site:eu", "host:web-1"] {
            assert_eq!(text.parse::<FreezeScope>().unwrap().to_string(), text);
        }
        for bad in ["", "ALL", "all:", "site", "site:", "host:-x", "tag:web", "host:a b", " all"] {
            assert!(bad.parse::<FreezeScope>().is_err(), "{bad}");
        }
        for bad in ["", "  ", "a\nb", &"x".repeat(MAX_NOTE_BYTES + 1)] {
            assert!(bad.parse::<FreezeReason>().is_err(), "{bad}");
        }
    }

    #[test]
    fn the_widest_and_oldest_freeze_of_a_host_is_named_and_others_are_left_alone() {
        let set: FreezeSet =
            [freeze(3, "host:web-1"), freeze(2, "host:web-1"), freeze(4, "site:eu")].into_iter().collect();
        assert_eq!(covering(&set, "us", "web-1"), Some(2));
        assert_eq!(covering(&set, "eu", "web-1"), Some(4));
        assert_eq!(covering(&set, "us", "web-2"), None);
        let set = set.with(freeze(9, "all"));
        assert_eq!(covering(&set, "us", "web-2"), Some(9));
        let set = set.without(FreezeId::from_bytes([9; 16])).without(FreezeId::from_bytes([2; 16]));
        assert_eq!((covering(&set, "us", "web-2"), covering(&set, "us", "web-1")), (None, Some(3)));
        assert_eq!(set.all().len(), 2);
    }
}
