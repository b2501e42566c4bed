//! Quotas hold whatever comes at once, and whatever is restarted in between.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use lictor_core::{
    error::ErrorCode,
    job::{JobSpec, Origin},
    outcome::Outcome,
    principal::Via,
};

use crate::{
    parts::{InForce as _, keyed, policy, uptime},
    world::{HOSTS, POLICY, World, operator, result},
};

fn rate(invocations: u32, per: &str) -> String {
    policy(&format!("quotas:\n  - id: rate\n    invocations: {invocations}\n    per: {per}\n"), "")
}

fn running(most: u32) -> String {
    policy(&format!("quotas:\n  - id: busy\n    running: {most}\n"), "")
}

#[tokio::test]
async fn what_was_asked_for_counts_in_each_span_and_not_longer() {
    let world = World::under(&rate(3, "1m"), &HOSTS).await;
    assert!(world.submit(&uptime(&["web-1", "web-2"])).await.is_ok());
    world.pass(Duration::from_secs(20));
    let failure = world.refused(&uptime(&["web-1", "web-2"])).await;
    assert_eq!(failure.code, ErrorCode::LimitExceeded);
    assert_eq!((failure.detail("quota"), failure.detail("retry_after_seconds")), (Some("rate"), Some("40")));
    let record = world.last().await;
    assert_eq!((&record["code"], &record["rule"]), (&"POLICY_QUOTA".into(), &"rate".into()));
    assert!(world.submit(&uptime(&["web-1"])).await.is_ok(), "what was refused took nothing");
    assert_eq!(world.used().await, [(3, 3)]);
    world.pass(Duration::from_secs(40));
    assert_eq!(world.used().await, [(3, 1)]);
    assert!(world.submit(&uptime(&["web-1", "web-2"])).await.is_ok());
}

#[tokio::test]
async fn a_request_that_no_quota_ever_has_room_for_is_told_so() {
    let world = World::under(&rate(2, "1m"), &HOSTS).await;
    let failure = world.refused(&uptime(&HOSTS)).await;
    assert_eq!(failure.detail("retry_after_seconds"), None);
    assert!(failure.next_step.contains("fewer hosts"), "{}", failure.next_step);
}

#[tokio::test]
async fn what_is_under_way_counts_until_it_has_ended() {
    let world = World::under(&running(2), &HOSTS).await;
    let agent = world.connect(&[], false).await;
    let job = world.submit(&uptime(&["web-1", "web-2"])).await.unwrap();
    let failure = world.refused(&uptime(&["web-3"])).await;
    assert_eq!((failure.detail("quota"), failure.detail("used")), (Some("busy"), Some("2")));
    let (_, first, _) = job.index().remove(0);
    for _ in 0..2 {
        let ended = vec![result(first, &Outcome::Succeeded)];
        let _ = world.lifecycle.take_results(&agent.session, ended).await.unwrap();
    }
    assert_eq!(world.used().await, [(2, 1)]);
    assert!(world.submit(&uptime(&["web-3"])).await.is_ok());
    world.lifecycle.cancel(job.id(), &operator()).await.unwrap();
    assert_eq!(world.used().await, [(2, 2)], "what was told to stop has not ended yet");
    world.disconnect(&agent);
    world.pass(Duration::from_secs(3600));
    world.lifecycle.sweep().await;
    assert_eq!(world.used().await, [(2, 0)]);
}

#[tokio::test]
async fn hosts_where_policy_denies_it_are_not_under_way() {
    let deny = "  - id: not-there\n    effect: deny\n    where: {hosts: [web-2]}\n    commands: any\n";
    let quotas = "quotas:\n  - {id: busy, running: 1}\n  - {id: rate, invocations: 2, per: 1h}\n";
    let world = World::under(&policy(quotas, deny), &HOSTS).await;
    assert!(world.submit(&uptime(&["web-1", "web-2"])).await.is_ok());
    assert_eq!(world.used().await, [(1, 1), (2, 2)]);
}

#[tokio::test]
async fn of_many_requests_at_once_exactly_as_many_are_taken_as_there_are_places() {
    for source in [rate(5, "1h"), running(5)] {
        let world = Arc::new(World::under(&source, &HOSTS).await);
        let slow_disk = world.store.gate.acquire().await.unwrap();
        let tasks: Vec<_> = (0..40)
            .map(|_| {
                let world = Arc::clone(&world);
                tokio::spawn(async move { world.submit(&uptime(&["web-1"])).await.is_ok() })
            })
            .collect();
        for _ in 0..200 {
            tokio::task::yield_now().await;
        }
        drop(slow_disk);
        let mut taken = 0;
        for task in tasks {
            taken += usize::from(task.await.unwrap());
        }
        assert_eq!(taken, 5);
    }
}

#[tokio::test]
async fn what_could_not_be_recorded_gives_its_places_back() {
    let quotas = "quotas:\n  - {id: busy, running: 1}\n  - {id: rate, invocations: 1, per: 1h}\n";
    let world = World::under(&policy(quotas, ""), &HOSTS).await;
    world.store.broken.store(true, Ordering::SeqCst);
    for _ in 0..3 {
        assert_eq!(world.submit(&uptime(&["web-1"])).await.unwrap_err(), ErrorCode::AuditUnavailable);
    }
    world.store.broken.store(false, Ordering::SeqCst);
    assert_eq!(world.used().await, [(1, 0), (1, 0)]);
    assert!(world.submit(&uptime(&["web-1"])).await.is_ok());
}

#[tokio::test]
async fn a_request_that_is_repeated_under_its_key_counts_once() {
    let world = Arc::new(World::under(&rate(2, "1h"), &HOSTS).await);
    let one = keyed(uptime(&["web-1"]), "k");
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let (world, one) = (Arc::clone(&world), one.clone());
            tokio::spawn(async move { world.submit(&one).await })
        })
        .collect();
    for task in tasks {
        // While the first is being recorded, another can find no place; asked again, it finds the job.
        let _ = task.await.unwrap();
    }
    assert!(world.submit(&one).await.is_ok());
    assert_eq!(world.used().await, [(2, 1)]);
}

#[tokio::test]
async fn quotas_count_by_the_door_they_are_for_and_whatever_came_before_them() {
    let world = World::under(POLICY, &HOSTS).await;
    let by = |via| JobSpec { origin: Origin::new(via, "test"), ..uptime(&["web-1"]) };
    for via in [Via::Mcp, Via::Mcp, Via::Cli] {
        assert!(world.submit(&by(via)).await.is_ok());
    }
    world.put(&policy("quotas:\n  - {id: models, who: {via: [mcp]}, invocations: 3, per: 1h}\n", "")).await;
    assert!(world.plan(&by(Via::Cli)).await.quotas.is_empty());
    assert_eq!(world.plan(&by(Via::Mcp)).await.quotas[0].used, 2);
    assert!(world.submit(&by(Via::Mcp)).await.is_ok());
    assert_eq!(world.refused(&by(Via::Mcp)).await.detail("quota"), Some("models"));
    assert!(world.submit(&by(Via::Cli)).await.is_ok());
}

#[tokio::test]
async fn a_restart_forgets_nothing_that_counts() {
    let quotas = "quotas:\n  - {id: busy, running: 9}\n  - {id: rate, invocations: 9, per: 1h}\n";
    let world = World::under(&policy(quotas, ""), &HOSTS).await;
    let agent = world.connect(&[], false).await;
    let job = world.submit(&uptime(&HOSTS)).await.unwrap();
    let (_, first, _) = job.index().remove(0);
    let _ =
        world.lifecycle.take_results(&agent.session, vec![result(first, &Outcome::Succeeded)]).await.unwrap();
    world.pass(Duration::from_secs(60));
    assert!(world.submit(&uptime(&["web-1"])).await.is_ok());
    let before = world.used().await;
    assert_eq!(before, [(9, 3), (9, 4)]);
    let world = world.restarted().await;
    assert_eq!(world.used().await, before);
    world.pass(Duration::from_secs(3_540));
    assert_eq!(world.used().await, [(9, 3), (9, 1)], "each counts from when it was asked for");
    world.lifecycle.sweep().await;
    assert_eq!(world.used().await, [(9, 0), (9, 1)], "what ends after the restart is no longer under way");
}
