//! How results look: text for people, JSON for scripts. Nothing here decides or calls anything.

pub(crate) mod approvals;
pub(crate) mod audit;
pub(crate) mod bytes;
pub(crate) mod erasures;
pub(crate) mod failure;
pub(crate) mod fleet;
pub(crate) mod freezes;
pub(crate) mod groups;
pub(crate) mod guards;
pub(crate) mod invocations;
pub(crate) mod jobs;
pub(crate) mod json;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod retention;
pub(crate) mod rollout;
pub(crate) mod style;
pub(crate) mod table;
pub(crate) mod time;

#[cfg(test)]
mod snapshots;
