//! Keys and values in order, from the layers and from sled: where both have a key, the layers are newer.

use std::{cmp::Ordering, iter::Peekable, vec};

use sled::IVec;

use crate::{StoreError, record::corrupt};

/// What the layers say of some keys, in order; `None` where a key is removed.
pub(super) type Fresh = Vec<(Vec<u8>, Option<IVec>)>;
type FromSled = Box<dyn Iterator<Item = sled::Result<(IVec, IVec)>> + Send>;

/// Keys and values of a range.
pub(in crate::embedded) struct Merged {
    fresh: Peekable<vec::IntoIter<(Vec<u8>, Option<IVec>)>>,
    sled: Peekable<FromSled>,
    back: bool,
}

// === impl Merged ===

impl Merged {
    pub(super) fn forward((fresh, sled): (Fresh, sled::Iter)) -> Self {
        let sled: FromSled = Box::new(sled);
        Self { fresh: fresh.into_iter().peekable(), sled: sled.peekable(), back: false }
    }

    pub(super) fn back((mut fresh, sled): (Fresh, sled::Iter)) -> Self {
        fresh.reverse();
        let sled: FromSled = Box::new(sled.rev());
        Self { fresh: fresh.into_iter().peekable(), sled: sled.peekable(), back: true }
    }

    /// The values alone.
    pub(in crate::embedded) fn values(self) -> impl Iterator<Item = Result<IVec, StoreError>> {
        self.map(|entry| entry.map(|(_, value)| value))
    }
    /// The keys alone.
    pub(in crate::embedded) fn keys(self) -> impl Iterator<Item = Result<IVec, StoreError>> {
        self.map(|entry| entry.map(|(key, _)| key))
    }
}

impl Iterator for Merged {
    type Item = Result<(IVec, IVec), StoreError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let order = match (self.fresh.peek(), self.sled.peek()) {
                (None, None) => return None,
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) | (Some(_), Some(Err(_))) => Ordering::Greater,
                (Some((fresh, _)), Some(Ok((kept, _)))) => {
                    let order = fresh.as_slice().cmp(kept);
                    if self.back { order.reverse() } else { order }
                }
            };
            if order == Ordering::Greater {
                return self.sled.next().map(|entry| entry.map_err(corrupt));
            }
            if order == Ordering::Equal {
                self.sled.next();
            }
            if let Some((key, Some(value))) = self.fresh.next() {
                return Some(Ok((key.into(), value)));
            }
        }
    }
}
