//! Every policy that was in force stays known; one that is put is in force.

use std::{
    fmt::Write as _,
    time::{Duration, UNIX_EPOCH},
};

use lictor_core::{clock::Clock as _, error::ErrorCode};
use lictor_proto::{
    limits::{MAX_POLICY_BYTES, MAX_POLICY_MESSAGE_BYTES},
    pb::{self, policy_service_server::PolicyService as _},
    status::from_status,
};
use lictor_store::Store as _;
use prost::Message as _;

use crate::{
    parts::{InForce as _, uptime},
    world::{NOTHING, POLICY, World, call},
};

#[tokio::test]
async fn every_version_stays_known_with_who_why_and_an_old_one_can_be_put_again() {
    let world = World::new().await;
    let api = world.api();
    let put = async |source: &str, expected_version, note: &str| {
        let request = pb::PutPolicyRequest { source: source.into(), expected_version, note: note.into() };
        api.put(call(request)).await.map(tonic::Response::into_inner).map_err(|status| from_status(&status))
    };
    assert_eq!(put(NOTHING, 1, "stop everything").await.unwrap().version, 2);
    assert_eq!(world.last().await["note"], "stop everything");
    assert_eq!(world.submit(&uptime(&["web-1"])).await.unwrap_err(), ErrorCode::PolicyDenied);
    let old = api.get(call(pb::GetPolicyRequest { version: 1 })).await.unwrap().into_inner();
    let back = put(&old.source, 2, "rollback to version 1").await.unwrap();
    assert_eq!((back.version, back.warning.as_str()), (3, ""));
    assert!(world.submit(&uptime(&["web-1"])).await.is_ok());

    let (mut seen, mut token) = (Vec::new(), String::new());
    loop {
        let request = pb::HistoryRequest { page_size: 2, page_token: token };
        let page = api.history(call(request)).await.unwrap().into_inner();
        seen.extend(page.versions.into_iter().map(|v| (v.version, v.changed_by, v.note)));
        token = page.next_page_token;
        if token.is_empty() {
            break;
        }
    }
    let told = |version, by: &str, note: &str| (version, by.to_owned(), note.to_owned());
    assert_eq!(
        seen,
        [
            told(3, "user:ops", "rollback to version 1"),
            told(2, "user:ops", "stop everything"),
            told(1, "file", "")
        ]
    );
    let beyond = pb::HistoryRequest { page_size: 100, page_token: u64::MAX.to_string() };
    assert_eq!(api.history(call(beyond)).await.unwrap().into_inner().versions.len(), 3);
    for (request, field) in [
        (pb::HistoryRequest { page_size: 101, page_token: String::new() }, "page_size"),
        (pb::HistoryRequest { page_size: 1, page_token: "x".into() }, "page_token"),
    ] {
        let failure = from_status(&api.history(call(request)).await.unwrap_err());
        assert_eq!((failure.code, failure.detail("field")), (ErrorCode::InvalidArgument, Some(field)));
    }
    for note in ["x".repeat(257), "two\nlines".into()] {
        let failure = put(POLICY, 3, &note).await.unwrap_err();
        assert_eq!((failure.code, failure.detail("field")), (ErrorCode::InvalidArgument, Some("note")));
    }
}

#[tokio::test]
async fn a_policy_is_in_force_when_its_put_answers_even_if_its_file_cannot_be_written() {
    let world = World::new().await;
    std::fs::remove_dir_all(world.dir.path()).unwrap();
    let request = pb::PutPolicyRequest { source: NOTHING.into(), expected_version: 1, note: String::new() };
    let put = world.api().put(call(request)).await.unwrap().into_inner();
    assert_eq!((put.version, put.warning.as_str()), (2, "file_not_written"));
    assert_eq!(world.submit(&uptime(&["web-1"])).await.unwrap_err(), ErrorCode::PolicyDenied);
    assert_eq!(world.store.policy(None).await.unwrap().unwrap().source, NOTHING);
}

#[tokio::test]
async fn a_policy_of_the_longest_kind_can_be_put_and_read_and_a_longer_one_not() {
    let world = World::new().await;
    let mut source = POLICY.to_owned();
    while source.len() + 101 <= MAX_POLICY_BYTES {
        let _ = writeln!(source, "# {}", "x".repeat(98));
    }
    let _ = write!(source, "#{}", "x".repeat(MAX_POLICY_BYTES - source.len() - 1));
    assert_eq!(source.len(), MAX_POLICY_BYTES);
    let put = |source: String| pb::PutPolicyRequest { source, expected_version: 1, note: "n".repeat(256) };
    assert!(put(source.clone()).encoded_len() < MAX_POLICY_MESSAGE_BYTES);
    let longer = world.api().put(call(put(format!("{source}x")))).await.unwrap_err();
    assert_eq!(from_status(&longer).code, ErrorCode::InvalidArgument);
    assert_eq!(world.api().put(call(put(source.clone()))).await.unwrap().into_inner().version, 2);
    let told = world.api().get(call(pb::GetPolicyRequest { version: 0 })).await.unwrap().into_inner();
    assert!(told.encoded_len() < MAX_POLICY_MESSAGE_BYTES);
    assert_eq!(told.source, source);
}

/// Writes the policy's file as if at this moment, in seconds.
fn write_file(world: &World, source: &str, at: u64) {
    let file = world.dir.path().join("policy.yml");
    std::fs::write(&file, source).unwrap();
    let file = std::fs::File::options().write(true).open(file).unwrap();
    file.set_modified(UNIX_EPOCH + Duration::from_secs(at)).unwrap();
}

#[tokio::test]
async fn a_file_that_was_edited_while_no_controller_ran_counts_even_if_it_says_what_an_older_one_said() {
    let world = World::new().await;
    world.pass(Duration::from_secs(100));
    world.put(NOTHING).await;
    let put_at = world.clock.now().as_micros() / 1_000_000;
    write_file(&world, POLICY, put_at + 1);
    let world = world.restarted().await;
    let now = world.lifecycle.policies.now();
    assert_eq!((now.version, now.set.source()), (3, POLICY));
    assert_eq!(world.store.policy(None).await.unwrap().unwrap().changed_by, "file");
}

#[tokio::test]
async fn a_file_that_was_not_written_when_a_policy_was_put_does_not_bring_the_old_one_back() {
    let world = World::new().await;
    world.pass(Duration::from_secs(100));
    world.put(NOTHING).await;
    let put_at = world.clock.now().as_micros() / 1_000_000;
    write_file(&world, POLICY, put_at - 1);
    let world = world.restarted().await;
    let now = world.lifecycle.policies.now();
    assert_eq!((now.version, now.set.source()), (2, NOTHING));
    assert_eq!(std::fs::read_to_string(world.dir.path().join("policy.yml")).unwrap(), NOTHING);

    // What was never in force was written by somebody, and is not thrown away.
    let edited = format!("{POLICY}# edited\n");
    write_file(&world, &edited, put_at - 1);
    let world = world.restarted().await;
    assert_eq!(world.lifecycle.policies.now().set.source(), edited);
}

#[tokio::test]
async fn a_file_that_holds_the_newest_version_makes_no_other() {
    let world = World::new().await;
    world.put(NOTHING).await;
    world.put(POLICY).await;
    write_file(&world, POLICY, 1);
    let world = world.restarted().await;
    let now = world.lifecycle.policies.now();
    assert_eq!((now.version, now.set.source()), (3, POLICY));
}
