//! `lictor-controller`: arguments → configuration → run → exit code.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use lictor_controller::ControllerConfig;
use lictor_runtime::{
    exit::{self, Exit},
    logging::{self, Format},
    shutdown::Shutdown,
    workers,
};

/// The Lictor controller: policy, dispatch and audit.
#[derive(Debug, Parser)]
#[command(name = "lictor-controller", version)]
struct Arguments {
    /// Its configuration file.
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Form of the log on standard error: text or json.
    #[arg(long, default_value = "text")]
    log_format: Format,
    /// Only check the configuration.
    #[arg(long)]
    check: bool,
    /// Only replace the key that signs the audit log, and record it; the controller must not be running.
    #[arg(long, conflicts_with = "check")]
    rotate_audit_key: bool,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match workers::run(start(arguments)).map_err(anyhow::Error::from).flatten() {
        Ok(()) => Exit::Ok.into(),
        Err(error) => {
            exit::say(format_args!("error: {error:#}"));
            Exit::Internal.into()
        }
    }
}

async fn start(arguments: Arguments) -> anyhow::Result<()> {
    logging::init(arguments.log_format, tracing::Level::INFO)?;
    let config = ControllerConfig::load(&arguments.config)?;
    if arguments.check {
        println!("{} is in order", arguments.config.display());
        return Ok(());
    }
    if arguments.rotate_audit_key {
        print!("{}", lictor_controller::log_key::rotate(&config).await?);
        return Ok(());
    }
    let shutdown = Shutdown::on_signals()?;
    lictor_controller::run(config, shutdown).await
}
