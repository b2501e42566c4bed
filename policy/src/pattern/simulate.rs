//! Matching words against elements: the set of places at which a pattern may stand, moved on word by word. The time is
//! words times elements, whatever repeats; nothing is ever tried twice.

use lictor_core::command::Word;

use super::{Element, expansion};

/// Place `i` in the set: the next word must be element `i`; place `elements.len()`: the pattern is complete.
#[derive(Clone)]
pub(crate) struct Places<'a> {
    elements: &'a [Element],
    now: Vec<bool>,
}

/// Whether the words are the elements, all of both; with `globs`, whatever they expand to.
pub(crate) fn whole(elements: &[Element], words: &[Word], globs: bool) -> bool {
    let mut places = Places::start(elements);
    for word in words {
        places.step(word, globs);
        if places.none() {
            return false;
        }
    }
    places.complete()
}

/// How many leading words have a place.
pub(crate) fn progress(elements: &[Element], words: &[Word], globs: bool) -> usize {
    let mut places = Places::start(elements);
    words
        .iter()
        .take_while(|word| {
            places.step(word, globs);
            !places.none()
        })
        .count()
}

// === impl Places ===

impl<'a> Places<'a> {
    /// Nowhere.
    pub(crate) fn nowhere(elements: &'a [Element]) -> Self {
        Self { elements, now: vec![false; elements.len() + 1] }
    }
    /// At the first element.
    pub(crate) fn start(elements: &'a [Element]) -> Self {
        let mut places = Self::nowhere(elements);
        enter(elements, &mut places.now, 0);
        places
    }
    /// Moves on by one word; one with globs finds a place only where `globs` are accepted.
    pub(crate) fn step(&mut self, word: &Word, globs: bool) {
        self.step_by(|element| match word.literal() {
            Some(text) => element.test.accepts(text),
            None => globs && expansion::always_fits(element, word),
        });
    }
    /// Moves on by one word, which passes the elements that `accepts` says.
    pub(crate) fn step_by(&mut self, accepts: impl Fn(&Element) -> bool) {
        let mut next = vec![false; self.now.len()];
        for (index, element) in self.elements.iter().enumerate() {
            if !self.now.get(index).copied().unwrap_or(false) || !accepts(element) {
                continue;
            }
            enter(self.elements, &mut next, index + 1);
            if element.repeat {
                enter(self.elements, &mut next, index);
            }
        }
        self.now = next;
    }
    /// The same, but when the word `may_be_skipped`, places from before it stay.
    pub(crate) fn step_or_stay(&mut self, may_be_skipped: bool, accepts: impl Fn(&Element) -> bool) {
        let before = may_be_skipped.then(|| self.now.clone());
        self.step_by(accepts);
        for (place, stays) in self.now.iter_mut().zip(before.unwrap_or_default()) {
            *place |= stays;
        }
    }
    /// Moves on by one or more words, of which each passes what `accepts` says.
    pub(crate) fn step_repeatedly(&mut self, accepts: impl Fn(&Element) -> bool) {
        self.step_by(&accepts);
        let mut reached = self.now.clone();
        // Each round reaches a further place or is the last.
        for _ in 0..self.elements.len() {
            self.step_by(&accepts);
            for (place, before) in self.now.iter_mut().zip(&reached) {
                *place |= *before;
            }
            if self.now == reached {
                return;
            }
            reached.clone_from(&self.now);
        }
    }
    /// Adds the places of another walk over the same elements.
    pub(crate) fn join(&mut self, other: &Self) {
        for (place, more) in self.now.iter_mut().zip(&other.now) {
            *place |= *more;
        }
    }
    /// Whether the pattern may be complete here.
    pub(crate) fn complete(&self) -> bool {
        self.now.last().copied().unwrap_or(false)
    }
    /// Whether the pattern cannot match any more.
    pub(crate) fn none(&self) -> bool {
        !self.now.contains(&true)
    }
}

/// Adds a place and those that are reached from it by leaving optional elements out.
fn enter(elements: &[Element], places: &mut [bool], mut index: usize) {
    while let Some(place) = places.get_mut(index) {
        if *place {
            return;
        }
        *place = true;
        match elements.get(index).and_then(|element| element.skip_to) {
            Some(to) => index = to,
            None => return,
        }
    }
}
