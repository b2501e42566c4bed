//! What keeps an invocation from starting twice.

/// Where it is noted that an invocation was started, before it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Guard {
    /// In the journal of the agent alone: whoever comes with another journal does not know.
    #[default]
    Journal,
    /// On the host itself, too: whoever comes, with whatever journal, finds it there.
    Host,
}

// === impl Guard ===

impl Guard {
    /// Every guard, for conversion and tests.
    pub const ALL: [Self; 2] = [Self::Journal, Self::Host];
    /// The guard as it is written in records and JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Journal => "journal",
            Self::Host => "host",
        }
    }
    /// The guard of that name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|guard| guard.as_str() == text)
    }
}
