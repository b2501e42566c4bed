//! An agent as a witness: it is shown signed heads of the audit log with proofs, and cosigns them or refuses.
//!
//! One head at a time: the next is sent when the last was answered, so each proof begins where the agent stands.

use std::{sync::Arc, time::Duration};

use lictor_certs::{
    checkpoint::Origin,
    cosignature::{MAX_COSIGNATURE_BYTES, WitnessKey, verify_cosignature},
    signer::PublicKey,
};
use lictor_core::{
    audit::{AuditEvent, WitnessEvent},
    error::Failure,
    merkle::TreeHead,
};
use lictor_proto::{
    convert::{Invalid, digest},
    pb,
};
use lictor_store::{Change, KeptAgent, Store, StoreError};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::Session;
use crate::{
    authn::AuthenticatedAgent,
    checkpoint::{Checkpoints, Latest, Published},
    failure::of_store,
    lifecycle::Lifecycle,
};

/// How often an agent is shown a new head while there is activity: each costs it a sync.
const EVERY: Duration = Duration::from_secs(1);
/// Longest login that an agent names, in bytes.
const MAX_BY_BYTES: usize = 64;
/// Longest reason of a refusal, in bytes.
const MAX_REASON_BYTES: usize = 1024;

/// What an agent says of itself as a witness.
#[derive(Debug, Clone)]
pub struct Claim {
    known: Option<TreeHead>,
    key: WitnessKey,
    resolution: Option<Resolution>,
}

#[derive(Debug, Clone)]
struct Resolution {
    known: TreeHead,
    accepted: TreeHead,
    by: String,
}

/// How far an agent has followed the log in its session.
#[derive(Debug)]
pub struct Witnessing {
    checkpoints: Arc<Checkpoints>,
    latest: watch::Receiver<Latest>,
    /// `None`: it is no witness, or refuses.
    key: Option<WitnessKey>,
    known: TreeHead,
    asked: Option<Arc<Published>>,
    next_at: Instant,
}

// === impl Claim ===

impl Claim {
    /// What `hello` says; `None` if the agent is no witness.
    ///
    /// # Errors
    /// [`Invalid`] when it is malformed.
    pub fn of(
        hello: &pb::Hello,
        agent: &AuthenticatedAgent,
        checkpoints: &Checkpoints,
    ) -> Result<Option<Self>, Invalid> {
        let Some(witness) = &hello.witness else { return Ok(None) };
        let key = witness.public_key.as_slice().try_into();
        let key = key.map_err(|_| Invalid::new("hello.witness.public_key", "it has not 32 bytes"))?;
        let key = checkpoints.witness(agent.site(), agent.name(), PublicKey::from_bytes(key));
        let known = match (witness.size, witness.root.is_empty()) {
            (0, true) => None,
            (size, _) => Some(head("hello.witness.root", size, &witness.root)?),
        };
        Ok(Some(Self {
            known,
            key: key.map_err(|e| Invalid::new("hello.witness", e))?,
            resolution: witness.resolution.as_ref().map(Resolution::try_from).transpose()?,
        }))
    }

    /// Adds to the record of a session what is new of its witness.
    pub fn record(&self, change: Change, agent: &KeptAgent) -> (Change, String) {
        let (site, name, key) = (&agent.site, &agent.name, self.key.to_string());
        let mut change = change;
        if agent.witness_key != key {
            change = change.event(AuditEvent::Witness(Box::new(WitnessEvent::Enrolled {
                site: site.clone(),
                agent: name.clone(),
                key: key.clone(),
                replaces: Some(agent.witness_key.clone()).filter(|before| !before.is_empty()),
            })));
        }
        if let Some(Resolution { known, accepted, by }) = self.resolution.clone() {
            tracing::warn!(%site, agent = %name, by, known = known.size, accepted = accepted.size, "an operator at the site let a witness go on from another head");
            let (site, agent) = (site.clone(), name.clone());
            let resolved = WitnessEvent::Resolved { site, agent, known, accepted, by };
            change = change.event(AuditEvent::Witness(Box::new(resolved)));
        }
        (change, key)
    }
}

impl TryFrom<&pb::WitnessResolution> for Resolution {
    type Error = Invalid;
    fn try_from(wire: &pb::WitnessResolution) -> Result<Self, Invalid> {
        let field = "hello.witness.resolution";
        if wire.by.len() > MAX_BY_BYTES || wire.by.chars().any(char::is_control) {
            return Err(Invalid::new(field, "the login is too long or has control characters"));
        }
        Ok(Self {
            known: head(field, wire.known_size, &wire.known_root)?,
            accepted: head(field, wire.accepted_size, &wire.accepted_root)?,
            by: wire.by.clone(),
        })
    }
}

fn head(field: &'static str, size: u64, root: &[u8]) -> Result<TreeHead, Invalid> {
    Ok(TreeHead { size, root: digest(field, root)? })
}

// === impl Witnessing ===

impl Witnessing {
    /// Shows the agent the head as it is now, before anything is offered. If our log does not begin with what the agent
    /// says that it knows, nothing will be offered; the agent is shown the head all the same, so that it sees for itself.
    ///
    /// # Errors
    /// [`StoreError`] when the log cannot be read.
    pub async fn begin(
        checkpoints: Arc<Checkpoints>,
        claim: Option<Claim>,
        store: &dyn Store,
        session: &Session,
    ) -> Result<Self, StoreError> {
        let known = claim.as_ref().and_then(|claim| claim.known);
        let mut this = Self {
            latest: checkpoints.subscribe(),
            checkpoints,
            key: claim.map(|claim| claim.key),
            known: known.unwrap_or_else(TreeHead::empty),
            asked: None,
            next_at: Instant::now(),
        };
        if let Some(key) = &this.key {
            session.witnesses_as(key.name.clone());
            if store.audit_head_at(this.known.size).await? != Some(this.known) {
                session.refuse_witness(advice("its witness holds a head that is not of this log"));
            }
            let published = this.checkpoints.publish().await?;
            this.show(published, store, session).await?;
        }
        Ok(this)
    }

    /// Waits until the agent is to be shown another head.
    pub async fn due(&mut self) {
        if self.key.is_none() || self.asked.is_some() {
            return std::future::pending().await;
        }
        loop {
            let latest = self.latest.borrow_and_update().clone();
            let size = latest.published.map_or(0, |published| published.head.size);
            let changed = if size <= self.known.size {
                self.latest.changed().await
            } else if latest.wanted > self.known.size || Instant::now() >= self.next_at {
                return;
            } else {
                tokio::select! {
                    changed = self.latest.changed() => changed,
                    () = sleep_until(self.next_at) => return,
                }
            };
            if changed.is_err() {
                return std::future::pending().await;
            }
        }
    }

    /// Shows the newest head.
    ///
    /// # Errors
    /// [`StoreError`] when the log cannot be read.
    pub async fn show_newest(&mut self, store: &dyn Store, session: &Session) -> Result<(), StoreError> {
        let newest = self.latest.borrow().published.clone();
        match newest {
            Some(published) => self.show(published, store, session).await,
            None => Ok(()),
        }
    }

    async fn show(
        &mut self,
        published: Arc<Published>,
        store: &dyn Store,
        session: &Session,
    ) -> Result<(), StoreError> {
        // What cannot be proved is shown without: the agent will say so.
        let proof = store.consistency_proof(self.known.size, published.head.size).await?.unwrap_or_default();
        session.show_checkpoint(pb::Checkpoint {
            note: published.note.clone(),
            proof: proof.iter().map(|hash| hash.as_bytes().to_vec()).collect(),
            public_key: self.checkpoints.public_key().as_bytes().to_vec(),
            key_rotations: self.checkpoints.rotations().to_vec(),
        });
        self.next_at = Instant::now() + EVERY;
        self.asked = Some(published);
        Ok(())
    }

    /// Takes what the agent says of the head that it was shown.
    ///
    /// # Errors
    /// [`Failure`] when it was not asked, when its signature is false, or when its refusal cannot be recorded.
    pub async fn answered(
        &mut self,
        lifecycle: &Lifecycle,
        session: &Session,
        answer: pb::Cosignature,
    ) -> Result<(), Failure> {
        use pb::cosignature::Answer;
        let asked = self.asked.take().filter(|asked| asked.head.size == answer.size);
        let (Some(asked), Some(key)) = (asked, self.key.clone()) else {
            return Err(Invalid::new("cosignature", "it answers nothing that was asked").into());
        };
        match answer.answer {
            Some(Answer::Line(line)) if line.len() <= MAX_COSIGNATURE_BYTES => {
                self.cosigned(session, &asked, &key, line)
            }
            Some(Answer::Refused(refusal)) => {
                self.key = None;
                refused(lifecycle, session, refusal).await
            }
            Some(Answer::Line(_)) | None => Err(Invalid::new("cosignature", "it is not one").into()),
        }
    }

    fn cosigned(
        &mut self,
        session: &Session,
        asked: &Published,
        key: &WitnessKey,
        line: String,
    ) -> Result<(), Failure> {
        if let Err(error) = verify_cosignature(&line, self.checkpoints.origin(), &asked.head, key) {
            tracing::error!(security_event = "cosignature_invalid", site = %session.site(), agent = %session.agent(), %error, "a witness's signature does not hold");
            return Err(Invalid::new("cosignature.line", error).into());
        }
        self.known = asked.head;
        session.has_cosigned(asked.head.size);
        self.checkpoints.add_cosignature(&asked.head, &key.name, line);
        Ok(())
    }
}

/// Records that an agent refuses, and offers it nothing more.
async fn refused(
    lifecycle: &Lifecycle,
    session: &Session,
    refusal: pb::WitnessRefusal,
) -> Result<(), Failure> {
    let pb::WitnessRefusal { known_size, known_root, shown_size, shown_root, reason } = refusal;
    if reason.len() > MAX_REASON_BYTES || reason.chars().any(char::is_control) {
        return Err(Invalid::new("cosignature.refused.reason", "it is too long").into());
    }
    let known = head("cosignature.refused.known_root", known_size, &known_root)?;
    let shown = head("cosignature.refused.shown_root", shown_size, &shown_root)?;
    session.refuse_witness(advice(&reason));
    let (site, agent) = (session.site().clone(), session.agent().clone());
    tracing::error!(security_event = "witness_refused", %site, %agent, known = known.size, shown = shown.size, reason, "an agent refuses the history of this controller; it is offered nothing new");
    let event = WitnessEvent::Refused { site, agent, known, shown, reason };
    let change = Change::new(lifecycle.clock.now(), AuditEvent::Witness(Box::new(event)));
    let recorded = lifecycle.store.commit(change).await;
    recorded.map(|_recorded| ()).map_err(of_store)
}

/// What an operator reads beside `WITNESS_REFUSED`.
fn advice(reason: &str) -> String {
    format!(
        "{reason}; bring back the controller's newest state, or, if it was restored from a backup on purpose, look on the agent's machine: lictor-agent witness show"
    )
}

/// The witnesses whose cosignatures can be had now.
pub fn present(sessions: &super::Sessions, now: lictor_core::clock::Timestamp) -> Vec<Origin> {
    let sessions = sessions.all();
    let present = sessions
        .iter()
        .filter(|s| s.witness_refusal().is_none() && s.liveness(now) == super::Liveness::Connected);
    present.filter_map(|session| session.witness().cloned()).collect()
}
