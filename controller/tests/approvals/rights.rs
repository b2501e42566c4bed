//! Who may decide: other people of the groups, each once, by their certificates.

use lictor_controller::{
    api::approvals::ApprovalApi,
    lifecycle::{Decision, MAX_WAITING_JOBS_EACH},
};
use lictor_core::{error::ErrorCode, job::JobState};
use lictor_proto::pb::{self, approval_service_server::ApprovalService as _};

use crate::{
    parts::{BOTH, Consenting as _, approval, asking, deny, needing, service, state, term, user},
    world::{World, call, operator, spec},
};

#[tokio::test]
async fn invariant_5_nobody_approves_their_own_request() {
    let world = needing(1).await;
    let agent = world.connect(&[], false).await;
    // `ops` asks, and is in the group.
    let job = world.ask_for_both().await;
    assert_eq!(world.approve(&job, "ops").await, Err(ErrorCode::Forbidden));
    let refused = world.decide(&job, &user("ops"), deny()).await.unwrap_err();
    assert!(refused.message.contains("asked for themselves"), "{refused}");
    // By another kind of certificate of the same name neither.
    let spec = spec(&BOTH, "uptime");
    let submitted = world.lifecycle.submit(&service("ann"), &spec).await.unwrap();
    let lictor_controller::lifecycle::Submitted::Live { job, .. } = submitted else { panic!("it had ended") };
    assert_eq!(world.approve(&job, "ann").await, Err(ErrorCode::Forbidden));
    assert_eq!(state(&job), JobState::AwaitingApproval);
    assert!(agent.offers().is_empty());
}

#[tokio::test]
async fn only_people_of_the_groups_decide_and_each_counts_once() {
    let world = needing(2).await;
    let job = world.ask_for_both().await;
    assert_eq!(world.approve(&job, "lea").await, Err(ErrorCode::Forbidden));
    assert_eq!(world.approve(&job, "eve").await, Err(ErrorCode::Forbidden));
    let refusal = world.decide(&job, &user("lea"), deny()).await.unwrap_err();
    assert_eq!(refusal.code, ErrorCode::Forbidden);
    for decision in [Decision::Approve(None), deny()] {
        let refused = world.decide(&job, &service("ann"), decision).await.unwrap_err();
        assert_eq!(
            refused.code,
            ErrorCode::Forbidden,
            "a service never decides, whatever group has its name"
        );
    }
    assert_eq!(world.approve(&job, "ann").await, Ok(()));
    assert_eq!(world.approve(&job, "ann").await, Err(ErrorCode::AlreadyExists));
    assert_eq!(approval(&job).consents.len(), 1);
    assert_eq!(state(&job), JobState::AwaitingApproval);
}

#[tokio::test]
async fn who_is_in_two_groups_counts_for_one() {
    let both = term("asks", 1, "dba") + &term("also", 1, "leads");
    let world = World::under(&asking(&both), &BOTH).await;
    let agent = world.connect(&[], false).await;
    let job = world.ask_for_both().await;
    // bob is in both.
    assert_eq!(world.approve(&job, "bob").await, Ok(()));
    assert_eq!((agent.offers().len(), state(&job)), (0, JobState::AwaitingApproval));
    assert_eq!(world.approve(&job, "ann").await, Ok(()));
    assert_eq!(agent.offers().len(), 2);
    let used = world.audit().await.into_iter().find(|record| record["kind"] == "approval_used").unwrap();
    assert_eq!(used["consents"], serde_json::json!(["user:bob for leads", "user:ann for dba"]));
}

#[tokio::test]
async fn consent_that_would_not_help_is_not_taken() {
    let both = term("asks", 1, "dba") + &term("also", 1, "leads");
    let world = World::under(&asking(&both), &BOTH).await;
    let job = world.ask_for_both().await;
    assert_eq!(world.approve(&job, "ann").await, Ok(()));
    assert_eq!(world.approve(&job, "cid").await, Err(ErrorCode::Conflict));
    assert_eq!(world.approve(&job, "lea").await, Ok(()));
}

#[tokio::test]
async fn what_nobody_could_consent_to_is_refused_at_once() {
    // Of dba, all but the one who asks: three.
    let world = World::under(&asking(&term("asks", 4, "dba")), &BOTH).await;
    let failure = world.ask(&spec(&BOTH, "uptime")).await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::PolicyDenied);
    assert!(failure.next_step.contains("too few other people"), "{}", failure.next_step);
    assert_eq!(world.audit().await.pop().unwrap()["kind"], "request_denied");
}

#[tokio::test]
async fn one_principal_cannot_make_more_wait_than_its_share() {
    let world = needing(1).await;
    for _ in 0..MAX_WAITING_JOBS_EACH {
        world.ask_for_both().await;
    }
    let failure = world.ask(&spec(&BOTH, "uptime")).await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::LimitExceeded);
    assert!(world.ask(&spec(&["web-1"], "uptime")).await.is_ok(), "what needs no consent goes on");
}

#[tokio::test]
async fn however_many_ask_at_once_no_more_wait_than_may() {
    let world = needing(1).await;
    for _ in 1..MAX_WAITING_JOBS_EACH {
        world.ask_for_both().await;
    }
    // The disk is slow: everybody has asked before anybody's request is recorded.
    world.store.gate.forget_permits(1);
    let mut asking = tokio::task::JoinSet::new();
    for _ in 0..5 {
        let lifecycle = std::sync::Arc::clone(&world.lifecycle);
        asking.spawn(async move { lifecycle.submit(&operator(), &spec(&BOTH, "uptime")).await });
    }
    for _ in 0..100 {
        tokio::task::yield_now().await;
    }
    world.store.gate.add_permits(1);
    let answers = asking.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    let refused = answers.iter().filter_map(|answer| answer.as_ref().err());
    assert!(refused.map(|failure| failure.code).all(|code| code == ErrorCode::LimitExceeded));
    assert_eq!(world.lifecycle.awaiting().len(), MAX_WAITING_JOBS_EACH);
}

#[tokio::test]
async fn an_approver_sees_what_is_asked_for_and_whether_it_is_theirs() {
    let world = needing(1).await;
    let job = world.ask_for_both().await;
    let api = ApprovalApi::new(std::sync::Arc::clone(&world.lifecycle));
    let all = async |mine| {
        let request = pb::ListApprovalsRequest { mine, ..Default::default() };
        api.list(call(request)).await.unwrap().into_inner().approvals
    };
    // The caller is `ops`, who asked.
    assert_eq!(all(true).await, []);
    let listed = all(false).await;
    let [one] = listed.as_slice() else { panic!("{listed:?}") };
    assert_eq!((one.job_id.clone(), one.hosts, one.may_decide), (job.id().to_string(), 2, false));
    assert!(one.why_not.contains("asked for themselves"), "{}", one.why_not);
    let shown = one.approval.clone().unwrap();
    assert_eq!((one.command_text.as_str(), shown.rules.as_slice()), ("uptime", &["asks".to_owned()][..]));
    assert_eq!(shown.terms_text, "1 other person of group `dba`");
    let get = |id: String| api.get(call(pb::GetApprovalRequest { job_id: id }));
    let plain = world.ask(&spec(&["web-1"], "uptime")).await.unwrap();
    assert_eq!(get(plain.id().to_string()).await.unwrap_err().code(), tonic::Code::NotFound);
    let unreasoned = pb::DecideRequest {
        job_id: job.id().to_string(),
        decision: pb::ApprovalDecision::Deny.into(),
        plan_digest: shown.plan_digest,
        ..Default::default()
    };
    assert_eq!(api.decide(call(unreasoned)).await.unwrap_err().code(), tonic::Code::InvalidArgument);
}
