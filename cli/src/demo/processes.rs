//! Processes of this machine, for looking whether they are gone and for taking down what a demo or a test started.

use std::{fs, time::Duration};

use rustix::process::{Pid, Signal, kill_process};

/// Rounds of ending leaves: more than any tree that is started here is high.
const KILL_ROUNDS: u32 = 100;
/// Time for parents to bury their children before the next round.
const KILL_PAUSE: Duration = Duration::from_millis(10);

/// A process as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: i32,
    /// Its parent's number.
    pub parent: i32,
    /// Program and arguments, as they were given.
    pub words: Vec<String>,
}

/// Every process that can be seen but for the dead who are not yet buried, from `/proc`; where there is none, from `ps`.
pub fn all() -> Vec<Process> {
    match fs::read_dir("/proc/self").and_then(|_| fs::read_dir("/proc")) {
        Ok(entries) => entries
            .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
            .filter_map(from_proc)
            .collect(),
        Err(_) => from_ps(),
    }
}

fn from_proc(pid: i32) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything; behind it stand the state and the parent (proc(5)).
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let (state, parent) = (fields.next()?, fields.next()?.parse().ok()?);
    if matches!(state, "Z" | "X") {
        return None;
    }
    let line = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let words = line.split(|b| *b == 0).filter(|word| !word.is_empty());
    let words = words.map(|word| String::from_utf8_lossy(word).into_owned()).collect();
    Some(Process { pid, parent, words })
}

fn from_ps() -> Vec<Process> {
    let listed = std::process::Command::new("ps").args(["-axwwo", "pid=,ppid=,command="]).output();
    let text = listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let one = |line: &str| {
        let mut fields = line.split_ascii_whitespace();
        let (pid, parent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        Some(Process { pid, parent, words: fields.map(str::to_owned).collect() })
    };
    text.lines().filter_map(one).collect()
}

/// Those that were started with exactly these words.
pub fn running(words: &[&str]) -> Vec<i32> {
    all().into_iter().filter(|process| process.words == words).map(|process| process.pid).collect()
}

/// Ends everything below `root`, from the leaves up, so that each parent buries its own children; what does not end
/// within a second is left.
pub fn kill_below(root: i32) {
    for _ in 0..KILL_ROUNDS {
        let all = all();
        let below = below(root, &all);
        if below.is_empty() {
            return;
        }
        let is_leaf = |pid: &&i32| !all.iter().any(|process| process.parent == **pid);
        below.iter().filter(is_leaf).copied().for_each(kill);
        std::thread::sleep(KILL_PAUSE);
    }
}

/// Everything below `root`: its children, their children, and so on.
pub fn descendants(root: i32) -> Vec<i32> {
    below(root, &all())
}

/// Children of `root`, their children, and so on.
fn below(root: i32, all: &[Process]) -> Vec<i32> {
    let mut found = vec![root];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(all.iter().filter(|p| p.parent == parent && p.pid != parent).map(|p| p.pid));
        next += 1;
    }
    found.split_off(1)
}

/// Those whose environment has `entry` (`NAME=value`), but for this process; only where there is `/proc`.
pub fn with_environment(entry: &str) -> Vec<i32> {
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    let has = |pid: i32| {
        let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
        environment.split(|b| *b == 0).any(|found| found == entry.as_bytes())
    };
    all().into_iter().map(|process| process.pid).filter(|pid| *pid != own && has(*pid)).collect()
}

/// Asks a process to end (SIGTERM). One that is gone is no error.
pub fn terminate(pid: i32) {
    signal(pid, Signal::TERM);
}

/// Ends a process at once (SIGKILL). One that is gone is no error.
pub fn kill(pid: i32) {
    signal(pid, Signal::KILL);
}

fn signal(pid: i32, signal: Signal) {
    // 1 and below are not processes that anybody here started.
    if let Some(pid) = Pid::from_raw(pid).filter(|_| pid > 1) {
        let _ = kill_process(pid, signal);
    }
}
