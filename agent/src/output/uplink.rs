//! The controller's side of the output streams, as long as a session is up.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use lictor_proto::pb::{self, agent_link_client::AgentLinkClient};
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;

/// Commands shown live at once: each holds a stream of the connection, of which a server allows a few hundred.
const MAX_LIVE: usize = 64;
/// Chunks that wait for a slow controller; what does not fit is not shown live, and comes with the result.
const LIVE_QUEUE: usize = 16;

/// Opens output streams over whatever session is up.
#[derive(Debug, Clone)]
pub(crate) struct Uplink {
    client: watch::Receiver<Option<AgentLinkClient<Channel>>>,
    live: Arc<AtomicUsize>,
}

impl Uplink {
    pub(crate) fn new(client: watch::Receiver<Option<AgentLinkClient<Channel>>>) -> Self {
        Self { client, live: Arc::default() }
    }

    /// The client of the session that is up.
    pub(crate) fn client(&self) -> Option<AgentLinkClient<Channel>> {
        self.client.borrow().clone()
    }

    /// A stream for one command's live output; ends when the sender is dropped.
    pub(crate) fn open_live(&self) -> Option<mpsc::Sender<pb::OutputChunk>> {
        let mut client = self.client()?;
        if self.live.fetch_add(1, Ordering::Relaxed) >= MAX_LIVE {
            self.live.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        let (sender, receiver) = mpsc::channel(LIVE_QUEUE);
        let live = Arc::clone(&self.live);
        tokio::spawn(async move {
            // A stream that breaks costs the live view only: the whole output comes before the result.
            if let Err(error) = client.send_output(ReceiverStream::new(receiver)).await {
                tracing::debug!(%error, "a live output stream ended");
            }
            live.fetch_sub(1, Ordering::Relaxed);
        });
        Some(sender)
    }
}
