//! The last consent begins a job: once, in one commit, and never what is no longer what was consented to.

use std::{sync::atomic::Ordering, time::Duration};

use lictor_controller::lifecycle::Decision;
use lictor_core::{
    error::ErrorCode,
    freeze::FreezeScope,
    job::{JobSpec, JobState},
    outcome::Outcome,
    rollout::{Rollout, Share},
};
use lictor_store::{Change, Store as _, Write};

use crate::{
    parts::{BOTH, Consenting as _, approval, asking, ids, needing, state, term, user},
    world::{World, operator, result, spec},
};

#[tokio::test]
async fn nothing_begins_before_the_last_consent_and_everything_once_after_it() {
    let world = needing(2).await;
    let agent = world.connect(&[], false).await;
    let job = world.ask_for_both().await;
    assert_eq!(approval(&job).hosts, 2);
    world.lifecycle.sweep().await;
    assert_eq!(agent.offers(), []);
    assert_eq!(world.approve(&job, "ann").await, Ok(()));
    world.lifecycle.sweep().await;
    assert_eq!((agent.offers(), state(&job)), (vec![], JobState::AwaitingApproval));
    assert_eq!(world.outcomes(&job).await, ["QUEUED", "QUEUED"]);
    assert_eq!(world.approve(&job, "bob").await, Ok(()));
    let mut offers = agent.offers();
    offers.sort_unstable();
    let mut all = ids(&job);
    all.sort_unstable();
    assert_eq!(offers, all, "the host that needs no consent waits, too");
    assert_eq!(world.approve(&job, "cid").await, Err(ErrorCode::Conflict));
    world.lifecycle.sweep().await;
    assert_eq!(agent.offers(), []);
    let recorded = world.approvals_recorded().await;
    let wanted = ["requested", "given", "given", "used"].map(|what| format!("approval_{what}"));
    assert_eq!(recorded[..4], wanted);
    assert_eq!(recorded[4..], ["invocation_intended", "invocation_intended"]);
    let ends = all.iter().map(|id| result(*id, &Outcome::Succeeded)).collect();
    world.lifecycle.take_results(&agent.session, ends).await.unwrap();
    assert_eq!(state(&job), JobState::Succeeded);
}

#[tokio::test]
async fn two_people_who_consent_at_the_same_moment_use_it_once() {
    for _ in 0..20 {
        let world = needing(1).await;
        let agent = world.connect(&[], false).await;
        let job = world.ask_for_both().await;
        let (one, other) = tokio::join!(world.approve(&job, "ann"), world.approve(&job, "bob"));
        assert!(one.is_ok() != other.is_ok(), "{one:?} {other:?}");
        assert_eq!(agent.offers().len(), 2);
        let used = world.kinds().await.into_iter().filter(|kind| kind == "approval_used").count();
        assert_eq!(used, 1);
    }
}

#[tokio::test]
async fn a_last_consent_that_cannot_be_recorded_begins_nothing_and_can_be_given_again() {
    let world = needing(1).await;
    let agent = world.connect(&[], false).await;
    let job = world.ask_for_both().await;
    world.store.broken.store(true, Ordering::SeqCst);
    assert_eq!(world.approve(&job, "ann").await, Err(ErrorCode::AuditUnavailable));
    assert_eq!((agent.offers(), state(&job)), (vec![], JobState::AwaitingApproval));
    world.store.broken.store(false, Ordering::SeqCst);
    assert_eq!(world.approve(&job, "ann").await, Ok(()));
    assert_eq!(agent.offers().len(), 2);
}

#[tokio::test]
async fn what_is_no_longer_what_was_consented_to_never_runs() {
    let strict = asking(&term("asks", 2, "dba")).replace("basics", "renamed");
    for step in ["policy", "freeze", "host"] {
        let world = needing(2).await;
        let agent = world.connect(&[], false).await;
        let job = world.ask_for_both().await;
        world.approve(&job, "ann").await.unwrap();
        match step {
            "policy" => world.put(&strict).await,
            "freeze" => {
                let scope: FreezeScope = "host:web-1".parse().unwrap();
                let reason = "audit".parse().unwrap();
                world.lifecycle.freeze(scope, reason, operator().principal()).await.unwrap();
            }
            _ => {
                let event = lictor_core::audit::AuditEvent::ControllerStarted { name: "test".into() };
                let gone = Write::RemoveHost("web-1".parse().unwrap());
                let change = Change::new(lictor_core::clock::Timestamp::from_micros(1), event).write(gone);
                let _ = world.store.commit(change).await.unwrap();
                world.lifecycle.fleet.refresh(&*world.store).await.unwrap();
            }
        }
        let failure = world.decide(&job, &user("bob"), Decision::Approve(None)).await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::Conflict, "{step}: {failure}");
        let stale = ["plan_stale", "not_found"].map(Some);
        assert!(stale.contains(&failure.detail("reason")), "{step}: {failure:?}");
        assert!(agent.offers().is_empty(), "{step}");
        let outcomes = world.outcomes(&job).await;
        assert!(outcomes.iter().all(|outcome| outcome.starts_with("DENIED ")), "{step}: {outcomes:?}");
        assert_eq!(world.approve(&job, "cid").await, Err(ErrorCode::Conflict), "{step}");
        let recorded = world.approvals_recorded().await;
        assert_eq!(recorded.last().map(String::as_str), Some("approval_voided"), "{step}");
        assert!(!recorded.contains(&"invocation_intended".to_owned()), "{step}");
    }
}

#[tokio::test]
async fn consent_is_to_one_exact_plan() {
    let world = needing(1).await;
    let job = world.ask_for_both().await;
    let other = lictor_core::digest::Digest::of(b"another");
    let decided = world.lifecycle.decide(job.id(), Decision::Approve(None), other, &user("ann")).await;
    assert_eq!(decided.unwrap_err().detail("reason"), Some("other_plan"));
    assert_eq!(state(&job), JobState::AwaitingApproval);
    // Whatever is asked for otherwise is another plan.
    let plain = approval(&job).plan;
    for other in [
        JobSpec { timeout: Some(std::time::Duration::from_secs(3)), ..spec(&BOTH, "uptime") },
        JobSpec { output_bytes: Some(7), ..spec(&BOTH, "uptime") },
        JobSpec { detached: true, ..spec(&BOTH, "uptime") },
        spec(&["web-2"], "uptime"),
    ] {
        let job = world.ask(&other).await.unwrap();
        assert_ne!(approval(&job).plan, plain);
        // And each can be judged again as it was asked for.
        assert_eq!(world.approve(&job, "ann").await, Ok(()));
    }
}

#[tokio::test]
async fn what_goes_out_in_waves_goes_on_as_it_would_without_consent() {
    let world = needing(1).await;
    let agent = world.connect(&[], false).await;
    let waves = Rollout { waves: vec![Share::Count(1)], ..Rollout::default() };
    let job = world.ask(&JobSpec { rollout: waves, ..spec(&BOTH, "uptime") }).await.unwrap();
    assert_eq!(state(&job), JobState::AwaitingApproval);
    world.lifecycle.sweep().await;
    assert_eq!(agent.offers(), []);
    world.approve(&job, "ann").await.unwrap();
    world.lifecycle.offer_waiting(&agent.session).await.unwrap();
    let first = agent.offers();
    assert_eq!(first.len(), 1);
    let end = vec![result(first[0], &Outcome::Succeeded)];
    world.lifecycle.take_results(&agent.session, end).await.unwrap();
    world.lifecycle.sweep().await;
    world.lifecycle.offer_waiting(&agent.session).await.unwrap();
    assert_eq!(agent.offers().len(), 1);
}

#[tokio::test]
async fn what_waits_for_its_agent_after_consent_is_held_against_the_rights_of_that_moment() {
    let world = needing(1).await;
    let job = world.ask_for_both().await;
    world.approve(&job, "ann").await.unwrap();
    assert_eq!(world.outcomes(&job).await, ["QUEUED", "QUEUED"]);
    // ann is no longer one of them; where nobody had to consent it runs all the same.
    world.put(&asking(&term("asks", 1, "dba")).replace("[ann, bob,", "[bob,")).await;
    let agent = world.connect(&[], false).await;
    assert_eq!(agent.offers().len(), 1);
    assert_eq!(world.outcomes(&job).await, ["OFFERED", "DENIED POLICY_APPROVAL_REQUIRED"]);

    let world = World::under(&asking(&term("asks", 1, "dba")), &BOTH).await;
    let job = world.ask_for_both().await;
    world.approve(&job, "ann").await.unwrap();
    assert_eq!(world.connect(&[], false).await.offers().len(), 2, "and otherwise everything runs");
    assert_eq!(state(&job), JobState::Running);
}

#[tokio::test]
async fn late_consent_leaves_the_waves_all_their_time() {
    let day = Duration::from_secs(24 * 3600);
    let world =
        World::under(&asking(&term("asks", 1, "dba")).replace("within: 1h", "within: 24h"), &BOTH).await;
    let waves = Rollout { waves: vec![Share::Count(1)], ..Rollout::default() };
    let job = world.ask(&JobSpec { rollout: waves, ..spec(&BOTH, "uptime") }).await.unwrap();
    world.pass(day - Duration::from_secs(3600));
    world.lifecycle.sweep().await;
    world.approve(&job, "ann").await.unwrap();
    let agent = world.connect(&[], false).await;
    let first = agent.offers();
    assert_eq!(first.len(), 1);
    // More than a rollout's time since it was asked for, and less since it was consented to: also after a restart.
    world.lifecycle.pause(job.id(), &operator()).await.unwrap();
    let end = vec![result(first[0], &Outcome::Succeeded)];
    world.lifecycle.take_results(&agent.session, end).await.unwrap();
    world.pass(day * 6 + Duration::from_secs(12 * 3600));
    world.lifecycle.sweep().await;
    assert_eq!(world.outcomes(&job).await, ["SUCCEEDED", "QUEUED"]);
    let world = world.restarted().await;
    world.lifecycle.sweep().await;
    assert_eq!(world.outcomes(&job).await, ["SUCCEEDED", "QUEUED"]);
    world.lifecycle.resume(job.id(), &operator()).await.unwrap();
    assert_eq!(world.connect(&[], false).await.offers().len(), 1);

    let waves = Rollout { waves: vec![Share::Count(1)], ..Rollout::default() };
    let job = world.ask(&JobSpec { rollout: waves, ..spec(&BOTH, "uptime") }).await.unwrap();
    world.approve(&job, "ann").await.unwrap();
    world.lifecycle.pause(job.id(), &operator()).await.unwrap();
    world.pass(day * 7 + Duration::from_secs(1));
    world.lifecycle.sweep().await;
    assert!(world.outcomes(&job).await.contains(&"EXPIRED".to_owned()), "and no more than that");
}
