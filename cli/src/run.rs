//! Asking for a job and following it: what `run`, `plan` and `watch` have in common.

pub(crate) mod ending;
pub(crate) mod follow;
pub(crate) mod grouping;
pub(crate) mod in_context;
pub(crate) mod live;
pub(crate) mod prefix;
pub(crate) mod progress;
pub(crate) mod remote;
pub(crate) mod request;
pub(crate) mod rollout;
pub(crate) mod stdin;
