//! `lictor retry`: the same command again, as a new job, on the hosts of an earlier one where it came to this.

use clap::{Args, ValueEnum};
use lictor_client::views::{InvocationView, JobView};
use lictor_core::{
    approval::APPROVAL_DENIED,
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
    run::{
        follow::{begin, follow},
        grouping::Grouping,
        rollout::RolloutArguments,
    },
    trouble::Trouble,
};

/// Run the command of an ended job again on the hosts where it did not run
///
/// It is a new job: policy judges it anew, and it appears in the audit by itself. Typing the same retry twice gives the
/// same job. By default only hosts on which the command certainly did not start are taken, but none that policy or a
/// site's floor denied: they would deny it again. Timeout, output limit and how it goes out are those of the earlier job;
/// options of how it goes out replace all of that.
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
    /// It certainly did not start there: unreachable, expired, skipped, cancelled before its start, frozen, refused by
    /// its agent
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
    let stream = begin(context, client, &spec).await?;
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
        let message = format!("{} has no host where {}", earlier.id, only.sought());
        return Err(refused(message, only.instead()).into());
    }
    let key = format!("retry-{}-{}", only.as_str(), earlier.id);
    let key = IdempotencyKey::new(&key).map_err(|error| Trouble::internal(error.to_string()))?;
    let command = CommandInput::Line(earlier.command.render());
    let rollout = rollout.into_rollout();
    Ok(JobSpec {
        idempotency_key: Some(key),
        timeout: earlier.timeout,
        output_bytes: earlier.output_bytes,
        rollout: if rollout.is_immediate() { earlier.rollout.clone() } else { rollout },
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

    /// Which hosts these are, after `no host where`.
    const fn sought(self) -> &'static str {
        match self {
            Self::NotRun => "it certainly did not run, but for those that denied it",
            Self::Failed => "it ran and failed",
            Self::Unknown => "nobody can know whether it ran",
        }
    }

    /// What to do when there are none.
    const fn instead(self) -> &'static str {
        match self {
            Self::NotRun => {
                "see how each host ended: lictor jobs JOB; those where it failed: --only failed; to risk that it runs \
                 twice: --only unknown"
            }
            Self::Failed | Self::Unknown => "see how each host ended: lictor jobs JOB",
        }
    }

    /// What was denied for what it is, is denied again; what only came at the wrong moment may pass now.
    fn takes(self, outcome: Option<&Outcome>) -> bool {
        match (self, outcome) {
            (_, None) => false,
            (_, Some(Outcome::Denied { code, .. })) => self == Self::NotRun && !is_final(code),
            (Self::NotRun, Some(outcome)) => matches!(outcome.ran(), Ran::NotRun),
            (Self::Failed, Some(outcome)) => matches!(outcome, Outcome::Failed(_) | Outcome::TimedOut),
            (Self::Unknown, Some(outcome)) => matches!(outcome, Outcome::Unknown(_)),
        }
    }
}

/// Whether somebody who may has said no to the command on that host: policy, the site's floor, or those who had to consent.
fn is_final(code: &str) -> bool {
    code.starts_with("POLICY_") || code.starts_with("FLOOR_") || code == APPROVAL_DENIED
}

#[cfg(test)]
mod tests {
    use lictor_core::outcome::Unknown;

    use super::*;

    fn denied(code: &str) -> Outcome {
        Outcome::Denied { code: code.to_owned(), reason: String::new() }
    }

    #[test]
    fn what_did_not_run_for_a_reason_that_passes_is_taken_and_what_was_forbidden_is_not() {
        for code in [
            "AGENT_RESTARTED",
            "AGENT_BUSY",
            "AGENT_CLOCK_SKEW",
            "AGENT_JOURNAL_UNAVAILABLE",
            "AGENT_CONTENT_UNAVAILABLE",
            "FROZEN",
            "GRANT_EXPIRED",
            "GRANT_EPOCH",
            "APPROVAL_EXPIRED",
        ] {
            assert!(Only::NotRun.takes(Some(&denied(code))), "{code}");
            assert!(!Only::Failed.takes(Some(&denied(code))) && !Only::Unknown.takes(Some(&denied(code))));
        }
        for code in ["POLICY_DENIED", "POLICY_DEFAULT_DENY", "FLOOR_DENIED", APPROVAL_DENIED] {
            assert!(!Only::NotRun.takes(Some(&denied(code))), "{code}");
        }
        assert!(Only::NotRun.takes(Some(&Outcome::Expired)));
        assert!(!Only::NotRun.takes(Some(&Outcome::Unknown(Unknown::AgentRestarted))));
        assert!(Only::Unknown.takes(Some(&Outcome::Unknown(Unknown::AgentRestarted))));
        assert!(!Only::NotRun.takes(None));
    }
}
