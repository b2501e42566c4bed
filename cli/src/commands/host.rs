//! `lictor host`: pinning the keys of this site's hosts. Works on the site's files, at the site.

use std::io::{self, BufRead as _, IsTerminal as _, Write as _};

use clap::{Args, Subcommand};
use lictor_agent::{
    AgentConfig,
    host_key::{self, ScanError, ScannedKey},
    site::{Host, Site},
};
use lictor_core::{error::ErrorCode, name::HostAlias};
use lictor_runtime::exit::Exit;
use serde::Serialize;

use super::serve::{chain, files};
use crate::{
    Done,
    context::Context,
    render::style::{Style, Tone},
    trouble::Trouble,
};

/// Work on the hosts of this site
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Show the keys of hosts, and pin them: a host whose key is not pinned is never logged in to
    Scan(Scan),
}

#[derive(Debug, Args)]
struct Scan {
    /// Hosts, by their alias in hosts.yml
    #[arg(
        value_name = "HOST",
        value_delimiter = ',',
        required_unless_present = "all",
        conflicts_with = "all"
    )]
    hosts: Vec<HostAlias>,
    /// Every host of the site
    #[arg(long)]
    all: bool,
    /// Pin without asking
    #[arg(long)]
    accept: bool,
    /// Drop keys that were pinned before, where a host shows others
    #[arg(long)]
    replace: bool,
}

#[derive(Debug, Serialize)]
struct HostKeys {
    host: String,
    keys: Vec<KeyDocument>,
    pinned: bool,
    error: Option<String>,
}

#[derive(Debug, Serialize)]
struct KeyDocument {
    algorithm: String,
    fingerprint: String,
    known: bool,
    changed: bool,
}

/// What a host's keys call for.
enum Need {
    Nothing,
    Pin,
    Replace,
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    let Verb::Scan(arguments) = arguments.verb;
    let home = context.site()?;
    let config = AgentConfig::load(&home.agent_file()).map_err(files)?;
    let site = Site::load(&config.site, 0).map_err(files)?;
    let hosts = if arguments.all { outside_in(&site) } else { arguments.hosts.clone() };
    if hosts.is_empty() {
        return Err(Trouble::usage(
            format!("there is no host in {}", config.site.hosts.display()),
            "add hosts to it; the comments in the file show how",
        ));
    }
    let mut done = Vec::new();
    for host in hosts {
        let scanned = host_key::scan(&config, host.as_str()).await;
        done.push(one(&config, &host, scanned, &arguments, &site, context)?);
    }
    if context.is_json() {
        context.print_json(&done)?;
    }
    let open = done.iter().filter(|host| !host.pinned).count();
    Ok(if open == 0 { Exit::Ok } else { Exit::NotRun }.into())
}

fn one(
    config: &AgentConfig,
    host: &HostAlias,
    scanned: Result<Vec<ScannedKey>, ScanError>,
    arguments: &Scan,
    site: &Site,
    context: &Context,
) -> Result<HostKeys, Trouble> {
    let keys = match scanned {
        Ok(keys) => keys,
        Err(error @ ScanError::NoSuchHost(_)) => {
            return Err(Trouble::new(
                Exit::Usage,
                ErrorCode::NotFound,
                chain(&error),
                "see which there are in hosts.yml",
            ));
        }
        Err(error) => {
            let error = chain(&error);
            context.note(&format!("{host}: {error}"));
            return Ok(HostKeys {
                host: host.to_string(),
                keys: Vec::new(),
                pinned: false,
                error: Some(error),
            });
        }
    };
    if !context.is_json() {
        context.print(&shown(host, &keys, site, context.out))?;
    }
    let pinned = match need(&keys) {
        Need::Nothing => true,
        Need::Replace if !arguments.replace => {
            context.note(&format!(
                "{host}: another key is pinned. If the host was reinstalled, compare the new key with its console and run:\n  \
                 lictor host scan {host} --replace"
            ));
            false
        }
        Need::Pin | Need::Replace => {
            let agreed = arguments.accept || ask(host, context)?;
            if agreed {
                let pin = host_key::pin(config, host.as_str(), &keys, arguments.replace);
                pin.map_err(|e| Trouble::usage(chain(&e), "check who owns the file"))?;
                // The keys were shown as they were before.
                if !context.is_json() {
                    let pinned = context.out.paint(Tone::Good, "pinned");
                    context.print(&format!("{host}: {pinned}\n"))?;
                }
            }
            agreed
        }
    };
    let keys = keys.into_iter().map(|key| KeyDocument {
        algorithm: key.algorithm,
        fingerprint: key.fingerprint,
        known: key.known,
        changed: key.changed,
    });
    Ok(HostKeys { host: host.to_string(), keys: keys.collect(), pinned, error: None })
}

fn need(keys: &[ScannedKey]) -> Need {
    if keys.iter().any(|key| key.changed) {
        Need::Replace
    } else if keys.iter().all(|key| key.known) {
        Need::Nothing
    } else {
        Need::Pin
    }
}

/// The keys that a host shows; of a changed one, the old beside the new.
fn shown(host: &HostAlias, keys: &[ScannedKey], site: &Site, style: Style) -> String {
    let entry = site.hosts.get(host);
    let address = entry.map(|h| format!(" {}", style.faint(&place(h)))).unwrap_or_default();
    let mut text = format!("{}{address}\n", style.strong(host.as_str()));
    for key in keys {
        let (tone, state) = match (key.known, key.changed) {
            (true, _) => (Tone::Good, "pinned"),
            (false, true) => (Tone::Bad, "CHANGED"),
            (false, false) => (Tone::Warn, "not pinned"),
        };
        text += &format!("  {:<20} {}  {}\n", key.algorithm, key.fingerprint, style.paint(tone, state));
    }
    if keys.iter().any(|key| key.changed) {
        let old = entry.map(|h| site.known_hosts.fingerprints(&h.key_name())).unwrap_or_default();
        for fingerprint in old {
            text +=
                &format!("  {:<20} {fingerprint}  {}\n", "pinned until now", style.paint(Tone::Warn, "old"));
        }
    }
    text
}

/// Where a host is, and the jump hosts on the way.
fn place(host: &Host) -> String {
    let via = host.via.as_ref().map(|jump| format!(" via {jump}")).unwrap_or_default();
    format!("{}:{}{via}", host.address, host.port)
}

/// Every host, jump hosts before those behind them: their keys have to be pinned first.
fn outside_in(site: &Site) -> Vec<HostAlias> {
    let jumps = |host: &Host| {
        std::iter::successors(host.via.as_ref(), |via| site.hosts.get(*via).and_then(|h| h.via.as_ref()))
            .count()
    };
    let mut hosts: Vec<_> = site.hosts.values().collect();
    hosts.sort_by_key(|host| jumps(host));
    hosts.into_iter().map(|host| host.alias.clone()).collect()
}

/// Asks a person; without one, nothing is pinned.
fn ask(host: &HostAlias, context: &Context) -> Result<bool, Trouble> {
    if !io::stdin().is_terminal() || context.is_json() {
        context.note(&format!("{host}: not pinned; compare with the host's own console, then add --accept"));
        return Ok(false);
    }
    let mut out = io::stderr().lock();
    write!(out, "Compare with the host's own console. Pin for {host}? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}
