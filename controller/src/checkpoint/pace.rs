//! When the next head is to be signed: a second after the first record that none covers, and sooner when many wait.

use std::time::Duration;

use tokio::time::Instant;

/// How long a record waits at most for a head that covers it to be signed …
pub(super) const EVERY: Duration = Duration::from_secs(1);
/// … and how many records wait for one at most, unless one commit has more.
const LEAVES: u64 = 1024;

/// What has been signed, and since when something waits.
#[derive(Debug, Default)]
pub(super) struct Pace {
    signed: u64,
    /// When the first record that no head covers has waited long enough.
    due: Option<Instant>,
}

/// What is next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Next {
    /// To sign.
    Sign,
    /// To wait until the log has so many records, or until then.
    Wait(u64, Option<Instant>),
}

// === impl Pace ===

impl Pace {
    /// What is next, now that the log has `size` records. It has to be asked whenever what it said to wait for is there.
    pub(super) fn next(&mut self, size: u64, now: Instant) -> Next {
        if size <= self.signed {
            return Next::Wait(self.signed + 1, None);
        }
        let due = *self.due.get_or_insert(now + EVERY);
        if now >= due || size >= self.signed + LEAVES {
            Next::Sign
        } else {
            Next::Wait(self.signed + LEAVES, Some(due))
        }
    }

    /// A head of `size` records was signed.
    pub(super) const fn signed(&mut self, size: u64) {
        self.signed = size;
        self.due = None;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(ms: u64) -> Duration {
        Duration::from_millis(ms)
    }

    /// The moments at which heads are signed, with their sizes, when so many records come at these moments.
    fn heads(arrivals: &[(Duration, u64)]) -> Vec<(Duration, u64)> {
        let (start, mut pace, mut heads) = (Instant::now(), Pace::default(), Vec::new());
        let (mut now, mut size, mut arrivals) = (Duration::ZERO, 0, arrivals.iter().peekable());
        loop {
            match pace.next(size, start + now) {
                Next::Sign => {
                    heads.push((now, size));
                    pace.signed(size);
                }
                Next::Wait(wanted, until) => {
                    assert!(wanted > size);
                    let until = until.map(|until| until - start);
                    // Those that come meanwhile and are not enough wake nobody.
                    loop {
                        match arrivals.peek() {
                            Some((at, count)) if until.is_none_or(|until| *at < until) => {
                                (now, size) = (*at, size + count);
                                arrivals.next();
                                if size >= wanted {
                                    break;
                                }
                            }
                            _ => match until {
                                Some(until) => {
                                    now = until;
                                    break;
                                }
                                None => return heads,
                            },
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn no_record_waits_longer_than_a_second_whenever_it_comes() {
        // Just behind a head, in its quarter of a second, behind that, and while another waits.
        let at = [0, 1_000, 1_001, 2_100, 2_250, 2_251, 3_200, 4_900, 9_000].map(ms);
        let arrivals: Vec<_> = at.into_iter().map(|at| (at, 1)).collect();
        let heads = heads(&arrivals);
        for (record, (at, _)) in (1..).zip(&arrivals) {
            let (signed, _) = heads.iter().find(|(_, size)| *size >= record).unwrap();
            assert!(*signed - *at <= EVERY, "{record} at {at:?} in {heads:?}");
        }
        assert_eq!(heads[..2], [(ms(1_000), 1), (ms(2_000), 3)]);
    }

    #[test]
    fn records_that_come_all_the_time_share_a_head_each_second() {
        let arrivals: Vec<_> = (0..500).map(|n| (ms(n * 10), 1)).collect();
        assert_eq!(
            heads(&arrivals).into_iter().map(|(at, _)| at).collect::<Vec<_>>(),
            [1_000, 2_000, 3_000, 4_000, 5_000].map(ms)
        );
    }

    #[test]
    fn as_many_as_may_wait_are_covered_at_once_even_by_one_commit_of_more() {
        assert_eq!(
            heads(&[(ms(0), LEAVES - 1), (ms(10), 1), (ms(20), 3 * LEAVES)]),
            [(ms(10), LEAVES), (ms(20), 4 * LEAVES)]
        );
    }
}
