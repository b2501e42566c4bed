//! A network namespace with one cable to this one, which can be pulled and put back.

use std::{
    net::Ipv4Addr,
    path::Path,
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
};

use anyhow::Context as _;

use crate::process::Process;

/// Several in one test binary get different networks.
static NEXT: AtomicU8 = AtomicU8::new(0);

/// The namespace; it ends with this value.
#[derive(Debug)]
pub struct Netns {
    name: String,
    cable: String,
    near: Ipv4Addr,
}

impl Netns {
    /// Makes a namespace, and a cable whose near end has an address in this one.
    ///
    /// # Errors
    /// When this process may not: it takes root, or a container with `CAP_NET_ADMIN` and `CAP_SYS_ADMIN`.
    pub fn new() -> anyhow::Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let id = std::process::id();
        let (name, cable) = (format!("lictor-{id}-{number}"), format!("lt{id}n{number}"));
        let [_, .., low] = id.to_be_bytes();
        // 10.203.x.y/30: the near end is .1, the far one .2.
        let base = (number % 64) * 4;
        let (near, far) = (Ipv4Addr::new(10, 203, low, base + 1), Ipv4Addr::new(10, 203, low, base + 2));
        ip(&["netns", "add", &name]).context(
            "this test needs a network namespace: run it as root (package iproute2), in a container with CAP_NET_ADMIN and CAP_SYS_ADMIN",
        )?;
        let this = Self { name, cable, near };
        let (name, cable, peer) = (this.name.as_str(), this.cable.as_str(), format!("{}p", this.cable));
        ip(&["link", "add", cable, "type", "veth", "peer", "name", &peer, "netns", name])?;
        ip(&["address", "add", &format!("{near}/30"), "dev", cable])?;
        ip(&["link", "set", cable, "up"])?;
        ip(&["-n", name, "address", "add", &format!("{far}/30"), "dev", &peer])?;
        ip(&["-n", name, "link", "set", &peer, "up"])?;
        ip(&["-n", name, "link", "set", "lo", "up"])?;
        Ok(this)
    }

    /// The address of this side, as the namespace sees it.
    pub const fn near(&self) -> Ipv4Addr {
        self.near
    }
    /// Starts a program in the namespace.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(&self, program: &Path, arguments: &[&str], log: &Path) -> anyhow::Result<Process> {
        let mut command = Command::new("ip");
        Process::spawn(command.args(["netns", "exec", &self.name]).arg(program).args(arguments), log)
    }
    /// Pulls the cable: packets are lost, nobody is told.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn cut(&self) -> anyhow::Result<()> {
        ip(&["link", "set", &self.cable, "down"])
    }
    /// Puts it back.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn heal(&self) -> anyhow::Result<()> {
        ip(&["link", "set", &self.cable, "up"])
    }
}

impl Drop for Netns {
    fn drop(&mut self) {
        let _ = ip(&["link", "delete", &self.cable]);
        let _ = ip(&["netns", "delete", &self.name]);
    }
}

fn ip(arguments: &[&str]) -> anyhow::Result<()> {
    let output = Command::new("ip").args(arguments).output().context("cannot run ip (package iproute2)")?;
    let said = String::from_utf8_lossy(&output.stderr);
    anyhow::ensure!(output.status.success(), "ip {}: {}", arguments.join(" "), said.trim());
    Ok(())
}
