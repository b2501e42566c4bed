//! One form of a command: subcommand words, options, operands; and reading words as it.

use std::sync::Arc;

use super::{
    fault::{Fault, Why},
    options::{OptionSet, Reading, Value},
};

/// Ends the options.
const END_OF_OPTIONS: &str = "--";

/// One form of a command.
#[derive(Debug)]
pub(super) struct Form {
    /// The subcommand: one of each list, in this order.
    pub(super) words: Vec<Vec<String>>,
    /// Options before the subcommand, where they are not the same as behind it.
    pub(super) before: Option<OptionSet>,
    pub(super) options: OptionSet,
    pub(super) place: Place,
    /// Of each list one option must be there.
    pub(super) required: Vec<Vec<String>>,
    /// One after the other.
    pub(super) operands: Vec<Operands>,
    /// Whether `--` is accepted behind the subcommand.
    pub(super) end_of_options: bool,
}

/// Where options may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Before the subcommand, and between operands.
    Anywhere,
    /// Behind the subcommand, and between operands.
    BehindSubcommand,
    /// Behind the subcommand and before the first operand.
    BeforeOperands,
}

/// Operands of one kind.
#[derive(Debug)]
pub(super) struct Operands {
    pub(super) value: Arc<Value>,
    pub(super) min: usize,
    pub(super) max: usize,
}

/// How far the words have been read.
#[derive(Default)]
struct Progress {
    subcommands: usize,
    ended: bool,
    /// The index in `Form::operands`, how many of it there are, and of all.
    slot: usize,
    in_slot: usize,
    operands: usize,
    /// For each list of `Form::required`, whether one was there.
    required: Vec<bool>,
}

// === impl Form ===

impl Form {
    /// Reads the words behind the program: once, from first to last.
    pub(super) fn read(&self, words: &[&str]) -> Result<(), Fault> {
        let mut progress = Progress { required: vec![false; self.required.len()], ..Progress::default() };
        let mut at = 0;
        while let Some(word) = words.get(at) {
            let next = words.get(at + 1).copied();
            let taken = self.step(&mut progress, word, next).map_err(|why| Fault { at, why })?;
            at += taken;
        }
        self.finish(&progress).map_err(|why| Fault { at, why })
    }

    /// Reads one word, or an option and its value; says how many words that were.
    fn step(&self, progress: &mut Progress, word: &str, next: Option<&str>) -> Result<usize, Why> {
        if !progress.ended {
            if word == END_OF_OPTIONS {
                return self.end_options(progress);
            }
            match self.read_option(progress, word, next)? {
                Reading::Option => return Ok(1),
                Reading::OptionWithNext => return Ok(2),
                Reading::NotAnOption => {}
            }
        }
        match self.words.get(progress.subcommands) {
            Some(expected) if expected.iter().any(|name| name == word) => {
                progress.subcommands += 1;
                Ok(1)
            }
            Some(expected) => Err(Why::Subcommand { word: Some(word.into()), expected: expected.clone() }),
            None => self.read_operand(progress, word),
        }
    }

    fn end_options(&self, progress: &mut Progress) -> Result<usize, Why> {
        if !self.end_of_options || progress.subcommands < self.words.len() {
            return Err(Why::EndOfOptions);
        }
        progress.ended = true;
        Ok(1)
    }

    fn read_option(&self, progress: &mut Progress, word: &str, next: Option<&str>) -> Result<Reading, Why> {
        let nothing = OptionSet::default();
        let options = match (progress.subcommands < self.words.len(), &self.before, self.place) {
            (false, _, _) | (true, None, Place::Anywhere) => &self.options,
            (true, Some(before), _) => before,
            (true, None, _) => &nothing,
        };
        let required = &mut progress.required;
        let reading = options.read(word, next, &mut |name| {
            for (names, met) in self.required.iter().zip(required.iter_mut()) {
                *met |= names.iter().any(|required| required == name);
            }
        })?;
        if reading != Reading::NotAnOption && self.place == Place::BeforeOperands && progress.operands > 0 {
            return Err(Why::OptionAfterOperand { option: word.into() });
        }
        Ok(reading)
    }

    /// An operand is of the first kind that still has a place for it.
    fn read_operand(&self, progress: &mut Progress, word: &str) -> Result<usize, Why> {
        let refused = || Why::Operand { word: word.into() };
        // Behind `--` too: a dash that one version of a program reads as an operand is an option to another.
        if word.starts_with('-') && word != "-" {
            return Err(refused());
        }
        while let Some(operands) = self.operands.get(progress.slot) {
            if progress.in_slot < operands.max && operands.value.accepts(word) {
                progress.in_slot += 1;
                progress.operands += 1;
                return Ok(1);
            }
            if progress.in_slot < operands.min {
                break;
            }
            progress.slot += 1;
            progress.in_slot = 0;
        }
        Err(refused())
    }

    /// Whether anything is missing.
    fn finish(&self, progress: &Progress) -> Result<(), Why> {
        if let Some(expected) = self.words.get(progress.subcommands) {
            return Err(Why::Subcommand { word: None, expected: expected.clone() });
        }
        let mut here = progress.in_slot;
        for operands in self.operands.iter().skip(progress.slot) {
            if here < operands.min {
                return Err(Why::TooFew { like: operands.value.like.clone() });
            }
            here = 0;
        }
        match self.required.iter().zip(&progress.required).find(|(_, met)| !**met) {
            Some((names, _)) => Err(Why::Required { names: names.clone() }),
            None => Ok(()),
        }
    }
}
