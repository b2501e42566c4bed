//! Memory for live output: what one stream, one job and all jobs together may take, in pieces.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

/// Memory is given in pieces of this size: small enough that a share of few pieces shows something.
pub(super) const PIECE_BYTES: usize = 2 * 1024;
/// What one stream may take: its first bytes, and its newest behind them. Each half holds what the default output limit
/// keeps of it, so that whoever comes late to such a stream sees all of it.
pub(super) const STREAM_PIECES: usize = 256 * 1024 / PIECE_BYTES;
/// What the streams of one job may take beyond their shares: it leaves room for others.
const JOB_PIECES: usize = 16 * 1024 * 1024 / PIECE_BYTES;
/// What all streams may take beyond their shares; with the shares, live output leaves a controller small.
const ALL_PIECES: usize = 48 * 1024 * 1024 / PIECE_BYTES;
/// The share of each stream, which it has whatever others take: each of very many shows something.
const SHARE_PIECES: usize = 2;
/// What shares may take together. Streams beyond show nothing before the end of their command.
const SHARES_PIECES: usize = 16 * 1024 * 1024 / PIECE_BYTES;

/// Pieces taken out of one bound.
#[derive(Debug, Default)]
pub(crate) struct Pool(AtomicUsize);

/// The pieces that are not given yet, of one job and of all.
#[derive(Debug, Clone, Default)]
pub(super) struct Pools {
    pub(super) of_job: Arc<Pool>,
    pub(super) of_all: Arc<Pool>,
}

/// The pieces of one stream; given back when dropped.
#[derive(Debug)]
pub(super) struct Room {
    pools: Pools,
    pieces: usize,
}

// === impl Pool ===

impl Pool {
    fn take(&self, most: usize) -> bool {
        let one_more = |taken: usize| (taken < most).then_some(taken + 1);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_more).is_ok()
    }

    fn give_back(&self, pieces: usize) {
        self.0.fetch_sub(pieces, Ordering::Relaxed);
    }
}

// === impl Room ===

impl Room {
    pub(super) const fn new(pools: Pools) -> Self {
        Self { pools, pieces: 0 }
    }

    /// One piece more, if the stream may have it.
    pub(super) fn grow(&mut self) -> bool {
        let Pools { of_job, of_all } = &self.pools;
        let given = if self.pieces < SHARE_PIECES {
            of_all.take(ALL_PIECES + SHARES_PIECES)
        } else if self.pieces >= STREAM_PIECES || !of_all.take(ALL_PIECES) {
            false
        } else if of_job.take(JOB_PIECES) {
            true
        } else {
            of_all.give_back(1);
            false
        };
        self.pieces += usize::from(given);
        given
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.pools.of_all.give_back(self.pieces);
        self.pools.of_job.give_back(self.pieces.saturating_sub(SHARE_PIECES));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_bound_holds_every_stream_has_its_share_and_all_of_it_comes_back() {
        let of_all = Arc::new(Pool::default());
        let mut rooms = Vec::new();
        for _ in 0..4 {
            let pools = Pools { of_job: Arc::default(), of_all: Arc::clone(&of_all) };
            let mut of_this_job = 0;
            for _ in 0..1_000 {
                let mut room = Room::new(pools.clone());
                while room.grow() {}
                assert!((SHARE_PIECES..=STREAM_PIECES).contains(&room.pieces));
                of_this_job += room.pieces - SHARE_PIECES;
                rooms.push(room);
            }
            assert!(of_this_job <= JOB_PIECES);
        }
        let taken = || of_all.0.load(Ordering::Relaxed);
        assert!(taken() >= ALL_PIECES);
        for _ in 0..10_000 {
            let mut room = Room::new(Pools { of_job: Arc::default(), of_all: Arc::clone(&of_all) });
            while room.grow() {}
            rooms.push(room);
        }
        assert_eq!(taken(), ALL_PIECES + SHARES_PIECES);
        drop(rooms);
        assert_eq!(taken(), 0);
    }
}
