//! Patterns of secrets, compiled to automata that take one byte at a time: those of well-known tokens and those of a site.

use std::fmt;

use regex_automata::{
    Anchored, MatchKind, PatternID,
    dfa::{
        Automaton as _, StartKind,
        dense::{self, DFA},
    },
    nfa::thompson::{self, WhichCaptures},
    util::{primitives::StateID, start},
};
use regex_syntax::hir::{Hir, literal::Extractor};

use super::{
    Kind, MIN_SECRET_BYTES,
    tokens::{TOKENS, Token},
};

/// Patterns that a site may have; each costs time with every byte that a host says.
pub const MAX_PATTERNS: usize = 64;
/// Most bytes that the shortest match of a pattern may have: beyond it more matches could be under way than are followed.
const MAX_LEAST_BYTES: usize = 256;
/// Longest pattern of a site, in bytes.
const MAX_PATTERN_BYTES: usize = 1024;
/// Fixed letters with which a pattern begins: without them, ordinary text would be held back, and one look at each byte would
/// not do.
const MIN_FIXED_BYTES: usize = 3;
/// Memory of one automaton, and for making it: all well-known tokens take a tenth.
const MAX_AUTOMATON_BYTES: usize = 4 * 1024 * 1024;
/// A byte with which no token begins, before which nothing is under way after it.
const DULL: u8 = 0;

pub(super) type Automaton = DFA<Vec<u32>>;

/// What is looked for beside literals.
pub struct Patterns {
    /// What is known without a lead, each anchored at its beginning.
    pub(super) free: Automaton,
    /// The states of `free` after the first byte, by what came before it; dead if nothing begins with it.
    first: Vec<[StateID; 256]>,
    /// What comes before the others, wherever it is.
    pub(super) leads: Automaton,
    lead_start: StateID,
    lead_dull: StateID,
    /// What follows a lead, each anchored at the lead's end.
    pub(super) led: Automaton,
    led_starts: Vec<StateID>,
    free_kinds: Vec<Kind>,
    led_kinds: Vec<(Kind, u64)>,
}

/// A pattern that cannot be looked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidPattern {
    /// It cannot be read.
    #[error(
        "this pattern cannot be read: {0}; it is a regular expression for bytes, as Rust's regex has them without Unicode"
    )]
    Syntax(String),
    /// It matches too little.
    #[error(
        "this pattern matches what has fewer than {MIN_SECRET_BYTES} bytes, and would mask everything; ask for more, e.g. {{20,}}"
    )]
    TooShort,
    /// It begins with anything.
    #[error(
        "this pattern must begin with at least {MIN_FIXED_BYTES} fixed characters, e.g. acme-[0-9a-f]{{32}}"
    )]
    NotFixed,
    /// It is too long, or everything that it matches is.
    #[error(
        "this pattern has more than {MAX_PATTERN_BYTES} bytes, or its shortest match more than {MAX_LEAST_BYTES}; shorten it"
    )]
    TooLong,
    /// Together they take too much memory.
    #[error("these patterns take too much memory; lower the numbers in their braces, or have fewer patterns")]
    TooLarge,
}

/// What came before a byte, as far as patterns tell it apart.
#[derive(Debug, Clone, Copy)]
#[repr(usize)]
enum Before {
    Nothing,
    LineFeed,
    CarriageReturn,
    Word,
    Other,
}

// === impl Patterns ===

impl Patterns {
    /// The patterns of well-known tokens, and `own` ones.
    ///
    /// # Errors
    /// When one of `own` cannot be looked for, or all of them together cannot.
    pub fn new(own: &[String]) -> Result<Self, InvalidPattern> {
        let free_tokens = || TOKENS.iter().filter(|token| token.lead.is_none());
        let led_tokens = || TOKENS.iter().filter(|token| token.lead.is_some());
        let mut free: Vec<Hir> = free_tokens().map(|token| parse(token.secret)).collect::<Result<_, _>>()?;
        for pattern in own {
            free.push(check(pattern)?);
        }
        let leads: Vec<Hir> =
            led_tokens().filter_map(|token| token.lead).map(parse).collect::<Result<_, _>>()?;
        let led: Vec<Hir> = led_tokens().map(|token| parse(token.secret)).collect::<Result<_, _>>()?;
        let kind = |token: &Token| Kind(token.kind);
        Self::of(
            compile(&free, StartKind::Anchored)?,
            compile(&leads, StartKind::Unanchored)?,
            compile(&led, StartKind::Anchored)?,
            free_tokens().map(kind).chain(own.iter().map(|_| Kind::PATTERN)).collect(),
            led_tokens().map(|token| (kind(token), token.after)).collect(),
        )
        .ok_or(InvalidPattern::TooLarge)
    }

    /// Whether `pattern` can be one of a site's own.
    ///
    /// # Errors
    /// Why not.
    pub fn check(pattern: &str) -> Result<(), InvalidPattern> {
        check(pattern).map(|_| ())
    }

    fn of(
        free: Automaton,
        leads: Automaton,
        led: Automaton,
        free_kinds: Vec<Kind>,
        led_kinds: Vec<(Kind, u64)>,
    ) -> Option<Self> {
        let start = |automaton: &Automaton, anchored, before| {
            automaton.start_state(&start::Config::new().anchored(anchored).look_behind(before)).ok()
        };
        let mut first = Vec::new();
        for before in Before::ALL {
            let start = start(&free, Anchored::Yes, before.sample())?;
            let mut states = [start; 256];
            for (byte, state) in (0..=u8::MAX).zip(states.iter_mut()) {
                *state = free.next_state(start, byte);
            }
            first.push(states);
        }
        let lead_start = start(&leads, Anchored::No, None)?;
        let lead_dull = leads.next_state(lead_start, DULL);
        let pattern_start = |index| start(&led, Anchored::Pattern(PatternID::new(index).ok()?), None);
        let led_starts = (0..led_kinds.len()).map(pattern_start).collect::<Option<_>>()?;
        Some(Self { free, first, leads, lead_start, lead_dull, led, led_starts, free_kinds, led_kinds })
    }

    /// Whether no token and no lead begins with `byte`, whatever came before.
    pub(super) fn begins_nothing(&self, byte: u8) -> bool {
        let alone = self
            .first
            .iter()
            .all(|states| states.get(usize::from(byte)).is_some_and(|state| self.free.is_dead_state(*state)));
        let goes_nowhere = |state| self.leads.next_state(state, byte) == self.lead_dull;
        alone && goes_nowhere(self.lead_start) && goes_nowhere(self.lead_dull)
    }

    /// The state of the tokens without a lead after `byte`, which came after `before`.
    pub(super) fn begun(&self, before: Option<u8>, byte: u8) -> Option<StateID> {
        let states = self.first.get(Before::of(before) as usize)?;
        let state = *states.get(usize::from(byte))?;
        (!self.free.is_dead_state(state)).then_some(state)
    }

    /// The state of what follows the lead `index` after its first `byte`.
    pub(super) fn led_begun(&self, index: PatternID, byte: u8) -> Option<StateID> {
        let state = self.led.next_state(*self.led_starts.get(index.as_usize())?, byte);
        (!self.led.is_dead_state(state)).then_some(state)
    }

    pub(super) const fn lead_start(&self) -> StateID {
        self.lead_start
    }

    /// Whether no lead is under way.
    pub(super) fn lead_idle(&self, state: StateID) -> bool {
        state == self.lead_start || state == self.lead_dull
    }

    /// What a token without a lead is; nothing of its end stays.
    pub(super) fn free_kind(&self, index: PatternID) -> Option<(Kind, u64)> {
        self.free_kinds.get(index.as_usize()).map(|kind| (*kind, 0))
    }

    /// What a token after a lead is, and how many bytes at its end stay.
    pub(super) fn led_kind(&self, index: PatternID) -> Option<(Kind, u64)> {
        self.led_kinds.get(index.as_usize()).copied()
    }
}

impl fmt::Debug for Patterns {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Patterns").field("kinds", &self.free_kinds.len()).finish_non_exhaustive()
    }
}

/// Reads a pattern for bytes.
fn parse(pattern: &str) -> Result<Hir, InvalidPattern> {
    let parsed = regex_syntax::ParserBuilder::new().unicode(false).utf8(false).build().parse(pattern);
    // The error as such repeats the pattern, and whoever wrote a secret there must not find it in a log.
    parsed.map_err(|error| {
        InvalidPattern::Syntax(match error {
            regex_syntax::Error::Parse(error) => error.kind().to_string(),
            regex_syntax::Error::Translate(error) => error.kind().to_string(),
            _ => "it is not a regular expression".to_owned(),
        })
    })
}

fn check(pattern: &str) -> Result<Hir, InvalidPattern> {
    if pattern.len() > MAX_PATTERN_BYTES {
        return Err(InvalidPattern::TooLong);
    }
    let hir = parse(pattern)?;
    let least = hir.properties().minimum_len().unwrap_or(0);
    if least < MIN_SECRET_BYTES {
        return Err(InvalidPattern::TooShort);
    }
    if least > MAX_LEAST_BYTES {
        return Err(InvalidPattern::TooLong);
    }
    if Extractor::new().extract(&hir).min_literal_len().unwrap_or(0) < MIN_FIXED_BYTES {
        return Err(InvalidPattern::NotFixed);
    }
    // Alone, so that the error is told of the one that is too large.
    compile(std::slice::from_ref(&hir), StartKind::Anchored)?;
    Ok(hir)
}

/// One automaton that finds every match of every pattern.
fn compile(patterns: &[Hir], starts: StartKind) -> Result<Automaton, InvalidPattern> {
    let too_large = |_| InvalidPattern::TooLarge;
    let nfa = thompson::Compiler::new()
        .configure(
            thompson::Config::new()
                .utf8(false)
                .which_captures(WhichCaptures::None)
                .nfa_size_limit(Some(MAX_AUTOMATON_BYTES)),
        )
        .build_many_from_hir(patterns)
        .map_err(|_| InvalidPattern::TooLarge)?;
    let config = dense::Config::new()
        .match_kind(MatchKind::All)
        .start_kind(starts)
        .starts_for_each_pattern(starts == StartKind::Anchored)
        .accelerate(false)
        .dfa_size_limit(Some(MAX_AUTOMATON_BYTES))
        .determinize_size_limit(Some(MAX_AUTOMATON_BYTES));
    dense::Builder::new().configure(config).build_from_nfa(&nfa).map_err(too_large)
}

// === impl Before ===

impl Before {
    const ALL: [Self; 5] = [Self::Nothing, Self::LineFeed, Self::CarriageReturn, Self::Word, Self::Other];

    const fn of(before: Option<u8>) -> Self {
        match before {
            None => Self::Nothing,
            Some(b'\n') => Self::LineFeed,
            Some(b'\r') => Self::CarriageReturn,
            Some(b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'_') => Self::Word,
            Some(_) => Self::Other,
        }
    }

    /// A byte that stands for all of its kind.
    const fn sample(self) -> Option<u8> {
        match self {
            Self::Nothing => None,
            Self::LineFeed => Some(b'\n'),
            Self::CarriageReturn => Some(b'\r'),
            Self::Word => Some(b'a'),
            Self::Other => Some(b' '),
        }
    }
}
