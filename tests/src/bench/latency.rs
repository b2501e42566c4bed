//! What Lictor adds to a warm SSH exec: through the controller's API, and from an MCP call over stdio to its result.

use std::{sync::Arc, time::Instant};

use anyhow::Context as _;
use russh::{ChannelMsg, client, keys::key::PrivateKeyWithHashAlg};
use serde_json::json;

use super::Times;
use crate::{
    World,
    process::resident_kib,
    world::{follow, spec},
};

/// Rounds; in each, every way is taken once, so that all see the same machine.
const ROUNDS: usize = 1500;
/// Rounds before counting.
const WARM_UP: usize = 100;

struct AnyKey;

impl client::Handler for AnyKey {
    type Error = russh::Error;
    async fn check_server_key(
        &mut self,
        _: &russh::keys::PublicKeyOrCertificate,
    ) -> Result<bool, russh::Error> {
        Ok(true)
    }
}

/// Measures and prints.
///
/// # Errors
/// When any part does not work.
pub async fn measure() -> anyhow::Result<()> {
    let world = World::start_unlogged(&["bench"]).await?;
    let mut mcp = world.mcp().await?;
    let client = world.client()?;
    let bare = connect(&world).await?;
    let idle = [
        ("controller", world.controller.as_ref().map(crate::process::Process::id)),
        ("agent", world.agent.as_ref().map(crate::process::Process::id)),
        ("bridge", mcp.bridge_id()),
    ];
    println!("\nidle memory (resident)");
    for (name, id) in idle {
        println!("  {name:<12} {:>6.1} MiB", resident_kib(id.context("no process")?)? as f64 / 1024.0);
    }

    let job = spec(&["bench"], &["true"])?;
    let call = json!({"alias": "bench", "command": "true"});
    let denied = spec(&["bench"], &["reboot"])?;
    let (mut plan, mut refusal) = (Times::default(), Times::default());
    for _ in 0..ROUNDS {
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

    let wrapped = "echo lictor:inv_0:$$ >&2; LICTOR_INVOCATION=inv_0; export LICTOR_INVOCATION; true";
    let (mut direct, mut marked, mut api, mut bridge) =
        (Times::default(), Times::default(), Times::default(), Times::default());
    for round in 0..WARM_UP + ROUNDS {
        let begun = Instant::now();
        exec(&bare, "true").await?;
        let took_direct = begun.elapsed();
        let begun = Instant::now();
        exec(&bare, wrapped).await?;
        let took_marked = begun.elapsed();
        let begun = Instant::now();
        follow(&client, &job).await?;
        let took_api = begun.elapsed();
        let begun = Instant::now();
        let answer = mcp.call("ssh_run", call.clone()).await?;
        let took_bridge = begun.elapsed();
        anyhow::ensure!(answer["structuredContent"]["state"] == "SUCCEEDED", "{answer}");
        if round >= WARM_UP {
            direct.add(took_direct);
            marked.add(took_marked);
            api.add(took_api);
            bridge.add(took_bridge);
        }
    }
    println!("\nwarm exec of `true` on a real sshd, audit on disk, ways interleaved in one run");
    println!("  {}", direct.line("bare russh exec"));
    println!("  {}", marked.line("the same with marker and cookie"));
    println!("  {}", api.line("API: controller, agent, SSH and back"));
    println!("  {}", bridge.line("MCP: bridge, controller, agent, SSH and back"));
    println!(
        "  added by controller and agent (p50)           {:>8.0} µs",
        api.percentile(50) - direct.percentile(50)
    );
    println!(
        "  added by bridge, controller and agent (p50)   {:>8.0} µs",
        bridge.percentile(50) - direct.percentile(50)
    );
    Ok(())
}

async fn connect(world: &World) -> anyhow::Result<client::Handle<AnyKey>> {
    let config = client::Config { nodelay: true, ..client::Config::default() };
    let mut handle =
        client::connect(Arc::new(config), ("127.0.0.1", world.host("bench").port()), AnyKey).await?;
    let key = PrivateKeyWithHashAlg::new(Arc::clone(&world.login), None);
    let user = lictor_cli::demo::sshd::current_user()?;
    anyhow::ensure!(handle.authenticate_publickey(user, key).await?.success(), "the host refuses the key");
    Ok(handle)
}

async fn exec(handle: &client::Handle<AnyKey>, command: &str) -> anyhow::Result<()> {
    let mut channel = handle.channel_open_session().await?;
    channel.exec(true, command).await?;
    let mut status = None;
    while let Some(message) = channel.wait().await {
        if let ChannelMsg::ExitStatus { exit_status } = message {
            status = Some(exit_status);
        }
    }
    anyhow::ensure!(status == Some(0), "{command} ended with {status:?}");
    Ok(())
}
