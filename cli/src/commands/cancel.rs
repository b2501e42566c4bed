//! `lictor cancel`: asks for everything of a job that has not ended to be stopped.

use clap::Args;
use lictor_core::id::JobId;
use lictor_runtime::exit::Exit;
use serde::Serialize;

use crate::{
    Done,
    context::Context,
    render::{invocations, json::JobDocument},
};

/// Stop a job: what waits is not started, what runs is killed
///
/// Answers when the cancellation is recorded; `lictor watch JOB` waits until the hosts confirm.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The job
    #[arg(value_name = "JOB")]
    job: JobId,
}

#[derive(Debug, Serialize)]
struct Document {
    already_ended: bool,
    job: JobDocument,
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    let cancelled = context.connect()?.client().cancel(arguments.job).await?;
    let document = Document { already_ended: cancelled.already_ended, job: (&cancelled.job).into() };
    context.show(&document, |style| {
        let summary = invocations::summary(&cancelled.job, style);
        if cancelled.already_ended {
            format!("nothing to cancel, it had ended: {summary}\n")
        } else {
            format!("asked to cancel: {summary}\nsee it end: lictor watch {}\n", cancelled.job.id)
        }
    })?;
    Ok(Exit::Ok.into())
}
