//! `lictor policy put` and `rollback`: another policy in force, after whoever does it has seen what that changes.

use std::{
    fs,
    io::{self, BufRead as _, IsTerminal as _, Write as _},
    path::PathBuf,
};

use clap::Args;
use lictor_client::operator::PolicyPut;
use lictor_core::{
    error::{ErrorCode, Failure},
    limits::MAX_NOTE_BYTES,
};
use lictor_policy::{PolicySet, diff::diff};
use lictor_runtime::exit::Exit;
use serde::Serialize;

use super::source;
use crate::{
    Done,
    context::{Connected, Context},
    render::{
        policy::diff::{ChangeDocument, Document as DiffDocument, text as diff_text},
        style::Tone,
    },
    trouble::Trouble,
};

/// The policy is in force, but its file on the controller is still the old one.
const FILE_NOT_WRITTEN: &str = "file_not_written";

/// Put a policy file in force
///
/// Shows what it widens and what it narrows, and asks. If somebody else changes the policy meanwhile,
/// nothing is put: look at the difference again.
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    how: HowArguments,
}

/// Put an earlier version in force again
///
/// It becomes a new version with the old text; nothing is removed from the history.
#[derive(Debug, Args)]
pub(super) struct RollbackArguments {
    /// The version, as lictor policy history lists it
    #[arg(value_name = "VERSION", value_parser = clap::value_parser!(u64).range(1..))]
    version: u64,
    #[command(flatten)]
    how: HowArguments,
}

#[derive(Debug, Args)]
struct HowArguments {
    /// Why; kept with the version and in the audit
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true, value_parser = parse_note)]
    note: String,
    /// Without asking
    #[arg(long, short)]
    yes: bool,
}

/// What is to be put.
struct Proposal {
    name: String,
    source: String,
    set: PolicySet,
    note: String,
}

#[derive(Debug, Serialize)]
struct Document {
    changed: bool,
    version: u64,
    previous_version: u64,
    sha256: String,
    warning: Option<String>,
    changes: Vec<ChangeDocument>,
}

fn parse_note(text: &str) -> Result<String, String> {
    let fits = text.len() <= MAX_NOTE_BYTES && !text.chars().any(char::is_control);
    fits.then(|| text.to_owned())
        .ok_or_else(|| format!("at most {MAX_NOTE_BYTES} bytes in one line, without control characters"))
}

/// Puts a file.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Done {
    let Arguments { file, how } = arguments;
    let set = source::file(&file)?;
    let source = fs::read_to_string(&file).map_err(|e| Trouble::file("read", &file, &e))?;
    if set.source() != source {
        return Err(Trouble::usage(format!("{} changes while it is read", file.display()), "try again"));
    }
    let proposal = Proposal { name: file.display().to_string(), source, set, note: how.note.clone() };
    put(&context.connect()?, proposal, how.yes, context).await
}

/// Puts an earlier version.
pub(super) async fn rollback(arguments: RollbackArguments, context: &Context) -> Done {
    let RollbackArguments { version, how } = arguments;
    let connected = context.connect()?;
    let earlier = source::kept(&connected, Some(version)).await?;
    let set = source::of_controller(&earlier)?;
    let note = if how.note.is_empty() { format!("back to version {version}") } else { how.note };
    let proposal = Proposal { name: format!("version {version}"), source: earlier.source, set, note };
    put(&connected, proposal, how.yes, context).await
}

async fn put(connected: &Connected, proposal: Proposal, yes: bool, context: &Context) -> Done {
    let live = connected.operator.policy(None).await?;
    if live.digest == proposal.set.digest() {
        let document = Document {
            changed: false,
            version: live.version,
            previous_version: live.version,
            sha256: live.digest.to_string(),
            warning: None,
            changes: Vec::new(),
        };
        context.show(&document, |_| format!("version {} is in force already\n", live.version))?;
        return Ok(Exit::Ok.into());
    }
    let in_force = source::of_controller(&live)?;
    let name = format!("version {}", live.version);
    let changes = diff(&in_force, &proposal.set);
    let difference = DiffDocument::new((&name, &in_force), (&proposal.name, &proposal.set), &changes);
    if !context.is_json() {
        context.note(diff_text(&difference, context.err).trim_end());
    }
    match if yes { Answer::Yes } else { ask(context)? } {
        Answer::Yes => {}
        Answer::No => {
            context.note("nothing was changed");
            return Ok(Exit::Ok.into());
        }
        Answer::Nobody => {
            return Err(Failure::new(
                ErrorCode::InvalidArgument,
                "nothing was put in force",
                "add --yes to do it without asking",
            )
            .into());
        }
    }
    let PolicyPut { version, warning } =
        connected.operator.put_policy(&proposal.source, live.version, &proposal.note).await?;
    if warning.as_deref() == Some(FILE_NOT_WRITTEN) && !context.is_json() {
        context.note("warning: it is in force and kept, but its file on the controller could not be written: write it by hand");
    }
    let document = Document {
        changed: true,
        version,
        previous_version: live.version,
        sha256: proposal.set.digest().to_string(),
        warning,
        changes: difference.into_changes(),
    };
    context.show(&document, |style| {
        format!("{}  version {version} is in force\n", style.paint(Tone::Good, "ok"))
    })?;
    Ok(Exit::Ok.into())
}

/// What a person says.
enum Answer {
    Yes,
    No,
    /// There is no person to ask.
    Nobody,
}

fn ask(context: &Context) -> Result<Answer, Trouble> {
    if !io::stdin().is_terminal() || context.is_json() {
        return Ok(Answer::Nobody);
    }
    let mut out = io::stderr().lock();
    write!(out, "\nPut it in force? [y/N] ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(if matches!(answer.trim(), "y" | "Y" | "yes") { Answer::Yes } else { Answer::No })
}
