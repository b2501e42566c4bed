//! Invocations of a job that may not begin yet, by site, each site's in the order of their waves.

use std::collections::{BTreeMap, VecDeque};

use lictor_core::name::SiteName;

/// What is held back.
#[derive(Debug, Default)]
pub(super) struct Held {
    sites: BTreeMap<SiteName, VecDeque<Waiting>>,
    count: u32,
}

/// One invocation that is held back.
#[derive(Debug, Clone, Copy)]
struct Waiting {
    wave: u32,
    index: usize,
}

impl Held {
    /// Holds an invocation back, behind those of its site that begin no later.
    pub(super) fn hold(&mut self, site: SiteName, wave: u32, index: usize) {
        let queue = self.sites.entry(site).or_default();
        let at = queue.partition_point(|other| (other.wave, other.index) < (wave, index));
        if queue.get(at).is_some_and(|other| other.index == index) {
            return;
        }
        queue.insert(at, Waiting { wave, index });
        self.count += 1;
    }

    /// How many are held back.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// Lets at most `room` of the waves up to `wave` go, site by site in turn, none at a site that `may` refuses.
    pub(super) fn release(
        &mut self,
        room: u32,
        wave: u32,
        mut may: impl FnMut(&SiteName) -> bool,
    ) -> Vec<usize> {
        let mut released = Vec::new();
        let mut left = usize::try_from(room).unwrap_or(usize::MAX);
        while left > 0 {
            let before = released.len();
            for (site, queue) in &mut self.sites {
                let ready = queue.front().is_some_and(|waiting| waiting.wave <= wave);
                if left > 0
                    && ready
                    && may(site)
                    && let Some(waiting) = queue.pop_front()
                {
                    released.push(waiting.index);
                    left -= 1;
                }
            }
            if released.len() == before {
                break;
            }
        }
        self.sites.retain(|_, queue| !queue.is_empty());
        self.count -= u32::try_from(released.len()).unwrap_or(self.count);
        released
    }

    /// Forgets everything: nothing of it will begin.
    pub(super) fn clear(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn site(name: &str) -> SiteName {
        SiteName::new(name).unwrap()
    }

    #[test]
    fn waves_come_in_order_sites_in_turn_and_nothing_twice() {
        let mut held = Held::default();
        for (index, (name, wave)) in
            [("a", 2), ("a", 1), ("a", 1), ("b", 1), ("b", 2), ("a", 1)].into_iter().enumerate()
        {
            held.hold(site(name), wave, index);
            held.hold(site(name), wave, index);
        }
        assert_eq!(held.count(), 6);
        assert_eq!(held.release(2, 1, |_| true), [1, 3]);
        assert_eq!(held.release(9, 1, |s| s.as_str() != "a"), Vec::<usize>::new());
        assert_eq!(held.release(9, 1, |_| true), [2, 5]);
        assert_eq!(held.release(9, 2, |_| true), [0, 4]);
        assert_eq!((held.count(), held.release(9, 9, |_| true).len()), (0, 0));
    }
}
