//! What Lictor adds to one SSH exec on a real sshd, cold and warm: through the controller's API, and from an MCP call
//! over stdio to its result; beside others in the same run.

use std::{fs, net::SocketAddr, time::Instant};

use anyhow::Context as _;
use lictor_cli::demo::sshd::current_user;
use lictor_client::connect::Client;
use lictor_core::job::JobSpec;
use serde_json::{Value, json};

use super::{
    Times,
    asyncssh::AsyncSsh,
    bare::{Acknowledge, Connection, Login, exec},
    freeze,
    openssh::{OpenSsh, Over},
    options::Options,
};
use crate::{
    World,
    mcp::McpClient,
    process::{Process, resident_kib},
    world::{follow, spec},
};

/// Warm rounds; in each, every way is taken once, so that all see the same machine.
const WARM: usize = 500;
/// Cold rounds: each takes every way a tenth of a second or so.
const COLD: usize = 30;
/// Freezes: each is two durable records and a word of the agent.
const FREEZES: usize = 100;
/// Rounds before counting.
const WARM_UP: usize = 50;
/// What the agent sends for `true`.
const WRAPPED: &str = "echo lictor:inv_0:$$ >&2; LICTOR_INVOCATION=inv_0; export LICTOR_INVOCATION; true";

/// Everybody who runs a command on the one host.
struct Ways {
    host: SocketAddr,
    login: Login,
    kept: Connection,
    asyncssh: Option<AsyncSsh>,
    openssh: OpenSsh,
    client: Client,
    mcp: McpClient,
}

/// Times of each, in the order in which they are shown.
struct Table(Vec<(&'static str, Times)>);

/// Measures and prints.
///
/// # Errors
/// When any part does not work.
pub async fn measure(options: &Options) -> anyhow::Result<()> {
    let cold = options.rounds(COLD);
    let world = with_aliases(cold).await?;
    let sockets = tempfile::Builder::new().prefix("lb").tempdir()?;
    let (key, known) = (world.home().join("login.key"), world.home().join("known_hosts"));
    let host = SocketAddr::from(([127, 0, 0, 1], world.host("bench").port()));
    let login = Login::new(&world.login)?;
    let mut ways = Ways {
        host,
        kept: login.connect(host, Acknowledge::AtOnce).await?,
        login,
        asyncssh: AsyncSsh::start(&key, &known)?,
        openssh: OpenSsh::new(&key, &known, sockets.path())?,
        client: world.client()?,
        mcp: world.mcp().await?,
    };
    idle(&world, &ways.mcp)?;
    controller_alone(&ways.client, options.rounds(WARM)).await?;
    freeze::measure(&world, options.rounds(FREEZES)).await?;
    ways.cold(cold).await?;
    ways.warm(options.rounds(WARM)).await
}

/// One real host, known under as many more names as there are cold rounds: the agent keeps connections by name, so each
/// name is cold once for each way.
async fn with_aliases(cold: usize) -> anyhow::Result<World> {
    let mut world = World::prepare_unlogged(&["bench"])?;
    let path = world.home().join("hosts.yml");
    let (user, port) = (current_user()?, world.host("bench").port());
    let mut hosts = fs::read_to_string(&path)?;
    for alias in (0..cold).flat_map(|round| [api_alias(round), mcp_alias(round)]) {
        hosts += &format!(
            "  - {{ alias: {alias}, address: 127.0.0.1, port: {port}, user: {user}, credential: login, tags: [all] }}\n"
        );
    }
    fs::write(path, hosts)?;
    expect_scan(&world)?;
    world.start_controller().await?;
    world.join()?;
    world.start_agent().await?;
    Ok(world)
}

/// One scan pins the key for all: they are one address.
fn expect_scan(world: &World) -> anyhow::Result<()> {
    crate::world::expect(&world.lictor(&["host", "scan", "bench", "--accept"])?)
}

fn api_alias(round: usize) -> String {
    format!("cold-api-{round}")
}

fn mcp_alias(round: usize) -> String {
    format!("cold-mcp-{round}")
}

fn idle(world: &World, mcp: &McpClient) -> anyhow::Result<()> {
    println!("\nidle memory (resident)");
    for (name, id) in [
        ("controller", world.controller.as_ref().map(Process::id)),
        ("agent", world.agent.as_ref().map(Process::id)),
        ("bridge", mcp.bridge_id()),
    ] {
        println!("  {name:<12} {:>6.1} MiB", resident_kib(id.context("no process")?)? as f64 / 1024.0);
    }
    Ok(())
}

async fn controller_alone(client: &Client, rounds: usize) -> anyhow::Result<()> {
    let (job, denied) = (spec(&["bench"], &["true"])?, spec(&["bench"], &["reboot"])?);
    let (mut plan, mut refusal) = (Times::default(), Times::default());
    for _ in 0..rounds {
        let begun = Instant::now();
        client.plan(&job).await?;
        plan.add(begun.elapsed());
        let begun = Instant::now();
        anyhow::ensure!(client.run(&denied).await.is_err(), "reboot was allowed");
        refusal.add(begun.elapsed());
    }
    println!("\nthe controller alone");
    println!("  {}", plan.line("plan: one call, one decision, nothing written"));
    println!("  {}", refusal.line("refused: one call, one durable record"));
    Ok(())
}

// === impl Ways ===

impl Ways {
    async fn cold(&mut self, rounds: usize) -> anyhow::Result<()> {
        let mut table = Table::new(&[
            "bare russh, quick ACKs",
            "bare russh as it comes",
            "ssh, a process each",
            "asyncssh",
            "Lictor by API",
            "Lictor by MCP",
        ]);
        for round in 0..rounds {
            for (row, acknowledge) in [(0, Acknowledge::AtOnce), (1, Acknowledge::Later)] {
                let begun = Instant::now();
                exec(&self.login.connect(self.host, acknowledge).await?, "true").await?;
                table.add(row, begun.elapsed());
            }
            let begun = Instant::now();
            self.openssh.exec(self.host, Over::Fresh).await?;
            table.add(2, begun.elapsed());
            if let Some(asyncssh) = &mut self.asyncssh {
                asyncssh.close().await?;
                table.add(3, asyncssh.connect(&[self.host]).await?);
            }
            let job = spec(&[&api_alias(round)], &["true"])?;
            let begun = Instant::now();
            self.api(&job).await?;
            table.add(4, begun.elapsed());
            let call = json!({"alias": mcp_alias(round), "command": "true"});
            let begun = Instant::now();
            self.mcp(&call).await?;
            table.add(5, begun.elapsed());
        }
        table.print("cold exec of `true` on a real sshd: connect, log in, run; audit on disk");
        Ok(())
    }

    async fn warm(&mut self, rounds: usize) -> anyhow::Result<()> {
        let mut table = Table::new(&[
            "bare russh",
            "bare russh, with marker and cookie",
            "ssh, ControlMaster",
            "asyncssh",
            "Lictor by API",
            "Lictor by MCP",
        ]);
        let (job, call) = (spec(&["bench"], &["true"])?, json!({"alias": "bench", "command": "true"}));
        for round in 0..WARM_UP + rounds {
            if round == WARM_UP {
                table.forget();
            }
            for (row, command) in [(0, "true"), (1, WRAPPED)] {
                let begun = Instant::now();
                exec(&self.kept, command).await?;
                table.add(row, begun.elapsed());
            }
            let begun = Instant::now();
            self.openssh.exec(self.host, Over::Master).await?;
            table.add(2, begun.elapsed());
            if let Some(asyncssh) = &mut self.asyncssh {
                table.add(3, asyncssh.exec().await?);
            }
            let begun = Instant::now();
            self.api(&job).await?;
            table.add(4, begun.elapsed());
            let begun = Instant::now();
            self.mcp(&call).await?;
            table.add(5, begun.elapsed());
        }
        table.print("warm exec of `true` on a real sshd: connected before; audit on disk");
        table.print_added(4, "added by controller and agent");
        table.print_added(5, "added by bridge, controller and agent");
        Ok(())
    }

    async fn api(&self, job: &JobSpec) -> anyhow::Result<()> {
        let ended = follow(&self.client, job).await?;
        let succeeded = ended.finished().map(|job| job.counts.succeeded);
        anyhow::ensure!(succeeded == Some(1), "{:?}", ended.invocations());
        Ok(())
    }

    async fn mcp(&mut self, call: &Value) -> anyhow::Result<()> {
        let answer = self.mcp.call("ssh_run", call.clone()).await?;
        anyhow::ensure!(answer["structuredContent"]["state"] == "SUCCEEDED", "{answer}");
        Ok(())
    }
}

// === impl Table ===

impl Table {
    fn new(names: &[&'static str]) -> Self {
        Self(names.iter().map(|name| (*name, Times::default())).collect())
    }

    fn add(&mut self, row: usize, time: std::time::Duration) {
        if let Some((_, times)) = self.0.get_mut(row) {
            times.add(time);
        }
    }

    fn forget(&mut self) {
        self.0.iter_mut().for_each(|(_, times)| *times = Times::default());
    }

    fn print(&self, title: &str) {
        println!("\n{title}; ways interleaved");
        println!("  {:<36}{:>10}{:>10}{:>10}{:>8}", "", "p50 µs", "p99 µs", "× first", "n");
        let first = self.0.first().map_or(0.0, |(_, times)| times.percentile(50));
        for (name, times) in self.0.iter().filter(|(_, times)| times.count() > 0) {
            let (p50, p99) = (times.percentile(50), times.percentile(99));
            println!("  {name:<36}{p50:>10.0}{p99:>10.0}{:>10.2}{:>8}", p50 / first, times.count());
        }
    }

    /// How much this row is above the first.
    fn print_added(&self, row: usize, what: &str) {
        let [Some((_, first)), Some((_, times))] = [self.0.first(), self.0.get(row)] else { return };
        let added = |percent| times.percentile(percent) - first.percentile(percent);
        println!("  {what:<36}{:>10.0}{:>10.0}", added(50), added(99));
    }
}
