//! `lictor hosts`: every host, those with a tag, or one.

use clap::Args;
use lictor_core::{
    error::{ErrorCode, Failure},
    name::{HostAlias, Tag},
};
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
    /// Only the host with this alias
    #[arg(long = "match", value_name = "ALIAS", conflicts_with = "tag")]
    alias: Option<HostAlias>,
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    let connected = context.connect()?;
    let client = connected.client();
    let hosts = match &arguments.alias {
        None => client.hosts(arguments.tag.as_ref()).await?,
        Some(alias) => vec![client.host(alias).await?.ok_or_else(|| {
            Failure::new(
                ErrorCode::NotFound,
                format!("there is no host {alias}"),
                "see which there are: lictor hosts",
            )
        })?],
    };
    let documents: Vec<HostDocument> = hosts.iter().map(Into::into).collect();
    context.show(&documents, |style| fleet::hosts(&hosts, style))?;
    Ok(Exit::Ok.into())
}
