//! How every process starts, reads its configuration, logs, counts time, panics, stops and exits.
//!
//! Nothing here knows what the process does.

pub mod backoff;
pub mod clock;
pub mod config;
pub mod exit;
pub mod human;
pub mod ids;
pub mod logging;
pub mod panics;
pub mod shutdown;
pub mod tasks;
pub mod workers;
