//! What is recorded of reading.

use std::sync::atomic::{AtomicU64, Ordering};

use lictor_core::{
    name::{PrincipalName, TenantName},
    principal::PrincipalKind,
};
use lictor_store::memory::MemoryStore;

use super::*;

#[derive(Debug, Default)]
struct HeldClock(AtomicU64);

impl HeldClock {
    fn pass(&self, time: Duration) {
        self.0.fetch_add(u64::try_from(time.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for HeldClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

fn who(name: &str) -> Principal {
    Principal {
        tenant: TenantName::new("default").unwrap(),
        kind: PrincipalKind::User,
        name: PrincipalName::new(name).unwrap(),
    }
}

fn parts() -> (Arc<MemoryStore>, Arc<HeldClock>, Arc<Reads>) {
    let (store, clock) = (Arc::new(MemoryStore::new()), Arc::new(HeldClock::default()));
    let reads = Arc::new(Reads::new(store.clone(), clock.clone()));
    (store, clock, reads)
}

fn page(from: u64, to: u64) -> Page {
    Page { from, to, told: to - from }
}

/// What is recorded: who, from where, to before where.
async fn recorded(store: &MemoryStore) -> Vec<(String, u64, u64)> {
    let entries = store.audit(0, 1000).await.unwrap();
    entries
        .iter()
        .map(|entry| {
            let facts = entry.facts().unwrap();
            let number = |name: &str| facts.fields()[name].as_u64().unwrap();
            let who = facts.fields()["by"].as_str().unwrap().to_owned();
            (who, number("from"), number("from") + number("count"))
        })
        .collect()
}

#[tokio::test]
async fn whoever_reads_elsewhere_than_they_ended_begins_a_record() {
    let (store, _, reads) = parts();
    let (ada, bob) = (who("ada"), who("bob"));
    reads.take(&ada, page(0, 10), None).await.unwrap();
    reads.take(&ada, page(500, 510), None).await.unwrap();
    reads.take(&ada, page(500, 510), None).await.unwrap();
    reads.take(&bob, page(10, 20), None).await.unwrap();
    reads.take(&ada, Page { from: 40, to: 90, told: 1 }, Some("kind:x")).await.unwrap();
    reads.take(&ada, Page { from: 40, to: 90, told: 1 }, Some("kind:y")).await.unwrap();
    let of = |who: &str, from, to| (format!("user:{who}"), from, to);
    assert_eq!(
        recorded(&store).await,
        [
            of("ada", 0, 10),
            of("ada", 500, 510),
            of("ada", 500, 510),
            of("bob", 10, 20),
            of("ada", 40, 90),
            of("ada", 40, 90)
        ]
    );
}

#[tokio::test]
async fn whoever_goes_on_has_all_of_it_recorded_in_few_records() {
    let (store, clock, reads) = parts();
    let ada = who("ada");
    for n in 0..100 {
        reads.take(&ada, page(n * 10, n * 10 + 10), None).await.unwrap();
        // Nothing is there yet.
        reads.take(&ada, page(n * 10 + 10, n * 10 + 10), None).await.unwrap();
    }
    assert_eq!(recorded(&store).await.len(), 1);
    clock.pass(RECORD_EVERY);
    reads.record(false).await;
    let of = |from, to| ("user:ada".to_owned(), from, to);
    assert_eq!(recorded(&store).await, [of(0, 10), of(10, 1000)]);
    for (to, from) in [(700, 650), (650, 300), (300, 0)] {
        reads.take(&ada, Page { from, to, told: 3 }, Some("kind:x")).await.unwrap();
    }
    reads.record(true).await;
    assert_eq!(recorded(&store).await[2..], [of(650, 700), of(0, 650)]);
    reads.record(true).await;
    assert_eq!(recorded(&store).await.len(), 4, "and none of it twice");
}

#[tokio::test]
async fn no_more_than_a_bound_is_told_before_it_is_recorded() {
    let (store, _, reads) = parts();
    let ada = who("ada");
    for n in 0..10 {
        reads.take(&ada, page(n * 400, n * 400 + 400), None).await.unwrap();
        let unrecorded =
            (n + 1) * 400 - recorded(&store).await.iter().map(|(_, from, to)| to - from).sum::<u64>();
        assert!(unrecorded <= MAX_UNRECORDED, "{unrecorded}");
    }
}
