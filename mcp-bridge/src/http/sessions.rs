//! Sessions of the 2025-11-25 protocol: whose they are, how many there may be, and when an idle one ends.
//!
//! A session's identifier is no credential: whoever is not its owner gets the answer that there is none.

use std::{
    collections::{HashMap, HashSet},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rmcp::transport::streamable_http_server::{
    SessionManager as _,
    session::{SessionId, local::LocalSessionManager},
};
use tokio::time::Instant;

/// Sessions of one principal at a time; its oldest idle one makes room for a new one.
pub const MAX_SESSIONS_PER_PRINCIPAL: usize = 256;
/// Sessions of everybody at a time.
pub const MAX_SESSIONS: usize = 4096;
/// How long a session may be unused, with nothing of it running.
const IDLE: Duration = Duration::from_secs(15 * 60);
/// How often idle sessions are looked for.
const SWEEP_EVERY: Duration = Duration::from_secs(15);

/// Who owns which session.
#[derive(Debug)]
pub(super) struct Sessions {
    manager: Arc<LocalSessionManager>,
    owned: Mutex<Owned>,
}

#[derive(Debug, Default)]
struct Owned {
    sessions: HashMap<SessionId, Session>,
    /// Being opened: counted, and not yet known by an identifier.
    opening: HashMap<Arc<str>, usize>,
    /// Alive at the last sweep, and nobody's: opened by a request that broke off before it was answered.
    stray: HashSet<SessionId>,
}

#[derive(Debug)]
struct Session {
    owner: Arc<str>,
    used_at: Instant,
    /// Held by every request of it that runs.
    uses: Arc<()>,
}

/// A session is in use as long as this lives.
#[derive(Debug, Clone)]
pub(crate) struct SessionUse {
    _uses: Arc<()>,
}

/// A session that is being opened.
#[derive(Debug)]
pub(super) struct Opening {
    sessions: Arc<Sessions>,
    owner: Arc<str>,
}

/// What a session is to somebody.
#[derive(Debug)]
pub(super) enum Found {
    /// Theirs.
    Mine(SessionUse),
    /// Somebody else's.
    Foreign,
    /// Nobody's.
    Unknown,
}

// === impl Sessions ===

impl Sessions {
    /// The sessions of this manager.
    pub(super) fn new(manager: Arc<LocalSessionManager>) -> Arc<Self> {
        Arc::new(Self { manager, owned: Mutex::default() })
    }

    fn owned(&self) -> std::sync::MutexGuard<'_, Owned> {
        self.owned.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What the session `id` is to `who`; their own one is in use from now on.
    pub(super) fn find(&self, id: &str, who: &Arc<str>) -> Found {
        match self.owned().sessions.get_mut(id) {
            None => Found::Unknown,
            Some(session) if session.owner != *who => Found::Foreign,
            Some(session) => {
                session.used_at = Instant::now();
                Found::Mine(SessionUse { _uses: Arc::clone(&session.uses) })
            }
        }
    }

    /// A place for a new session of `owner`, if there is one or can be made.
    pub(super) async fn open(self: &Arc<Self>, owner: &Arc<str>) -> Option<Opening> {
        let superfluous = {
            let mut owned = self.owned();
            let opening = owned.opening.values().sum::<usize>();
            if owned.sessions.len() + opening >= MAX_SESSIONS {
                return None;
            }
            let mine = owned.sessions.values().filter(|session| session.owner == *owner).count();
            let superfluous = if mine + owned.opening.get(owner).copied().unwrap_or(0)
                < MAX_SESSIONS_PER_PRINCIPAL
            {
                None
            } else {
                let idle = owned.sessions.iter().filter(|(_, s)| s.owner == *owner && s.is_idle());
                let oldest = idle.min_by_key(|(_, session)| session.used_at).map(|(id, _)| Arc::clone(id))?;
                owned.sessions.remove(&oldest);
                Some(oldest)
            };
            *owned.opening.entry(Arc::clone(owner)).or_default() += 1;
            superfluous
        };
        let opening = Opening { sessions: Arc::clone(self), owner: Arc::clone(owner) };
        if let Some(id) = superfluous {
            self.close(&id).await;
        }
        Some(opening)
    }

    /// Makes sure that a session without an owner is one for nobody.
    pub(super) async fn disown(&self, id: &str) {
        self.close(&id.into()).await;
    }

    async fn close(&self, id: &SessionId) {
        if let Err(error) = self.manager.close_session(id).await {
            tracing::debug!(%error, "a session was gone before it was closed");
        }
    }

    /// Ends idle sessions and forgets ended ones; never returns.
    pub(super) async fn sweep_for_ever(self: Arc<Self>) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            self.sweep().await;
        }
    }

    async fn sweep(&self) {
        for id in self.strays().await {
            self.close(&id).await;
        }
        // Known first, alive second: one that is opened in between is neither forgotten nor left without an owner.
        let known: Vec<SessionId> = self.owned().sessions.keys().cloned().collect();
        let ended: Vec<SessionId> = {
            let live = self.manager.sessions.read().await;
            known.into_iter().filter(|id| !live.contains_key(id)).collect()
        };
        let idle: Vec<SessionId> = {
            let mut owned = self.owned();
            for id in &ended {
                owned.sessions.remove(id);
            }
            let idle = owned.sessions.iter().filter(|(_, s)| s.is_idle() && s.used_at.elapsed() >= IDLE);
            let idle: Vec<SessionId> = idle.map(|(id, _)| Arc::clone(id)).collect();
            for id in &idle {
                owned.sessions.remove(id);
            }
            idle
        };
        for id in idle {
            self.close(&id).await;
        }
    }

    /// The sessions that are nobody's now and were nobody's at the last sweep: far longer than one takes to be opened.
    async fn strays(&self) -> Vec<SessionId> {
        let live: Vec<SessionId> = self.manager.sessions.read().await.keys().cloned().collect();
        let mut owned = self.owned();
        let nobodys: HashSet<SessionId> =
            live.into_iter().filter(|id| !owned.sessions.contains_key(id)).collect();
        let (again, new) = nobodys.into_iter().partition(|id| owned.stray.contains(id));
        owned.stray = new;
        let again: HashSet<SessionId> = again;
        again.into_iter().collect()
    }
}

// === impl Session ===

impl Session {
    fn is_idle(&self) -> bool {
        Arc::strong_count(&self.uses) == 1
    }
}

// === impl Opening ===

impl Opening {
    /// The session has this identifier now, and belongs to whom it was opened for.
    pub(super) fn opened(self, id: &str) {
        let session = Session { owner: Arc::clone(&self.owner), used_at: Instant::now(), uses: Arc::new(()) };
        self.sessions.owned().sessions.insert(id.into(), session);
    }
}

impl Drop for Opening {
    fn drop(&mut self) {
        let mut owned = self.sessions.owned();
        match owned.opening.get_mut(&self.owner) {
            Some(count) if *count > 1 => *count -= 1,
            _ => {
                owned.opening.remove(&self.owner);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_session_that_is_nobodys_is_swept_and_one_that_is_being_opened_is_not() {
        let sessions = Sessions::new(Arc::default());
        let alice: Arc<str> = "user:alice".into();
        let (stray, _transport) = sessions.manager.create_session().await.unwrap();
        sessions.sweep().await;
        let (opening, _transport) = sessions.manager.create_session().await.unwrap();
        let place = sessions.open(&alice).await.unwrap();
        sessions.sweep().await;
        assert!(!sessions.manager.has_session(&stray).await.unwrap(), "its second sweep");
        assert!(sessions.manager.has_session(&opening).await.unwrap(), "its first");
        place.opened(&opening);
        sessions.sweep().await;
        sessions.sweep().await;
        assert!(sessions.manager.has_session(&opening).await.unwrap(), "it is somebody's");
    }

    #[tokio::test]
    async fn a_session_belongs_to_one_principal_and_only_their_own_make_room() {
        let sessions = Sessions::new(Arc::default());
        let (alice, bob): (Arc<str>, Arc<str>) = ("user:alice".into(), "user:bob".into());
        sessions.open(&bob).await.unwrap().opened("bobs");
        let Found::Mine(_bob_works) = sessions.find("bobs", &bob) else { panic!() };
        assert!(matches!(sessions.find("bobs", &alice), Found::Foreign));
        assert!(matches!(sessions.find("none", &alice), Found::Unknown));

        for n in 0..MAX_SESSIONS_PER_PRINCIPAL {
            sessions.open(&alice).await.unwrap().opened(&format!("alices-{n}"));
        }
        let Found::Mine(in_use) = sessions.find("alices-0", &alice) else { panic!() };
        sessions.open(&alice).await.unwrap().opened("alices-new");
        assert!(matches!(sessions.find("alices-0", &alice), Found::Mine(_)), "it is in use");
        assert!(matches!(sessions.find("alices-1", &alice), Found::Unknown), "the oldest idle one");
        assert!(matches!(sessions.find("bobs", &bob), Found::Mine(_)));
        drop(in_use);
        // Sessions that the manager does not know have ended.
        sessions.sweep().await;
        assert!(sessions.owned().sessions.is_empty() && sessions.owned().opening.is_empty());
    }
}
