//! `lictor freeze`: the emergency brake; and what is frozen, and lifting it.

use clap::{Args, Subcommand};
use lictor_core::{
    clock::Clock as _,
    freeze::{FreezeReason, FreezeScope},
    id::FreezeId,
    name::{HostAlias, SiteName},
};
use lictor_runtime::{clock::SystemClock, exit::Exit};

use crate::{
    Done,
    context::Context,
    render::{
        freezes,
        json::{FreezeDocument, FreezeDoneDocument},
    },
    trouble::Trouble,
};

/// Stop anything new from starting: everywhere, at a site, or on a host
///
/// Answers once it is in force, recorded and confirmed by the agents. What runs goes on: stop it with `lictor cancel`. What
/// waits ends DENIED with the code FROZEN. It holds until it is lifted, also across restarts.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    scope: Scope,
    /// Why; whoever is refused sees it
    #[arg(long, value_name = "TEXT", required = true)]
    reason: Option<FreezeReason>,
}

/// Where; one of these.
#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Scope {
    /// Freeze everything
    #[arg(long)]
    all: bool,
    /// Freeze every host of this site
    #[arg(long, value_name = "SITE")]
    site: Option<SiteName>,
    /// Freeze this host
    #[arg(long, value_name = "HOST")]
    host: Option<HostAlias>,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the freezes in force
    List,
    /// Lift a freeze; what others cover stays frozen
    Lift {
        /// The freeze
        #[arg(value_name = "FREEZE")]
        freeze: FreezeId,
    },
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    match arguments.verb {
        Some(Verb::List) => list(context).await,
        Some(Verb::Lift { freeze }) => lift(freeze, context).await,
        None => set(arguments.scope, arguments.reason, context).await,
    }
}

async fn set(scope: Scope, reason: Option<FreezeReason>, context: &Context) -> Done {
    let scope = match scope {
        Scope { all: true, .. } => FreezeScope::Everything,
        Scope { site: Some(site), .. } => FreezeScope::Site(site),
        Scope { host: Some(host), .. } => FreezeScope::Host(host),
        Scope { .. } => {
            return Err(Trouble::usage("nothing is named", "add --all, --site SITE or --host HOST"));
        }
    };
    let reason = reason.ok_or_else(|| Trouble::usage("there is no reason", "add --reason TEXT"))?;
    let done = context.connect()?.operator.freeze(&scope, &reason).await?;
    context.show(&FreezeDoneDocument::from(&done), |style| freezes::done(&done, style))?;
    Ok(Exit::Ok.into())
}

async fn lift(id: FreezeId, context: &Context) -> Done {
    let operator = context.connect()?.operator;
    let lifted = operator.lift_freeze(id).await?;
    context.show(&FreezeDocument::from(&lifted), |style| freezes::lifted(&lifted, style))?;
    Ok(Exit::Ok.into())
}

async fn list(context: &Context) -> Done {
    let all = context.connect()?.operator.freezes().await?;
    let documents: Vec<FreezeDocument> = all.iter().map(Into::into).collect();
    context.show(&documents, |style| freezes::table(&all, SystemClock.now(), style))?;
    Ok(Exit::Ok.into())
}
