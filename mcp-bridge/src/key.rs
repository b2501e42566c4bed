//! The idempotency key of a request that brings none: the same message to the same process, within the same session, has the same
//! key, so that its repetition by a transport never runs twice. A client that asks again with another JSON-RPC id, or another
//! process, makes another request.

use lictor_core::{
    digest::Sha256Builder,
    job::{IdempotencyKey, JobSpec},
};
use rmcp::model::RequestId;

use crate::tools::Call;

/// Marks keys that the bridge derived.
const PREFIX: &str = "mcp-";

/// Derived from this process or session, the JSON-RPC id, the tool and everything that is asked for.
pub(crate) fn derived_key(call: &Call<'_>, spec: &JobSpec) -> Option<IdempotencyKey> {
    key(call.nonce, &call.context.id, call.tool, spec)
}

fn key(nonce: &[u8; 16], id: &RequestId, tool: &str, spec: &JobSpec) -> Option<IdempotencyKey> {
    let builder = Sha256Builder::new("lictor mcp request v1").part(nonce);
    // The number 1 and the text "1" are two ids.
    let builder = match id {
        RequestId::Number(number) => builder.part(b"number").part(&number.to_be_bytes()),
        RequestId::String(text) => builder.part(b"text").part(text.as_bytes()),
    };
    let digest = builder.part(tool.as_bytes()).part(spec.digest().as_bytes()).finish();
    IdempotencyKey::new(&format!("{PREFIX}{digest}")).ok()
}

#[cfg(test)]
mod tests {
    use std::{collections::HashSet, time::Duration};

    use lictor_core::{
        job::{CommandInput, Origin, Target},
        name::Tag,
        principal::Via,
    };

    use super::*;

    #[test]
    fn a_repeated_request_has_the_same_key_and_any_other_has_another() {
        let spec = JobSpec::new(
            Target::Tag(Tag::new("web").unwrap()),
            CommandInput::Argv(vec!["uptime".into()]),
            Origin::new(Via::Mcp, "a/1"),
        );
        let slower = JobSpec { timeout: Some(Duration::from_secs(1)), ..spec.clone() };
        let one = RequestId::Number(1);
        let first = key(&[0; 16], &one, "t", &spec);
        assert!(first.is_some());
        assert_eq!(
            first,
            key(&[0; 16], &one, "t", &JobSpec { origin: Origin::new(Via::Mcp, "b"), ..spec.clone() })
        );
        let others = [
            first,
            key(&[1; 16], &one, "t", &spec),
            key(&[0; 16], &RequestId::Number(2), "t", &spec),
            key(&[0; 16], &RequestId::String("1".into()), "t", &spec),
            key(&[0; 16], &one, "u", &spec),
            key(&[0; 16], &one, "t", &slower),
        ];
        assert_eq!(others.iter().collect::<HashSet<_>>().len(), others.len());
    }
}
