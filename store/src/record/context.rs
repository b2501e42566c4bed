//! Contexts as they are stored, beside the command.

use std::collections::BTreeMap;

use lictor_core::{
    content::Content,
    context::{Context, Environment},
};
use serde::{Deserialize, Serialize};

use super::corrupt;
use crate::StoreError;

#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct ContextV1 {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    environment: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    working_directory: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    run_as: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    stdin: Option<ContentV1>,
}

#[derive(Debug, Serialize, Deserialize)]
struct ContentV1 {
    sha256: String,
    bytes: u64,
}

// === impl ContextV1 ===

impl ContextV1 {
    /// `None`: nothing was asked for, as in every record from before there were contexts.
    pub(super) fn of(context: &Context) -> Option<Self> {
        let Context { environment, working_directory, run_as, stdin } = context;
        (!context.is_empty()).then(|| Self {
            environment: environment
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
            working_directory: working_directory.as_ref().map(ToString::to_string),
            run_as: run_as.as_ref().map(ToString::to_string),
            stdin: stdin
                .map(|content| ContentV1 { sha256: content.digest().to_string(), bytes: content.bytes() }),
        })
    }
}

impl TryFrom<ContextV1> for Context {
    type Error = StoreError;
    fn try_from(v1: ContextV1) -> Result<Self, StoreError> {
        let ContextV1 { environment, working_directory, run_as, stdin } = v1;
        let content = |ContentV1 { sha256, bytes }| {
            Content::new(sha256.parse().map_err(corrupt)?, bytes).map_err(corrupt)
        };
        Ok(Self {
            environment: Environment::from_pairs(environment).map_err(corrupt)?,
            working_directory: working_directory.map(|text| text.parse()).transpose().map_err(corrupt)?,
            run_as: run_as.map(|text| text.parse()).transpose().map_err(corrupt)?,
            stdin: stdin.map(content).transpose()?,
        })
    }
}
