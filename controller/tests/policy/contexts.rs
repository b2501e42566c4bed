//! Variables, directories and logins are judged, recorded, planned and granted; and kept.

use lictor_core::{
    context::{Context, Environment},
    error::ErrorCode,
    grant::Grant,
    job::JobSpec,
};
use lictor_proto::pb;

use crate::{
    parts::{InForce as _, digest_of, keyed, policy, uptime},
    world::World,
};

fn asked(login: &str) -> Context {
    Context {
        environment: Environment::from_pairs([("LANG", "C")]).unwrap(),
        working_directory: Some("/srv/app".parse().unwrap()),
        run_as: Some(login.parse().unwrap()),
        stdin: None,
    }
}

fn permitting() -> String {
    policy("", "    environment: [LANG]\n    working_directory: ['<path:/srv>']\n    run_as: [deploy]\n")
}

#[tokio::test]
async fn what_is_asked_for_is_granted_and_recorded_and_kept() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    world.put(&permitting()).await;
    let spec = JobSpec { context: asked("deploy"), ..uptime(&["web-1"]) };
    let job = world.submit(&spec).await.unwrap();
    let grant = agent.grants().remove(0);
    assert_eq!(Grant::try_from(grant.clone()).map(|grant| grant.context), Ok(asked("deploy")));
    let without = pb::Grant { context: None, ..grant };
    assert!(
        Grant::try_from(without).is_err(),
        "an agent that knows no contexts does not take it for the plain command"
    );
    let kept = lictor_store::Store::job(&*world.store, job.id()).await.unwrap().unwrap();
    assert_eq!(kept.job.context, asked("deploy"));
    let records = world.audit().await;
    let submitted = records.iter().find(|record| record["kind"] == "job_submitted").unwrap();
    assert_eq!(submitted["environment"], serde_json::json!(["LANG=C"]));
    assert_eq!(
        (&submitted["working_directory"], &submitted["run_as"]),
        (&"/srv/app".into(), &"deploy".into())
    );
    let plain = world.submit(&uptime(&["web-1"])).await;
    assert!(plain.is_ok());
    let records = world.audit().await;
    let submitted = records.iter().rfind(|record| record["kind"] == "job_submitted").unwrap();
    assert!(submitted.get("environment").is_none() && submitted.get("run_as").is_none());
}

#[tokio::test]
async fn what_no_rule_permits_is_denied_with_its_code_and_recorded() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    world.put(&permitting()).await;
    let failure = world.refused(&JobSpec { context: asked("root"), ..uptime(&["web-1"]) }).await;
    assert_eq!((failure.code, failure.detail("decision")), (ErrorCode::PolicyDenied, Some("POLICY_CONTEXT")));
    assert!(failure.message.contains("but not with `run_as=root`"), "{}", failure.message);
    let record = world.last().await;
    assert_eq!((&record["kind"], &record["code"]), (&"request_denied".into(), &"POLICY_CONTEXT".into()));
    assert_eq!((&record["run_as"], &record["environment"][0]), (&"root".into(), &"LANG=C".into()));
    assert!(agent.offers().is_empty());
}

#[tokio::test]
async fn what_waits_is_judged_again_with_its_context() {
    let world = World::new().await;
    world.put(&permitting()).await;
    let job = world.submit(&JobSpec { context: asked("deploy"), ..uptime(&["web-1"]) }).await.unwrap();
    world.put(&policy("", "")).await;
    let agent = world.connect(&[], false).await;
    assert!(agent.offers().is_empty(), "the policy in force permits the command only");
    let id = lictor_core::id::InvocationId::derive(job.id(), "web-1", 1);
    assert_eq!(world.state(id).await, "DENIED");
}

#[tokio::test]
async fn a_plan_and_a_key_are_for_one_context() {
    let world = World::new().await;
    let _agent = world.connect(&[], false).await;
    world.put(&policy("", "    run_as: [deploy, backup]\n")).await;
    let login = |name: &str| Context { run_as: Some(name.parse().unwrap()), ..Context::default() };
    let as_deploy = JobSpec { context: login("deploy"), ..uptime(&["web-1"]) };
    let plan = digest_of(&world.plan(&as_deploy).await);
    let other = JobSpec { context: login("backup"), plan_digest: Some(plan), ..uptime(&["web-1"]) };
    assert_eq!(world.refused(&other).await.code, ErrorCode::Conflict);
    assert_eq!(
        world.refused(&JobSpec { context: Context::default(), ..other }).await.code,
        ErrorCode::Conflict
    );
    let planned = JobSpec { plan_digest: Some(plan), ..as_deploy.clone() };
    assert!(world.submit(&keyed(planned, "planned")).await.is_ok());
    assert!(world.submit(&keyed(as_deploy.clone(), "k")).await.is_ok());
    let again = JobSpec { context: login("backup"), ..as_deploy };
    assert_eq!(world.submit(&keyed(again, "k")).await.unwrap_err(), ErrorCode::AlreadyExists);
}
