//! A controller over the model store, with a clock, a disk and an agent that the test holds in its hands.

use std::{
    collections::{HashMap, HashSet},
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use lictor_certs::{peer::Peer, signer::SigningKey};
use lictor_controller::{
    arrivals::Arrivals,
    authn::{Authenticated, Caller},
    contents::Contents,
    dispatch::Dispatcher,
    fleet::LiveFleet,
    freezes::Freezes,
    lifecycle::{Lifecycle, Submitted},
    live::LiveJob,
    policies::Policies,
    revocations::Revocations,
    served::{MAX_STEP, ServedTime},
    session::Session,
    shadow::Shadow,
};
use lictor_core::{
    audit::AuditEvent,
    clock::{Clock, Timestamp},
    digest::Digest,
    error::{ErrorCode, Failure},
    freeze::Freeze,
    id::{IdSource, InvocationId, JobId, TokenId},
    invocation::Invocation,
    job::{CommandInput, IdempotencyKey, JobSpec, Origin, Target},
    label::Labels,
    merkle::{Node, TreeHead},
    name::{AgentName, HostAlias, PrincipalName, SiteName, Tag, TenantName},
    outcome::Outcome,
    output::StreamName,
    principal::{Identity, Principal, Via},
};
use lictor_proto::pb;
use lictor_store::{
    AuditEntry, BoundKey, Change, EndedJob, IndexedInvocation, KeptAgent, KeptCheckpoint, KeptHost, KeptJob,
    KeptKey, KeptPolicy, KeptRetention, KeptSettings, KeptShadow, KeptToken, Recorded, Store, StoreError,
    Write, memory::MemoryStore,
};
use tokio::sync::{Semaphore, mpsc, watch};

pub(crate) const POLICY: &str =
    "version: 1\nrules:\n  - id: basics\n    effect: allow\n    where: all\n    commands: [uptime]\n";
pub(crate) const NOTHING: &str =
    "version: 1\nrules:\n  - id: none\n    effect: deny\n    where: all\n    commands: any\n";

pub(crate) const HOSTS: [&str; 3] = ["web-1", "web-2", "web-3"];

// === parts that the test holds ===

#[derive(Debug)]
pub(crate) struct HeldClock {
    time: AtomicU64,
    uptime: AtomicU64,
}

impl Clock for HeldClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.time.load(Ordering::SeqCst))
    }
    fn uptime(&self) -> Duration {
        Duration::from_micros(self.uptime.load(Ordering::SeqCst))
    }
}

#[derive(Debug)]
struct Counted(AtomicU64);

impl IdSource for Counted {
    fn fresh(&self) -> [u8; 16] {
        (1_000 + u128::from(self.0.fetch_add(1, Ordering::SeqCst))).to_be_bytes()
    }
}

/// The model, with a disk that can be slow or broken.
#[derive(Debug)]
pub(crate) struct HeldStore {
    inner: MemoryStore,
    pub(crate) broken: AtomicBool,
    pub(crate) gate: Semaphore,
    /// Invocations whose records cannot be read.
    pub(crate) poisoned: Mutex<HashSet<InvocationId>>,
    /// Somebody else's change, made right before output is read.
    pub(crate) before_output: Mutex<Option<Change>>,
}

#[async_trait]
impl Store for HeldStore {
    async fn commit(&self, change: Change) -> Result<Recorded, StoreError> {
        let _pass = self.gate.acquire().await.unwrap();
        if self.broken.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("the disk is gone".into()));
        }
        self.inner.commit(change).await
    }
    async fn job(&self, id: JobId) -> Result<Option<KeptJob>, StoreError> {
        self.inner.job(id).await
    }
    async fn jobs(&self, before: Option<JobId>, limit: usize) -> Result<Vec<KeptJob>, StoreError> {
        self.inner.jobs(before, limit).await
    }
    async fn idempotency_key(
        &self,
        p: &Principal,
        k: &IdempotencyKey,
    ) -> Result<Option<KeptKey>, StoreError> {
        self.inner.idempotency_key(p, k).await
    }
    async fn bound_keys(&self, after: Option<&BoundKey>, limit: usize) -> Result<Vec<BoundKey>, StoreError> {
        self.inner.bound_keys(after, limit).await
    }
    async fn ended_jobs(&self, after: Option<JobId>, limit: usize) -> Result<Vec<EndedJob>, StoreError> {
        self.inner.ended_jobs(after, limit).await
    }
    async fn ended_job(&self, id: JobId) -> Result<Option<EndedJob>, StoreError> {
        self.inner.ended_job(id).await
    }
    async fn invocation(&self, id: InvocationId) -> Result<Option<Invocation>, StoreError> {
        if self.poisoned.lock().unwrap().contains(&id) {
            return Err(StoreError::Corrupt("it was damaged".into()));
        }
        self.inner.invocation(id).await
    }
    async fn output(
        &self,
        id: InvocationId,
        stream: StreamName,
        from: u64,
        to: u64,
    ) -> Result<Option<bytes::Bytes>, StoreError> {
        let change = self.before_output.lock().unwrap().take();
        if let Some(change) = change {
            let _ = self.inner.commit(change).await.unwrap();
        }
        self.inner.output(id, stream, from, to).await
    }
    async fn indexed_invocations(
        &self,
        job: JobId,
        after: Option<&HostAlias>,
        limit: usize,
    ) -> Result<Vec<IndexedInvocation>, StoreError> {
        self.inner.indexed_invocations(job, after, limit).await
    }
    async fn open_invocations(&self) -> Result<Vec<InvocationId>, StoreError> {
        self.inner.open_invocations().await
    }
    async fn agents(&self) -> Result<Vec<KeptAgent>, StoreError> {
        self.inner.agents().await
    }
    async fn agent(&self, site: &SiteName, name: &AgentName) -> Result<Option<KeptAgent>, StoreError> {
        self.inner.agent(site, name).await
    }
    async fn hosts(&self) -> Result<Vec<KeptHost>, StoreError> {
        self.inner.hosts().await
    }
    async fn token(&self, id: TokenId) -> Result<Option<KeptToken>, StoreError> {
        self.inner.token(id).await
    }
    async fn policy(&self, version: Option<u64>) -> Result<Option<KeptPolicy>, StoreError> {
        self.inner.policy(version).await
    }
    async fn shadow_policy(&self) -> Result<Option<KeptShadow>, StoreError> {
        self.inner.shadow_policy().await
    }
    async fn settings(&self) -> Result<Option<KeptSettings>, StoreError> {
        self.inner.settings().await
    }
    async fn retention(&self) -> Result<Option<KeptRetention>, StoreError> {
        self.inner.retention().await
    }
    async fn freezes(&self) -> Result<Vec<Freeze>, StoreError> {
        self.inner.freezes().await
    }
    async fn erasures(&self) -> Result<Vec<lictor_core::erasure::Erasure>, StoreError> {
        self.inner.erasures().await
    }
    async fn holds(&self) -> Result<Vec<lictor_core::erasure::Hold>, StoreError> {
        self.inner.holds().await
    }
    async fn audit(&self, from: u64, limit: usize) -> Result<Vec<AuditEntry>, StoreError> {
        self.inner.audit(from, limit).await
    }
    async fn audit_head(&self) -> Result<TreeHead, StoreError> {
        self.inner.audit_head().await
    }
    fn audit_heads(&self) -> watch::Receiver<TreeHead> {
        self.inner.audit_heads()
    }
    async fn audit_nodes(&self, nodes: &[Node]) -> Result<Vec<Digest>, StoreError> {
        self.inner.audit_nodes(nodes).await
    }
    async fn keep_checkpoint(&self, checkpoint: KeptCheckpoint) -> Result<(), StoreError> {
        self.inner.keep_checkpoint(checkpoint).await
    }
    async fn checkpoints(&self, limit: usize) -> Result<Vec<KeptCheckpoint>, StoreError> {
        self.inner.checkpoints(limit).await
    }
}

pub(crate) struct World {
    pub(crate) lifecycle: Arc<Lifecycle>,
    pub(crate) store: Arc<HeldStore>,
    pub(crate) clock: Arc<HeldClock>,
    pub(crate) dir: tempfile::TempDir,
    epoch: AtomicU64,
}

pub(crate) struct Agent {
    pub(crate) session: Arc<Session>,
    inbox: Mutex<mpsc::Receiver<Result<pb::ControllerMessage, tonic::Status>>>,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::under(POLICY, &["web-1", "web-2"]).await
    }

    /// A controller with this policy and these hosts.
    pub(crate) async fn under(policy: &str, hosts: &[&str]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("policy.yml");
        std::fs::write(&file, policy).unwrap();
        let clock = Arc::new(HeldClock { time: AtomicU64::new(1_000_000_000), uptime: AtomicU64::new(0) });
        let store = Arc::new(HeldStore {
            inner: MemoryStore::new(),
            broken: AtomicBool::new(false),
            gate: Semaphore::new(1),
            poisoned: Mutex::default(),
            before_output: Mutex::default(),
        });
        let host = |alias: &str| {
            Write::PutHost(KeptHost {
                alias: HostAlias::new(alias).unwrap(),
                site: SiteName::new("eu").unwrap(),
                tags: vec![Tag::new("web").unwrap()],
                labels: Labels::default(),
                description: String::new(),
                address: "10.0.0.1:22".into(),
                user: "ops".into(),
                host_key_fingerprints: vec![],
            })
        };
        let setup = Change::new(clock.now(), AuditEvent::ControllerStarted { name: "test".into() });
        let setup = hosts.iter().fold(setup, |setup, alias| setup.write(host(alias)));
        let _ = store.commit(setup).await.unwrap();
        Self::over(store, clock, dir).await
    }

    /// A controller that starts over what another one left.
    pub(crate) async fn restarted(self) -> Self {
        let Self { store, clock, dir, .. } = self;
        let world = Self::over(store, clock, dir).await;
        world.lifecycle.recover().await.unwrap();
        world
    }

    async fn over(store: Arc<HeldStore>, clock: Arc<HeldClock>, dir: tempfile::TempDir) -> Self {
        let file = dir.path().join("policy.yml");
        let fresh = u64::try_from(store.inner.audit(0, 10_000).await.unwrap().len()).unwrap() * 10_000;
        let ids: Arc<dyn IdSource> = Arc::new(Counted(AtomicU64::new(fresh)));
        let fleet = Arc::new(LiveFleet::default());
        fleet.refresh(&*store).await.unwrap();
        let policies = Policies::load(file, store.clone(), clock.clone()).await.unwrap();
        let shadow = Shadow::load(store.clone(), clock.clone()).await.unwrap();
        let lifecycle = Arc::new(Lifecycle {
            store: store.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
            policies: Arc::new(policies),
            freezes: Arc::new(Freezes::load(&*store).await.unwrap()),
            fleet,
            sessions: Arc::default(),
            revocations: Arc::new(Revocations::load(&*store).await.unwrap()),
            jobs: Arc::default(),
            quotas: Arc::default(),
            shadow: Arc::new(shadow),
            served: ServedTime::new(clock.clone()),
            contents: Arc::new(Contents::open(&tempfile::tempdir().unwrap().keep()).unwrap()),
            arrivals: Arc::new(Arrivals::open(dir.path()).unwrap()),
            dispatcher: Dispatcher::new(SigningKey::generate().unwrap(), ids),
        });
        Self { lifecycle, store, clock, epoch: AtomicU64::new(0), dir }
    }

    /// An agent that opens a session with this journal.
    pub(crate) async fn connect(
        &self,
        journal: &[(InvocationId, pb::JournalPhase)],
        journal_lost: bool,
    ) -> Agent {
        let epoch = self.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        let (sender, receiver) = mpsc::channel(64);
        let key = (SiteName::new("eu").unwrap(), AgentName::new("a").unwrap());
        let cut = self.lifecycle.revocations.cut_of_session(&key.0, &key.1, 0).unwrap_or_default();
        let session = Session::new(key, epoch, "test".into(), "1".into(), sender, self.clock.now());
        let session = Arc::new(session.cut_by(cut));
        self.lifecycle.admit_session(&session);
        if journal_lost {
            self.lifecycle.settle_lost_journal(session.site(), session.agent()).await.unwrap();
        }
        let journal: HashMap<_, _> = journal.iter().copied().collect();
        self.lifecycle.reconcile(&session, &journal).await.unwrap();
        Agent { session, inbox: Mutex::new(receiver) }
    }

    pub(crate) async fn submit(&self, spec: &JobSpec) -> Result<Arc<LiveJob>, ErrorCode> {
        self.ask(spec).await.map_err(|failure| failure.code)
    }

    pub(crate) async fn ask(&self, spec: &JobSpec) -> Result<Arc<LiveJob>, Failure> {
        match self.lifecycle.submit(&operator(), spec).await? {
            Submitted::Live { job, .. } => Ok(job),
            Submitted::Ended(_) => panic!("the job had ended"),
        }
    }

    pub(crate) async fn state(&self, id: InvocationId) -> String {
        self.store.invocation(id).await.unwrap().unwrap().state.name().to_owned()
    }

    pub(crate) async fn audit(&self) -> Vec<serde_json::Value> {
        let entries = self.store.audit(0, 10_000).await.unwrap();
        entries.iter().map(|e| e.facts().unwrap().fields().clone().into()).collect()
    }

    pub(crate) async fn kinds(&self) -> Vec<String> {
        self.audit().await.iter().map(|e| e["kind"].as_str().unwrap().to_owned()).collect()
    }

    /// Time passes while the controller serves.
    pub(crate) fn pass(&self, time: Duration) {
        let mut left = time;
        while !left.is_zero() {
            let step = left.min(MAX_STEP);
            self.stall(step);
            self.lifecycle.served.look();
            left -= step;
        }
    }

    /// Time passes, and the controller does not get to do anything.
    pub(crate) fn stall(&self, time: Duration) {
        self.clock.uptime.fetch_add(u64::try_from(time.as_micros()).unwrap(), Ordering::SeqCst);
        self.set_forward(time);
    }

    /// Somebody sets the time of day.
    pub(crate) fn set_forward(&self, by: Duration) {
        self.clock.time.fetch_add(u64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
    pub(crate) fn set_back(&self, by: Duration) {
        self.clock.time.fetch_sub(u64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }

    /// The agent's connection ends.
    pub(crate) fn disconnect(&self, agent: &Agent) {
        self.lifecycle.sessions.remove(&agent.session);
    }
}

impl Agent {
    /// The invocations of the offers that have arrived.
    pub(crate) fn offers(&self) -> Vec<InvocationId> {
        let id = |target: &pb::GrantTarget| target.invocation_id.parse::<InvocationId>().unwrap();
        self.grants().iter().flat_map(|grant| grant.targets.iter().map(id)).collect()
    }
    pub(crate) fn grants(&self) -> Vec<pb::Grant> {
        let mut inbox = self.inbox.lock().unwrap();
        let mut grants = Vec::new();
        while let Ok(Ok(message)) = inbox.try_recv() {
            if let Some(pb::controller_message::Message::Offer(offer)) = message.message {
                grants.push(prost::Message::decode(offer.grant).unwrap());
            }
        }
        grants
    }
    /// Every message that has arrived.
    pub(crate) fn messages(&self) -> Vec<pb::controller_message::Message> {
        let mut inbox = self.inbox.lock().unwrap();
        std::iter::from_fn(|| inbox.try_recv().ok()?.ok()?.message).collect()
    }
    pub(crate) fn stops(&self) -> Vec<String> {
        let mut inbox = self.inbox.lock().unwrap();
        let mut ids = Vec::new();
        while let Ok(Ok(message)) = inbox.try_recv() {
            if let Some(pb::controller_message::Message::Stop(stop)) = message.message {
                ids.extend(stop.invocation_ids);
            }
        }
        ids
    }
}

pub(crate) fn operator() -> Authenticated {
    Authenticated::from_call(&call(())).unwrap()
}

/// A call of the operator.
pub(crate) fn call<T>(message: T) -> tonic::Request<T> {
    let identity = Identity::User {
        tenant: TenantName::new("default").unwrap(),
        name: PrincipalName::new("ops").unwrap(),
    };
    let mut request = tonic::Request::new(message);
    request.extensions_mut().insert(Caller {
        peer: Peer { identity, serial: "01".into(), not_after: Timestamp::from_micros(u64::MAX) },
        remote: SocketAddr::from(([127, 0, 0, 1], 1)),
    });
    request
}

pub(crate) fn spec(hosts: &[&str], command: &str) -> JobSpec {
    JobSpec::new(
        Target::Hosts(hosts.iter().map(|h| HostAlias::new(h).unwrap()).collect()),
        CommandInput::Line(command.into()),
        Origin::new(Via::Cli, "test"),
    )
}

pub(crate) fn result(id: InvocationId, outcome: &Outcome) -> pb::InvocationResult {
    pb::InvocationResult {
        invocation_id: id.to_string(),
        outcome: Some(outcome.into()),
        started_at: 1,
        ended_at: 2,
        address: "10.0.0.1".into(),
        output: Some(pb::Output::default()),
        output_inline: true,
        evidence: None,
        guard: 0,
        redactions: 0,
    }
}

pub(crate) fn only(job: &LiveJob) -> InvocationId {
    let index = job.index();
    assert_eq!(index.len(), 1);
    index[0].1
}
