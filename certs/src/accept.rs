//! The accept loop that the mutual and the enrolment listener share: bounded, concurrent TLS handshakes.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustls::ServerConfig;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, mpsc},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;

use crate::{
    live::{Live, TlsEnd},
    provider::ALPN,
};

/// Time for one handshake: several round trips over a bad line, and short enough that idle callers cannot hold a place.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Handshakes at once: with some 20 KiB each, strangers can hold 20 MiB at most. More callers wait in the kernel.
pub const MAX_HANDSHAKES: usize = 1024;
/// Finished connections that wait to be taken; when it is full, handshakes hold their place until it is not.
const READY_CONNECTIONS: usize = 64;
/// Pause after a failed accept: the usual reason is that the process has no file descriptors left.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// An accepted TLS connection and who is at its other end.
#[derive(Debug)]
pub struct Connection<P> {
    /// Who is at the other end.
    pub peer: P,
    /// From where.
    pub remote: SocketAddr,
    io: TlsStream<TcpStream>,
}

/// Accepts until `cancel`; `admit` says who the peer is, or why it is refused after all.
pub(crate) fn accept<E, P, F>(
    listener: TcpListener,
    tls: Arc<Live<E>>,
    cancel: CancellationToken,
    admit: F,
) -> ReceiverStream<io::Result<Connection<P>>>
where
    E: TlsEnd<Config = ServerConfig>,
    P: Send + 'static,
    F: Fn(&TlsStream<TcpStream>) -> Result<P, String> + Clone + Send + 'static,
{
    let (ready, connections) = mpsc::channel(READY_CONNECTIONS);
    tokio::spawn(async move {
        let places = Arc::new(Semaphore::new(MAX_HANDSHAKES));
        let taken = ready.clone();
        let next = async || {
            // The semaphore is never closed, so there is always a place to wait for.
            let place = Arc::clone(&places).acquire_owned().await.ok();
            (place, listener.accept().await)
        };
        loop {
            let (place, accepted) = tokio::select! {
                biased;
                () = cancel.cancelled() => return,
                () = taken.closed() => return,
                next = next() => next,
            };
            let (tcp, remote) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(end = E::NAME, %error, "cannot accept a connection");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            // The newest configuration for each connection.
            let acceptor = TlsAcceptor::from(tls.config());
            let (ready, admit, cancel) = (ready.clone(), admit.clone(), cancel.clone());
            tokio::spawn(async move {
                let _place = place;
                let work = async {
                    match handshake(acceptor, tcp, remote, admit).await {
                        // Nobody takes connections any more when this fails.
                        Ok(connection) => drop(ready.send(Ok(connection)).await),
                        // Health checks of load balancers and port scans say nothing and leave.
                        Err(why) if is_gone(&why) => {
                            tracing::debug!(end = E::NAME, %remote, %why, "caller left")
                        }
                        Err(why) => tracing::warn!(end = E::NAME, %remote, %why, "connection refused"),
                    }
                };
                cancel.run_until_cancelled(work).await;
            });
        }
    });
    ReceiverStream::new(connections)
}

async fn handshake<P>(
    acceptor: TlsAcceptor,
    tcp: TcpStream,
    remote: SocketAddr,
    admit: impl Fn(&TlsStream<TcpStream>) -> Result<P, String>,
) -> io::Result<Connection<P>> {
    tcp.set_nodelay(true)?;
    let io = match timeout(HANDSHAKE_TIMEOUT, acceptor.accept(tcp)).await {
        Ok(done) => done?,
        Err(_) => return Err(io::Error::new(io::ErrorKind::TimedOut, "the handshake took too long")),
    };
    if io.get_ref().1.alpn_protocol() != Some(ALPN) {
        return Err(io::Error::other("the caller does not speak h2"));
    }
    let peer = admit(&io).map_err(io::Error::other)?;
    Ok(Connection { peer, remote, io })
}

fn is_gone(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset)
}

// === impl Connection ===

impl<P> Connection<P> {
    /// The state of TLS: group, suite, certificates.
    pub fn tls(&self) -> &rustls::ServerConnection {
        self.io.get_ref().1
    }
}

impl<P: Unpin> AsyncRead for Connection<P> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<P: Unpin> AsyncWrite for Connection<P> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.io).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }
}
