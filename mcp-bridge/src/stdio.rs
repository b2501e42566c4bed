//! Serving one MCP client over standard input and output, until it goes away or the process is told to stop.

use std::time::Duration;

use anyhow::Context as _;
use lictor_core::error::Failure;
use lictor_runtime::shutdown::Shutdown;
use rmcp::{
    ServiceExt as _,
    transport::{async_rw::AsyncRwTransport, io::stdio_pipes},
};

use crate::{config::BridgeConfig, http::message::MAX_MESSAGE_BYTES, server::Bridge};

/// How long running calls have, after the client went away, to have their jobs' cancellation recorded.
const SHUTDOWN_WAIT: Duration = Duration::from_secs(3);

/// Serves MCP on standard input and output. Standard output belongs to the protocol; the log goes to standard error.
///
/// A controller that cannot be reached does not end the server: tools then answer with `UNAVAILABLE`. When the client
/// goes away, what it was waiting for is cancelled.
///
/// # Errors
/// When the identity cannot be read, or the client does not speak MCP.
pub async fn serve_stdio(config: BridgeConfig) -> anyhow::Result<()> {
    let identity = config.identity().map_err(with_next_step)?;
    let bridge = Bridge::new(identity)?;
    let shutdown = Shutdown::on_signals().context("cannot listen to signals")?;
    let (input, output) = stdio_pipes();
    // A longer line is passed over as it comes, and never held.
    let transport = AsyncRwTransport::new_server(input, output).with_max_line_length(MAX_MESSAGE_BYTES);
    let service = bridge
        .clone()
        .serve_with_ct(transport, shutdown.token())
        .await
        .context("the client did not begin as MCP does")?;
    let quit = service.waiting().await;
    if !bridge.drain(SHUTDOWN_WAIT).await {
        tracing::warn!("calls were still running when the client had gone; their jobs go on");
    }
    quit.context("the server task ended")?;
    Ok(())
}

/// A failure as whoever starts the process reads it.
pub(crate) fn with_next_step(failure: Failure) -> anyhow::Error {
    let next_step = failure.next_step.clone();
    anyhow::Error::new(failure).context(next_step)
}
