//! A proposed policy is judged beside the one in force, and decides nothing.

use std::{sync::atomic::Ordering, time::Duration};

use lictor_controller::shadow::Kind;
use lictor_core::{digest::Digest, error::ErrorCode};
use lictor_proto::{
    pb::{self, ShadowDifferenceKind as K, policy_service_server::PolicyService as _},
    status::from_status,
};

use crate::{
    parts::{InForce as _, policy, uptime},
    world::{HOSTS, NOTHING, POLICY, World, call, spec},
};

async fn proposed(world: &World) -> pb::ShadowPolicy {
    world.lifecycle.shadow.judge_noted().await;
    world.api().get_shadow(call(pb::GetShadowRequest {})).await.unwrap().into_inner()
}

async fn propose(world: &World, source: &str) {
    let request = pb::PutShadowRequest { source: source.into() };
    let put = world.api().put_shadow(call(request)).await.unwrap().into_inner();
    assert_eq!(put.digest, Digest::of(source.as_bytes()).as_bytes());
}

#[tokio::test]
async fn a_proposed_policy_decides_nothing_and_every_difference_is_counted() {
    let world = World::under(&policy("", ""), &HOSTS).await;
    let agent = world.connect(&[], false).await;
    let deny = "  - id: no\n    effect: deny\n    where: {hosts: [web-1]}\n    commands: [uptime]\n";
    let ask = "  - id: asks\n    effect: approve\n    where: {hosts: [web-2]}\n    commands: [uptime]\n    approve: {approvals: 1, group: oncall, within: 1h}\n";
    let more = "  - id: more\n    effect: allow\n    where: all\n    commands: [id]\n";
    propose(&world, &policy("", &format!("    limits: {{timeout: 7s}}\n{deny}{ask}{more}"))).await;

    assert!(world.submit(&uptime(&HOSTS)).await.is_ok());
    assert_eq!(agent.offers().len(), 3);
    assert_eq!(world.refused(&spec(&["web-1"], "id")).await.code, ErrorCode::PolicyDenied);
    assert_eq!(world.refused(&spec(&["web-1"], "reboot")).await.code, ErrorCode::PolicyDenied);
    assert_eq!(world.refused(&spec(&["web-1"], "uptime > x")).await.code, ErrorCode::CommandRefused);
    assert_eq!(world.submit(&uptime(&["nowhere"])).await.unwrap_err(), ErrorCode::NotFound);

    let told = proposed(&world).await;
    assert_eq!((told.requests, told.hosts, told.not_judged), (4, 6, 0));
    assert_eq!((told.would_deny, told.would_allow, told.would_ask, told.other_limits), (1, 1, 1, 1));
    let kinds: Vec<_> =
        told.differences.iter().map(|d| (d.kind(), d.host.as_str(), d.command.as_str())).collect();
    assert_eq!(
        kinds,
        [
            (K::WouldAllow, "web-1", "id"),
            (K::OtherLimits, "web-3", "uptime"),
            (K::WouldAsk, "web-2", "uptime"),
            (K::WouldDeny, "web-1", "uptime"),
        ]
    );
    let first = &told.differences[0];
    assert_eq!((first.live_code.as_str(), first.live_rule.as_str()), ("POLICY_DEFAULT_DENY", ""));
    assert_eq!((first.shadow_code.as_str(), first.shadow_rule.as_str()), ("POLICY_ALLOWED", "more"));
}

#[tokio::test]
async fn a_command_that_the_proposed_policy_does_not_even_take_would_be_denied() {
    let globs = "  - id: logs\n    effect: allow\n    where: all\n    commands: ['cat <path:/var/log>...']\n    globs: true\n";
    let world = World::under(&policy("", globs), &HOSTS).await;
    propose(&world, &policy("", "")).await;
    assert!(world.submit(&spec(&["web-1", "web-2"], "cat /var/log/*.log")).await.is_ok());
    let told = proposed(&world).await;
    assert_eq!((told.would_deny, told.hosts), (2, 2));
    assert_eq!(told.differences[0].shadow_code, "E_GLOB");
}

#[tokio::test]
async fn a_proposed_policy_survives_a_restart_and_every_change_of_it_is_recorded() {
    let world = World::new().await;
    let none = world.api().get_shadow(call(pb::GetShadowRequest {})).await.unwrap_err();
    assert_eq!(from_status(&none).code, ErrorCode::NotFound);
    let invalid = world.api().put_shadow(call(pb::PutShadowRequest { source: "rules: 1".into() })).await;
    assert_eq!(from_status(&invalid.unwrap_err()).code, ErrorCode::InvalidArgument);
    propose(&world, NOTHING).await;
    let record = world.last().await;
    assert_eq!((&record["kind"], &record["by"]), (&"shadow_policy_set".into(), &"user:ops".into()));
    assert_eq!(record["policy_digest"], Digest::of(NOTHING.as_bytes()).to_string());
    assert!(world.submit(&uptime(&["web-1"])).await.is_ok());
    let before = proposed(&world).await;
    assert_eq!((before.would_deny, before.put_at), (1, before.counted_since));

    world.pass(Duration::from_secs(5));
    let world = world.restarted().await;
    let after = proposed(&world).await;
    assert_eq!((&after.digest, after.put_at, after.would_deny), (&before.digest, before.put_at, 0));
    assert!(after.counted_since > before.counted_since, "it says since when it counts");
    assert!(world.submit(&uptime(&["web-1"])).await.is_ok(), "it is not in force");

    let clear = || async { world.api().clear_shadow(call(pb::ClearShadowRequest {})).await };
    clear().await.unwrap();
    assert_eq!(world.last().await["kind"], "shadow_policy_cleared");
    assert_eq!(from_status(&clear().await.unwrap_err()).code, ErrorCode::NotFound);
    let world = world.restarted().await;
    assert!(world.lifecycle.shadow.now().is_none());
}

#[tokio::test]
async fn without_an_audit_no_policy_is_proposed() {
    let world = World::new().await;
    world.store.broken.store(true, Ordering::SeqCst);
    let failed = world.api().put_shadow(call(pb::PutShadowRequest { source: NOTHING.into() })).await;
    assert_eq!(from_status(&failed.unwrap_err()).code, ErrorCode::AuditUnavailable);
    assert!(world.lifecycle.shadow.now().is_none());
}

#[tokio::test]
async fn what_is_kept_of_a_proposed_policy_is_bounded_and_what_was_left_out_is_counted() {
    let world = World::under(POLICY, &HOSTS).await;
    propose(&world, NOTHING).await;
    for _ in 0..100 {
        assert!(world.submit(&uptime(&HOSTS)).await.is_ok());
    }
    let told = proposed(&world).await;
    assert_eq!(told.requests + told.not_judged, 100);
    assert!(told.not_judged > 0 && told.would_deny == told.requests * 3);
    let tally = world.lifecycle.shadow.now().unwrap().tally();
    assert!(tally.newest.len() < 200 && tally.newest.iter().all(|d| d.kind == Kind::WouldDeny));
    for _ in 0..60 {
        assert!(world.submit(&uptime(&HOSTS)).await.is_ok());
    }
    assert_eq!(proposed(&world).await.differences.len(), 200);
}
