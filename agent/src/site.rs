//! The site as its files say: hosts, credentials, pinned keys, floor. One snapshot at a time; a broken file keeps the old.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    os::unix::fs::MetadataExt as _,
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use arc_swap::ArcSwap;
use lictor_core::{
    label::Labels,
    name::{HostAlias, Tag},
};
use lictor_policy::PolicySet;
use lictor_runtime::shutdown::Shutdown;
use tokio::sync::watch;

use crate::{
    config::{Problem, Problems, SiteFiles, file, hosts},
    redact::{Known, Redactor},
    secrets::FileSecrets,
    ssh::known_hosts::{KnownHosts, file_name},
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
    /// The jump host that it is reached through.
    pub via: Option<HostAlias>,
    /// The name under which its keys are pinned, in place of address and port.
    pub host_key_alias: Option<String>,
    /// Its own `max_connections_per_host`.
    pub max_connections: Option<usize>,
    /// Its own `max_channels_per_connection`.
    pub max_channels: Option<usize>,
    /// Its tags.
    pub tags: Vec<Tag>,
    /// Its labels.
    pub labels: Labels,
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
    known: Known,
    seen: Mutex<Seen>,
    /// When the last look began that [`LiveSite::look`] made.
    looked: tokio::sync::Mutex<Option<Instant>>,
    changed: watch::Sender<u64>,
}

/// What tells one version of a file from another; `None`: there is no such file.
pub(crate) type Stamp = Option<(u64, u64, [i64; 4])>;

/// The versions of hosts, credentials, known_hosts and floor.
type Stamps = [Stamp; 4];

/// What is in force, and what was said about the rest.
#[derive(Debug)]
struct Seen {
    /// `None`: the last read failed; it is tried again at every look, whether the file changes or not.
    in_force: [Option<Stamp>; 4],
    complained: Option<Problems>,
}

// === impl Host ===

impl Host {
    /// The name under which its keys are pinned in `known_hosts`.
    pub fn key_name(&self) -> String {
        match &self.host_key_alias {
            Some(name) => name.to_lowercase(),
            None => file_name(&self.address, self.port),
        }
    }

    /// The name that its host certificate must bear: without a port (PROTOCOL.certkeys).
    pub(crate) fn certified_name(&self) -> String {
        self.host_key_alias.as_ref().unwrap_or(&self.address).to_lowercase()
    }
}

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
        let hosts = names.map(|names| hosts::load_hosts(&files.hosts, &names).map_err(&mut keep).ok());
        let known_hosts = load_known_hosts(files).map_err(&mut keep).ok();
        let floor = load_floor(files).map_err(&mut keep).ok();
        let redacted = files.redaction.read_secrets().map_err(&mut keep).ok();
        match (hosts.flatten(), credentials, known_hosts, floor, redacted) {
            (Some(hosts), Some(credentials), Some(known_hosts), Some(floor), Some(_)) => {
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
    parse_floor(&text).map(Some).map_err(|e| Problems(vec![Problem::new(path, 0, e)]))
}

/// A floor is a policy, but for what only a controller can do: count over time, ask others, see a whole job.
fn parse_floor(text: &str) -> Result<PolicySet, String> {
    let floor = PolicySet::parse(text).map_err(|e| e.to_string())?;
    match floor.not_for_floors() {
        None => Ok(floor),
        Some(key) => Err(format!(
            "`{key}` has no meaning in a floor, which allows or denies each command on its own; take it out, and ask \
             for it in the controller's policy"
        )),
    }
}

// === impl LiveSite ===

impl LiveSite {
    /// Reads all files for the first time.
    ///
    /// # Errors
    /// Everything that is wrong with any of them; there is nothing older to keep.
    pub fn load(files: SiteFiles) -> Result<Self, Problems> {
        let in_force = stamps(&files).map(Some);
        let seen = Mutex::new(Seen { in_force, complained: None });
        let site = Site::load(&files, 1)?;
        let known = Known::load(files.redaction.clone(), &site.secrets, site.generation)?;
        let (current, changed) = (ArcSwap::from_pointee(site), watch::Sender::new(1));
        Ok(Self { files, current, known, seen, looked: tokio::sync::Mutex::default(), changed })
    }

    /// The newest good snapshot.
    pub fn current(&self) -> Arc<Site> {
        self.current.load_full()
    }

    /// What is masked in what hosts say.
    pub fn redactor(&self) -> Arc<Redactor> {
        self.known.redactor()
    }

    /// Looks at the files with secrets: one that was just logged in with may be new.
    pub(crate) fn follow_secrets(&self) {
        let site = self.current();
        self.known.follow(&site.secrets, site.generation);
    }

    /// Tells of each new snapshot by its generation.
    pub fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// Looks at the files; each that changed and reads well takes effect, one that does not is logged once and tried
    /// again at every look.
    pub fn reload_if_changed(&self) {
        self.reload_site_if_changed();
        self.follow_secrets();
    }

    /// As [`Self::reload_if_changed`], from a task: what is in force afterwards is not older than this call. Of many calls
    /// at once a few look, and the others go by what those saw.
    pub(crate) async fn look(self: &Arc<Self>) {
        let asked = Instant::now();
        let mut looked = self.looked.lock().await;
        if looked.is_some_and(|began| began > asked) {
            return;
        }
        let (site, begins) = (Arc::clone(self), Instant::now());
        // One that was given up half-way counts for nobody.
        if tokio::task::spawn_blocking(move || site.reload_if_changed()).await.is_ok() {
            *looked = Some(begins);
        }
    }

    fn reload_site_if_changed(&self) {
        let now = stamps(&self.files);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if seen.in_force == now.map(Some) {
            return;
        }
        let old = self.current.load_full();
        let (site, problems) = seen.take_over(&self.files, &old, now);
        if let Some(site) = site {
            let generation = site.generation;
            tracing::info!(generation, hosts = site.hosts.len(), "the site's files changed");
            self.current.store(Arc::new(site));
            self.changed.send_replace(generation);
        }
        let problems = Some(problems).filter(|p| !p.0.is_empty());
        if let Some(problems) = problems.as_ref().filter(|p| seen.complained.as_ref() != Some(p)) {
            tracing::error!(%problems, "some of the site's files cannot be read; their old content stays in force");
        }
        seen.complained = problems;
    }

    /// Looks at the files until the process stops.
    pub async fn watch(self: Arc<Self>, shutdown: Shutdown) {
        let mut ticks = tokio::time::interval(LOOK_INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = shutdown.stopping() => return,
                _ = ticks.tick() => {
                    self.look().await;
                }
            }
        }
    }
}

// === impl Seen ===

impl Seen {
    /// Reads what is not in force as it is `now`. Gives the new snapshot if anything of it is new, and what is wrong.
    fn take_over(&mut self, files: &SiteFiles, old: &Site, now: Stamps) -> (Option<Site>, Problems) {
        let [hosts_stale, credentials_stale, known_hosts_stale, floor_stale] =
            std::array::from_fn(|n| self.in_force.get(n) != now.get(n).copied().map(Some).as_ref());
        let mut problems = Problems(Vec::new());
        let mut keep = |result: Problems| problems.0.extend(result.0);
        let credentials =
            credentials_stale.then(|| file::load_credentials(&files.credentials).map_err(&mut keep).ok());
        let fresh_credentials = credentials.as_ref().is_some_and(Option::is_some);
        let secrets = credentials.flatten().map(FileSecrets);
        // Hosts refer to credentials: new ones are a reason to look at them again.
        let hosts = (hosts_stale || fresh_credentials).then(|| {
            let names = secrets.as_ref().unwrap_or(&old.secrets).0.keys().cloned().collect();
            hosts::load_hosts(&files.hosts, &names).map_err(&mut keep).ok()
        });
        let known_hosts = known_hosts_stale.then(|| load_known_hosts(files).map_err(&mut keep).ok());
        let floor = floor_stale.then(|| load_floor(files).map_err(&mut keep).ok());
        let read = [
            hosts.as_ref().map(Option::is_some),
            credentials_stale.then_some(fresh_credentials),
            known_hosts.as_ref().map(Option::is_some),
            floor.as_ref().map(Option::is_some),
        ];
        for ((in_force, now), read) in self.in_force.iter_mut().zip(now).zip(read) {
            if let Some(good) = read {
                *in_force = good.then_some(now);
            }
        }
        let site = read.contains(&Some(true)).then(|| Site {
            generation: old.generation + 1,
            hosts: hosts.flatten().unwrap_or_else(|| old.hosts.clone()),
            secrets: secrets.unwrap_or_else(|| old.secrets.clone()),
            known_hosts: known_hosts.flatten().unwrap_or_else(|| old.known_hosts.clone()),
            floor: floor.flatten().unwrap_or_else(|| old.floor.clone()),
        });
        (site, problems)
    }
}

fn stamps(files: &SiteFiles) -> Stamps {
    [Some(&files.hosts), Some(&files.credentials), Some(&files.known_hosts), files.floor.as_ref()]
        .map(|path| stamp(path?))
}

/// Which version of a file is there.
pub(crate) fn stamp(path: &Path) -> Stamp {
    let meta = fs::metadata(path).ok()?;
    // The time of change cannot be set back, as that of writing can.
    let times = [meta.mtime(), meta.mtime_nsec(), meta.ctime(), meta.ctime_nsec()];
    Some((meta.ino(), meta.len(), times))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn write_secret(path: &std::path::Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    }

    const HOSTS: &str = "hosts:\n  - {alias: a, address: 192.0.2.1, user: ops, credential: key}\n";
    const FLOOR: &str =
        "version: 1\nrules:\n  - {id: r, effect: allow, where: all, commands: [uptime, reboot]}\n";

    fn live(dir: &std::path::Path) -> LiveSite {
        fs::write(dir.join("hosts.yml"), HOSTS).unwrap();
        write_secret(&dir.join("credentials.yml"), "credentials:\n  - {name: key, password: x}\n");
        fs::write(dir.join("floor.yml"), FLOOR).unwrap();
        let files = SiteFiles {
            hosts: dir.join("hosts.yml"),
            credentials: dir.join("credentials.yml"),
            known_hosts: dir.join("known_hosts"),
            floor: Some(dir.join("floor.yml")),
            redaction: crate::redact::Redaction::of_tokens().unwrap(),
        };
        LiveSite::load(files).unwrap_or_else(|problems| panic!("{problems}"))
    }

    #[test]
    fn a_narrowed_floor_takes_effect_although_another_file_is_broken() {
        let dir = tempfile::tempdir().unwrap();
        let site = live(dir.path());
        fs::write(dir.path().join("hosts.yml"), "hosts: [{alias: broken").unwrap();
        fs::write(dir.path().join("floor.yml"), FLOOR.replace(", reboot", "")).unwrap();
        site.reload_if_changed();
        let now = site.current();
        assert_eq!((now.generation, now.hosts.len()), (2, 1));
        assert!(!format!("{:?}", now.floor).contains("reboot"));
        site.reload_if_changed();
        assert_eq!(site.current().generation, 2, "what stays broken changes nothing");
    }

    #[tokio::test]
    async fn each_of_many_looks_at_once_sees_what_was_written_before_it() {
        let dir = tempfile::tempdir().unwrap();
        let site = Arc::new(live(dir.path()));
        // Of different lengths: not every file system tells writes of one moment apart by their time.
        for commands in [", reboot", ", halt", ", shutdown"] {
            fs::write(dir.path().join("floor.yml"), FLOOR.replace(", reboot", commands)).unwrap();
            let looks: Vec<_> = (0..32)
                .map(|_| {
                    let site = Arc::clone(&site);
                    tokio::spawn(async move {
                        site.look().await;
                        format!("{:?}", site.current().floor)
                    })
                })
                .collect();
            for look in looks {
                assert!(look.await.unwrap().contains(&commands[2..]));
            }
        }
    }

    #[test]
    fn a_floor_with_what_only_a_controller_can_do_is_refused_and_the_old_one_stays() {
        let dir = tempfile::tempdir().unwrap();
        let site = live(dir.path());
        let path = dir.path().join("floor.yml");
        let old = site.current().floor.as_ref().map(PolicySet::digest);
        let approve = "approve: {approvals: 1, group: ops, within: 1h}";
        for (key, floor) in [
            ("`quotas`", format!("{FLOOR}quotas: [{{id: q, running: 3}}]\n")),
            (
                "`effect: approve`",
                format!("groups: {{ops: {{users: [a]}}}}\n{FLOOR}")
                    .replace("effect: allow,", &format!("effect: approve, {approve},")),
            ),
            ("`max_hosts`", FLOOR.replace("where: all,", "where: all, max_hosts: 3,")),
        ] {
            PolicySet::parse(&floor).unwrap_or_else(|errors| panic!("a policy may have {key}: {errors}"));
            fs::write(&path, floor).unwrap();
            let problems = Site::load(&site.files, 0).unwrap_err().to_string();
            assert!(problems.contains(key) && problems.contains("floor.yml"), "{problems}");
            site.reload_if_changed();
            assert_eq!(site.current().floor.as_ref().map(PolicySet::digest), old);
        }
    }

    #[test]
    fn what_could_not_be_read_is_read_as_soon_as_it_can_be_though_the_file_is_the_same() {
        let dir = tempfile::tempdir().unwrap();
        let site = live(dir.path());
        let key = dir.path().join("late");
        let entry = "  - {name: key, password: x}\n  - {name: late, password_file: late}\n";
        write_secret(&dir.path().join("credentials.yml"), &format!("credentials:\n{entry}"));
        fs::write(dir.path().join("hosts.yml"), HOSTS.replace("credential: key", "credential: late"))
            .unwrap();
        site.reload_if_changed();
        assert_eq!(site.current().generation, 1);
        write_secret(&key, "y");
        site.reload_if_changed();
        let now = site.current();
        assert_eq!(now.generation, 2);
        assert!(now.secrets.0.contains_key("late"));
        assert!(now.hosts.values().all(|host| host.credential == "late"));
    }
}
