//! One agent, from its files to its end: what is started in which order, and how it stops.

use std::{path::Path, sync::Arc, time::Duration};

use lictor_certs::{client::LiveClientTls, files::IdentityFiles, live::TlsError};
use lictor_core::{
    clock::Clock,
    outcome::{Outcome, Unknown},
    principal::Identity,
};
use lictor_runtime::{clock::SystemClock, shutdown::Shutdown, tasks::spawn_supervised};
use tokio::sync::{Semaphore, watch};

use crate::{
    admit::Gate,
    config::{AgentConfig, Problems},
    content::Contents,
    ended::Ended,
    enroll::{self, IDENTITY_STEM},
    evidence::Witness,
    exec::Runner,
    frozen::Frozen,
    journal::{
        Journal, JournalError,
        held::Held,
        image::{Image, Stand},
        record::Record,
        spool::Spool,
    },
    link::{self, Link, renew::Renewal},
    output::uplink::Uplink,
    site::LiveSite,
    ssh::{open_files, pool::Pool},
    witness::{LogWitness, WitnessError},
    work::Work,
};

/// Time for running commands to end when the process is told to stop; what still runs then is UNKNOWN at the next start.
const DRAIN: Duration = Duration::from_secs(10);
/// Time for background tasks to notice that the process stops.
const TASKS_DRAIN: Duration = Duration::from_secs(5);
/// How often certificate files are looked at, for those that others replace.
const CERTIFICATE_LOOK: Duration = Duration::from_secs(30);

/// An agent that could not start.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    /// The site's files.
    #[error(transparent)]
    Site(#[from] Problems),
    /// The identity.
    #[error("this agent has no usable identity; run: lictor-agent join")]
    Identity(#[from] TlsError),
    /// The certificate is somebody else's.
    #[error("the certificate in the identity directory is for {0}, not for an agent; run: lictor-agent join")]
    NotAnAgent(String),
    /// The pinned key.
    #[error("the controller's grant key cannot be read: {0}; run: lictor-agent join")]
    GrantKey(String),
    /// The journal.
    #[error("the journal cannot be opened")]
    Journal(#[from] JournalError),
    /// What the last run left could not be settled.
    #[error("the journal cannot be written; free the disk that holds state_dir")]
    JournalDown,
    /// What is known of the audit log.
    #[error("this agent cannot be a witness of the audit log")]
    Witness(#[from] WitnessError),
    /// The state directory.
    #[error("the state directory cannot be used")]
    State(#[from] std::io::Error),
}

/// Runs an agent until `shutdown`.
///
/// # Errors
/// When it cannot start; what goes wrong later is logged and retried.
pub async fn run(config: AgentConfig, shutdown: Shutdown) -> Result<(), AgentError> {
    run_with_clock(config, Arc::new(SystemClock), shutdown).await
}

/// As [`run`], by another clock: the one that grants and floors are judged by.
///
/// # Errors
/// As [`run`].
pub async fn run_with_clock(
    config: AgentConfig,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
) -> Result<(), AgentError> {
    let files = IdentityFiles::in_dir(&config.identity_dir, IDENTITY_STEM);
    let tls = Arc::new(LiveClientTls::load(files.clone())?);
    let gate = gate(&tls, &config.identity_dir)?;
    let site = Arc::new(LiveSite::load(config.site.clone())?);
    let (client_sender, client) = watch::channel(None);
    let witness = Witness::new(Arc::clone(&tls), gate.clone());
    let frozen = Arc::new(Frozen::new(gate.site.clone()));
    let uplink = Uplink::new(client.clone());
    let (runner, resumed) = runner(&config, &site, uplink, witness, frozen, &clock).await?;
    let runner = Arc::new(runner);
    runner.resume(resumed);
    let epoch = link::epoch_in(&config.state_dir)?;
    let log_witness = LogWitness::open(&config.state_dir, &tls.domain(), &gate, Arc::clone(&clock))?;
    tracing::info!(site = %gate.site, agent = %gate.agent, hosts = site.current().hosts.len(), controller = config.controller, "agent started");
    let link = Link {
        controller: config.controller,
        tls: Arc::clone(&tls),
        gate,
        site: Arc::clone(&site),
        runner: Arc::clone(&runner),
        clock: Arc::clone(&clock),
        client: client_sender,
        epoch,
        witness: log_witness,
        forged: 0.into(),
    };
    let renewal = Renewal { files, tls: Arc::clone(&tls), client, clock };
    spawn_supervised("site files", site.watch(shutdown.clone()), &shutdown);
    spawn_supervised("certificate files", tls.watch(CERTIFICATE_LOOK, shutdown.token()), &shutdown);
    spawn_supervised("certificate renewal", renewal.run(shutdown.clone()), &shutdown);
    spawn_supervised("idle connections", Arc::clone(&runner.pool).reap(shutdown.clone()), &shutdown);
    spawn_supervised("link", link.run(shutdown.clone()), &shutdown);
    shutdown.stopping().await;
    runner.drain(DRAIN, config.max_concurrency).await;
    shutdown.drain(TASKS_DRAIN).await;
    Ok(())
}

fn gate(tls: &LiveClientTls, identity_dir: &Path) -> Result<Gate, AgentError> {
    let key = enroll::grant_key(identity_dir).map_err(AgentError::GrantKey)?;
    match tls.own().identity {
        Identity::Agent { tenant, site, name } => Ok(Gate { key, tenant, site, agent: name }),
        other => Err(AgentError::NotAnAgent(other.to_string())),
    }
}

async fn runner(
    config: &AgentConfig,
    site: &Arc<LiveSite>,
    uplink: Uplink,
    witness: Witness,
    frozen: Arc<Frozen>,
    clock: &Arc<dyn Clock>,
) -> Result<(Runner, Vec<Held>), AgentError> {
    let (journal, image) = Journal::open(&config.state_dir, Arc::clone(clock))?;
    let Settled { ended, resumed, tombstones } = settle(&journal, image, clock.as_ref()).await?;
    let spool =
        Spool::open(&config.state_dir, |id| ended.iter().any(|e| e.invocation == id && e.is_spooled()))?;
    let contents = Contents::open(&config.state_dir, uplink.clone())?;
    let runner = Runner {
        pool: Arc::new(Pool::new(Arc::clone(site), open_files::fit(config.connections.clone()))),
        journal,
        work: Arc::new(Work::restore(ended, tombstones)),
        spool,
        clock: Arc::clone(clock),
        budget: Arc::default(),
        uplink,
        witness,
        frozen,
        permits: Arc::new(Semaphore::new(config.max_concurrency)),
        site: Arc::clone(site),
        remains: crate::exec::detached::Remains::default(),
        contents,
    };
    Ok((runner, resumed))
}

/// What the last run left.
struct Settled {
    /// To be reported.
    ended: Vec<Ended>,
    /// To be found again on their hosts.
    resumed: Vec<Held>,
    /// Never to start again.
    tombstones: crate::journal::tombstones::Tombstones,
}

/// What the last run left: ends to be reported, and for what has no end, one that is on disk before anybody hears of
/// it: UNKNOWN for what was started, and a refusal for what certainly was not. What is detached is found again.
async fn settle(journal: &Journal, image: Image, clock: &dyn Clock) -> Result<Settled, AgentError> {
    let now = clock.now();
    let (live, tombstones) = image.into_parts();
    let (mut ended, mut resumed) = (Vec::new(), Vec::new());
    let mut records = Vec::new();
    for (id, stand) in live {
        match stand {
            Stand::Accepted => {
                let reason = "the agent was restarted before it started this; nothing ran".to_owned();
                let outcome = Outcome::Denied { code: "AGENT_RESTARTED".to_owned(), reason };
                tracing::info!(invocation = %id, "was accepted before the last stop and never started");
                let never = Ended::not_run(id, outcome, now);
                records.push(Record::Done(Box::new(never.clone())));
                ended.push(never);
            }
            Stand::Done(done) => ended.push(*done),
            Stand::Detached(held) => resumed.push(*held),
            Stand::Starting(at) => {
                let outcome = Outcome::Unknown(Unknown::AgentRestarted);
                let unknown = Ended { started_at: Some(at), ..Ended::not_run(id, outcome, now) };
                tracing::warn!(invocation = %id, "was started before the last stop; its end is unknown");
                records.push(Record::Done(Box::new(unknown.clone())));
                ended.push(unknown);
            }
        }
    }
    if !records.is_empty() {
        journal.append(records).synced().await.map_err(|_| AgentError::JournalDown)?;
    }
    Ok(Settled { ended, resumed, tombstones })
}
