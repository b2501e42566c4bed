//! The emergency freeze against the model store, with a disk and an agent that the test holds in its hands.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

#[path = "support/world.rs"]
#[allow(dead_code, reason = "each crate of tests needs another part of it")]
mod world;

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use lictor_controller::{
    api::{freezes::FreezeApi, policies::PolicyApi},
    lifecycle::Frozen,
};
use lictor_core::{
    digest::Digest,
    error::{ErrorCode, Failure},
    freeze::{Freeze, FreezeScope},
    id::FreezeId,
    job::{IdempotencyKey, JobSpec},
    outcome::{Outcome, Ran},
};
use lictor_proto::pb::{
    self, freeze_service_server::FreezeService as _, policy_service_server::PolicyService as _,
};
use lictor_store::Store as _;
use world::{Agent, World, call, only, operator, result, spec};

const FROZEN: &str = "FROZEN";

impl World {
    async fn try_freeze(&self, scope: &str) -> Result<Frozen, Failure> {
        let scope: FreezeScope = scope.parse().unwrap();
        self.lifecycle.freeze(scope, "disk full".parse().unwrap(), operator().principal()).await
    }
    async fn freeze(&self, scope: &str) -> Arc<Freeze> {
        self.try_freeze(scope).await.unwrap().freeze
    }
    async fn lift(&self, id: FreezeId) -> Result<Arc<Freeze>, ErrorCode> {
        self.lifecycle.lift(id, operator().principal()).await.map_err(|failure| failure.code)
    }
    async fn outcome(&self, id: lictor_core::id::InvocationId) -> Outcome {
        self.store.invocation(id).await.unwrap().unwrap().state.outcome().unwrap().clone()
    }
    async fn plan(&self, spec: &JobSpec) -> pb::PlanResponse {
        let request = pb::PlanRequest { request: Some(spec.into()), ..Default::default() };
        PolicyApi::new(Arc::clone(&self.lifecycle)).plan(call(request)).await.unwrap().into_inner()
    }
}

/// What an agent was told last, once it has confirmed each word like one of this version.
fn told(agent: &Agent) -> Vec<String> {
    let mut last = Vec::new();
    for message in agent.messages() {
        if let pb::controller_message::Message::Frozen(frozen) = message {
            agent.session.took_frozen(frozen.version);
            let scopes = frozen.freezes.into_iter().map(|f| Freeze::try_from(f).unwrap().scope.to_string());
            last = scopes.collect();
        }
    }
    last
}

fn is_frozen(outcome: &Outcome) -> bool {
    assert_eq!(outcome.ran(), Ran::NotRun);
    matches!(outcome, Outcome::Denied { code, reason } if code == FROZEN && reason.contains("user:ops froze"))
}

#[tokio::test]
async fn what_is_frozen_is_refused_as_a_whole_with_who_and_why_and_runs_again_once_it_is_lifted() {
    for scope in ["all", "site:eu", "host:web-1"] {
        let world = World::new().await;
        let agent = world.connect(&[], false).await;
        let freeze = world.freeze(scope).await;
        let failure = world.ask(&spec(&["web-1"], "uptime")).await.unwrap_err();
        assert_eq!(failure.code, ErrorCode::Frozen, "{scope}");
        for part in ["user:ops", "disk full", &freeze.at.to_string(), "web-1"] {
            assert!(failure.message.contains(part), "{}", failure.message);
        }
        assert!(failure.next_step.contains(&freeze.id.to_string()));
        assert_eq!(failure.detail("frozen_by"), Some("user:ops"));
        let audit = world.audit().await;
        let [.., set, denied] = audit.as_slice() else { panic!("{audit:?}") };
        assert_eq!((&set["kind"], &set["scope"]), (&"freeze_set".into(), &scope.into()));
        assert_eq!((&denied["kind"], &denied["code"]), (&"request_denied".into(), &FROZEN.into()));
        assert!(denied["reason"].as_str().unwrap().contains("disk full"));
        assert!(agent.offers().is_empty());
        // What policy denies is denied by policy, frozen or not.
        let denied = world.ask(&spec(&["web-1"], "reboot")).await.unwrap_err();
        assert_eq!(denied.code, ErrorCode::PolicyDenied);
        world.lift(freeze.id).await.unwrap();
        assert_eq!(world.audit().await.last().unwrap()["kind"], "freeze_lifted");
        assert!(world.submit(&spec(&["web-1"], "uptime")).await.is_ok());
        assert_eq!(agent.offers().len(), 1);
    }
}

#[tokio::test]
async fn where_only_some_hosts_are_frozen_the_others_run() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    world.freeze("host:web-1").await;
    let job = world.submit(&spec(&["web-1", "web-2"], "uptime")).await.unwrap();
    let index = job.index();
    assert_eq!(agent.offers(), [index[1].1]);
    let kept = world.store.invocation(index[0].1).await.unwrap().unwrap();
    assert!(is_frozen(kept.state.outcome().unwrap()));
    assert_eq!(kept.rule, None, "no rule decided");
}

#[tokio::test]
async fn a_plan_says_what_is_frozen_and_is_stale_once_something_else_is() {
    let world = World::new().await;
    let both = spec(&["web-1", "web-2"], "uptime");
    let before = world.plan(&both).await;
    let freeze = world.freeze("host:web-1").await;
    let frozen = world.plan(&both).await;
    assert_ne!(before.plan_digest, frozen.plan_digest);
    let [one, two] = frozen.hosts.as_slice() else { panic!() };
    assert_eq!((one.effect(), one.code.as_str(), one.rule.as_str()), (pb::Effect::Deny, FROZEN, ""));
    assert!(one.reason.contains("user:ops froze host web-1") && one.hint.contains(&freeze.id.to_string()));
    assert_eq!(two.effect(), pb::Effect::Allow);
    let of = |plan: &pb::PlanResponse| {
        let digest = Digest::from_bytes(plan.plan_digest.as_slice().try_into().unwrap());
        JobSpec { plan_digest: Some(digest), ..both.clone() }
    };
    let stale = world.ask(&of(&before)).await.unwrap_err();
    assert_eq!(stale.detail("reason"), Some("plan_stale"));
    assert!(world.submit(&of(&frozen)).await.is_ok());
    world.freeze("all").await;
    assert_eq!(world.ask(&of(&before)).await.unwrap_err().code, ErrorCode::Frozen, "the reason that matters");
}

#[tokio::test]
async fn what_waits_for_its_agent_ends_frozen_when_it_would_be_offered() {
    let world = World::new().await;
    let waits = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    let other = world.submit(&spec(&["web-2"], "uptime")).await.unwrap();
    world.freeze("host:web-1").await;
    let agent = world.connect(&[], false).await;
    assert_eq!(agent.offers(), [only(&other)]);
    assert!(is_frozen(&world.outcome(only(&waits)).await));
    // What was offered and did not arrive is not offered again.
    world.freeze("host:web-2").await;
    drop(agent);
    let agent = world.connect(&[], false).await;
    assert!(agent.offers().is_empty());
    assert!(is_frozen(&world.outcome(only(&other)).await));
}

#[tokio::test]
async fn invariant_8_a_freeze_survives_a_restart() {
    let world = World::new().await;
    let first = world.freeze("host:web-1").await;
    let second = world.freeze("host:web-1").await;
    let lifted = world.freeze("all").await;
    world.lift(lifted.id).await.unwrap();
    let waits = world.submit(&spec(&["web-2"], "uptime")).await.unwrap();
    let third = world.freeze("host:web-2").await;
    let world = world.restarted().await;
    let in_force: Vec<FreezeId> = world.lifecycle.freezes.now().set.all().iter().map(|f| f.id).collect();
    assert_eq!(in_force, [first.id, second.id, third.id]);
    assert_eq!(world.submit(&spec(&["web-1"], "uptime")).await.unwrap_err(), ErrorCode::Frozen);
    let agent = world.connect(&[], false).await;
    assert_eq!(told(&agent), ["host:web-1", "host:web-1", "host:web-2"]);
    assert!(agent.offers().is_empty());
    assert!(is_frozen(&world.outcome(only(&waits)).await));
    world.lift(first.id).await.unwrap();
    assert_eq!(world.submit(&spec(&["web-1"], "uptime")).await.unwrap_err(), ErrorCode::Frozen);
    world.lift(second.id).await.unwrap();
    assert!(world.submit(&spec(&["web-1"], "uptime")).await.is_ok());
    assert_eq!(world.lift(second.id).await.unwrap_err(), ErrorCode::NotFound);
}

#[tokio::test]
async fn invariant_8_a_freeze_holds_at_once_and_is_acknowledged_after_what_was_judged_before_it_is_sent() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    told(&agent);
    let slow_disk = world.store.gate.acquire().await.unwrap();
    let one = world.lifecycle.clone();
    let submission =
        tokio::spawn(async move { one.submit(&operator(), &spec(&["web-1"], "uptime")).await.is_ok() });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    let two = world.lifecycle.clone();
    let reason = "disk full".parse().unwrap();
    let freezing = tokio::spawn(async move {
        two.freeze(FreezeScope::Everything, reason, operator().principal()).await.unwrap()
    });
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
    // Nothing can be written, and yet it is in force here and told to the agent; it is not acknowledged.
    assert!(!freezing.is_finished());
    assert_eq!(world.lifecycle.freezes.now().set.all().len(), 1);
    assert_eq!(told(&agent), ["all"]);
    drop(slow_disk);
    let frozen = freezing.await.unwrap();
    assert!(frozen.unconfirmed.is_empty(), "{:?}", frozen.unconfirmed);
    assert!(submission.await.unwrap());
    assert_eq!(
        agent.offers().len(),
        1,
        "it was sent before the freeze was acknowledged, to an agent that knows of it"
    );
    assert_eq!(world.submit(&spec(&["web-1"], "uptime")).await.unwrap_err(), ErrorCode::Frozen);
    assert!(agent.offers().is_empty());
}

#[tokio::test]
async fn an_agent_that_does_not_confirm_is_named_and_so_is_one_that_is_away_with_work() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let silent = world.try_freeze("host:web-2").await.unwrap();
    assert_eq!(silent.unconfirmed, ["eu/a"]);
    told(&agent);
    let job = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    world.lifecycle.sessions.remove(&agent.session);
    let away = world.try_freeze("all").await.unwrap();
    assert_eq!(away.unconfirmed, ["eu/a"], "it may have an offer that it has yet to start");
    let agent = world.connect(&[(only(&job), pb::JournalPhase::Running)], false).await;
    assert_eq!(told(&agent), ["host:web-2", "all"], "first of all, it is told");
    world
        .lifecycle
        .take_results(&agent.session, vec![result(only(&job), &Outcome::Succeeded)])
        .await
        .unwrap();
    assert_eq!(world.state(only(&job)).await, "SUCCEEDED", "what runs goes on");
    world.lifecycle.sessions.remove(&agent.session);
    assert!(world.try_freeze("all").await.unwrap().unconfirmed.is_empty());
}

#[tokio::test]
async fn a_freeze_that_cannot_be_recorded_is_in_force_and_is_recorded_later() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    world.store.broken.store(true, Ordering::SeqCst);
    let failure = world.try_freeze("site:eu").await.unwrap_err();
    assert_eq!((failure.code, failure.detail("in_force")), (ErrorCode::AuditUnavailable, Some("true")));
    assert!(failure.message.contains("nothing new starts on site eu"), "{}", failure.message);
    let id: FreezeId = failure.detail("freeze").unwrap().parse().unwrap();
    assert_eq!(told(&agent), ["site:eu"]);
    let listed = || async {
        let api = FreezeApi::new(Arc::clone(&world.lifecycle));
        let list = api.list(call(pb::ListFreezesRequest {})).await.unwrap().into_inner();
        list.freezes.iter().map(|listed| listed.recorded).collect::<Vec<_>>()
    };
    world.lifecycle.record_freezes().await;
    assert_eq!(listed().await, [false]);
    // It cannot be lifted either: what is in force stays so until that is recorded.
    assert_eq!(world.lift(id).await.unwrap_err(), ErrorCode::AuditUnavailable);
    world.store.broken.store(false, Ordering::SeqCst);
    assert_eq!(world.submit(&spec(&["web-1"], "uptime")).await.unwrap_err(), ErrorCode::Frozen);
    world.lifecycle.record_freezes().await;
    world.lifecycle.record_freezes().await;
    assert_eq!(listed().await, [true]);
    assert_eq!(world.kinds().await.iter().filter(|kind| *kind == "freeze_set").count(), 1);
    let world = world.restarted().await;
    assert_eq!(world.submit(&spec(&["web-1"], "uptime")).await.unwrap_err(), ErrorCode::Frozen);
}

#[tokio::test]
async fn a_freeze_that_was_never_recorded_can_be_lifted_and_the_audit_says_both() {
    let world = World::new().await;
    world.store.broken.store(true, Ordering::SeqCst);
    let failure = world.try_freeze("all").await.unwrap_err();
    world.store.broken.store(false, Ordering::SeqCst);
    world.lift(failure.detail("freeze").unwrap().parse().unwrap()).await.unwrap();
    assert!(world.submit(&spec(&["web-1"], "uptime")).await.is_ok());
    let kinds = world.kinds().await;
    let at = |kind: &str| kinds.iter().position(|k| k == kind).unwrap();
    assert!(at("freeze_set") < at("freeze_lifted"));
    assert!(world.store.freezes().await.unwrap().is_empty());
}

#[tokio::test]
async fn what_is_not_there_is_not_frozen_and_too_many_are_refused_but_not_the_last_brake() {
    let world = World::new().await;
    for scope in ["site:us", "host:web-9"] {
        assert_eq!(world.try_freeze(scope).await.unwrap_err().code, ErrorCode::NotFound);
    }
    assert!(world.lifecycle.freezes.now().set.all().is_empty());
    for _ in 0..900 {
        world.freeze("host:web-1").await;
    }
    assert_eq!(world.try_freeze("host:web-1").await.unwrap_err().code, ErrorCode::LimitExceeded);
    world.freeze("all").await;
}

#[tokio::test]
async fn a_request_that_was_answered_before_is_answered_the_same_while_frozen() {
    let world = World::new().await;
    let _agent = world.connect(&[], false).await;
    let keyed = JobSpec {
        idempotency_key: Some(IdempotencyKey::new("k").unwrap()),
        queue_wait: Some(Duration::from_secs(60)),
        ..spec(&["web-1"], "uptime")
    };
    let job = world.submit(&keyed).await.unwrap();
    world.freeze("all").await;
    assert_eq!(world.submit(&keyed).await.unwrap().id(), job.id(), "asking what became of it is not a start");
}
