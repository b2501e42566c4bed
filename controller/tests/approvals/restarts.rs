//! A controller that starts over what another one left: no consent is lost, and none is used twice.

use std::time::Duration;

use lictor_core::{error::ErrorCode, job::JobState};

use crate::{
    parts::{Consenting as _, approval, asking, deny, needing, state, term, user},
    world::World,
};

#[tokio::test]
async fn consent_outlives_the_controller_and_nothing_begins_by_a_restart() {
    let world = needing(2).await;
    let job = world.ask_for_both().await;
    world.approve(&job, "ann").await.unwrap();
    let before = approval(&job);
    let world = world.restarted().await;
    let job = world.lifecycle.jobs.job(job.id()).unwrap();
    assert_eq!((approval(&job), state(&job)), (before, JobState::AwaitingApproval));
    let agent = world.connect(&[], false).await;
    world.lifecycle.sweep().await;
    assert!(agent.offers().is_empty());
    assert_eq!(world.approve(&job, "ann").await, Err(ErrorCode::AlreadyExists));
    assert_eq!(world.approve(&job, "bob").await, Ok(()));
    assert_eq!(agent.offers().len(), 2);
    // What was used is used after the next restart, too, and what was offered is not offered anew by it.
    let world = world.restarted().await;
    let job = world.lifecycle.jobs.job(job.id()).unwrap();
    assert_eq!(state(&job), JobState::Running);
    assert_eq!(world.approve(&job, "cid").await, Err(ErrorCode::Conflict));
    let used = world.kinds().await.into_iter().filter(|kind| kind == "approval_used").count();
    assert_eq!(used, 1);
}

#[tokio::test]
async fn what_was_consented_to_waits_for_its_agent_from_then_on_across_a_restart() {
    let world = needing(1).await;
    let job = world.ask_for_both().await;
    // Far longer than an invocation waits for its agent.
    world.pass(Duration::from_secs(1_800));
    world.approve(&job, "ann").await.unwrap();
    let world = world.restarted().await;
    world.lifecycle.sweep().await;
    let agent = world.connect(&[], false).await;
    assert_eq!(agent.offers().len(), 2);
}

#[tokio::test]
async fn an_end_that_was_recorded_takes_effect_after_a_restart_and_time_goes_on() {
    let world = World::under(&asking(&term("asks", 1, "dba")), &["web-1", "web-2"]).await;
    let denied = world.ask_for_both().await;
    let waits = world.ask_for_both().await;
    world.decide(&denied, &user("ann"), deny()).await.unwrap();
    let world = world.restarted().await;
    assert!(world.lifecycle.jobs.job(denied.id()).is_none());
    world.pass(Duration::from_secs(3_601));
    let world = world.restarted().await;
    world.lifecycle.sweep().await;
    assert_eq!(world.outcomes(&waits).await, ["DENIED APPROVAL_EXPIRED"; 2]);
    assert!(world.connect(&[], false).await.offers().is_empty());
}
