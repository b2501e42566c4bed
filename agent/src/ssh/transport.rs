//! One SSH connection up to its login: algorithms, limits, the handshake and its deadline.

use std::{borrow::Cow, sync::Arc, time::Duration};

use russh::{Preferred, cipher, client, compression, keys::Algorithm};
use tokio::{net::TcpStream, time::timeout};

use super::{quickack::QuickAck, tunnel::Tunnel};

/// Time for the key exchange; sshd itself closes an unauthenticated connection after 120 s (LoginGraceTime).
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(15);
/// A silent host is asked this often …
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(15);
/// … and given up after this many unanswered times: a dead host is noticed within a minute.
const KEEPALIVE_MAX: usize = 3;

/// The algorithms and limits of a connection that accepts these host keys.
///
/// The default key exchanges stay: mlkem768x25519 first. The SHA-1 form of RSA and compression are left out.
pub(crate) fn config(
    keys: Cow<'static, [Algorithm]>,
    certificates: Cow<'static, [Algorithm]>,
) -> Arc<client::Config> {
    Arc::new(client::Config {
        preferred: Preferred {
            key: keys,
            host_key_certificates: certificates,
            cipher: Cow::Borrowed(&[cipher::AES_256_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR]),
            compression: Cow::Borrowed(&[compression::NONE]),
            ..Preferred::DEFAULT
        },
        nodelay: true,
        keepalive_interval: Some(KEEPALIVE_INTERVAL),
        keepalive_max: KEEPALIVE_MAX,
        inactivity_timeout: None,
        ..client::Config::default()
    })
}

/// What SSH is spoken over.
#[derive(Debug)]
pub(crate) enum Stream {
    /// A connection of this machine.
    Tcp(TcpStream),
    /// A connection that a jump host made.
    Tunnel(Box<Tunnel>),
}

/// Exchanges keys over a connected stream.
pub(crate) async fn handshake<H>(
    config: Arc<client::Config>,
    stream: Stream,
    handler: H,
) -> Result<client::Handle<H>, russh::Error>
where
    H: client::Handler<Error = russh::Error> + Send + 'static,
{
    match stream {
        Stream::Tcp(stream) => {
            let stream = stream.into_std()?;
            let socket = stream.try_clone()?;
            let stream = QuickAck::new(TcpStream::from_std(stream)?);
            // A socket that is closed already is what is wanted.
            let cut = move || drop(socket.shutdown(std::net::Shutdown::Both));
            in_time(client::connect_stream(config, stream, handler), cut).await
        }
        Stream::Tunnel(tunnel) => {
            let cut = tunnel.cutter();
            in_time(client::connect_stream(config, *tunnel, handler), move || cut.cancel()).await
        }
    }
}

async fn in_time<T>(
    connecting: impl Future<Output = Result<T, russh::Error>>,
    cut: impl FnOnce(),
) -> Result<T, russh::Error> {
    let mut unfinished = Unfinished(Some(cut));
    let result = timeout(HANDSHAKE_TIMEOUT, connecting).await.map_err(|_| russh::Error::ConnectionTimeout)?;
    unfinished.0 = None;
    result
}

/// The library's session outlives a handshake that is given up; cutting the stream under it ends it.
struct Unfinished<F: FnOnce()>(Option<F>);

impl<F: FnOnce()> Drop for Unfinished<F> {
    fn drop(&mut self) {
        if let Some(cut) = self.0.take() {
            cut();
        }
    }
}
