//! Whoever watches slowly costs the controller little and the command nothing.

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::FutureExt as _;
use hyper_util::rt::TokioIo;
use lictor_certs::{
    client::{LiveClientTls, connect},
    files::IdentityFiles,
};
use lictor_client::{
    collect::{Collector, Keep},
    connect::Client,
    run::RunStream,
    views::Phase,
};
use lictor_core::{
    error::ErrorCode,
    id::JobId,
    job::{JobSpec, JobState},
};
use lictor_tests::{World, process::resident_kib, world::spec};
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, timeout},
};
use tonic::transport::Endpoint;
use tower::service_fn;

/// What the command prints.
const PRINTED: u64 = 1024 * 1024 * 1024;
/// What the controller may grow above its idle size, watchers and output together.
const GROWTH_KIB: u64 = 128 * 1024;
/// Watchers when nobody asks for more: enough to show growth by watcher, and quick on a small machine.
const WATCHERS: usize = 200;
/// Says how many watchers there shall be; a thousand are the promise (`scripts/test --watchers 1000`).
const WATCHERS_VARIABLE: &str = "LICTOR_TEST_WATCHERS";
/// What a watcher's stream takes without being read …
const WINDOW_BYTES: u32 = 8;
/// … and how often it is read: a byte a second.
const READ_EVERY: Duration = Duration::from_secs(WINDOW_BYTES as u64);
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
                match client.watch_live(job).await {
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

/// Reads what has come, again and again, until told to stop.
async fn read_slowly(mut stream: RunStream, mut stop: watch::Receiver<bool>) -> RunStream {
    while !*stop.borrow() {
        // What is there is taken, and no more is waited for.
        let _ = stream.next().now_or_never();
        let _ = timeout(READ_EVERY, stop.changed()).await;
    }
    stream
}

/// A command that prints as fast as it can from the moment on that `go` is there.
fn printing(go: &Path) -> JobSpec {
    let script = format!("until test -e '{}'; do sleep 0.1; done; head -c {PRINTED} /dev/zero", go.display());
    JobSpec { timeout: Some(Duration::from_secs(600)), ..spec(&["web-1"], &["sh", "-c", &script]).unwrap() }
}

/// Lets it print, to its end: how long that took.
async fn print(mut stream: RunStream, go: &Path) -> Duration {
    std::fs::write(go, "").unwrap();
    let begun = Instant::now();
    let mut collector = Collector::new(Keep::at_most(1024));
    while let Some(update) = stream.next().await.unwrap() {
        collector.take(update);
    }
    assert_eq!(collector.finished().unwrap().state, JobState::Succeeded);
    assert_eq!(collector.invocations()[0].0.stdout.bytes_total, PRINTED);
    begun.elapsed()
}

#[tokio::test(flavor = "multi_thread")]
async fn watchers_that_read_a_byte_a_second_fill_no_memory_and_the_command_ends_without_them() {
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
    let client = world.client().unwrap();

    let go = world.file("go-alone");
    let alone = print(client.run(&printing(&go)).await.unwrap(), &go).await;
    let unwatched = most.load(Ordering::SeqCst);

    // The command waits until everybody watches.
    let go = world.file("go-watched");
    let quick = client.run(&printing(&go)).await.unwrap();
    let job = quick.job();
    let (stop_reading, stopped) = watch::channel(false);
    let mut readers = JoinSet::new();
    for stream in open_watchers(&world, job, count).await {
        readers.spawn(read_slowly(stream, stopped.clone()));
    }
    let opened = most.load(Ordering::SeqCst);
    let watched = print(quick, &go).await;
    stop_reading.send_replace(true);
    let slow = readers.join_all().await;

    // The command has ended, and hardly any of it was read. Whoever comes now is told all that was kept.
    let mut late = Collector::new(Keep::ALL);
    let mut stream = client.watch(job).await.unwrap();
    while let Some(update) = stream.next().await.unwrap() {
        late.take(update);
    }
    let invocations = late.invocations();
    let (view, collected) = invocations[0];
    assert_eq!((view.phase, view.stdout.bytes_total), (Phase::Ended, PRINTED));
    assert_eq!(collected.stdout.left_out(PRINTED), PRINTED - view.stdout.bytes_kept);

    stop.store(true, Ordering::SeqCst);
    looking.await.unwrap();
    let most = most.load(Ordering::SeqCst);
    eprintln!(
        "{count} watchers; the controller: {idle} KiB idle, {unwatched} KiB at most without them, {opened} KiB when all were there, {most} KiB at most"
    );
    eprintln!(
        "1 GiB was printed in {:.2} s without watchers and in {:.2} s with {count}",
        alone.as_secs_f64(),
        watched.as_secs_f64()
    );
    assert!(most < idle + GROWTH_KIB, "the controller grew from {idle} to {most} KiB");
    drop(slow);
}
