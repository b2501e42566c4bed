//! The link to the controller: the agent dials out, keeps one session up, and comes back after every break.
//!
//! Work goes on while there is no session; what it comes to is told to the next one.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use lictor_certs::client::LiveClientTls;
use lictor_core::clock::Clock;
use lictor_proto::pb::agent_link_client::AgentLinkClient;
use lictor_runtime::{backoff::Backoff, shutdown::Shutdown};
use tokio::{sync::watch, time::Instant};
use tonic::transport::Channel;

pub(crate) mod clocks;
pub(crate) mod dial;
pub(crate) mod epoch;
pub(crate) mod renew;
pub(crate) mod session;

use crate::{admit::Gate, exec::Runner, site::LiveSite, witness::LogWitness};
use epoch::EpochFile;
use session::SessionError;

/// First wait after a break: a controller that restarts is back within it.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest wait, so that a fleet is back within seconds of its controller.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// How often an agent that is revoked looks whether it has joined anew, so that it is back as soon as it has …
const REVOKED_LOOK: Duration = Duration::from_secs(2);
/// … and how often it asks without: a certificate that was revoked never counts again, unless the controller's state is
/// restored from a backup.
const REVOKED_ASK_EVERY: Duration = Duration::from_secs(3600);

/// Everything that sessions need; one per agent.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) controller: String,
    pub(crate) tls: Arc<LiveClientTls>,
    pub(crate) gate: Gate,
    pub(crate) site: Arc<LiveSite>,
    pub(crate) runner: Arc<Runner>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) client: watch::Sender<Option<AgentLinkClient<Channel>>>,
    pub(crate) epoch: EpochFile,
    pub(crate) witness: Arc<LogWitness>,
    /// Offers that nothing in could be believed: each is a security event.
    pub(crate) forged: AtomicU64,
}

impl Link {
    /// Keeps a session up until the process stops.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        let mut backoff = Backoff::new(BACKOFF_MIN, BACKOFF_MAX);
        while !shutdown.is_stopping() {
            let mut welcomed = false;
            let serial = self.tls.own().serial;
            let ended = tokio::select! {
                () = shutdown.stopping() => break,
                ended = session::run(&mut self, &mut welcomed, &shutdown) => ended,
            };
            self.client.send_replace(None);
            if welcomed {
                backoff.reset();
            }
            let delay = backoff.next_delay();
            match ended {
                Ok(()) => tracing::info!("the controller ended the session"),
                Err(SessionError::Revoked(failure)) => {
                    // What was accepted and has not started does not start any more.
                    self.runner.frozen.revoked(&failure.message);
                    let error = SessionError::Revoked(failure);
                    tracing::error!(%error, "this agent is revoked; it waits until it has joined anew");
                    tokio::select! {
                        () = shutdown.stopping() => break,
                        () = self.another_certificate(&serial) => {}
                    }
                    continue;
                }
                Err(error) => {
                    tracing::warn!(error = %error, again_in = ?delay, "no session with the controller")
                }
            }
            tokio::select! {
                () = shutdown.stopping() => break,
                () = tokio::time::sleep(delay) => {}
            }
        }
        self.client.send_replace(None);
    }

    /// Waits until there is another certificate than this one, or it is time to ask with it once more.
    async fn another_certificate(&self, refused: &str) {
        let begun = Instant::now();
        while self.tls.own().serial == refused && begun.elapsed() < REVOKED_ASK_EVERY {
            tokio::time::sleep(REVOKED_LOOK).await;
            self.tls.reload_if_changed();
        }
    }

    /// Counts an offer that cannot be believed.
    pub(crate) fn note_forged(&self, forged: &crate::admit::Forged) {
        let count = self.forged.fetch_add(1, Ordering::Relaxed) + 1;
        tracing::error!(security_event = "grant_forged", count, %forged, "an offer was dropped");
    }
}

/// The epoch file of a state directory.
pub(crate) fn epoch_in(state: &Path) -> std::io::Result<EpochFile> {
    EpochFile::open(state.join("epoch"))
}
