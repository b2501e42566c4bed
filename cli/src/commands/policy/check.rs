//! `lictor policy check` and `schema`: whether a file is a policy, and what it should not say by accident.

use std::path::PathBuf;

use clap::Args;
use lictor_core::error::{ErrorCode, Failure};
use lictor_policy::{json_schema, lint};
use lictor_runtime::exit::Exit;

use super::source;
use crate::{Done, context::Context, render::policy::check};

/// Read a policy file and say everything that is wrong with it, or should not be said by accident
#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The file
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// It is to be a site's floor: refuse also what has no meaning there
    #[arg(long)]
    floor: bool,
}

/// Reads a file and tells what the lint finds. Errors refuse the file; warnings do not.
pub(super) fn run(arguments: &Arguments, context: &Context) -> Done {
    let Arguments { file, floor } = arguments;
    let set = source::file(file)?;
    if let Some(key) = set.not_for_floors().filter(|_| *floor) {
        let message = format!("{} cannot be a site's floor: `{key}` has no meaning there", file.display());
        let next_step = "take it out, and ask for it in the controller's policy: a floor allows or denies each command on its own";
        return Err(Failure::new(ErrorCode::InvalidArgument, message, next_step).with("key", key).into());
    }
    let document = check::Document::new(file, &set, &lint(&set));
    context.show(&document, |style| check::text(&document, style))?;
    Ok(Exit::Ok.into())
}

/// Prints the schema, whatever the form asked for: it is a JSON document.
pub(super) fn schema(context: &Context) -> Done {
    context.print_json(&json_schema())?;
    Ok(Exit::Ok.into())
}
