//! What watchers are told, in order. An entry that is made again moves to the end: a watcher looks up how things stand
//! when it reads one, so the older tells nothing more. The log is therefore as long as its job is wide, however long the
//! job runs and however it prints.

use std::collections::HashMap;

use lictor_core::output::StreamName;

/// Something to look up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Entry {
    /// An invocation has another phase.
    Phase {
        /// Its place in the job.
        index: usize,
    },
    /// There is more of a stream.
    Output {
        /// The place of its invocation in the job.
        index: usize,
        /// Which stream.
        stream: StreamName,
    },
    /// The job itself changed.
    Job,
    /// The job has ended.
    Finished,
}

/// The entries, each with its number. Numbers only grow, so a watcher keeps its place while entries move.
#[derive(Debug, Default)]
pub(super) struct Log {
    entries: Vec<(u64, Option<Entry>)>,
    newest: HashMap<Entry, u64>,
    next: u64,
    moved: usize,
}

/// Left places below this number are not worth the work of closing up.
const MIN_MOVED: usize = 64;

// === impl Log ===

impl Log {
    /// Puts the entry at the end.
    pub(super) fn push(&mut self, entry: Entry) {
        if let Some(old) = self.newest.insert(entry, self.next) {
            let at = self.entries.partition_point(|(number, _)| *number < old);
            if let Some(place) = self.entries.get_mut(at) {
                place.1 = None;
                self.moved += 1;
            }
        }
        self.entries.push((self.next, Some(entry)));
        self.next += 1;
        if self.moved >= MIN_MOVED && self.moved > self.entries.len() / 2 {
            self.entries.retain(|(_, entry)| entry.is_some());
            self.moved = 0;
        }
    }

    /// The first entry whose number is at least `from`, with its number.
    pub(super) fn at(&self, from: u64) -> Option<(u64, Entry)> {
        let at = self.entries.partition_point(|(number, _)| *number < from);
        self.entries.get(at..)?.iter().find_map(|(number, entry)| Some((*number, (*entry)?)))
    }

    /// Grows with each entry.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Whether the job has ended.
    pub(super) fn is_finished(&self) -> bool {
        self.newest.contains_key(&Entry::Finished)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn output(index: usize) -> Entry {
        Entry::Output { index, stream: StreamName::Stdout }
    }

    #[test]
    fn a_stream_that_comes_byte_by_byte_does_not_grow_the_log() {
        let mut log = Log::default();
        for n in 0..100_000 {
            log.push(output(n % 7));
        }
        assert!(log.entries.len() <= 2 * (7 + MIN_MOVED), "{}", log.entries.len());
    }

    proptest! {
        #[test]
        fn whoever_reads_at_any_pace_meets_the_newest_of_every_entry(pushes in proptest::collection::vec((0usize..5, any::<bool>()), 1..400)) {
            let mut log = Log::default();
            let (mut cursor, mut unread) = (0, std::collections::BTreeSet::new());
            for (index, reads) in pushes {
                log.push(output(index));
                unread.insert(index);
                if reads && let Some((number, Entry::Output { index, .. })) = log.at(cursor) {
                    prop_assert!(number >= cursor);
                    cursor = number + 1;
                    prop_assert!(unread.remove(&index), "told though nothing was new");
                }
            }
            while let Some((number, Entry::Output { index, .. })) = log.at(cursor) {
                cursor = number + 1;
                prop_assert!(unread.remove(&index));
            }
            prop_assert!(unread.is_empty());
        }
    }
}
