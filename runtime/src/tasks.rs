//! Background tasks that a process cannot do without: when one ends by itself, the process stops rather than limp.

use std::future::Future;

use crate::shutdown::Shutdown;

/// Runs `future` in the background until the process stops. A panic at any time, or an end before the stop began, is
/// logged and makes the process stop as failed. [`Shutdown::drain`] waits for the task.
pub fn spawn_supervised<F>(name: &'static str, future: F, shutdown: &Shutdown)
where
    F: Future<Output = ()> + Send + 'static,
{
    let stop = shutdown.clone();
    // A task of its own, so that its panic arrives here as an error.
    let task = tokio::spawn(future);
    shutdown.tracker().spawn(async move {
        match task.await {
            Ok(()) if stop.is_stopping() => tracing::debug!(task = name, "task ended"),
            Ok(()) => {
                tracing::error!(task = name, "task ended by itself");
                stop.fail(name);
            }
            // The runtime itself is going down.
            Err(error) if error.is_cancelled() => {}
            // What the panic itself has to say is in the log by now.
            Err(_) => {
                tracing::error!(task = name, "task panicked");
                stop.fail(name);
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::shutdown::Drained;

    /// Never reached: the tests end before.
    const LONG: Duration = Duration::from_secs(60);

    #[tokio::test]
    async fn a_panic_or_an_early_end_stops_the_process_as_failed() {
        let shutdown = Shutdown::new();
        spawn_supervised("panics", async { panic!("expected by the test") }, &shutdown);
        shutdown.stopping().await;
        assert!(shutdown.has_failed());

        let shutdown = Shutdown::new();
        spawn_supervised("ends", async {}, &shutdown);
        shutdown.stopping().await;
        assert!(shutdown.has_failed());
        assert_eq!(shutdown.drain(LONG).await, Drained::Clean);
    }

    #[tokio::test]
    async fn a_task_that_ends_when_told_to_is_no_failure() {
        let shutdown = Shutdown::new();
        let token = shutdown.token();
        spawn_supervised("obeys", async move { token.cancelled().await }, &shutdown);
        assert_eq!(shutdown.drain(LONG).await, Drained::Clean);
        assert!(!shutdown.has_failed());
    }

    #[tokio::test]
    async fn a_task_that_does_not_end_is_abandoned_at_the_deadline() {
        let shutdown = Shutdown::new();
        spawn_supervised("hangs", std::future::pending(), &shutdown);
        assert_eq!(shutdown.drain(Duration::ZERO).await, Drained::Abandoned(1));
    }
}
