//! Whoever watches slowly costs the controller little and the command nothing.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use hyper_util::rt::TokioIo;
use lictor_certs::{
    client::{LiveClientTls, connect},
    files::IdentityFiles,
};
use lictor_client::{
    collect::{Collector, Keep},
    connect::Client,
    run::{JobUpdate, RunStream},
    views::Phase,
};
use lictor_core::{
    error::ErrorCode,
    id::JobId,
    job::{JobSpec, JobState},
};
use lictor_tests::{World, process::resident_kib, world::spec};
use tokio::task::JoinSet;
use tonic::transport::Endpoint;
use tower::service_fn;

/// What the command prints.
const PRINTED: u64 = 1024 * 1024 * 1024;
/// What the controller may grow above its idle size, watchers and output together.
const GROWTH_KIB: u64 = 128 * 1024;
/// Watchers when nobody asks for more: enough to show growth by watcher, and quick on a small machine.
const WATCHERS: usize = 200;
/// Says how many watchers there shall be; a thousand are the promise.
const WATCHERS_VARIABLE: &str = "LICTOR_TEST_WATCHERS";
/// What a watcher's connection takes without being read: far less than any output.
const WINDOW_BYTES: u32 = 1024;
/// How often sizes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A client that takes a few bytes at a time, over a connection of its own.
fn slow_client(world: &World, tls: &Arc<LiveClientTls>) -> Client {
    let (target, tls) = (world.address().to_owned(), Arc::clone(tls));
    let address = target.clone();
    let channel = Endpoint::from_static("http://controller.invalid")
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES)
        .connect_with_connector_lazy(service_fn(move |_| {
            let (target, tls) = (target.clone(), Arc::clone(&tls));
            async move { connect(&target, &tls).await.map(TokioIo::new) }
        }));
    Client::over(channel, &address)
}

async fn open_watchers(world: &World, job: JobId, count: usize) -> Vec<RunStream> {
    let identity = IdentityFiles::in_dir(&world.home().join("identity"), "operator");
    let tls = Arc::new(LiveClientTls::load(identity).unwrap());
    let mut opening = JoinSet::new();
    let mut open = Vec::with_capacity(count);
    for _ in 0..count {
        // A few at a time: handshakes are bounded.
        if opening.len() >= 16 {
            open.push(opening.join_next().await.unwrap().unwrap());
        }
        let client = slow_client(world, &tls);
        opening.spawn(async move {
            loop {
                match client.watch(job).await {
                    Ok(stream) => return stream,
                    // A handshake that waited too long for its turn.
                    Err(failure) if failure.code == ErrorCode::Unavailable => {}
                    Err(failure) => panic!("{failure}"),
                }
            }
        });
    }
    open.extend(opening.join_all().await);
    open
}

#[tokio::test(flavor = "multi_thread")]
async fn a_thousand_watchers_that_hardly_read_slow_no_command_and_fill_no_memory() {
    let count = std::env::var(WATCHERS_VARIABLE).map_or(WATCHERS, |number| number.parse().unwrap());
    let world = World::prepare(&["web-1"]).unwrap();
    world.allow_ten_minutes().unwrap();
    let world = world.set_up().await.unwrap();
    world.run("web-1", &["true"]).await.unwrap();
    let controller = world.controller.as_ref().unwrap().id();
    let idle = resident_kib(controller).unwrap();
    let (most, stop) = (Arc::new(AtomicU64::new(idle)), Arc::new(AtomicBool::new(false)));
    let looking = tokio::spawn({
        let (most, stop) = (Arc::clone(&most), Arc::clone(&stop));
        async move {
            while !stop.load(Ordering::SeqCst) {
                most.fetch_max(resident_kib(controller).unwrap_or(0), Ordering::SeqCst);
                tokio::time::sleep(LOOK_EVERY).await;
            }
        }
    });

    // It waits until everybody watches; then it prints as fast as it can.
    let go = world.file("go");
    let script = format!("until test -e '{}'; do sleep 0.1; done; head -c {PRINTED} /dev/zero", go.display());
    let client = world.client().unwrap();
    let asked = JobSpec {
        timeout: Some(Duration::from_secs(600)),
        ..spec(&["web-1"], &["sh", "-c", &script]).unwrap()
    };
    let mut quick = client.run(&asked).await.unwrap();
    let mut slow = open_watchers(&world, quick.job(), count).await;
    let watched = most.load(Ordering::SeqCst);
    std::fs::write(&go, "").unwrap();

    let mut collector = Collector::new(Keep::at_most(1024));
    while let Some(update) = quick.next().await.unwrap() {
        collector.take(update);
    }
    assert_eq!(collector.finished().unwrap().state, JobState::Succeeded);
    assert_eq!(collector.invocations()[0].0.stdout.bytes_total, PRINTED);

    // The command has ended, and none of them has read more than that there is a job. Each can go on.
    assert!(matches!(slow[0].next().await.unwrap(), Some(JobUpdate::Submitted(_))));
    let mut late = Collector::new(Keep::ALL);
    while let Some(update) = slow[0].next().await.unwrap() {
        late.take(update);
    }
    let invocations = late.invocations();
    let (view, collected) = invocations[0];
    assert_eq!((view.phase, view.stdout.bytes_total), (Phase::Ended, PRINTED));
    assert_eq!(collected.stdout.left_out(PRINTED), PRINTED - view.stdout.bytes_kept);

    stop.store(true, Ordering::SeqCst);
    looking.await.unwrap();
    let most = most.load(Ordering::SeqCst);
    eprintln!("{count} watchers: {idle} KiB idle, {watched} KiB watched, {most} KiB at most");
    assert!(most < idle + GROWTH_KIB, "the controller grew from {idle} to {most} KiB");
    drop(slow);
}
