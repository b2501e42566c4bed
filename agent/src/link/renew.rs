//! A new certificate for a new key, at half of the old one's life, over the session that is up.

use std::{fs, path::Path, sync::Arc, time::Duration};

use lictor_certs::{client::LiveClientTls, csr, files::IdentityFiles};
use lictor_core::clock::{Clock, Timestamp};
use lictor_proto::pb::{self, agent_link_client::AgentLinkClient};
use lictor_runtime::shutdown::Shutdown;
use tokio::sync::watch;
use tonic::transport::Channel;

/// Wait after an attempt that failed; with 24 h certificates there is room for hundreds.
const RETRY_DELAY: Duration = Duration::from_secs(60);
/// Longest sleep before the clock is looked at again: it may be set, and machines sleep.
const MAX_SLEEP: Duration = Duration::from_secs(600);

/// What renewing needs.
#[derive(Debug)]
pub(crate) struct Renewal {
    pub(crate) files: IdentityFiles,
    pub(crate) tls: Arc<LiveClientTls>,
    pub(crate) client: watch::Receiver<Option<AgentLinkClient<Channel>>>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Renewal {
    /// Renews until the process stops.
    pub(crate) async fn run(mut self, shutdown: Shutdown) {
        loop {
            // Without a session there is nobody to ask.
            let up = tokio::select! {
                () = shutdown.stopping() => return,
                up = self.client.wait_for(Option::is_some) => up.is_ok(),
            };
            if !up {
                return shutdown.stopping().await;
            }
            let wait = self.due().since(self.clock.now()).min(MAX_SLEEP);
            let wait = if wait.is_zero() { self.attempt().await } else { wait };
            tokio::select! {
                () = shutdown.stopping() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    /// Half way between when the certificate was written here and when it ends.
    fn due(&self) -> Timestamp {
        let end = self.tls.own().not_after;
        let written = written_at(&self.files.chain).unwrap_or(end);
        written.plus(end.since(written) / 2)
    }

    /// Tries once; gives the wait until the next look.
    async fn attempt(&self) -> Duration {
        match self.renew().await {
            Ok(()) => {
                tracing::info!(not_after = %self.tls.own().not_after, "the certificate was renewed");
                Duration::ZERO
            }
            Err(error) => {
                tracing::warn!(%error, not_after = %self.tls.own().not_after, "the certificate could not be renewed yet");
                RETRY_DELAY
            }
        }
    }

    async fn renew(&self) -> Result<(), String> {
        let mut client = self.client.borrow().clone().ok_or("there is no session")?;
        let request = csr::new_key_request().map_err(|e| e.to_string())?;
        let response = client
            .renew(pb::RenewRequest { csr_pem: request.csr_pem.clone() })
            .await
            .map_err(|e| e.to_string())?;
        let root = fs::read_to_string(&self.files.roots).map_err(|e| e.to_string())?;
        let chain = response.into_inner().chain_pem;
        self.files.write(&chain, &request.key_pem, &root).map_err(|e| crate::error_chain(&e))?;
        self.tls.reload_if_changed();
        Ok(())
    }
}

fn written_at(path: &Path) -> Option<Timestamp> {
    let modified = fs::metadata(path).ok()?.modified().ok()?;
    let since = modified.duration_since(std::time::UNIX_EPOCH).ok()?;
    Some(Timestamp::from_micros(u64::try_from(since.as_micros()).ok()?))
}
