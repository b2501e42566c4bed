//! What a panic says: one line of the log with its place, and of its message only what stands in the source.
//!
//! A message that was put together while the program ran may hold anything that was at hand, secrets among it, and nothing here
//! can tell. So its length is said and not its text; the place says which message it was.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    io::{self, Write as _},
    panic::{self, Location, PanicHookInfo},
    thread,
};

use tokio::task::JoinError;
use tracing::{Level, field};

/// Longest message and name of a thread that is logged, in characters: what stands in the source is a sentence.
const MAX_CHARS: usize = 256;

/// A task that did not come to its end. tokio's own error repeats what a panic said; this one never does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Interrupted {
    /// It panicked.
    #[error("it panicked; the log says where")]
    Panicked,
    /// It was called off.
    #[error("it was called off")]
    Cancelled,
}

impl From<JoinError> for Interrupted {
    fn from(error: JoinError) -> Self {
        if error.is_panic() { Self::Panicked } else { Self::Cancelled }
    }
}

/// From now on each panic of this process is one line of its log, or of standard error where that takes none. What it ends
/// stays the same: its task or its thread, and whatever cannot do without that.
pub fn install() {
    panic::set_hook(Box::new(say));
}

fn say(info: &PanicHookInfo<'_>) {
    let place = info.location().map_or_else(|| "unknown".to_owned(), Location::to_string);
    let current = thread::current();
    let thread: String = current.name().unwrap_or("unnamed").chars().take(MAX_CHARS).collect();
    let task = tokio::task::try_id();
    let (said, withheld) = message(info);
    // Empty unless RUST_BACKTRACE asks for it; it has names of functions and files, and no values.
    let trace = Backtrace::capture();
    let trace = (trace.status() == BacktraceStatus::Captured).then_some(trace);
    if tracing::enabled!(Level::ERROR) {
        tracing::error!(
            at = %place,
            thread,
            task = task.map(field::display),
            said,
            withheld_bytes = withheld,
            backtrace = trace.as_ref().map(field::debug),
            "panicked: a defect of Lictor, please report it with this line"
        );
        return;
    }
    // Nobody is left to be told if this fails, too.
    let _ = writeln!(
        io::stderr(),
        "panicked: a defect of Lictor, please report it with this line at={place} thread={thread:?} said={said:?} withheld_bytes={withheld:?} backtrace={trace:?}"
    );
}

/// What stands in the source, or else how many bytes the message has.
fn message(info: &PanicHookInfo<'_>) -> (Option<String>, Option<usize>) {
    let payload = info.payload();
    // Only a message without any value in it is one of these.
    if let Some(literal) = payload.downcast_ref::<&'static str>() {
        return (Some(literal.chars().take(MAX_CHARS).collect()), None);
    }
    (None, payload.downcast_ref::<String>().map(String::len))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_interrupted_task_repeats_nothing_of_what_its_panic_said() {
        let secret = format!("hunter{}", 2);
        let panics = async move { assert!(secret.is_empty(), "expected by the test: {secret}") };
        let error = tokio::spawn(panics).await.unwrap_err();
        assert!(error.to_string().contains("hunter2"), "else this type is not needed: {error}");
        let interrupted = Interrupted::from(error);
        assert_eq!(interrupted, Interrupted::Panicked);
        assert!(!format!("{interrupted} {interrupted:?}").contains("hunter2"));

        let waits = tokio::spawn(std::future::pending::<()>());
        waits.abort();
        assert_eq!(Interrupted::from(waits.await.unwrap_err()), Interrupted::Cancelled);
    }
}
