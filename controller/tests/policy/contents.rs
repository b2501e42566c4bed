//! What a job is given: left before, its caller's own, judged, and the same request only with the same bytes.

use std::sync::Arc;

use lictor_controller::contents::Begun;
use lictor_core::{
    content::Content,
    context::Context,
    error::ErrorCode,
    grant::Grant,
    job::{CommandInput, JobSpec},
    principal::Principal,
};

use crate::{
    parts::{InForce as _, digest_of, keyed, policy, uptime},
    world::{World, operator},
};

impl World {
    fn leave(&self, by: &Principal, bytes: &[u8]) -> Content {
        let content = Content::of(bytes).unwrap();
        let contents: &Arc<_> = &self.lifecycle.contents;
        if let Begun::Awaited(mut receiving) = contents.begin(by, content).unwrap() {
            receiving.push(bytes).unwrap();
            receiving.finish().unwrap();
        }
        content
    }
}

fn given(content: Content) -> JobSpec {
    let context = Context { stdin: Some(content), ..Context::default() };
    JobSpec { context, ..uptime(&["web-1"]) }
}

#[tokio::test]
async fn what_a_job_is_given_is_its_callers_own_and_signed_and_recorded() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    world.put(&policy("", "    stdin: {max_bytes: 5}\n")).await;
    let me = operator().principal().clone();
    let spec = given(Content::of(b"hello").unwrap());
    assert_eq!(world.submit(&spec).await.unwrap_err(), ErrorCode::NotFound, "nobody left it");
    let other = Principal { name: "somebody-else".parse().unwrap(), ..me.clone() };
    world.leave(&other, b"hello");
    assert_eq!(world.submit(&spec).await.unwrap_err(), ErrorCode::NotFound, "it is somebody else's");
    let content = world.leave(&me, b"hello");
    world.submit(&spec).await.unwrap();
    let grant = agent.grants().remove(0);
    assert_eq!(Grant::try_from(grant.clone()).unwrap().context.stdin, Some(content));
    let mut swapped = grant;
    let bytes = lictor_proto::convert::content_to_wire(Content::of(b"hellO").unwrap());
    swapped.context.as_mut().unwrap().stdin = Some(bytes);
    assert!(Grant::try_from(swapped).is_err(), "the digest beside the command covers it");
    let large = given(world.leave(&me, b"hello!"));
    assert_eq!(world.submit(&large).await.unwrap_err(), ErrorCode::PolicyDenied);
    let record = world.last().await;
    assert_eq!(record["stdin_bytes"], 6);
    assert_eq!(record["stdin_sha256"], Content::of(b"hello!").unwrap().digest().to_string());
}

#[tokio::test]
async fn a_plan_and_a_key_are_for_these_bytes_only() {
    let world = World::new().await;
    let _agent = world.connect(&[], false).await;
    world.put(&policy("", "    stdin: true\n")).await;
    let me = operator().principal().clone();
    let (one, two) = (given(world.leave(&me, b"one")), given(world.leave(&me, b"two")));
    let plan = digest_of(&world.plan(&one).await);
    let stale = JobSpec { plan_digest: Some(plan), ..two.clone() };
    assert_eq!(world.refused(&stale).await.code, ErrorCode::Conflict);
    assert!(
        world.submit(&keyed(JobSpec { plan_digest: Some(plan), ..one.clone() }, "planned")).await.is_ok()
    );
    assert!(world.submit(&keyed(one, "k")).await.is_ok());
    assert_eq!(world.submit(&keyed(two, "k")).await.unwrap_err(), ErrorCode::AlreadyExists);
}

#[tokio::test]
async fn a_transfer_that_lacks_or_has_too_much_is_refused_before_anybody_judges() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let content = world.leave(operator().principal(), b"x");
    let words = |words: &[&str]| CommandInput::Argv(words.iter().map(|word| (*word).to_owned()).collect());
    let upload = || words(&["lictor:upload", "/srv/a"]);
    let as_deploy = Context { run_as: Some("deploy".parse().unwrap()), ..given(content).context };
    for spec in [
        JobSpec { command: upload(), ..uptime(&["web-1"]) },
        JobSpec { command: upload(), context: as_deploy, ..given(content) },
        JobSpec { command: words(&["lictor:download", "/srv/a"]), ..given(content) },
        JobSpec { command: words(&["lictor:exec", "id"]), ..uptime(&["web-1"]) },
    ] {
        let failure = world.refused(&spec).await;
        assert_eq!(failure.code, ErrorCode::CommandRefused);
        assert!(failure.details.contains(&("refusal".into(), "E_TRANSFER".into())), "{failure:?}");
    }
    assert!(agent.offers().is_empty());
}
