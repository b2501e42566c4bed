//! One command on many hosts: how many a second, cold and warm, beside others on the same hosts in the same run.

use std::{
    future::Future,
    time::{Duration, Instant},
};

use lictor_client::connect::Client;
use tempfile::TempDir;

use super::{
    Times,
    asyncssh::AsyncSsh,
    bare::{self, Connection, Login},
    fleet::{self, Fleet},
    openssh::OpenSsh,
    options::Options,
};
use crate::process::{cpu_time, resident_kib};

/// Most hosts for asyncssh: ten times as many take it many seconds.
const ASYNCSSH_MOST: usize = 1_000;
/// Most hosts for `ssh`: each master is a process.
const OPENSSH_MOST: usize = 100;
/// Hosts in all warm rounds of one size, and in all cold ones; within the bounds that follow.
const WARM_HOSTS: usize = 50_000;
const COLD_HOSTS: usize = 3_000;
/// Warm rounds.
const WARM_ROUNDS: (usize, usize) = (5, 300);
/// Cold rounds.
const COLD_ROUNDS: (usize, usize) = (2, 10);
/// Longest time for one way of one round; beyond it the run ends and says so.
const LONGEST: Duration = Duration::from_secs(120);
/// Time to let go of connections before the next thing is measured.
const SETTLE: Duration = Duration::from_millis(300);
/// Hosts from which on what a submission and a connection cost is shown, and processor time can be told apart.
const MANY: usize = 1_000;
/// Rounds for what a submission costs.
const SUBMISSIONS: usize = 5;

/// What one way took.
#[derive(Debug, Default)]
struct Taken {
    cold: Times,
    warm: Times,
}

/// Processor time of everybody.
#[derive(Debug, Default, Clone, Copy)]
struct Spent {
    client: Duration,
    controller: Duration,
    agent: Duration,
    hosts: Duration,
}

/// Everybody who runs commands.
struct Ways {
    login: Login,
    asyncssh: Option<AsyncSsh>,
    openssh: OpenSsh,
    client: Client,
    // Short: a socket's path has at most 108 bytes.
    _sockets: TempDir,
}

/// Results of one size.
#[derive(Debug, Default)]
struct Results {
    bare: Taken,
    asyncssh: Taken,
    openssh: Taken,
    lictor: Taken,
    accepted: Times,
    spent: Spent,
    /// What the bare loop spent, in its own process.
    bare_spent: Duration,
    /// Resident memory of the agent without and with its connections, in KiB.
    resident: (u64, u64),
    /// Hosts on which Lictor's command did not succeed.
    missed: usize,
}

/// Measures and prints.
///
/// # Errors
/// When any part does not work.
pub async fn measure(options: &Options) -> anyhow::Result<()> {
    let sizes = options.hosts();
    let mut fleet = Fleet::start(sizes.iter().copied().max().unwrap_or(1)).await?;
    let sockets = tempfile::Builder::new().prefix("lb").tempdir()?;
    let mut ways = Ways {
        login: Login::new(&fleet.world.login)?,
        asyncssh: AsyncSsh::start(&fleet.key_file(), &fleet.their_known_hosts())?,
        openssh: OpenSsh::new(&fleet.key_file(), &fleet.their_known_hosts(), sockets.path())?,
        client: fleet.world.client()?,
        _sockets: sockets,
    };
    println!("\n`true` on simulated hosts on this machine; audit and journal on disk; ways interleaved");
    println!("cold: nobody is connected; warm: everybody is; times of all hosts together");
    for count in sizes {
        let results = ways.measure(&mut fleet, count, options).await?;
        results.print(count);
    }
    ways.submissions(&fleet, options).await
}

/// A future that has to end.
async fn bounded<T>(what: &str, work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    match tokio::time::timeout(LONGEST, work).await {
        Ok(done) => done,
        Err(_) => anyhow::bail!("{what} did not end in {LONGEST:?}"),
    }
}

async fn timed<T>(
    what: &str,
    times: &mut Times,
    work: impl Future<Output = anyhow::Result<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    let done = bounded(what, work).await?;
    times.add(begun.elapsed());
    Ok(done)
}

/// So many rounds that they are about `hosts` hosts in all.
fn rounds(hosts: usize, count: usize, (least, most): (usize, usize), options: &Options) -> usize {
    options.rounds((hosts / count).clamp(least, most))
}

// === impl Ways ===

impl Ways {
    async fn measure(
        &mut self,
        fleet: &mut Fleet,
        count: usize,
        options: &Options,
    ) -> anyhow::Result<Results> {
        let mut results = Results::default();
        let mut connections = Vec::new();
        for _ in 0..rounds(COLD_HOSTS, count, COLD_ROUNDS, options) {
            connections = self.cold(fleet, count, connections, &mut results).await?;
        }
        for _ in 0..rounds(WARM_HOSTS, count, WARM_ROUNDS, options) {
            self.warm(fleet, count, &connections, &mut results).await?;
        }
        drop(connections);
        if let Some(asyncssh) = &mut self.asyncssh {
            asyncssh.close().await?;
        }
        self.openssh.end_masters();
        tokio::time::sleep(SETTLE).await;
        Ok(results)
    }

    /// Everybody connects anew. Gives the bare loop's connections.
    async fn cold(
        &mut self,
        fleet: &mut Fleet,
        count: usize,
        old: Vec<Connection>,
        results: &mut Results,
    ) -> anyhow::Result<Vec<Connection>> {
        drop(old);
        let hosts = fleet.theirs(count);
        if let Some(asyncssh) = self.asyncssh.as_mut().filter(|_| count <= ASYNCSSH_MOST) {
            asyncssh.close().await?;
            results.asyncssh.cold.add(bounded("asyncssh", asyncssh.connect(&hosts)).await?);
        }
        if count <= OPENSSH_MOST {
            self.openssh.end_masters();
            timed("ssh", &mut results.openssh.cold, self.openssh.exec_all(&hosts)).await?;
        }
        fleet.restart_agent().await?;
        tokio::time::sleep(SETTLE).await;
        results.resident.0 = resident_kib(fleet.agent()?)?;
        let went = bounded("the job", fleet::run(&self.client, &fleet::by_name(count)?)).await?;
        results.lictor.cold.add(went.ended);
        results.missed += count - went.succeeded;
        results.resident.1 = resident_kib(fleet.agent()?)?;
        timed("the bare loop", &mut results.bare.cold, self.login.connect_all(hosts)).await
    }

    /// Everybody uses the connections there are.
    async fn warm(
        &mut self,
        fleet: &Fleet,
        count: usize,
        connections: &[Connection],
        results: &mut Results,
    ) -> anyhow::Result<()> {
        let before = cpu_time(std::process::id())?;
        timed("the bare loop", &mut results.bare.warm, bare::exec_all(connections)).await?;
        results.bare_spent += cpu_time(std::process::id())?.saturating_sub(before);
        if let Some(asyncssh) = self.asyncssh.as_mut().filter(|_| count <= ASYNCSSH_MOST) {
            results.asyncssh.warm.add(bounded("asyncssh", asyncssh.exec()).await?);
        }
        if count <= OPENSSH_MOST {
            timed("ssh", &mut results.openssh.warm, self.openssh.exec_all(&fleet.theirs(count))).await?;
        }
        let spec = fleet::by_name(count)?;
        let before = Spent::so_far(fleet)?;
        let went = bounded("the job", fleet::run(&self.client, &spec)).await?;
        results.spent.add(before, Spent::so_far(fleet)?);
        results.lictor.warm.add(went.ended);
        results.accepted.add(went.accepted);
        results.missed += count - went.succeeded;
        Ok(())
    }

    /// What the answer to a submission of the whole fleet takes.
    async fn submissions(&self, fleet: &Fleet, options: &Options) -> anyhow::Result<()> {
        let size = fleet.size();
        if size < MANY {
            return Ok(());
        }
        println!("\nfrom the call to its answer: decided for {size} hosts, durable, signed and sent");
        for (what, spec) in
            [("Submit, hosts by name", fleet::by_name(size)?), ("Submit, hosts by tag", fleet::by_tag()?)]
        {
            let mut times = Times::default();
            for _ in 0..options.rounds(SUBMISSIONS) {
                times.add(bounded("the job", fleet::accept(&self.client, &spec)).await?);
            }
            println!("  {}", times.line(what));
        }
        Ok(())
    }
}

// === impl Spent ===

impl Spent {
    fn so_far(fleet: &Fleet) -> anyhow::Result<Self> {
        Ok(Self {
            client: cpu_time(std::process::id())?,
            controller: cpu_time(fleet.controller()?)?,
            agent: cpu_time(fleet.agent()?)?,
            hosts: cpu_time(fleet.ours.id())?,
        })
    }

    fn add(&mut self, from: Self, to: Self) {
        self.client += to.client.saturating_sub(from.client);
        self.controller += to.controller.saturating_sub(from.controller);
        self.agent += to.agent.saturating_sub(from.agent);
        self.hosts += to.hosts.saturating_sub(from.hosts);
    }
}

// === impl Results ===

impl Results {
    fn print(&self, count: usize) {
        let (cold, warm) = (self.bare.cold.count(), self.bare.warm.count());
        println!("\n{count} hosts, {cold} rounds cold, {warm} warm");
        println!(
            "  {:<24}{:>10}{:>10}{:>11}{:>8}  {:>10}{:>10}{:>11}{:>8}",
            "", "cold p50", "p99 ms", "hosts/s", "× bare", "warm p50", "p99 ms", "hosts/s", "× bare"
        );
        for (name, taken) in [
            ("bare russh loop", &self.bare),
            ("asyncssh", &self.asyncssh),
            ("ssh, ControlMaster", &self.openssh),
            ("Lictor, one job", &self.lictor),
        ] {
            if taken.warm.count() > 0 {
                let cold = part(&taken.cold, &self.bare.cold, count);
                println!("  {name:<24}{cold}  {}", part(&taken.warm, &self.bare.warm, count));
            }
        }
        println!("  {}", self.accepted.line("of the job: from the call to its first answer"));
        if self.missed > 0 {
            println!("  NOT ALL RAN: {} commands of Lictor's jobs did not succeed", self.missed);
        }
        if count < MANY {
            return;
        }
        let each = |spent: Duration| spent.as_secs_f64() * 1e6 / (count * warm) as f64;
        println!(
            "  processor time a host, warm: agent {:.1} µs, controller {:.1} µs, client {:.1} µs, host {:.1} µs; bare loop {:.1} µs",
            each(self.spent.agent),
            each(self.spent.controller),
            each(self.spent.client),
            each(self.spent.hosts),
            each(self.bare_spent)
        );
        let (without, with) = self.resident;
        println!(
            "  resident memory of the agent: {:.1} MiB with {count} connections, {:.1} MiB without: {:.1} kB a connection",
            with as f64 / 1024.0,
            without as f64 / 1024.0,
            (with.saturating_sub(without) * 1024) as f64 / 1e3 / count as f64
        );
    }
}

/// Half a row: p50 and p99 in milliseconds, hosts a second, and the ratio to the bare loop.
fn part(times: &Times, bare: &Times, count: usize) -> String {
    let median = times.percentile(50);
    format!(
        "{:>10.2}{:>10.2}{:>11.0}{:>8.2}",
        median / 1e3,
        times.percentile(99) / 1e3,
        count as f64 / (median / 1e6),
        median / bare.percentile(50)
    )
}
