//! `lictor policy diff`: what another version widens, and what it narrows.

use clap::Args;
use lictor_policy::diff::diff;
use lictor_runtime::exit::Exit;

use super::source::{self, Named};
use crate::{Done, context::Context, render::policy::diff as render};

/// Say what another version of the policy widens, and what it narrows
///
///   lictor policy diff live policy.yml      the file against what is in force
///   lictor policy diff 7 live               what has changed since version 7
///   lictor policy diff old.yml new.yml
///
/// Rules are compared by id, part by part. What cannot be compared counts as both: a widening is
/// never left out.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// A file, `live`, or the number of a version
    #[arg(value_name = "OLD")]
    old: Named,
    /// A file, `live`, or the number of a version
    #[arg(value_name = "NEW")]
    new: Named,
}

/// Compares.
pub(super) async fn run(arguments: &Arguments, context: &Context) -> Done {
    let old = source::load(&arguments.old, context).await?;
    let new = source::load(&arguments.new, context).await?;
    let changes = diff(&old.set, &new.set);
    let document = render::Document::new((&old.name, &old.set), (&new.name, &new.set), &changes);
    context.show(&document, |style| render::text(&document, style))?;
    Ok(Exit::Ok.into())
}
