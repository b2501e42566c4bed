//! What the audit log says of a caller's own jobs: records found by a query, and of them the fields that are for whoever asks
//! for jobs. Whose a record is, the job that it names decides, or its own `principal`; what names neither is nobody's.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lictor_core::{
    audit::query::{Query, What},
    error::{ErrorCode, Failure},
    id::{InvocationId, JobId},
    principal::{Principal, PrincipalKind},
};
use lictor_proto::{convert::page_size, pb};
use lictor_store::{Store, StoreError, record::AuditFacts};
use serde_json::{Map, Value};
use tokio::{sync::Semaphore, time::timeout};

use super::{
    audit::{Page, Reads, search, sought},
    pages::Room,
};
use crate::{
    authn::{Authenticated, is_own},
    failure::of_store,
    lifecycle::Lifecycle,
};

/// Records on a page when the caller does not say.
const DEFAULT_RECORDS: u32 = 100;
/// Most records that one call looks at: whose they are may take a look into the store for each.
const MOST: u64 = 10_000;
/// Records that fit the query and are held at a time, before it is known whose they are.
const HELD: usize = 500;
/// Searches at a time, of everybody: each keeps a core busy, and what is left is for jobs.
const AT_A_TIME: usize = 2;
/// Searches of one principal at a time, those that wait included: nobody crowds out the others.
const EACH_AT_A_TIME: usize = 4;
/// How long a search waits for its turn: below what callers wait for an answer.
const WAIT_FOR_PLACE: Duration = Duration::from_secs(10);
/// The fields that are shown: what a caller knows of its jobs by other ways too, and what was decided about them. Addresses,
/// agents, tokens and evidence are not among them, and no field of a later version before somebody has put it here.
const SHOWN: &[&str] = &[
    "at",
    "by",
    "check",
    "client",
    "code",
    "command",
    "command_digest",
    "consents",
    "ended_at",
    "exit_code",
    "expired_at",
    "groups",
    "host",
    "hosts",
    "invocation",
    "job",
    "kind",
    "outcome",
    "plan_digest",
    "policy_version",
    "principal",
    "ran",
    "reason",
    "request_digest",
    "requester",
    "rule",
    "rules",
    "run_as",
    "site",
    "soak_until",
    "started_at",
    "stderr_bytes",
    "stderr_digest",
    "stdin_bytes",
    "stdin_sha256",
    "stdout_bytes",
    "stdout_digest",
    "target",
    "terms",
    "timeout_ms",
    "via",
    "wave",
    "waves",
    "within_ms",
    "working_directory",
];

/// The search.
#[derive(Debug)]
pub(super) struct OwnRecords {
    lifecycle: Arc<Lifecycle>,
    reads: Arc<Reads>,
    room: Semaphore,
    /// How many searches each principal has under way.
    searching: Mutex<HashMap<Principal, usize>>,
}

/// A place among the searches of a principal.
struct OwnPlace<'a> {
    searches: &'a OwnRecords,
    me: Principal,
}

/// Whose records are whose, as far as it was asked in one search.
struct Owner<'a> {
    store: &'a dyn Store,
    me: &'a Principal,
    is_operator: bool,
    jobs: HashMap<JobId, bool>,
}

// === impl OwnRecords ===

impl OwnRecords {
    /// The search of this lifecycle's log; who reads is recorded by `reads`.
    pub(super) fn new(lifecycle: Arc<Lifecycle>, reads: Arc<Reads>) -> Self {
        Self { reads, lifecycle, room: Semaphore::new(AT_A_TIME), searching: Mutex::default() }
    }

    /// A place among the searches of `me`, until it is dropped.
    fn own_place(&self, me: &Principal) -> Result<OwnPlace<'_>, Failure> {
        let mut searching = self.searching.lock().unwrap_or_else(PoisonError::into_inner);
        let own = searching.entry(me.clone()).or_default();
        if *own >= EACH_AT_A_TIME {
            let message = format!("{EACH_AT_A_TIME} of your searches are under way");
            return Err(Failure::new(ErrorCode::LimitExceeded, message, "ask again when one has answered"));
        }
        *own += 1;
        Ok(OwnPlace { searches: self, me: me.clone() })
    }

    /// A page of the caller's own records that fit, newest first.
    ///
    /// # Errors
    /// `INVALID_ARGUMENT` for a query or a size that is none, or that the log cannot be read or the reading not recorded.
    pub(super) async fn search(
        &self,
        caller: &Authenticated,
        request: pb::SearchRecordsRequest,
    ) -> Result<pb::SearchRecordsResponse, Failure> {
        let pb::SearchRecordsRequest { query, limit, before } = request;
        let me = caller.principal();
        let limit = page_size("limit", limit, DEFAULT_RECORDS)? as usize;
        let query = sought(&query)?;
        if query.looks_at(What::Agent) {
            let message = "`agent:` is not for searches of one's own records, which do not show agents";
            return Err(Failure::new(ErrorCode::InvalidArgument, message, "leave that term out"));
        }
        let store = self.lifecycle.store.as_ref();
        let before = before.unwrap_or(u64::MAX).min(store.audit_head().await.map_err(of_store)?.size);
        let _own = self.own_place(me)?;
        let busy =
            || Failure::new(ErrorCode::Unavailable, "too many search at the moment", "ask again in a moment");
        let place = timeout(WAIT_FOR_PLACE, self.room.acquire()).await;
        let _place = place.map_err(|_| busy())?.map_err(|_| busy())?;
        let answer = self.page(caller, &query, before, limit).await.map_err(of_store)?;
        let page = Page { from: answer.next, to: before, told: answer.records.len() as u64 };
        self.reads.take(me, page, Some(&query.to_string())).await?;
        Ok(answer)
    }

    async fn page(
        &self,
        caller: &Authenticated,
        query: &Query,
        before: u64,
        limit: usize,
    ) -> Result<pb::SearchRecordsResponse, StoreError> {
        let store = self.lifecycle.store.as_ref();
        let (me, is_operator) = (caller.principal(), caller.is_operator());
        let mut owner = Owner { store, me, is_operator, jobs: HashMap::new() };
        let (mut records, mut room) = (Vec::new(), Room::beside(0));
        let (mut next, end) = (before, before.saturating_sub(MOST));
        while next > end {
            let found = search::newest_first(store, query, next, HELD, next - end).await?;
            for entry in found.entries {
                let Some(facts) = entry.facts() else { continue };
                if !owner.owns(&facts).await? {
                    continue;
                }
                let record = pb::OwnRecord { index: entry.index, content: shown(&facts) };
                if records.len() >= limit || !room.takes(&record) {
                    // It comes with the next page.
                    return Ok(pb::SearchRecordsResponse { records, next: entry.index.saturating_add(1) });
                }
                records.push(record);
            }
            next = found.next;
        }
        Ok(pb::SearchRecordsResponse { records, next })
    }
}

// === impl OwnPlace ===

impl Drop for OwnPlace<'_> {
    fn drop(&mut self) {
        let mut searching = self.searches.searching.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(own) = searching.get_mut(&self.me) {
            *own -= 1;
            if *own == 0 {
                searching.remove(&self.me);
            }
        }
    }
}

// === impl Owner ===

impl Owner<'_> {
    async fn owns(&mut self, facts: &AuditFacts) -> Result<bool, StoreError> {
        if !facts.text("principal").is_empty() {
            let me = facts.text("principal") == self.me.to_string();
            // As with jobs: what a person asked for without a service is for that person alone.
            let as_much =
                self.is_operator || self.me.kind != PrincipalKind::User || !facts.text("actor").is_empty();
            return Ok(me && as_much && facts.text("tenant") == self.me.tenant.as_str());
        }
        if let Ok(job) = facts.text("job").parse() {
            return self.owns_job(job).await;
        }
        let Ok(invocation) = facts.text("invocation").parse::<InvocationId>() else { return Ok(false) };
        match self.store.outline(invocation).await? {
            Some(outline) => self.owns_job(outline.invocation.job).await,
            None => Ok(false),
        }
    }

    async fn owns_job(&mut self, job: JobId) -> Result<bool, StoreError> {
        if let Some(mine) = self.jobs.get(&job) {
            return Ok(*mine);
        }
        let mine =
            self.store.job(job).await?.is_some_and(|kept| is_own(&kept.job, self.me, self.is_operator));
        self.jobs.insert(job, mine);
        Ok(mine)
    }
}

/// The fields that are shown, as JSON.
fn shown(facts: &AuditFacts) -> Vec<u8> {
    let fields = facts.fields().iter().filter(|(name, _)| SHOWN.binary_search(&name.as_str()).is_ok());
    let fields: Map<String, Value> = fields.map(|(name, value)| (name.clone(), value.clone())).collect();
    Value::Object(fields).to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use lictor_core::{
        audit::AuditEvent,
        clock::Timestamp,
        digest::Digest,
        job::{Origin, Target},
        name::Tag,
        principal::{PrincipalKind, Via},
    };
    use lictor_store::{Change, memory::MemoryStore};

    use super::*;

    fn principal(tenant: &str, kind: PrincipalKind, name: &str) -> Principal {
        Principal { tenant: tenant.parse().unwrap(), kind, name: name.parse().unwrap() }
    }

    #[test]
    fn what_is_shown_is_sorted_and_says_nothing_of_addresses_agents_or_tokens() {
        assert!(SHOWN.is_sorted());
        for hidden in ["address", "agent", "agent_key", "token", "detail", "environment", "statement", "note"]
        {
            assert!(!SHOWN.contains(&hidden), "{hidden}");
        }
    }

    #[tokio::test]
    async fn a_refused_request_is_its_principals_alone_and_what_names_nobody_is_nobodys() {
        let store = MemoryStore::new();
        let me = principal("acme", PrincipalKind::Service, "ci");
        let others = [
            principal("acme", PrincipalKind::User, "ci"),
            principal("other", PrincipalKind::Service, "ci"),
            principal("acme", PrincipalKind::Service, "c"),
        ];
        for who in std::iter::once(&me).chain(&others) {
            let denied = AuditEvent::RequestDenied {
                principal: who.clone(),
                origin: Origin::new(Via::Mcp, ""),
                target: Target::Tag(Tag::new("web").unwrap()),
                command: "rm".into(),
                context: Default::default(),
                request_digest: Digest::of(b""),
                code: "POLICY_DEFAULT_DENY".into(),
                reason: "no rule".into(),
                rule: None,
                policy_version: 1,
            };
            let _ = store.commit(Change::new(Timestamp::from_micros(1), denied)).await.unwrap();
        }
        let started = AuditEvent::ControllerStarted { name: "c".into() };
        let _ = store.commit(Change::new(Timestamp::from_micros(1), started)).await.unwrap();
        let mut owner = Owner { store: &store, me: &me, is_operator: true, jobs: HashMap::new() };
        let mut owned = Vec::new();
        for entry in store.audit(0, 10).await.unwrap() {
            owned.push(owner.owns(&entry.facts().unwrap()).await.unwrap());
        }
        assert_eq!(owned, [true, false, false, false, false]);
        // What a person asked for without a service is theirs, and not their assistant's.
        let denied = store.audit(1, 1).await.unwrap().remove(0).facts().unwrap();
        for is_operator in [true, false] {
            let mut owner = Owner { store: &store, me: &others[0], is_operator, jobs: HashMap::new() };
            assert_eq!(owner.owns(&denied).await.unwrap(), is_operator);
        }
    }
}
