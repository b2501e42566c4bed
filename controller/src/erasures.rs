//! Payloads of the audit log: erased when two people want it, and kept while a hold covers them.
//!
//! One thing at a time: a hold that is in force when an erasure is consented to is seen by it, and one that is set later
//! finds the payloads gone. Everything is looked for again when it is consented to: what was recorded meanwhile is erased
//! too, and what was held meanwhile is not.

mod selection;

use std::sync::Arc;

use lictor_core::{
    approval::{Note, may_consent, same_person},
    audit::{AuditEvent, ErasureEvent, MAX_RANGES},
    clock::{Clock, Timestamp},
    erasure::{Erasure, Hold, LiftRequest, MAX_ERASURES, MAX_HOLDS, PayloadScope},
    error::{ErrorCode, Failure},
    id::{ErasureId, HoldId, IdSource},
    principal::Principal,
};
use lictor_store::{Change, Store, StoreError, Write};
use tokio::sync::{Mutex, MutexGuard};

pub(crate) use self::selection::Matcher;
use self::selection::{Selected, select};
use crate::failure::of_store;

/// Erases payloads, and holds them.
#[derive(Debug)]
pub struct Erasures {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdSource>,
    /// Held from what is looked up to what is recorded.
    acting: Mutex<()>,
}

/// What became of asking for a hold to be lifted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lift {
    /// It waits for another person.
    Waits(Hold),
    /// It is lifted.
    Lifted(Hold),
}

// === impl Erasures ===

impl Erasures {
    /// Those of `store`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>, ids: Arc<dyn IdSource>) -> Self {
        Self { store, clock, ids, acting: Mutex::default() }
    }

    /// The erasures that wait for consent, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn waiting(&self) -> Result<Vec<Erasure>, Failure> {
        let now = self.clock.now();
        let mut all = self.store.erasures().await.map_err(of_store)?;
        all.retain(|erasure| now < erasure.expires_at());
        all.sort_by_key(|erasure| (erasure.at, erasure.id));
        Ok(all)
    }

    /// The holds in force, oldest first.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn holds(&self) -> Result<Vec<Hold>, Failure> {
        let mut all = self.store.holds().await.map_err(of_store)?;
        all.sort_by_key(|hold| (hold.at, hold.id));
        Ok(all)
    }

    /// The holds in force, which stay as they are until the guard is dropped.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub(crate) async fn undisturbed(&self) -> Result<(MutexGuard<'_, ()>, Vec<Hold>), StoreError> {
        let acting = self.acting.lock().await;
        Ok((acting, self.store.holds().await?))
    }

    /// Asks for an erasure. Answers it, and how many records it would take the payload of now.
    ///
    /// # Errors
    /// [`ErrorCode::Conflict`] when a hold covers some of it, [`ErrorCode::LimitExceeded`] when too many wait.
    pub async fn request(
        &self,
        scope: PayloadScope,
        reason: Note,
        by: &Principal,
    ) -> Result<(Erasure, u64), Failure> {
        let _acting = self.acting.lock().await;
        let now = self.clock.now();
        let waiting = self.store.erasures().await.map_err(of_store)?;
        let (expired, waiting): (Vec<_>, Vec<_>) = waiting.into_iter().partition(|e| e.expires_at() <= now);
        if waiting.len() >= MAX_ERASURES {
            let message = format!("{} erasures wait for consent, and no more may", waiting.len());
            let next_step = "decide some of them first (lictor audit erasures)";
            return Err(Failure::new(ErrorCode::LimitExceeded, message, next_step));
        }
        let selected = self.unheld(&scope).await?;
        let erasure = Erasure { id: ErasureId::fresh(&*self.ids), scope, reason, by: by.clone(), at: now };
        let mut change = Change::new(now, event(ErasureEvent::Requested(erasure.clone())))
            .write(Write::PutErasure(erasure.clone()));
        for erasure in expired {
            let id = erasure.id;
            change = change
                .event(event(ErasureEvent::Ended { erasure, by: None }))
                .write(Write::RemoveErasure(id));
        }
        let _recorded = self.store.commit(change).await.map_err(of_store)?;
        Ok((erasure, selected.records))
    }

    /// Erases what somebody else asked for. Answers once the payloads are gone, with how many records lost one.
    ///
    /// # Errors
    /// [`ErrorCode::Forbidden`] for whoever asked, [`ErrorCode::NotFound`] when nothing waits under that name,
    /// [`ErrorCode::Conflict`] when a hold covers some of it: then nothing is erased.
    pub async fn consent(&self, id: ErasureId, who: &Principal) -> Result<(Erasure, u64), Failure> {
        let _acting = self.acting.lock().await;
        let erasure = self.find(id).await?;
        if !may_consent(who, &erasure.by) {
            return Err(needs_another(who, &erasure.by, "an erasure"));
        }
        let Selected { ranges, records, .. } = self.unheld(&erasure.scope).await?;
        // If it is interrupted between two commits, it waits still, and consenting again erases the rest.
        let mut parts = ranges.chunks(MAX_RANGES);
        let mut part: &[(u64, u64)] = parts.next().unwrap_or_default();
        loop {
            let done = ErasureEvent::Done {
                erasure: erasure.clone(),
                consented_by: who.clone(),
                ranges: part.to_vec(),
            };
            let mut change =
                Change::new(self.clock.now(), event(done)).write(Write::ErasePayloads(part.to_vec()));
            let next = parts.next();
            if next.is_none() {
                change = change.write(Write::RemoveErasure(id));
            }
            let _recorded = self.store.commit(change).await.map_err(of_store)?;
            match next {
                Some(next) => part = next,
                None => return Ok((erasure, records)),
            }
        }
    }

    /// Ends an erasure that waits; whoever asked for it withdraws it, anybody else refuses it.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when nothing waits under that name.
    pub async fn reject(&self, id: ErasureId, who: &Principal) -> Result<Erasure, Failure> {
        let _acting = self.acting.lock().await;
        let erasure = self.find(id).await?;
        let ended = ErasureEvent::Ended { erasure: erasure.clone(), by: Some(who.clone()) };
        let change = Change::new(self.clock.now(), event(ended)).write(Write::RemoveErasure(id));
        let _recorded = self.store.commit(change).await.map_err(of_store)?;
        Ok(erasure)
    }

    /// Sets a hold.
    ///
    /// # Errors
    /// [`ErrorCode::LimitExceeded`] when too many are in force.
    pub async fn hold(&self, scope: PayloadScope, reason: Note, by: &Principal) -> Result<Hold, Failure> {
        let _acting = self.acting.lock().await;
        let now = self.clock.now();
        let count = self.store.holds().await.map_err(of_store)?.len();
        if count >= MAX_HOLDS {
            let message = format!("{count} holds are in force, and no more may be");
            let next_step =
                "lift those that are over (lictor audit hold list), or set one over a longer period";
            return Err(Failure::new(ErrorCode::LimitExceeded, message, next_step));
        }
        let id = HoldId::fresh(&*self.ids);
        let hold = Hold { id, scope, reason, by: by.clone(), at: now, lift: None, version: 1 };
        let change =
            Change::new(now, event(ErasureEvent::HoldSet(hold.clone()))).write(Write::PutHold(hold.clone()));
        let _recorded = self.store.commit(change).await.map_err(of_store)?;
        Ok(hold)
    }

    /// Asks for a hold to be lifted; if another person has asked for that, consents, and it is lifted.
    ///
    /// # Errors
    /// [`ErrorCode::NotFound`] when it is not in force, [`ErrorCode::Forbidden`] for whoever asked already,
    /// [`ErrorCode::InvalidArgument`] for who asks first and says no reason.
    pub async fn lift(&self, id: HoldId, reason: Option<Note>, who: &Principal) -> Result<Lift, Failure> {
        let _acting = self.acting.lock().await;
        let now = self.clock.now();
        let holds = self.store.holds().await.map_err(of_store)?;
        let hold = holds.into_iter().find(|hold| hold.id == id).ok_or_else(|| {
            let message = format!("no hold {id} is in force");
            Failure::new(ErrorCode::NotFound, message, "list those that are (lictor audit hold list)")
        })?;
        match hold.lift_at(now).cloned() {
            Some(asked) if may_consent(who, &asked.by) => self.lifted(hold, asked, who, now).await,
            Some(asked) => Err(needs_another(who, &asked.by, "the end of a hold")),
            None => self.lift_requested(hold, reason, who, now).await,
        }
    }

    async fn lift_requested(
        &self,
        hold: Hold,
        reason: Option<Note>,
        who: &Principal,
        now: Timestamp,
    ) -> Result<Lift, Failure> {
        let reason = reason.ok_or_else(|| {
            let message = "whoever asks first for a hold to be lifted says why";
            Failure::new(ErrorCode::InvalidArgument, message, "add --reason TEXT")
        })?;
        let lift = LiftRequest { by: who.clone(), reason: reason.clone(), at: now };
        let hold = Hold { lift: Some(lift), version: hold.version + 1, ..hold };
        let requested = ErasureEvent::HoldLiftRequested { hold: hold.clone(), by: who.clone(), reason };
        let change = Change::new(now, event(requested)).write(Write::PutHold(hold.clone()));
        let _recorded = self.store.commit(change).await.map_err(of_store)?;
        Ok(Lift::Waits(hold))
    }

    async fn lifted(
        &self,
        hold: Hold,
        asked: LiftRequest,
        who: &Principal,
        now: Timestamp,
    ) -> Result<Lift, Failure> {
        let lifted = ErasureEvent::HoldLifted {
            hold: hold.clone(),
            by: asked.by,
            consented_by: who.clone(),
            reason: asked.reason,
        };
        let change = Change::new(now, event(lifted)).write(Write::RemoveHold(hold.clone()));
        let _recorded = self.store.commit(change).await.map_err(of_store)?;
        Ok(Lift::Lifted(hold))
    }

    async fn find(&self, id: ErasureId) -> Result<Erasure, Failure> {
        self.waiting().await?.into_iter().find(|erasure| erasure.id == id).ok_or_else(|| {
            let message = format!("no erasure {id} waits for consent");
            Failure::new(ErrorCode::NotFound, message, "list those that do (lictor audit erasures)")
        })
    }

    /// What a scope covers; nothing of it is held.
    async fn unheld(&self, scope: &PayloadScope) -> Result<Selected, Failure> {
        let holds = self.holds().await?;
        let selected = select(&*self.store, scope, &holds).await.map_err(of_store)?;
        let held = holds.iter().filter_map(|hold| Some((hold, *selected.held.get(&hold.id)?)));
        let held: Vec<String> = held
            .map(|(hold, records)| format!("{records} by {} (set by {}: {})", hold.id, hold.by, hold.reason))
            .collect();
        if held.is_empty() {
            return Ok(selected);
        }
        let message = format!(
            "of the {} records that {scope} means, some are held: {}; nothing is erased",
            selected.records,
            held.join(", ")
        );
        let next_step =
            "have the hold lifted (lictor audit hold lift HOLD), or name a scope that it does not cover";
        Err(Failure::new(ErrorCode::Conflict, message, next_step))
    }
}

fn event(event: ErasureEvent) -> AuditEvent {
    AuditEvent::Erasure(Box::new(event))
}

/// Why somebody cannot consent to what was asked for.
pub(crate) fn needs_another(who: &Principal, asked: &Principal, what: &str) -> Failure {
    let message = if same_person(who, asked) {
        format!("{asked} asked for it, and {what} takes two people")
    } else {
        format!("{who} cannot consent to what {asked} asked for")
    };
    Failure::new(ErrorCode::Forbidden, message, "ask another operator to consent")
}
