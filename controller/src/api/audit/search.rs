//! Looking through the log from its end: block by block, up to a bound. Of most blocks a summary says that nothing in them fits.
//!
//! Most records are passed over without being parsed: a query knows text that every record that fits must have.

use lictor_core::audit::query::Query;
use lictor_store::{AuditEntry, Store, StoreError, record::summary};

/// Records read at a time: a few hundred KiB, and short enough a task between two chances for others.
const BLOCK: u64 = 500;
/// Looking at the summary of a block is about as much work as looking at so many records.
const SUMMARY_WORK: u64 = 16;
/// Most records that one call looks at: well below a second, so that a caller can show how far it is, and stop.
pub const MOST: u64 = 100_000;

/// What was found.
#[derive(Debug)]
pub struct Found {
    /// Newest first.
    pub entries: Vec<AuditEntry>,
    /// The lowest index that was looked at; 0: nothing is left.
    pub next: u64,
    /// How many records were looked at, or passed over because of their block's summary.
    pub looked_at: u64,
}

/// At most `limit` records below `before` that fit `query`, with the work of looking at `most` records. What is passed over
/// because of its block's summary is much less work.
///
/// # Errors
/// When the store cannot be read.
pub async fn newest_first(
    store: &dyn Store,
    query: &Query,
    before: u64,
    limit: usize,
    most: u64,
) -> Result<Found, StoreError> {
    let mut entries = Vec::new();
    let mut next = before;
    let mut work = most;
    while next > 0 && work > 0 && entries.len() < limit {
        let block = (next - 1) / summary::BLOCK;
        let first = block * summary::BLOCK;
        if !store.audit_may_match(block, query).await? {
            next = first;
            work = work.saturating_sub(SUMMARY_WORK);
            continue;
        }
        let from = next.saturating_sub(BLOCK.min(work)).max(first);
        work -= next - from;
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
    use lictor_core::{
        audit::AuditEvent,
        clock::Timestamp,
        name::{PrincipalName, TenantName},
        principal::{Principal, PrincipalKind},
    };
    use lictor_store::{Change, embedded::EmbeddedStore, memory::MemoryStore};

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
            let found = newest_first(&store, &query, before, 100, MOST).await.unwrap();
            assert_eq!(found.looked_at, before - found.next);
            before = found.next;
            indices.extend(found.entries.iter().map(|e| e.index));
        }
        assert_eq!(indices, (0..1_203).rev().collect::<Vec<_>>());
    }

    /// The indices of all that fit, page by page.
    async fn all(store: &dyn Store, query: &str, page: usize) -> Vec<u64> {
        let query: Query = query.parse().unwrap();
        let mut before = store.audit_head().await.unwrap().size;
        let mut indices = Vec::new();
        while before > 0 {
            let found = newest_first(store, &query, before, page, MOST).await.unwrap();
            assert!(found.next < before && found.looked_at == before - found.next);
            before = found.next;
            indices.extend(found.entries.iter().map(|e| e.index));
        }
        indices
    }

    #[tokio::test]
    async fn with_summaries_the_same_is_found_in_one_call() {
        let dir = tempfile::tempdir().unwrap();
        let store = EmbeddedStore::open(dir.path()).unwrap();
        let read = |n: u64| AuditEvent::AuditRead {
            by: Principal {
                tenant: TenantName::new("default").unwrap(),
                kind: PrincipalKind::User,
                name: PrincipalName::new(if n == 1_500 { "mallory" } else { "ops" }).unwrap(),
            },
            from: n,
            count: 1,
            query: None,
        };
        // Blocks of 1,024 records: five, and a part of a sixth.
        for first in (0..5_300u64).step_by(100) {
            let change = Change::new(Timestamp::from_micros(first), read(first));
            let _ =
                store.commit((first + 1..first + 100).map(read).fold(change, Change::event)).await.unwrap();
        }
        let queries =
            ["who:user:mallory", "who:*allor*", "who:user:ops kind:audit_read", "kind:freeze_set", ""];
        let mut plain = Vec::new();
        for query in queries {
            plain.push(all(&store, query, 300).await);
        }
        assert_eq!(
            (plain[0].as_slice(), plain[1].as_slice(), plain[2].len()),
            (&[1_500][..], &[1_500][..], 5_299)
        );
        assert!(store.summarize().unwrap() <= 5);
        assert_eq!(store.summarize().unwrap(), 0);
        let mallory: Query = queries[0].parse().unwrap();
        let mut may = Vec::new();
        for block in 0..6 {
            may.push(store.audit_may_match(block, &mallory).await.unwrap());
        }
        assert_eq!(
            may,
            [false, true, false, false, false, true],
            "the block of the record, and the one that is not complete"
        );
        for (query, plain) in queries.into_iter().zip(plain) {
            assert_eq!(all(&store, query, 300).await, plain, "{query}");
        }
    }

    #[tokio::test]
    async fn what_does_not_fit_is_passed_over_to_the_beginning_and_nothing_comes_from_before_it() {
        let store = store(10).await;
        let query: Query = "since:1970-01-01T00:00:00.000007Z".parse().unwrap();
        let found = newest_first(&store, &query, 10, 100, MOST).await.unwrap();
        assert_eq!(found.entries.iter().map(|e| e.index).collect::<Vec<_>>(), [9, 8, 7]);
        assert_eq!((found.next, found.looked_at), (0, 10));
        let found = newest_first(&store, &"host:none".parse().unwrap(), 0, 100, MOST).await.unwrap();
        assert!(found.entries.is_empty() && found.next == 0);
    }
}
