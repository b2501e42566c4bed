//! The MCP bridge: an MCP server whose tools are calls to the controller.
//!
//! A call goes [`server`] → `tools/*` (arguments in, job spec out) → `follow` (the job as it happens, with progress and
//! cancellation) → `answer` (typed result, bounded output, or a failure with a code and a next step). No tool and no
//! argument raises its caller's authority; what is allowed is decided by the controller, for this bridge's identity.
//!
//! This crate knows neither the wire format nor approvals nor any host's address.

pub mod config;
pub mod http;
pub mod server;
pub mod stdio;

mod advice;
mod answer;
mod arguments;
mod auth;
mod follow;
mod group_run;
mod host_run;
mod inline;
mod key;
mod progress;
mod schema;
mod tasks;
mod tools;
