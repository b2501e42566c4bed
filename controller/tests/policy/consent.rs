//! What needs consent, and what is too much for one job, is refused as a whole.

use lictor_core::error::ErrorCode;

use crate::{
    parts::{InForce as _, asking, policy, uptime},
    world::{HOSTS, POLICY, World, only},
};

#[tokio::test]
async fn a_request_that_needs_consent_on_one_host_is_refused_as_a_whole() {
    let world = World::under(&asking("web-2"), &HOSTS).await;
    let agent = world.connect(&[], false).await;
    let failure = world.refused(&uptime(&HOSTS)).await;
    assert_eq!(failure.code, ErrorCode::PolicyDenied);
    assert_eq!(failure.detail("decision"), Some("POLICY_APPROVAL_REQUIRED"));
    assert_eq!((failure.detail("host"), failure.detail("rule")), (Some("web-2"), Some("asks")));
    let whom = "2 other people of group `oncall` within 1h, each with a second factor must consent";
    assert!(failure.message.contains(whom), "{}", failure.message);
    assert!(failure.next_step.contains("cannot collect consent"), "{}", failure.next_step);
    let record = world.last().await;
    assert_eq!((&record["code"], &record["rule"]), (&"POLICY_APPROVAL_REQUIRED".into(), &"asks".into()));
    assert!(agent.offers().is_empty());
    assert!(world.submit(&uptime(&["web-1", "web-3"])).await.is_ok());
    assert_eq!(agent.offers().len(), 2);
}

#[tokio::test]
async fn what_waits_is_not_run_once_it_needs_consent() {
    let world = World::under(POLICY, &HOSTS).await;
    let job = world.submit(&uptime(&["web-2"])).await.unwrap();
    world.put(&asking("web-2")).await;
    assert!(world.connect(&[], false).await.offers().is_empty());
    assert_eq!(world.state(only(&job)).await, "DENIED");
}

#[tokio::test]
async fn a_job_with_more_hosts_than_policy_gives_one_is_refused_as_a_whole() {
    let strict = "    max_hosts: 2\n  - id: strict\n    effect: allow\n    where: {hosts: [web-3]}\n    commands: [uptime]\n    max_hosts: 1\n";
    let world = World::under(&policy("", strict), &HOSTS).await;
    let agent = world.connect(&[], false).await;
    let failure = world.refused(&uptime(&["web-1", "web-3"])).await;
    assert_eq!(failure.code, ErrorCode::LimitExceeded);
    assert!(
        failure.message.contains("2 hosts") && failure.message.contains("at most 1"),
        "{}",
        failure.message
    );
    assert_eq!(world.last().await["code"], "LIMIT_EXCEEDED");
    assert!(agent.offers().is_empty());
    assert!(world.submit(&uptime(&["web-1", "web-2"])).await.is_ok());
    assert!(world.submit(&uptime(&["web-3"])).await.is_ok());
}

#[tokio::test]
async fn what_waits_is_not_run_once_policy_gives_its_job_fewer_hosts() {
    let world = World::under(POLICY, &HOSTS).await;
    let job = world.submit(&uptime(&HOSTS)).await.unwrap();
    world.put(&policy("", "    max_hosts: 2\n")).await;
    assert!(world.connect(&[], false).await.offers().is_empty());
    for (_, id, _) in job.index() {
        assert_eq!(world.state(id).await, "DENIED");
    }
}
