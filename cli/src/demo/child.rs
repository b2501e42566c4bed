//! A process of this very program that ends with its guard, and also when this process dies without a word.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{Broken, processes};

/// Time to end after being asked to; then it is killed.
const STOP_WAIT: Duration = Duration::from_secs(5);
/// How often it is looked at until then.
const STOP_LOOK: Duration = Duration::from_millis(10);
/// Lines of a log that are shown when something broke.
const LOG_LINES: usize = 15;

/// A running process.
#[derive(Debug)]
pub(super) struct Guarded {
    name: String,
    child: Child,
    log: PathBuf,
}

// === impl Guarded ===

impl Guarded {
    /// Starts this program with `arguments`; `mark` (`NAME=value`) is in its environment, its log goes to `log`.
    pub(super) fn start(name: &str, arguments: &[&str], log: &Path, mark: &str) -> Result<Self, Broken> {
        let broken = |e: std::io::Error| Broken::doing(&format!("cannot start {name}"), &e);
        let program = std::env::current_exe().map_err(broken)?;
        let (variable, value) = mark.split_once('=').unwrap_or((mark, ""));
        let child = Command::new(program)
            .args(arguments)
            .env(variable, value)
            // A child that reads the end of its input knows that its parent is gone.
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(File::create(log).map_err(broken)?)
            .spawn()
            .map_err(broken)?;
        Ok(Self { name: name.to_owned(), child, log: log.to_owned() })
    }

    /// Breaks if it has ended by itself.
    pub(super) fn lives(&mut self) -> Result<(), Broken> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            _ => Err(Broken(format!("the {} ended by itself:\n{}", self.name, self.last_lines()))),
        }
    }

    /// The end of its log.
    pub(super) fn last_lines(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES);
        format!("--- {}\n{}\n", self.name, lines.get(from..).unwrap_or_default().join("\n"))
    }

    /// Asks it to end, without waiting.
    pub(super) fn ask_to_stop(&self) {
        processes::terminate(i32::try_from(self.child.id()).unwrap_or_default());
    }
}

impl Drop for Guarded {
    fn drop(&mut self) {
        self.ask_to_stop();
        let asked = Instant::now();
        while asked.elapsed() < STOP_WAIT {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return;
            }
            std::thread::sleep(STOP_LOOK);
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
