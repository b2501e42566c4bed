//! One SSH connection up to its login: algorithms, limits, the handshake and its deadline.

use std::{borrow::Cow, sync::Arc, time::Duration};

use russh::{Preferred, cipher, client, compression, keys::Algorithm};
use tokio::{net::TcpStream, time::timeout};

use super::quickack::QuickAck;

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

/// Exchanges keys over a connected stream.
pub(crate) async fn handshake<H>(
    config: Arc<client::Config>,
    stream: TcpStream,
    handler: H,
) -> Result<client::Handle<H>, russh::Error>
where
    H: client::Handler<Error = russh::Error> + Send + 'static,
{
    let stream = stream.into_std()?;
    let mut unfinished = Unfinished(Some(stream.try_clone()?));
    let stream = QuickAck::new(TcpStream::from_std(stream)?);
    let result = timeout(HANDSHAKE_TIMEOUT, client::connect_stream(config, stream, handler)).await;
    match result {
        Ok(result) => {
            unfinished.0 = None;
            result
        }
        Err(_) => Err(russh::Error::ConnectionTimeout),
    }
}

/// The library's session outlives a handshake that is given up; closing the socket under it ends it.
struct Unfinished(Option<std::net::TcpStream>);

impl Drop for Unfinished {
    fn drop(&mut self) {
        if let Some(stream) = &self.0 {
            // A socket that is closed already is what is wanted.
            let _ = stream.shutdown(std::net::Shutdown::Both);
        }
    }
}
