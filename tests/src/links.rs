//! A whole Lictor whose every connection goes through a proxy: agent to controller, and agent to each host.

use std::{
    collections::BTreeMap,
    fs,
    net::{IpAddr, Ipv4Addr, SocketAddr},
};

use anyhow::Context as _;

use crate::{World, proxy::Proxy};

/// The proxies of one system.
#[derive(Debug)]
pub struct Links {
    /// Between the agent and the controller.
    pub controller: Proxy,
    /// Between the agent and each host.
    pub hosts: BTreeMap<String, Proxy>,
}

impl Links {
    /// Puts proxies between what a prepared system names, by its files.
    ///
    /// # Errors
    /// When there is no free port or a file cannot be written.
    pub async fn lay(world: &World) -> anyhow::Result<Self> {
        Self::lay_on(world, Ipv4Addr::LOCALHOST).await
    }

    /// As [`Links::lay`], with the proxies on this address, which is what the agent connects to.
    ///
    /// # Errors
    /// As [`Links::lay`].
    pub async fn lay_on(world: &World, near: Ipv4Addr) -> anyhow::Result<Self> {
        let near = SocketAddr::from((near, 0));
        let mut hosts = BTreeMap::new();
        let file = world.home().join("hosts.yml");
        let mut text = fs::read_to_string(&file)?;
        for host in &world.hosts {
            let proxy = Proxy::start_on(near, SocketAddr::from((Ipv4Addr::LOCALHOST, host.port()))).await?;
            let entry = |ip, port| format!("alias: {}, address: {ip}, port: {port},", host.alias);
            let direct = entry(IpAddr::V4(Ipv4Addr::LOCALHOST), host.port());
            anyhow::ensure!(text.contains(&direct), "hosts.yml looks different");
            text = text.replace(&direct, &entry(proxy.address().ip(), proxy.address().port()));
            hosts.insert(host.alias.clone(), proxy);
        }
        fs::write(&file, text)?;
        let controller = Proxy::start_on(near, world.address().parse()?).await?;
        world.set_agent("controller", &controller.address().to_string())?;
        Ok(Self { controller, hosts })
    }

    /// The proxy before this host.
    ///
    /// # Errors
    /// When there is none.
    pub fn host(&self, alias: &str) -> anyhow::Result<&Proxy> {
        self.hosts.get(alias).with_context(|| format!("no proxy for {alias}"))
    }
}

impl World {
    /// A system with proxies.
    ///
    /// # Errors
    /// When any part does not start.
    pub async fn start_with_links(aliases: &[&str]) -> anyhow::Result<(Self, Links)> {
        let world = Self::prepare(aliases)?;
        let links = Links::lay(&world).await?;
        Ok((world.set_up().await?, links))
    }

    /// Gives a key of the agent's file another value.
    ///
    /// # Errors
    /// When the file has no such key.
    pub fn set_agent(&self, key: &str, value: &str) -> anyhow::Result<()> {
        let file = self.home().join("agent.yml");
        let text = fs::read_to_string(&file)?;
        let is_key = |line: &str| line.starts_with(&format!("{key}:"));
        anyhow::ensure!(text.lines().any(is_key), "agent.yml has no key {key}");
        let lines = text
            .lines()
            .map(|line| if is_key(line) { format!("{key}: {value}\n") } else { format!("{line}\n") });
        Ok(fs::write(&file, lines.collect::<String>())?)
    }
}
