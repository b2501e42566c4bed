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

/// How every agent stands that was ever revoked or connected.
#[derive(Debug, Default)]
pub struct Revocations {
    table: Mutex<HashMap<(SiteName, AgentName), Stand>>,
}

/// How one agent stands.
#[derive(Debug, Default)]
struct Stand {
    /// How many times it was revoked.
    generation: u32,
    /// Its revocation, until it joins anew.
    revoked: Option<Arc<Revocation>>,
    /// Cuts the connections that were opened with certificates of this generation.
    cut: CancellationToken,
}

/// Whether a certificate of this generation counts for an agent that was revoked so many times. None that was issued
/// elsewhere can say a later generation than the agent's own, so those are refused too.
pub(crate) const fn counts(agent: u32, certificate: u32) -> bool {
    agent == 0 || agent == certificate
}

/// What whoever shows a certificate is told that does not count any more.
pub(crate) fn refusal_of(site: &SiteName, agent: &AgentName, revoked: Option<&Revocation>) -> Failure {
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
        Ok(Self { table: Mutex::new(table) })
    }

    fn table(&self) -> MutexGuard<'_, HashMap<(SiteName, AgentName), Stand>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why a certificate of this generation does not count; `None` if it does.
    pub(crate) fn refusal(&self, site: &SiteName, agent: &AgentName, generation: u32) -> Option<Failure> {
        let table = self.table();
        let stand = table.get(&(site.clone(), agent.clone()))?;
        (!counts(stand.generation, generation)).then(|| refusal_of(site, agent, stand.revoked.as_deref()))
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
                if counts(stand.generation, peer.generation()) {
                    stand.cut.clone()
                } else {
                    CancellationToken::new()
                }
            }
            Identity::Controller { .. } | Identity::Service { .. } | Identity::User { .. } => {
                CancellationToken::new()
            }
        }
    }

    /// Puts a recorded revocation in force: no certificate of an earlier generation counts any more, and connections that
    /// were opened with one are cut.
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
}
