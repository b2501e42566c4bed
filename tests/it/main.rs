//! Promises about the whole system; each file keeps one kind.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test may stop where it fails")]

mod approvals;
mod audit;
mod canaries;
mod content;
mod demo;
mod documentation;
mod failures;
mod first_steps;
mod freeze;
mod gate;
mod gullible;
mod hidden;
mod impostors;
mod invariants;
mod kills;
mod live;
mod mcp_http;
mod mcp_identity;
mod mcp_page;
mod memory;
mod node;
mod python;
mod replay;
mod retention;
mod retry;
mod revocation;
mod simulator;
mod targets;
mod tidy;
mod traces;
mod watchers;
mod witness;
