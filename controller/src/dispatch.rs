//! Sent: from what is approved and recorded to a [`SignedGrant`], and into the session that it was recorded for.

use std::{collections::BTreeMap, sync::Arc};

use lictor_certs::signer::{Purpose, SigningKey};
use lictor_core::{
    clock::Timestamp,
    grant::{Grant, GrantTarget},
    id::{GrantId, IdSource},
    job::Job,
    limits::{GRANT_VALIDITY, MAX_CLOCK_SKEW, MAX_TARGETS_PER_GRANT},
    name::SiteName,
};
use lictor_proto::pb;
use lictor_store::Recorded;
use prost::Message as _;

use crate::{
    authz::PermittedHost,
    session::{Session, Sessions},
};

/// Proof that a grant was signed after it was recorded; the only thing that a session can offer.
#[derive(Debug)]
pub struct SignedGrant(pb::Offer);

/// An invocation that was recorded as offered to a session.
#[derive(Debug)]
pub struct Offered {
    /// The invocation, with its attempt.
    pub invocation: lictor_core::id::InvocationId,
    /// 1 for the first.
    pub attempt: u32,
    /// The host, as permitted.
    pub permitted: PermittedHost,
}

/// Signs grants and sends them.
#[derive(Debug)]
pub struct Dispatcher {
    key: SigningKey,
    ids: Arc<dyn IdSource>,
}

/// The session for each site of these hosts, where one is ready.
pub fn place<'a>(
    hosts: impl Iterator<Item = &'a PermittedHost>,
    sessions: &Sessions,
    now: Timestamp,
) -> BTreeMap<SiteName, Arc<Session>> {
    let mut places = BTreeMap::new();
    for host in hosts {
        let site = &host.host.site;
        if !places.contains_key(site)
            && let Some(session) = sessions.choose(site, now)
        {
            places.insert(site.clone(), session);
        }
    }
    places
}

impl SignedGrant {
    /// The message that carries it.
    pub fn into_offer(self) -> pb::Offer {
        self.0
    }
}

impl Dispatcher {
    /// A dispatcher that signs with `key`.
    pub const fn new(key: SigningKey, ids: Arc<dyn IdSource>) -> Self {
        Self { key, ids }
    }

    /// Signs and sends what was recorded as offered to `session`; `_recorded` is the proof that it was.
    ///
    /// What cannot be sent stays recorded as offered: when the agent comes back, reconciling sends it again.
    pub fn send(
        &self,
        job: &Job,
        offered: Vec<Offered>,
        session: &Session,
        _recorded: &Recorded,
        now: Timestamp,
    ) {
        let mut rest = offered;
        while !rest.is_empty() {
            let later = rest.split_off(rest.len().min(MAX_TARGETS_PER_GRANT));
            let grant = self.grant(job, rest, session, now);
            if !session.offer(self.sign(&grant)) {
                tracing::warn!(agent = %session.agent(), "an agent is too far behind; its grants wait until it reconnects");
                return;
            }
            rest = later;
        }
    }

    fn grant(&self, job: &Job, targets: Vec<Offered>, session: &Session, now: Timestamp) -> Grant {
        let targets = targets
            .into_iter()
            .map(|Offered { invocation, attempt, permitted }| GrantTarget {
                invocation,
                host: permitted.host.alias.clone(),
                attempt,
                limits: permitted.limits,
                networks_allowed: permitted.networks_allowed,
                networks_denied: permitted.networks_denied,
            })
            .collect();
        Grant {
            id: GrantId::fresh(&*self.ids),
            tenant: job.principal.tenant.clone(),
            site: session.site().clone(),
            agent: session.agent().clone(),
            epoch: session.epoch(),
            job: job.id,
            principal: job.principal.clone(),
            via: job.origin.via,
            command: job.command.clone(),
            context: job.context.clone(),
            policy_version: job.policy_version,
            not_before: now.minus(MAX_CLOCK_SKEW),
            not_after: now.plus(GRANT_VALIDITY),
            targets,
            detached: job.detached,
        }
    }

    fn sign(&self, grant: &Grant) -> SignedGrant {
        let bytes = pb::Grant::from(grant).encode_to_vec();
        let signature = self.key.sign(Purpose::Grant, &bytes).to_vec();
        SignedGrant(pb::Offer { grant: bytes.into(), signature })
    }
}
