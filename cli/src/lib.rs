//! `lictor`: everything a person does with a fleet, and the processes themselves composed into one.
//!
//! [`arguments`] is what may be typed; each verb is a file in `commands`, with its arguments, what it does, and how its
//! result is shown. `home` knows where a directory made by `lictor init` keeps what; `context` connects from it.
//! `render` is the only place that knows colours, tables and JSON. [`demo`] shows the product on this machine.
//!
//! This is the only crate that composes controller, agent and bridge.

use std::process::ExitCode;

use clap::Parser as _;

use crate::{arguments::Cli, context::Context, trouble::Trouble};

pub mod arguments;
pub mod demo;

mod audit;
mod commands;
mod config;
mod context;
mod forward;
mod home;
mod init;
mod output;
mod render;
mod replay;
mod run;
mod site;
mod trouble;

pub use crate::audit::verdict;

/// What a verb gives: how the program ends, or why it could not do what was asked.
pub(crate) type Done = Result<ExitCode, Trouble>;

/// Runs the program with the arguments of this process.
pub fn main() -> ExitCode {
    lictor_runtime::panics::install();
    let Cli { global, verb } = Cli::parse();
    let context = Context::new(global);
    let done = commands::start(verb, &context);
    match done {
        Ok(exit) => exit,
        Err(trouble) => context.tell(&trouble).into(),
    }
}
