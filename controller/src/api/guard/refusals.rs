//! Who was turned away, counted until it is recorded: a flood of refusals makes few records, and each says whose they were.

use std::{
    collections::{HashMap, HashSet},
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use lictor_core::{
    audit::{AccessEvent, AuditEvent, JoinRefusal},
    clock::{Clock, Timestamp},
    error::ErrorCode,
    id::TokenId,
    name::{AgentName, SiteName},
    principal::{Identity, Principal},
};
use lictor_store::{Change, Store, StoreError};
use tokio_util::sync::CancellationToken;

/// How often refusals are recorded: one record for all alike, with their count, so that a flood stays small.
const RECORD_EVERY: Duration = Duration::from_secs(1);
/// Different refusals counted between two records; more are counted with others of the same caller …
const MAX_KINDS: usize = 256;
/// … and those of more callers than so many, without a caller: a record never names whom it is not about.
const MAX_CALLERS: usize = 256;
/// Attempts to join without a token of this controller's come from anybody: so many addresses are named in [`STRANGERS_EVERY`] …
const MAX_STRANGERS: usize = 8;
/// … and those of all others are recorded together so often, because what is recorded stays for good.
const STRANGERS_EVERY: Duration = Duration::from_secs(60);
/// Longest path that is recorded.
const MAX_PATH: usize = 128;
/// The method of calls that are counted together.
const OTHER: &str = "(other)";

/// Refusals that wait to be recorded.
#[derive(Debug, Default)]
pub struct Refusals {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    all: HashMap<Refusal, u64>,
    /// Addresses named since [`Counts::since`].
    strangers: HashSet<IpAddr>,
    since: Option<Instant>,
}

/// What is counted together.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(in crate::api) enum Refusal {
    /// A call.
    Call {
        /// By whose certificate.
        identity: Option<Identity>,
        /// For which user.
        user: Option<Principal>,
        /// The method.
        method: String,
        /// The answer.
        code: ErrorCode,
    },
    /// An attempt to join.
    Enrolment {
        /// The token, and for whom it was made, if it is one of this controller's.
        token: Option<(TokenId, SiteName, AgentName)>,
        /// What is wrong.
        code: JoinRefusal,
        /// From where.
        address: Option<IpAddr>,
    },
}

// === impl Refusal ===

impl Refusal {
    /// A call of `path` that was refused.
    pub(in crate::api) fn of_call(
        identity: Option<Identity>,
        user: Option<Principal>,
        path: &str,
        code: ErrorCode,
    ) -> Self {
        let method = path.chars().filter(|c| !c.is_control()).take(MAX_PATH).collect();
        Self::Call { identity, user, method, code }
    }

    /// With what this is counted when there are too many by themselves: others of the same caller.
    fn of_the_caller(&self) -> Self {
        match self {
            Self::Call { identity, code, .. } => {
                Self::Call { identity: identity.clone(), user: None, method: OTHER.to_owned(), code: *code }
            }
            Self::Enrolment { code, address, .. } => {
                Self::Enrolment { token: None, code: *code, address: *address }
            }
        }
    }

    /// With what this is counted when there are too many callers: what nobody is named for.
    fn of_nobody(&self) -> Self {
        match self {
            Self::Call { code, .. } => {
                Self::Call { identity: None, user: None, method: OTHER.to_owned(), code: *code }
            }
            Self::Enrolment { code, .. } => Self::Enrolment { token: None, code: *code, address: None },
        }
    }

    /// Somebody tried to join, and nothing says who.
    const fn is_of_strangers(&self) -> bool {
        matches!(self, Self::Enrolment { token: None, address: None, .. })
    }

    fn event(self, count: u64) -> AuditEvent {
        AuditEvent::Access(Box::new(match self {
            Self::Call { identity, user, method, code } => {
                AccessEvent::CallRefused { identity, user, method, code, count }
            }
            Self::Enrolment { token, code, address } => {
                let (token, agent) = token.map(|(token, site, agent)| (token, (site, agent))).unzip();
                AccessEvent::EnrolmentRefused { token, agent, code, address, count }
            }
        }))
    }
}

// === impl Refusals ===

impl Refusals {
    /// Counts one.
    pub(in crate::api) fn count(&self, refusal: Refusal) {
        self.add(refusal, 1);
    }

    fn add(&self, refusal: Refusal, count: u64) {
        let mut counts = self.counts();
        let mut counted = refusal;
        if let Refusal::Enrolment { token: None, address: Some(address), .. } = &counted {
            let room = counts.strangers.len() < MAX_STRANGERS;
            if room {
                counts.strangers.insert(*address);
            } else if !counts.strangers.contains(address) {
                counted = counted.of_nobody();
            }
        }
        let counts = &mut counts.all;
        let has_room = |refusal: &Refusal, most| counts.len() < most || counts.contains_key(refusal);
        if !has_room(&counted, MAX_KINDS) {
            counted = counted.of_the_caller();
            if !has_room(&counted, MAX_KINDS + MAX_CALLERS) {
                // There is one for each code.
                counted = counted.of_nobody();
            }
        }
        let sum = counts.entry(counted).or_default();
        *sum = sum.saturating_add(count);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records what was counted, all of it or nothing; what cannot be recorded is counted still.
    pub async fn record(&self, store: &dyn Store, clock: &dyn Clock) {
        let counts = std::mem::take(&mut self.counts().all);
        self.record_these(counts, store, clock).await;
    }

    /// As [`Refusals::record`], but for what waits with others of its kind.
    async fn record_due(&self, store: &dyn Store, clock: &dyn Clock) {
        let counts = self.counts().due(Instant::now());
        self.record_these(counts, store, clock).await;
    }

    async fn record_these(&self, counts: HashMap<Refusal, u64>, store: &dyn Store, clock: &dyn Clock) {
        let Some(change) = change_of(&counts, clock.now()) else { return };
        let committed = store.commit(change).await;
        self.settle(counts, committed.map(drop));
    }

    /// Counts what could not be recorded again.
    fn settle(&self, counts: HashMap<Refusal, u64>, committed: Result<(), StoreError>) {
        if let Err(error) = committed {
            tracing::error!(%error, kinds = counts.len(), "refused calls could not be recorded; they are kept until they can");
            for (refusal, count) in counts {
                self.add(refusal, count);
            }
        }
    }

    /// Records refusals from time to time until `stop`, and is never cut off in between. Whoever stops it records what is left.
    pub async fn record_until(
        self: Arc<Self>,
        store: Arc<dyn Store>,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) {
        while stop.run_until_cancelled(tokio::time::sleep(RECORD_EVERY)).await.is_some() {
            self.record_due(&*store, &*clock).await;
        }
    }
}

// === impl Counts ===

impl Counts {
    /// Takes what is to be recorded now.
    fn due(&mut self, now: Instant) -> HashMap<Refusal, u64> {
        let again = self.since.is_none_or(|since| now.duration_since(since) >= STRANGERS_EVERY);
        if again {
            self.since = Some(now);
            self.strangers.clear();
        }
        let (due, waits) = std::mem::take(&mut self.all)
            .into_iter()
            .partition(|(refusal, _)| again || !refusal.is_of_strangers());
        self.all = waits;
        due
    }
}

/// What records these; `None` if there are none.
fn change_of(counts: &HashMap<Refusal, u64>, now: Timestamp) -> Option<Change> {
    let mut events = counts.iter().map(|(refusal, count)| refusal.clone().event(*count));
    let first = events.next()?;
    Some(events.fold(Change::new(now, first), Change::event))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use lictor_store::memory::MemoryStore;
    use serde_json::Value;

    use super::*;

    #[derive(Debug)]
    struct NoTime;

    impl Clock for NoTime {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(0)
        }
    }

    fn service(n: usize) -> Identity {
        Identity::Service { tenant: "default".parse().unwrap(), name: format!("s-{n}").parse().unwrap() }
    }

    fn call(n: usize, method: usize) -> Refusal {
        Refusal::of_call(Some(service(n)), None, &format!("/{method}"), ErrorCode::Forbidden)
    }

    /// What is recorded, by identity: how many refusals, and in how many records.
    async fn recorded(refusals: &Refusals) -> BTreeMap<String, (u64, usize)> {
        let store = MemoryStore::new();
        refusals.record(&store, &NoTime).await;
        let mut by_identity: BTreeMap<String, (u64, usize)> = BTreeMap::new();
        for entry in store.audit(0, 10_000).await.unwrap() {
            let facts = entry.facts().unwrap();
            let identity = match &facts.fields()["identity"] {
                Value::String(identity) => identity.clone(),
                _ => "nobody".to_owned(),
            };
            let (count, records) = by_identity.entry(identity).or_default();
            *count += facts.fields()["count"].as_u64().unwrap();
            *records += 1;
        }
        by_identity
    }

    #[tokio::test]
    async fn what_cannot_be_recorded_is_recorded_later_with_what_came_meanwhile() {
        let refusals = Refusals::default();
        refusals.count(call(1, 1));
        let counts = std::mem::take(&mut refusals.counts().all);
        refusals.count(call(1, 1));
        refusals.settle(counts, Err(StoreError::Unavailable("no".into())));
        assert_eq!(recorded(&refusals).await, [("service:s-1".to_owned(), (2, 1))].into());
        assert!(recorded(&refusals).await.is_empty(), "and once");
    }

    #[test]
    fn strangers_who_try_to_join_make_few_records_from_however_many_addresses() {
        let refusals = Refusals::default();
        let begun = Instant::now();
        let (mut records, mut sum) = (0, 0);
        for second in 0..120_u32 {
            for n in 0..100 {
                let address = Some(IpAddr::from([10, 0, second as u8, n]));
                refusals.count(Refusal::Enrolment { token: None, code: JoinRefusal::UnknownToken, address });
            }
            let due = refusals.counts().due(begun + Duration::from_secs(second.into()));
            records += due.len();
            sum += due.values().sum::<u64>();
        }
        let waits: u64 = refusals.counts().all.values().sum();
        assert_eq!(sum + waits, 12_000, "each is counted");
        assert!(records <= 3 * (MAX_STRANGERS + 1), "{records}");
    }

    #[tokio::test]
    async fn nobody_is_ever_named_for_what_another_did() {
        let refusals = Refusals::default();
        for method in 0..10 * MAX_KINDS {
            refusals.count(call(1, method));
        }
        for n in 2..=2 * MAX_CALLERS {
            refusals.count(call(n, 0));
            refusals.count(call(n, 1));
        }
        let by_identity = recorded(&refusals).await;
        assert_eq!(by_identity["service:s-1"], (10 * MAX_KINDS as u64, MAX_KINDS + 1));
        assert_eq!(by_identity["service:s-2"], (2, 1));
        for (identity, (count, _)) in by_identity.iter().filter(|(identity, _)| *identity != "nobody") {
            assert!(*count == 2 || identity == "service:s-1", "{identity} {count}");
        }
        let all: u64 = by_identity.values().map(|(count, _)| count).sum();
        assert_eq!(all, (10 * MAX_KINDS + 2 * (2 * MAX_CALLERS - 1)) as u64);
        let records: usize = by_identity.values().map(|(_, records)| records).sum();
        assert_eq!(records, MAX_KINDS + MAX_CALLERS + 1);
    }
}
