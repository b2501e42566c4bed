//! Erasing payloads: one person asks, another consents.

use clap::Args;
use lictor_core::{
    approval::Note,
    clock::{Clock as _, Timestamp},
    erasure::PayloadScope,
    id::{ErasureId, JobId},
};
use lictor_runtime::{clock::SystemClock, exit::Exit};

use super::bounds::moment;
use crate::{
    Done,
    context::Context,
    render::{
        erasures,
        json::{ErasedDocument, ErasureDocument},
    },
    trouble::Trouble,
};

/// Erase commands, notes and other text from the log, for good; takes two people
///
/// Asks for it; nothing is erased before another operator consents (--consent). Who did what, when, where and how it ended
/// stays, and the log verifies as before: erased text stands in it as a digest that nobody can guess it from. What a job
/// itself has kept (lictor jobs) is not touched.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  lictor audit erase --subject user:ada --reason 'request 4711'\n  \
    lictor audit erasures\n  lictor audit erase --consent era_...")]
pub(super) struct Arguments {
    #[command(flatten)]
    what: What,
    /// Why; recorded
    #[arg(long, value_name = "TEXT", required_unless_present_any = ["consent", "reject"], conflicts_with_all = ["consent", "reject"])]
    reason: Option<Note>,
}

/// One of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct What {
    /// What somebody asked for or did, and what became of their jobs: user:NAME or service:NAME
    #[arg(long, value_name = "WHO", value_parser = subject)]
    subject: Option<PayloadScope>,
    /// Everything about a job
    #[arg(long, value_name = "JOB")]
    job: Option<JobId>,
    /// Everything that was recorded before: a time ago, e.g. 90d, or a moment, e.g. 2026-12-24T18:00:00Z
    #[arg(long, value_name = "TIME", value_parser = moment)]
    before: Option<Timestamp>,
    /// Consent to an erasure that another operator asked for: it is done
    #[arg(long, value_name = "ERASURE")]
    consent: Option<ErasureId>,
    /// Refuse an erasure, or withdraw your own
    #[arg(long, value_name = "ERASURE")]
    reject: Option<ErasureId>,
}

/// A principal as a scope.
pub(super) fn subject(text: &str) -> Result<PayloadScope, String> {
    PayloadScope::subject(text).map_err(|e| e.to_string())
}

/// Asks, consents or refuses.
pub(super) async fn run(Arguments { what, reason }: Arguments, context: &Context) -> Done {
    match what {
        What { consent: Some(id), .. } => consent(id, context).await,
        What { reject: Some(id), .. } => reject(id, context).await,
        what => request(&what.scope()?, reason, context).await,
    }
}

// === impl What ===

impl What {
    fn scope(self) -> Result<PayloadScope, Trouble> {
        match self {
            Self { subject: Some(scope), .. } => Ok(scope),
            Self { job: Some(job), .. } => Ok(PayloadScope::Job(job)),
            Self { before: Some(to), .. } => PayloadScope::period(Timestamp::from_micros(0), to)
                .map_err(|e| Trouble::usage(e.to_string(), "name a later moment")),
            Self { .. } => Err(Trouble::usage("nothing is named", "add --subject, --job or --before")),
        }
    }
}

async fn request(scope: &PayloadScope, reason: Option<Note>, context: &Context) -> Done {
    let reason = reason.ok_or_else(|| Trouble::usage("there is no reason", "add --reason TEXT"))?;
    let (erasure, records) = context.connect()?.operator.request_erasure(scope, &reason).await?;
    let document = ErasedDocument { erasure: (&erasure).into(), records, erased: false };
    context.show(&document, |style| erasures::requested(&erasure, records, style))?;
    Ok(Exit::Ok.into())
}

async fn consent(id: ErasureId, context: &Context) -> Done {
    let (erasure, records) = context.connect()?.operator.consent_erasure(id).await?;
    let document = ErasedDocument { erasure: (&erasure).into(), records, erased: true };
    context.show(&document, |style| erasures::done(&erasure, records, style))?;
    Ok(Exit::Ok.into())
}

async fn reject(id: ErasureId, context: &Context) -> Done {
    let erasure = context.connect()?.operator.reject_erasure(id).await?;
    context.show(&ErasureDocument::from(&erasure), |style| erasures::ended(&erasure, style))?;
    Ok(Exit::Ok.into())
}

/// Lists the erasures that wait for consent.
pub(super) async fn list(context: &Context) -> Done {
    let all = context.connect()?.operator.erasures().await?;
    let documents: Vec<ErasureDocument> = all.iter().map(Into::into).collect();
    context.show(&documents, |style| erasures::table(&all, SystemClock.now(), style))?;
    Ok(Exit::Ok.into())
}
