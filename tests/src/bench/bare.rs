//! What everything is measured against: the SSH library by itself, in a loop, with nothing around it.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use russh::{
    ChannelMsg,
    client::{self, Handle},
    keys::{PrivateKey, PublicKeyOrCertificate, key::PrivateKeyWithHashAlg},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// Commands under way at once in a loop over many hosts: more gain nothing where the hosts are this near.
pub const AT_ONCE: usize = 64;

/// A logged-in connection.
pub type Connection = Handle<AnyKey>;

/// Accepts every host key: the cost of checking one is in the handshake all the same.
#[derive(Debug)]
pub struct AnyKey;

/// Who logs in.
#[derive(Debug, Clone)]
pub struct Login {
    key: Arc<PrivateKey>,
    user: String,
}

/// Whether the client acknowledges at once, as Lictor's agent does: sshd waits for it on a fresh connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Acknowledge {
    /// At once.
    AtOnce,
    /// As the system does by itself.
    Later,
}

struct Stream(TcpStream, Acknowledge);

impl client::Handler for AnyKey {
    type Error = russh::Error;
    async fn check_server_key(&mut self, _: &PublicKeyOrCertificate) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

// === impl Login ===

impl Login {
    /// The current user with this key.
    ///
    /// # Errors
    /// When the user's name cannot be found out.
    pub fn new(key: &Arc<PrivateKey>) -> anyhow::Result<Self> {
        Ok(Self { key: Arc::clone(key), user: lictor_cli::demo::sshd::current_user()? })
    }

    /// Connects and logs in.
    ///
    /// # Errors
    /// When the host does not answer, or refuses the key.
    pub async fn connect(&self, host: SocketAddr, acknowledge: Acknowledge) -> anyhow::Result<Connection> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let config = Arc::new(client::Config { nodelay: true, ..client::Config::default() });
        let mut handle = client::connect_stream(config, Stream(stream, acknowledge), AnyKey).await?;
        let key = PrivateKeyWithHashAlg::new(Arc::clone(&self.key), None);
        let answer = handle.authenticate_publickey(self.user.as_str(), key).await?;
        anyhow::ensure!(answer.success(), "{host} refuses the key");
        Ok(handle)
    }

    /// Connects to each host and runs `true` there; the connections are kept.
    ///
    /// # Errors
    /// When one does not work.
    pub async fn connect_all(&self, hosts: Vec<SocketAddr>) -> anyhow::Result<Vec<Connection>> {
        let each = stream::iter(hosts).map(async |host| {
            let connection = self.connect(host, Acknowledge::AtOnce).await?;
            exec(&connection, "true").await?;
            anyhow::Ok(connection)
        });
        each.buffer_unordered(AT_ONCE).try_collect().await
    }
}

/// Runs a command and waits for its end.
///
/// # Errors
/// When it does not end well.
pub async fn exec(connection: &Connection, command: &str) -> anyhow::Result<()> {
    let mut channel = connection.channel_open_session().await?;
    channel.exec(true, command).await?;
    let mut status = None;
    while let Some(message) = channel.wait().await {
        if let ChannelMsg::ExitStatus { exit_status } = message {
            status = Some(exit_status);
        }
    }
    anyhow::ensure!(status == Some(0), "{command} ended with {status:?}");
    Ok(())
}

/// Runs `true` over each connection.
///
/// # Errors
/// When one does not end well.
pub async fn exec_all(connections: &[Connection]) -> anyhow::Result<()> {
    let each = stream::iter(connections).map(|connection| exec(connection, "true"));
    each.buffer_unordered(AT_ONCE).try_collect().await
}

// === impl Stream ===

impl Stream {
    fn acknowledge(&self) {
        #[cfg(target_os = "linux")]
        if self.1 == Acknowledge::AtOnce {
            // A refusal costs speed, nothing else.
            let _ = socket2::SockRef::from(&self.0).set_tcp_quickack(true);
        }
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let result = Pin::new(&mut self.0).poll_read(cx, buf);
        if matches!(result, Poll::Ready(Ok(()))) {
            self.acknowledge();
        }
        result
    }
}

impl AsyncWrite for Stream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
