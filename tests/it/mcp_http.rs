//! MCP over HTTP, seen from outside: who is refused and how, in both eras; whose is what; what a disconnect means.

mod bounds;
mod disconnects;
mod many;
mod owners;
mod tasks;
mod tls;
mod tokens;
