//! Reading the audit is audited: what was read, in records of ranges. Whoever goes on where they ended goes on with the same
//! record for a while; whoever reads anything else begins another.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lictor_core::{
    audit::AuditEvent,
    clock::{Clock, Timestamp},
    error::Failure,
    principal::Principal,
};
use lictor_runtime::panics::Interrupted;
use lictor_store::{Change, Store, StoreError};
use tokio_util::sync::CancellationToken;

use crate::failure::of_store;

/// What somebody goes on to read is recorded so often: following the log makes one record a minute, which is itself followed …
const RECORD_EVERY: Duration = Duration::from_secs(60);
/// … and before more records than so many are told: a crash hides no more of what was read.
const MAX_UNRECORDED: u64 = 1000;
/// How often it is looked whether something is to be recorded of those who read no more.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Reads that can be gone on with: more than people read at a time. Who comes when there are more begins a record with each page.
const MAX_OPEN: usize = 1024;

/// Who reads what.
#[derive(Debug)]
pub struct Reads {
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
    open: Mutex<HashMap<Edge, Open>>,
}

/// A page that is about to be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::api) struct Page {
    /// The lowest index that was looked at.
    pub(in crate::api) from: u64,
    /// Behind the highest.
    pub(in crate::api) to: u64,
    /// How many records are told.
    pub(in crate::api) told: u64,
}

/// Where somebody would go on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Edge {
    by: Principal,
    query: Option<String>,
    at: u64,
}

/// What somebody has read since the last record of it.
#[derive(Debug, Clone)]
struct Open {
    /// From an index to before another.
    unrecorded: Vec<(u64, u64)>,
    told: u64,
    recorded_at: Timestamp,
}

// === impl Reads ===

impl Reads {
    /// Nobody yet; they are recorded in `store`.
    pub fn new(store: Arc<dyn Store>, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock, open: Mutex::default() }
    }

    /// Writes down that `by` reads `page`, with `query` only those that fit, newest first. Where they go on with what was
    /// recorded, it is remembered, and written down with what follows. Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// When it cannot be written: then nothing is to be told.
    pub(in crate::api) async fn take(
        self: &Arc<Self>,
        by: &Principal,
        page: Page,
        query: Option<&str>,
    ) -> Result<(), Failure> {
        if page.from >= page.to {
            return Ok(());
        }
        // A query is looked for from the end.
        let (begins, ends) = if query.is_some() { (page.to, page.from) } else { (page.from, page.to) };
        let edge = |at| Edge { by: by.clone(), query: query.map(str::to_owned), at };
        let (begins, ends) = (edge(begins), edge(ends));
        let now = self.clock.now();
        let before = self.open().remove(&begins);
        let mut open = before.clone().unwrap_or_else(|| Open::at(now));
        open.add((page.from, page.to), page.told);
        if before.is_some() && open.told <= MAX_UNRECORDED && now.since(open.recorded_at) < RECORD_EVERY {
            self.keep(ends, open);
            return Ok(());
        }
        let this = Arc::clone(self);
        let recording = tokio::spawn(async move {
            let recorded = this.commit(now, begins.read(&open.unrecorded)).await;
            match (&recorded, before) {
                (Ok(()), _) => this.keep(ends, Open::at(now)),
                (Err(_), Some(before)) => this.keep(begins, before),
                (Err(_), None) => {}
            }
            recorded
        });
        let ended = recording
            .await
            .unwrap_or_else(|error| Err(StoreError::Unavailable(Interrupted::from(error).to_string())));
        ended.map_err(of_store)
    }

    /// Writes down that `by` reads everything from one index to before another.
    ///
    /// # Errors
    /// When it cannot be written: then nothing is to be told.
    pub(in crate::api) async fn take_all(&self, by: &Principal, from: u64, to: u64) -> Result<(), Failure> {
        let edge = Edge { by: by.clone(), query: None, at: from };
        self.commit(self.clock.now(), edge.read(&[(from, to.max(from))])).await.map_err(of_store)
    }

    /// Records what was read a while ago, or with `all` whatever was read.
    pub async fn record(&self, all: bool) {
        let now = self.clock.now();
        let due: Vec<(Edge, Open)> =
            self.open().extract_if(|_, open| all || now.since(open.recorded_at) >= RECORD_EVERY).collect();
        let (read, _): (Vec<_>, Vec<_>) = due.into_iter().partition(|(_, open)| !open.unrecorded.is_empty());
        // Whoever goes on meanwhile begins a record.
        let events = read.iter().flat_map(|(edge, open)| edge.read(&open.unrecorded)).collect();
        if let Err(error) = self.commit(now, events).await {
            tracing::error!(%error, "what was read of the audit could not be recorded; it is kept until it can");
            for (edge, open) in read {
                self.keep(edge, open);
            }
            return;
        }
        for (edge, _) in read {
            self.keep(edge, Open::at(now));
        }
    }

    /// Records reads from time to time until `stop`, and is never cut off in between. Whoever stops it records what is left.
    pub async fn record_until(self: Arc<Self>, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK_EVERY)).await.is_some() {
            self.record(false).await;
        }
    }

    async fn commit(&self, now: Timestamp, read: Vec<AuditEvent>) -> Result<(), StoreError> {
        let mut events = read.into_iter();
        let Some(first) = events.next() else { return Ok(()) };
        let _recorded = self.store.commit(events.fold(Change::new(now, first), Change::event)).await?;
        Ok(())
    }

    /// Lets somebody go on there. What was read and is not recorded is kept in any case.
    fn keep(&self, edge: Edge, open: Open) {
        let mut all = self.open();
        if let Some(there) = all.get_mut(&edge) {
            for range in open.unrecorded {
                there.add(range, 0);
            }
            there.told += open.told;
            there.recorded_at = there.recorded_at.min(open.recorded_at);
        } else if all.len() < MAX_OPEN || !open.unrecorded.is_empty() {
            all.insert(edge, open);
        }
    }

    fn open(&self) -> MutexGuard<'_, HashMap<Edge, Open>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Edge ===

impl Edge {
    /// That these ranges were read.
    fn read(&self, ranges: &[(u64, u64)]) -> Vec<AuditEvent> {
        let event = |(from, to): &(u64, u64)| AuditEvent::AuditRead {
            by: self.by.clone(),
            from: *from,
            count: to - from,
            query: self.query.clone(),
        };
        ranges.iter().map(event).collect()
    }
}

// === impl Open ===

impl Open {
    const fn at(recorded_at: Timestamp) -> Self {
        Self { unrecorded: Vec::new(), told: 0, recorded_at }
    }

    fn add(&mut self, (from, to): (u64, u64), told: u64) {
        self.told += told;
        match self.unrecorded.iter_mut().find(|(f, t)| *t == from || *f == to) {
            Some((f, t)) => (*f, *t) = ((*f).min(from), (*t).max(to)),
            None => self.unrecorded.push((from, to)),
        }
    }
}

#[cfg(test)]
mod tests;
