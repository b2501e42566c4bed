//! `lictor-mcp-bridge`: serves MCP on standard input and output, or over HTTP.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use lictor_mcp_bridge::{config::BridgeConfig, http::serve_http, stdio::serve_stdio};
use lictor_runtime::{
    exit::{self, Exit},
    logging::{self, Format},
    workers,
};
use tracing::Level;

/// Serves MCP: on standard input and output for one client, or over streamable HTTP for many.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Serve streamable HTTP, as `http` in the configuration says.
    #[arg(long)]
    http: bool,
    /// How the log on standard error looks: text or json.
    #[arg(long, default_value = "text")]
    log_format: Format,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match serve(&arguments) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            exit::say(format_args!("lictor-mcp-bridge: {error:#}"));
            Exit::Usage.into()
        }
    }
}

fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    logging::init(arguments.log_format, Level::INFO)?;
    let config = BridgeConfig::load(&arguments.config)?;
    if arguments.http { workers::run(serve_http(config))? } else { workers::run(serve_stdio(config))? }
}
