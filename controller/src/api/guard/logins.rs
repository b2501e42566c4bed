//! Who logged in: recorded when a person or a service calls for the first time, and again each hour that they go on.

use std::{
    collections::HashMap,
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lictor_core::{
    audit::{AccessEvent, AuditEvent},
    clock::{Clock, Timestamp},
    principal::{Identity, Principal, Role},
};
use lictor_store::{Change, Store};

use crate::{acting::ActedFor, authn::Caller};

/// Once recorded, a login stands for so long: connections are short, and one record each would be most of the log.
const RECORD_EVERY: Duration = Duration::from_secs(3600);
/// Logins that are remembered: more than people and services that call within an hour. Who is forgotten is recorded again.
const MAX_REMEMBERED: usize = 4096;

/// The logins of the last hour.
#[derive(Debug)]
pub struct Logins {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    seen: Mutex<HashMap<Login, Timestamp>>,
}

/// What is one login.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Login {
    identity: Identity,
    serial: String,
    user: Option<Principal>,
    address: IpAddr,
}

// === impl Logins ===

impl Logins {
    /// None yet; they are recorded in `store`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, seen: Mutex::default() }
    }

    /// Writes down that `caller` logged in, unless that was done within the hour. What changes anything or shows the log is
    /// recorded by itself, so a login that cannot be recorded now refuses nothing; it is tried again with the next call.
    pub(super) async fn note(self: &Arc<Self>, caller: &Caller, acted_for: Option<&ActedFor>) {
        if caller.peer.identity.role() == Role::Agent {
            // The records of its sessions say so.
            return;
        }
        let login = Login {
            identity: caller.peer.identity.clone(),
            serial: caller.peer.serial.clone(),
            user: acted_for.map(|acted_for| acted_for.principal().clone()),
            address: caller.remote.ip(),
        };
        let now = self.clock.now();
        if !self.begins(&login, now) {
            return;
        }
        let event = AccessEvent::LoggedIn {
            identity: login.identity.clone(),
            serial: login.serial.clone(),
            user: acted_for.map(|acted_for| (acted_for.principal().clone(), acted_for.actor().token.clone())),
            address: login.address,
        };
        let (this, change) = (Arc::clone(self), Change::new(now, AuditEvent::Access(Box::new(event))));
        // To its end, even if the caller goes away.
        let recording = tokio::spawn(async move {
            if let Err(error) = this.store.commit(change).await {
                tracing::error!(%error, identity = %login.identity, "a login could not be recorded");
                this.seen().remove(&login);
            }
        });
        let _ = recording.await;
    }

    /// Whether it is to be recorded; from here on it counts as recorded.
    fn begins(&self, login: &Login, now: Timestamp) -> bool {
        let mut seen = self.seen();
        if seen.get(login).is_some_and(|at| now.since(*at) < RECORD_EVERY) {
            return false;
        }
        if seen.len() >= MAX_REMEMBERED {
            seen.retain(|_, at| now.since(*at) < RECORD_EVERY);
        }
        if seen.len() >= MAX_REMEMBERED
            && let Some(oldest) = seen.iter().min_by_key(|(_, at)| **at).map(|(login, _)| login.clone())
        {
            seen.remove(&oldest);
        }
        seen.insert(login.clone(), now);
        true
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<Login, Timestamp>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        net::SocketAddr,
        sync::atomic::{AtomicU64, Ordering},
    };

    use lictor_certs::peer::Peer;
    use lictor_store::memory::MemoryStore;

    use super::*;

    #[derive(Debug, Default)]
    struct HeldClock(AtomicU64);

    impl Clock for HeldClock {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::SeqCst))
        }
    }

    fn caller(name: &str, serial: &str, address: [u8; 4]) -> Caller {
        let identity = Identity::User { tenant: "default".parse().unwrap(), name: name.parse().unwrap() };
        let peer = Peer { identity, serial: serial.into(), not_after: Timestamp::from_micros(u64::MAX) };
        Caller { peer, remote: SocketAddr::from((address, 1)) }
    }

    #[tokio::test]
    async fn a_login_is_recorded_again_with_another_certificate_from_elsewhere_and_after_an_hour() {
        let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(HeldClock::default()));
        let logins = Arc::new(Logins::new(store.clone(), clock.clone()));
        let here = [10, 0, 0, 1];
        let size = async || store.audit_head().await.unwrap().size;
        for (caller, expected) in [
            (caller("ada", "01", here), 1),
            (caller("ada", "01", here), 1),
            (caller("ada", "02", here), 2),
            (caller("ada", "01", [10, 0, 0, 2]), 3),
            (caller("bob", "01", here), 4),
        ] {
            logins.note(&caller, None).await;
            assert_eq!(size().await, expected);
        }
        clock.0.fetch_add(u64::try_from(RECORD_EVERY.as_micros()).unwrap(), Ordering::SeqCst);
        logins.note(&caller("ada", "01", here), None).await;
        assert_eq!(size().await, 5);
    }

    #[tokio::test]
    async fn however_many_log_in_as_many_are_remembered_as_there_is_room_for() {
        let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(HeldClock::default()));
        let logins = Arc::new(Logins::new(store, clock));
        for n in 0..MAX_REMEMBERED + 10 {
            logins.note(&caller("ada", &n.to_string(), [10, 0, 0, 1]), None).await;
        }
        assert_eq!(logins.seen().len(), MAX_REMEMBERED);
    }
}
