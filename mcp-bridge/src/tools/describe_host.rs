//! `ssh_describe_host`: what is known of one host.

use lictor_core::{
    error::{ErrorCode, Failure},
    name::HostAlias,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BridgeTool, Call, Effect, list_hosts::Host};
use crate::{answer::Answer, arguments::parse};

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
pub(super) struct Described {
    #[serde(flatten)]
    host: Host,
    /// Whether commands that policy allows can run on it now.
    ready: bool,
}

impl BridgeTool for DescribeHost {
    const NAME: &'static str = "ssh_describe_host";
    const TITLE: &'static str = "Describe a host";
    const DESCRIPTION: &'static str = "Tells what is known of one host: site, tags, labels, description, and whether it can be reached now. Contacts no host.";
    const EFFECT: Effect = Effect::Reads;
    type Parameters = Parameters;
    type Result = Described;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<Described>, Failure> {
        let alias: HostAlias = parse("alias", &parameters.alias)?;
        let found = call.client.host(&alias).await?.ok_or_else(|| {
            Failure::new(
                ErrorCode::NotFound,
                format!("there is no host {alias}"),
                "see ssh_list_hosts for the hosts there are",
            )
            .with("host", alias.as_str())
        })?;
        let ready = found.agent_connected && found.host_key_pinned;
        Ok(Answer::done(Described { host: found.into(), ready }))
    }
}
