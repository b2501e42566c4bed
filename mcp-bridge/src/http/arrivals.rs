//! Places for messages that arrive: few, because each may take the greatest length in memory, and shared out so that nobody
//! who sends slowly takes all of them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Messages that arrive at a time: with their greatest length, what memory they take together.
const MAX_ARRIVING: usize = 128;
/// Those of one principal: however slow they are, three others have as many places.
const MAX_ARRIVING_PER_PRINCIPAL: usize = 32;

/// The places.
#[derive(Debug)]
pub(super) struct Arrivals {
    room: Arc<Semaphore>,
    by_principal: Mutex<HashMap<Arc<str>, Arc<Semaphore>>>,
}

/// A place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct Place {
    // In this order: a principal's line is forgotten when nobody holds a place or waits in it.
    _room: OwnedSemaphorePermit,
    _own: OwnedSemaphorePermit,
    _line: Line,
}

/// The places of one principal, and the queue for them.
#[derive(Debug)]
struct Line {
    arrivals: Arc<Arrivals>,
    principal: Arc<str>,
    places: Arc<Semaphore>,
}

// === impl Arrivals ===

impl Arrivals {
    /// All free.
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { room: Arc::new(Semaphore::new(MAX_ARRIVING)), by_principal: Mutex::default() })
    }

    /// A place for a message of `principal`, when there is one. `None`: never, because the process stops.
    pub(super) async fn place(self: &Arc<Self>, principal: &Arc<str>) -> Option<Place> {
        let line = self.line(principal);
        // One's own place first: whoever waits for that holds none of everybody's.
        let own = Arc::clone(&line.places).acquire_owned().await.ok()?;
        let room = Arc::clone(&self.room).acquire_owned().await.ok()?;
        Some(Place { _room: room, _own: own, _line: line })
    }

    fn line(self: &Arc<Self>, principal: &Arc<str>) -> Line {
        let mut lines = self.by_principal.lock().unwrap_or_else(PoisonError::into_inner);
        let places = lines
            .entry(Arc::clone(principal))
            .or_insert_with(|| Arc::new(Semaphore::new(MAX_ARRIVING_PER_PRINCIPAL)));
        Line { arrivals: Arc::clone(self), principal: Arc::clone(principal), places: Arc::clone(places) }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        /// The map's and this one's.
        const UNUSED: usize = 2;
        let mut lines = self.arrivals.by_principal.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::strong_count(&self.places) == UNUSED {
            lines.remove(&self.principal);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn one_principal_cannot_take_every_place_and_what_is_given_back_is_forgotten() {
        let arrivals = Arrivals::new();
        let (slow, other): (Arc<str>, Arc<str>) = ("user:slow".into(), "user:other".into());
        let now = |who: &Arc<str>| {
            let (arrivals, who) = (Arc::clone(&arrivals), Arc::clone(who));
            async move { arrivals.place(&who).await }.now_or_never().flatten()
        };
        let held: Vec<Place> = std::iter::from_fn(|| now(&slow)).collect();
        assert_eq!(held.len(), MAX_ARRIVING_PER_PRINCIPAL);
        assert!(now(&other).is_some(), "the others have places");
        drop(held);
        assert!(now(&slow).is_some());
        assert!(arrivals.by_principal.lock().unwrap().is_empty());
        assert_eq!(arrivals.room.available_permits(), MAX_ARRIVING);
    }
}
