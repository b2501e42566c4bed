//! When a connection is idle: nothing has run on it for a while. HTTP/1.1 has a deadline for the next head; HTTP/2 has none.

use std::time::Duration;

use tokio::sync::watch;

/// How long nothing may run on an HTTP/2 connection. Whoever wants it for longer opens another; answers that last, such as
/// the streams of sessions and subscriptions, keep it open.
pub(super) const IDLE: Duration = Duration::from_secs(120);

/// What runs on a connection.
#[derive(Debug, Clone)]
pub(super) struct Activity {
    running: watch::Sender<usize>,
}

/// Something that runs; until it is dropped.
#[derive(Debug)]
pub(super) struct Busy {
    running: watch::Sender<usize>,
}

// === impl Activity ===

impl Activity {
    /// Nothing.
    pub(super) fn new() -> Self {
        Self { running: watch::Sender::new(0) }
    }

    /// Something more.
    pub(super) fn begin(&self) -> Busy {
        self.running.send_modify(|running| *running += 1);
        Busy { running: self.running.clone() }
    }

    /// Returns when nothing has run, and nothing has begun or ended, for `time`.
    pub(super) async fn idle_for(&self, time: Duration) {
        let mut running = self.running.subscribe();
        loop {
            let busy = *running.borrow_and_update() > 0;
            if busy {
                // The sender is this one's own: it does not go away.
                let _ = running.changed().await;
            } else if tokio::time::timeout(time, running.changed()).await.is_err() {
                return;
            }
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.running.send_modify(|running| *running = running.saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn a_connection_is_idle_when_nothing_runs_on_it_and_not_before() {
        let activity = Activity::new();
        activity.idle_for(Duration::ZERO).await;
        let (one, two) = (activity.begin(), activity.begin());
        let mut idle = std::pin::pin!(activity.idle_for(Duration::ZERO));
        assert!(idle.as_mut().now_or_never().is_none(), "two run");
        drop(one);
        assert!(idle.as_mut().now_or_never().is_none(), "one runs");
        drop(two);
        idle.await;
    }

    #[tokio::test]
    async fn what_begins_and_ends_in_between_begins_the_time_anew() {
        let activity = Activity::new();
        let mut idle = std::pin::pin!(activity.idle_for(Duration::MAX));
        for _ in 0..3 {
            assert!(idle.as_mut().now_or_never().is_none());
            drop(activity.begin());
        }
        assert!(idle.as_mut().now_or_never().is_none());
    }
}
