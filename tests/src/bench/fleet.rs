//! A site of thousands of simulated hosts, and beside it the same hosts again for whoever is compared.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use lictor_cli::demo::{ports::free_port, sshd::current_user};
use lictor_client::{
    connect::Client,
    operator::AgentState,
    run::{JobUpdate, RunStream},
    views::JobView,
};
use lictor_core::{
    job::{CommandInput, JobSpec, Origin, Target},
    limits::MAX_HOSTS_PER_SITE,
    name::{HostAlias, Tag},
    principal::Via,
};
use russh::keys::ssh_key::LineEnding;

use crate::{
    World, binaries,
    hosts::new_key,
    process::{Process, eventually},
};

/// Hosts whose addresses differ in the last number alone.
const PER_NETWORK: usize = 250;
/// The tag of every host.
const TAG: &str = "fleet";

/// The site, and what its hosts are. There are two sets of the same hosts, so that no process needs a file descriptor for
/// the connections of both its visitors.
#[derive(Debug)]
pub struct Fleet {
    /// The system.
    pub world: World,
    /// The hosts of the site.
    pub ours: Process,
    _theirs: Process,
    their_port: u16,
    size: usize,
}

/// How a job went.
#[derive(Debug, Clone, Copy)]
pub struct Went {
    /// From the call to its answer: the intent is durable and sent.
    pub accepted: Duration,
    /// From the call to the end of the last host.
    pub ended: Duration,
    /// Hosts on which the command succeeded.
    pub succeeded: usize,
}

// === impl Fleet ===

impl Fleet {
    /// A site of `size` hosts.
    ///
    /// # Errors
    /// When any part does not start.
    pub async fn start(size: usize) -> anyhow::Result<Self> {
        anyhow::ensure!(size <= MAX_HOSTS_PER_SITE, "a site has at most {MAX_HOSTS_PER_SITE} hosts");
        let mut world = World::prepare(&[])?;
        let key = new_key()?;
        let (host_key, login) = (world.file("simulator.key"), world.file("login.pub"));
        key.write_openssh_file(&host_key, LineEnding::LF)?;
        world.login.public_key().write_openssh_file(&login)?;
        let (port, their_port) = (free_port()?, free_port()?);
        let ours = simulate(&world, port, &host_key, &login)?;
        let theirs = simulate(&world, their_port, &host_key, &login)?;
        let pin = key.public_key().to_openssh()?;
        // One line for all: a pattern, as administrators write them.
        fs::write(world.home().join("known_hosts"), format!("[127.1.*]:{port} {pin}\n"))?;
        fs::write(world.file("their_known_hosts"), format!("[127.1.*]:{their_port} {pin}\n"))?;
        fs::write(world.home().join("hosts.yml"), hosts_file(size, port)?)?;
        for port in [port, their_port] {
            eventually("the simulated hosts answer", async || {
                tokio::net::TcpStream::connect((address(0), port)).await.is_ok()
            })
            .await?;
        }
        world.start_controller().await?;
        world.join()?;
        world.start_agent().await?;
        Ok(Self { world, ours, _theirs: theirs, their_port, size })
    }

    /// The number of hosts.
    pub const fn size(&self) -> usize {
        self.size
    }
    /// The first hosts, for others than Lictor.
    pub fn theirs(&self, count: usize) -> Vec<SocketAddr> {
        (0..count).map(|index| (address(index), self.their_port).into()).collect()
    }
    /// The file with the private key that may log in.
    pub fn key_file(&self) -> PathBuf {
        self.world.home().join("login.key")
    }
    /// The pinned keys of [`Self::theirs`].
    pub fn their_known_hosts(&self) -> PathBuf {
        self.world.file("their_known_hosts")
    }
    /// Process number of the controller.
    ///
    /// # Errors
    /// When it does not run.
    pub fn controller(&self) -> anyhow::Result<u32> {
        Ok(self.world.controller.as_ref().context("no controller")?.id())
    }
    /// Process number of the agent.
    ///
    /// # Errors
    /// When it does not run.
    pub fn agent(&self) -> anyhow::Result<u32> {
        Ok(self.world.agent.as_ref().context("no agent")?.id())
    }

    /// Ends the agent and starts it again, without a connection to any host.
    ///
    /// # Errors
    /// When it does not come back.
    pub async fn restart_agent(&mut self) -> anyhow::Result<()> {
        let operator = self.world.operator()?;
        let epoch = operator.agents().await?.first().map_or(0, |agent| agent.epoch);
        drop(self.world.agent.take());
        self.world.spawn_agent()?;
        let back = async || match operator.agents().await {
            Ok(agents) => agents.iter().any(|a| a.epoch > epoch && a.state == AgentState::Connected),
            Err(_) => false,
        };
        eventually("the agent comes back", back).await.with_context(|| self.world.logs())
    }
}

/// A request for `true` on the first hosts, by their names.
///
/// # Errors
/// Never; the names are valid.
pub fn by_name(count: usize) -> anyhow::Result<JobSpec> {
    Ok(request(Target::Hosts((0..count).map(|n| HostAlias::new(&alias(n))).collect::<Result<_, _>>()?)))
}

/// A request for `true` on every host, by their tag.
///
/// # Errors
/// Never; the tag is valid.
pub fn by_tag() -> anyhow::Result<JobSpec> {
    Ok(request(Target::Tag(Tag::new(TAG)?)))
}

fn request(target: Target) -> JobSpec {
    JobSpec::new(target, CommandInput::Argv(vec!["true".into()]), Origin::new(Via::Api, "lictor-bench"))
}

/// Submits and watches in one call, to the end.
///
/// # Errors
/// When it is refused, or the connection is lost.
pub async fn run(client: &Client, spec: &JobSpec) -> anyhow::Result<Went> {
    let begun = Instant::now();
    let stream = client.run(spec).await?;
    let accepted = begun.elapsed();
    let succeeded = to_its_end(stream).await?.counts.succeeded as usize;
    Ok(Went { accepted, ended: begun.elapsed(), succeeded })
}

/// Submits alone; how long the answer took. Then waits for the end.
///
/// # Errors
/// When it is refused, or the connection is lost.
pub async fn accept(client: &Client, spec: &JobSpec) -> anyhow::Result<Duration> {
    let begun = Instant::now();
    let submitted = client.submit(spec).await?;
    let took = begun.elapsed();
    to_its_end(client.watch(submitted.job.id).await?).await?;
    Ok(took)
}

async fn to_its_end(mut stream: RunStream) -> anyhow::Result<JobView> {
    let mut ended = None;
    while let Some(update) = stream.next().await? {
        if let JobUpdate::Finished(job) = update {
            ended = Some(*job);
        }
    }
    ended.context("the job did not end")
}

fn simulate(world: &World, port: u16, key: &Path, login: &Path) -> anyhow::Result<Process> {
    let program = binaries::path("lictor-host-simulator")?;
    let arguments = [&port.to_string(), &key.display().to_string(), &login.display().to_string()];
    Process::start(&program, &arguments.map(String::as_str), &world.file("simulator.log"))
}

fn hosts_file(size: usize, port: u16) -> anyhow::Result<String> {
    let user = current_user()?;
    let mut text = String::from("hosts:\n");
    for index in 0..size {
        let (alias, address) = (alias(index), address(index));
        writeln!(
            text,
            "  - {{ alias: {alias}, address: {address}, port: {port}, user: {user}, credential: login, tags: [{TAG}] }}"
        )?;
    }
    Ok(text)
}

fn alias(index: usize) -> String {
    format!("host-{index:05}")
}

fn address(index: usize) -> Ipv4Addr {
    // A site has too few hosts for either number to pass 255.
    let [high, low] =
        [index / PER_NETWORK, index % PER_NETWORK + 1].map(|n| u8::try_from(n).unwrap_or(u8::MAX));
    Ipv4Addr::new(127, 1, high, low)
}
