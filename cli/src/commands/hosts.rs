//! `lictor hosts`: every host, those with a tag, or those that an expression means.

use clap::Args;
use lictor_core::{name::Tag, target::TargetExpression};
use lictor_runtime::exit::Exit;

use crate::{
    Done,
    context::Context,
    render::{fleet, json::HostDocument},
};

/// List hosts
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// Only hosts with this tag
    #[arg(long, value_name = "TAG")]
    tag: Option<Tag>,
    /// Only the hosts that this means, e.g. 'tag:web and not site:eu', as with lictor run --match
    #[arg(long = "match", value_name = "EXPRESSION", conflicts_with = "tag")]
    expression: Option<TargetExpression>,
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    let connected = context.connect()?;
    let client = connected.client();
    let hosts = match &arguments.expression {
        None => client.hosts(arguments.tag.as_ref()).await?,
        Some(expression) => client.hosts_meant_by(expression).await?,
    };
    let documents: Vec<HostDocument> = hosts.iter().map(Into::into).collect();
    context.show(&documents, |style| fleet::hosts(&hosts, style))?;
    Ok(Exit::Ok.into())
}
