//! Follows the patterns through one stream: every match that may be under way, byte by byte.
//!
//! Matches that are in the same state end alike, so only the one that began first is followed: there are never more of them
//! than the automata have states, and the time for a byte does not depend on what came before.

use regex_automata::{PatternID, dfa::Automaton as _, util::primitives::StateID};

use super::{
    Kind,
    patterns::{Automaton, Patterns},
};

/// Longest part of a stream that is held back because it may be one match: twice a token with many claims. Of a longer one the
/// last so many bytes are masked.
pub(super) const MAX_HELD_BYTES: u64 = 8 * 1024;
/// Matches that may be under way at once; each is in another state, and began three bytes after the one before at the
/// earliest. More are not begun.
const MAX_UNDER_WAY: usize = 256;

/// Where one stream stands.
pub(super) struct Scan {
    free: Vec<Match>,
    led: Vec<Match>,
    lead: StateID,
    before: Option<u8>,
}

/// A match that may be under way.
#[derive(Debug, Clone, Copy)]
struct Match {
    state: StateID,
    start: u64,
    /// Up to here it has matched; its start if it has not.
    since: u64,
}

/// Bytes that a pattern matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) start: u64,
    pub(super) end: u64,
    pub(super) kind: Kind,
}

// === impl Scan ===

impl Scan {
    pub(super) const fn new(patterns: &Patterns) -> Self {
        Self { free: Vec::new(), led: Vec::new(), lead: patterns.lead_start(), before: None }
    }

    /// Nothing is under way.
    pub(super) fn idle(&self, patterns: &Patterns) -> bool {
        self.free.is_empty() && self.led.is_empty() && patterns.lead_idle(self.lead)
    }

    /// Passes over bytes with which nothing begins, the last of which is `last`, while nothing is under way.
    pub(super) const fn skip(&mut self, last: u8) {
        self.before = Some(last);
    }

    /// Takes the byte at `at`; gives what ended before it.
    pub(super) fn step(&mut self, patterns: &Patterns, byte: u8, at: u64, found: &mut Vec<Found>) {
        if !self.free.is_empty() {
            advance(&mut self.free, &patterns.free, byte, at, |m, index| {
                note(m, at, patterns.free_kind(index), found)
            });
        }
        if !self.led.is_empty() {
            advance(&mut self.led, &patterns.led, byte, at, |m, index| {
                note(m, at, patterns.led_kind(index), found)
            });
        }
        if let Some(state) = patterns.begun(self.before, byte) {
            begin(&mut self.free, state, at);
        }
        self.lead = patterns.leads.next_state(self.lead, byte);
        if patterns.leads.is_match_state(self.lead) {
            for index in 0..patterns.leads.match_len(self.lead) {
                let lead = patterns.leads.match_pattern(self.lead, index);
                if let Some(state) = patterns.led_begun(lead, byte) {
                    begin(&mut self.led, state, at);
                }
            }
        }
        self.before = Some(byte);
    }

    /// The stream ended at `end`: gives what ended with it.
    pub(super) fn finish(&mut self, patterns: &Patterns, end: u64, found: &mut Vec<Found>) {
        for mut m in self.free.drain(..) {
            let state = patterns.free.next_eoi_state(m.state);
            ends(&patterns.free, state, |index| note(&mut m, end, patterns.free_kind(index), found));
        }
        for mut m in self.led.drain(..) {
            let state = patterns.led.next_eoi_state(m.state);
            ends(&patterns.led, state, |index| note(&mut m, end, patterns.led_kind(index), found));
        }
    }

    /// From where on something may still match; `end` if nothing may.
    pub(super) fn since(&self, end: u64) -> u64 {
        self.free.iter().chain(&self.led).map(|m| m.start).fold(end, u64::min)
    }
}

/// Moves every match on by a byte, and lets go of those that cannot be.
fn advance(
    matches: &mut Vec<Match>,
    automaton: &Automaton,
    byte: u8,
    at: u64,
    mut ended: impl FnMut(&mut Match, PatternID),
) {
    matches.retain_mut(|m| {
        m.state = automaton.next_state(m.state, byte);
        if automaton.is_special_state(m.state) {
            if automaton.is_dead_state(m.state) {
                return false;
            }
            ends(automaton, m.state, |index| ended(m, index));
        }
        if at + 1 - m.since > MAX_HELD_BYTES {
            m.since = at + 1 - MAX_HELD_BYTES;
            m.start = m.since;
        }
        true
    });
    if matches.len() > 1 {
        keep_first_of_state(matches);
    }
}

/// Those that began first come first.
fn keep_first_of_state(matches: &mut Vec<Match>) {
    let mut at = 1;
    while let Some(m) = matches.get(at) {
        if matches.iter().take(at).any(|earlier| earlier.state == m.state) {
            matches.remove(at);
        } else {
            at += 1;
        }
    }
}

fn begin(matches: &mut Vec<Match>, state: StateID, at: u64) {
    if matches.len() < MAX_UNDER_WAY && matches.iter().all(|earlier| earlier.state != state) {
        matches.push(Match { state, start: at, since: at });
    }
}

/// Tells of each pattern that matches in `state`.
fn ends(automaton: &Automaton, state: StateID, mut ended: impl FnMut(PatternID)) {
    if automaton.is_match_state(state) {
        (0..automaton.match_len(state)).for_each(|index| ended(automaton.match_pattern(state, index)));
    }
}

/// A pattern matches up to `end`, but for the bytes there that stay.
fn note(m: &mut Match, end: u64, kind: Option<(Kind, u64)>, found: &mut Vec<Found>) {
    let Some((kind, after)) = kind else { return };
    m.since = end - after;
    found.push(Found { start: m.start, end: m.since, kind });
}
