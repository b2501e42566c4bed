//! Reading the audit is audited: one record when somebody begins, none while they go on.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lictor_core::{audit::AuditEvent, clock::Timestamp, error::Failure, principal::Principal};
use lictor_store::Change;

use crate::{failure::of_store, lifecycle::Lifecycle};

/// One record says that somebody reads; while they go on (a page, a tail), this long, there is no second one.
const READ_RECORD_EVERY: Duration = Duration::from_secs(60);

/// Who has begun to read, and when.
#[derive(Debug)]
pub(in crate::api) struct Reads {
    lifecycle: Arc<Lifecycle>,
    readers: Mutex<HashMap<(Principal, Option<String>), Timestamp>>,
}

// === impl Reads ===

impl Reads {
    /// Nobody yet.
    pub(in crate::api) fn new(lifecycle: Arc<Lifecycle>) -> Self {
        Self { lifecycle, readers: Mutex::default() }
    }

    /// Writes down that `by` reads so many records from index `from` on; `query` if only those that fit.
    ///
    /// # Errors
    /// When it cannot be written: then nothing is to be told.
    pub(in crate::api) async fn record(
        &self,
        by: &Principal,
        from: u64,
        count: u64,
        query: Option<String>,
    ) -> Result<(), Failure> {
        let now = self.lifecycle.clock.now();
        let event = AuditEvent::AuditRead { by: by.clone(), from, count, query };
        let _recorded = self.lifecycle.store.commit(Change::new(now, event)).await.map_err(of_store)?;
        Ok(())
    }

    /// Whether this read begins a new one, or goes on with one that was recorded; of records that fit `query`, if there is one.
    pub(in crate::api) fn begins(&self, by: &Principal, query: Option<&str>) -> bool {
        let now = self.lifecycle.clock.now();
        let mut readers = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        readers.retain(|_, at| now.since(*at) < READ_RECORD_EVERY);
        !readers.contains_key(&(by.clone(), query.map(str::to_owned)))
    }

    /// A read of `by` was recorded.
    pub(in crate::api) fn began(&self, by: &Principal, query: Option<String>) {
        let now = self.lifecycle.clock.now();
        self.readers.lock().unwrap_or_else(PoisonError::into_inner).insert((by.clone(), query), now);
    }
}
