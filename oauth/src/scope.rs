//! Scopes: what a user let a client do. There is none that means everything, and none that lifts policy.

use std::fmt;

/// One thing that a token may permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Scope {
    /// Looking: hosts, plans, the user's own jobs and what they printed.
    Read,
    /// Asking for jobs and stopping them. Policy decides each of them.
    Run,
}

/// The scopes of a token that this system knows; others in the token mean nothing here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scopes {
    read: bool,
    run: bool,
}

// === impl Scope ===

impl Scope {
    /// Every scope, in the order in which they are listed.
    pub const ALL: [Self; 2] = [Self::Read, Self::Run];

    /// The scope as it is written in tokens.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Run => "run",
        }
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

// === impl Scopes ===

impl Scopes {
    /// The scopes of a `scope` claim: words between spaces (RFC 6749 §3.3).
    pub fn parse(text: &str) -> Self {
        let has = |scope: Scope| text.split(' ').any(|word| word == scope.as_str());
        Self { read: has(Scope::Read), run: has(Scope::Run) }
    }
    /// Whether `scope` is among them.
    pub const fn has(self, scope: Scope) -> bool {
        match scope {
            Scope::Read => self.read,
            Scope::Run => self.run,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_words_are_scopes_and_nothing_means_everything() {
        for (text, read, run) in [
            ("read run", true, true),
            ("run", false, true),
            ("openid read profile", true, false),
            ("", false, false),
            ("*", false, false),
            ("readrun read:all Read RUN run-all", false, false),
        ] {
            let scopes = Scopes::parse(text);
            assert_eq!((scopes.has(Scope::Read), scopes.has(Scope::Run)), (read, run), "{text}");
        }
    }
}
