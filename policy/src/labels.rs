//! Labels that hosts must have: each key with what its value must be like.

use std::collections::BTreeMap;

use lictor_core::{glob::Glob, label::Labels, name::LabelKey};

/// Labels that a host must have, all of them; none: every host has them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct LabelPatterns(pub(crate) BTreeMap<LabelKey, Glob>);

// === impl LabelPatterns ===

impl LabelPatterns {
    /// Whether a host with these labels has them all.
    pub(crate) fn include(&self, labels: &Labels) -> bool {
        self.0.iter().all(|(key, glob)| labels.get(key).is_some_and(|value| glob.matches(value.as_str())))
    }
    /// Whether every host that has all of `narrow` has all of these; never wrong when it says so.
    pub(crate) fn cover(&self, narrow: &Self) -> bool {
        self.0.iter().all(|(key, wide)| narrow.0.get(key).is_some_and(|glob| wide.covers(glob)))
    }
    /// Each in a word, as in `label:env=prod`.
    pub(crate) fn describe(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(key, glob)| format!("label:{key}={glob}"))
    }
}
