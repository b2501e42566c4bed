//! The controller's side of what the agent sends, as long as a session is up; and what waits to be shown live there.

use std::sync::Arc;

use lictor_proto::pb::agent_link_client::AgentLinkClient;
use tokio::sync::watch;
use tonic::transport::Channel;

use super::feed::Feed;

/// The way to whatever session is up.
#[derive(Debug, Clone)]
pub(crate) struct Uplink {
    client: watch::Receiver<Option<AgentLinkClient<Channel>>>,
    feed: Arc<Feed>,
}

impl Uplink {
    pub(crate) fn new(client: watch::Receiver<Option<AgentLinkClient<Channel>>>) -> Self {
        Self { client, feed: Arc::default() }
    }

    /// The client of the session that is up.
    pub(crate) fn client(&self) -> Option<AgentLinkClient<Channel>> {
        self.client.borrow().clone()
    }

    /// What waits to be shown live.
    pub(crate) fn feed(&self) -> Arc<Feed> {
        Arc::clone(&self.feed)
    }
}
