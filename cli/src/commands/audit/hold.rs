//! Legal holds: what they cover cannot be erased until two people have them lifted.

use clap::{Args, Subcommand};
use lictor_core::{
    approval::Note,
    clock::{Clock as _, Timestamp},
    erasure::PayloadScope,
    id::{HoldId, JobId},
};
use lictor_policy::time::rfc3339;
use lictor_runtime::{clock::SystemClock, exit::Exit};

use super::{bounds::moment, erase::subject};
use crate::{
    Done,
    context::Context,
    render::{
        erasures,
        json::{HoldDocument, LiftedDocument},
    },
    trouble::Trouble,
};

/// The end of a hold on everything from some moment on.
const END_OF_TIME: &str = "9999-12-31T23:59:59Z";

/// What can be done with holds.
#[derive(Debug, Subcommand)]
pub(super) enum Verb {
    /// Set a hold
    Set {
        #[command(flatten)]
        what: What,
        /// Why; recorded, and whoever is refused sees it
        #[arg(long, value_name = "TEXT")]
        reason: Note,
    },
    /// Ask for a hold to be lifted; when another operator has asked, consent: then it is lifted
    Lift {
        /// The hold
        #[arg(value_name = "HOLD")]
        hold: HoldId,
        /// Why; whoever asks first says it
        #[arg(long, value_name = "TEXT")]
        reason: Option<Note>,
    },
    /// List the holds in force
    List,
}

/// A principal, a job, or a period.
#[derive(Debug, Args)]
#[group(required = true, multiple = true)]
pub(super) struct What {
    /// What somebody asked for or did, and what became of their jobs: user:NAME or service:NAME
    #[arg(long, value_name = "WHO", value_parser = subject, conflicts_with_all = ["job", "from", "to"])]
    subject: Option<PayloadScope>,
    /// Everything about a job
    #[arg(long, value_name = "JOB", conflicts_with_all = ["from", "to"])]
    job: Option<JobId>,
    /// What was recorded from then on: a time ago, e.g. 90d, or a moment, e.g. 2026-12-24T18:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    from: Option<Timestamp>,
    /// What was recorded before; left out: whatever is still to come, too
    #[arg(long, value_name = "TIME", value_parser = moment)]
    to: Option<Timestamp>,
}

/// Runs the verb.
pub(super) async fn run(verb: Verb, context: &Context) -> Done {
    match verb {
        Verb::Set { what, reason } => set(&what.scope()?, &reason, context).await,
        Verb::Lift { hold, reason } => lift(hold, reason.as_ref(), context).await,
        Verb::List => list(context).await,
    }
}

// === impl What ===

impl What {
    fn scope(self) -> Result<PayloadScope, Trouble> {
        let Self { subject, job, from, to } = self;
        if let Some(scope) = subject.or(job.map(PayloadScope::Job)) {
            return Ok(scope);
        }
        let end = || rfc3339(END_OF_TIME).map_err(Trouble::internal);
        let to = to.map_or_else(end, Ok)?;
        PayloadScope::period(from.unwrap_or(Timestamp::from_micros(0)), to)
            .map_err(|e| Trouble::usage(e.to_string(), "name a --to that is later than --from"))
    }
}

async fn set(scope: &PayloadScope, reason: &Note, context: &Context) -> Done {
    let hold = context.connect()?.operator.set_hold(scope, reason).await?;
    context.show(&HoldDocument::from(&hold), |style| erasures::held(&hold, style))?;
    Ok(Exit::Ok.into())
}

async fn lift(id: HoldId, reason: Option<&Note>, context: &Context) -> Done {
    let (hold, lifted) = context.connect()?.operator.lift_hold(id, reason).await?;
    let document = LiftedDocument { hold: (&hold).into(), lifted };
    context.show(&document, |style| erasures::lift(&hold, lifted, style))?;
    Ok(Exit::Ok.into())
}

async fn list(context: &Context) -> Done {
    let all = context.connect()?.operator.holds().await?;
    let documents: Vec<HoldDocument> = all.iter().map(Into::into).collect();
    context.show(&documents, |style| erasures::holds(&all, SystemClock.now(), style))?;
    Ok(Exit::Ok.into())
}
