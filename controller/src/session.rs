//! Agents that are connected: one session each, the newest wins. What is sent to them goes through here.

pub mod evidence;
pub mod link;
pub mod witness;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicU32, AtomicU64, Ordering},
    },
};

use lictor_certs::{checkpoint::Origin, evidence::Signers};
use lictor_core::{
    clock::Timestamp,
    id::InvocationId,
    limits::{HEARTBEAT_INTERVAL, HEARTBEATS_MISSED},
    name::{AgentName, SiteName},
};
use lictor_proto::pb;
use tokio::sync::{Notify, mpsc, watch};
use tokio_util::sync::CancellationToken;
use tonic::Status;

use crate::dispatch::SignedGrant;

/// Messages that may wait for a slow agent. An agent that falls this far behind is cut off and comes back.
pub const OUTBOX: usize = 4096;

/// One session of an agent.
#[derive(Debug)]
pub struct Session {
    site: SiteName,
    agent: AgentName,
    epoch: u64,
    address: String,
    version: String,
    outbox: mpsc::Sender<Result<pb::ControllerMessage, Status>>,
    last_heard: AtomicU64,
    in_flight: AtomicU32,
    look: Notify,
    behind: CancellationToken,
    /// Cuts it with the connections of its agent.
    cut: CancellationToken,
    signers: Option<Signers>,
    /// The version of the freezes that the agent has confirmed.
    confirmed: watch::Sender<u64>,
    /// Its name as a witness, if it is one.
    witness: OnceLock<Origin>,
    cosigned_size: AtomicU64,
    witness_refusal: Mutex<Option<String>>,
}

/// Where an invocation is offered: decided before it is recorded.
#[derive(Debug, Clone)]
pub struct Placement {
    /// The agent.
    pub agent: AgentName,
    /// The epoch of its session.
    pub epoch: u64,
}

/// How a session stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Liveness {
    /// Heard from lately.
    Connected,
    /// Three heartbeats are missing: offered nothing new; that alone changes no invocation.
    Suspect,
}

/// Every session, by agent.
#[derive(Debug, Default)]
pub struct Sessions {
    table: Mutex<HashMap<(SiteName, AgentName), Arc<Session>>>,
}

// === impl Session ===

impl Session {
    /// A session that was just opened.
    pub fn new(
        (site, agent): (SiteName, AgentName),
        epoch: u64,
        address: String,
        version: String,
        outbox: mpsc::Sender<Result<pb::ControllerMessage, Status>>,
        now: Timestamp,
    ) -> Self {
        Self {
            site,
            agent,
            epoch,
            address,
            version,
            outbox,
            last_heard: AtomicU64::new(now.as_micros()),
            in_flight: AtomicU32::new(0),
            look: Notify::new(),
            behind: CancellationToken::new(),
            cut: CancellationToken::new(),
            signers: None,
            confirmed: watch::Sender::new(0),
            witness: OnceLock::new(),
            cosigned_size: AtomicU64::new(0),
            witness_refusal: Mutex::default(),
        }
    }

    /// The session, taking evidence that these have signed.
    #[must_use]
    pub fn trusting(self, signers: Signers) -> Self {
        Self { signers: Some(signers), ..self }
    }

    /// The session, ending when this says that its agent was revoked.
    #[must_use]
    pub fn cut_by(self, cut: CancellationToken) -> Self {
        Self { cut, ..self }
    }

    /// The site.
    pub const fn site(&self) -> &SiteName {
        &self.site
    }
    /// The agent.
    pub const fn agent(&self) -> &AgentName {
        &self.agent
    }
    /// Its epoch.
    pub const fn epoch(&self) -> u64 {
        self.epoch
    }
    /// Where it comes from.
    pub fn address(&self) -> &str {
        &self.address
    }
    /// The version of its software.
    pub fn version(&self) -> &str {
        &self.version
    }
    /// Where this session is, for a record.
    pub fn placement(&self) -> Placement {
        Placement { agent: self.agent.clone(), epoch: self.epoch }
    }
    /// Whose evidence it takes; without any, no evidence holds.
    pub const fn signers(&self) -> Option<&Signers> {
        self.signers.as_ref()
    }
    /// When it was last heard from.
    pub fn last_heard(&self) -> Timestamp {
        Timestamp::from_micros(self.last_heard.load(Ordering::Relaxed))
    }
    /// Commands it says it runs.
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Ordering::Relaxed)
    }
    /// How it stands.
    pub fn liveness(&self, now: Timestamp) -> Liveness {
        let silence = now.since(self.last_heard());
        if silence > HEARTBEAT_INTERVAL * HEARTBEATS_MISSED { Liveness::Suspect } else { Liveness::Connected }
    }

    /// It was heard from.
    pub fn heard(&self, now: Timestamp) {
        self.last_heard.store(now.as_micros(), Ordering::Relaxed);
    }
    /// It said how many commands it runs.
    pub fn runs(&self, in_flight: u32) {
        self.in_flight.store(in_flight, Ordering::Relaxed);
    }

    /// Tells the session's loop to look at what waits at its site.
    pub fn look(&self) {
        self.look.notify_one();
    }
    /// Waits until somebody says to look.
    pub async fn told_to_look(&self) {
        self.look.notified().await;
    }

    /// Sends a grant. If the agent is too far behind, the session ends; reconciling offers the grant again.
    pub fn offer(&self, grant: SignedGrant) -> bool {
        self.send(pb::controller_message::Message::Offer(grant.into_offer()))
    }
    /// Tells the agent to stop invocations, or not to start them.
    pub fn stop(&self, invocations: &[InvocationId]) -> bool {
        let invocation_ids = invocations.iter().map(ToString::to_string).collect();
        self.send(pb::controller_message::Message::Stop(pb::Stop { invocation_ids }))
    }
    /// Tells the agent which results are durable.
    pub fn committed(&self, invocation_ids: Vec<String>) -> bool {
        self.send(pb::controller_message::Message::Committed(pb::Committed { invocation_ids }))
    }
    /// Tells the agent everything that is frozen at its site.
    pub fn frozen(&self, version: u64, freezes: Vec<pb::Freeze>) -> bool {
        self.send(pb::controller_message::Message::Frozen(pb::Frozen { version, freezes }))
    }
    /// It said that nothing starts any more that the freezes of this version forbid.
    pub fn took_frozen(&self, version: u64) {
        self.confirmed.send_modify(|confirmed| *confirmed = version.max(*confirmed));
    }
    /// Shows the agent a signed head of the audit log.
    pub fn show_checkpoint(&self, checkpoint: pb::Checkpoint) -> bool {
        self.send(pb::controller_message::Message::Checkpoint(checkpoint))
    }
    /// It is a witness of this name.
    pub fn witnesses_as(&self, name: Origin) {
        let _ = self.witness.set(name);
    }
    /// Its name as a witness; `None` if it is none.
    pub fn witness(&self) -> Option<&Origin> {
        self.witness.get()
    }
    /// It has cosigned a head of this size.
    pub fn has_cosigned(&self, size: u64) {
        self.cosigned_size.fetch_max(size, Ordering::Relaxed);
    }
    /// The size of the newest head that it has cosigned; 0: none.
    pub fn cosigned_size(&self) -> u64 {
        self.cosigned_size.load(Ordering::Relaxed)
    }
    /// It holds a head that our audit log contradicts: it is offered nothing new for as long as this session lasts.
    pub fn refuse_witness(&self, why: String) {
        *self.witness_refusal.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }
    /// Why it refuses our history, and what to do.
    pub fn witness_refusal(&self) -> Option<String> {
        self.witness_refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
    /// Waits until it has said so.
    pub async fn confirms(&self, version: u64) {
        // The sender is here, so this ends only when it is so.
        let _ = self.confirmed.subscribe().wait_for(|confirmed| *confirmed >= version).await;
    }
    /// Sends the first message.
    pub fn welcome(&self, now: Timestamp) -> bool {
        let heartbeat_ms = u32::try_from(HEARTBEAT_INTERVAL.as_millis()).unwrap_or(u32::MAX);
        let welcome = pb::Welcome { epoch: self.epoch, now: now.as_micros(), heartbeat_ms };
        self.send(pb::controller_message::Message::Welcome(welcome))
    }

    fn send(&self, message: pb::controller_message::Message) -> bool {
        let sent = self.outbox.try_send(Ok(pb::ControllerMessage { message: Some(message) })).is_ok();
        if !sent {
            // It missed something; what it missed is settled when it comes back.
            self.behind.cancel();
        }
        sent
    }
    /// Ends the session: what is not settled is settled when the agent comes back.
    pub fn end(&self) {
        self.behind.cancel();
    }
    /// Whether the agent was revoked since the session began: nothing more is taken from it.
    pub fn is_revoked(&self) -> bool {
        self.cut.is_cancelled()
    }
    /// Waits until the agent is revoked.
    pub async fn revoked(&self) {
        self.cut.cancelled().await;
    }
    /// Waits until the session has to end because its agent is too far behind.
    pub async fn fell_behind(&self) {
        self.behind.cancelled().await;
    }
}

// === impl Sessions ===

impl Sessions {
    fn table(&self) -> MutexGuard<'_, HashMap<(SiteName, AgentName), Arc<Session>>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes this the agent's session; an older one gets nothing more.
    pub fn insert(&self, session: Arc<Session>) {
        self.table().insert((session.site.clone(), session.agent.clone()), session);
    }
    /// Ends this session, unless a newer one has taken its place.
    pub fn remove(&self, session: &Session) {
        let mut table = self.table();
        let key = (session.site.clone(), session.agent.clone());
        if table.get(&key).is_some_and(|s| s.epoch == session.epoch) {
            table.remove(&key);
        }
    }
    /// The session of this agent.
    pub fn of(&self, site: &SiteName, agent: &AgentName) -> Option<Arc<Session>> {
        self.table().get(&(site.clone(), agent.clone())).cloned()
    }
    /// The session that new work of a site goes to: the least busy one that is neither suspect nor refuses our history.
    pub fn choose(&self, site: &SiteName, now: Timestamp) -> Option<Arc<Session>> {
        let table = self.table();
        let ready = table.values().filter(|s| {
            s.site == *site && s.liveness(now) == Liveness::Connected && s.witness_refusal().is_none()
        });
        ready.min_by_key(|s| s.in_flight()).cloned()
    }
    /// Every session.
    pub fn all(&self) -> Vec<Arc<Session>> {
        self.table().values().cloned().collect()
    }
}
