//! The site as its files say: hosts, credentials, pinned keys, floor. One snapshot at a time; a broken file keeps the old.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use arc_swap::ArcSwap;
use lictor_core::name::{HostAlias, Tag};
use lictor_policy::PolicySet;
use lictor_runtime::shutdown::Shutdown;
use tokio::sync::watch;

use crate::{
    config::{Problem, Problems, SiteFiles, file},
    secrets::FileSecrets,
    ssh::known_hosts::KnownHosts,
};

/// How often the files are looked at: a changed host is known within this, and looking costs four `stat`s.
const LOOK_INTERVAL: Duration = Duration::from_secs(2);

/// One host of the site.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// What people and policies call it.
    pub alias: HostAlias,
    /// Name or address.
    pub address: String,
    /// Port of its SSH server.
    pub port: u16,
    /// The user to log in as.
    pub user: String,
    /// The name of its credential.
    pub credential: String,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// For people.
    pub description: String,
}

/// Everything that the files said at one moment.
#[derive(Debug)]
pub struct Site {
    /// Grows with every change; connections of an older one are not used again.
    pub generation: u64,
    /// The hosts by alias.
    pub hosts: BTreeMap<HostAlias, Host>,
    /// Their credentials.
    pub secrets: FileSecrets,
    /// Their pinned keys.
    pub known_hosts: KnownHosts,
    /// What no grant may go below; `None`: the site has no floor.
    pub floor: Option<PolicySet>,
}

/// The newest good snapshot, followed while the files change.
#[derive(Debug)]
pub struct LiveSite {
    files: SiteFiles,
    current: ArcSwap<Site>,
    seen: Mutex<Stamps>,
    changed: watch::Sender<u64>,
}

type Stamps = Vec<Option<(u64, u64, i64, i64)>>;

// === impl Site ===

impl Site {
    /// Reads all files.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn load(files: &SiteFiles, generation: u64) -> Result<Self, Problems> {
        let mut problems = Problems(Vec::new());
        let mut keep = |result: Problems| problems.0.extend(result.0);
        let credentials = file::load_credentials(&files.credentials).map_err(&mut keep).ok();
        let names: Option<BTreeSet<String>> = credentials.as_ref().map(|c| c.keys().cloned().collect());
        // Without credentials every reference would be reported as missing: look at the rest when they are readable.
        let hosts = names.map(|names| file::load_hosts(&files.hosts, &names).map_err(&mut keep).ok());
        let known_hosts = load_known_hosts(files).map_err(&mut keep).ok();
        let floor = load_floor(files).map_err(&mut keep).ok();
        match (hosts.flatten(), credentials, known_hosts, floor) {
            (Some(hosts), Some(credentials), Some(known_hosts), Some(floor)) => {
                Ok(Self { generation, hosts, secrets: FileSecrets(credentials), known_hosts, floor })
            }
            _ => Err(problems),
        }
    }
}

fn load_known_hosts(files: &SiteFiles) -> Result<KnownHosts, Problems> {
    let path = &files.known_hosts;
    match fs::read_to_string(path) {
        // A site that has pinned nothing yet has no file; every host is then unknown and refused.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(KnownHosts::default()),
        Err(error) => Err(Problems(vec![Problem::new(path, 0, error)])),
        Ok(text) => KnownHosts::parse(&text).map_err(|bad| {
            Problems(bad.into_iter().map(|(line, why)| Problem::new(path, line, why)).collect())
        }),
    }
}

fn load_floor(files: &SiteFiles) -> Result<Option<PolicySet>, Problems> {
    let Some(path) = &files.floor else { return Ok(None) };
    let text = fs::read_to_string(path).map_err(|e| Problems(vec![Problem::new(path, 0, e)]))?;
    PolicySet::parse(&text).map(Some).map_err(|e| Problems(vec![Problem::new(path, 0, e)]))
}

// === impl LiveSite ===

impl LiveSite {
    /// Reads all files for the first time.
    ///
    /// # Errors
    /// Everything that is wrong with any of them; there is nothing older to keep.
    pub fn load(files: SiteFiles) -> Result<Self, Problems> {
        let seen = Mutex::new(stamps(&files));
        let site = Site::load(&files, 1)?;
        Ok(Self { files, current: ArcSwap::from_pointee(site), seen, changed: watch::Sender::new(1) })
    }

    /// The newest good snapshot.
    pub fn current(&self) -> Arc<Site> {
        self.current.load_full()
    }

    /// Tells of each new snapshot by its generation.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Looks at the files; a change that reads well becomes the snapshot, one that does not is logged.
    pub fn reload_if_changed(&self) {
        let now = stamps(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if *seen == now {
            return;
        }
        *seen = now;
        let generation = self.current.load().generation + 1;
        match Site::load(&self.files, generation) {
            Ok(site) => {
                tracing::info!(generation, hosts = site.hosts.len(), "the site's files changed");
                self.current.store(Arc::new(site));
                self.changed.send_replace(generation);
            }
            Err(problems) => {
                tracing::error!(%problems, "the site's files changed and cannot be read; the old ones stay in force")
            }
        }
    }

    /// Looks at the files until the process stops.
    pub async fn watch(self: Arc<Self>, shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.stopping() => return,
                _ = ticks.tick() => {
                    let site = Arc::clone(&self);
                    // Files block; the loop waits, so that two looks never overlap.
                    let _ = tokio::task::spawn_blocking(move || site.reload_if_changed()).await;
                }
            }
        }
    }
}

fn stamps(files: &SiteFiles) -> Stamps {
    [Some(&files.hosts), Some(&files.credentials), Some(&files.known_hosts), files.floor.as_ref()]
        .into_iter()
        .map(|path| {
            let meta = fs::metadata(path?).ok()?;
            Some((meta.ino(), meta.len(), meta.mtime(), meta.mtime_nsec()))
        })
        .collect()
}
