//! Which records a scope means: in one pass through the log, because records of a job name whoever asked only at its
//! beginning.

use std::collections::{BTreeMap, HashSet};

use lictor_core::{
    erasure::{Hold, PayloadScope},
    id::HoldId,
};
use lictor_store::{Store, StoreError, record::AuditFacts};

/// Records read at a time.
const PAGE: usize = 500;
/// Fields of a record that name who asked, acted or consented.
const WHO: [&str; 5] = ["principal", "by", "requester", "consented_by", "frozen_by"];

/// What a scope means.
#[derive(Debug, Default)]
pub(super) struct Selected {
    /// The records that have a payload, as ranges from an index to before another.
    pub(super) ranges: Vec<(u64, u64)>,
    /// How many.
    pub(super) records: u64,
    /// How many of them each hold covers.
    pub(super) held: BTreeMap<HoldId, u64>,
}

/// A scope on its way through the log.
#[derive(Debug)]
pub(crate) struct Matcher {
    scope: PayloadScope,
    /// Of a period: its ends as records write them.
    ends: Option<(String, String)>,
    /// Jobs that it means.
    jobs: HashSet<String>,
    /// Their invocations, for records that name no job.
    invocations: HashSet<String>,
}

/// The records that have a payload and that `scope` means; and how many of those each hold covers.
///
/// # Errors
/// [`StoreError`] when the log cannot be read.
pub(super) async fn select(
    store: &dyn Store,
    scope: &PayloadScope,
    holds: &[Hold],
) -> Result<Selected, StoreError> {
    let mut scope = Matcher::new(scope.clone());
    let mut holds: Vec<_> = holds.iter().map(|hold| (hold.id, Matcher::new(hold.scope.clone()))).collect();
    let mut selected = Selected::default();
    let size = store.audit_head().await?.size;
    let mut next = 0;
    while next < size {
        let limit = usize::try_from(size - next).unwrap_or(usize::MAX).min(PAGE);
        let page = store.audit(next, limit).await?;
        if page.is_empty() {
            return Err(StoreError::Corrupt(format!("audit record {next} is missing")));
        }
        for entry in page {
            next = entry.index + 1;
            let facts = AuditFacts::read(&entry.content).unwrap_or_default();
            let is_meant = scope.takes(&facts);
            // Each has to see each record: later ones name less.
            let held = holds.iter_mut().filter_map(|(id, hold)| hold.takes(&facts).then_some(*id));
            let held: Vec<HoldId> = held.collect();
            if is_meant && !entry.payload.is_empty() {
                selected.add(entry.index, held);
            }
        }
        tokio::task::yield_now().await;
    }
    Ok(selected)
}

// === impl Selected ===

impl Selected {
    fn add(&mut self, index: u64, held: Vec<HoldId>) {
        match self.ranges.last_mut() {
            Some((_, to)) if *to == index => *to += 1,
            _ => self.ranges.push((index, index + 1)),
        }
        self.records += 1;
        for id in held {
            *self.held.entry(id).or_default() += 1;
        }
    }
}

// === impl Matcher ===

impl Matcher {
    /// At the beginning of the log.
    pub(crate) fn new(scope: PayloadScope) -> Self {
        let mut jobs = HashSet::new();
        let mut ends = None;
        match &scope {
            PayloadScope::Subject { .. } => {}
            PayloadScope::Job(id) => {
                jobs.insert(id.to_string());
            }
            PayloadScope::Period { from, to } => ends = Some((from.to_string(), to.to_string())),
        }
        Self { scope, ends, jobs, invocations: HashSet::new() }
    }

    /// Whether it means this record, the next one.
    pub(crate) fn takes(&mut self, facts: &AuditFacts) -> bool {
        if let Some((from, to)) = &self.ends {
            return (from.as_str()..to.as_str()).contains(&facts.text("at"));
        }
        let (job, invocation) = (facts.text("job"), facts.text("invocation"));
        if facts.text("kind") == "job_submitted" && self.scope.is_subject(facts.text("principal")) {
            self.jobs.insert(job.to_owned());
        }
        if self.jobs.contains(job) {
            if !invocation.is_empty() {
                self.invocations.insert(invocation.to_owned());
            }
            return true;
        }
        (job.is_empty() && self.invocations.contains(invocation))
            || WHO.iter().any(|field| self.scope.is_subject(facts.text(field)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(scope: &PayloadScope, records: &[&str]) -> Vec<usize> {
        let mut matcher = Matcher::new(scope.clone());
        let takes = |record: &&str| matcher.takes(&AuditFacts::read(record.as_bytes()).unwrap());
        records.iter().map(takes).enumerate().filter_map(|(n, is)| is.then_some(n)).collect()
    }

    const JOB: &str = "job_01010101010101010101010101";
    fn records() -> Vec<String> {
        [
            r#"{"at":"2026-01-01T00:00:00.000000Z","kind":"job_submitted","principal":"user:Ada","job":"JOB"}"#,
            r#"{"at":"2026-01-01T00:00:00.000000Z","kind":"invocation_intended","job":"JOB","invocation":"i1"}"#,
            r#"{"at":"2026-01-01T00:00:01.000000Z","kind":"invocation_ended","job":"other","invocation":"i2"}"#,
            r#"{"at":"2026-01-01T00:00:02.000000Z","kind":"invocation_ended","job":"JOB","invocation":"i1"}"#,
            r#"{"at":"2026-01-01T00:00:03.000000Z","kind":"invocation_resolved","invocation":"i1"}"#,
            r#"{"at":"2026-01-01T00:00:03.000000Z","kind":"approval_given","job":"other","by":"user:ada"}"#,
            r#"{"at":"2026-01-01T00:00:03.000000Z","kind":"invocation_ended","job":"other","invocation":"i3"}"#,
            r#"{"at":"2026-01-01T00:00:04.000000Z","kind":"audit_read","by":"user:adam"}"#,
        ]
        .map(|record| record.replace("JOB", JOB))
        .to_vec()
    }

    #[test]
    fn a_subject_means_what_they_did_and_all_that_became_of_their_jobs() {
        let records = records();
        let records: Vec<&str> = records.iter().map(String::as_str).collect();
        assert_eq!(taken(&PayloadScope::subject("user:ada").unwrap(), &records), [0, 1, 3, 4, 5]);
        assert_eq!(taken(&PayloadScope::Job(JOB.parse().unwrap()), &records), [0, 1, 3, 4]);
        let at = |text: &str| lictor_policy::time::rfc3339(text).unwrap();
        let period = PayloadScope::period(at("2026-01-01T00:00:01Z"), at("2026-01-01T00:00:03Z")).unwrap();
        assert_eq!(taken(&period, &records), [2, 3]);
        assert_eq!(taken(&PayloadScope::subject("service:ada").unwrap(), &records), [0usize; 0]);
    }
}
