//! `lictor plan`: what would be decided, without recording a job.

use clap::Args;
use lictor_runtime::exit::Exit;

use crate::{
    Done,
    context::Context,
    render::{json::PlanDocument, plan},
    run::request::RequestArguments,
};

/// Show what would be decided about a command, host by host, without running it
///
///   lictor plan web-1 -- systemctl restart nginx
///   lictor plan --tag web -- 'uptime; df -h'
///
/// The digest at the end stands for exactly these decisions: with `lictor run --plan DIGEST` and the
/// same arguments, what is decided otherwise by then does not run.
///
/// Ends with 3 if it would be refused: because no host is allowed, because consent with a second
/// factor is asked for, or because of max_hosts or a quota.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    request: RequestArguments,
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    let connected = context.connect()?;
    let plan = connected.client().plan(&arguments.request.into_spec(None, None)?.0).await?;
    context.show(&PlanDocument::from(&plan), |style| plan::text(&plan, style))?;
    Ok(if plan::runs(&plan) { Exit::Ok } else { Exit::Denied }.into())
}
