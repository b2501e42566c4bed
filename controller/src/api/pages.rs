//! Pages that fit their message: entries are taken until they weigh too much, and never none.

use lictor_proto::limits::MAX_PAGE_BYTES;
use prost::Message;

/// How much room a page has left.
#[derive(Debug)]
pub(crate) struct Room {
    left: usize,
    empty: bool,
}

impl Room {
    /// The room of a page beside `others`, which come with it.
    pub(crate) fn beside(others: usize) -> Self {
        Self { left: MAX_PAGE_BYTES.saturating_sub(others), empty: true }
    }

    /// Whether the next entry fits; the first always does, so that every page brings the reader further.
    pub(crate) fn takes(&mut self, entry: &impl Message) -> bool {
        self.takes_bytes(entry.encoded_len())
    }

    /// As [`takes`](Self::takes), for an entry of so many bytes.
    pub(crate) fn takes_bytes(&mut self, bytes: usize) -> bool {
        let fits = self.empty || bytes <= self.left;
        self.empty = false;
        self.left = self.left.saturating_sub(bytes);
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_at_least_one_entry_and_never_weighs_too_much_beyond_it() {
        let mut room = Room::beside(0);
        assert!(room.takes_bytes(MAX_PAGE_BYTES * 2));
        assert!(!room.takes_bytes(1));
        let mut room = Room::beside(MAX_PAGE_BYTES - 10);
        assert_eq!([4, 6, 1].map(|bytes| room.takes_bytes(bytes)), [true, true, false]);
    }
}
