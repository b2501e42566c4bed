//! Tokens as a command: simple commands in pipelines in lists.

use std::ops::Range;

use lictor_core::{
    command::{Command, InvalidCommand, Joiner, Pipeline, Simple, Word},
    limits::MAX_PARTS,
};

use super::{
    builtins, check_simple,
    scan::{RawWord, Token},
};
use crate::refusal::{Refusal, RefusalCode};

/// A simple command under construction.
#[derive(Default)]
struct Draft {
    words: Vec<Word>,
    spans: Vec<Range<usize>>,
    stderr_to_stdout: bool,
}

/// A command under construction.
#[derive(Default)]
struct Assembly {
    simple: Draft,
    stages: Vec<Simple>,
    done: Vec<(Option<Joiner>, Pipeline)>,
    joiner: Option<Joiner>,
    /// Simple commands so far.
    parts: usize,
}

/// Builds the command of `tokens`.
pub(crate) fn assemble(tokens: Vec<(Token, Range<usize>)>) -> Result<Command, Refusal> {
    let mut assembly = Assembly::default();
    let mut last = None;
    for (token, span) in tokens {
        last = Some(span.clone());
        match token {
            Token::Word(word) => {
                if assembly.simple.words.is_empty() {
                    check_first(&word, &span)?;
                }
                assembly.simple.push(&word, span)?;
            }
            Token::StderrToStdout => assembly.simple.redirect(span)?,
            Token::Pipe => assembly.end_stage(Some(span))?,
            Token::Join(joiner) => assembly.end_pipeline(Some(span), joiner)?,
        }
    }
    assembly.finish(last)
}

/// What only the unquoted first word of a simple command can be.
fn check_first(word: &RawWord, span: &Range<usize>) -> Result<(), Refusal> {
    let span = Some(span.clone());
    if !word.globs.is_empty() {
        return Err(Refusal::new(RefusalCode::Glob, span, "the name of the program is a glob")
            .hinting("write the program's name out"));
    }
    if word.bare_equals && !word.text.starts_with('=') {
        return Err(Refusal::new(
            RefusalCode::Environment,
            span,
            "an assignment before a command is not accepted",
        ));
    }
    if word.bare && builtins::is_reserved(&word.text) {
        return Err(Refusal::new(
            RefusalCode::Compound,
            span,
            format!("`{}` is a reserved word of the shell", word.text),
        ));
    }
    Ok(())
}

// === impl Draft ===

impl Draft {
    fn push(&mut self, word: &RawWord, span: Range<usize>) -> Result<(), Refusal> {
        if self.stderr_to_stdout {
            return Err(Refusal::new(
                RefusalCode::Redirect,
                Some(span),
                "`2>&1` is accepted only at the end of a command",
            )
            .hinting("move `2>&1` behind the last word"));
        }
        let word = Word::with_globs(&word.text, &word.globs);
        self.words.push(word.map_err(|e| from_core(e, Some(span.clone())))?);
        self.spans.push(span);
        Ok(())
    }

    fn redirect(&mut self, span: Range<usize>) -> Result<(), Refusal> {
        if self.words.is_empty() || self.stderr_to_stdout {
            return Err(Refusal::new(
                RefusalCode::Redirect,
                Some(span),
                "`2>&1` is accepted once, at the end of a command",
            ));
        }
        self.stderr_to_stdout = true;
        Ok(())
    }
}

// === impl Assembly ===

impl Assembly {
    fn end_stage(&mut self, at: Option<Range<usize>>) -> Result<(), Refusal> {
        let draft = std::mem::take(&mut self.simple);
        if draft.words.is_empty() {
            return Err(Refusal::new(RefusalCode::Empty, at, "a command is missing here"));
        }
        let program = draft.spans.first().cloned();
        let simple =
            Simple::new(draft.words, draft.stderr_to_stdout).map_err(|e| from_core(e, program.clone()))?;
        check_simple(&simple, program)?;
        self.stages.push(simple);
        self.parts += 1;
        // Said as soon as it is known, so that the price of refusing does not grow with the line.
        if self.parts > MAX_PARTS {
            return Err(from_core(InvalidCommand::TooManyParts, None));
        }
        Ok(())
    }

    fn end_pipeline(&mut self, at: Option<Range<usize>>, next: Joiner) -> Result<(), Refusal> {
        self.end_stage(at.clone())?;
        let stages = std::mem::take(&mut self.stages);
        self.done.push((self.joiner.replace(next), Pipeline::new(stages).map_err(|e| from_core(e, at))?));
        Ok(())
    }

    fn finish(mut self, at: Option<Range<usize>>) -> Result<Command, Refusal> {
        // The joiner given here is never used: nothing follows.
        self.end_pipeline(at, Joiner::Then)?;
        let mut pipelines = self.done.into_iter();
        let Some((_, first)) = pipelines.next() else { return Err(from_core(InvalidCommand::Empty, None)) };
        let rest = pipelines.filter_map(|(joiner, pipeline)| joiner.map(|j| (j, pipeline))).collect();
        Command::new(first, rest).map_err(|e| from_core(e, None))
    }
}

/// The refusal for what core does not accept.
pub(crate) fn from_core(why: InvalidCommand, span: Option<Range<usize>>) -> Refusal {
    let code = match why {
        InvalidCommand::Empty => RefusalCode::Empty,
        InvalidCommand::WordTooLong => RefusalCode::TooLong,
        InvalidCommand::TooManyWords => RefusalCode::TooManyWords,
        InvalidCommand::TooManyParts => RefusalCode::TooManyParts,
        InvalidCommand::ControlCharacter => RefusalCode::Control,
        InvalidCommand::Program => RefusalCode::Program,
        InvalidCommand::Glob => RefusalCode::Glob,
    };
    Refusal::new(code, span, why.to_string())
}
