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

use super::{
    gate::{Gate, while_it_lasts},
    idle::{Activity, IDLE},
};

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
    let Some(tls) = tls else { return serve(tcp, false, gate, stop, IDLE).await };
    match timeout(HEAD_DEADLINE, TlsAcceptor::from(tls).accept(tcp)).await {
        Ok(Ok(stream)) => {
            let http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
            serve(stream, http2, gate, stop, IDLE).await;
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
    idle: Duration,
) {
    let activity = Activity::new();
    let running = activity.clone();
    let service = service_fn(move |request| {
        let (gate, busy) = (Arc::clone(&gate), running.begin());
        async move { Ok::<_, Infallible>(gate.answer(request).await.map(|body| while_it_lasts(body, busy))) }
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
            () = activity.idle_for(idle) => {
                connection.as_mut().graceful_shutdown();
                // Whoever does not close it now does not want to; a call that was on its way is answered.
                tokio::select! {
                    ended = connection.as_mut() => ended,
                    () = activity.idle_for(HEAD_DEADLINE) => Ok(()),
                }
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

#[cfg(test)]
mod tests {
    use rmcp::ServerHandler;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;
    use crate::http::config::HttpConfig;

    struct Nothing;
    impl ServerHandler for Nothing {}

    /// A frame's head (RFC 9113 §4.1): length, kind, flags, stream.
    const HEAD: usize = 9;
    const SETTINGS: u8 = 4;
    const PING: u8 = 6;
    const GOAWAY: u8 = 7;
    const ACK: u8 = 1;

    #[tokio::test]
    async fn a_connection_of_http_2_on_which_nothing_runs_is_closed_however_lively_it_is() {
        let loopback = "127.0.0.1:0".parse().unwrap();
        let config = HttpConfig::loopback(loopback, std::path::Path::new(".")).unwrap();
        let stop = CancellationToken::new();
        let gate = Arc::new(Gate::new(&config, None, || Nothing, |_| None, stop.clone()));
        let (mut near, far) = duplex(64 * 1024);
        near.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await.unwrap();
        near.write_all(&[0, 0, 0, SETTINGS, 0, 0, 0, 0, 0]).await.unwrap();
        let server = tokio::spawn(serve(far, true, gate, stop, Duration::from_millis(50)));
        let (mut head, mut goodbyes) = ([0; HEAD], 0);
        while near.read_exact(&mut head).await.is_ok() {
            let length = usize::from(head[1]) * 256 + usize::from(head[2]);
            let mut rest = vec![0; length];
            near.read_exact(&mut rest).await.unwrap();
            match (head[3], head[4]) {
                // It answers every ping, as a live client does.
                (PING, 0) => {
                    let answer = [&[0, 0, 8, PING, ACK, 0, 0, 0, 0][..], &rest].concat();
                    if near.write_all(&answer).await.is_err() {
                        break;
                    }
                }
                (SETTINGS, 0) => drop(near.write_all(&[0, 0, 0, SETTINGS, ACK, 0, 0, 0, 0]).await),
                (GOAWAY, _) => goodbyes += 1,
                _ => {}
            }
        }
        server.await.unwrap();
        assert!(goodbyes > 0, "it says so before it closes");
    }
}
