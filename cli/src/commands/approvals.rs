//! `lictor approvals`: what waits for consent.

use clap::Args;
use lictor_core::clock::Clock as _;
use lictor_runtime::{clock::SystemClock, exit::Exit};

use crate::{
    Done,
    context::Context,
    render::{approvals, json::RequestDocument},
};

/// Most pages asked for; the controller has no more to give.
const MAX_PAGES: usize = 1_000;

/// List what waits for the consent of others, oldest first
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only what you may decide now
    #[arg(long)]
    mine: bool,
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    let operator = context.connect()?.operator;
    let (mut all, mut token) = (Vec::new(), None::<String>);
    for _ in 0..MAX_PAGES {
        let mut page = operator.approvals(arguments.mine, token.as_deref()).await?;
        all.append(&mut page.approvals);
        token = page.next_page;
        if token.is_none() {
            break;
        }
    }
    let documents: Vec<RequestDocument> = all.iter().map(Into::into).collect();
    context.show(&documents, |style| approvals::table(&all, SystemClock.now(), style))?;
    Ok(Exit::Ok.into())
}
