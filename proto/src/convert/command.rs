//! Commands: words with structure, both ways.

use lictor_core::{
    command::{Command, Joiner, Pipeline, Simple, Word},
    limits::MAX_PARTS,
};

use super::{Invalid, at_most, known};
use crate::pb;

impl From<&Command> for pb::Command {
    fn from(command: &Command) -> Self {
        let mut parts = Vec::new();
        let pipelines = std::iter::once((pb::Joiner::First, command.first()))
            .chain(command.rest().iter().map(|(joiner, pipeline)| (joiner_to_wire(*joiner), pipeline)));
        for (joiner, pipeline) in pipelines {
            for (stage, simple) in pipeline.stages().iter().enumerate() {
                let joiner = if stage == 0 { joiner } else { pb::Joiner::Pipe };
                parts.push(pb::CommandPart {
                    joiner: joiner.into(),
                    words: simple.words().iter().map(|w| w.as_str().to_owned()).collect(),
                    stderr_to_stdout: simple.stderr_to_stdout(),
                    globs: globs_to_wire(simple),
                });
            }
        }
        Self { parts }
    }
}

impl TryFrom<pb::Command> for Command {
    type Error = Invalid;
    fn try_from(wire: pb::Command) -> Result<Self, Invalid> {
        let pb::Command { parts } = wire;
        at_most("command.parts", &parts, MAX_PARTS)?;
        let mut pipelines: Vec<(pb::Joiner, Vec<Simple>)> = Vec::new();
        for pb::CommandPart { joiner, words, stderr_to_stdout, globs } in parts {
            let joiner: pb::Joiner = known("command.parts.joiner", joiner)?;
            if (joiner == pb::Joiner::First) != pipelines.is_empty() {
                return Err(Invalid::new("command.parts.joiner", "exactly the first part is JOINER_FIRST"));
            }
            let words = words_from_wire(&words, &globs)?;
            let simple = Simple::new(words, stderr_to_stdout).map_err(invalid)?;
            match (joiner, pipelines.last_mut()) {
                (pb::Joiner::Pipe, Some((_, stages))) => stages.push(simple),
                _ => pipelines.push((joiner, vec![simple])),
            }
        }
        let mut pipelines = pipelines.into_iter();
        let (_, first) = pipelines.next().ok_or_else(|| Invalid::new("command.parts", "there is none"))?;
        let rest = pipelines
            .map(|(joiner, stages)| Ok((joiner_from_wire(joiner)?, Pipeline::new(stages).map_err(invalid)?)))
            .collect::<Result<_, Invalid>>()?;
        Self::new(Pipeline::new(first).map_err(invalid)?, rest).map_err(invalid)
    }
}

/// The text of a command that came over the wire, for display.
///
/// # Errors
/// [`Invalid`] if it is not a command.
pub fn command_text(wire: pb::Command) -> Result<String, Invalid> {
    Command::try_from(wire).map(|c| c.render())
}

fn globs_to_wire(simple: &Simple) -> Vec<pb::WordGlobs> {
    let offset = |at: usize| u32::try_from(at).unwrap_or(u32::MAX);
    let with_globs = simple.words().iter().enumerate().filter(|(_, word)| word.literal().is_none());
    with_globs
        .map(|(index, word)| pb::WordGlobs {
            word: offset(index),
            at: word.globs().iter().copied().map(offset).collect(),
        })
        .collect()
}

/// Each entry of `globs` must be about a word of its own: two views of one word would be two commands.
fn words_from_wire(words: &[String], globs: &[pb::WordGlobs]) -> Result<Vec<Word>, Invalid> {
    at_most("command.parts.globs", globs, words.len())?;
    let mut offsets: Vec<Option<Vec<usize>>> = vec![None; words.len()];
    for entry in globs {
        let place = usize::try_from(entry.word).ok().and_then(|word| offsets.get_mut(word));
        let free = place.filter(|place| place.is_none() && !entry.at.is_empty());
        let place = free.ok_or_else(|| Invalid::new("command.parts.globs", "not one entry for each word"))?;
        *place = Some(entry.at.iter().map(|at| usize::try_from(*at).unwrap_or(usize::MAX)).collect());
    }
    let words = words.iter().zip(offsets);
    words.map(|(word, at)| Word::with_globs(word, &at.unwrap_or_default()).map_err(invalid)).collect()
}

fn invalid(error: lictor_core::command::InvalidCommand) -> Invalid {
    Invalid::new("command", error)
}

const fn joiner_to_wire(joiner: Joiner) -> pb::Joiner {
    match joiner {
        Joiner::And => pb::Joiner::And,
        Joiner::Or => pb::Joiner::Or,
        Joiner::Then => pb::Joiner::Then,
    }
}

fn joiner_from_wire(joiner: pb::Joiner) -> Result<Joiner, Invalid> {
    match joiner {
        pb::Joiner::And => Ok(Joiner::And),
        pb::Joiner::Or => Ok(Joiner::Or),
        pb::Joiner::Then => Ok(Joiner::Then),
        pb::Joiner::Unspecified | pb::Joiner::First | pb::Joiner::Pipe => {
            Err(Invalid::new("command.parts.joiner", "this joiner does not start a pipeline"))
        }
    }
}
