//! The whole product on this machine: a controller, two sites that joined over mTLS, six SSH hosts, an AI's client.
//!
//! `stage` builds it out of real processes in a temporary directory, `steps` shows one promise each on it, `screen`
//! tells what happens. Whatever way the demo ends, nothing is left running and the directory is gone.
//!
//! [`sshd`] is public: whoever needs a real SSH host on a loopback port starts it the same way.

pub mod ports;
pub mod processes;
pub mod sshd;

mod broken;
mod child;
mod host;
mod mcp;
mod screen;
mod ssh_server;
mod stage;
mod steps;

pub(crate) use broken::Broken;
pub(crate) use screen::Screen;
pub(crate) use stage::Stage;

use std::time::Duration;

use lictor_runtime::exit::Exit;
use tokio::signal::unix::{SignalKind, signal};

use crate::{context::Context, trouble::Trouble};

/// Longest time for one step; each takes a few seconds at most.
const STEP_LIMIT: Duration = Duration::from_secs(120);

/// Shows everything; with `keep`, leaves it up until it is interrupted; with `built_in`, does without OpenSSH.
pub(crate) async fn show(keep: bool, built_in: bool, context: &Context) -> Result<Exit, Trouble> {
    let mut screen = Screen::new(context);
    screen.title();
    let ended = tokio::select! {
        ended = perform(keep, built_in, &mut screen, context) => Some(ended),
        () = interrupted() => None,
    };
    screen.finish(context)?;
    match ended {
        Some(ended) => ended?,
        // What stays up is stopped like this; anything else was not meant to end yet.
        None if screen.is_kept() => {}
        None => return Err(Trouble::usage("interrupted", "nothing was left running")),
    }
    Ok(if screen.all_held() { Exit::Ok } else { Exit::CommandFailed })
}

async fn perform(keep: bool, built_in: bool, screen: &mut Screen, context: &Context) -> Result<(), Trouble> {
    let built = Stage::build(screen, built_in).await;
    let mut stage =
        built.map_err(|broken| Trouble::internal(format!("the demo could not be set up: {broken}")))?;
    steps::all(&mut stage, screen).await;
    if !screen.all_held() {
        context.note(&stage.logs());
    }
    if keep {
        screen.keep(&stage)?;
        std::future::pending::<()>().await;
    }
    // Stopping waits for processes, which would hold up the runtime.
    let stopped = tokio::task::spawn_blocking(move || drop(stage)).await;
    stopped.map_err(|_| Trouble::internal("the demo could not be taken down"))
}

/// Waits for SIGINT, SIGTERM, or that the terminal is closed.
async fn interrupted() {
    let listen = || {
        let kinds = [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()];
        kinds.map(signal).into_iter().collect::<Result<Vec<_>, _>>()
    };
    match listen().as_deref_mut() {
        Ok([interrupt, terminate, hangup]) => tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hangup.recv() => {}
        },
        // Without signals the demo runs to its end.
        _ => std::future::pending().await,
    }
}
