//! The threads on which a process works: half as many as there are cores, since waking another thread for each message
//! costs more than what it would do; and the main task among the others, where the tasks are that it talks to.

use std::{io, thread::available_parallelism};

use tokio::runtime::Builder;

use crate::panics::Interrupted;

/// Most worker threads. Beyond it the locks between them cost more than they give.
pub const MAX_WORKERS: usize = 8;

/// Runs `work` to its end on worker threads of its own.
///
/// # Errors
/// When the threads cannot be made, or `work` panics.
pub fn run<F>(work: F) -> io::Result<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let cores = available_parallelism().map_or(1, std::num::NonZero::get);
    let runtime =
        Builder::new_multi_thread().worker_threads((cores / 2).clamp(1, MAX_WORKERS)).enable_all().build()?;
    runtime.block_on(runtime.spawn(work)).map_err(|error| io::Error::other(Interrupted::from(error)))
}
