//! What resources say. The same as the tools of the same matter, in the same words.

use std::collections::BTreeMap;

use lictor_client::connect::Client;
use lictor_core::{
    error::{ErrorCode, Failure},
    limits::MAX_TIMEOUT,
};
use serde::Serialize;
use serde_json::{Value, json};

use super::ResourceUri;
use crate::{
    answer::UNTRUSTED,
    job_status::{JobStatus, JobSummary},
    tools::{self, described_host, job_result, listed_hosts},
    waiting::{WAITING_LATER_STEP, Waiting},
};

/// Most tags in one resource: more help no model.
const MAX_TAGS: usize = 500;

/// A job.
#[derive(Debug, Serialize)]
struct Job {
    #[serde(flatten)]
    summary: JobSummary,
    #[serde(flatten)]
    status: JobStatus,
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<Waiting>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<&'static str>,
}

/// What the resource says.
pub(super) async fn of(client: &Client, uri: &ResourceUri) -> Result<Value, Failure> {
    match uri {
        ResourceUri::Hosts => Ok(marked(&listed_hosts(client.hosts(None).await?), &["description"])),
        ResourceUri::Tags => tags(client).await,
        ResourceUri::Capabilities => Ok(capabilities()),
        ResourceUri::Host(alias) => Ok(marked(&described_host(client, alias).await?, &["description"])),
        ResourceUri::Job(job) => {
            let job = client.get_job(*job, 1, None).await?.job;
            let waiting = Waiting::of_job(&job, None);
            let next_step = waiting.as_ref().map(|_| WAITING_LATER_STEP);
            let (summary, status) = (JobSummary::of(&job), JobStatus::of(&job));
            Ok(marked(&Job { summary, status, waiting, next_step }, &[]))
        }
        ResourceUri::Output(job) => Ok(marked(&job_result(client, *job).await?, &["stdout", "stderr"])),
    }
}

async fn tags(client: &Client) -> Result<Value, Failure> {
    let mut hosts_of: BTreeMap<String, usize> = BTreeMap::new();
    for host in client.hosts(None).await? {
        for tag in &host.tags {
            *hosts_of.entry(tag.to_string()).or_insert(0) += 1;
        }
    }
    let total = hosts_of.len();
    let tags: Vec<Value> = hosts_of
        .into_iter()
        .take(MAX_TAGS)
        .map(|(tag, hosts)| json!({ "tag": tag, "hosts": hosts }))
        .collect();
    Ok(json!({ "left_out": total - tags.len(), "tags": tags, "total": total }))
}

fn capabilities() -> Value {
    let tools: Vec<&str> = tools::all().iter().map(|entry| entry.tool.name.as_ref()).collect();
    let limits = json!({ "timeout_seconds": MAX_TIMEOUT.as_secs() });
    json!({
        "server": "lictor",
        "version": env!("CARGO_PKG_VERSION"),
        "tools": tools,
        "limits": limits,
        "features": { "async": true, "cancellation": true, "waves": true, "subscriptions": ["job://{id}"] },
        "host_keys": "pinned by operators; unknown and changed keys are refused",
    })
}

/// The document, with the names of the fields in which others speak.
fn marked(document: &impl Serialize, untrusted: &[&str]) -> Value {
    let mut value = serde_json::to_value(document).unwrap_or_default();
    if let (false, Value::Object(all)) = (untrusted.is_empty(), &mut value) {
        all.insert(UNTRUSTED.to_owned(), untrusted.into());
    }
    value
}

/// The failure for a host that is not there or not for the caller to see: the same for both.
pub(crate) fn no_such_host(alias: &str) -> Failure {
    let message = format!("there is no host {alias}");
    Failure::new(ErrorCode::NotFound, message, "see ssh_list_hosts for the hosts there are")
        .with("host", alias)
}
