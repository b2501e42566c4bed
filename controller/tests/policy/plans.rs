//! A plan is run exactly, or fails as stale.

use std::time::Duration;

use lictor_core::{
    audit::AuditEvent,
    clock::Timestamp,
    error::ErrorCode,
    job::{JobSpec, Origin, Target},
    name::{HostAlias, Tag},
    principal::Via,
};
use lictor_proto::{
    limits::MAX_POLICY_MESSAGE_BYTES,
    pb::{self, policy_service_server::PolicyService as _},
};
use lictor_store::{Change, KeptHost, Store as _, Write};
use prost::Message as _;

use crate::{
    parts::{InForce as _, asking, digest_of, keyed, policy, uptime},
    world::{HOSTS, POLICY, World, call, spec},
};

#[tokio::test]
async fn a_plan_that_still_holds_is_run_and_is_not_the_request_without_it() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let plain = uptime(&["web-1", "web-2"]);
    let planned = world.planned(plain.clone()).await;
    let job = world.submit(&keyed(planned.clone(), "k")).await.unwrap();
    assert_eq!(agent.offers().len(), 2);
    assert_eq!(world.submit(&keyed(planned, "k")).await.unwrap().id(), job.id());
    assert_eq!(world.submit(&keyed(plain, "k")).await.unwrap_err(), ErrorCode::AlreadyExists);
}

#[tokio::test]
async fn a_plan_is_stale_once_anything_of_it_would_be_decided_otherwise() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let spec = world.planned(uptime(&["web-1", "web-2"])).await;
    let stale = async |spec: &JobSpec| {
        let failure = world.refused(spec).await;
        assert_eq!((failure.code, failure.detail("reason")), (ErrorCode::Conflict, Some("plan_stale")));
        assert_eq!(world.last().await["code"], "PLAN_STALE");
        assert!(agent.offers().is_empty());
    };
    for other in [
        JobSpec { target: uptime(&["web-1"]).target, ..spec.clone() },
        JobSpec { target: Target::Tag(Tag::new("web").unwrap()), ..uptime(&[]) },
        JobSpec { timeout: Some(Duration::from_secs(1)), ..spec.clone() },
        JobSpec { output_bytes: Some(1), ..spec.clone() },
        JobSpec { origin: Origin::new(Via::Mcp, "test"), ..spec.clone() },
    ] {
        // All hosts by their tag are the same hosts: not another plan.
        if matches!(other.target, Target::Tag(_)) {
            let by_tag = JobSpec { plan_digest: spec.plan_digest, ..other };
            assert!(world.submit(&by_tag).await.is_ok());
            assert_eq!(agent.offers().len(), 2);
        } else {
            stale(&other).await;
        }
    }
    // Another text, the same rules: another policy.
    world.put(&format!("{POLICY}# changed\n")).await;
    stale(&spec).await;
    world.put(POLICY).await;
    assert!(world.submit(&spec).await.is_ok());
    assert_eq!(agent.offers().len(), 2);
    // A host with another tag.
    let kept = world.store.hosts().await.unwrap().remove(0);
    let changed = KeptHost { tags: vec![Tag::new("db").unwrap()], ..kept };
    let event = AuditEvent::ControllerStarted { name: "test".into() };
    let _ = world
        .store
        .commit(Change::new(Timestamp::from_micros(1), event).write(Write::PutHost(changed)))
        .await
        .unwrap();
    world.lifecycle.fleet.refresh(&*world.store).await.unwrap();
    stale(&spec).await;
}

#[tokio::test]
async fn a_plan_of_ten_thousand_hosts_comes_in_pages_that_fit_and_have_one_digest() {
    let world = World::new().await;
    let event = AuditEvent::ControllerStarted { name: "test".into() };
    let mut setup = Change::new(Timestamp::from_micros(1), event);
    let kept = world.store.hosts().await.unwrap().remove(0);
    for n in 0..9_998 {
        let alias = HostAlias::new(&format!("a-host-with-a-rather-long-name-{n:05}.example.org")).unwrap();
        setup = setup.write(Write::PutHost(KeptHost { alias, ..kept.clone() }));
    }
    let _ = world.store.commit(setup).await.unwrap();
    world.lifecycle.fleet.refresh(&*world.store).await.unwrap();
    let spec = JobSpec { target: Target::Tag(Tag::new("web").unwrap()), ..uptime(&[]) };
    let (mut told, mut token, mut digests) = (Vec::new(), String::new(), Vec::new());
    loop {
        let request = pb::PlanRequest { request: Some((&spec).into()), page_size: 0, page_token: token };
        let page = world.api().plan(call(request)).await.unwrap().into_inner();
        assert!(page.encoded_len() < MAX_POLICY_MESSAGE_BYTES);
        assert_eq!(page.hosts_total, 10_000);
        digests.push(digest_of(&page));
        told.extend(page.hosts.into_iter().map(|host| host.host));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    assert_eq!(told.len(), 10_000);
    assert!(told.is_sorted() && digests.len() >= 10);
    digests.dedup();
    assert_eq!(digests.len(), 1);
    let small = pb::PlanRequest { request: Some((&spec).into()), page_size: 3, page_token: told[4].clone() };
    let page = world.api().plan(call(small)).await.unwrap().into_inner();
    assert_eq!(page.hosts.iter().map(|host| host.host.as_str()).collect::<Vec<_>>(), &told[5..8]);
}

#[tokio::test]
async fn a_plan_says_what_decided_and_within_which_bounds() {
    let file = "network:\n  deny: [10.9.0.0/16]\n";
    let world =
        World::under(&policy(file, "    max_hosts: 2\n    network:\n      allow: [10.0.0.0/8]\n"), &HOSTS)
            .await;
    let host = world.plan(&uptime(&["web-1"])).await.hosts.remove(0);
    assert_eq!((host.part.as_str(), host.pattern.as_str(), host.word.as_str()), ("uptime", "uptime", ""));
    assert_eq!((host.max_hosts, host.approvals.len()), (Some(2), 0));
    assert_eq!(
        (host.networks_allowed, host.networks_denied),
        (vec!["10.0.0.0/8".into()], vec!["10.9.0.0/16".into()])
    );
    let denied = world.plan(&spec(&["web-1"], "uptime --since")).await.hosts.remove(0);
    assert_eq!((denied.code.as_str(), denied.word.as_str()), ("POLICY_DEFAULT_DENY", "--since"));
    let world = World::under(&asking("web-1"), &HOSTS).await;
    let asks = world.plan(&uptime(&["web-1"])).await.hosts.remove(0);
    assert_eq!(asks.effect(), pb::Effect::Approve);
    let terms = pb::ApprovalTerms { approvals: 2, group: "oncall".into(), within_ms: 3_600_000, mfa: true };
    assert_eq!(asks.approvals, [terms]);
}
