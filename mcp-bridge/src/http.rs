//! Serving many MCP clients over streamable HTTP, in both eras of the protocol, on one endpoint.
//!
//! A connection ([`listen`], [`tls`]) brings requests to a [`gate`], which asks who sent them, whether there is room
//! ([`limits`], [`arrivals`]), reads the [`message`], looks whose session it names ([`sessions`]), and hands it on; what it refuses itself
//! is in [`answers`]. 2025-11-25 has sessions, 2026-07-28 has none; `Host` and `Origin` are checked first and at every path ([`origin`]).

pub mod config;
pub mod limits;
pub mod sessions;

mod answers;
mod arrivals;
mod gate;
mod idle;
mod listen;
pub(crate) mod message;
mod origin;
mod tls;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use lictor_oauth::scope::Scope;
use lictor_runtime::{shutdown::Shutdown, tasks::spawn_supervised};
use rmcp::ServerHandler;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use self::{config::HttpConfig, gate::Gate, tls::LiveCertificate};
use crate::{config::BridgeConfig, server::Bridge, stdio::with_next_step, tools};

/// How long running calls have to end when the process stops. Their jobs go on whatever becomes of them: a bridge that is
/// restarted is no client that cancels.
const DRAIN: Duration = Duration::from_secs(20);

/// A listener that serves.
#[derive(Debug)]
pub struct Listening {
    /// Where.
    pub address: SocketAddr,
    open: TaskTracker,
    /// Ends what is still open, sessions too.
    end: CancellationToken,
}

/// Serves MCP over HTTP as `config.http` says, until the process is told to stop.
///
/// # Errors
/// When the file has no `http`, or the listener, the identity or the keys for tokens cannot be had.
pub async fn serve_http(config: BridgeConfig) -> anyhow::Result<()> {
    let identity = config.identity().map_err(with_next_step)?;
    let http = config.http.context("the configuration has no `http`: say there where to listen")?;
    let bridge = Bridge::new(identity)?;
    let shutdown = Shutdown::on_signals().context("cannot listen to signals")?;
    let handlers = bridge.clone();
    let listening = listen(&http, move || handlers.for_client(), tools::scope_of, &shutdown).await?;
    tracing::info!(address = %listening.address, tokens = http.tokens.is_some(), "serving MCP over HTTP");
    shutdown.stopping().await;
    if !bridge.drain(DRAIN).await {
        tracing::warn!("calls were still running; their jobs go on");
    }
    listening.end().await;
    anyhow::ensure!(!shutdown.has_failed(), "the bridge stopped because of a failure; see the log");
    Ok(())
}

/// Listens as `config` says and serves the handlers that `factory` makes, until `shutdown`.
///
/// # Errors
/// When the address is taken, or certificate, key or keys for tokens cannot be read.
pub async fn listen<H: ServerHandler + Send + 'static>(
    config: &HttpConfig,
    factory: impl Fn() -> H + Send + Sync + 'static,
    scope_of_tool: fn(&str) -> Option<Scope>,
    shutdown: &Shutdown,
) -> anyhow::Result<Listening> {
    let listener = listen::bind(config.listen).await.with_context(|| {
        format!(
            "cannot listen on {}: is another bridge running? Otherwise change `http.listen`",
            config.listen
        )
    })?;
    let address = listener.local_addr()?;
    let stop = shutdown.token();
    let tls = match &config.tls {
        Some(files) => {
            let certificate = LiveCertificate::load(files.clone())?;
            let tls = certificate.config()?;
            supervise("certificate", certificate.follow(), shutdown);
            Some(tls)
        }
        None => None,
    };
    let verifier = match &config.tokens {
        Some(tokens) => {
            let (verifier, keys) = tokens.verifier().await.context("http.tokens.keys")?;
            supervise("keys for tokens", keys.follow(), shutdown);
            Some(verifier)
        }
        None => None,
    };
    let (open, end) = (TaskTracker::new(), CancellationToken::new());
    let gate = Arc::new(Gate::new(config, verifier, factory, scope_of_tool, end.clone()));
    supervise("sessions", Arc::clone(gate.sessions()).sweep_for_ever(), shutdown);
    supervise("listener", listen::accept(listener, tls, gate, open.clone(), stop), shutdown);
    Ok(Listening { address, open, end })
}

fn supervise(name: &'static str, task: impl Future<Output = ()> + Send + 'static, shutdown: &Shutdown) {
    let stop = shutdown.token();
    spawn_supervised(name, async move { stop.run_until_cancelled(task).await.unwrap_or(()) }, shutdown);
}

// === impl Listening ===

impl Listening {
    /// Ends streams and sessions, and waits for the connections to close.
    pub async fn end(self) {
        /// Connections close at once when nothing runs on them; a client that does not read has to be left.
        const CLOSE: Duration = Duration::from_secs(2);
        self.end.cancel();
        self.open.close();
        if tokio::time::timeout(CLOSE, self.open.wait()).await.is_err() {
            tracing::debug!("connections were left open");
        }
    }
}
