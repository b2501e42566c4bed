//! The MCP bridge: an MCP server whose tools are calls to the controller.
//!
//! A call goes [`server`] → `tools/*` (arguments in, job spec out) → `follow` (the job as it happens, with progress and
//! cancellation) → `answer` (typed result, bounded output, or a failure with a code and a next step). Beside the tools
//! there are `resources`, `prompts`, `completions` and `skills`, which only read; `app` is a page that some clients show beside them. No tool and no argument raises its caller's
//! authority; what is allowed is decided by the controller, for the user whose token comes with a request ([`http`]), or
//! for this bridge's identity.
//!
//! This crate knows neither the wire format nor how approvals are decided nor any host's address.

pub mod config;
pub mod http;
pub mod identity;
pub mod server;
pub mod stdio;

mod advice;
mod answer;
mod app;
mod arguments;
mod ask;
mod auth;
mod completions;
mod file_run;
mod follow;
mod freshness;
mod group_run;
mod host_run;
mod inline;
mod job_status;
mod key;
mod private_file;
mod progress;
mod prompts;
mod resources;
mod schema;
mod skills;
mod tasks;
mod tools;
mod waiting;

pub use ask::state;
