//! A gRPC channel over a stream that our own TLS made.

use std::{io, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use lictor_certs::client::{self, LiveClientTls};
use lictor_proto::{limits::MAX_LINK_MESSAGE_BYTES, pb::agent_link_client::AgentLinkClient};
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

/// A silent connection is asked this often …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// … and given up when it does not answer within this.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// Window of one stream: large enough that output is not paced by round trips.
const STREAM_WINDOW: u32 = 1024 * 1024;
/// Window of the connection: several output streams, and the session beside them.
const CONNECTION_WINDOW: u32 = 4 * 1024 * 1024;

/// Connects; the channel never reconnects by itself, sessions do.
pub(crate) async fn dial(
    address: &str,
    tls: &Arc<LiveClientTls>,
) -> Result<AgentLinkClient<Channel>, tonic::transport::Error> {
    let (address, tls) = (address.to_owned(), Arc::clone(tls));
    // The name is never looked up: the connector knows where to go, the certificate says who answered.
    let endpoint = Endpoint::from_static("http://controller.invalid")
        .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
        .keep_alive_timeout(KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let connector = service_fn(move |_| {
        let (address, tls) = (address.clone(), Arc::clone(&tls));
        async move { Ok::<_, io::Error>(TokioIo::new(client::connect(&address, &tls).await?)) }
    });
    let channel = endpoint.connect_with_connector(connector).await?;
    Ok(AgentLinkClient::new(channel)
        .max_decoding_message_size(MAX_LINK_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_LINK_MESSAGE_BYTES))
}
