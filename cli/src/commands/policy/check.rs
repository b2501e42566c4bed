//! `lictor policy check` and `schema`: whether a file is a policy, and what it should not say by accident.

use std::path::Path;

use lictor_policy::{json_schema, lint};
use lictor_runtime::exit::Exit;

use super::source;
use crate::{Done, context::Context, render::policy::check};

/// Reads a file and tells what the lint finds. Errors refuse the file; warnings do not.
pub(super) fn run(file: &Path, context: &Context) -> Done {
    let set = source::file(file)?;
    let document = check::Document::new(file, &set, &lint(&set));
    context.show(&document, |style| check::text(&document, style))?;
    Ok(Exit::Ok.into())
}

/// Prints the schema, whatever the form asked for: it is a JSON document.
pub(super) fn schema(context: &Context) -> Done {
    context.print_json(&json_schema())?;
    Ok(Exit::Ok.into())
}
