//! The audit log: durable records a second and what they add to a job, verification of an exported log, and searches.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::Path,
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::Context as _;
use lictor_certs::{checkpoint::Origin, signer::SigningKey};
use lictor_controller::api::audit::search::{MOST, newest_first};
use lictor_core::{
    audit::{AuditEvent, query::Query},
    clock::Timestamp,
    command::Command as Judged,
    context::Context,
    digest::Digest,
    guard::Guard,
    id::{InvocationId, JobId},
    invocation::{Invocation, InvocationState},
    job::{CommandInput, Limits, Origin as Door, Target},
    name::{AgentName, HostAlias, PrincipalName, SiteName, TenantName},
    outcome::Outcome,
    output::Output,
    principal::{Principal, PrincipalKind, Via},
    rollout::Rollout,
};
use lictor_store::{Change, Store, embedded::EmbeddedStore};

use super::Times;
use crate::binaries;

/// Producers at once.
const PRODUCERS: [u64; 3] = [1, 16, 256];
/// Jobs of a producer that is alone; many share more.
const JOBS: [u64; 3] = [1_000, 8_000, 32_000];
/// Records of a job: asked for, meant, ended.
const RECORDS_OF_A_JOB: u64 = 3;
/// Jobs in one change while a log is filled.
const JOBS_AT_ONCE: u64 = 100;
/// Changes under way while a log is filled.
const FILLERS: u64 = 32;
/// Records of a page of a search.
const PAGE: usize = 100;
/// Records read at a time for an export.
const EXPORT_PAGE: usize = 1_000;
/// How often the memory of the verifier is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// What is the same in all the records.
struct Maker {
    principal: Principal,
    command: Judged,
    rare: Judged,
    site: SiteName,
    agent: AgentName,
}

/// Measures and prints, with a log of `records` records.
///
/// # Errors
/// When the disk does not work, or the log that was written does not verify.
pub async fn measure(records: u64) -> anyhow::Result<()> {
    println!("audit log (a job: two commits, three records, each synced before it is acknowledged)");
    let maker = Arc::new(Maker::new()?);
    for (producers, jobs) in PRODUCERS.into_iter().zip(JOBS) {
        produce(&maker, producers, jobs.min(records.max(producers))).await?;
    }
    let dir = tempfile::tempdir()?;
    let store = Arc::new(EmbeddedStore::open(&dir.path().join("store"))?);
    let jobs = records.div_ceil(RECORDS_OF_A_JOB);
    fill(&store, &maker, jobs).await?;
    verify(store.as_ref(), dir.path()).await?;
    search(store.as_ref(), jobs, "blocks read").await?;
    let begun = Instant::now();
    let blocks = store.summarize()?;
    println!(
        "  summaries of {blocks} blocks made in {:.2} s (in the background, while little is written)",
        begun.elapsed().as_secs_f64()
    );
    search(store.as_ref(), jobs, "with summaries").await
}

/// Durable records a second, and what the two commits of a job take.
async fn produce(maker: &Arc<Maker>, producers: u64, jobs: u64) -> anyhow::Result<()> {
    let dir = tempfile::tempdir()?;
    let store = Arc::new(EmbeddedStore::open(&dir.path().join("store"))?);
    let next = Arc::new(AtomicU64::new(0));
    let begun = Instant::now();
    let mut tasks = Vec::new();
    for _ in 0..producers {
        let (store, maker, next) = (Arc::clone(&store), Arc::clone(maker), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            let mut times = Vec::new();
            loop {
                let job = next.fetch_add(1, Ordering::Relaxed);
                if job >= jobs {
                    return anyhow::Ok(times);
                }
                let [asked, meant, ended] = maker.events(job)?;
                let begun = Instant::now();
                let _recorded = store.commit(Change::new(at(job), asked).event(meant)).await?;
                let _recorded = store.commit(Change::new(at(job), ended)).await?;
                times.push(begun.elapsed());
            }
        }));
    }
    let mut times = Times::default();
    for task in tasks {
        task.await??.into_iter().for_each(|time| times.add(time));
    }
    let rate = (jobs * RECORDS_OF_A_JOB) as f64 / begun.elapsed().as_secs_f64();
    println!("  {producers:>3} producers {rate:>8.0} records/s   {}", times.line("both commits of a job"));
    Ok(())
}

/// A log of so many jobs, in large changes.
async fn fill(store: &Arc<EmbeddedStore>, maker: &Arc<Maker>, jobs: u64) -> anyhow::Result<()> {
    let begun = Instant::now();
    let next = Arc::new(AtomicU64::new(0));
    let mut tasks = Vec::new();
    for _ in 0..FILLERS {
        let (store, maker, next) = (Arc::clone(store), Arc::clone(maker), Arc::clone(&next));
        tasks.push(tokio::spawn(async move {
            loop {
                let first = next.fetch_add(JOBS_AT_ONCE, Ordering::Relaxed);
                if first >= jobs {
                    return anyhow::Ok(());
                }
                let mut events = Vec::new();
                for job in first..jobs.min(first + JOBS_AT_ONCE) {
                    events.extend(maker.events(job)?);
                }
                let mut events = events.into_iter();
                let Some(one) = events.next() else { return Ok(()) };
                let change = events.fold(Change::new(at(first), one), Change::event);
                let _recorded = store.commit(change).await?;
            }
        }));
    }
    for task in tasks {
        task.await??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let records = jobs * RECORDS_OF_A_JOB;
    println!("  filled with {records} records in {seconds:.1} s, {:.0} records/s", records as f64 / seconds);
    Ok(())
}

/// Exports everything, and lets the program that people use verify it.
async fn verify(store: &dyn Store, dir: &Path) -> anyhow::Result<()> {
    let key = SigningKey::generate()?;
    let origin = Origin::new("bench.example/audit/default")?;
    let head = store.audit_head().await?;
    let file = dir.join("log.lictor");
    let begun = Instant::now();
    let mut writer =
        lictor_cli::verdict::Exporter::begin(BufWriter::new(File::create_new(&file)?), head, &origin, &key)?;
    let mut next = 0;
    while next < head.size {
        for entry in store.audit(next, EXPORT_PAGE).await? {
            next = entry.index + 1;
            writer.record(entry.index, &entry.content, &entry.payload)?;
        }
    }
    writer.finish()?.flush()?;
    let (exported, bytes) = (begun.elapsed(), file.metadata()?.len());
    println!("  exported {} records, {} MiB, in {:.1} s", head.size, bytes >> 20, exported.as_secs_f64());

    let begun = Instant::now();
    let mut child = Command::new(binaries::path("lictor")?)
        .args(["audit", "verify"])
        .arg(&file)
        .args(["--key", &key.public_key().to_string()])
        .stdout(std::process::Stdio::null())
        .spawn()?;
    let mut peak = 0;
    let status = loop {
        peak = peak.max(peak_kib(child.id()).unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        tokio::time::sleep(LOOK_EVERY).await;
    };
    anyhow::ensure!(status.success(), "the log that was written does not verify: {status}");
    println!(
        "  verified in {:.2} s by lictor audit verify, {} MiB at most",
        begun.elapsed().as_secs_f64(),
        peak / 1024
    );
    Ok(())
}

/// The most memory that a process has had, in KiB.
fn peak_kib(id: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// Searches for what is rare, what is everywhere, and what is not there.
async fn search(store: &dyn Store, jobs: u64, how: &str) -> anyhow::Result<()> {
    let size = store.audit_head().await?.size;
    let job = job_id(jobs / 3).to_string();
    let queries = [
        ("the records of one job", format!("job:{job}")),
        ("one command among all", "command:\"rm -rf\"".to_owned()),
        ("a host in a pattern, one kind", "host:web-77* kind:invocation_ended".to_owned()),
        ("a host that is not there", "host:db-1".to_owned()),
        ("text that is not there", "command:mkfs".to_owned()),
        ("the first page of everything", String::new()),
    ];
    for (what, query) in queries {
        let query: Query = query.parse().map_err(|e| anyhow::anyhow!("{e}"))?;
        let begun = Instant::now();
        let (mut before, mut found) = (size, 0);
        while before > 0 && found < PAGE {
            let page = newest_first(store, &query, before, PAGE - found, MOST).await?;
            found += page.entries.len();
            before = page.next;
        }
        let millis = begun.elapsed().as_secs_f64() * 1e3;
        println!("  search, {how:<15} {what:<32} {millis:>9.1} ms, {found} found of {size}");
    }
    Ok(())
}

const fn at(job: u64) -> Timestamp {
    Timestamp::from_micros(1_795_353_684_000_000 + job * 1_000)
}

fn job_id(job: u64) -> JobId {
    JobId::from_bytes(bytes_of(b'j', job))
}

/// Bytes that look as random as those of real identifiers.
fn bytes_of(kind: u8, number: u64) -> [u8; 16] {
    let digest = Digest::of(&[[kind; 8], number.to_be_bytes()].concat());
    digest.as_bytes().first_chunk().copied().unwrap_or_default()
}

// === impl Maker ===

impl Maker {
    fn new() -> anyhow::Result<Self> {
        let command = |line: &str| {
            let input = CommandInput::Line(line.into());
            lictor_policy::parse_command(&input).map_err(|e| anyhow::anyhow!("{e:?}")).context("a command")
        };
        Ok(Self {
            principal: Principal {
                tenant: TenantName::new("default")?,
                kind: PrincipalKind::Service,
                name: PrincipalName::new("ci")?,
            },
            command: command("systemctl status nginx")?,
            rare: command("rm -rf /srv/old")?,
            site: SiteName::new("eu")?,
            agent: AgentName::new("eu-1")?,
        })
    }

    /// The records of a job on one host.
    fn events(&self, number: u64) -> anyhow::Result<[AuditEvent; 3]> {
        let (job, invocation) = (job_id(number), InvocationId::from_bytes(bytes_of(b'i', number)));
        let host = HostAlias::new(&format!("web-{}", number % 1_000))?;
        let limits = Limits { timeout: Duration::from_secs(60), output_bytes: 1 << 20 };
        let asked = AuditEvent::JobSubmitted {
            job,
            principal: self.principal.clone(),
            origin: Door::new(Via::Cli, "bench/1"),
            target: Target::Hosts(vec![host.clone()]),
            command: if number == 7 { self.rare.clone() } else { self.command.clone() },
            context: Context::default(),
            request_digest: Digest::of(&number.to_be_bytes()),
            policy_version: 1,
            rollout: Rollout::default(),
        };
        let meant = AuditEvent::InvocationIntended {
            invocation,
            job,
            host: host.clone(),
            site: self.site.clone(),
            rule: None,
            limits,
            offered: Some((self.agent.clone(), 1)),
        };
        let ended = AuditEvent::InvocationEnded {
            invocation: Arc::new(Invocation {
                output_removed: None,
                last_agent: None,
                redactions: 0,
                id: invocation,
                job,
                host,
                site: self.site.clone(),
                attempt: 1,
                state: InvocationState::Ended(Outcome::Succeeded),
                version: 1,
                limits,
                rule: None,
                started_at: Some(at(number)),
                ended_at: Some(at(number)),
                address: None,
                output: Output::default(),
                resolution: None,
                wave: 1,
                guard: Guard::default(),
            }),
            agent: Some(self.agent.clone()),
        };
        Ok([asked, meant, ended])
    }
}
