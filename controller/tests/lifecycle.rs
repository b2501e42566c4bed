//! The story of a job against the model store, with a clock, a disk and an agent that the test holds in its hands.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

#[path = "support/world.rs"]
#[allow(dead_code, reason = "each file of tests needs another part of it")]
mod world;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use lictor_controller::session::Session;
use lictor_core::{
    audit::AuditEvent,
    clock::Clock as _,
    error::ErrorCode,
    invocation::{Invocation, InvocationState},
    job::{IdempotencyKey, JobSpec},
    name::{AgentName, SiteName},
    outcome::{Exit, Outcome, Unknown},
};
use lictor_proto::pb;
use lictor_store::{Change, Store, Write};
use tokio::sync::mpsc;
use world::{NOTHING, World, only, operator, result, spec};

#[tokio::test]
async fn invariant_1_nothing_is_sent_before_its_intent_is_durable() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let slow_disk = world.store.gate.acquire().await.unwrap();
    let lifecycle = world.lifecycle.clone();
    let submission =
        tokio::spawn(async move { lifecycle.submit(&operator(), &spec(&["web-1"], "uptime")).await.is_ok() });
    for _ in 0..50 {
        tokio::task::yield_now().await;
        assert!(agent.offers().is_empty(), "an offer left before its record was durable");
    }
    drop(slow_disk);
    assert!(submission.await.unwrap());
    let offered = agent.offers();
    assert_eq!(offered.len(), 1);
    let audit = world.audit().await;
    let intent = audit.iter().find(|e| e["kind"] == "invocation_intended").unwrap();
    assert_eq!(intent["invocation"], offered[0].to_string());
    assert_eq!(intent["rule"], "basics");
}

#[tokio::test]
async fn invariant_1_without_an_audit_nothing_runs() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    world.store.broken.store(true, Ordering::SeqCst);
    assert_eq!(world.submit(&spec(&["web-1"], "uptime")).await.unwrap_err(), ErrorCode::AuditUnavailable);
    assert_eq!(world.submit(&spec(&["web-1"], "reboot")).await.unwrap_err(), ErrorCode::AuditUnavailable);
    assert!(agent.offers().is_empty());
    world.store.broken.store(false, Ordering::SeqCst);
    assert!(world.submit(&spec(&["web-1"], "uptime")).await.is_ok());
    assert_eq!(agent.offers().len(), 1);
}

#[tokio::test]
async fn a_refused_request_is_recorded_with_its_code_and_starts_nothing() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    for (command, code, expected) in [
        ("reboot", "POLICY_DEFAULT_DENY", ErrorCode::PolicyDenied),
        ("uptime; $(id)", "E_EXPANSION", ErrorCode::CommandRefused),
        ("uptime\nid", "E_NEWLINE", ErrorCode::CommandRefused),
    ] {
        assert_eq!(world.submit(&spec(&["web-1"], command)).await.unwrap_err(), expected, "{command}");
        let audit = world.audit().await;
        assert_eq!(
            (&audit.last().unwrap()["kind"], &audit.last().unwrap()["code"]),
            (&"request_denied".into(), &code.into())
        );
    }
    assert!(agent.offers().is_empty());
}

#[tokio::test]
async fn a_result_that_comes_twice_is_counted_once_and_a_contradiction_changes_nothing() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let id = only(&world.submit(&spec(&["web-1"], "uptime")).await.unwrap());
    let failed = Outcome::Failed(Exit::Code(3));
    for _ in 0..3 {
        let durable = world.lifecycle.take_results(&agent.session, vec![result(id, &failed)]).await.unwrap();
        assert_eq!(durable, [id.to_string()]);
    }
    assert_eq!(world.kinds().await.iter().filter(|k| *k == "invocation_ended").count(), 1);
    let _ =
        world.lifecycle.take_results(&agent.session, vec![result(id, &Outcome::Succeeded)]).await.unwrap();
    assert_eq!(world.state(id).await, "FAILED");
    assert_eq!(world.kinds().await.last().unwrap(), "result_conflict");
    let kept = world.store.jobs(None, 1).await.unwrap().remove(0);
    assert_eq!(kept.counts.unwrap().failed, 1);
}

#[tokio::test]
async fn results_are_taken_only_from_the_agent_that_has_the_invocation() {
    let world = World::new().await;
    let _agent = world.connect(&[], false).await;
    let id = only(&world.submit(&spec(&["web-1"], "uptime")).await.unwrap());
    let (sender, _receiver) = mpsc::channel(8);
    let thief = (SiteName::new("us").unwrap(), AgentName::new("a").unwrap());
    let thief = Session::new(thief, 1, "t".into(), "1".into(), sender, world.clock.now());
    let _ = world.lifecycle.take_results(&thief, vec![result(id, &Outcome::Succeeded)]).await.unwrap();
    assert_eq!(world.state(id).await, "OFFERED");
    assert_eq!(world.kinds().await.last().unwrap(), "result_conflict");
}

#[tokio::test]
async fn an_offer_that_did_not_arrive_is_offered_again_under_the_same_identifier() {
    let world = World::new().await;
    let first = world.connect(&[], false).await;
    let id = only(&world.submit(&spec(&["web-1"], "uptime")).await.unwrap());
    assert_eq!(first.offers(), [id]);
    let second = world.connect(&[], false).await;
    assert_eq!(second.offers(), [id]);
    assert_eq!(world.state(id).await, "OFFERED");
    let third = world.connect(&[(id, pb::JournalPhase::Running)], false).await;
    assert!(third.offers().is_empty(), "what an agent has is not offered again");
    let kinds = world.kinds().await;
    assert_eq!(kinds.iter().filter(|k| *k == "invocation_returned").count(), 1);
}

#[tokio::test]
async fn what_an_agent_had_and_lost_is_unknown_and_never_offered_again() {
    let world = World::new().await;
    let _first = world.connect(&[], false).await;
    let id = only(&world.submit(&spec(&["web-1"], "uptime")).await.unwrap());
    let second = world.connect(&[], true).await;
    assert!(second.offers().is_empty());
    assert_eq!(world.state(id).await, "UNKNOWN");

    let third = world.connect(&[], false).await;
    let job = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    let id = only(&job);
    assert_eq!(third.offers(), [id]);
    job.observe(0, lictor_core::invocation::InvocationEvent::Accept);
    let fourth = world.connect(&[], false).await;
    assert!(fourth.offers().is_empty());
    assert_eq!(world.state(id).await, "UNKNOWN");
}

#[tokio::test]
async fn late_evidence_stands_beside_unknown_and_does_not_replace_it() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let id = only(&world.submit(&spec(&["web-1"], "uptime")).await.unwrap());
    world.disconnect(&agent);
    world.pass(Duration::from_secs(3600));
    world.lifecycle.sweep().await;
    assert_eq!(world.state(id).await, "UNKNOWN");
    for _ in 0..2 {
        let durable = world
            .lifecycle
            .take_results(&agent.session, vec![result(id, &Outcome::Succeeded)])
            .await
            .unwrap();
        assert_eq!(durable, [id.to_string()]);
    }
    let kept = world.store.invocation(id).await.unwrap().unwrap();
    assert_eq!(kept.state, InvocationState::Ended(Outcome::Unknown(Unknown::AgentLost)));
    assert_eq!(kept.resolution, Some(Outcome::Succeeded));
    assert_eq!(world.kinds().await.iter().filter(|k| *k == "invocation_resolved").count(), 1);
}

#[tokio::test]
async fn late_evidence_counts_only_from_the_agent_that_had_the_invocation() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let (sender, _receiver) = mpsc::channel(8);
    let other = (agent.session.site().clone(), AgentName::new("other").unwrap());
    let other = Session::new(other, 1, "t".into(), "1".into(), sender, world.clock.now());
    let lost = Outcome::Unknown(Unknown::AgentLost);
    let first = only(&world.submit(&spec(&["web-1"], "uptime")).await.unwrap());
    let before = only(&world.submit(&spec(&["web-1"], "uptime")).await.unwrap());
    world.disconnect(&agent);
    world.pass(Duration::from_secs(3600));
    world.lifecycle.sweep().await;

    // Not even what agrees with the record is its to say.
    for outcome in [&Outcome::Succeeded, &lost] {
        let durable = world.lifecycle.take_results(&other, vec![result(first, outcome)]).await.unwrap();
        assert_eq!(durable, [first.to_string()], "it has nothing to keep it for");
        let conflict = world.audit().await.pop().unwrap();
        assert_eq!(conflict["kind"], "result_conflict");
        assert_eq!(conflict["invocation"], first.to_string());
        assert_eq!(conflict["agent"], "eu/other");
        assert_eq!(conflict["recorded"], "it was offered to another agent");
        let kept = world.store.invocation(first).await.unwrap().unwrap();
        assert_eq!((kept.state, kept.resolution), (InvocationState::Ended(lost.clone()), None));
    }
    let _ =
        world.lifecycle.take_results(&agent.session, vec![result(first, &Outcome::Succeeded)]).await.unwrap();
    assert_eq!(world.store.invocation(first).await.unwrap().unwrap().resolution, Some(Outcome::Succeeded));

    // Of what was recorded before agents were kept with the end, nobody knows whose it was.
    let kept = world.store.invocation(before).await.unwrap().unwrap();
    assert_eq!(kept.last_agent.as_ref(), Some(agent.session.agent()));
    let as_before = Invocation { last_agent: None, version: kept.version + 1, ..kept };
    let event = AuditEvent::ControllerStarted { name: "c".into() };
    let change = Change::new(world.clock.now(), event).write(Write::UpdateInvocation(as_before.into()));
    let _ = world.store.commit(change).await.unwrap();
    let _ = world.lifecycle.take_results(&other, vec![result(before, &Outcome::Succeeded)]).await.unwrap();
    assert_eq!(world.store.invocation(before).await.unwrap().unwrap().resolution, Some(Outcome::Succeeded));
    assert_eq!(world.kinds().await.last().unwrap(), "invocation_resolved");
}

#[tokio::test]
async fn evidence_may_resolve_every_unknown_once_and_leaves_what_was_recorded() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    for reason in Unknown::ALL {
        let id = only(&world.submit(&spec(&["web-1"], "uptime")).await.unwrap());
        let unknown = Outcome::Unknown(reason);
        for outcome in [&unknown, &unknown, &Outcome::Succeeded, &Outcome::Succeeded] {
            let results = vec![result(id, outcome)];
            let durable = world.lifecycle.take_results(&agent.session, results).await.unwrap();
            assert_eq!(durable, [id.to_string()]);
        }
        let kept = world.store.invocation(id).await.unwrap().unwrap();
        assert_eq!(kept.state, InvocationState::Ended(unknown));
        assert_eq!(kept.resolution, Some(Outcome::Succeeded), "{}", reason.as_str());
        assert_eq!(world.kinds().await.last().unwrap(), "invocation_resolved");
        let other = vec![result(id, &Outcome::Failed(Exit::Code(1)))];
        let _ = world.lifecycle.take_results(&agent.session, other).await.unwrap();
        assert_eq!(
            world.kinds().await.last().unwrap(),
            "result_conflict",
            "evidence is not contradicted either"
        );
    }
}

#[tokio::test]
async fn what_waits_for_an_agent_expires_unless_one_comes() {
    let world = World::new().await;
    let late = only(&world.submit(&spec(&["web-1"], "uptime")).await.unwrap());
    world.pass(Duration::from_secs(31));
    world.lifecycle.sweep().await;
    assert_eq!(world.state(late).await, "EXPIRED");
    let early = only(&world.submit(&spec(&["web-2"], "uptime")).await.unwrap());
    let agent = world.connect(&[], false).await;
    assert_eq!(agent.offers(), [early]);
}

#[tokio::test]
async fn what_waits_does_not_outlive_its_policy() {
    let world = World::new().await;
    let id = only(&world.submit(&spec(&["web-1"], "uptime")).await.unwrap());
    world.lifecycle.policies.put(NOTHING, 1, operator().principal(), "").await.unwrap();
    let agent = world.connect(&[], false).await;
    assert!(agent.offers().is_empty());
    assert_eq!(world.state(id).await, "DENIED");
}

#[tokio::test]
async fn a_cancel_is_recorded_then_ends_what_waits_and_stops_what_may_run() {
    let world = World::new().await;
    let waiting = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    assert!(!world.lifecycle.cancel(waiting.id(), &operator()).await.unwrap());
    assert_eq!(world.state(only(&waiting)).await, "CANCELLED");

    let agent = world.connect(&[], false).await;
    let running = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    assert!(!world.lifecycle.cancel(running.id(), &operator()).await.unwrap());
    assert_eq!(agent.stops(), [only(&running).to_string()]);
    assert_eq!(world.state(only(&running)).await, "OFFERED", "only the agent can say that it stopped");
    let _ = world
        .lifecycle
        .take_results(&agent.session, vec![result(only(&running), &Outcome::Killed)])
        .await
        .unwrap();
    assert!(world.lifecycle.cancel(running.id(), &operator()).await.unwrap(), "it has ended");
    let kinds = world.kinds().await;
    let at = |kind: &str| kinds.iter().position(|k| k == kind).unwrap();
    assert!(at("cancel_requested") < at("invocation_ended"));
}

#[tokio::test]
async fn the_same_key_gives_the_same_job_and_another_request_under_it_is_refused() {
    let world = World::new().await;
    let key = Some(IdempotencyKey::new("k").unwrap());
    let one = JobSpec { idempotency_key: key.clone(), ..spec(&["web-1"], "uptime") };
    let first = world.submit(&one).await.unwrap();
    assert_eq!(world.submit(&one).await.unwrap().id(), first.id());
    let other = JobSpec { idempotency_key: key, ..spec(&["web-2"], "uptime") };
    assert_eq!(world.submit(&other).await.unwrap_err(), ErrorCode::AlreadyExists);
    assert_eq!(world.store.jobs(None, 9).await.unwrap().len(), 1);
}

#[tokio::test]
async fn fifty_requests_at_once_with_one_key_are_one_job() {
    let world = Arc::new(World::new().await);
    let one =
        JobSpec { idempotency_key: Some(IdempotencyKey::new("k").unwrap()), ..spec(&["web-1"], "uptime") };
    let tasks: Vec<_> = (0..50)
        .map(|_| {
            let (world, one) = (world.clone(), one.clone());
            tokio::spawn(async move { world.submit(&one).await.unwrap().id() })
        })
        .collect();
    let mut ids = std::collections::BTreeSet::new();
    for task in tasks {
        ids.insert(task.await.unwrap());
    }
    assert_eq!(ids.len(), 1);
    assert_eq!(world.kinds().await.iter().filter(|k| *k == "job_submitted").count(), 1);
}

#[tokio::test]
async fn a_restart_takes_every_open_job_up_again() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let job = world.submit(&spec(&["web-1", "web-2"], "uptime")).await.unwrap();
    let ids: Vec<_> = job.index().into_iter().map(|(_, id, _)| id).collect();
    let _ = world
        .lifecycle
        .take_results(&agent.session, vec![result(ids[0], &Outcome::Succeeded)])
        .await
        .unwrap();
    world.lifecycle.jobs.remove(&job);
    assert_eq!(world.lifecycle.recover().await.unwrap(), 1);
    let _ = world
        .lifecycle
        .take_results(&agent.session, vec![result(ids[1], &Outcome::Succeeded)])
        .await
        .unwrap();
    let kept = world.store.job(job.id()).await.unwrap().unwrap();
    assert_eq!(kept.counts.unwrap().succeeded, 2);
    assert!(world.lifecycle.jobs.jobs().is_empty());
}

#[tokio::test]
async fn a_caller_who_goes_away_during_the_commit_leaves_a_job_that_is_sent() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let slow_disk = world.store.gate.acquire().await.unwrap();
    let lifecycle = world.lifecycle.clone();
    let caller =
        tokio::spawn(async move { lifecycle.submit(&operator(), &spec(&["web-1"], "uptime")).await.is_ok() });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    caller.abort();
    assert!(caller.await.unwrap_err().is_cancelled());
    drop(slow_disk);
    let id = loop {
        if let Some(id) = agent.offers().pop() {
            break id;
        }
        tokio::task::yield_now().await;
    };
    let _ =
        world.lifecycle.take_results(&agent.session, vec![result(id, &Outcome::Succeeded)]).await.unwrap();
    assert_eq!(world.store.jobs(None, 1).await.unwrap()[0].counts.unwrap().succeeded, 1);
}

#[tokio::test]
async fn what_expires_while_it_is_being_offered_is_counted_once() {
    for order in 0..2 {
        let world = World::new().await;
        let job = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
        let (sender, _receiver) = mpsc::channel(64);
        let key = (SiteName::new("eu").unwrap(), AgentName::new("a").unwrap());
        let session = Arc::new(Session::new(key, 1, "t".into(), "1".into(), sender, world.clock.now()));
        world.lifecycle.sessions.insert(session.clone());
        let slow_disk = world.store.gate.acquire().await.unwrap();
        let (one, two) = (world.lifecycle.clone(), world.lifecycle.clone());
        let offer = async move { one.offer_waiting(&session).await.unwrap() };
        let sweep = async move { two.sweep().await };
        let (offer, sweep) = if order == 0 {
            let offer = tokio::spawn(offer);
            tokio::task::yield_now().await;
            world.pass(Duration::from_secs(31));
            (offer, tokio::spawn(sweep))
        } else {
            world.pass(Duration::from_secs(31));
            let sweep = tokio::spawn(sweep);
            tokio::task::yield_now().await;
            (tokio::spawn(offer), sweep)
        };
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        drop(slow_disk);
        offer.await.unwrap();
        sweep.await.unwrap();
        let (_, _, counts) = job.snapshot();
        assert_eq!(counts.total(), 1, "order {order}: {counts:?}");
        let stored = world.store.invocation(only(&job)).await.unwrap().unwrap();
        job.with(0, |live, _| assert_eq!(live.kept.version, stored.version)).unwrap();
    }
}

#[tokio::test]
async fn a_cancel_during_the_last_end_does_not_erase_the_counts() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let job = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    let (id, ended) = (only(&job), result(only(&job), &Outcome::Failed(Exit::Code(1))));
    let slow_disk = world.store.gate.acquire().await.unwrap();
    let (one, two) = (world.lifecycle.clone(), world.lifecycle.clone());
    let session = agent.session.clone();
    let end = tokio::spawn(async move { one.take_results(&session, vec![ended]).await.unwrap() });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let job_id = job.id();
    let cancel = tokio::spawn(async move { two.cancel(job_id, &operator()).await.unwrap() });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    drop(slow_disk);
    assert_eq!(end.await.unwrap(), [id.to_string()]);
    assert!(cancel.await.unwrap(), "it had ended");
    let kept = world.store.job(job.id()).await.unwrap().unwrap();
    assert_eq!(kept.counts.unwrap().failed, 1);
}

#[tokio::test]
async fn what_waited_too_long_is_not_offered_to_an_agent_that_comes_late() {
    let world = World::new().await;
    let _first = world.connect(&[], false).await;
    let id = only(&world.submit(&spec(&["web-1"], "uptime")).await.unwrap());
    world.pass(Duration::from_secs(81));
    let second = world.connect(&[], false).await;
    assert!(second.offers().is_empty());
    assert_eq!(world.state(id).await, "EXPIRED");
}

#[tokio::test]
async fn a_policy_that_is_put_is_acknowledged_after_what_was_judged_before_it_is_sent() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let slow_disk = world.store.gate.acquire().await.unwrap();
    let (one, policies) = (world.lifecycle.clone(), world.lifecycle.policies.clone());
    let submission =
        tokio::spawn(async move { one.submit(&operator(), &spec(&["web-1"], "uptime")).await.is_ok() });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let put =
        tokio::spawn(async move { policies.put(NOTHING, 1, operator().principal(), "").await.unwrap() });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    assert!(!put.is_finished());
    drop(slow_disk);
    put.await.unwrap();
    assert_eq!(agent.offers().len(), 1, "it was sent before the change was acknowledged");
    assert!(submission.await.unwrap());
    assert_eq!(world.submit(&spec(&["web-1"], "uptime")).await.unwrap_err(), ErrorCode::PolicyDenied);
    assert!(agent.offers().is_empty());
}

#[tokio::test]
async fn a_record_that_cannot_be_moved_does_not_hold_up_the_others() {
    let world = World::new().await;
    let stuck = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    let fine = world.submit(&spec(&["web-2"], "uptime")).await.unwrap();
    // Somebody else moved the record: what is in memory can never be written.
    let kept = world.store.invocation(only(&stuck)).await.unwrap().unwrap();
    let event = AuditEvent::ControllerStarted { name: "other".into() };
    let moved = Invocation { version: kept.version + 1, ..kept };
    let _ = world
        .store
        .commit(Change::new(world.clock.now(), event).write(Write::UpdateInvocation(moved.into())))
        .await
        .unwrap();
    world.pass(Duration::from_secs(31));
    world.lifecycle.sweep().await;
    assert_eq!(world.state(only(&fine)).await, "EXPIRED");
    assert_eq!(world.state(only(&stuck)).await, "QUEUED");
}
