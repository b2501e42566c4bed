//! Looking through the log from its end: block by block, up to a bound, without an index.
//!
//! Most records are passed over without being parsed: a query knows text that every record that fits must have.

use lictor_core::audit::query::Query;
use lictor_store::{AuditEntry, Store, StoreError};

/// Records read at a time: a few hundred KiB, and short enough a task between two chances for others.
const BLOCK: u64 = 500;
/// Most records that one call looks at: well below a second, so that a caller can show how far it is, and stop.
const MOST: u64 = 100_000;

/// What was found.
#[derive(Debug)]
pub(super) struct Found {
    /// Newest first.
    pub(super) entries: Vec<AuditEntry>,
    /// The lowest index that was looked at; 0: nothing is left.
    pub(super) next: u64,
    /// How many records were looked at.
    pub(super) looked_at: u64,
}

/// At most `limit` records below `before` that fit `query`.
pub(super) async fn newest_first(
    store: &dyn Store,
    query: &Query,
    before: u64,
    limit: usize,
) -> Result<Found, StoreError> {
    let mut entries = Vec::new();
    let mut next = before;
    let end = before.saturating_sub(MOST);
    while next > end && entries.len() < limit {
        let from = next.saturating_sub(BLOCK).max(end);
        let count = usize::try_from(next - from).unwrap_or(usize::MAX);
        for entry in store.audit(from, count).await?.into_iter().rev() {
            if entries.len() >= limit {
                break;
            }
            next = entry.index;
            if fits(query, &entry) {
                entries.push(entry);
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(Found { entries, next, looked_at: before - next })
}

fn fits(query: &Query, entry: &AuditEntry) -> bool {
    let parts = [&entry.content, &entry.payload].map(|part| std::str::from_utf8(part).unwrap_or_default());
    // What was erased reads as other text than its record has.
    let may = query.may_match_parts(&parts) || entry.may_be_erased();
    may && (query.is_everything() || entry.facts().is_some_and(|facts| query.matches(&facts)))
}

#[cfg(test)]
mod tests {
    use lictor_core::{audit::AuditEvent, clock::Timestamp};
    use lictor_store::{Change, memory::MemoryStore};

    use super::*;

    async fn store(records: u64) -> MemoryStore {
        let store = MemoryStore::new();
        for n in 0..records {
            let event = AuditEvent::ControllerStarted { name: n.to_string() };
            let _ = store.commit(Change::new(Timestamp::from_micros(n), event)).await.unwrap();
        }
        store
    }

    #[tokio::test]
    async fn pages_go_on_where_the_last_one_ended_and_every_record_comes_once() {
        let store = store(1_203).await;
        let query: Query = "kind:controller_started".parse().unwrap();
        let (mut before, mut indices) = (1_203, Vec::new());
        while before > 0 {
            let found = newest_first(&store, &query, before, 100).await.unwrap();
            assert_eq!(found.looked_at, before - found.next);
            before = found.next;
            indices.extend(found.entries.iter().map(|e| e.index));
        }
        assert_eq!(indices, (0..1_203).rev().collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn what_does_not_fit_is_passed_over_to_the_beginning_and_nothing_comes_from_before_it() {
        let store = store(10).await;
        let query: Query = "since:1970-01-01T00:00:00.000007Z".parse().unwrap();
        let found = newest_first(&store, &query, 10, 100).await.unwrap();
        assert_eq!(found.entries.iter().map(|e| e.index).collect::<Vec<_>>(), [9, 8, 7]);
        assert_eq!((found.next, found.looked_at), (0, 10));
        let found = newest_first(&store, &"host:none".parse().unwrap(), 0, 100).await.unwrap();
        assert!(found.entries.is_empty() && found.next == 0);
    }
}
