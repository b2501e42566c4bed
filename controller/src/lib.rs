//! The controller: who asks, may they, written down, sent, taken back, closed. [`lifecycle`] tells the whole story.
//!
//! It knows nothing of SSH, of secrets of hosts, or of MCP.

pub mod acting;
pub mod api;
pub mod approval;
pub mod arrivals;
pub mod audit;
pub mod authn;
pub mod authz;
pub mod checkpoint;
pub mod config;
pub mod contents;
pub mod dispatch;
pub mod erasures;
pub mod failure;
pub mod fleet;
pub mod freezes;
pub mod inventory;
pub mod keys;
pub mod lifecycle;
pub mod live;
pub mod log_key;
pub mod output;
pub mod policies;
pub mod quotas;
pub mod renewal;
pub mod retention;
pub mod revocations;
pub mod served;
pub mod session;
pub mod shadow;

use std::{collections::BTreeSet, net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use lictor_certs::{
    ca::Authority,
    enrolment::{LiveEnrolmentTls, accept_enrolment},
    server::{LiveServerTls, accept_loop},
};
use lictor_core::{
    audit::{AccessEvent, AuditEvent},
    clock::{Clock, Timestamp},
    digest::Digest,
    id::IdSource,
};
use lictor_runtime::{
    clock::SystemClock, ids::RandomIds, panics::Interrupted, shutdown::Shutdown, tasks::spawn_supervised,
};
use lictor_store::{Change, KeptSettings, Store, Write, embedded::EmbeddedStore};
use tokio::net::TcpListener;

pub use self::config::{ControllerConfig, EXAMPLE_CONTROLLER};
use self::{
    acting::Acting,
    api::{
        Services,
        agent_link::Link,
        approvals::ApprovalApi,
        audit::{AuditApi, Reads},
        enroll::Enroll,
        erasures::ErasureApi,
        fleet::FleetApi,
        freezes::FreezeApi,
        guard::{GuardLayer, Logins, Records, Refusals},
        jobs::Jobs,
        policies::PolicyApi,
    },
    arrivals::Arrivals,
    checkpoint::{Checkpoints, LogOwner},
    contents::Contents,
    dispatch::Dispatcher,
    erasures::Erasures,
    fleet::LiveFleet,
    freezes::Freezes,
    keys::ControllerKeys,
    lifecycle::Lifecycle,
    policies::Policies,
    retention::{LimitsInForce, Retention},
    revocations::Revocations,
    served::ServedTime,
    shadow::Shadow,
};

/// How often certificate files are looked at for a change.
const TLS_LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long open calls may take to end when the controller stops.
const DRAIN: Duration = Duration::from_secs(5);

/// A controller that serves.
#[derive(Debug)]
pub struct Running {
    /// Where it serves callers and agents.
    pub listen: SocketAddr,
    /// Where it serves agents that join.
    pub enroll_listen: SocketAddr,
    shutdown: Shutdown,
    last: LastRecords,
}

/// What is recorded when everything else has ended.
#[derive(Debug)]
struct LastRecords {
    refusals: Arc<Refusals>,
    reads: Arc<Reads>,
    store: Arc<dyn Store>,
    clock: Arc<dyn Clock>,
}

impl Running {
    /// Waits until the controller is told to stop, and for what it was doing.
    pub async fn wait(self) {
        self.shutdown.stopping().await;
        self.shutdown.drain(DRAIN).await;
        let LastRecords { refusals, reads, store, clock } = self.last;
        refusals.record(&*store, &*clock).await;
        reads.record(true).await;
    }
}

/// Runs a controller until it is told to stop.
///
/// # Errors
/// When it cannot start, with what to mend.
pub async fn run(config: ControllerConfig, shutdown: Shutdown) -> anyhow::Result<()> {
    let running = start(config, &shutdown).await?;
    tracing::info!(listen = %running.listen, enroll_listen = %running.enroll_listen, "the controller is ready");
    running.wait().await;
    anyhow::ensure!(!shutdown.has_failed(), "the controller stopped because of a failure; see the log");
    Ok(())
}

/// Starts a controller: ports first, then state, then everything that runs beside the calls.
///
/// # Errors
/// When it cannot start, with what to mend.
pub async fn start(config: ControllerConfig, shutdown: &Shutdown) -> anyhow::Result<Running> {
    let listener = bind(config.listen, "listen").await?;
    let enroll_listener = bind(config.enroll_listen, "enroll_listen").await?;
    let (listen, enroll_listen) = (listener.local_addr()?, enroll_listener.local_addr()?);
    let (advertise, enroll_advertise) = advertised(&config, listen, enroll_listen);

    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let ids: Arc<dyn IdSource> = Arc::new(RandomIds::new(Arc::clone(&clock)));
    let authority =
        Arc::new(Authority::load(&config.pki, &config.passphrase()?).context("the certificate authority")?);
    renewal::renew_if_due(&authority, &config.identity, &config.name, clock.now())
        .context("the controller's certificate")?;
    let tls = Arc::new(LiveServerTls::load(config.identity.clone())?);
    let enroll_tls = Arc::new(LiveEnrolmentTls::load(config.identity.clone())?);

    let state = config.state.clone();
    let store = tokio::task::spawn_blocking(move || EmbeddedStore::open(&state)).await;
    let store = store.map_err(Interrupted::from)??;
    let store: Arc<dyn Store> = Arc::new(store);
    log_key::finish_rotation(&config.state, &*store).await.context("the key of the audit log")?;
    let keys = ControllerKeys::load_or_create(&config.state)?;
    let grant_key = keys.grants.public_key();

    let fleet = Arc::new(LiveFleet::default());
    fleet.refresh(&*store).await?;
    let policies = Policies::load(config.policy.clone(), Arc::clone(&store), Arc::clone(&clock)).await?;
    let shadow = Arc::new(Shadow::load(Arc::clone(&store), Arc::clone(&clock)).await?);
    let freezes = Arc::new(Freezes::load(&*store).await?);
    let revocations = Arc::new(Revocations::load(&*store).await?);
    let contents =
        Arc::new(Contents::open(&config.state).context("the folder for content")?.within(config.contents));
    let arrivals = Arrivals::open(&config.state).context("the folder for files of hosts")?;
    let lifecycle = Arc::new(Lifecycle {
        store: Arc::clone(&store),
        clock: Arc::clone(&clock),
        ids: Arc::clone(&ids),
        policies: Arc::new(policies),
        freezes,
        fleet,
        sessions: Arc::default(),
        revocations: Arc::clone(&revocations),
        jobs: Arc::default(),
        quotas: Arc::default(),
        shadow: Arc::clone(&shadow),
        contents: Arc::clone(&contents),
        arrivals: Arc::new(arrivals.within(config.retention.output_bytes)),
        served: ServedTime::new(Arc::clone(&clock)),
        dispatcher: Dispatcher::new(keys.grants, ids),
    });
    let erasures =
        Arc::new(Erasures::new(Arc::clone(&store), Arc::clone(&clock), Arc::clone(&lifecycle.ids)));
    let log_size = store.audit_head().await?.size;
    record_start(&*store, &config, clock.now()).await?;
    let begun = (Arc::clone(&store), Arc::clone(&clock));
    let limits = Arc::new(LimitsInForce::take_up(begun.0, begun.1, config.retention, log_size).await?);
    let recovered = lifecycle.recover().await?;
    if recovered > 0 {
        tracing::info!(jobs = recovered, "jobs that had not ended are taken up again");
    }

    let owner = LogOwner { domain: authority.domain().clone(), tenant: config.tenant.clone() };
    let checkpoints = Arc::new(Checkpoints::new(
        (Arc::clone(&store), Arc::clone(&clock)),
        (keys.checkpoints, log_key::rotations(&config.state)?),
        owner,
        config.state.join("checkpoint"),
    )?);
    let refusals = Arc::new(Refusals::default());
    let reads = Arc::new(Reads::new(Arc::clone(&store), Arc::clone(&clock)));
    let services = Services {
        jobs: Jobs::new(Arc::clone(&lifecycle), Arc::clone(&reads))?,
        policies: PolicyApi::new(Arc::clone(&lifecycle)),
        fleet: FleetApi::new(Arc::clone(&lifecycle), Arc::clone(&authority), enroll_advertise),
        audit: AuditApi::new(Arc::clone(&lifecycle), Arc::clone(&checkpoints), Arc::clone(&reads)),
        approvals: ApprovalApi::new(Arc::clone(&lifecycle)),
        erasures: ErasureApi::new(Arc::clone(&erasures), Arc::clone(&limits)),
        freezes: FreezeApi::new(Arc::clone(&lifecycle)),
        link: Link::new(Arc::clone(&lifecycle), Arc::clone(&authority), Arc::clone(&checkpoints)),
    };
    let enroll = Enroll::new(
        Arc::clone(&lifecycle),
        Arc::clone(&authority),
        grant_key,
        advertise,
        Arc::clone(&refusals),
    );

    let stop = shutdown.token();
    let domain = authority.domain().clone();
    let connections = accept_loop(listener, Arc::clone(&tls), domain, stop.clone());
    let enrolments = accept_enrolment(enroll_listener, Arc::clone(&enroll_tls), stop.clone());
    let acting = acting(config.acting.as_ref(), shutdown).await?;
    let logins = Arc::new(Logins::new(Arc::clone(&store), Arc::clone(&clock)));
    let records = Records { refusals: Arc::clone(&refusals), logins };
    let guard = GuardLayer::new(records, config.tenant.clone(), revocations, acting);
    supervise("api", logged(api::serve(services, guard, connections, stop.clone())), shutdown);
    supervise("enrolment", logged(api::serve_enrolment(enroll, enrolments, stop.clone())), shutdown);
    supervise("policy file", Arc::clone(&lifecycle.policies).follow_file(), shutdown);
    supervise("shadow policy", shadow.judge_for_ever(), shutdown);
    supervise("sweep", Arc::clone(&lifecycle).sweep_for_ever(), shutdown);
    supervise("content", contents.sweep_for_ever(Arc::clone(&lifecycle.jobs)), shutdown);
    let retention = Retention::new(Arc::clone(&store), Arc::clone(&clock), erasures, limits);
    supervise("retention", retention.keep_for_ever(), shutdown);
    supervise("checkpoints", checkpoints.sign_for_ever(), shutdown);
    let recording = Arc::clone(&refusals).record_until(Arc::clone(&store), Arc::clone(&clock), stop.clone());
    spawn_supervised("refused calls", recording, shutdown);
    supervise("store", until_store_ends(Arc::clone(&store)), shutdown);
    spawn_supervised("reads of the audit", Arc::clone(&reads).record_until(stop.clone()), shutdown);
    let last = LastRecords { refusals, reads, store, clock: Arc::clone(&clock) };
    supervise(
        "certificate",
        renewal::renew_for_ever(authority, config.identity, config.name, clock),
        shutdown,
    );
    supervise("tls files", tls.watch(TLS_LOOK_EVERY, stop.clone()), shutdown);
    supervise("enrolment tls files", enroll_tls.watch(TLS_LOOK_EVERY, stop), shutdown);
    Ok(Running { listen, enroll_listen, shutdown: shutdown.clone(), last })
}

/// Records that this controller starts, and with which settings.
async fn record_start(store: &dyn Store, config: &ControllerConfig, now: Timestamp) -> anyhow::Result<()> {
    let values = config.settings();
    let before = store.settings().await?;
    let settings: Vec<String> = values.iter().map(|(name, value)| format!("{name}={value}")).collect();
    let changed = before.map(|before| {
        let names: BTreeSet<&String> = values.keys().chain(before.values.keys()).collect();
        let differs = |name: &&String| values.get(*name) != before.values.get(*name);
        names.into_iter().filter(differs).cloned().collect::<Vec<_>>()
    });
    if let Some(changed) = changed.as_deref().filter(|changed| !changed.is_empty()) {
        tracing::info!(?changed, "settings are not as at the last start");
    }
    let text: String = settings.iter().flat_map(|line| [line, "\n"]).collect();
    let (name, digest) = (config.name.to_string(), Digest::of(text.as_bytes()));
    let loaded = AccessEvent::ConfigurationLoaded { name: name.clone(), digest, settings, changed };
    let change = Change::new(now, AuditEvent::ControllerStarted { name })
        .event(AuditEvent::Access(Box::new(loaded)))
        .write(Write::PutSettings(KeptSettings { values }));
    let _recorded = store.commit(change).await?;
    Ok(())
}

/// Who may act for users; their keys are followed until the process stops.
async fn acting(
    config: Option<&config::ActingConfig>,
    shutdown: &Shutdown,
) -> anyhow::Result<Option<Arc<Acting>>> {
    let Some(config) = config else { return Ok(None) };
    let (verifier, keys) = config.tokens.verifier().await.context("`acting.tokens`")?;
    supervise("keys for tokens", keys.follow(), shutdown);
    Ok(Some(Arc::new(Acting::new(config.services.clone(), verifier))))
}

/// Runs a task until the process stops.
fn supervise(name: &'static str, task: impl Future<Output = ()> + Send + 'static, shutdown: &Shutdown) {
    let stop = shutdown.token();
    spawn_supervised(name, async move { stop.run_until_cancelled(task).await.unwrap_or(()) }, shutdown);
}

/// Ends when the store can write nothing any more: then the controller is of no use, and a supervisor is to start it again.
async fn until_store_ends(store: Arc<dyn Store>) {
    store.ended().await;
    tracing::error!(
        "the store cannot write any more, so the controller ends; mend the disk if this comes again after its next start, \
         which reads back what is durable"
    );
}

async fn logged(server: impl Future<Output = Result<(), api::ServeError>>) {
    if let Err(error) = server.await {
        tracing::error!(error = %anyhow::Error::from(error), "a listener failed");
    }
}

async fn bind(address: SocketAddr, key: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot listen on {address}: is another controller running? Otherwise change `{key}` in the controller's file")
    })
}

/// What agents are told; a port that the system chose replaces the 0 that was asked for.
fn advertised(config: &ControllerConfig, listen: SocketAddr, enroll_listen: SocketAddr) -> (String, String) {
    let told = |text: &str, asked: SocketAddr, got: SocketAddr| match text.strip_suffix(":0") {
        Some(host) if asked.port() == 0 => format!("{host}:{}", got.port()),
        _ => text.to_owned(),
    };
    (
        told(&config.advertise, config.listen, listen),
        told(&config.enroll_advertise, config.enroll_listen, enroll_listen),
    )
}
