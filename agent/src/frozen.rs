//! What is frozen at this site, as the controller said last: nothing starts there, whatever was accepted before. All of it is
//! from the moment on that this agent is revoked.
//!
//! Kept while there is no session, until the next one says otherwise; what runs goes on.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lictor_core::{
    freeze::{FROZEN, Freeze, FreezeSet},
    id::InvocationId,
    limits::MAX_FREEZES,
    name::{HostAlias, SiteName},
    outcome::Outcome,
    revocation::AGENT_REVOKED,
};
use lictor_proto::pb;
use tokio::sync::watch;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::admit::{Admitted, denied};

/// The freezes of a site, who looked at them, and what was confirmed.
#[derive(Debug)]
pub(crate) struct Frozen {
    site: SiteName,
    known: watch::Sender<Arc<Known>>,
    looks: Mutex<Looks>,
    /// The version that the controller is to be told has taken hold; 0: none.
    confirmed: watch::Sender<u64>,
}

/// What the controller said.
#[derive(Debug, Default)]
struct Known {
    set: FreezeSet,
    /// One of them could not be read: it may be one of everything.
    unread: bool,
    /// Why this agent was refused, if it is revoked.
    revoked: Option<String>,
}

/// Who looked and has not yet sent what it looked for.
#[derive(Debug, Default)]
struct Looks {
    /// Grows with each word of the controller, so that only the newest is confirmed.
    generation: u64,
    current: Round,
    /// Each is cancelled once everybody of that round has handed over.
    before: Vec<CancellationToken>,
}

/// Those who looked since the controller's last word.
#[derive(Debug)]
struct Round {
    over: CancellationToken,
    guard: Arc<DropGuard>,
}

/// A look that found nothing frozen. Held until the exec request is handed over: a freeze is confirmed after that.
#[derive(Debug)]
#[must_use = "a freeze that comes while this is not held is confirmed too early"]
pub(crate) struct Look {
    _round: Arc<DropGuard>,
}

// === impl Frozen ===

impl Frozen {
    /// Nothing is frozen at `site` as far as is known.
    pub(crate) fn new(site: SiteName) -> Self {
        Self {
            site,
            known: watch::Sender::new(Arc::default()),
            looks: Mutex::default(),
            confirmed: watch::Sender::new(0),
        }
    }

    fn looks(&self) -> MutexGuard<'_, Looks> {
        self.looks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nothing may start on `host`, and why.
    pub(crate) fn refusal(&self, host: &HostAlias) -> Option<Outcome> {
        self.known.borrow().refusal(&self.site, host)
    }

    /// Waits until nothing may start on `host`, and says why.
    pub(crate) async fn hits(&self, host: &HostAlias) -> Outcome {
        let mut known = self.known.subscribe();
        loop {
            let refusal = known.borrow_and_update().refusal(&self.site, host);
            if let Some(outcome) = refusal {
                return outcome;
            }
            if known.changed().await.is_err() {
                // Its sender is here, so this cannot be; nothing is frozen for ever then.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Takes out of `admitted` what must not start, with why.
    pub(crate) fn sift(&self, admitted: &mut Vec<Admitted>) -> Vec<(InvocationId, Outcome)> {
        let known = self.known.borrow();
        let refused = |one: &Admitted| Some((one.invocation(), known.refusal(&self.site, one.host())?));
        let all: Vec<_> = admitted.iter().filter_map(refused).collect();
        admitted.retain(|one| known.refusal(&self.site, one.host()).is_none());
        all
    }

    /// The last look before something starts on `host`.
    ///
    /// # Errors
    /// What to report when nothing may start there.
    pub(crate) fn look(&self, host: &HostAlias) -> Result<Look, Outcome> {
        // Counted before it looks: whoever counts afterwards has this one, or it has looked at what is new.
        let look = Look { _round: Arc::clone(&self.looks().current.guard) };
        match self.refusal(host) {
            Some(outcome) => Err(outcome),
            None => Ok(look),
        }
    }

    /// Takes what the controller says; it holds when this returns. It is confirmed once everybody who looked before has
    /// handed over what it looked for.
    pub(crate) fn take(self: &Arc<Self>, said: pb::Frozen) {
        let pb::Frozen { version, freezes } = said;
        let many = freezes.len() > MAX_FREEZES;
        let read: Vec<Option<Arc<Freeze>>> =
            freezes.into_iter().take(MAX_FREEZES).map(|f| f.try_into().ok().map(Arc::new)).collect();
        let unread = many || read.iter().any(Option::is_none);
        if unread {
            tracing::error!("a freeze of the controller cannot be read: nothing new starts at this site");
        }
        let set: FreezeSet = read.into_iter().flatten().collect();
        tracing::info!(freezes = set.all().len(), "what is frozen at this site is known");
        self.known.send_replace(Arc::new(Known { set, unread, revoked: None }));
        let (generation, before) = self.looks().next();
        let this = Arc::clone(self);
        tokio::spawn(async move {
            for round in before {
                round.cancelled().await;
            }
            let looks = this.looks();
            if looks.generation == generation {
                this.confirmed.send_replace(version);
            }
        });
    }

    /// Nothing starts any more, because this agent is revoked; until the controller says again what is frozen, to a session
    /// that it has opened.
    pub(crate) fn revoked(&self, why: &str) {
        self.known.send_modify(|known| {
            let Known { set, unread, revoked: _ } = &**known;
            *known = Arc::new(Known { set: set.clone(), unread: *unread, revoked: Some(why.to_owned()) });
        });
    }

    /// Starts over for a new session: what was said before still holds, and is no longer confirmed.
    pub(crate) fn begin_session(&self) -> watch::Receiver<u64> {
        let mut looks = self.looks();
        looks.generation += 1;
        self.confirmed.send_replace(0);
        self.confirmed.subscribe()
    }
}

// === impl Known ===

impl Known {
    fn refusal(&self, site: &SiteName, host: &HostAlias) -> Option<Outcome> {
        if let Some(why) = &self.revoked {
            return Some(denied(AGENT_REVOKED, format!("nothing new starts on {host}: {why}")));
        }
        if let Some(freeze) = self.set.covering(site, host) {
            return Some(denied(FROZEN, format!("nothing new starts on {host}: {}", freeze.sentence())));
        }
        let why = || format!("nothing new starts on {host}: a freeze was set that this agent cannot read");
        self.unread.then(|| denied(FROZEN, why()))
    }
}

// === impl Looks ===

impl Looks {
    /// Those who look from now on are counted apart; answers everybody before.
    fn next(&mut self) -> (u64, Vec<CancellationToken>) {
        self.generation += 1;
        let Round { over, guard } = std::mem::take(&mut self.current);
        drop(guard);
        self.before.push(over);
        self.before.retain(|round| !round.is_cancelled());
        (self.generation, self.before.clone())
    }
}

// === impl Round ===

impl Default for Round {
    fn default() -> Self {
        let over = CancellationToken::new();
        let guard = Arc::new(over.clone().drop_guard());
        Self { over, guard }
    }
}

#[cfg(test)]
mod tests {
    use lictor_core::{
        clock::Timestamp,
        id::FreezeId,
        principal::{Principal, PrincipalKind},
    };

    use super::*;

    fn said(version: u64, scopes: &[&str]) -> pb::Frozen {
        let freeze = |(n, scope): (usize, &&str)| Freeze {
            id: FreezeId::from_bytes([u8::try_from(n).unwrap(); 16]),
            scope: scope.parse().unwrap(),
            reason: "disk full".parse().unwrap(),
            by: Principal {
                tenant: "default".parse().unwrap(),
                kind: PrincipalKind::User,
                name: "ops".parse().unwrap(),
            },
            at: Timestamp::from_micros(1),
        };
        pb::Frozen { version, freezes: scopes.iter().enumerate().map(|f| (&freeze(f)).into()).collect() }
    }

    fn site() -> Arc<Frozen> {
        Arc::new(Frozen::new("eu".parse().unwrap()))
    }

    fn host(alias: &str) -> HostAlias {
        alias.parse().unwrap()
    }

    #[tokio::test]
    async fn a_freeze_is_confirmed_only_after_everybody_who_looked_before_has_handed_over() {
        let frozen = site();
        let mut confirmed = frozen.begin_session();
        let first = frozen.look(&host("web-1")).unwrap();
        frozen.take(said(1, &["host:web-1"]));
        let second = frozen.look(&host("web-2")).unwrap();
        frozen.take(said(2, &["all"]));
        for _ in 0..20 {
            tokio::task::yield_now().await;
            assert_eq!(*confirmed.borrow(), 0);
        }
        drop(second);
        for _ in 0..20 {
            tokio::task::yield_now().await;
            assert_eq!(*confirmed.borrow(), 0, "the first has not handed over");
        }
        drop(first);
        assert_eq!(*confirmed.wait_for(|version| *version > 0).await.unwrap(), 2);
        let refused = frozen.look(&host("web-2")).unwrap_err();
        assert!(refused.to_string().contains("user:ops froze everything"), "{refused}");
        assert_eq!(refused.reason_code(), Some("FROZEN"));
    }

    #[tokio::test]
    async fn what_was_said_before_holds_until_the_next_session_says_otherwise() {
        let frozen = site();
        let _ = frozen.begin_session();
        frozen.take(said(7, &["site:eu"]));
        let mut confirmed = frozen.begin_session();
        assert!(frozen.refusal(&host("web-1")).is_some());
        frozen.take(said(1, &["site:us", "host:web-2"]));
        assert_eq!(*confirmed.wait_for(|version| *version > 0).await.unwrap(), 1);
        assert!(frozen.refusal(&host("web-1")).is_none());
        assert_eq!(frozen.hits(&host("web-2")).await.reason_code(), Some("FROZEN"));
    }

    #[tokio::test]
    async fn nothing_starts_at_a_revoked_agent_until_a_session_says_what_is_frozen() {
        let frozen = site();
        frozen.take(said(1, &["host:web-2"]));
        let waits = {
            let frozen = Arc::clone(&frozen);
            tokio::spawn(async move { frozen.hits(&host("web-1")).await })
        };
        frozen.revoked("agent eu/a was revoked: lost");
        let turned_away = waits.await.unwrap();
        assert_eq!(turned_away.reason_code(), Some("AGENT_REVOKED"));
        assert!(turned_away.to_string().contains("lost"), "{turned_away}");
        let _ = frozen.begin_session();
        assert!(frozen.look(&host("web-1")).is_err(), "it has not been said that it may");
        frozen.take(said(1, &["host:web-2"]));
        assert!(frozen.look(&host("web-1")).is_ok());
        assert_eq!(frozen.look(&host("web-2")).unwrap_err().reason_code(), Some("FROZEN"));
    }

    #[tokio::test]
    async fn a_freeze_that_cannot_be_read_is_one_of_everything() {
        let frozen = site();
        let mut strange = said(1, &["host:web-9"]);
        strange.freezes[0].scope = Some(pb::FreezeScope { kind: None });
        frozen.take(strange);
        assert!(frozen.look(&host("web-1")).is_err());
        frozen.take(said(2, &[]));
        assert!(frozen.look(&host("web-1")).is_ok());
    }
}
