//! In what a command is to run, as tools take it: variables, a directory, a login.

use std::collections::BTreeMap;

use lictor_core::{
    context::{Context, Environment},
    error::Failure,
};
use schemars::JsonSchema;
use serde::Deserialize;

use super::{parse, refused};

/// Policy has to permit each.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(inline)]
pub(crate) struct ContextArguments {
    #[serde(default)]
    environment: BTreeMap<String, String>,
    /// Absolute path.
    #[serde(default)]
    working_directory: Option<String>,
    /// Login.
    #[serde(default)]
    run_as: Option<String>,
}

/// What is asked for; nothing where nothing is.
pub(super) fn context(asked: Option<ContextArguments>) -> Result<Context, Failure> {
    let ContextArguments { environment, working_directory, run_as } = asked.unwrap_or_default();
    Ok(Context {
        environment: Environment::from_pairs(environment)
            .map_err(|error| refused("context.environment", error))?,
        working_directory: working_directory
            .map(|path| parse("context.working_directory", &path))
            .transpose()?,
        run_as: run_as.map(|login| parse("context.run_as", &login)).transpose()?,
        stdin: None,
    })
}
