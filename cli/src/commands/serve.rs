//! Processes of their own for the demo: a controller alone, an agent alone.

use std::{io, path::PathBuf};

use clap::Args;
use lictor_agent::AgentConfig;
use lictor_controller::ControllerConfig;
use lictor_runtime::{
    exit::Exit,
    logging::{self, Format},
    shutdown::Shutdown,
};
use tracing::Level;

use crate::{Done, trouble::Trouble};

/// Which file.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The settings
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
    /// Stop when standard input ends, as it does when the process that started this one is gone
    #[arg(long)]
    until_input_ends: bool,
}

/// Runs an agent until it is told to stop.
pub(crate) async fn agent(arguments: Arguments) -> Done {
    start_logging(Level::INFO)?;
    let config = AgentConfig::load(&arguments.config).map_err(files)?;
    let shutdown = arguments.shutdown()?;
    lictor_agent::run(config, shutdown.clone())
        .await
        .map_err(|e| Trouble::usage(chain(&e), "see the log above"))?;
    ended(&shutdown)
}

/// Runs a controller until it is told to stop.
pub(crate) async fn controller(arguments: Arguments) -> Done {
    start_logging(Level::INFO)?;
    let config = ControllerConfig::load(&arguments.config).map_err(files)?;
    let shutdown = arguments.shutdown()?;
    let run = lictor_controller::run(config, shutdown.clone()).await;
    run.map_err(|e| Trouble::usage(format!("{e:#}"), "see the log above"))?;
    ended(&shutdown)
}

// === impl Arguments ===

impl Arguments {
    fn shutdown(&self) -> Result<Shutdown, Trouble> {
        let shutdown = signals()?;
        if self.until_input_ends {
            let stop = shutdown.clone();
            // A thread of its own, because a read of standard input cannot be called off.
            std::thread::spawn(move || {
                let _ = io::copy(&mut io::stdin().lock(), &mut io::sink());
                stop.begin();
            });
        }
        Ok(shutdown)
    }
}

fn ended(shutdown: &Shutdown) -> Done {
    Ok(if shutdown.has_failed() { Exit::Internal } else { Exit::Ok }.into())
}

/// Logs go to standard error from now on.
pub(crate) fn start_logging(level: Level) -> Result<(), Trouble> {
    logging::init(Format::Text, level)
        .map_err(|e| Trouble::usage(e.to_string(), "correct or unset LICTOR_LOG"))
}

/// A stop that SIGINT and SIGTERM give.
pub(crate) fn signals() -> Result<Shutdown, Trouble> {
    Shutdown::on_signals().map_err(|e| Trouble::internal(format!("cannot listen to signals: {e}")))
}

/// Files that are wrong; the error has said where.
pub(crate) fn files(error: impl std::error::Error) -> Trouble {
    Trouble::usage(chain(&error), "correct the file; the controller and agents read it when they start")
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
