//! Payloads of the audit log go when they have been kept as long as said, but for those that a hold covers.
//!
//! Records are looked at once, from the oldest to the first that is young enough; only when other holds are in force, or
//! something failed, from the beginning again. A record from a clock that was ahead keeps itself and what is behind it longer.

use std::time::Duration;

use lictor_core::{
    audit::{AuditEvent, MAX_RANGES, RetentionEvent},
    clock::Timestamp,
    erasure::Hold,
    id::HoldId,
    retention::RetentionLimit,
};
use lictor_store::{Change, Store, StoreError, Write, record::AuditFacts};
use tokio::sync::Mutex;

use crate::erasures::{Erasures, Matcher};

/// Least that payloads can be kept for: what copies the log elsewhere may be down for a night, and finds them afterwards.
pub const MIN_PAYLOAD_AGE: Duration = Duration::from_secs(24 * 3600);
/// Microseconds of an hour. What was recorded in one goes together: each erasure saves the whole store and begins another
/// journal, and is a record that stays.
const HOUR: u64 = 3600 * 1_000_000;
/// Records read at a time.
const PAGE: usize = 500;
/// Most records that are looked at for one commit: no hold can be set meanwhile.
const MAX_PART: u64 = 10_000;
/// Parts after which a round ends, and the next goes on.
const MAX_ROUND_PARTS: usize = 10;

/// What is known of old payloads.
#[derive(Debug, Default)]
pub(super) struct OldPayloads(Mutex<Looked>);

/// How far the log was looked through.
#[derive(Debug, Default)]
struct Looked {
    /// The first record that was not looked at.
    next: u64,
    /// The holds in force, each with what it knows of the records before.
    holds: Vec<(HoldId, Matcher)>,
}

/// What was found in a part of the log.
#[derive(Debug, Default)]
struct Part {
    /// Records whose payload goes, as ranges from an index to before another; at most [`MAX_RANGES`].
    ranges: Vec<(u64, u64)>,
    /// There may be more behind it.
    more: bool,
}

// === impl OldPayloads ===

impl OldPayloads {
    /// Erases what is older than `age`, up to the bound of a round. Answers of how many records, and whether there is more to
    /// look at.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read or written.
    pub(super) async fn erase(
        &self,
        store: &dyn Store,
        erasures: &Erasures,
        age: Duration,
        now: Timestamp,
    ) -> Result<(u64, bool), StoreError> {
        let before = hour_of(now.minus(age)).to_string();
        let mut kept = self.0.lock().await;
        // If something fails, the next round begins at the beginning.
        let mut looked = std::mem::take(&mut *kept);
        let (mut records, mut more, mut parts) = (0, true, 0);
        while more && parts < MAX_ROUND_PARTS {
            // A hold that is acknowledged keeps what is there: it is set before this, or finds it gone.
            let (_undisturbed, holds) = erasures.undisturbed().await?;
            looked.go_on_under(&holds);
            let part = looked.part(store, &before).await?;
            records += commit(store, part.ranges, age, now).await?;
            more = part.more;
            parts += 1;
        }
        *kept = looked;
        Ok((records, more))
    }
}

// === impl Looked ===

impl Looked {
    /// Begins again if these are not the holds of before: what one of them held was passed over, and a new one has to see all
    /// records, because later ones name less.
    fn go_on_under(&mut self, holds: &[Hold]) {
        let known = self.holds.iter().map(|(id, _)| *id);
        if !known.eq(holds.iter().map(|hold| hold.id)) {
            let holds = holds.iter().map(|hold| (hold.id, Matcher::new(hold.scope.clone()))).collect();
            *self = Self { next: 0, holds };
        }
    }

    /// Looks at the next records that were made before `before`, a moment as records write it.
    async fn part(&mut self, store: &dyn Store, before: &str) -> Result<Part, StoreError> {
        let size = store.audit_head().await?.size;
        let end = size.min(self.next.saturating_add(MAX_PART));
        let mut part = Part::default();
        while self.next < end {
            let limit = usize::try_from(end - self.next).unwrap_or(usize::MAX).min(PAGE);
            let page = store.audit(self.next, limit).await?;
            if page.is_empty() {
                return Err(StoreError::Corrupt(format!("audit record {} is missing", self.next)));
            }
            for entry in page {
                let facts = AuditFacts::read(&entry.content).unwrap_or_default();
                if facts.text("at") >= before {
                    return Ok(part);
                }
                if part.ranges.len() == MAX_RANGES {
                    part.more = true;
                    return Ok(part);
                }
                self.next = entry.index + 1;
                // What cannot be read has no age.
                let is_dated = !facts.text("at").is_empty();
                if !self.is_held(&facts) && is_dated && !entry.payload.is_empty() {
                    part.add(entry.index);
                }
            }
            tokio::task::yield_now().await;
        }
        part.more = self.next < size;
        Ok(part)
    }

    /// Shows the next record to every hold.
    fn is_held(&mut self, facts: &AuditFacts) -> bool {
        self.holds.iter_mut().fold(false, |is_held, (_, hold)| hold.takes(facts) || is_held)
    }
}

// === impl Part ===

impl Part {
    fn add(&mut self, index: u64) {
        match self.ranges.last_mut() {
            Some((_, to)) if *to == index => *to += 1,
            _ => self.ranges.push((index, index + 1)),
        }
    }
}

/// Records and erases in one commit; answers of how many records.
async fn commit(
    store: &dyn Store,
    ranges: Vec<(u64, u64)>,
    age: Duration,
    now: Timestamp,
) -> Result<u64, StoreError> {
    if ranges.is_empty() {
        return Ok(0);
    }
    let records = ranges.iter().map(|(from, to)| to - from).sum();
    let event = RetentionEvent::PayloadsRemoved { ranges: ranges.clone(), limit: RetentionLimit::Age(age) };
    let change = Change::new(now, AuditEvent::Retention(Box::new(event))).write(Write::ErasePayloads(ranges));
    let _recorded = store.commit(change).await?;
    Ok(records)
}

/// The beginning of the hour.
fn hour_of(at: Timestamp) -> Timestamp {
    Timestamp::from_micros(at.as_micros() / HOUR * HOUR)
}
