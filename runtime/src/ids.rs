//! Fresh identifiers: 48 bits of milliseconds, then 80 random bits, always increasing within the process.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use lictor_core::{clock::Clock, id::IdSource};

/// Bits of an identifier that are not time.
const RANDOM_BITS: u32 = 80;

/// Makes identifiers from the clock and random numbers.
pub struct RandomIds {
    clock: Arc<dyn Clock>,
    last: Mutex<u128>,
}

// === impl RandomIds ===

impl RandomIds {
    /// A source that takes the time from `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { clock, last: Mutex::new(0) }
    }
}

impl IdSource for RandomIds {
    fn fresh(&self) -> [u8; 16] {
        let millis = u128::from(self.clock.now().as_micros() / 1000);
        let random = rand::random::<u128>() >> (128 - RANDOM_BITS);
        let candidate = (millis << RANDOM_BITS) | random;
        // What is behind the lock is one number, which a panic cannot leave half-written.
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        // In the same millisecond, or when the clock went back: a random step ahead, still not to be guessed.
        *last = if candidate > *last {
            candidate
        } else {
            last.wrapping_add(1 + u128::from(rand::random::<u64>()))
        };
        last.to_be_bytes()
    }
}

impl fmt::Debug for RandomIds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RandomIds").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use lictor_core::clock::Timestamp;

    use super::*;

    #[derive(Debug, Default)]
    struct Hand(AtomicU64);
    impl Clock for Hand {
        fn now(&self) -> Timestamp {
            Timestamp::from_micros(self.0.load(Ordering::Relaxed))
        }
    }

    #[test]
    fn identifiers_increase_even_when_the_clock_stands_or_goes_back() {
        let clock = Arc::new(Hand::default());
        let ids = RandomIds::new(clock.clone());
        let mut last = [0; 16];
        for micros in [5_000_000, 5_000_000, 5_000_100, 1_000_000, 6_000_000] {
            clock.0.store(micros, Ordering::Relaxed);
            for _ in 0..100 {
                let id = ids.fresh();
                assert!(id > last);
                last = id;
            }
        }
        // Steps ahead from a random number near the end of a millisecond may reach into the next one.
        let millis = last[..6].iter().fold(0u64, |millis, byte| millis << 8 | u64::from(*byte));
        assert!((6000..=6001).contains(&millis), "{millis}");
    }
}
