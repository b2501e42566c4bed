//! How a process is told to stop: by a signal or by its own failure; and how it waits for what it was doing.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The exit code after a second signal, as shells give it for SIGINT.
const IMPATIENT: i32 = 130;

/// The one stop of a process; clones are the same stop.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    token: CancellationToken,
    tracker: TaskTracker,
    failed: Arc<AtomicBool>,
}

/// How waiting for the tasks ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drained {
    /// Every task has ended.
    Clean,
    /// So many tasks were still running at the deadline.
    Abandoned(usize),
}

// === impl Shutdown ===

impl Shutdown {
    /// A stop that only the process itself can give.
    pub fn new() -> Self {
        Self::default()
    }

    /// A stop that SIGINT and SIGTERM give as well. A second signal ends the process at once.
    ///
    /// # Errors
    /// When the signals cannot be listened to.
    pub fn on_signals() -> io::Result<Self> {
        let this = Self::new();
        let (mut interrupt, mut terminate) =
            (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
        let stop = this.clone();
        tokio::spawn(async move {
            for is_first in [true, false] {
                let name = tokio::select! {
                    _ = interrupt.recv() => "SIGINT",
                    _ = terminate.recv() => "SIGTERM",
                };
                if is_first {
                    tracing::info!(signal = name, "stopping; a second signal ends the process at once");
                    stop.begin();
                }
            }
            tracing::warn!("second signal: ending at once");
            std::process::exit(IMPATIENT);
        });
        Ok(this)
    }

    /// Begins to stop.
    pub fn begin(&self) {
        self.token.cancel();
    }

    /// Begins to stop because something is broken.
    pub fn fail(&self, why: &str) {
        if !self.failed.swap(true, Ordering::SeqCst) {
            tracing::error!(why, "stopping because of a failure");
        }
        self.token.cancel();
    }

    /// Whether the stop was a failure's.
    pub fn has_failed(&self) -> bool {
        self.failed.load(Ordering::SeqCst)
    }

    /// Whether the process is stopping.
    pub fn is_stopping(&self) -> bool {
        self.token.is_cancelled()
    }

    /// The token that is cancelled when the process begins to stop.
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Waits until the process begins to stop.
    pub async fn stopping(&self) {
        self.token.cancelled().await;
    }

    /// Waits until every supervised task has ended, but not longer than `deadline`. Begins the stop if nobody has.
    pub async fn drain(&self, deadline: Duration) -> Drained {
        self.begin();
        self.tracker.close();
        if tokio::time::timeout(deadline, self.tracker.wait()).await.is_ok() {
            return Drained::Clean;
        }
        let left = self.tracker.len();
        tracing::warn!(tasks = left, "tasks were still running at the deadline");
        Drained::Abandoned(left)
    }

    pub(crate) const fn tracker(&self) -> &TaskTracker {
        &self.tracker
    }
}
