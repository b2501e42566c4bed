//! MCP over HTTP, seen from outside: who is refused and how, in both eras; whose is what; what a disconnect means.

mod approvals;
mod asking;
mod bounds;
mod crowds;
mod disconnects;
mod keys;
mod many;
mod owners;
mod records;
mod tasks;
mod tls;
mod tokens;
