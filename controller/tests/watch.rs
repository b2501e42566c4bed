//! What watchers are told of a job: all of it, in order, whenever they come and however often the controller restarts.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

#[path = "support/world.rs"]
#[allow(dead_code, reason = "each file of tests needs another part of it")]
mod world;

use std::{collections::BTreeMap, pin::pin, sync::Arc};

use bytes::Bytes;
use futures_util::{FutureExt as _, Stream, StreamExt as _};
use lictor_controller::live::{LiveJob, Slot, View, replay, watch};
use lictor_core::{
    id::InvocationId,
    invocation::InvocationEvent,
    outcome::Outcome,
    output::{Capture, StreamName},
};
use lictor_proto::{convert::summary_with_bytes, pb};
use lictor_store::Store as _;
use world::{World, only, result, spec};

const VIEW: View = View { addresses: true, replayed: false, live: true };

/// Everything that a watcher was told of an invocation.
#[derive(Debug, Default, PartialEq, Eq)]
struct Told {
    stdout: Vec<u8>,
    /// Position of the first byte after a gap.
    gap_to: Option<u64>,
    phases: Vec<pb::InvocationPhase>,
    kept: u64,
    total: u64,
}

/// The events so far, or all of them if the job has ended.
async fn told(events: impl Stream<Item = Result<pb::JobEvent, tonic::Status>>) -> BTreeMap<String, Told> {
    let mut events = pin!(events);
    let mut all: BTreeMap<String, Told> = BTreeMap::new();
    let mut hosts = BTreeMap::new();
    let mut ended = false;
    while let Some(Some(event)) = events.next().now_or_never() {
        assert!(!ended, "the end of the job is the last event");
        match event.unwrap().event.unwrap() {
            pb::job_event::Event::Output(chunk) | pb::job_event::Event::Live(chunk) => {
                let told = all.entry(chunk.invocation_id).or_default();
                let position = told.gap_to.unwrap_or(0) + told.stdout.len() as u64;
                assert!(chunk.offset >= position, "nothing is told twice");
                if chunk.offset > position {
                    told.gap_to = Some(chunk.offset - told.stdout.len() as u64);
                }
                told.stdout.extend_from_slice(&chunk.data);
            }
            pb::job_event::Event::Invocation(invocation) => {
                let told = all.entry(invocation.id.clone()).or_default();
                told.phases.push(invocation.phase());
                let stdout = invocation.output.unwrap().stdout.unwrap();
                (told.kept, told.total) = (stdout.head_bytes + stdout.tail_bytes, stdout.bytes_total);
                hosts.insert(invocation.id, invocation.host);
            }
            pb::job_event::Event::Submitted(_) => assert!(all.is_empty()),
            pb::job_event::Event::Progress(_) => {}
            pb::job_event::Event::Finished(_) => ended = true,
        }
    }
    all.into_iter().map(|(id, told)| (hosts.remove(&id).unwrap(), told)).collect()
}

fn watching(world: &World, job: &Arc<LiveJob>) -> impl Stream<Item = Result<pb::JobEvent, tonic::Status>> {
    watch(Arc::clone(job), world.store.clone(), VIEW)
}

/// Shows what the first command of the job printed.
fn show(world: &World, job: &Arc<LiveJob>, offset: u64, bytes: &[u8]) {
    let slot = Slot { job: Arc::clone(job), index: 0 };
    world.lifecycle.jobs.show(&slot, StreamName::Stdout, offset, &Bytes::copy_from_slice(bytes));
}

/// A result of a command that printed `printed`, of which `cap` bytes were kept.
fn printed(id: InvocationId, printed: &[u8], cap: u64) -> pb::InvocationResult {
    let mut capture = Capture::new(cap);
    capture.push(printed);
    let output = lictor_core::output::Output { stdout: capture.finish(), ..Default::default() };
    pb::InvocationResult { output: Some(summary_with_bytes(&output)), ..result(id, &Outcome::Succeeded) }
}

#[tokio::test]
async fn a_watcher_after_a_restart_is_told_the_output_of_what_had_ended_before() {
    let data: Vec<u8> = (0..60_000u32).map(|n| (n % 251) as u8).collect();
    for (cap, small) in [(100_000, false), (40_000, false), (100_000, true)] {
        let data = if small { &data[..100] } else { &data[..] };
        let world = World::new().await;
        let agent = world.connect(&[], false).await;
        let job = world.submit(&spec(&["web-1", "web-2"], "uptime")).await.unwrap();
        let ids: Vec<_> = job.index().into_iter().map(|(_, id, _)| id).collect();
        let _ = world.lifecycle.take_results(&agent.session, vec![printed(ids[0], data, cap)]).await.unwrap();
        let before = told(watching(&world, &job)).await;
        drop(job);

        let world = world.restarted().await;
        // The first session of this world has the epoch of the offer, as if the agent had never left.
        let _same = world.connect(&[], false).await;
        let agent = world.connect(&[(ids[1], pb::JournalPhase::Running)], false).await;
        let job = world.lifecycle.jobs.jobs().remove(0);
        let after = told(watching(&world, &job)).await;
        assert_eq!(after["web-1"], before["web-1"]);
        let web_1 = &after["web-1"];
        assert_eq!((web_1.kept, web_1.total), ((data.len() as u64).min(cap), data.len() as u64));
        assert_eq!(web_1.stdout.len() as u64, web_1.kept);
        assert!(
            data.starts_with(&web_1.stdout[..50])
                && data.ends_with(&web_1.stdout[50..][web_1.stdout.len() - 90..])
        );
        assert_eq!(web_1.phases, [pb::InvocationPhase::Ended]);
        assert_eq!(after["web-2"].phases, [pb::InvocationPhase::Running]);

        let _ =
            world.lifecycle.take_results(&agent.session, vec![printed(ids[1], b"late", cap)]).await.unwrap();
        let live = told(watching(&world, &job)).await;
        let kept = world.store.job(job.id()).await.unwrap().unwrap();
        let mut events = pin!(replay(kept, world.store.clone(), VIEW));
        let mut collected = Vec::new();
        while let Some(event) = events.next().await {
            collected.push(event);
        }
        assert_eq!(told(futures_util::stream::iter(collected)).await, live);
        assert_eq!((&live["web-1"], &live["web-2"].stdout[..]), (web_1, &b"late"[..]));
    }
}

#[tokio::test]
async fn output_that_comes_byte_by_byte_is_told_whole_at_every_pace() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let job = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    let id = only(&job);
    job.observe(0, InvocationEvent::Accept);
    job.observe(0, InvocationEvent::Start);
    let data: Vec<u8> = (0..5_000u32).map(|n| (n % 251) as u8).collect();
    let mut slow = Box::pin(watching(&world, &job));
    let mut slowly = Vec::new();
    for (offset, byte) in data.iter().enumerate() {
        show(&world, &job, offset as u64, &[*byte]);
        if offset % 700 == 0 {
            slowly.push(slow.next().await.unwrap());
        }
    }
    assert_eq!(told(watching(&world, &job)).await["web-1"].stdout, data, "a watcher that comes late");
    let _ = world.lifecycle.take_results(&agent.session, vec![printed(id, &data, 4_000)]).await.unwrap();
    while let Some(event) = slow.next().await {
        slowly.push(event);
    }
    let slowly = told(futures_util::stream::iter(slowly)).await;
    assert!(
        data.starts_with(&slowly["web-1"].stdout[..2_000])
            && data.ends_with(&slowly["web-1"].stdout[3_000..])
    );
    assert_eq!(slowly["web-1"].phases.last(), Some(&pb::InvocationPhase::Ended));
}

/// A job with one command that runs.
async fn running(world: &World) -> (Arc<LiveJob>, InvocationId) {
    let job = world.submit(&spec(&["web-1"], "uptime")).await.unwrap();
    job.observe(0, InvocationEvent::Accept);
    job.observe(0, InvocationEvent::Start);
    let id = only(&job);
    (job, id)
}

fn data(from: u64, to: u64) -> Vec<u8> {
    (from..to).map(|n| u8::try_from(n % 251).unwrap()).collect()
}

/// The pieces of output that are at hand: live or not, where, and what.
async fn pieces(
    events: &mut (impl Stream<Item = Result<pb::JobEvent, tonic::Status>> + Unpin),
) -> Vec<(bool, u64, Bytes)> {
    let mut pieces = Vec::new();
    // A task that never waits is made to look as if nothing were at hand.
    tokio::task::yield_now().await;
    while let Some(Some(event)) = events.next().now_or_never() {
        match event.unwrap().event.unwrap() {
            pb::job_event::Event::Live(chunk) => pieces.push((true, chunk.offset, chunk.data)),
            pb::job_event::Event::Output(chunk) => pieces.push((false, chunk.offset, chunk.data)),
            _ => {}
        }
    }
    pieces
}

#[tokio::test]
async fn output_is_told_for_as_long_as_the_command_prints_whatever_was_lost_on_the_way() {
    let world = World::new().await;
    let _agent = world.connect(&[], false).await;
    let (job, _) = running(&world).await;
    let mut watcher = Box::pin(watching(&world, &job));
    let mut at = 0;
    for number in 0..1_000u64 {
        // Now and then the agent leaves something out.
        at += if number % 10 == 3 { 5_000 } else { 0 };
        show(&world, &job, at, &data(at, at + 10_000));
        let told = pieces(&mut watcher).await;
        let bytes: Vec<u8> = told.iter().flat_map(|(_, _, bytes)| bytes.to_vec()).collect();
        assert_eq!((told[0].0, told[0].1, bytes), (true, at, data(at, at + 10_000)));
        at += 10_000;
    }
}

#[tokio::test]
async fn whoever_reads_slowly_or_comes_late_is_told_the_beginning_a_gap_and_the_newest() {
    let world = World::new().await;
    let agent = world.connect(&[], false).await;
    let (job, id) = running(&world).await;
    let mut slow = Box::pin(watching(&world, &job));
    show(&world, &job, 0, &data(0, 10));
    assert_eq!(pieces(&mut slow).await.len(), 1);
    let total = 10_000_000;
    for at in (10..total).step_by(9_990) {
        show(&world, &job, at, &data(at, total.min(at + 9_990)));
    }
    for mut watcher in [slow, Box::pin(watching(&world, &job))] {
        let told = pieces(&mut watcher).await;
        let mut gaps = 0;
        let mut end = told[0].1;
        assert!(end == 0 || end == 10);
        for (live, offset, bytes) in told {
            assert!(live && offset >= end);
            gaps += u32::from(offset > end);
            end = offset + bytes.len() as u64;
            assert_eq!(bytes, data(offset, end), "every byte is at its place");
        }
        assert_eq!((gaps, end), (1, total));
    }
    // Whoever did not ask for it is told what is kept, whole, and nothing else.
    let kept_only = View { live: false, ..VIEW };
    let mut program = Box::pin(watch(Arc::clone(&job), world.store.clone(), kept_only));
    assert_eq!(pieces(&mut program).await, []);
    let all = data(0, total);
    let _ = world.lifecycle.take_results(&agent.session, vec![printed(id, &all, 40_000)]).await.unwrap();
    let told = pieces(&mut program).await;
    assert!(told.iter().all(|(live, _, _)| !live));
    let bytes: Vec<u8> = told.iter().flat_map(|(_, _, bytes)| bytes.to_vec()).collect();
    assert_eq!(bytes, [&all[..20_000], &all[all.len() - 20_000..]].concat());
}
