//! What operators have frozen, as it is in force: in memory, whether or not it could be recorded yet.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
};

use arc_swap::ArcSwap;
use lictor_core::{
    error::{ErrorCode, Failure},
    freeze::{Freeze, FreezeScope, FreezeSet},
    id::FreezeId,
    limits::MAX_FREEZES,
};
use lictor_store::{Store, StoreError};
use tokio::sync::MutexGuard;

/// Room that is left for freezes of everything when there is none for others: the emergency brake is never refused for
/// being pulled often.
const KEPT_FOR_EVERYTHING: usize = 100;

/// The freezes in force.
#[derive(Debug)]
pub struct Freezes {
    current: ArcSwap<InForce>,
    /// Held while a set is put in force and told to agents, so that nobody is told an older one later. Never while
    /// anything is waited for: a freeze takes hold at once, whatever a disk does.
    telling: Mutex<()>,
    /// Held while freezes are recorded or lifted, so that each is recorded once.
    recording: tokio::sync::Mutex<()>,
}

/// A snapshot of the freezes in force.
#[derive(Debug, Clone, Default)]
pub struct InForce {
    /// Grows with each change.
    pub version: u64,
    /// The freezes.
    pub set: FreezeSet,
    /// Those that could not be recorded yet; a restart loses them.
    unrecorded: BTreeSet<FreezeId>,
}

// === impl Freezes ===

impl Freezes {
    /// Takes up every freeze that was not lifted.
    ///
    /// # Errors
    /// [`StoreError`] when they cannot be read: a controller that does not know what is frozen must not start.
    pub async fn load(store: &dyn Store) -> Result<Self, StoreError> {
        let set: FreezeSet = store.freezes().await?.into_iter().map(Arc::new).collect();
        for freeze in set.all() {
            tracing::warn!(freeze = %freeze.id, scope = %freeze.scope, by = %freeze.by, reason = %freeze.reason, "frozen: nothing new starts there");
        }
        let in_force = InForce { version: 1, set, unrecorded: BTreeSet::new() };
        Ok(Self {
            current: ArcSwap::from_pointee(in_force),
            telling: Mutex::default(),
            recording: tokio::sync::Mutex::default(),
        })
    }

    /// The freezes in force.
    pub fn now(&self) -> Arc<InForce> {
        self.current.load_full()
    }

    /// Waits until nobody else records or lifts a freeze.
    pub(crate) async fn recording(&self) -> MutexGuard<'_, ()> {
        self.recording.lock().await
    }

    /// Puts a freeze in force that is yet to be recorded, and tells it.
    ///
    /// # Errors
    /// [`ErrorCode::LimitExceeded`] when there are too many.
    pub(crate) fn enforce(&self, freeze: &Arc<Freeze>, tell: impl FnOnce(&InForce)) -> Result<u64, Failure> {
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = InForce::clone(&self.now());
        let most = match freeze.scope {
            FreezeScope::Everything => MAX_FREEZES,
            FreezeScope::Site(_) | FreezeScope::Host(_) => MAX_FREEZES - KEPT_FOR_EVERYTHING,
        };
        if next.set.all().len() >= most {
            let message = format!("{} freezes are in force; there is room for {most}", next.set.all().len());
            let next_step = "freeze everything (lictor freeze --all) or a site, or lift what is over";
            return Err(Failure::new(ErrorCode::LimitExceeded, message, next_step));
        }
        next.version += 1;
        next.set = next.set.with(Arc::clone(freeze));
        next.unrecorded.insert(freeze.id);
        let next = Arc::new(next);
        self.current.store(Arc::clone(&next));
        tell(&next);
        Ok(next.version)
    }

    /// Ends a freeze whose end is recorded, and tells that.
    pub(crate) fn end(&self, id: FreezeId, tell: impl FnOnce(&InForce)) {
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = InForce::clone(&self.now());
        next.version += 1;
        next.set = next.set.without(id);
        next.unrecorded.remove(&id);
        // Told first: whatever is offered from now on reaches agents that know.
        tell(&next);
        self.current.store(Arc::new(next));
    }

    /// Notes that a freeze is recorded.
    pub(crate) fn recorded(&self, id: FreezeId) {
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        let mut next = InForce::clone(&self.now());
        next.unrecorded.remove(&id);
        self.current.store(Arc::new(next));
    }

    /// Tells what is in force, so that nobody can change it in between.
    pub(crate) fn tell(&self, tell: impl FnOnce(&InForce)) {
        let _telling = self.telling.lock().unwrap_or_else(PoisonError::into_inner);
        tell(&self.now());
    }
}

// === impl InForce ===

impl InForce {
    /// Whether a freeze is recorded, and so survives a restart.
    pub fn is_recorded(&self, id: FreezeId) -> bool {
        !self.unrecorded.contains(&id)
    }
    /// The freezes that are yet to be recorded.
    pub(crate) fn unrecorded(&self) -> Vec<FreezeId> {
        self.unrecorded.iter().copied().collect()
    }
}
