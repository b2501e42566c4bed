//! A promise that did not hold, or a stage that could not be set up: in words.

use std::fmt;

use lictor_core::error::Failure;

use crate::trouble::Trouble;

/// What did not hold.
#[derive(Debug)]
pub(crate) struct Broken(pub(crate) String);

/// Breaks unless `holds`.
pub(crate) fn ensure(holds: bool, otherwise: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds { Ok(()) } else { Err(Broken(otherwise())) }
}

// === impl Broken ===

impl Broken {
    /// Something that could not be done.
    pub(crate) fn doing(what: &str, error: &dyn fmt::Display) -> Self {
        Self(format!("{what}: {error}"))
    }
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl From<Failure> for Broken {
    fn from(failure: Failure) -> Self {
        Self(failure.to_string())
    }
}

impl From<Trouble> for Broken {
    fn from(trouble: Trouble) -> Self {
        Self(trouble.to_string())
    }
}
