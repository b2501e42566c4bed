//! A child process that never outlives the test, with its log in a file.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;

/// How long anything that must happen may take. Generous: a machine may be slow; a test fails only if it never happens.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// The unit of processor time in `/proc` (`getconf CLK_TCK`): the same on every architecture that Lictor is built for.
const TICKS_PER_SECOND: u32 = 100;

/// A running child.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `program`; its standard error goes to the file `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(program: &Path, arguments: &[&str], log: &Path) -> anyhow::Result<Self> {
        Self::spawn(Command::new(program).args(arguments), log)
    }
    /// Starts `command`; its standard error goes to the file `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn spawn(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::options().create(true).append(true).open(log)?;
        let started = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn();
        let child = started.with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Self { child, log: log.to_owned() })
    }
    /// Its process number.
    pub fn id(&self) -> u32 {
        self.child.id()
    }
    /// Ends it at once, without a chance to tidy up (`SIGKILL`).
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
    /// Waits until it has ended, and says with which code.
    ///
    /// # Errors
    /// When it goes on.
    pub async fn ended(&mut self) -> anyhow::Result<Option<i32>> {
        let child = &mut self.child;
        let mut status = None;
        eventually("the process ends", async || {
            status = child.try_wait().ok().flatten();
            status.is_some()
        })
        .await?;
        Ok(status.and_then(|status| status.code()))
    }
    /// What it has logged.
    pub fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
    /// Resident memory that belongs to nobody else, in KiB.
    ///
    /// # Errors
    /// When the process is gone.
    pub fn resident_kib(&self) -> anyhow::Result<u64> {
        resident_kib(self.id())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Resident memory of a process, in KiB.
///
/// # Errors
/// When the process is gone.
pub fn resident_kib(id: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{id}/status"))?;
    let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// Processor time that a process has used, with all its threads.
///
/// # Errors
/// When the process is gone.
pub fn cpu_time(id: u32) -> anyhow::Result<Duration> {
    let stat = fs::read_to_string(format!("/proc/{id}/stat"))?;
    // The name, in parentheses, may hold anything; what follows is counted from the state, the third field (proc(5)).
    let (_, rest) = stat.rsplit_once(')').context("no stat")?;
    let mut fields = rest.split_ascii_whitespace().skip(11);
    let mut ticks = || fields.next().context("no times")?.parse::<u64>().map_err(anyhow::Error::from);
    let ticks = ticks()? + ticks()?;
    Ok(Duration::from_secs(ticks) / TICKS_PER_SECOND)
}

/// Raises the number of files that this process and its children may open to what the system allows them.
///
/// # Errors
/// When the system refuses.
pub fn raise_file_limit() -> anyhow::Result<()> {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    Ok(setrlimit(Resource::Nofile, limit)?)
}

/// Waits until `holds`.
///
/// # Errors
/// When it never does.
pub async fn eventually(what: &str, holds: impl AsyncFnMut() -> bool) -> anyhow::Result<()> {
    within(PATIENCE, what, holds).await
}

/// Waits until `holds`, for what has to take its time.
///
/// # Errors
/// When it does not within `patience`.
pub async fn within(
    patience: Duration,
    what: &str,
    mut holds: impl AsyncFnMut() -> bool,
) -> anyhow::Result<()> {
    let begun = Instant::now();
    while !holds().await {
        anyhow::ensure!(begun.elapsed() < patience, "it never happened that {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}
