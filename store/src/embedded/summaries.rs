//! Summaries of complete blocks of the audit log, which let a search pass over them. A thread makes them while little is
//! written, so that commits do not pay for them; where one is missing, the block is read.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use lictor_core::merkle::TreeHead;
use tokio::sync::watch;

use super::{keys, table::Table};
use crate::{
    StoreError,
    record::{
        corrupt,
        summary::{BLOCK, Summary},
    },
};

/// How often it is looked whether there is a block to summarise.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Rest between two blocks, so that whoever searches or commits is not kept waiting.
const REST: Duration = Duration::from_millis(2);

/// The thread that makes summaries, while the store is open.
#[derive(Debug)]
pub(super) struct Summarizer {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// The summary of the block with this number, if there is one.
pub(super) fn get(table: &Table, block: u64) -> Result<Option<Summary>, StoreError> {
    Ok(table.tree().get(keys::summary(block)).map_err(corrupt)?.and_then(|bytes| Summary::decode(&bytes)))
}

/// Makes the summary of the first block that has none, if all of it is in a log of `size` records.
pub(super) fn make_next(table: &Table, size: u64) -> Result<bool, StoreError> {
    let last = table.tree().scan_prefix(keys::SUMMARY).keys().next_back().transpose().map_err(corrupt)?;
    let block = last.map_or(Ok(0), |key| keys::summary_block(&key).map(|block| block.saturating_add(1)))?;
    if size / BLOCK <= block {
        return Ok(false);
    }
    let records = table.audit(block * BLOCK, usize::try_from(BLOCK).unwrap_or(usize::MAX))?;
    if records.len() as u64 != BLOCK {
        return Err(corrupt(format!("a record of the block from {} on is missing", block * BLOCK)));
    }
    table.put_derived(&keys::summary(block), &Summary::of(&records).encode())?;
    Ok(true)
}

// === impl Summarizer ===

impl Summarizer {
    pub(super) fn start(table: Arc<Table>, heads: watch::Receiver<TreeHead>) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let thread = thread::spawn({
            let stop = Arc::clone(&stop);
            move || run(&table, &heads, &stop)
        });
        Self { stop, thread: Some(thread) }
    }
}

impl Drop for Summarizer {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.thread().unpark();
            // It ends within a block. A panic there has been printed; searches go on without it.
            let _ = thread.join();
        }
    }
}

/// One block at each look while records come, and all that are left while none do.
fn run(table: &Table, heads: &watch::Receiver<TreeHead>, stop: &AtomicBool) {
    let size = || heads.borrow().size;
    let mut seen = size();
    while !stop.load(Ordering::Relaxed) {
        thread::park_timeout(LOOK_EVERY);
        let is_quiet = size() == seen;
        seen = size();
        loop {
            if stop.load(Ordering::Relaxed) {
                return;
            }
            match make_next(table, seen) {
                Ok(true) if is_quiet && size() == seen => thread::park_timeout(REST),
                Ok(_) => break,
                Err(error) => {
                    tracing::debug!(%error, "a block of the audit log is not summarised now; searches read it");
                    break;
                }
            }
        }
    }
}
