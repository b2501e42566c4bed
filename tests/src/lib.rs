//! A whole Lictor for tests: real binaries in processes of their own, real sshd hosts, a real MCP client over stdio.
//!
//! Hosts keep an exec log of their own (by sshd's `ForceCommand`), so what was run is known independently of Lictor.

pub mod bench;
pub mod binaries;
pub mod disk;
pub mod fake_agent;
pub mod hosts;
pub mod issuer;
pub mod journal;
pub mod links;
pub mod mcp;
pub mod mcp_http;
pub mod netns;
pub mod process;
pub mod proxy;
pub mod record;
pub mod signals;
pub mod simulator;
pub mod wire;
pub mod world;

pub use world::World;
