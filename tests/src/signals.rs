//! Signals to processes that a test started, and a guard that lets a stopped one go on.

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

/// Sends a signal. A process that is gone is no error.
pub fn send(id: u32, signal: Signal) {
    // 1 and below are not processes that anybody here started.
    if let Some(pid) = i32::try_from(id).ok().filter(|id| *id > 1).and_then(Pid::from_raw) {
        let _ = kill_process(pid, signal);
    }
}

/// A process that is stopped (`SIGSTOP`) as long as this lives.
#[derive(Debug)]
pub struct Stopped(u32);

impl Stopped {
    /// Stops a process.
    #[must_use]
    pub fn new(id: u32) -> Self {
        send(id, Signal::STOP);
        Self(id)
    }
}

impl Drop for Stopped {
    fn drop(&mut self) {
        send(self.0, Signal::CONT);
    }
}
