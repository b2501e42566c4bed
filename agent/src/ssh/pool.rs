//! Logged-in connections kept per host, and shared by whoever has commands there or hosts behind it.
//!
//! A [`slot`] has the connections of one host, [`connect`] makes one, a [`lease`] is the right to use one.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use lictor_core::{name::HostAlias, outcome::Unreachable};
use lictor_runtime::shutdown::Shutdown;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

mod connect;
mod connection;
mod lease;
mod slot;

pub(crate) use lease::{Beside, Lease};

use super::{address::Networks, host_key::Refused, session::Session, transport::Stream};
use crate::{config::limits::ConnectionLimits, site::LiveSite};
use connection::Connection;
use lease::Use;
use slot::{Queueing, Slot};

/// How often idle connections are looked for, unless they are to be closed sooner.
const REAP_INTERVAL: Duration = Duration::from_secs(30);
/// Idle connections are never looked for faster than this.
const MIN_REAP_INTERVAL: Duration = Duration::from_millis(100);
/// Time to wait for a channel, a connection or a handshake that others have.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(60);
/// Time for all of it, whatever goes wrong: a command that waits for ever would keep one of the agent's places.
/// A queue ([`QUEUE_TIMEOUT`]), then others' dial and its own with a login, each of at most a minute.
const OPEN_TIMEOUT: Duration = Duration::from_secs(180);
/// Opens tried beyond one for each connection that a host may have: they may be full or broken, and that shows only when
/// a channel is opened.
const SPARE_ATTEMPTS: usize = 4;

/// The kept connections of all hosts.
#[derive(Debug)]
pub(crate) struct Pool {
    site: Arc<LiveSite>,
    limits: ConnectionLimits,
    slots: Mutex<HashMap<HostAlias, Arc<Slot>>>,
    /// One permit for each connection of the agent.
    places: Arc<Semaphore>,
    /// One permit for each handshake under way.
    turns: Semaphore,
    /// A connection has become idle.
    idle: Arc<Notify>,
    /// Callers that wait for a place.
    waiting: AtomicUsize,
    /// Of those, one looks for idle connections to close.
    closing: tokio::sync::Mutex<()>,
}

/// Counts a caller that waits.
struct Waiting<'a>(&'a AtomicUsize);

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

// === impl Pool ===

impl Pool {
    pub(crate) fn new(site: Arc<LiveSite>, limits: ConnectionLimits) -> Self {
        Self {
            site,
            places: Arc::new(Semaphore::new(limits.total)),
            turns: Semaphore::new(limits.connecting),
            limits,
            slots: Mutex::default(),
            idle: Arc::default(),
            waiting: AtomicUsize::new(0),
            closing: tokio::sync::Mutex::default(),
        }
    }

    /// Opens a channel to `alias` over a connection whose address `networks` permit.
    pub(crate) async fn open(&self, alias: &HostAlias, networks: &Networks) -> Result<Session, Refused> {
        let slot = self.slot(alias)?;
        match timeout(OPEN_TIMEOUT, self.open_in(&slot, networks)).await {
            Ok(opened) => opened,
            Err(_) => Err(slot.refused(Unreachable::ConnectFailed, "gave no session in time")),
        }
    }

    async fn open_in(&self, slot: &Arc<Slot>, networks: &Networks) -> Result<Session, Refused> {
        let mut channel = Some(slot.channel().await?);
        for _ in 0..slot.most_connections() + SPARE_ATTEMPTS {
            let (lease, fresh) = slot.checkout(self, networks, Use::Command, Queueing::Fair).await?;
            let mut lease = lease.with_channel(channel.take());
            match lease.connection().open_channel().await {
                Ok(opened) => return Ok(Session::new(opened, lease)),
                Err(error) if fresh => {
                    return Err(
                        slot.refused(Unreachable::SessionRefused, &format!("opened no session: {error}"))
                    );
                }
                // No exec request was sent: trying elsewhere cannot run anything twice.
                Err(error) => {
                    tracing::debug!(alias = %slot.alias(), %error, "a kept connection opened no channel")
                }
            }
            channel = lease.take_channel();
        }
        Err(slot.refused(Unreachable::SessionRefused, "opened no session"))
    }

    /// Opens another channel on the same connection, or on a fresh one to the same host; tells whether it is fresh.
    pub(crate) async fn open_beside(
        &self,
        beside: &Beside,
        networks: &Networks,
    ) -> Result<(Session, bool), Refused> {
        let lease = beside.lease();
        if let Ok(channel) = lease.connection().open_channel().await {
            return Ok((Session::new(channel, lease), false));
        }
        drop(lease);
        let slot = beside.slot();
        let connection = Arc::new(slot.connect(self, networks, Queueing::Exempt, None).await?);
        let lease = Lease::new(connection, Arc::clone(slot), Use::Command);
        let channel = lease
            .connection()
            .open_channel()
            .await
            .map_err(|e| slot.refused(Unreachable::SessionRefused, &format!("opened no session: {e}")))?;
        Ok((Session::new(channel, lease), true))
    }

    /// Connects to `alias`, over jump hosts if there are any, and says nothing there.
    pub(crate) async fn reach(&self, alias: &HostAlias) -> Result<Stream, Refused> {
        self.slot(alias)?.reach(self).await
    }

    fn slot(&self, alias: &HostAlias) -> Result<Arc<Slot>, Refused> {
        Slot::of(&self.site.current(), alias, &mut lock(&self.slots), &self.limits, &self.idle)
    }

    /// A place among the agent's connections. If there is none, idle connections are closed, and then others' ends are
    /// waited for.
    async fn place(&self, alias: &HostAlias) -> Result<OwnedSemaphorePermit, Refused> {
        if let Ok(place) = Arc::clone(&self.places).try_acquire_owned() {
            return Ok(place);
        }
        let _waiting = Waiting::new(&self.waiting);
        let making_room = async {
            let _one_at_a_time = self.closing.lock().await;
            loop {
                let became_idle = self.idle.notified();
                tokio::pin!(became_idle);
                became_idle.as_mut().enable();
                self.close_idle(self.waiting.load(Ordering::Relaxed), |_| true);
                became_idle.await;
            }
        };
        let waited = timeout(QUEUE_TIMEOUT, async {
            tokio::select! {
                biased;
                place = Arc::clone(&self.places).acquire_owned() => place.ok(),
                _ = making_room => None,
            }
        });
        waited.await.ok().flatten().ok_or_else(|| Refused {
            reason: Unreachable::ConnectFailed,
            detail: format!(
                "{alias} was not connected to: the agent has all of its {} connections and none became idle \
                 (max_connections in agent.yml, or the limit of open files)",
                self.limits.total
            ),
        })
    }

    /// The right to exchange keys and log in.
    async fn turn(&self, alias: &HostAlias) -> Result<tokio::sync::SemaphorePermit<'_>, Refused> {
        let turn = timeout(QUEUE_TIMEOUT, self.turns.acquire()).await;
        turn.ok().and_then(Result::ok).ok_or_else(|| Refused {
            reason: Unreachable::ConnectFailed,
            detail: format!(
                "{alias} was not logged in to: {} other connections are being made, and none of them was finished in \
                 time (max_connecting in agent.yml)",
                self.limits.connecting
            ),
        })
    }

    /// Closes up to `most` connections that nobody uses, of the slots that are `wanted`, the longest idle first.
    fn close_idle(&self, most: usize, wanted: impl Fn(&Slot) -> bool) {
        let slots: Vec<_> = lock(&self.slots).values().filter(|slot| wanted(slot)).cloned().collect();
        let mut idle: Vec<_> = slots.iter().flat_map(|slot| slot.idle_since()).collect();
        idle.sort_unstable();
        let until = idle.get(most.saturating_sub(1)).or(idle.last()).copied();
        let closed =
            until.into_iter().flat_map(|until| slots.iter().flat_map(move |slot| slot.take_idle(until)));
        say_goodbye(closed.take(most).collect());
    }

    /// Closes idle connections until the process stops.
    pub(crate) async fn reap(self: Arc<Self>, shutdown: Shutdown) {
        let interval = REAP_INTERVAL.min(self.limits.idle_close / 2).max(MIN_REAP_INTERVAL);
        let mut ticks = tokio::time::interval(interval);
        loop {
            tokio::select! {
                () = shutdown.stopping() => return,
                _ = ticks.tick() => self.close_stale(),
            }
        }
    }

    fn close_stale(&self) {
        let Some(until) = std::time::Instant::now().checked_sub(self.limits.idle_close) else { return };
        let mut slots = lock(&self.slots);
        let closed = slots.values().flat_map(|slot| slot.take_idle(until)).collect();
        slots.retain(|_, slot| Arc::strong_count(slot) > 1 || !slot.is_empty());
        drop(slots);
        say_goodbye(closed);
    }
}

/// Their places are free when this is done.
fn say_goodbye(connections: Vec<Arc<Connection>>) {
    if !connections.is_empty() {
        tokio::spawn(async move {
            for connection in connections {
                connection.say_goodbye().await;
            }
        });
    }
}

// === impl Waiting ===

impl<'a> Waiting<'a> {
    fn new(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
