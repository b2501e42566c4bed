//! Signed heads of the audit log: while there is activity and on demand, for agents to witness and in a file for others
//! to carry away.

mod pace;

use std::{
    collections::{BTreeMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lictor_certs::{
    checkpoint::{InvalidOrigin, Origin, sign_checkpoint},
    cosignature::{WitnessKey, with_cosignatures, witness_name},
    identity::TrustDomain,
    signer::{PublicKey, SigningKey},
};
use lictor_core::{
    clock::Clock,
    merkle::TreeHead,
    name::{AgentName, SiteName, TenantName},
};
use lictor_store::{KeptCheckpoint, Store, StoreError};
use tokio::{
    sync::{Notify, watch},
    time::{Instant, sleep_until, timeout_at},
};

use self::pace::{EVERY, Next, Pace};

/// How long cosignatures of a head are waited for before it is kept with them: agents sync and answer within it.
const SETTLE: Duration = Duration::from_millis(250);
/// How long a caller who asks for a head waits for cosignatures: an agent that is slower is missing in the answer.
const COSIGN_WAIT: Duration = Duration::from_secs(1);
/// Heads for which cosignatures are still taken: more than agents are behind, for each answers before it gets the next.
const RECENT: usize = 64;
/// Most cosignatures in a note, so that it stays below the longest that verifiers read, also with the longest names.
const MAX_COSIGNATURES: usize = 64;

/// Signs heads, and gathers what witnesses say of them.
#[derive(Debug)]
pub struct Checkpoints {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    key: SigningKey,
    rotations: Vec<String>,
    domain: TrustDomain,
    tenant: TenantName,
    origin: Origin,
    file: PathBuf,
    latest: watch::Sender<Latest>,
    recent: Mutex<VecDeque<Arc<Published>>>,
    /// Held while a head is signed and kept, so that they are published in order.
    publishing: tokio::sync::Mutex<()>,
    cosigned: Notify,
}

/// A head that was signed.
#[derive(Debug)]
pub struct Published {
    /// The head.
    pub head: TreeHead,
    /// The note, with the log's own signature alone.
    pub note: String,
    kept: KeptCheckpoint,
    cosignatures: Mutex<BTreeMap<String, String>>,
}

/// The newest head, as [`Checkpoints::sign_for_ever`] sees it.
struct Newest {
    published: Arc<Published>,
    /// With how many cosignatures it is kept.
    kept: usize,
    /// From when on those that come are kept at once; those that come before are kept together then.
    settled_at: Instant,
}

/// What sessions look at.
#[derive(Debug, Clone, Default)]
pub struct Latest {
    /// The newest head that was signed.
    pub published: Option<Arc<Published>>,
    /// Somebody waits for cosignatures of a head of this size.
    pub wanted: u64,
}

/// Whose log it is.
#[derive(Debug, Clone)]
pub struct LogOwner {
    /// The trust domain.
    pub domain: TrustDomain,
    /// The tenant.
    pub tenant: TenantName,
}

// === impl Checkpoints ===

impl Checkpoints {
    /// Signs heads of `store` with `key`, to which `rotations` lead; the newest is also written to `file`.
    ///
    /// # Errors
    /// [`InvalidOrigin`]; names and domains have no character that it refuses.
    pub fn new(
        (store, clock): (Arc<dyn Store>, Arc<dyn Clock>),
        (key, rotations): (SigningKey, Vec<String>),
        LogOwner { domain, tenant }: LogOwner,
        file: PathBuf,
    ) -> Result<Self, InvalidOrigin> {
        let origin = Origin::of_tenant(&domain, &tenant)?;
        Ok(Self {
            store,
            clock,
            key,
            rotations,
            domain,
            tenant,
            origin,
            file,
            latest: watch::Sender::default(),
            recent: Mutex::default(),
            publishing: tokio::sync::Mutex::default(),
            cosigned: Notify::new(),
        })
    }
    /// The public half of the key.
    pub const fn public_key(&self) -> PublicKey {
        self.key.public_key()
    }
    /// What leads from earlier keys to this one, oldest first.
    pub fn rotations(&self) -> &[String] {
        &self.rotations
    }
    /// The name of the log.
    pub const fn origin(&self) -> &Origin {
        &self.origin
    }
    /// An agent as a witness with this key.
    ///
    /// # Errors
    /// [`InvalidOrigin`]; names have no character that it refuses.
    pub fn witness(
        &self,
        site: &SiteName,
        agent: &AgentName,
        key: PublicKey,
    ) -> Result<WitnessKey, InvalidOrigin> {
        Ok(WitnessKey { name: witness_name(&self.domain, &self.tenant, site, agent)?, key })
    }
    /// The heads as they are signed.
    pub fn subscribe(&self) -> watch::Receiver<Latest> {
        self.latest.subscribe()
    }

    /// The head as it is now, signed.
    ///
    /// # Errors
    /// [`StoreError`] when it cannot be read.
    pub async fn publish(&self) -> Result<Arc<Published>, StoreError> {
        let _in_order = self.publishing.lock().await;
        // Only what is durable is in the head of the store, so no signed head is ever taken back by a crash.
        let head = self.store.audit_head().await?;
        let newest = self.recent().back().cloned();
        if let Some(newest) = newest.filter(|newest| newest.head == head) {
            return Ok(newest);
        }
        let note = sign_checkpoint(&self.origin, &head, &self.key);
        let kept = KeptCheckpoint { size: head.size, note: note.clone(), at: self.clock.now() };
        let published = Arc::new(Published { head, note, kept, cosignatures: Mutex::default() });
        self.keep(&published).await;
        {
            let mut recent = self.recent();
            recent.push_back(Arc::clone(&published));
            while recent.len() > RECENT {
                recent.pop_front();
            }
        }
        self.latest.send_modify(|latest| latest.published = Some(Arc::clone(&published)));
        Ok(published)
    }

    /// A note of the head as it is now or a little later, with the cosignatures of these witnesses, as far as they come.
    ///
    /// # Errors
    /// [`StoreError`] when the head cannot be read.
    pub async fn cosigned_now(&self, witnesses: &[Origin]) -> Result<String, StoreError> {
        let published = self.publish().await?;
        let until = Instant::now() + COSIGN_WAIT;
        if !witnesses.is_empty() {
            self.latest.send_modify(|latest| latest.wanted = latest.wanted.max(published.head.size));
        }
        loop {
            // Listened to before the look, so that nothing that comes between is missed.
            let more = self.cosigned.notified();
            let mut more = std::pin::pin!(more);
            more.as_mut().enable();
            let all = witnesses.iter().take(MAX_COSIGNATURES).all(|name| published.has(name));
            if all || timeout_at(until, more).await.is_err() {
                break;
            }
        }
        // Under load agents may have answered for a later head instead.
        let recent = self.recent();
        let best = recent.iter().filter(|p| p.head.size >= published.head.size).max_by_key(|p| p.count());
        Ok(best.unwrap_or(&published).cosigned_note())
    }

    /// Takes the line of a witness for a head that was signed. Whoever calls has verified it.
    pub fn add_cosignature(&self, head: &TreeHead, witness: &Origin, line: String) {
        if let Some(published) = self.recent().iter().find(|p| p.head == *head) {
            let mut lines = published.lines();
            if lines.len() < MAX_COSIGNATURES || lines.contains_key(witness.as_str()) {
                lines.insert(witness.as_str().to_owned(), line);
            }
        }
        self.cosigned.notify_waiters();
    }

    /// Signs a head within a second of the first record that none covers, and sooner once 1,024 wait, while there is activity;
    /// never returns. What one commit records is covered by one head, even if it is more.
    pub async fn sign_for_ever(self: Arc<Self>) {
        let mut heads = self.store.audit_heads();
        let mut pace = Pace::default();
        let mut newest: Option<Newest> = None;
        loop {
            // Listened to before the look, so that nothing that comes between is missed.
            let more = self.cosigned.notified();
            let mut more = std::pin::pin!(more);
            more.as_mut().enable();
            let size = heads.borrow_and_update().size;
            let Next::Wait(wanted, due) = pace.next(size, Instant::now()) else {
                match self.publish().await {
                    Ok(published) => {
                        pace.signed(published.head.size);
                        newest = Some(Newest { published, kept: 0, settled_at: Instant::now() + SETTLE });
                    }
                    Err(error) => {
                        tracing::warn!(%error, "the head of the audit log cannot be signed");
                        tokio::time::sleep(EVERY).await;
                    }
                }
                continue;
            };
            tokio::select! {
                is_open = async { heads.wait_for(|head| head.size >= wanted).await.is_ok() } => if !is_open {
                    return;
                },
                () = until(due) => {}
                () = until(newest.as_ref().and_then(Newest::settles)) => if let Some(newest) = &mut newest {
                    newest.kept = newest.published.count();
                    self.keep(&newest.published).await;
                },
                () = more => {}
            }
        }
    }

    /// Keeps it in the store and in the file. Both say nothing that is not in the log; so trouble is only logged.
    async fn keep(&self, published: &Published) {
        let note = published.cosigned_note();
        let kept = KeptCheckpoint { note: note.clone(), ..published.kept.clone() };
        if let Err(error) = self.store.keep_checkpoint(kept).await {
            tracing::warn!(%error, "a checkpoint cannot be kept");
        }
        let temporary = self.file.with_extension("new");
        let saved = std::fs::write(&temporary, note).and_then(|()| std::fs::rename(&temporary, &self.file));
        if let Err(error) = saved {
            tracing::warn!(%error, file = %self.file.display(), "cannot write the checkpoint");
        }
    }

    fn recent(&self) -> MutexGuard<'_, VecDeque<Arc<Published>>> {
        self.recent.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Waits until then; for ever without a moment.
async fn until(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}

// === impl Newest ===

impl Newest {
    /// When it is to be kept again; `None` while nothing has come for it.
    fn settles(&self) -> Option<Instant> {
        (self.published.count() > self.kept).then_some(self.settled_at)
    }
}

// === impl Published ===

impl Published {
    /// The note with the cosignatures that have come.
    pub fn cosigned_note(&self) -> String {
        with_cosignatures(&self.note, self.lines().values().map(String::as_str))
    }
    fn has(&self, witness: &Origin) -> bool {
        self.lines().contains_key(witness.as_str())
    }
    fn count(&self) -> usize {
        self.lines().len()
    }
    fn lines(&self) -> MutexGuard<'_, BTreeMap<String, String>> {
        self.cosignatures.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
