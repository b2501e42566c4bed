//! How long what jobs leave is kept; less of it takes two people.

use clap::{Args, Subcommand};
use lictor_core::{approval::Note, clock::Clock as _};
use lictor_runtime::{clock::SystemClock, exit::Exit};

use crate::{
    Done,
    context::Context,
    render::{
        json::{RetentionDocument, ShortenedDocument},
        retention,
    },
};

/// Show how long output and jobs are kept, or agree with another operator to keep less
///
/// Longer limits in the controller's file are in force when it starts. Shorter ones wait until two operators want them.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lictor audit retention\n  \
    lictor audit retention shorten --reason 'the disk is full'")]
pub(super) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
}

/// What can be done besides looking.
#[derive(Debug, Subcommand)]
enum Verb {
    /// Ask for the shorter limits of the controller's file; or consent to what another operator asked for, and they are in force
    Shorten {
        /// Why, of whoever asks
        #[arg(long, value_name = "TEXT")]
        reason: Option<Note>,
        /// What is consented to, as lictor audit retention tells it
        #[arg(long, value_name = "LIMITS", conflicts_with = "reason")]
        limits: Option<String>,
    },
}

/// Runs the verb.
pub(super) async fn run(Arguments { verb }: Arguments, context: &Context) -> Done {
    match verb {
        None => show(context).await,
        Some(Verb::Shorten { reason, limits }) => shorten(reason.as_ref(), limits.as_deref(), context).await,
    }
}

async fn show(context: &Context) -> Done {
    let standing = context.connect()?.operator.retention().await?;
    let document = RetentionDocument::from(&standing);
    context.show(&document, |style| retention::standing(&standing, SystemClock.now(), style))?;
    Ok(Exit::Ok.into())
}

async fn shorten(reason: Option<&Note>, seen: Option<&str>, context: &Context) -> Done {
    let (standing, shortened) = context.connect()?.operator.shorten_retention(reason, seen).await?;
    let document = ShortenedDocument { retention: (&standing).into(), shortened };
    context.show(&document, |style| retention::shorten(&standing, shortened, style))?;
    Ok(Exit::Ok.into())
}
