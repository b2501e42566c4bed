//! The listener of the bridge with the tools, prompts and resources that the official conformance suite asks for by name, in
//! place of those that run commands: so that the suite can judge everything that lies between a client and a tool.
//!
//! `cargo run -p lictor-mcp-bridge --example conformance -- 127.0.0.1:8765`
#![allow(deprecated, reason = "the suite tests parts of the protocol that are on their way out")]

mod content;
mod input;
mod server;
mod tasks;

use std::path::Path;

use anyhow::Context as _;
use lictor_mcp_bridge::http::{config::HttpConfig, listen};
use lictor_runtime::shutdown::Shutdown;

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let address = std::env::args().nth(1).context("where to listen, e.g. 127.0.0.1:8765")?;
    let config = HttpConfig::loopback(address.parse().context("not an address")?, Path::new("."))?;
    let shutdown = Shutdown::on_signals()?;
    let fixture = server::Fixture::new()?;
    let listening = listen(&config, move || fixture.clone(), |_| None, &shutdown).await?;
    println!("serving the conformance fixture on http://{}/mcp", listening.address);
    shutdown.stopping().await;
    listening.end().await;
    Ok(())
}
