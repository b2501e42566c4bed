//! `lictor policy show`: the text of a policy as the controller keeps it.

use lictor_runtime::exit::Exit;
use serde::Serialize;

use super::source;
use crate::{Done, context::Context, render::time};

#[derive(Debug, Serialize)]
struct Shown {
    version: u64,
    sha256: String,
    changed_by: String,
    changed_at: String,
    note: String,
    source: String,
}

/// Shows the policy in force, or an earlier version.
pub(super) async fn run(version: Option<u64>, context: &Context) -> Done {
    let policy = source::kept(&context.connect()?, version).await?;
    if !context.is_json() {
        let when = time::moment(policy.changed_at);
        context.note(&format!("# version {}, put by {} at {when} UTC", policy.version, policy.changed_by));
        if !policy.note.is_empty() {
            context.note(&format!("# {}", crate::render::bytes::one_line(&policy.note)));
        }
    }
    let document = Shown {
        version: policy.version,
        sha256: policy.digest.to_string(),
        changed_by: policy.changed_by,
        changed_at: policy.changed_at.to_string(),
        note: policy.note,
        source: policy.source,
    };
    context.show(&document, |_| document.source.clone())?;
    Ok(Exit::Ok.into())
}
