//! The limits in force: longer ones as soon as the file says them, shorter ones when two people want them.
//!
//! They are kept in the store, so that whoever can edit the file and restart the controller removes nothing sooner by that
//! alone. A wish is for exactly what the file of the running controller says; a start with another file voids it.

use std::sync::Arc;

use lictor_core::{
    approval::{Note, may_consent},
    audit::{AuditEvent, RetentionEvent},
    clock::{Clock, Timestamp},
    error::{ErrorCode, Failure},
    principal::Principal,
    retention::{RetentionLimits, RetentionStanding, Shortening},
};
use lictor_store::{Change, KeptRetention, Store, StoreError, Write};
use tokio::sync::{Mutex, watch};

use crate::{erasures::needs_another, failure::of_store};

/// The limits by which [`Retention`](super::Retention) removes.
#[derive(Debug)]
pub struct LimitsInForce {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    /// What the file says.
    file: RetentionLimits,
    current: watch::Sender<RetentionLimits>,
    /// Held from what is looked up to what is recorded.
    acting: Mutex<()>,
}

/// What became of asking for shorter limits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Shorten {
    /// It waits for another person.
    Waits(RetentionStanding),
    /// They are in force.
    Done(RetentionStanding),
}

// === impl LimitsInForce ===

impl LimitsInForce {
    /// Begins with what the file says: of that is in force what is no shorter than what was in force before. Where `log_size`
    /// records are from before there were limits of payloads, these were kept for ever.
    ///
    /// # Errors
    /// [`StoreError`] when what was in force cannot be read, or what is cannot be recorded.
    pub async fn take_up(
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        file: RetentionLimits,
        log_size: u64,
    ) -> Result<Self, StoreError> {
        let limits = begin(&*store, file, log_size, clock.now()).await?;
        if limits != file {
            tracing::warn!(in_force = %limits, %file, "the file says to keep less than is kept, and that takes two operators: \
                one says lictor audit retention shorten --reason TEXT, another consents as lictor audit retention shows");
        }
        let current = watch::Sender::new(limits);
        Ok(Self { store, clock, file, current, acting: Mutex::default() })
    }

    /// The limits in force.
    pub fn now(&self) -> RetentionLimits {
        *self.current.borrow()
    }

    /// Tells when others are in force.
    pub(super) fn follow(&self) -> watch::Receiver<RetentionLimits> {
        self.current.subscribe()
    }

    /// How it stands.
    ///
    /// # Errors
    /// When the store cannot be read.
    pub async fn standing(&self) -> Result<RetentionStanding, Failure> {
        let kept = self.kept().await?;
        Ok(self.standing_of(&kept, self.clock.now()))
    }

    /// Asks for the shorter limits of the file; if another person has asked for them, and `seen` is what that person asked
    /// for, consents, and they are in force.
    ///
    /// # Errors
    /// [`ErrorCode::Conflict`] when the file says nothing shorter, or `seen` is not what another person asked for,
    /// [`ErrorCode::Forbidden`] for whoever asked already, [`ErrorCode::InvalidArgument`] for who asks first and says no
    /// reason.
    pub async fn shorten(
        &self,
        reason: Option<Note>,
        seen: &str,
        who: &Principal,
    ) -> Result<Shorten, Failure> {
        let _acting = self.acting.lock().await;
        let now = self.clock.now();
        let kept = self.kept().await?;
        if kept.limits == self.file {
            let message = format!("the file says what is in force ({})", kept.limits);
            let next_step =
                "write shorter limits into the controller's file (`retention`), restart it, then ask again";
            return Err(Failure::new(ErrorCode::Conflict, message, next_step));
        }
        match self.open(&kept, now).cloned() {
            Some(asked) if !may_consent(who, &asked.by) => Err(needs_another(who, &asked.by, "keeping less")),
            // Nobody consents to what they did not see, or while they believe that they ask.
            Some(asked) if asked.limits.to_string() != seen => Err(unseen(&asked, seen)),
            Some(asked) => self.agreed(kept, asked, who, now).await,
            None => self.asked(kept, reason, who, now).await,
        }
    }

    async fn asked(
        &self,
        kept: KeptRetention,
        reason: Option<Note>,
        who: &Principal,
        now: Timestamp,
    ) -> Result<Shorten, Failure> {
        let reason = reason.ok_or_else(|| {
            let message = "whoever asks first for less to be kept says why";
            Failure::new(ErrorCode::InvalidArgument, message, "add --reason TEXT")
        })?;
        let asked = Shortening { limits: self.file, by: who.clone(), reason, at: now };
        let event = RetentionEvent::ShorteningRequested { asked: asked.clone(), before: kept.limits };
        let kept = KeptRetention { asked: Some(asked), version: kept.version + 1, ..kept };
        let change = Change::new(now, event_of(event)).write(Write::PutRetention(kept.clone()));
        let _recorded = self.store.commit(change).await.map_err(of_store)?;
        Ok(Shorten::Waits(self.standing_of(&kept, now)))
    }

    async fn agreed(
        &self,
        kept: KeptRetention,
        asked: Shortening,
        who: &Principal,
        now: Timestamp,
    ) -> Result<Shorten, Failure> {
        let shorter = KeptRetention { limits: asked.limits, asked: None, version: kept.version + 1 };
        let event = RetentionEvent::Shortened { asked, before: kept.limits, consented_by: who.clone() };
        let change = Change::new(now, event_of(event)).write(Write::PutRetention(shorter.clone()));
        let _recorded = self.store.commit(change).await.map_err(of_store)?;
        tracing::info!(limits = %shorter.limits, before = %kept.limits, "two operators agreed: less is kept from now on");
        self.current.send_replace(shorter.limits);
        Ok(Shorten::Done(self.standing_of(&shorter, now)))
    }

    async fn kept(&self) -> Result<KeptRetention, Failure> {
        let missing = || StoreError::Corrupt("the limits of retention are missing".to_owned());
        let kept = self.store.retention().await.map_err(of_store)?;
        kept.ok_or_else(missing).map_err(of_store)
    }

    /// The wish to which somebody else can still consent.
    fn open<'a>(&self, kept: &'a KeptRetention, now: Timestamp) -> Option<&'a Shortening> {
        kept.asked.as_ref().filter(|asked| asked.limits == self.file && now < asked.expires_at())
    }

    fn standing_of(&self, kept: &KeptRetention, now: Timestamp) -> RetentionStanding {
        RetentionStanding { in_force: kept.limits, file: self.file, asked: self.open(kept, now).cloned() }
    }
}

fn unseen(asked: &Shortening, seen: &str) -> Failure {
    let message = match seen {
        "" => format!("{} asked already, for {}", asked.by, asked.limits),
        seen => format!("{} asked for {}, and that is not {seen}", asked.by, asked.limits),
    };
    let next_step = "to consent, name what you consent to (lictor audit retention tells how)";
    Failure::new(ErrorCode::Conflict, message, next_step)
}

/// The limits in force under this file; records what is not as before.
async fn begin(
    store: &dyn Store,
    file: RetentionLimits,
    log_size: u64,
    now: Timestamp,
) -> Result<RetentionLimits, StoreError> {
    let kept = store.retention().await?;
    let before = kept.as_ref().map(|kept| kept.limits);
    let limits = match before {
        Some(before) => before.longest(file),
        None if log_size > 0 => RetentionLimits { payload_age: None, ..file },
        None => file,
    };
    let (version, asked) = kept.map_or((0, None), |kept| (kept.version, kept.asked));
    // What somebody wanted was another file's.
    let (void, asked) = match asked {
        Some(asked) if asked.limits != file => (Some(asked), None),
        asked => (None, asked),
    };
    let set = (before != Some(limits)).then_some(RetentionEvent::LimitsSet { limits, before });
    let mut events = set.into_iter().chain(void.map(RetentionEvent::ShorteningVoided)).map(event_of);
    if let Some(first) = events.next() {
        let change = events.fold(Change::new(now, first), Change::event);
        let kept = KeptRetention { limits, asked, version: version + 1 };
        let _recorded = store.commit(change.write(Write::PutRetention(kept))).await?;
    }
    Ok(limits)
}

fn event_of(event: RetentionEvent) -> AuditEvent {
    AuditEvent::Retention(Box::new(event))
}
