//! A TCP proxy on one address that can be cut, stalled in one direction or both, and led elsewhere.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    sync::watch,
};

/// Bytes moved at a time.
const BUFFER_BYTES: usize = 64 * 1024;

/// Which way bytes go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Flow {
    /// Both ways.
    Both,
    /// Neither way; connections stay open and silent.
    None,
    /// Only from who connected to who listens: nothing is answered.
    ToServer,
    /// New connections are reset at once.
    Refused,
}

#[derive(Debug, Clone, Copy)]
struct State {
    flow: Flow,
    /// Connections of an earlier generation are reset.
    generation: u64,
    target: SocketAddr,
}

/// The proxy; it ends with this value.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    listening: tokio::task::JoinHandle<()>,
}

impl Proxy {
    /// Listens on `address`.
    ///
    /// # Errors
    /// When it cannot.
    pub async fn start_on(address: SocketAddr, target: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(watch::Sender::new(State { flow: Flow::Both, generation: 0, target }));
        let listening = tokio::spawn(listen(listener, Arc::clone(&state)));
        Ok(Self { address, state, listening })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
    /// Lets bytes go this way only, on connections that are open and those that come.
    pub fn set(&self, flow: Flow) {
        self.state.send_modify(|state| state.flow = flow);
    }
    /// Resets every connection; new ones are taken as before.
    pub fn cut(&self) {
        self.state.send_modify(|state| state.generation += 1);
    }
    /// Resets every connection and each that comes, until [`Flow::Both`] is set.
    pub fn down(&self) {
        self.state.send_modify(|state| {
            state.flow = Flow::Refused;
            state.generation += 1;
        });
    }
    /// Resets every connection; new ones go to `target`.
    pub fn lead_to(&self, target: SocketAddr) {
        self.state.send_modify(|state| {
            state.target = target;
            state.generation += 1;
        });
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
        self.cut();
    }
}

async fn listen(listener: TcpListener, state: Arc<watch::Sender<State>>) {
    while let Ok((near, _)) = listener.accept().await {
        tokio::spawn(carry(near, state.subscribe()));
    }
}

/// One connection, to its end.
async fn carry(near: TcpStream, mut state: watch::Receiver<State>) {
    let State { generation, target, flow } = *state.borrow_and_update();
    let far = if flow == Flow::Refused { None } else { TcpStream::connect(target).await.ok() };
    let Some(far) = far else {
        reset(&near);
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    // Closed like this, neither end takes it for an orderly end.
    reset(&near);
    reset(&far);
    let ((near_in, near_out), (far_in, far_out)) = (near.into_split(), far.into_split());
    let mut watched = state.clone();
    tokio::select! {
        _ = async {
            tokio::join!(
                pump(near_in, far_out, state.clone(), |flow| matches!(flow, Flow::Both | Flow::ToServer)),
                pump(far_in, near_out, state, |flow| flow == Flow::Both),
            )
        } => {}
        _ = watched.wait_for(|now| now.generation != generation) => {}
    }
}

fn reset(stream: &TcpStream) {
    // A socket that is closed already needs no reset.
    let _ = socket_linger(stream);
}

fn socket_linger(stream: &TcpStream) -> io::Result<()> {
    Ok(rustix::net::sockopt::set_socket_linger(stream, Some(Duration::ZERO))?)
}

async fn pump(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    mut state: watch::Receiver<State>,
    flows: fn(Flow) -> bool,
) {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        if state.wait_for(|now| flows(now.flow)).await.is_err() {
            return;
        }
        let read = match from.read(&mut buffer).await {
            Ok(read) if read > 0 => read,
            _ => break,
        };
        if state.wait_for(|now| flows(now.flow)).await.is_err() {
            return;
        }
        let Some(bytes) = buffer.get(..read) else { return };
        if to.write_all(bytes).await.is_err() {
            return;
        }
    }
    let _ = to.shutdown().await;
}
