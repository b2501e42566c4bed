//! Resources: what a client may attach to a conversation without calling a tool. Only what the caller may see.

mod content;
mod subscriptions;
mod uri;

use lictor_client::connect::Client;
use lictor_core::error::{ErrorCode, Failure};
use rmcp::{
    ErrorData,
    model::{ReadResourceResult, Resource, ResourceContents, ResourceTemplate},
};
use serde_json::json;

pub(crate) use self::{
    content::no_such_host,
    subscriptions::{Followed, Subscriptions, accepted, listen},
    uri::{ResourceUri, shown},
};
use crate::{
    app,
    freshness::{Freshness, Hinted as _},
    skills,
};

/// The form of every resource.
const JSON: &str = "application/json";

/// The templates, by the form of their identifier.
pub(crate) const HOST_TEMPLATE: &str = "ssh://host/{alias}";
/// A job.
pub(crate) const JOB_TEMPLATE: &str = "job://{id}";
/// What a job printed.
pub(crate) const OUTPUT_TEMPLATE: &str = "job://{id}/output";

/// The resources that are always there.
pub(crate) fn list() -> Vec<Resource> {
    [
        ("ssh://hosts", "hosts", "Every host, with site, tags and whether it can be reached now."),
        ("ssh://tags", "tags", "Every tag, with how many hosts have it."),
        ("ssh://capabilities", "capabilities", "What this server does, within which limits."),
    ]
    .into_iter()
    .map(|(uri, name, what)| Resource::new(uri, name).with_description(what).with_mime_type(JSON))
    .chain([skills::resource()])
    .collect()
}

/// The forms of the others.
pub(crate) fn templates() -> Vec<ResourceTemplate> {
    [
        (HOST_TEMPLATE, "host", "One host."),
        (JOB_TEMPLATE, "job", "How a job stands. Can be subscribed to while it runs."),
        (OUTPUT_TEMPLATE, "job output", "What became of an ended job, and what it printed."),
    ]
    .into_iter()
    .map(|(uri, name, what)| ResourceTemplate::new(uri, name).with_description(what).with_mime_type(JSON))
    .collect()
}

/// Reads the resource of this identifier.
///
/// # Errors
/// A protocol error: not found, where it is not there or not for the caller to see; or why it cannot be read.
pub(crate) async fn read(client: &Client, uri: &str) -> Result<ReadResourceResult, ErrorData> {
    if uri == app::URI {
        return Ok(ReadResourceResult::new(vec![app::contents()]).hinted(Freshness::Fixed));
    }
    if let Some(skill) = skills::read(uri) {
        return Ok(skill.hinted(Freshness::Fixed));
    }
    let parsed = ResourceUri::parse(uri).ok_or_else(|| not_found(uri))?;
    let content = content::of(client, &parsed).await.map_err(|failure| protocol_error(&failure, uri))?;
    let contents = ResourceContents::text(content.to_string(), uri).with_mime_type(JSON);
    let freshness = match parsed {
        ResourceUri::Capabilities => Freshness::Fixed,
        ResourceUri::Hosts | ResourceUri::Tags | ResourceUri::Host(_) => Freshness::Fleet,
        ResourceUri::Job(_) | ResourceUri::Output(_) => Freshness::Jobs,
    };
    Ok(ReadResourceResult::new(vec![contents]).hinted(freshness))
}

/// There is no such resource; the identifier is shown as data, without what it may hide.
pub(crate) fn not_found(uri: &str) -> ErrorData {
    ErrorData::resource_not_found("there is no such resource", Some(json!({ "uri": uri::shown(uri) })))
}

/// A failure as a protocol error, for what has no other way to say it.
pub(crate) fn protocol_error(failure: &Failure, uri: &str) -> ErrorData {
    let data = json!({
        "code": failure.code.as_str(),
        "next_step": failure.next_step,
        "uri": uri::shown(uri),
    });
    match failure.code {
        ErrorCode::NotFound => not_found(uri),
        ErrorCode::InvalidArgument | ErrorCode::Conflict => {
            ErrorData::invalid_params(failure.message.clone(), Some(data))
        }
        _ => ErrorData::internal_error(failure.message.clone(), Some(data)),
    }
}
