//! `lictor watch`: a job so far, and as it goes on.

use clap::Args;
use lictor_core::id::JobId;

use crate::{
    Done,
    context::Context,
    run::{follow::follow, grouping::Grouping},
};

/// Follow a job until it has ended
///
/// Shows what it printed so far, then what it prints, as far as this can keep up; what is left out is
/// said with its size. An interrupt (Ctrl-C) cancels the job.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The job
    #[arg(value_name = "JOB")]
    job: JobId,
    #[command(flatten)]
    grouping: Grouping,
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    let connected = context.connect()?;
    let client = connected.client();
    let job = arguments.job;
    let stream = if context.is_json() { client.watch(job).await? } else { client.watch_live(job).await? };
    Ok(follow(context, client, stream, arguments.grouping).await?.exit.into())
}
