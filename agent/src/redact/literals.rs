//! Finds literal bytes in a stream, byte by byte, and tells from where on something may still become one.

use std::collections::{BTreeMap, VecDeque};

use aho_corasick::{
    Anchored,
    automaton::{Automaton as _, StateID},
    nfa::contiguous::NFA,
};

use super::{Kind, TooMuch};

/// Line ends in a row that may lie within a wrapped form: a carriage return and a line feed.
const MAX_BREAKS_IN_A_ROW: u8 = 2;

/// A set of literals (Aho and Corasick, 1975).
pub(super) struct Literals {
    /// `None`: there are none.
    automaton: Option<NFA>,
    start: StateID,
    /// Whether one begins with a byte.
    begins: [bool; 256],
    /// What each is.
    kinds: Vec<Kind>,
    /// How many bytes have matched in each state, by state.
    depths: Vec<(StateID, u32)>,
    /// Line ends within do not matter.
    wrapped: bool,
}

/// Where one stream stands in a set.
pub(super) struct Trail {
    state: StateID,
    /// Where line ends lie within what has matched so far.
    breaks: VecDeque<u64>,
    breaks_in_a_row: u8,
}

/// A literal that has ended.
pub(super) struct Found {
    pub(super) start: u64,
    pub(super) kind: Kind,
}

// === impl Literals ===

impl Literals {
    /// Literals that are printed in one piece.
    pub(super) fn whole(literals: BTreeMap<Vec<u8>, Kind>) -> Result<Self, TooMuch> {
        Self::build(literals, false)
    }
    /// Literals into which line ends may be put.
    pub(super) fn wrapped(literals: BTreeMap<Vec<u8>, Kind>) -> Result<Self, TooMuch> {
        Self::build(literals, true)
    }
    fn none() -> Self {
        let (kinds, depths) = (Vec::new(), Vec::new());
        Self { automaton: None, start: StateID::ZERO, begins: [false; 256], kinds, depths, wrapped: false }
    }

    fn build(literals: BTreeMap<Vec<u8>, Kind>, wrapped: bool) -> Result<Self, TooMuch> {
        if literals.is_empty() {
            return Ok(Self::none());
        }
        let automaton = NFA::new(literals.keys()).map_err(|_| TooMuch)?;
        let start = automaton.start_state(Anchored::No).map_err(|_| TooMuch)?;
        let mut depths = Vec::new();
        for literal in literals.keys() {
            let mut state = start;
            for (byte, depth) in literal.iter().zip(1..) {
                // Along its own bytes, the automaton never falls back.
                state = automaton.next_state(Anchored::No, state, *byte);
                depths.push((state, depth));
            }
        }
        depths.sort_unstable();
        depths.dedup();
        let mut begins = [false; 256];
        for first in literals.keys().filter_map(|literal| literal.first()) {
            begins[usize::from(*first)] = true;
        }
        Ok(Self {
            automaton: Some(automaton),
            start,
            begins,
            kinds: literals.into_values().collect(),
            depths,
            wrapped,
        })
    }

    /// Whether none begins with `byte`.
    pub(super) fn begins_nothing(&self, byte: u8) -> bool {
        !self.begins[usize::from(byte)]
    }

    fn depth(&self, state: StateID) -> u64 {
        let found = self.depths.binary_search_by_key(&state, |(state, _)| *state).ok();
        found.and_then(|at| self.depths.get(at)).map_or(0, |(_, depth)| u64::from(*depth))
    }
}

// === impl Trail ===

impl Trail {
    pub(super) fn new(literals: &Literals) -> Self {
        Self { state: literals.start, breaks: VecDeque::new(), breaks_in_a_row: 0 }
    }

    /// Nothing of a literal has come.
    pub(super) fn idle(&self, literals: &Literals) -> bool {
        self.state == literals.start
    }

    /// Takes the byte at `at`; gives the longest literal that ends with it.
    pub(super) fn step(&mut self, literals: &Literals, byte: u8, at: u64) -> Option<Found> {
        if self.state == literals.start && !literals.begins[usize::from(byte)] {
            return None;
        }
        let automaton = literals.automaton.as_ref()?;
        if literals.wrapped && matches!(byte, b'\n' | b'\r') {
            self.note_break(literals, at);
            return None;
        }
        self.breaks_in_a_row = 0;
        self.state = automaton.next_state(Anchored::No, self.state, byte);
        if self.idle(literals) {
            self.breaks.clear();
        }
        if !automaton.is_match(self.state) {
            return None;
        }
        let longest = (0..automaton.match_len(self.state))
            .map(|index| automaton.match_pattern(self.state, index))
            .max_by_key(|pattern| automaton.pattern_len(*pattern))?;
        let kind = *literals.kinds.get(longest.as_usize())?;
        Some(Found { start: self.start_of(automaton.pattern_len(longest) as u64, at + 1), kind })
    }

    /// From where on something may still become a literal; `end` if nothing may.
    pub(super) fn since(&self, literals: &Literals, end: u64) -> u64 {
        if self.idle(literals) { end } else { self.start_of(literals.depth(self.state), end) }
    }

    fn note_break(&mut self, literals: &Literals, at: u64) {
        if self.idle(literals) {
            return;
        }
        self.breaks_in_a_row += 1;
        if self.breaks_in_a_row > MAX_BREAKS_IN_A_ROW {
            (self.state, self.breaks_in_a_row) = (literals.start, 0);
            self.breaks.clear();
            return;
        }
        self.breaks.push_back(at);
        let since = self.since(literals, at + 1);
        while self.breaks.front().is_some_and(|at| *at < since) {
            self.breaks.pop_front();
        }
    }

    /// Where the last `bytes` bytes before `end` begin, line ends not counted.
    fn start_of(&self, bytes: u64, end: u64) -> u64 {
        let mut start = end.saturating_sub(bytes);
        for at in self.breaks.iter().rev() {
            if *at < start {
                break;
            }
            start = start.saturating_sub(1);
        }
        start
    }
}
