//! Completions: aliases, tags and jobs that begin as the user began, or nearly so. Only what the caller may see.

use std::collections::BTreeSet;

use lictor_client::connect::Client;
use lictor_core::{error::Failure, near::near};
use rmcp::{
    ErrorData,
    model::{CompleteRequestParams, CompleteResult, CompletionInfo, Reference},
};

use crate::{
    prompts,
    resources::{HOST_TEMPLATE, JOB_TEMPLATE, OUTPUT_TEMPLATE},
};

/// Most values in one answer: what the protocol allows.
const MAX_VALUES: usize = CompletionInfo::MAX_VALUES;
/// Jobs that are looked at: the newest ones.
const JOBS: u32 = 100;
/// Longest beginning that is looked at, in bytes: no alias, tag or identifier is longer.
const MAX_BEGINNING: usize = 256;

/// What is completed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum What {
    Alias,
    Tag,
    Job,
    /// Aliases and tags.
    Hosts,
}

/// The values for the argument that is being typed; none where there is nothing to complete.
///
/// # Errors
/// When the controller cannot be asked.
pub(crate) async fn complete(
    client: &Client,
    request: &CompleteRequestParams,
) -> Result<CompleteResult, ErrorData> {
    let (argument, typed) = (request.argument.name.as_str(), request.argument.value.as_str());
    let Some(what) = what(&request.r#ref, argument) else { return Ok(CompleteResult::default()) };
    if typed.len() > MAX_BEGINNING {
        return Ok(CompleteResult::default());
    }
    let known = known(client, what).await.map_err(|failure| {
        let next_step = serde_json::json!({ "next_step": failure.next_step });
        ErrorData::internal_error(failure.message, Some(next_step))
    })?;
    let mut values = nearest(typed, &known);
    let total = values.len();
    values.truncate(MAX_VALUES);
    let completion = CompletionInfo::with_pagination(values, u32::try_from(total).ok(), total > MAX_VALUES);
    Ok(CompleteResult::new(completion.map_err(|error| ErrorData::internal_error(error, None))?))
}

fn what(reference: &Reference, argument: &str) -> Option<What> {
    match reference {
        Reference::Resource(resource) => match (resource.uri.as_str(), argument) {
            (HOST_TEMPLATE, "alias") => Some(What::Alias),
            (JOB_TEMPLATE | OUTPUT_TEMPLATE, "id") => Some(What::Job),
            _ => None,
        },
        Reference::Prompt(prompt) if prompts::takes(&prompt.name, argument) => match argument {
            "host" => Some(What::Alias),
            "tag" => Some(What::Tag),
            "hosts" => Some(What::Hosts),
            _ => None,
        },
        _ => None,
    }
}

async fn known(client: &Client, what: What) -> Result<Vec<String>, Failure> {
    if what == What::Job {
        let page = client.list_jobs(JOBS, None).await?;
        return Ok(page.jobs.iter().map(|job| job.id.to_string()).collect());
    }
    let hosts = client.hosts(None).await?;
    let mut known = Vec::new();
    if what != What::Tag {
        known.extend(hosts.iter().map(|host| host.alias.to_string()));
    }
    if what != What::Alias {
        let tags: BTreeSet<String> =
            hosts.iter().flat_map(|host| &host.tags).map(ToString::to_string).collect();
        known.extend(tags);
    }
    Ok(known)
}

/// Those that begin so, then those that contain it, then those that are almost it; within each as they come.
fn nearest(typed: &str, known: &[String]) -> Vec<String> {
    let begins = known.iter().filter(|name| name.starts_with(typed));
    let contains = known.iter().filter(|name| !name.starts_with(typed) && name.contains(typed));
    let mut found: Vec<String> = begins.chain(contains).cloned().collect();
    if found.is_empty() {
        found = near(typed, known.iter().map(String::as_str)).into_iter().map(ToOwned::to_owned).collect();
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_begins_so_comes_before_what_contains_it_and_slips_come_last() {
        let known: Vec<String> = ["db-1", "old-web", "web-1", "web-2"].map(ToOwned::to_owned).to_vec();
        assert_eq!(nearest("web", &known), ["web-1", "web-2", "old-web"]);
        assert_eq!(nearest("", &known).len(), 4);
        assert_eq!(nearest("wbe-1", &known), ["web-1"]);
        assert!(nearest("nothing-like-it", &known).is_empty());
    }
}
