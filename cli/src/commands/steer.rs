//! `lictor pause`, `resume` and `abort`: how a job goes on, or whether.

use clap::Args;
use lictor_client::{connect::Client, views::JobView};
use lictor_core::{error::Failure, id::JobId};
use lictor_runtime::exit::Exit;

use crate::{
    Done,
    context::Context,
    render::{invocations, json::JobDocument},
};

/// Begin nothing new of a job until it is resumed
///
/// What is under way goes on to its end. `lictor cancel JOB` stops that, too.
#[derive(Debug, Args)]
pub(crate) struct PauseArguments {
    /// The job
    #[arg(value_name = "JOB")]
    job: JobId,
}

/// Go on with a job that was paused
#[derive(Debug, Args)]
pub(crate) struct ResumeArguments {
    /// The job
    #[arg(value_name = "JOB")]
    job: JobId,
}

/// Begin nothing new of a job any more; what waits is SKIPPED
///
/// What is under way goes on to its end. `lictor cancel JOB` stops that, too.
#[derive(Debug, Args)]
pub(crate) struct AbortArguments {
    /// The job
    #[arg(value_name = "JOB")]
    job: JobId,
}

/// Runs `lictor pause`.
pub(crate) async fn pause(arguments: PauseArguments, context: &Context) -> Done {
    steer(context, "paused", async |client| client.pause(arguments.job).await).await
}

/// Runs `lictor resume`.
pub(crate) async fn resume(arguments: ResumeArguments, context: &Context) -> Done {
    steer(context, "resumed", async |client| client.resume(arguments.job).await).await
}

/// Runs `lictor abort`.
pub(crate) async fn abort(arguments: AbortArguments, context: &Context) -> Done {
    steer(context, "aborted", async |client| client.abort(arguments.job).await).await
}

async fn steer(
    context: &Context,
    what: &str,
    call: impl AsyncFnOnce(&Client) -> Result<JobView, Failure>,
) -> Done {
    let connected = context.connect()?;
    let job = call(connected.client()).await?;
    context.show(&JobDocument::from(&job), |style| {
        format!("{what}: {}\nsee it go on: lictor watch {}\n", invocations::summary(&job, style), job.id)
    })?;
    Ok(Exit::Ok.into())
}
