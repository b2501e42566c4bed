//! `lictor retry`: the same command again, as a new job, on the hosts of an earlier one where it came to this.

use clap::{Args, ValueEnum};
use lictor_client::views::{InvocationView, JobView};
use lictor_core::{
    error::{ErrorCode, Failure},
    id::JobId,
    job::{CommandInput, IdempotencyKey, JobSpec, Target},
    name::HostAlias,
    outcome::{Outcome, Ran},
};

use super::jobs::whole;
use crate::{
    Done,
    context::{Context, origin},
    run::{follow::follow, grouping::Grouping, rollout::RolloutArguments},
    trouble::Trouble,
};

/// Run the command of an ended job again on the hosts where it did not run
///
/// It is a new job: policy judges it anew, and it appears in the audit by itself. Typing the same retry twice gives the
/// same job. By default only hosts on which the command certainly did not start are taken.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The job
    #[arg(value_name = "JOB")]
    job: JobId,
    /// Which of its hosts
    #[arg(long, value_enum, default_value_t = Only::NotRun, value_name = "WHICH")]
    only: Only,
    #[command(flatten)]
    rollout: RolloutArguments,
    #[command(flatten)]
    grouping: Grouping,
}

/// Which hosts are taken again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Only {
    /// It certainly did not start there: unreachable, expired, skipped, cancelled before its start
    NotRun,
    /// It ran and failed, by its status or because its time was up
    Failed,
    /// Nobody can know whether it ran: only for commands that may run twice
    Unknown,
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    let Arguments { job, only, rollout, grouping } = arguments;
    let connected = context.connect()?;
    let client = connected.client();
    let (earlier, views) = whole(client, job).await?;
    let spec = again(&earlier, &views, only, rollout)?;
    let stream = client.run(&spec).await?;
    Ok(follow(context, client, stream, grouping).await?.exit.into())
}

fn again(
    earlier: &JobView,
    views: &[InvocationView],
    only: Only,
    rollout: RolloutArguments,
) -> Result<JobSpec, Trouble> {
    if !earlier.state.ended() {
        return Err(
            refused(format!("{} has not ended", earlier.id), "wait for its end: lictor watch JOB").into()
        );
    }
    let hosts: Vec<HostAlias> =
        views.iter().filter(|view| only.takes(view.outcome.as_ref())).map(|view| view.host.clone()).collect();
    if hosts.is_empty() {
        let message = format!("{} has no host of that kind", earlier.id);
        return Err(refused(message, "see how each host ended: lictor jobs JOB").into());
    }
    let key = format!("retry-{}-{}", only.as_str(), earlier.id);
    let key = IdempotencyKey::new(&key).map_err(|error| Trouble::internal(error.to_string()))?;
    let command = CommandInput::Line(earlier.command.render());
    Ok(JobSpec {
        idempotency_key: Some(key),
        rollout: rollout.into_rollout(),
        context: earlier.context.clone(),
        detached: earlier.detached,
        ..JobSpec::new(Target::Hosts(hosts), command, origin())
    })
}

fn refused(message: String, next_step: &str) -> Failure {
    Failure::new(ErrorCode::Conflict, message, next_step)
}

// === impl Only ===

impl Only {
    const fn as_str(self) -> &'static str {
        match self {
            Self::NotRun => "not-run",
            Self::Failed => "failed",
            Self::Unknown => "unknown",
        }
    }

    /// Denied hosts are never taken: policy would deny them again.
    const fn takes(self, outcome: Option<&Outcome>) -> bool {
        match (self, outcome) {
            (_, None | Some(Outcome::Denied { .. })) => false,
            (Self::NotRun, Some(outcome)) => matches!(outcome.ran(), Ran::NotRun),
            (Self::Failed, Some(outcome)) => matches!(outcome, Outcome::Failed(_) | Outcome::TimedOut),
            (Self::Unknown, Some(outcome)) => matches!(outcome, Outcome::Unknown(_)),
        }
    }
}
