//! Ten thousand SSH hosts in one process: a server that answers commands itself, so that a client's own limit shows.
//!
//! Every address of 127.0.0.0/8 is a host of its own, all at one port and with one host key. One key may log in, as any
//! user. What a command does is in [`command`]; no process is ever started.

pub mod command;

use std::{
    borrow::Cow,
    collections::HashMap,
    io,
    net::{IpAddr, Ipv4Addr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use russh::{
    Channel, ChannelId, MethodKind, MethodSet, Preferred, Sig, cipher, compression,
    keys::{PrivateKey, PublicKey},
    server::{self, Auth, ChannelOpenHandle, Handler, Msg, PublicKeyOffer, Session, VerifiedPublicKey},
};
use tokio::{
    net::{TcpListener, TcpSocket, TcpStream},
    task::AbortHandle,
};

use self::command::{Asked, Does};

/// Connections that may wait to be taken: a whole fleet is dialled at once.
const BACKLOG: u32 = 16 * 1024;
/// Where process numbers begin; they only have to look like some.
const FIRST_PROCESS: u32 = 1000;
/// The stream number of standard error (RFC 4254 §5.2).
const STDERR: u32 = 1;

/// The hosts of one port.
#[derive(Debug)]
pub struct Hosts {
    config: Arc<server::Config>,
    login: PublicKey,
    processes: AtomicU32,
}

/// One connection to one host.
struct Visit {
    hosts: Arc<Hosts>,
    /// Commands that sleep, by the invocation that they belong to.
    sleeping: HashMap<String, (ChannelId, AbortHandle)>,
}

/// Listens on `port` of every address.
///
/// # Errors
/// When the port is taken.
pub fn listen(port: u16) -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind((Ipv4Addr::UNSPECIFIED, port).into())?;
    socket.listen(BACKLOG)
}

// === impl Hosts ===

impl Hosts {
    /// Hosts that show `key` and let `login` in.
    pub fn new(key: PrivateKey, login: PublicKey) -> Arc<Self> {
        let config = server::Config {
            keys: vec![key],
            methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
            auth_rejection_time: Duration::ZERO,
            preferred: Preferred {
                cipher: Cow::Borrowed(&[cipher::AES_256_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR]),
                compression: Cow::Borrowed(&[compression::NONE]),
                ..Preferred::DEFAULT
            },
            inactivity_timeout: None,
            nodelay: true,
            ..server::Config::default()
        };
        Arc::new(Self { config: Arc::new(config), login, processes: AtomicU32::new(FIRST_PROCESS) })
    }

    /// Serves until the process ends.
    ///
    /// # Errors
    /// When nothing can be taken any more, as without file descriptors.
    pub async fn serve(self: Arc<Self>, listener: TcpListener) -> io::Result<()> {
        loop {
            let (stream, _) = listener.accept().await?;
            // Hosts of loopback only: whoever comes in by another address sees a closed door.
            if !matches!(stream.local_addr()?.ip(), IpAddr::V4(ip) if ip.is_loopback()) {
                continue;
            }
            tokio::spawn(Arc::clone(&self).visit(stream));
        }
    }

    async fn visit(self: Arc<Self>, stream: TcpStream) {
        let _ = stream.set_nodelay(true);
        let config = Arc::clone(&self.config);
        let visit = Visit { hosts: self, sleeping: HashMap::new() };
        if let Ok(session) = server::run_stream(config, stream, visit).await {
            // How a visit ends is the visitor's business.
            let _ = session.await;
        }
    }

    fn admits(&self, key: &PublicKey) -> Auth {
        if key.key_data() == self.login.key_data() { Auth::Accept } else { Auth::reject() }
    }
}

// === impl Visit ===

impl Visit {
    /// Ends the command of `invocation`, if it sleeps here. Tells whether it did.
    fn stop(&mut self, invocation: &str, session: &mut Session) -> Result<bool, russh::Error> {
        let Some((channel, sleeper)) = self.sleeping.remove(invocation) else { return Ok(false) };
        if sleeper.is_finished() {
            return Ok(false);
        }
        sleeper.abort();
        session.exit_signal_request(channel, Sig::TERM, false, "", "")?;
        session.eof(channel)?;
        session.close(channel)?;
        Ok(true)
    }

    fn sleep(&mut self, asked: &Asked<'_>, time: Duration, channel: ChannelId, session: &Session) {
        let handle = session.handle();
        let sleeper = tokio::spawn(async move {
            tokio::time::sleep(time).await;
            // Nobody may be listening any more.
            let _ = handle.exit_status_request(channel, 0).await;
            let _ = handle.eof(channel).await;
            let _ = handle.close(channel).await;
        });
        if let Some(invocation) = asked.invocation {
            self.sleeping.insert(invocation.to_owned(), (channel, sleeper.abort_handle()));
        }
    }
}

impl Handler for Visit {
    type Error = russh::Error;

    async fn auth_publickey_offered(
        &mut self,
        _: &str,
        offer: PublicKeyOffer<'_>,
    ) -> Result<Auth, Self::Error> {
        Ok(self.hosts.admits(offer.public_key))
    }

    async fn auth_publickey(&mut self, _: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(self.hosts.admits(key.public_key))
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(
        &mut self,
        channel: ChannelId,
        data: &[u8],
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let text = String::from_utf8_lossy(data);
        let asked = Asked::read(&text);
        session.channel_success(channel)?;
        if let Some(invocation) = asked.invocation {
            let process = self.hosts.processes.fetch_add(1, Ordering::Relaxed);
            session.extended_data(channel, STDERR, command::marker(invocation, process))?;
        }
        let status = match asked.does {
            Does::End(status) => status,
            Does::Print(text) => {
                session.data(channel, text)?;
                0
            }
            Does::Sleep(time) => {
                self.sleep(&asked, time, channel, session);
                return Ok(());
            }
            Does::Stop(invocation) => {
                let found = self.stop(invocation, session)?;
                session.data(channel, command::stopped(found))?;
                0
            }
        };
        session.exit_status_request(channel, status)?;
        session.eof(channel)?;
        session.close(channel)
    }
}
