//! What an answer says of its own freshness: long for what this program is, short for what hosts and jobs do, and never shared
//! where it is one caller's.

use rmcp::model::{
    CacheScope, ClientRequest, DiscoverRequest, ReadResourceRequestParams, ReadResourceResponse, ServerResult,
};
use serde_json::json;

use crate::world::{Era, World};

const HOUR: Option<u64> = Some(3_600_000);
const PUBLIC: Option<CacheScope> = Some(CacheScope::Public);
const PRIVATE: Option<CacheScope> = Some(CacheScope::Private);

#[tokio::test]
async fn what_is_the_same_for_all_may_be_kept_and_shared_and_what_is_ones_own_is_not() {
    let world = World::new(Era::Modern).await;
    let tools = world.mcp.list_tools(None).await.unwrap();
    // Clients that show the job view are told of more.
    assert_eq!((tools.ttl_ms, tools.cache_scope), (HOUR, PRIVATE));
    let prompts = world.mcp.list_prompts(None).await.unwrap();
    assert_eq!((prompts.ttl_ms, prompts.cache_scope), (HOUR, PUBLIC));
    let resources = world.mcp.list_resources(None).await.unwrap();
    assert_eq!((resources.ttl_ms, resources.cache_scope), (HOUR, PUBLIC));
    let templates = world.mcp.list_resource_templates(None).await.unwrap();
    assert_eq!((templates.ttl_ms, templates.cache_scope), (HOUR, PUBLIC));
    let discovered = world.mcp.send_request(ClientRequest::DiscoverRequest(DiscoverRequest::default())).await;
    let ServerResult::DiscoverResult(discovered) = discovered.unwrap() else { panic!("another answer") };
    assert_eq!((Some(discovered.ttl_ms), Some(discovered.cache_scope)), (HOUR, PUBLIC));

    let job = world.call("ssh_run", json!({"alias": "web-1", "argv": ["ok"]})).await.body["job_id"].clone();
    let job = job.as_str().unwrap();
    let (fleet, jobs) = (Some(5_000), Some(1_000));
    for (uri, ttl, scope) in [
        ("ssh://capabilities", HOUR, PUBLIC),
        ("ui://lictor/job", HOUR, PUBLIC),
        ("ssh://hosts", fleet, PRIVATE),
        ("ssh://tags", fleet, PRIVATE),
        ("ssh://host/host-0000", fleet, PRIVATE),
        (&format!("job://{job}"), jobs, PRIVATE),
        (&format!("job://{job}/output"), jobs, PRIVATE),
    ] {
        let read = world.mcp.read_resource(ReadResourceRequestParams::new(uri)).await.unwrap();
        let ReadResourceResponse::Complete(read) = read.into() else { panic!("it asks for nothing") };
        assert_eq!((read.ttl_ms, read.cache_scope), (ttl, scope), "{uri}");
    }
}
