//! Files of downloads, piece by piece and out of step with their results, against the model store.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

#[path = "support/world.rs"]
#[allow(dead_code, reason = "each file of tests needs another part of it")]
mod world;

use std::time::Duration;

use bytes::Bytes;
use lictor_core::{
    digest::Digest,
    id::InvocationId,
    outcome::{Exit, Outcome},
    output::StreamName,
};
use lictor_proto::pb;
use lictor_store::Store as _;
use world::{Agent, World, only, result, spec};

const RULES: &str = "version: 1\nrules:\n  - {id: down, effect: allow, where: all, commands: ['lictor:download <path:/srv>'], limits: {output: 16MiB}}\n";
const MINUTE: Duration = Duration::from_secs(60);

/// What an agent reports of a file that it sends apart.
fn reported(id: InvocationId, outcome: &Outcome, file: &[u8]) -> pb::InvocationResult {
    let bytes = file.len() as u64;
    let stdout = pb::StreamSummary {
        bytes_total: bytes,
        digest: Digest::of(file).as_bytes().to_vec(),
        head_bytes: bytes,
        ..pb::StreamSummary::default()
    };
    let output = pb::Output { stdout: Some(stdout), ..pb::Output::default() };
    pb::InvocationResult { output: Some(output), output_inline: false, ..result(id, outcome) }
}

/// Sends a piece; answers whether that was the end.
async fn piece(world: &World, agent: &Agent, id: InvocationId, offset: u64, data: &'static [u8]) -> bool {
    let data = Bytes::from_static(data);
    let taken = world.lifecycle.take_output(&agent.session, id, StreamName::Stdout, offset, &data).await;
    taken.unwrap().is_some()
}

/// How many bytes the file has and how many of them are kept.
async fn kept(world: &World, id: InvocationId) -> (u64, u64) {
    let ended = world.store.invocation(id).await.unwrap().unwrap();
    (ended.output.stdout.bytes_total, ended.output.stdout.bytes_kept())
}

#[tokio::test]
async fn only_a_download_that_succeeded_brings_a_file() {
    for (outcome, expected) in
        [(Outcome::Succeeded, (6, 6)), (Outcome::Failed(Exit::Code(1)), (6, 0)), (Outcome::Killed, (6, 0))]
    {
        let world = World::under(RULES, &["web-1"]).await;
        let agent = world.connect(&[], false).await;
        let job = world.submit(&spec(&["web-1"], "lictor:download /srv/file")).await.unwrap();
        let id = only(&job);
        assert!(!piece(&world, &agent, id, 0, b"a file").await);
        let results = vec![reported(id, &outcome, b"a file")];
        let durable = world.lifecycle.take_results(&agent.session, results).await.unwrap();
        assert_eq!((durable, job.has_ended()), (vec![id.to_string()], true), "{outcome}");
        assert_eq!(kept(&world, id).await, expected, "{outcome}");
    }
}

#[tokio::test]
async fn of_many_downloads_every_file_is_kept_though_the_results_come_after_all_of_them() {
    let hosts: Vec<String> = (0..12).map(|n| format!("web-{n}")).collect();
    let hosts: Vec<&str> = hosts.iter().map(String::as_str).collect();
    let world = World::under(RULES, &hosts).await;
    let agent = world.connect(&[], false).await;
    let mut ids = Vec::new();
    for host in hosts {
        let job = world.submit(&spec(&[host], "lictor:download /srv/file")).await.unwrap();
        ids.push(only(&job));
    }
    for id in &ids {
        assert!(!piece(&world, &agent, *id, 0, b"a file").await);
    }
    let results = ids.iter().map(|id| reported(*id, &Outcome::Succeeded, b"a file")).collect();
    let durable = world.lifecycle.take_results(&agent.session, results).await.unwrap();
    assert_eq!(durable.len(), ids.len());
    for id in ids {
        assert_eq!(kept(&world, id).await, (6, 6));
    }
}

#[tokio::test]
async fn a_result_waits_for_its_file_as_long_as_more_of_it_comes_and_no_longer() {
    let world = World::under(RULES, &["web-1"]).await;
    let agent = world.connect(&[], false).await;
    let ask = async || world.submit(&spec(&["web-1"], "lictor:download /srv/file")).await.unwrap();
    let report = async |id: InvocationId| {
        let results = vec![reported(id, &Outcome::Succeeded, b"a file")];
        world.lifecycle.take_results(&agent.session, results).await.unwrap()
    };
    let (whole, part) = (ask().await, ask().await);
    for job in [&whole, &part] {
        assert!(report(only(job)).await.is_empty(), "its file is on its way");
    }
    world.pass(MINUTE * 4);
    for job in [&whole, &part] {
        assert!(!piece(&world, &agent, only(job), 0, b"a f").await);
    }
    world.pass(MINUTE * 4);
    world.lifecycle.sweep().await;
    assert!(!whole.has_ended() && !part.has_ended());
    assert!(piece(&world, &agent, only(&whole), 3, b"ile").await, "that was all");
    assert_eq!((kept(&world, only(&whole)).await, whole.has_ended()), ((6, 6), true));

    // What came before is nothing new.
    assert!(!piece(&world, &agent, only(&part), 0, b"a f").await);
    world.pass(MINUTE * 2);
    world.lifecycle.sweep().await;
    assert_eq!((kept(&world, only(&part)).await, part.has_ended()), ((6, 0), true));
    assert_eq!(world.state(only(&part)).await, "SUCCEEDED");
}
