//! A small SSH server in this process, for machines without OpenSSH's: one user's key, and exec through `/bin/sh`.

use std::{
    io,
    net::{Ipv4Addr, Shutdown},
    os::unix::process::ExitStatusExt as _,
    process::Stdio,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use russh::{
    Channel, ChannelId, MethodKind, MethodSet, Sig,
    keys::{PrivateKey, PublicKey},
    server::{self, Auth, ChannelOpenHandle, Handle, Msg, Session, VerifiedPublicKey},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _},
    net::{TcpListener, TcpStream},
    process::Command,
};

use super::processes;

/// Bytes read from a command at a time.
const PIECE: usize = 16 * 1024;
/// Longest wait for a port that was just left.
const BIND_WAIT: Duration = Duration::from_secs(2);
/// How often it is tried until then.
const BIND_LOOK: Duration = Duration::from_millis(5);
/// SSH's number for standard error (RFC 4254 §5.2).
const STDERR: u32 = 1;

/// A running server; it ends with this value, and so does everything that was started through it.
#[derive(Debug)]
pub(super) struct BuiltIn {
    port: u16,
    shared: Arc<Shared>,
    listener: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    authorized: PublicKey,
    environment: Vec<(String, String)>,
    logins_tried: AtomicUsize,
    connections: Mutex<Vec<std::net::TcpStream>>,
    running: Mutex<Vec<i32>>,
}

// === impl BuiltIn ===

impl BuiltIn {
    /// Starts a server on a loopback port.
    pub(super) async fn start(
        host_key: PrivateKey,
        authorized: PublicKey,
        port: Option<u16>,
        environment: &[(&str, &str)],
    ) -> io::Result<Self> {
        let listener = bind(port).await?;
        let port = listener.local_addr()?.port();
        let config = Arc::new(server::Config {
            keys: vec![host_key],
            methods: MethodSet::from([MethodKind::PublicKey].as_slice()),
            nodelay: true,
            ..Default::default()
        });
        let environment = environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let shared = Arc::new(Shared {
            authorized,
            environment: environment.collect(),
            logins_tried: AtomicUsize::new(0),
            connections: Mutex::default(),
            running: Mutex::default(),
        });
        let served = Arc::clone(&shared);
        let listener = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(stream) = served.remember(stream) else { continue };
                let (config, shared) = (Arc::clone(&config), Arc::clone(&served));
                tokio::spawn(async move {
                    if let Ok(session) = server::run_stream(config, stream, Connection { shared }).await {
                        let _ = session.await;
                    }
                });
            }
        });
        Ok(Self { port, shared, listener })
    }

    pub(super) const fn port(&self) -> u16 {
        self.port
    }

    /// How many times somebody tried to log in.
    pub(super) fn logins_tried(&self) -> usize {
        self.shared.logins_tried.load(Ordering::SeqCst)
    }

    /// Ends it with its connections and their commands.
    pub(super) fn stop(&mut self) {
        self.listener.abort();
        for connection in self.shared.connections.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // One that is closed already is no error.
            let _ = connection.shutdown(Shutdown::Both);
        }
        let running =
            std::mem::take(&mut *self.shared.running.lock().unwrap_or_else(PoisonError::into_inner));
        for pid in running {
            processes::kill_below(pid);
            processes::kill(pid);
        }
    }
}

impl Drop for BuiltIn {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Listens; on a port that was just left, as soon as it is free.
async fn bind(port: Option<u16>) -> io::Result<TcpListener> {
    let begun = Instant::now();
    loop {
        match TcpListener::bind((Ipv4Addr::LOCALHOST, port.unwrap_or(0))).await {
            Err(error) if error.kind() == io::ErrorKind::AddrInUse && begun.elapsed() < BIND_WAIT => {
                tokio::time::sleep(BIND_LOOK).await;
            }
            other => return other,
        }
    }
}

// === impl Shared ===

impl Shared {
    /// Keeps a second handle of the connection, by which it can be closed.
    fn remember(&self, stream: TcpStream) -> io::Result<TcpStream> {
        let stream = stream.into_std()?;
        self.connections.lock().unwrap_or_else(PoisonError::into_inner).push(stream.try_clone()?);
        TcpStream::from_std(stream)
    }
}

struct Connection {
    shared: Arc<Shared>,
}

// === impl Connection ===

impl server::Handler for Connection {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _user: &str, key: VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        self.shared.logins_tried.fetch_add(1, Ordering::SeqCst);
        let known = key.public_key.key_data() == self.shared.authorized.key_data();
        Ok(if known { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        _channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
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
        session.channel_success(channel)?;
        let command = String::from_utf8_lossy(data).into_owned();
        tokio::spawn(execute(Arc::clone(&self.shared), session.handle(), channel, command));
        Ok(())
    }
}

/// Runs `command` in a process group of its own, as sshd does, and tells how it ended.
async fn execute(shared: Arc<Shared>, handle: Handle, channel: ChannelId, command: String) {
    let spawned = Command::new("/bin/sh")
        .args(["-c", &command])
        .envs(shared.environment.iter().map(|(name, value)| (name, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn();
    let status = match spawned {
        Err(_) => None,
        Ok(mut child) => {
            let pid = child.id().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_default();
            let running = || shared.running.lock().unwrap_or_else(PoisonError::into_inner);
            running().push(pid);
            let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
            tokio::join!(pump(stdout, &handle, channel, None), pump(stderr, &handle, channel, Some(STDERR)));
            let status = child.wait().await.ok();
            running().retain(|other| *other != pid);
            status
        }
    };
    let signal = status.and_then(|status| status.signal());
    let _ = match signal {
        Some(number) => {
            handle.exit_signal_request(channel, name(number), false, String::new(), String::new()).await
        }
        None => {
            let code = status.and_then(|status| status.code()).and_then(|code| u32::try_from(code).ok());
            handle.exit_status_request(channel, code.unwrap_or(255)).await
        }
    };
    let _ = handle.eof(channel).await;
    let _ = handle.close(channel).await;
}

async fn pump(from: Option<impl AsyncRead + Unpin>, to: &Handle, channel: ChannelId, extended: Option<u32>) {
    let Some(mut from) = from else { return };
    let mut piece = vec![0; PIECE];
    while let Ok(length @ 1..) = from.read(&mut piece).await {
        let bytes = piece.get(..length).unwrap_or_default().to_vec();
        let sent = match extended {
            Some(kind) => to.extended_data(channel, kind, bytes).await,
            None => to.data(channel, bytes).await,
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The signals that a demo's commands end by; any other is named by its number.
fn name(number: i32) -> Sig {
    match number {
        2 => Sig::INT,
        9 => Sig::KILL,
        15 => Sig::TERM,
        other => Sig::Custom(other.to_string()),
    }
}
