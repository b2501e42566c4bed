//! What a disconnect means: in the stateless era the end of the request, in the era of sessions nothing.

use lictor_core::job::JobState;
use lictor_tests::{
    World,
    mcp_http::{Era, HttpBridge, Sent},
    process::eventually,
};
use serde_json::json;

async fn newest_state(world: &World) -> Option<JobState> {
    let page = world.client().unwrap().list_jobs(1, None).await.unwrap();
    page.jobs.first().map(|job| job.state)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_disconnect_cancels_on_the_host_in_the_stateless_era_and_nothing_in_the_era_of_sessions() {
    let (world, bridge) = HttpBridge::with_world(&["web1"]).await.unwrap();
    let token = bridge.token("alice");
    let asked = json!({"name": "ssh_run", "arguments": {"alias": "web1", "argv": ["sleep", "300"]}, "_meta": {"progressToken": "p"}});

    let request = bridge.method(Era::Stateless, &Sent::by(&token), "tools/call", asked.clone()).unwrap();
    // The answer begins with the first progress notification; then the client goes.
    let begun = bridge.open(request).await.unwrap();
    eventually("it runs", async || world.host("web1").exec_log().contains("sleep")).await.unwrap();
    drop(begun);
    eventually("the job is cancelled", async || newest_state(&world).await == Some(JobState::Cancelled))
        .await
        .unwrap();

    let sent =
        Sent { session: bridge.session(Era::Sessions, Some(&token)).await.unwrap(), ..Sent::by(&token) };
    let request = bridge.method(Era::Sessions, &sent, "tools/call", asked).unwrap();
    let id = {
        use http_body_util::BodyExt as _;
        let body = request.body().clone().collect().await.unwrap().to_bytes();
        serde_json::from_slice::<serde_json::Value>(&body).unwrap()["id"].clone()
    };
    let begun = bridge.open(request).await.unwrap();
    eventually("it runs too", async || newest_state(&world).await == Some(JobState::Running)).await.unwrap();
    drop(begun);
    // The session answers other requests, and the job goes on, until the client says that it does not want it.
    bridge.call(Era::Sessions, &sent, "ssh_list_hosts", json!({})).await.unwrap();
    assert_eq!(newest_state(&world).await, Some(JobState::Running));
    let cancel = json!({"jsonrpc": "2.0", "method": "notifications/cancelled", "params": {"requestId": id}});
    bridge.send(bridge.post(Era::Sessions, &sent, cancel.to_string()).unwrap()).await.unwrap();
    eventually("it is cancelled", async || newest_state(&world).await == Some(JobState::Cancelled))
        .await
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bridge_stops_what_it_brought_when_the_users_token_has_expired_and_nothing_else() {
    let (world, bridge) = HttpBridge::with_world(&["web1"]).await.unwrap();
    let itself = world.client_as("bridge").unwrap();
    let alices = itself.on_behalf(&bridge.token("alice")).unwrap();
    let brought =
        alices.submit(&lictor_tests::world::spec(&["web1"], &["sleep", "300"]).unwrap()).await.unwrap();
    let operator = world.client().unwrap();
    let others =
        operator.submit(&lictor_tests::world::spec(&["web1"], &["sleep", "301"]).unwrap()).await.unwrap();
    assert!(itself.get_job(brought.job.id, 1, None).await.is_err(), "it may not look");
    assert!(itself.cancel(others.job.id).await.is_err(), "not what others asked for");
    itself.cancel(brought.job.id).await.unwrap();
    eventually("it is cancelled", async || {
        operator.get_job(brought.job.id, 1, None).await.unwrap().job.state == JobState::Cancelled
    })
    .await
    .unwrap();
    assert_ne!(operator.get_job(others.job.id, 1, None).await.unwrap().job.state, JobState::Cancelled);
    operator.cancel(others.job.id).await.unwrap();
}
