//! What may be typed: the verbs, and what holds for all of them.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use lictor_runtime::exit::Exit;

use crate::commands;

/// Widest help, in columns.
const HELP_WIDTH: usize = 100;
/// The heading of what every verb takes, so that a verb's own options stand first.
const GLOBAL_HEADING: &str = "Options of every verb";

/// Run commands on fleets of SSH hosts, under policy, with an audit that can be proved
#[derive(Debug, Parser)]
#[command(
    name = "lictor",
    version,
    max_term_width = HELP_WIDTH,
    arg_required_else_help = true,
    after_help = "New here? `lictor demo` shows everything on this machine in a few seconds.",
    after_long_help = epilogue()
)]
pub struct Cli {
    #[command(flatten)]
    pub(crate) global: Global,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

/// What every verb takes.
#[derive(Debug, Args)]
pub(crate) struct Global {
    /// Directory made by `lictor init`; else the current one or the nearest above it with lictor.yml
    #[arg(long, global = true, help_heading = GLOBAL_HEADING, env = "LICTOR_DIR", value_name = "DIR", hide_env_values = true)]
    pub(crate) dir: Option<PathBuf>,
    /// Form of the result
    #[arg(long, global = true, help_heading = GLOBAL_HEADING, value_enum, default_value_t = Output::Text, value_name = "FORM")]
    pub(crate) output: Output,
}

/// The form of a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Output {
    /// For people
    Text,
    /// One JSON document (JSON lines where there is no end)
    Json,
}

/// The verbs. What each says of itself stands with its arguments.
#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    Demo(commands::demo::Arguments),
    Init(commands::init::Arguments),
    Import(commands::import::Arguments),
    Up(commands::up::Arguments),
    Run(commands::run::Arguments),
    Upload(commands::upload::Arguments),
    Download(commands::download::Arguments),
    Plan(commands::plan::Arguments),
    Hosts(commands::hosts::Arguments),
    Host(commands::host::Arguments),
    /// List sites
    Sites,
    /// List agents
    Agents,
    Agent(commands::agent::Arguments),
    Jobs(commands::jobs::Arguments),
    Output(commands::output::Arguments),
    Replay(commands::replay::Arguments),
    Watch(commands::watch::Arguments),
    Approvals(commands::approvals::Arguments),
    Approve(commands::approve::ApproveArguments),
    Deny(commands::approve::DenyArguments),
    Cancel(commands::cancel::Arguments),
    Pause(commands::steer::PauseArguments),
    Resume(commands::steer::ResumeArguments),
    Abort(commands::steer::AbortArguments),
    Retry(commands::retry::Arguments),
    Freeze(commands::freeze::Arguments),
    Audit(commands::audit::Arguments),
    Policy(commands::policy::Arguments),
    Mcp(commands::mcp::Arguments),
    /// Look for what is wrong, and say what to do
    Doctor,
    Completions(commands::completions::Arguments),
    /// Run an agent alone
    #[command(hide = true)]
    ServeAgent(commands::serve::Arguments),
    /// Run a controller alone
    #[command(hide = true)]
    ServeController(commands::serve::Arguments),
}

/// The end of `lictor --help`: what scripts may rely on.
fn epilogue() -> String {
    let codes = Exit::ALL.iter().map(|exit| format!("  {:>2}  {}\n", exit.code(), exit.meaning()));
    format!(
        "Exit codes:\n{}\nWhat hosts printed goes to standard output; everything else goes to standard error. \
         With --output json a failure is {{\"error\": {{code, message, next_step, details}}}} on standard output. \
         Colours are for terminals only; NO_COLOR turns them off.\n\n\
         New here? `lictor demo` shows everything on this machine in a few seconds.",
        codes.collect::<String>()
    )
}
