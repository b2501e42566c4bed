//! What a running command has printed, as watchers are shown it: of each stream its first and its newest bytes, in bounded
//! memory, each at its place.

use std::collections::VecDeque;

use bytes::Bytes;
use lictor_core::output::StreamName;

use super::room::{PIECE_BYTES, Pools, Room, STREAM_PIECES};

/// Pieces of the beginning that stay while newer ones come and go.
const FIRST_PIECES: usize = STREAM_PIECES / 2;

/// Both streams.
#[derive(Debug, Default)]
pub(super) struct Shown {
    stdout: ShownStream,
    stderr: ShownStream,
}

#[derive(Debug, Default)]
struct ShownStream {
    pieces: VecDeque<Piece>,
    /// How many of the pieces are the beginning.
    first: usize,
    /// Position behind the newest byte.
    end: u64,
    room: Option<Room>,
}

/// At most [`PIECE_BYTES`].
#[derive(Debug)]
struct Piece {
    offset: u64,
    bytes: Vec<u8>,
}

// === impl Shown ===

impl Shown {
    /// Takes what was printed at `offset` and says whether anything of it is new.
    pub(super) fn push(&mut self, name: StreamName, offset: u64, data: &[u8], pools: &Pools) -> bool {
        let stream = match name {
            StreamName::Stdout => &mut self.stdout,
            StreamName::Stderr => &mut self.stderr,
        };
        stream.push(offset, data, pools)
    }

    /// What there is from `position` on: at most `most` bytes without a gap, and where they begin.
    pub(super) fn next(&self, name: StreamName, position: u64, most: usize) -> Option<(u64, Bytes)> {
        let stream = match name {
            StreamName::Stdout => &self.stdout,
            StreamName::Stderr => &self.stderr,
        };
        stream.next(position, most)
    }
}

// === impl ShownStream ===

impl ShownStream {
    fn push(&mut self, offset: u64, data: &[u8], pools: &Pools) -> bool {
        // An agent that begins anew tells again what is known.
        let known = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let Some(mut new) = data.get(known..).filter(|new| !new.is_empty()) else { return false };
        let mut room = self.room.take().unwrap_or_else(|| Room::new(pools.clone()));
        self.end = self.end.max(offset);
        while !new.is_empty() {
            let open = self.pieces.back_mut().filter(|last| last.end() == self.end);
            let fits = open.as_ref().map_or(0, |last| PIECE_BYTES - last.bytes.len()).min(new.len());
            let (now, later) = new.split_at(fits);
            if let Some(last) = open {
                last.bytes.extend_from_slice(now);
            }
            self.end += fits as u64;
            new = later;
            if new.is_empty() {
                break;
            }
            if !room.grow() && !self.let_go() {
                self.end += new.len() as u64;
                break;
            }
            self.begin_piece();
        }
        self.room = Some(room);
        true
    }

    fn begin_piece(&mut self) {
        let goes_on = self.pieces.len() == self.first && self.end == (self.first * PIECE_BYTES) as u64;
        if goes_on && self.first < FIRST_PIECES {
            self.first += 1;
        }
        self.pieces.push_back(Piece { offset: self.end, bytes: Vec::new() });
    }

    /// Lets the oldest piece behind the beginning go; if there is none, the last of the beginning.
    fn let_go(&mut self) -> bool {
        let oldest =
            if self.pieces.len() > self.first { Some(self.first) } else { self.first.checked_sub(1) };
        let gone = oldest.and_then(|index| self.pieces.remove(index));
        self.first = self.first.min(self.pieces.len());
        gone.is_some()
    }

    fn next(&self, position: u64, most: usize) -> Option<(u64, Bytes)> {
        let index = self.pieces.partition_point(|piece| piece.end() <= position);
        let from = self.pieces.get(index).map(|piece| piece.offset.max(position))?;
        let mut bytes = Vec::new();
        for piece in self.pieces.iter().skip(index) {
            let at = from + bytes.len() as u64;
            let Some(rest) = at.checked_sub(piece.offset).and_then(|skip| piece.after(skip)) else { break };
            bytes.extend_from_slice(rest.get(..most - bytes.len()).unwrap_or(rest));
            if bytes.len() == most {
                break;
            }
        }
        (!bytes.is_empty()).then(|| (from, Bytes::from(bytes)))
    }
}

// === impl Piece ===

impl Piece {
    const fn end(&self) -> u64 {
        self.offset + self.bytes.len() as u64
    }

    fn after(&self, skip: u64) -> Option<&[u8]> {
        self.bytes.get(usize::try_from(skip).ok()?..)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const STDOUT: StreamName = StreamName::Stdout;

    fn byte(position: u64) -> u8 {
        u8::try_from(position % 251).unwrap()
    }

    fn data(from: u64, to: u64) -> Vec<u8> {
        (from..to).map(byte).collect()
    }

    /// What somebody reads who was told everything before `position`: where each piece begins and ends.
    fn read(shown: &Shown, mut position: u64) -> Vec<(u64, u64)> {
        let mut told: Vec<(u64, u64)> = Vec::new();
        while let Some((from, bytes)) = shown.next(STDOUT, position, 5_000) {
            assert!(from >= position && bytes.len() <= 5_000);
            let to = from + bytes.len() as u64;
            assert_eq!(bytes, data(from, to), "every byte is at its place");
            match told.last_mut().filter(|(_, end)| *end == from) {
                Some((_, end)) => *end = to,
                None => told.push((from, to)),
            }
            position = to;
        }
        told
    }

    #[test]
    fn a_stream_that_goes_on_is_shown_with_its_first_and_its_newest_bytes_in_bounded_memory() {
        let (mut shown, pools) = (Shown::default(), Pools::default());
        let most = (STREAM_PIECES * PIECE_BYTES) as u64;
        let mut at = 0;
        for step in [1u64, 100, 3_000, 16_384].iter().cycle().take(2_000) {
            assert!(shown.push(STDOUT, at, &data(at, at + step), &pools));
            at += step;
            let told = read(&shown, 0);
            assert_eq!((told[0].0, told.last().unwrap().1), (0, at), "the newest byte is always there");
            if at > 2 * most {
                let bytes: u64 = told.iter().map(|(from, to)| to - from).sum();
                assert!(told.len() == 2 && bytes <= most && bytes > most - 2 * PIECE_BYTES as u64);
            }
            assert_eq!(read(&shown, at - 1), [(at - 1, at)], "whoever keeps up misses nothing");
        }
        assert!(shown.next(STDOUT, at, 10).is_none());
    }

    #[test]
    fn a_stream_that_has_no_room_but_its_share_shows_its_beginning_and_its_newest_bytes() {
        let pools = Pools::default();
        let mut greedy: Vec<Shown> = Vec::new();
        for _ in 0..100 {
            let mut shown = Shown::default();
            shown.push(STDOUT, 0, &data(0, 300_000), &pools);
            greedy.push(shown);
        }
        let mut shown = Shown::default();
        for at in (0..100_000).step_by(10) {
            shown.push(STDOUT, at, &data(at, at + 10), &pools);
            let told = read(&shown, 0);
            assert_eq!((told[0].0, told.last().unwrap().1), (0, at + 10));
        }
    }

    proptest! {
        #[test]
        fn whatever_is_left_out_on_the_way_every_byte_is_told_at_its_place_and_told_again_changes_nothing(
            steps in proptest::collection::vec((0u64..3_000, 1u64..6_000, any::<bool>()), 1..200),
        ) {
            let (mut shown, pools) = (Shown::default(), Pools::default());
            let (mut end, mut last) = (0u64, (0, 0));
            for (gap, length, again) in steps {
                let gap = if again { 0 } else { gap };
                let from = end + gap;
                prop_assert!(shown.push(STDOUT, from, &data(from, from + length), &pools));
                end = from + length;
                last = (from, end);
                if again {
                    prop_assert!(!shown.push(STDOUT, last.0, &data(last.0, last.1), &pools));
                }
            }
            let told = read(&shown, 0);
            prop_assert_eq!(told.last().map(|(_, to)| *to), Some(last.1));
            prop_assert!(told.windows(2).all(|pair| pair[0].1 < pair[1].0));
        }
    }
}
