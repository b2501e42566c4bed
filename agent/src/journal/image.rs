//! What a journal says, as a value: the state after its readable part. Pure.

use std::collections::HashMap;

use lictor_core::{clock::Timestamp, frame, id::InvocationId};

use super::{held::Held, record::Record, tombstones::Tombstones};
use crate::ended::Ended;

/// What every payload of this version starts with.
const PAYLOAD_START: &[u8] = b"{\"V1\":";

/// Where an invocation stands according to the journal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stand {
    /// Accepted, never started.
    Accepted,
    /// May have been started; no end is known.
    Starting(Timestamp),
    /// As [`Stand::Starting`]; if it started, its host knows it by its identifier.
    Detached(Box<Held>),
    /// Ended; the controller may not know yet.
    Done(Box<Ended>),
}

/// The state that a journal describes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Image {
    identity: Option<String>,
    live: HashMap<InvocationId, Stand>,
    tombstones: Tombstones,
}

/// A file's readable part.
#[derive(Debug)]
pub(crate) struct Readable {
    pub(crate) image: Image,
    /// Length of the readable part; what follows was never acknowledged.
    pub(crate) length: usize,
    /// Records that were acknowledged and cannot be read: frames that are not understood, or that lie behind damage.
    pub(crate) lost: usize,
}

// === impl Image ===

impl Image {
    /// Reads the frames of a file.
    pub(crate) fn read(bytes: &[u8]) -> Readable {
        let mut readable = Readable { image: Self::default(), length: 0, lost: 0 };
        let mut rest = bytes;
        while let Some((payload, next)) = frame::split_first(rest, crc32fast::hash) {
            match Record::decode(payload) {
                Ok(record) => readable.image.apply(record),
                Err(_) => readable.lost += 1,
            }
            rest = next;
        }
        readable.length = bytes.len() - rest.len();
        readable.lost += whole_frames(rest);
        readable
    }

    /// The state after `record`. A start is never taken back, an end never replaced.
    pub(crate) fn apply(&mut self, record: Record) {
        match record {
            Record::Identity(id) => self.identity = Some(id),
            Record::Accepted(id, _) => {
                self.live.entry(id).or_insert(Stand::Accepted);
            }
            Record::Starting(id, at) => {
                let stand = self.live.entry(id).or_insert(Stand::Accepted);
                if *stand == Stand::Accepted {
                    *stand = Stand::Starting(at);
                }
            }
            Record::Detached(held) => {
                let stand = self.live.entry(held.invocation).or_insert(Stand::Accepted);
                if *stand == Stand::Accepted {
                    *stand = Stand::Detached(held);
                }
            }
            Record::Done(ended) => {
                let stand = self.live.entry(ended.invocation).or_insert(Stand::Accepted);
                if !matches!(stand, Stand::Done(_)) {
                    *stand = Stand::Done(ended);
                }
            }
            Record::Forgotten(id, at) => {
                self.live.remove(&id);
                self.tombstones.bury(id, at);
            }
        }
    }

    /// The identity of the journal; `None` for a new one.
    pub(crate) fn identity(&self) -> Option<&str> {
        self.identity.as_deref()
    }

    /// Drops tombstones older than the replay window.
    pub(crate) fn expire(&mut self, now: Timestamp) {
        self.tombstones.expire(now);
    }

    /// Gives up the state: what is live, and what must never start again.
    pub(crate) fn into_parts(self) -> (HashMap<InvocationId, Stand>, Tombstones) {
        (self.live, self.tombstones)
    }

    /// A file that says the same in as few frames as possible.
    pub(crate) fn to_frames(&self) -> Vec<u8> {
        let mut out = Vec::new();
        if let Some(identity) = &self.identity {
            push(&Record::Identity(identity.clone()), &mut out);
        }
        for (id, at) in self.tombstones.iter() {
            push(&Record::Forgotten(id, at), &mut out);
        }
        for (id, stand) in &self.live {
            push(
                &match stand {
                    Stand::Accepted => Record::Accepted(*id, Timestamp::default()),
                    Stand::Starting(at) => Record::Starting(*id, *at),
                    Stand::Detached(held) => Record::Detached(held.clone()),
                    Stand::Done(ended) => Record::Done(ended.clone()),
                },
                &mut out,
            );
        }
        out
    }
}

/// Counts whole frames anywhere in `bytes`: behind a torn end there are none, behind damage in the middle there are.
fn whole_frames(bytes: &[u8]) -> usize {
    let starts =
        bytes.windows(PAYLOAD_START.len()).enumerate().filter(|(_, window)| *window == PAYLOAD_START);
    let frame = |at: usize| bytes.get(at.checked_sub(frame::HEADER_BYTES)?..);
    starts
        .filter(|(at, _)| frame(*at).is_some_and(|rest| frame::split_first(rest, crc32fast::hash).is_some()))
        .count()
}

/// Appends `record` as a frame.
pub(crate) fn push(record: &Record, out: &mut Vec<u8>) {
    let payload = record.encode();
    frame::write(&payload, crc32fast::hash(&payload), out);
}
