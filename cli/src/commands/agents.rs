//! `lictor agents`: every agent and whether it is there.

use lictor_core::clock::Clock as _;
use lictor_runtime::{clock::SystemClock, exit::Exit};

use crate::{
    Done,
    context::Context,
    render::{fleet, json::AgentDocument},
};

/// Runs the verb.
pub(crate) async fn run(context: &Context) -> Done {
    let agents = context.connect()?.operator.agents().await?;
    let documents: Vec<AgentDocument> = agents.iter().map(Into::into).collect();
    context.show(&documents, |style| fleet::agents(&agents, SystemClock.now(), style))?;
    Ok(Exit::Ok.into())
}
