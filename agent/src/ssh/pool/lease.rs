//! The right to use a connection: for one command, or for one host behind it.

use std::{sync::Arc, time::Instant};

use tokio::sync::OwnedSemaphorePermit;

use super::{connection::Connection, slot::Slot};
use crate::ssh::address::Peer;

/// What a connection is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Use {
    /// A channel on which one command runs.
    Command,
    /// A connection to a host behind it.
    Tunnel,
}

/// The right to one channel of a connection; ends when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    connection: Arc<Connection>,
    slot: Arc<Slot>,
    purpose: Use,
    /// `None` for a channel that stops another command: it must not queue behind the commands it stops.
    channel: Option<OwnedSemaphorePermit>,
}

/// Where a channel is open: another one, that stops its command, goes beside it.
#[derive(Debug)]
pub(crate) struct Beside {
    connection: Arc<Connection>,
    slot: Arc<Slot>,
}

// === impl Lease ===

impl Lease {
    /// Counts one use more. Within the slot's lock, if the connection is one that the slot keeps.
    pub(super) fn new(connection: Arc<Connection>, slot: Arc<Slot>, purpose: Use) -> Self {
        connection.begin(purpose);
        Self { connection, slot, purpose, channel: None }
    }
    pub(super) fn with_channel(self, channel: Option<OwnedSemaphorePermit>) -> Self {
        let mut lease = self;
        lease.channel = channel;
        lease
    }
    pub(super) fn take_channel(&mut self) -> Option<OwnedSemaphorePermit> {
        self.channel.take()
    }
    pub(super) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }
    pub(crate) fn peer(&self) -> &Peer {
        self.connection.peer()
    }
    pub(crate) fn beside(&self) -> Beside {
        Beside { connection: Arc::clone(&self.connection), slot: Arc::clone(&self.slot) }
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.connection.end(self.purpose, Instant::now());
        self.slot.note_freed(&self.connection);
    }
}

// === impl Beside ===

impl Beside {
    pub(super) fn slot(&self) -> &Arc<Slot> {
        &self.slot
    }
    pub(super) fn lease(&self) -> Lease {
        Lease::new(Arc::clone(&self.connection), Arc::clone(&self.slot), Use::Command)
    }
}
