//! `lictor approve` and `lictor deny`: shows exactly what is decided, asks, and decides that and nothing else.

use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;
use lictor_client::operator::approvals::Decision;
use lictor_core::{
    approval::Note,
    digest::Digest,
    error::{ErrorCode, Failure},
    id::JobId,
};
use lictor_runtime::exit::Exit;

use super::jobs::whole;
use crate::{
    Done,
    context::Context,
    render::{approvals, json::RequestDocument},
    trouble::Trouble,
};

/// Consent to exactly what a job asks for
///
/// Shows the whole command, its hosts, who asks and why policy asks you, then wants `yes`. The last consent that is needed
/// starts the job, if it would still be decided as it was; otherwise nothing runs and this says so. Nobody consents to what
/// they have asked for themselves.
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 recorded, 2 no such approval or you have consented before, 4 it does not wait any more, is not \
                  what you looked at, or you said no, 7 it is not for you to decide; see lictor --help."
)]
pub(crate) struct ApproveArguments {
    /// The job
    #[arg(value_name = "JOB")]
    job: JobId,
    /// What you say of it; recorded
    #[arg(long, value_name = "TEXT")]
    reason: Option<Note>,
    #[command(flatten)]
    unasked: Unasked,
}

/// Refuse what a job asks for: nothing of it runs
#[derive(Debug, Args)]
#[command(
    after_help = "Exit codes: 0 recorded, 2 no such approval, 4 it does not wait any more or you said no, 7 it is not for you \
                  to decide; see lictor --help."
)]
pub(crate) struct DenyArguments {
    /// The job
    #[arg(value_name = "JOB")]
    job: JobId,
    /// Why; whoever asked sees it
    #[arg(long, value_name = "TEXT")]
    reason: Note,
    #[command(flatten)]
    unasked: Unasked,
}

/// For scripts.
#[derive(Debug, Args)]
struct Unasked {
    /// Do not ask; for scripts
    #[arg(long)]
    yes: bool,
    /// Decide only if this is the digest of what is asked for
    #[arg(long, value_name = "DIGEST", value_parser = parse_plan)]
    plan: Option<Digest>,
}

fn parse_plan(text: &str) -> Result<Digest, String> {
    text.parse()
        .map_err(|_| "a plan is named by 64 hexadecimal digits, as lictor approvals prints them".to_owned())
}

/// Runs `lictor approve`.
pub(crate) async fn approve(arguments: ApproveArguments, context: &Context) -> Done {
    let ApproveArguments { job, reason, unasked } = arguments;
    decide(job, Decision::Approve(reason), unasked, context).await
}

/// Runs `lictor deny`.
pub(crate) async fn deny(arguments: DenyArguments, context: &Context) -> Done {
    let DenyArguments { job, reason, unasked } = arguments;
    decide(job, Decision::Deny(reason), unasked, context).await
}

async fn decide(id: JobId, decision: Decision, unasked: Unasked, context: &Context) -> Done {
    let connected = context.connect()?;
    let operator = &connected.operator;
    let request = operator.approval(id).await?;
    if unasked.plan.is_some_and(|plan| plan != request.approval.plan) {
        let message = format!("{id} asks for another plan than that, so nothing is decided");
        let next_step = format!("look at what it asks for: lictor approve {id}");
        return Err(Failure::new(ErrorCode::Conflict, message, next_step)
            .with("reason", "other_plan")
            .into());
    }
    if !unasked.yes {
        let (job, hosts) = whole(connected.client(), id).await?;
        // To where people look, also while the result goes to a script.
        context.note(&approvals::whole(&request, &job, &hosts, context.err));
        // What cannot be decided needs no question; the controller says why.
        if request.approval.is_pending() {
            confirm(&decision, context)?;
        }
    }
    // Bound to what was shown, whatever the job asks for by now.
    let decided = operator.decide(id, &decision, request.approval.plan).await?;
    context.show(&RequestDocument::from(&decided), |style| approvals::decided(&decided, style))?;
    Ok(Exit::Ok.into())
}

fn confirm(decision: &Decision, context: &Context) -> Result<(), Trouble> {
    if !io::stdin().is_terminal() || context.is_json() {
        return Err(Trouble::usage(
            "there is no person to ask",
            "look at it on a terminal; a script adds --yes, and --plan DIGEST to decide exactly what was looked at",
        ));
    }
    let what = match decision {
        Decision::Approve(_) => "Approve exactly this?",
        Decision::Deny(_) => "Deny this?",
    };
    let mut out = io::stderr().lock();
    write!(out, "{what} Type yes: ")?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    if answer.trim() == "yes" {
        return Ok(());
    }
    Err(Trouble::new(
        Exit::NotRun,
        ErrorCode::Conflict,
        "you did not say yes, so nothing is decided",
        "nothing",
    ))
}
