//! `ssh_describe_host`: what is known of one host.

use lictor_client::connect::Client;
use lictor_core::{error::Failure, name::HostAlias};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BridgeTool, Call, Effect, list_hosts::Host};
use crate::{answer::Answer, arguments::parse, resources::no_such_host};

/// The tool.
#[derive(Debug)]
pub(super) enum DescribeHost {}

/// Which host.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// Alias of the host.
    alias: String,
}

/// The host.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Described {
    #[serde(flatten)]
    host: Host,
    /// Whether commands that policy allows can run on it now.
    ready: bool,
}

impl BridgeTool for DescribeHost {
    const NAME: &'static str = "ssh_describe_host";
    const TITLE: &'static str = "Describe a host";
    const DESCRIPTION: &'static str =
        "Tells what is known of one host, and whether it can be reached now. Contacts no host.";
    const EFFECT: Effect = Effect::Reads;
    const UNTRUSTED: &'static [&'static str] = &["description"];
    type Parameters = Parameters;
    type Result = Described;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<Described>, Failure> {
        let alias: HostAlias = parse("alias", &parameters.alias)?;
        Ok(Answer::done(described(call.client, &alias).await?))
    }
}

/// What is known of the host.
pub(crate) async fn described(client: &Client, alias: &HostAlias) -> Result<Described, Failure> {
    let found = client.host(alias).await?.ok_or_else(|| no_such_host(alias.as_str()))?;
    let ready = found.agent_connected && found.host_key_pinned;
    Ok(Described { host: found.into(), ready })
}
