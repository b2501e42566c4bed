//! Simulated SSH hosts on every loopback address, at one port, until the process is ended.
//!
//! `lictor-host-simulator PORT HOST_KEY_FILE LOGIN_PUBLIC_KEY_FILE`. One thread: it shares the machine with who asks.

use std::path::Path;

use anyhow::Context as _;
use lictor_tests::{process::raise_file_limit, simulator};
use russh::keys::{PrivateKey, PublicKey};

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [port, key, login] = arguments.as_slice() else {
        anyhow::bail!("usage: lictor-host-simulator PORT HOST_KEY_FILE LOGIN_PUBLIC_KEY_FILE");
    };
    let port = port.parse().context("the port must be a number up to 65535")?;
    let key = PrivateKey::read_openssh_file(Path::new(key)).context("the host key")?;
    let login = PublicKey::read_openssh_file(Path::new(login)).context("the login key")?;
    raise_file_limit()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = simulator::listen(port)?;
        Ok(simulator::Hosts::new(key, login).serve(listener).await?)
    })
}
