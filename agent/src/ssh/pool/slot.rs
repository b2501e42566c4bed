//! The connections of one host, as one generation of the site describes it: who gets which, and when another is made.

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{Arc, Mutex},
    time::Instant,
};

use lictor_core::{name::HostAlias, outcome::Unreachable};
use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::timeout,
};

use super::{
    Pool, QUEUE_TIMEOUT,
    connection::Connection,
    lease::{Lease, Use},
    lock,
};
use crate::{
    config::limits::ConnectionLimits,
    site::{Host, Site},
    ssh::{address::Networks, host_key::Refused, known_hosts::HostTrust},
};

#[derive(Debug)]
pub(crate) struct Slot {
    pub(super) site: Arc<Site>,
    pub(super) host: Host,
    pub(super) trust: Arc<HostTrust>,
    /// The jump host that it is reached through.
    pub(super) via: Option<Arc<Slot>>,
    most_connections: usize,
    most_channels: usize,
    connections: Mutex<Vec<Arc<Connection>>>,
    /// One permit for each connection.
    places: Arc<Semaphore>,
    /// A connection has room for one use more, or has ended.
    pub(super) freed: Arc<Notify>,
    /// The agent's: a connection has become idle.
    idle: Arc<Notify>,
    dialing: tokio::sync::Mutex<()>,
    /// The last dial that failed: whoever waited for it need not find out the same again.
    failed: Mutex<Option<(Instant, Refused)>>,
    channels: Arc<Semaphore>,
}

/// Whether a caller waits its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Queueing {
    /// Within all limits.
    Fair,
    /// Beyond them: what stops a command must not wait for commands to end.
    Exempt,
}

pub(super) type CheckedOut = Result<(Lease, bool), Refused>;

// === impl Slot ===

impl Slot {
    /// The slot of `alias` in `slots`, or a new one if there is none of this site.
    pub(super) fn of(
        site: &Arc<Site>,
        alias: &HostAlias,
        slots: &mut HashMap<HostAlias, Arc<Self>>,
        limits: &ConnectionLimits,
        idle: &Arc<Notify>,
    ) -> Result<Arc<Self>, Refused> {
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
        // The files were read with no circle in them, so this ends.
        let via = host.via.as_ref().map(|via| Self::of(site, via, slots, limits, idle)).transpose()?;
        let most_connections = host.max_connections.unwrap_or(limits.per_host);
        let most_channels = host.max_channels.unwrap_or(limits.channels);
        let slot = Arc::new(Self {
            site: Arc::clone(site),
            trust: Arc::new(site.known_hosts.trust_named(&host.key_name())),
            host,
            via,
            most_connections,
            most_channels,
            connections: Mutex::default(),
            places: Arc::new(Semaphore::new(most_connections)),
            freed: Arc::default(),
            idle: Arc::clone(idle),
            dialing: tokio::sync::Mutex::default(),
            failed: Mutex::default(),
            channels: Arc::new(Semaphore::new(most_channels * most_connections)),
        });
        // Connections of the older generation end with their last command.
        slots.insert(alias.clone(), Arc::clone(&slot));
        Ok(slot)
    }

    pub(super) fn alias(&self) -> &HostAlias {
        &self.host.alias
    }
    pub(super) const fn most_connections(&self) -> usize {
        self.most_connections
    }
    pub(super) const fn most_channels(&self) -> usize {
        self.most_channels
    }

    pub(super) fn refused(&self, reason: Unreachable, what: &str) -> Refused {
        Refused { reason, detail: format!("{} {what}", self.host.alias) }
    }

    /// One of the commands that the host may have at once.
    pub(super) async fn channel(&self) -> Result<OwnedSemaphorePermit, Refused> {
        match timeout(QUEUE_TIMEOUT, Arc::clone(&self.channels).acquire_owned()).await {
            Ok(Ok(permit)) => Ok(permit),
            _ => Err(self.busy(Use::Command)),
        }
    }

    fn busy(&self, purpose: Use) -> Refused {
        match purpose {
            Use::Command => self.refused(Unreachable::SessionRefused, "is busy with other commands"),
            Use::Tunnel => self.refused(
                Unreachable::ConnectFailed,
                "has no room for another connection to a host behind it (max_connections_per_host)",
            ),
        }
    }

    /// As [`Self::checkout`], for a host behind this one: a jump host may have a jump host.
    pub(super) fn checkout_tunnel<'a>(
        self: &'a Arc<Self>,
        pool: &'a Pool,
        networks: &'a Networks,
        queueing: Queueing,
    ) -> Pin<Box<dyn Future<Output = CheckedOut> + Send + 'a>> {
        Box::pin(self.checkout(pool, networks, Use::Tunnel, queueing))
    }

    /// A kept connection with room, or a fresh one; many callers cause one dial. Tells whether it is fresh.
    pub(super) async fn checkout(
        self: &Arc<Self>,
        pool: &Pool,
        networks: &Networks,
        purpose: Use,
        queueing: Queueing,
    ) -> CheckedOut {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            if let Some(lease) = self.take(networks, purpose) {
                return Ok((lease, false));
            }
            // Large, with all of a handshake in it, and not needed where there is a connection.
            if let Some(lease) = Box::pin(self.dial(pool, networks, purpose, queueing)).await? {
                return Ok(lease);
            }
            if purpose == Use::Tunnel {
                pool.close_idle(1, |slot| slot.via.as_ref().is_some_and(|via| Arc::ptr_eq(via, self)));
            }
            timeout(QUEUE_TIMEOUT, freed).await.map_err(|_| self.busy(purpose))?;
        }
    }

    /// `None` when the host has all the connections that it may have.
    async fn dial(
        self: &Arc<Self>,
        pool: &Pool,
        networks: &Networks,
        purpose: Use,
        queueing: Queueing,
    ) -> Result<Option<(Lease, bool)>, Refused> {
        let asked = Instant::now();
        let _one_at_a_time = self.dialing.lock().await;
        if let Some(lease) = self.take(networks, purpose) {
            return Ok(Some((lease, false)));
        }
        if let Some((at, refused)) = lock(&self.failed).as_ref()
            && *at > asked
        {
            return Err(refused.clone());
        }
        let place = self.place();
        if place.is_none() && queueing == Queueing::Fair {
            return Ok(None);
        }
        let connection = self.connect(pool, networks, queueing, place).await;
        let connection = Arc::new(connection.inspect_err(|refused| self.note_failed(refused))?);
        let mut connections = lock(&self.connections);
        let lease = Lease::new(Arc::clone(&connection), Arc::clone(self), purpose);
        connections.push(connection);
        Ok(Some((lease, true)))
    }

    /// One of the connections that the host may have. If there is none, one that is idle, and was of no use to the
    /// caller, is closed; its place is free when its socket is.
    fn place(&self) -> Option<OwnedSemaphorePermit> {
        let place = Arc::clone(&self.places).try_acquire_owned().ok();
        if place.is_none() {
            let mut connections = lock(&self.connections);
            if let Some(useless) = connections.iter().position(|c| c.is_unused()) {
                drop(connections.swap_remove(useless));
            }
        }
        place
    }

    fn note_failed(&self, refused: &Refused) {
        // Networks are the caller's own; everything else is the host's.
        if refused.reason != Unreachable::AddressDenied {
            *lock(&self.failed) = Some((Instant::now(), refused.clone()));
        }
    }

    /// Counts the caller on a connection with room.
    fn take(self: &Arc<Self>, networks: &Networks, purpose: Use) -> Option<Lease> {
        let mut connections = lock(&self.connections);
        connections.retain(|c| c.usable());
        let found = connections.iter().find(|c| c.takes(purpose) && c.peer().permitted(networks))?;
        Some(Lease::new(Arc::clone(found), Arc::clone(self), purpose))
    }

    /// A use of `connection` has ended.
    pub(super) fn note_freed(&self, connection: &Connection) {
        self.freed.notify_waiters();
        if connection.is_unused() {
            self.idle.notify_waiters();
        }
    }

    /// Since when each of the connections that nobody uses is idle.
    pub(super) fn idle_since(&self) -> Vec<Instant> {
        lock(&self.connections).iter().filter_map(|c| c.idle_since()).collect()
    }

    /// Takes out what nobody uses since `until`, and what cannot be used any more.
    pub(super) fn take_idle(&self, until: Instant) -> Vec<Arc<Connection>> {
        let mut idle = Vec::new();
        lock(&self.connections).retain(|c| {
            let stale = c.idle_since().is_some_and(|since| since <= until);
            if stale {
                idle.push(Arc::clone(c));
            }
            c.usable() && !stale
        });
        idle
    }

    pub(super) fn is_empty(&self) -> bool {
        lock(&self.connections).is_empty()
    }
}
