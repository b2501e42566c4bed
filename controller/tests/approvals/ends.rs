//! An approval ends without a start: refused, out of time, or with its job.

use std::time::Duration;

use lictor_core::{error::ErrorCode, job::JobState, outcome::Ran};
use lictor_store::Store as _;

use crate::{
    parts::{Consenting as _, deny, ids, needing, state, user},
    world::operator,
};

#[tokio::test]
async fn a_refusal_ends_it_with_who_and_why() {
    let world = needing(2).await;
    let agent = world.connect(&[], false).await;
    let job = world.ask_for_both().await;
    world.approve(&job, "ann").await.unwrap();
    world.decide(&job, &user("bob"), deny()).await.unwrap();
    assert_eq!(world.outcomes(&job).await, ["DENIED APPROVAL_DENIED"; 2]);
    assert_eq!(state(&job), JobState::Failed);
    let kept = world.store.invocation(ids(&job)[0]).await.unwrap().unwrap();
    let outcome = kept.state.outcome().unwrap();
    assert_eq!(outcome.detail(), Some("user:bob refused consent: not today"));
    assert_eq!(outcome.ran(), Ran::NotRun);
    assert_eq!(world.approve(&job, "cid").await, Err(ErrorCode::Conflict));
    assert!(agent.offers().is_empty());
    let last = world.approvals_recorded().await.pop().unwrap();
    assert_eq!(last, "approval_denied");
}

#[tokio::test]
async fn what_is_not_complete_in_time_expires() {
    let world = needing(2).await;
    let agent = world.connect(&[], false).await;
    let job = world.ask_for_both().await;
    world.approve(&job, "ann").await.unwrap();
    world.pass(Duration::from_secs(3_600));
    world.lifecycle.sweep().await;
    assert_eq!(state(&job), JobState::AwaitingApproval, "not before");
    world.pass(Duration::from_secs(1));
    // Too late even before anybody has noticed; and that ends it.
    assert_eq!(world.approve(&job, "bob").await, Err(ErrorCode::Conflict));
    world.lifecycle.sweep().await;
    assert_eq!(world.outcomes(&job).await, ["DENIED APPROVAL_EXPIRED"; 2]);
    assert!(agent.offers().is_empty());
    assert_eq!(
        world.approvals_recorded().await,
        ["approval_requested", "approval_given", "approval_expired"]
    );

    let other = world.ask_for_both().await;
    world.pass(Duration::from_secs(3_601));
    world.lifecycle.sweep().await;
    assert_eq!(world.outcomes(&other).await, ["DENIED APPROVAL_EXPIRED"; 2], "nobody has to ask");
}

#[tokio::test]
async fn what_is_stopped_while_it_waits_never_begins() {
    let world = needing(1).await;
    let agent = world.connect(&[], false).await;
    let job = world.ask_for_both().await;
    assert!(!world.lifecycle.cancel(job.id(), &operator()).await.unwrap());
    assert_eq!((world.outcomes(&job).await, state(&job)), (vec!["CANCELLED".into(); 2], JobState::Cancelled));
    assert_eq!(world.approve(&job, "ann").await, Err(ErrorCode::Conflict));
    let job = world.ask_for_both().await;
    world.lifecycle.abort(job.id(), &operator()).await.unwrap();
    assert_eq!(world.outcomes(&job).await, ["SKIPPED"; 2]);
    assert_eq!(world.approve(&job, "ann").await, Err(ErrorCode::Conflict));
    assert!(agent.offers().is_empty());
}

#[tokio::test]
async fn what_is_paused_while_it_waits_begins_when_it_is_resumed() {
    let world = needing(1).await;
    let agent = world.connect(&[], false).await;
    let job = world.ask_for_both().await;
    world.lifecycle.pause(job.id(), &operator()).await.unwrap();
    world.approve(&job, "ann").await.unwrap();
    world.lifecycle.sweep().await;
    assert_eq!((agent.offers().len(), state(&job)), (0, JobState::Paused));
    world.lifecycle.resume(job.id(), &operator()).await.unwrap();
    world.lifecycle.offer_waiting(&agent.session).await.unwrap();
    assert_eq!(agent.offers().len(), 2);
}
