//! `lictor demo`: everything, on this machine, in a few seconds.

use clap::Args;

use crate::{Done, context::Context, demo};

/// Show everything on this machine: a controller, two sites, six hosts, an AI client
///
/// Starts real processes on loopback ports in a temporary directory, shows what Lictor promises one
/// promise at a time, and takes everything down again. Ends with 0 only if every promise held.
/// Needs nothing to be installed; with OpenSSH's sshd it uses that for the hosts.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    /// Leave it up until Ctrl-C, and print what to paste into an MCP client's configuration
    #[arg(long)]
    keep: bool,
    /// Use the built-in SSH server for the hosts, also where OpenSSH is installed
    #[arg(long)]
    built_in_ssh: bool,
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    Ok(demo::show(arguments.keep, arguments.built_in_ssh, context).await?.into())
}
