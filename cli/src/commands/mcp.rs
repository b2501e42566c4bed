//! `lictor mcp`: the MCP bridge on standard input and output.

mod clients;
mod doctor;
mod era;
mod install;
mod listener;
mod splice;

use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use lictor_mcp_bridge::config::BridgeConfig;
use lictor_runtime::exit::Exit;
use serde_json::{Value, json};
use tracing::Level;

use super::serve::{files, start_logging};
use crate::{Done, context::Context, trouble::Trouble};

/// Serve an MCP client on standard input and output
///
/// This is what an AI assistant's configuration names; `lictor mcp install` writes that configuration.
/// The bridge asks for jobs under a service's name, and can do nothing that policy does not allow it.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    /// Print what to paste into an MCP client's configuration
    #[arg(long)]
    print_config: bool,
    #[command(subcommand)]
    verb: Option<McpVerb>,
}

/// What can be done besides serving.
#[derive(Debug, Subcommand)]
enum McpVerb {
    Install(install::Arguments),
    /// Say why an MCP client cannot connect
    ///
    /// Looks at the configuration of every known client of this user, starts what it would start, and checks what the
    /// bridge needs: its file, its certificate, the controller, and hosts that it sees.
    Doctor,
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    match arguments.verb {
        Some(McpVerb::Install(arguments)) => return install::run(arguments, context),
        Some(McpVerb::Doctor) => return doctor::run(context).await,
        None => {}
    }
    let home = context.home()?;
    if arguments.print_config {
        let snippet = snippet(&program()?, home.dir());
        context.print_json(&snippet)?;
        return Ok(Exit::Ok.into());
    }
    start_logging(Level::INFO)?;
    let config = BridgeConfig::load(&home.bridge_file()).map_err(files)?;
    let served = lictor_mcp_bridge::stdio::serve_stdio(config).await;
    served.map_err(|e| Trouble::usage(format!("{e:#}"), "see lictor doctor"))?;
    Ok(Exit::Ok.into())
}

/// This program's own file.
pub(crate) fn program() -> Result<PathBuf, Trouble> {
    std::env::current_exe()
        .map_err(|e| Trouble::internal(format!("cannot find this program's own file: {e}")))
}

/// The configuration that MCP clients share, for the directory `home`.
pub(crate) fn snippet(program: &Path, home: &Path) -> Value {
    let home = home.canonicalize().unwrap_or_else(|_| home.to_owned());
    json!({ "mcpServers": { "lictor": { "command": program, "args": ["--dir", home, "mcp"] } } })
}
