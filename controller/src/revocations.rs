//! Which certificates of agents count, as it is in force: asked before every call, and what cuts open connections.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lictor_certs::peer::Peer;
use lictor_core::{
    error::{ErrorCode, Failure},
    name::{AgentName, SiteName},
    principal::Identity,
    revocation::{REVOKED, Revocation},
};
use lictor_store::{KeptAgent, Store, StoreError};
use tokio_util::sync::CancellationToken;

/// The name of an agent.
type Name = (SiteName, AgentName);

/// How every agent stands that was ever revoked or connected.
#[derive(Debug, Default)]
pub struct Revocations {
    table: Mutex<HashMap<Name, Stand>>,
    /// How many requests are revoking an agent now.
    revoking: Mutex<HashMap<Name, usize>>,
}

/// How one agent stands.
#[derive(Debug, Default)]
struct Stand {
    /// The number that its last revocation gave it.
    generation: u32,
    /// Its revocation, until it joins anew.
    revoked: Option<Arc<Revocation>>,
    /// Cuts the connections and sessions that were opened with certificates of this generation.
    cut: CancellationToken,
}

/// While this is there an agent is being revoked: nothing lets it in that would change its record, so that whoever has its key
/// cannot keep the revocation from being recorded.
#[derive(Debug)]
#[must_use = "the agent is let in again as soon as this is dropped"]
pub(crate) struct Revoking {
    of: Name,
    revocations: Arc<Revocations>,
}

/// Whether a certificate of this generation counts for an agent. While it is revoked none does, whatever its generation: a
/// backup that was restored does not know all that were given. Nor does one of a later generation than the agent's own.
const fn counts(agent: u32, is_revoked: bool, certificate: u32) -> bool {
    !is_revoked && (agent == 0 || agent == certificate)
}

/// Why a certificate of this generation does not count for an agent that is recorded so; `None` if it does.
pub(crate) fn refusal_by(kept: &KeptAgent, generation: u32) -> Option<Failure> {
    (!counts(kept.generation, kept.revoked.is_some(), generation))
        .then(|| refusal_of(&kept.site, &kept.name, kept.revoked.as_ref()))
}

/// What an agent is told while it is being revoked: not yet that it is.
fn hold_of(site: &SiteName, agent: &AgentName) -> Failure {
    let message = format!("agent {site}/{agent} is being revoked at this moment");
    Failure::new(ErrorCode::Unauthenticated, message, "try again in a moment; then it is revoked, or goes on")
}

/// What whoever shows a certificate is told that does not count any more.
fn refusal_of(site: &SiteName, agent: &AgentName, revoked: Option<&Revocation>) -> Failure {
    let message = match revoked {
        Some(Revocation { by: _, at, reason }) => {
            format!("agent {site}/{agent} was revoked at {at}: {reason}")
        }
        None => format!(
            "this certificate of agent {site}/{agent} was issued before the agent was revoked; it has joined anew since"
        ),
    };
    let next_step = format!(
        "if it is to serve again, make a new join token (lictor agent token --site {site} --name {agent}) and let it join \
         with that (lictor-agent join)"
    );
    Failure::new(ErrorCode::Unauthenticated, message, next_step).with(REVOKED, "true")
}

// === impl Revocations ===

impl Revocations {
    /// Takes up every revocation.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read: a controller that does not know who is revoked must not start.
    pub async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let mut table = HashMap::new();
        for agent in store.agents().await?.into_iter().filter(|agent| agent.generation > 0) {
            let KeptAgent { site, name, generation, revoked, .. } = agent;
            if let Some(revocation) = &revoked {
                tracing::warn!(%site, agent = %name, revocation = %revocation.sentence(), "an agent is revoked");
            }
            let revoked = revoked.map(Arc::new);
            table.insert((site, name), Stand { generation, revoked, cut: CancellationToken::new() });
        }
        Ok(Self { table: Mutex::new(table), revoking: Mutex::default() })
    }

    fn table(&self) -> MutexGuard<'_, HashMap<Name, Stand>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn holds(&self) -> MutexGuard<'_, HashMap<Name, usize>> {
        self.revoking.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on the agent is being revoked, until what this answers is dropped.
    pub(crate) fn revoking(self: &Arc<Self>, site: &SiteName, agent: &AgentName) -> Revoking {
        let of = (site.clone(), agent.clone());
        *self.holds().entry(of.clone()).or_default() += 1;
        Revoking { of, revocations: Arc::clone(self) }
    }

    /// Whether somebody is revoking the agent now.
    pub(crate) fn is_being_revoked(&self, site: &SiteName, agent: &AgentName) -> bool {
        self.holds().contains_key(&(site.clone(), agent.clone()))
    }

    /// Why a certificate of this generation does not count, or not at this moment; `None` if it does.
    pub(crate) fn refusal(&self, site: &SiteName, agent: &AgentName, generation: u32) -> Option<Failure> {
        let name = (site.clone(), agent.clone());
        // Looked at first: one that is put in force in between is then seen in the table.
        let is_being_revoked = self.holds().contains_key(&name);
        let table = self.table();
        match table.get(&name) {
            Some(stand) if !stand.counts(generation) => {
                Some(refusal_of(site, agent, stand.revoked.as_deref()))
            }
            Some(_) | None => is_being_revoked.then(|| hold_of(site, agent)),
        }
    }

    /// As [`Revocations::refusal`], for the other end of a connection. What others than agents have is never revoked.
    pub fn refusal_to(&self, peer: &Peer) -> Option<Failure> {
        match &peer.identity {
            Identity::Agent { tenant: _, site, name } => self.refusal(site, name, peer.generation()),
            Identity::Controller { .. } | Identity::Service { .. } | Identity::User { .. } => None,
        }
    }

    /// What cuts a connection that was just opened. One whose certificate does not count already is not cut: it is told so
    /// with every call.
    pub(crate) fn cut_of(&self, peer: &Peer) -> CancellationToken {
        match &peer.identity {
            Identity::Agent { tenant: _, site, name } => {
                let mut table = self.table();
                let stand = table.entry((site.clone(), name.clone())).or_default();
                if stand.counts(peer.generation()) { stand.cut.clone() } else { CancellationToken::new() }
            }
            Identity::Controller { .. } | Identity::Service { .. } | Identity::User { .. } => {
                CancellationToken::new()
            }
        }
    }

    /// What cuts a session that an agent opens with a certificate of this generation: the same as its connection.
    ///
    /// # Errors
    /// Why the certificate does not count.
    pub fn cut_of_session(
        &self,
        site: &SiteName,
        agent: &AgentName,
        generation: u32,
    ) -> Result<CancellationToken, Failure> {
        let mut table = self.table();
        let stand = table.entry((site.clone(), agent.clone())).or_default();
        if stand.counts(generation) {
            Ok(stand.cut.clone())
        } else {
            Err(refusal_of(site, agent, stand.revoked.as_deref()))
        }
    }

    /// Puts a recorded revocation in force: no certificate of an earlier generation counts any more, and connections and
    /// sessions that were opened with one are cut. Nothing changes if it is in force.
    pub(crate) fn revoke(
        &self,
        site: &SiteName,
        agent: &AgentName,
        generation: u32,
        revocation: Arc<Revocation>,
    ) {
        let mut table = self.table();
        let stand = table.entry((site.clone(), agent.clone())).or_default();
        // Recorded in one order, and told in another.
        if generation > stand.generation {
            let before = std::mem::replace(
                stand,
                Stand { generation, revoked: Some(revocation), cut: CancellationToken::new() },
            );
            before.cut.cancel();
        }
    }

    /// Notes that an agent has joined in this generation.
    pub(crate) fn joined(&self, site: &SiteName, agent: &AgentName, generation: u32) {
        if let Some(stand) = self.table().get_mut(&(site.clone(), agent.clone()))
            && stand.generation == generation
        {
            stand.revoked = None;
        }
    }
}

// === impl Stand ===

impl Stand {
    const fn counts(&self, certificate: u32) -> bool {
        counts(self.generation, self.revoked.is_some(), certificate)
    }
}

// === impl Revoking ===

impl Drop for Revoking {
    fn drop(&mut self) {
        let mut holds = self.revocations.holds();
        if let Some(count) = holds.get_mut(&self.of) {
            *count -= 1;
            if *count == 0 {
                holds.remove(&self.of);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use lictor_core::{
        clock::Timestamp,
        principal::{Principal, PrincipalKind},
    };

    use super::*;

    fn names() -> (SiteName, AgentName) {
        ("eu".parse().unwrap(), "a".parse().unwrap())
    }

    fn revocation() -> Arc<Revocation> {
        let by = Principal {
            tenant: "default".parse().unwrap(),
            kind: PrincipalKind::User,
            name: "ops".parse().unwrap(),
        };
        Arc::new(Revocation { by, at: Timestamp::from_micros(7), reason: "lost".parse().unwrap() })
    }

    /// Of a certificate whose serial number ends so; the first generation has none.
    fn peer(generation: &str) -> Peer {
        let ((site, name), tenant) = (names(), "default".parse().unwrap());
        let serial = "40".repeat(16) + generation;
        Peer {
            identity: Identity::Agent { tenant, site, name },
            serial,
            not_after: Timestamp::from_micros(u64::MAX),
        }
    }

    #[test]
    fn a_revocation_cuts_what_was_open_and_refuses_every_earlier_certificate_also_after_joining_anew() {
        let (all, (site, name)) = (Revocations::default(), names());
        let open = all.cut_of(&peer(""));
        assert!(all.refusal_to(&peer("")).is_none() && !open.is_cancelled());
        all.revoke(&site, &name, 1, revocation());
        assert!(open.is_cancelled());
        let refused = all.refusal_to(&peer("")).unwrap();
        assert_eq!((refused.code, refused.detail(REVOKED)), (ErrorCode::Unauthenticated, Some("true")));
        assert!(refused.message.contains("lost") && refused.next_step.contains("--site eu --name a"));
        assert!(!all.cut_of(&peer("")).is_cancelled(), "it is told so, not cut");
        all.joined(&site, &name, 1);
        assert!(all.refusal_to(&peer("")).unwrap().message.contains("issued before"));
        assert!(all.refusal_to(&peer("00000001")).is_none());
        assert!(all.refusal_to(&peer("00000002")).is_some(), "nobody has issued that one");
        let again = all.cut_of(&peer("00000001"));
        all.revoke(&site, &name, 2, revocation());
        assert!(again.is_cancelled());
        // A joining that was recorded before the revocation and is told after it.
        all.joined(&site, &name, 1);
        assert!(all.refusal_to(&peer("00000001")).unwrap().message.contains("lost"));
    }

    #[test]
    fn while_an_agent_is_revoked_no_certificate_counts_whatever_its_generation() {
        let (all, (site, name)) = (Revocations::default(), names());
        all.revoke(&site, &name, 2, revocation());
        for generation in ["", "00000001", "00000002", "00000003"] {
            let refused = all.refusal_to(&peer(generation)).unwrap();
            assert!(refused.message.contains("lost") && refused.detail(REVOKED).is_some(), "{generation}");
            assert!(all.cut_of_session(&site, &name, peer(generation).generation()).is_err(), "{generation}");
        }
        all.joined(&site, &name, 2);
        let session = all.cut_of_session(&site, &name, 2).unwrap();
        assert!(all.refusal_to(&peer("00000002")).is_none() && !session.is_cancelled());
        all.revoke(&site, &name, 3, revocation());
        assert!(session.is_cancelled());
    }

    #[test]
    fn an_agent_that_is_being_revoked_is_refused_for_as_long_and_no_longer() {
        let (all, (site, name)) = (Arc::new(Revocations::default()), names());
        let open = all.cut_of(&peer(""));
        let (first, second) = (all.revoking(&site, &name), all.revoking(&site, &name));
        drop(first);
        assert!(all.is_being_revoked(&site, &name));
        let refused = all.refusal_to(&peer("")).unwrap();
        assert_eq!(
            (refused.code, refused.detail(REVOKED)),
            (ErrorCode::Unauthenticated, None),
            "it asks again"
        );
        drop(second);
        assert!(!all.is_being_revoked(&site, &name) && all.refusal_to(&peer("")).is_none());
        assert!(!open.is_cancelled(), "nothing is cut for what was not recorded");
    }
}
