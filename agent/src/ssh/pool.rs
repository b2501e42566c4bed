//! Logged-in connections kept per host, with at most [`CHANNELS_PER_CONNECTION`] commands on each.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use lictor_core::{name::HostAlias, outcome::Unreachable};
use lictor_runtime::shutdown::Shutdown;
use russh::{
    Disconnect,
    client::{Handle, Handler},
    keys::PublicKeyOrCertificate,
};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    address::{self, Networks},
    auth,
    host_key::{self, Refused},
    known_hosts::HostTrust,
    session::Session,
    transport,
};
use crate::site::{Host, LiveSite, Site};

/// Commands on one connection: sshd refuses the eleventh (MaxSessions 10), two are kept for stopping others.
const CHANNELS_PER_CONNECTION: usize = 8;
/// Connections to one host; sshd starts to drop logins at 10 that are under way (MaxStartups).
const CONNECTIONS_PER_HOST: usize = 4;
/// A connection without a command is closed after this: long enough for a person's next command.
const IDLE_CLOSE: Duration = Duration::from_secs(5 * 60);
/// How often idle connections are looked for.
const REAP_INTERVAL: Duration = Duration::from_secs(30);
/// Time for a logged-in host to open a channel.
const CHANNEL_TIMEOUT: Duration = Duration::from_secs(10);
/// Time to wait for one of the host's channels to become free.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for all of it, whatever goes wrong: a command that waits for ever would keep one of the agent's places.
/// A queue ([`QUEUE_TIMEOUT`]), then others' dial and its own with a login, each of at most a minute.
const OPEN_TIMEOUT: Duration = Duration::from_secs(180);
/// Opens tried: two kept connections that turn out to be full or broken, and a fresh one.
const MAX_ATTEMPTS: usize = 3;

/// The kept connections of all hosts.
#[derive(Debug)]
pub(crate) struct Pool {
    site: Arc<LiveSite>,
    slots: Mutex<HashMap<HostAlias, Arc<Slot>>>,
}

/// The connections of one host, as one generation of the site describes it.
#[derive(Debug)]
struct Slot {
    site: Arc<Site>,
    host: Host,
    trust: Arc<HostTrust>,
    connections: Mutex<Vec<Arc<Connection>>>,
    dialing: tokio::sync::Mutex<()>,
    /// The last dial that failed: whoever waited for it need not find out the same again.
    failed: Mutex<Option<(Instant, Refused)>>,
    channels: Arc<Semaphore>,
}

struct Connection {
    handle: Handle<KeyGuard>,
    peer: SocketAddr,
    load: AtomicUsize,
    /// Channels that the host is known to take.
    room: AtomicUsize,
    broken: AtomicBool,
    used: Mutex<Instant>,
}

/// The right to one channel of a connection; ends when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Arc<Connection>,
    slot: Arc<Slot>,
    /// `None` for a channel that stops another command: it must not queue behind the commands it stops.
    channel: Option<tokio::sync::OwnedSemaphorePermit>,
}

/// Where a channel is open: another one, that stops its command, goes beside it.
#[derive(Debug)]
pub(crate) struct Beside {
    connection: Arc<Connection>,
    slot: Arc<Slot>,
}

/// Marks its connection as broken unless opening a channel came to an end: a half-opened one would hold a place.
struct Opening<'a>(Option<&'a Connection>);

/// Checks the host's key, and keeps the verdict for people.
struct KeyGuard {
    host: Host,
    trust: Arc<HostTrust>,
    verdict: Arc<Mutex<Option<Refused>>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Pool ===

impl Pool {
    pub(crate) fn new(site: Arc<LiveSite>) -> Self {
        Self { site, slots: Mutex::default() }
    }

    /// Opens a channel to `alias` over a connection whose address `networks` permit.
    pub(crate) async fn open(&self, alias: &HostAlias, networks: &Networks) -> Result<Session, Refused> {
        let slot = self.slot(alias)?;
        match timeout(OPEN_TIMEOUT, Self::open_in(&slot, networks)).await {
            Ok(opened) => opened,
            Err(_) => Err(slot.refused(Unreachable::ConnectFailed, "gave no session in time")),
        }
    }

    async fn open_in(slot: &Arc<Slot>, networks: &Networks) -> Result<Session, Refused> {
        let channel = match timeout(QUEUE_TIMEOUT, Arc::clone(&slot.channels).acquire_owned()).await {
            Ok(Ok(permit)) => permit,
            _ => return Err(slot.refused(Unreachable::SessionRefused, "is busy with other commands")),
        };
        let mut channel = Some(channel);
        for attempt in 1..=MAX_ATTEMPTS {
            let (lease, fresh) = slot.checkout(networks, attempt == MAX_ATTEMPTS, &mut channel).await?;
            match lease.connection.open_channel().await {
                Ok(opened) => return Ok(Session::new(opened, lease)),
                Err(error) if fresh => {
                    return Err(
                        slot.refused(Unreachable::SessionRefused, &format!("opened no session: {error}"))
                    );
                }
                // No exec request was sent: trying elsewhere cannot run anything twice.
                Err(error) => {
                    tracing::debug!(alias = %slot.host.alias, %error, "a kept connection opened no channel")
                }
            }
            channel = lease.give_back();
        }
        Err(slot.refused(Unreachable::SessionRefused, "opened no session"))
    }

    /// Opens another channel on the same connection, or on a fresh one to the same host; tells whether it is fresh.
    pub(crate) async fn open_beside(
        &self,
        beside: &Beside,
        networks: &Networks,
    ) -> Result<(Session, bool), Refused> {
        if let Ok(channel) = beside.connection.open_channel().await {
            beside.connection.load.fetch_add(1, Ordering::Relaxed);
            let lease = Lease::new(Arc::clone(&beside.connection), Arc::clone(&beside.slot), None);
            return Ok((Session::new(channel, lease), false));
        }
        let slot = Arc::clone(&beside.slot);
        let connection = Arc::new(slot.connect(networks).await?);
        let channel = connection.open_channel().await;
        connection.load.fetch_add(1, Ordering::Relaxed);
        let channel = channel
            .map_err(|e| slot.refused(Unreachable::SessionRefused, &format!("opened no session: {e}")))?;
        Ok((Session::new(channel, Lease::new(connection, slot, None)), true))
    }

    fn slot(&self, alias: &HostAlias) -> Result<Arc<Slot>, Refused> {
        let site = self.site.current();
        let mut slots = lock(&self.slots);
        if let Some(slot) = slots.get(alias)
            && slot.site.generation == site.generation
        {
            return Ok(Arc::clone(slot));
        }
        let Some(host) = site.hosts.get(alias).cloned() else {
            slots.remove(alias);
            let detail = format!("this site has no host {alias}");
            return Err(Refused { reason: Unreachable::NoSuchHost, detail });
        };
        let trust = Arc::new(site.known_hosts.trust(&host.address, host.port));
        let slot = Arc::new(Slot {
            site,
            host,
            trust,
            connections: Mutex::default(),
            dialing: tokio::sync::Mutex::default(),
            failed: Mutex::default(),
            channels: Arc::new(Semaphore::new(CHANNELS_PER_CONNECTION * CONNECTIONS_PER_HOST)),
        });
        // Connections of the older generation end with their last command.
        slots.insert(alias.clone(), Arc::clone(&slot));
        Ok(slot)
    }

    /// Closes idle connections until the process stops.
    pub(crate) async fn reap(self: Arc<Self>, shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(REAP_INTERVAL);
        loop {
            tokio::select! {
                () = shutdown.stopping() => return,
                _ = ticks.tick() => {
                    for connection in self.take_idle() {
                        let _ = connection.handle.disconnect(Disconnect::ByApplication, "idle", "en").await;
                    }
                }
            }
        }
    }

    fn take_idle(&self) -> Vec<Arc<Connection>> {
        let mut idle = Vec::new();
        let mut slots = lock(&self.slots);
        for slot in slots.values() {
            lock(&slot.connections).retain(|c| {
                let keep = c.usable() && !c.idle();
                if !keep && c.load.load(Ordering::Relaxed) == 0 {
                    idle.push(Arc::clone(c));
                }
                keep
            });
        }
        slots.retain(|_, slot| Arc::strong_count(slot) > 1 || !lock(&slot.connections).is_empty());
        idle
    }
}

// === impl Slot ===

impl Slot {
    fn refused(&self, reason: Unreachable, what: &str) -> Refused {
        Refused { reason, detail: format!("{} {what}", self.host.alias) }
    }

    /// A kept connection with room, or a fresh one; many callers cause one dial. Tells whether it is fresh.
    async fn checkout(
        self: &Arc<Self>,
        networks: &Networks,
        force_fresh: bool,
        channel: &mut Option<tokio::sync::OwnedSemaphorePermit>,
    ) -> Result<(Lease, bool), Refused> {
        let lease = |connection, channel| Lease::new(connection, Arc::clone(self), channel);
        if !force_fresh && let Some(connection) = self.take(networks) {
            return Ok((lease(connection, channel.take()), false));
        }
        let asked = Instant::now();
        let _one_at_a_time = self.dialing.lock().await;
        if !force_fresh && let Some(connection) = self.take(networks) {
            return Ok((lease(connection, channel.take()), false));
        }
        if let Some((at, refused)) = lock(&self.failed).as_ref()
            && *at > asked
        {
            return Err(refused.clone());
        }
        let connection =
            Arc::new(self.connect(networks).await.inspect_err(|refused| self.note_failed(refused))?);
        connection.load.fetch_add(1, Ordering::Relaxed);
        lock(&self.connections).push(Arc::clone(&connection));
        Ok((lease(connection, channel.take()), true))
    }

    fn note_failed(&self, refused: &Refused) {
        // Networks are the caller's own; everything else is the host's.
        if refused.reason != Unreachable::AddressDenied {
            *lock(&self.failed) = Some((Instant::now(), refused.clone()));
        }
    }

    /// Counts the caller on a connection with room.
    fn take(&self, networks: &Networks) -> Option<Arc<Connection>> {
        let mut connections = lock(&self.connections);
        connections.retain(|c| c.usable());
        let found = connections.iter().find(|c| {
            c.load.load(Ordering::Relaxed) < c.room.load(Ordering::Relaxed) && networks.permit(c.peer.ip())
        })?;
        found.load.fetch_add(1, Ordering::Relaxed);
        Some(Arc::clone(found))
    }

    async fn connect(&self, networks: &Networks) -> Result<Connection, Refused> {
        let host = &self.host;
        let (stream, peer) = address::dial(&host.address, host.port, networks).await?;
        let verdict = Arc::new(Mutex::new(None));
        let guard =
            KeyGuard { host: host.clone(), trust: Arc::clone(&self.trust), verdict: Arc::clone(&verdict) };
        let config = transport::config(
            host_key::preferred(&self.trust),
            host_key::preferred_certificates(&self.trust),
        );
        let mut handle = transport::handshake(config, stream, guard).await.map_err(|error| {
            let detail = || {
                self.refused(
                    Unreachable::ConnectFailed,
                    &format!("({peer}) did not complete the SSH handshake: {error}"),
                )
            };
            lock(&verdict).take().unwrap_or_else(detail)
        })?;
        auth::login(&mut handle, host, &self.site.secrets).await?;
        Ok(Connection {
            handle,
            peer,
            load: AtomicUsize::new(0),
            room: AtomicUsize::new(CHANNELS_PER_CONNECTION),
            broken: AtomicBool::new(false),
            used: Mutex::new(Instant::now()),
        })
    }
}

// === impl Connection ===

impl Connection {
    fn usable(&self) -> bool {
        !self.broken.load(Ordering::Relaxed) && !self.handle.is_closed()
    }
    fn idle(&self) -> bool {
        self.load.load(Ordering::Relaxed) == 0 && lock(&self.used).elapsed() > IDLE_CLOSE
    }
    async fn open_channel(&self) -> Result<russh::Channel<russh::client::Msg>, russh::Error> {
        let mut opening = Opening(Some(self));
        let result = timeout(CHANNEL_TIMEOUT, self.handle.channel_open_session()).await;
        match result {
            Ok(Ok(channel)) => {
                opening.0 = None;
                Ok(channel)
            }
            // The host takes fewer sessions than most: what is open now is all it takes.
            Ok(Err(error @ russh::Error::ChannelOpenFailure(_))) => {
                opening.0 = None;
                self.room.store(self.load.load(Ordering::Relaxed).saturating_sub(1), Ordering::Relaxed);
                Err(error)
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(russh::Error::ConnectionTimeout),
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Connection").field("peer", &self.peer).finish_non_exhaustive()
    }
}

impl Drop for Opening<'_> {
    fn drop(&mut self) {
        if let Some(connection) = self.0 {
            connection.broken.store(true, Ordering::Relaxed);
        }
    }
}

// === impl Lease ===

impl Lease {
    /// Of a connection on which the caller is counted already.
    fn new(
        connection: Arc<Connection>,
        slot: Arc<Slot>,
        channel: Option<tokio::sync::OwnedSemaphorePermit>,
    ) -> Self {
        Self { connection, slot, channel }
    }
    fn give_back(mut self) -> Option<tokio::sync::OwnedSemaphorePermit> {
        self.channel.take()
    }
    pub(crate) fn peer(&self) -> SocketAddr {
        self.connection.peer
    }
    pub(crate) fn beside(&self) -> Beside {
        Beside { connection: Arc::clone(&self.connection), slot: Arc::clone(&self.slot) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        *lock(&self.connection.used) = Instant::now();
        self.connection.load.fetch_sub(1, Ordering::Relaxed);
    }
}

// === impl KeyGuard ===

impl Handler for KeyGuard {
    type Error = russh::Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Self::Error> {
        let verdict = host_key::check(&self.trust, &self.host, shown);
        let good = verdict.is_ok();
        *lock(&self.verdict) = verdict.err();
        Ok(good)
    }
}
