//! One logged-in connection: what is open on it, how much more it takes, and whether it can still be used.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use russh::{
    Channel, Disconnect,
    client::{Handle, Msg},
};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    time::timeout,
};

use super::{connect::KeyGuard, lease::Use, lock};
use crate::ssh::address::Peer;

/// Time for a logged-in host to open a channel.
const CHANNEL_TIMEOUT: Duration = Duration::from_secs(10);
/// Connections to hosts behind one connection to a jump host: each takes a file of the sshd process there, which may
/// have 1,024.
const MAX_TUNNELS: usize = 256;

pub(crate) struct Connection {
    handle: Handle<KeyGuard>,
    peer: Arc<Peer>,
    commands: AtomicUsize,
    tunnels: AtomicUsize,
    /// Commands that the host is known to take.
    room: AtomicUsize,
    broken: AtomicBool,
    /// The host refused a session although none was open here; the second time it is broken.
    doubted: AtomicBool,
    used: Mutex<Instant>,
}

/// What a connection counts against; given back when its socket is closed.
#[derive(Debug)]
pub(super) struct Place {
    /// Of its host.
    pub(super) host: Option<OwnedSemaphorePermit>,
    /// Of the agent.
    pub(super) agent: Option<OwnedSemaphorePermit>,
    /// Who waits for one of the host's.
    pub(super) freed: Arc<Notify>,
}

/// Marks its connection as broken unless opening a channel came to an end: a half-opened one would hold a place.
struct Opening<'a>(Option<&'a Connection>);

// === impl Connection ===

impl Connection {
    pub(super) fn new(handle: Handle<KeyGuard>, peer: Arc<Peer>, room: usize) -> Self {
        Self {
            handle,
            peer,
            commands: AtomicUsize::new(0),
            tunnels: AtomicUsize::new(0),
            room: AtomicUsize::new(room),
            broken: AtomicBool::new(false),
            doubted: AtomicBool::new(false),
            used: Mutex::new(Instant::now()),
        }
    }

    pub(super) fn peer(&self) -> &Arc<Peer> {
        &self.peer
    }

    pub(super) fn begin(&self, purpose: Use) {
        self.count(purpose).fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn end(&self, purpose: Use, now: Instant) {
        *lock(&self.used) = now;
        self.count(purpose).fetch_sub(1, Ordering::Relaxed);
    }

    fn count(&self, purpose: Use) -> &AtomicUsize {
        match purpose {
            Use::Command => &self.commands,
            Use::Tunnel => &self.tunnels,
        }
    }

    /// Whether there is room for one use more.
    pub(super) fn takes(&self, purpose: Use) -> bool {
        let most = match purpose {
            Use::Command => self.room.load(Ordering::Relaxed),
            Use::Tunnel => MAX_TUNNELS,
        };
        self.count(purpose).load(Ordering::Relaxed) < most
    }

    pub(super) fn usable(&self) -> bool {
        !self.broken.load(Ordering::Relaxed) && !self.handle.is_closed()
    }

    pub(super) fn is_unused(&self) -> bool {
        self.commands.load(Ordering::Relaxed) == 0 && self.tunnels.load(Ordering::Relaxed) == 0
    }

    /// Since when nobody uses it; `None` while somebody does.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        self.is_unused().then(|| *lock(&self.used))
    }

    pub(super) fn note_broken(&self) {
        self.broken.store(true, Ordering::Relaxed);
    }

    pub(super) fn handle(&self) -> &Handle<KeyGuard> {
        &self.handle
    }

    /// Opens a channel for one of those who are counted as commands.
    pub(super) async fn open_channel(&self) -> Result<Channel<Msg>, russh::Error> {
        let mut opening = Opening(Some(self));
        let result = timeout(CHANNEL_TIMEOUT, self.handle.channel_open_session()).await;
        match result {
            Ok(Ok(channel)) => {
                opening.0 = None;
                self.doubted.store(false, Ordering::Relaxed);
                Ok(channel)
            }
            // The host takes fewer sessions than most: what is open now is all it takes.
            Ok(Err(error @ russh::Error::ChannelOpenFailure(_))) => {
                opening.0 = None;
                let others = self.commands.load(Ordering::Relaxed).saturating_sub(1);
                self.room.fetch_min(others.max(1), Ordering::Relaxed);
                if others == 0 && self.doubted.swap(true, Ordering::Relaxed) {
                    self.note_broken();
                }
                Err(error)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(russh::Error::ConnectionTimeout),
        }
    }

    pub(super) async fn say_goodbye(&self) {
        // A connection that is gone is closed.
        let _ = self.handle.disconnect(Disconnect::ByApplication, "idle", "en").await;
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).finish_non_exhaustive()
    }
}

// === impl Place ===

impl Drop for Place {
    fn drop(&mut self) {
        // First free, then tell.
        (self.host, self.agent) = (None, None);
        self.freed.notify_waiters();
    }
}

// === impl Opening ===

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.0 {
            connection.note_broken();
        }
    }
}
