//! `lictor-mcp-bridge`: serves MCP on standard input and output.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use lictor_mcp_bridge::{config::BridgeConfig, stdio::serve_stdio};
use lictor_runtime::{
    exit::Exit,
    logging::{self, Format},
    workers,
};
use tracing::Level;

/// Serves MCP on standard input and output, for one client.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// The configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// How the log on standard error looks: text or json.
    #[arg(long, default_value = "text")]
    log_format: Format,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match serve(&arguments) {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            eprintln!("lictor-mcp-bridge: {error:#}");
            Exit::Usage.into()
        }
    }
}

fn serve(arguments: &Arguments) -> anyhow::Result<()> {
    logging::init(arguments.log_format, Level::INFO)?;
    let config = BridgeConfig::load(&arguments.config)?;
    workers::run(serve_stdio(config))?
}
