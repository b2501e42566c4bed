//! Accepting connections: few enough, fast enough, and drained when the process stops.

use std::{convert::Infallible, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use hyper::{
    server::conn::{http1, http2},
    service::service_fn,
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rmcp::ServerHandler;
use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::Semaphore,
    time::timeout,
};
use tokio_rustls::TlsAcceptor;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use super::gate::Gate;

/// Connections at a time; further ones are closed at once.
const MAX_CONNECTIONS: usize = 4096;
/// Longest time for TLS, and for the head of a request; a connection without a request is closed after it, too.
const HEAD_DEADLINE: Duration = Duration::from_secs(15);
/// Longest head of a request: a token of the greatest length fits twice.
const MAX_HEAD_BYTES: usize = 32 * 1024;
/// Requests at a time on one HTTP/2 connection.
const MAX_STREAMS: u32 = 256;
/// How often a silent HTTP/2 connection is asked whether it lives.
const KEEPALIVE: Duration = Duration::from_secs(20);
/// Pause after an accept that failed for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Accepts connections until `stop`; then those that are open finish what they are at, watched by `open`.
pub(super) async fn accept<H: ServerHandler + Send + 'static>(
    listener: TcpListener,
    tls: Option<Arc<ServerConfig>>,
    gate: Arc<Gate<H>>,
    open: TaskTracker,
    stop: CancellationToken,
) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        let (tcp, remote) = match accepted {
            Ok(accepted) => accepted,
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
            tracing::warn!(%remote, "there are too many connections");
            continue;
        };
        let (tls, gate, stop) = (tls.clone(), Arc::clone(&gate), stop.clone());
        open.spawn(async move {
            let _place = place;
            connection(tcp, remote, tls, gate, stop).await;
        });
    }
}

async fn connection<H: ServerHandler + Send + 'static>(
    tcp: TcpStream,
    remote: SocketAddr,
    tls: Option<Arc<ServerConfig>>,
    gate: Arc<Gate<H>>,
    stop: CancellationToken,
) {
    if let Err(error) = tcp.set_nodelay(true) {
        tracing::debug!(%remote, %error, "no nodelay");
    }
    let Some(tls) = tls else { return serve(tcp, false, gate, stop).await };
    match timeout(HEAD_DEADLINE, TlsAcceptor::from(tls).accept(tcp)).await {
        Ok(Ok(stream)) => {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            serve(stream, http2, gate, stop).await;
        }
        Ok(Err(error)) => tracing::debug!(%remote, %error, "no TLS"),
        Err(_) => tracing::debug!(%remote, "TLS took too long"),
    }
}

async fn serve<H: ServerHandler + Send + 'static>(
    io: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    http2: bool,
    gate: Arc<Gate<H>>,
    stop: CancellationToken,
) {
    let service = service_fn(move |request| {
        let gate = Arc::clone(&gate);
        async move { Ok::<_, Infallible>(gate.answer(request).await) }
    });
    let ended: Result<(), hyper::Error> = if http2 {
        let mut builder = http2::Builder::new(TokioExecutor::new());
        builder.timer(TokioTimer::new()).keep_alive_interval(KEEPALIVE).keep_alive_timeout(HEAD_DEADLINE);
        builder.max_concurrent_streams(MAX_STREAMS).max_header_list_size(MAX_HEAD_BYTES as u32);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    } else {
        let mut builder = http1::Builder::new();
        builder.timer(TokioTimer::new()).header_read_timeout(HEAD_DEADLINE).max_buf_size(MAX_HEAD_BYTES);
        let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
        tokio::select! {
            ended = connection.as_mut() => ended,
            () = stop.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

/// Opens the listener.
pub(super) async fn bind(address: SocketAddr) -> io::Result<TcpListener> {
    TcpListener::bind(address).await
}
