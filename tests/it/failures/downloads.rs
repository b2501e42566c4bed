//! A large download is cut off in the middle: it comes whole all the same, and nothing of it is left where it passed.

use lictor_client::transfer::download;
use lictor_core::{
    digest::Digest,
    job::{Origin, Target},
    name::HostAlias,
    principal::Via,
};
use lictor_tests::{links::Links, proxy::Flow, world::POLICY};

use super::*;

/// Above what goes through memory, and long enough on any link to be caught in the middle.
const LARGE: usize = 48 * 1024 * 1024;
/// Tries to catch a download in the middle.
const TRIES: usize = 20;

/// What breaks.
#[derive(Debug, Clone, Copy)]
enum Broken {
    Link,
    Controller,
}

fn bytes(count: usize) -> Vec<u8> {
    (0..count).map(|n| u8::try_from((n.wrapping_mul(31) ^ (n >> 8)) % 256).unwrap()).collect()
}

async fn ask(world: &World, file: &Path) -> JobId {
    let target = Target::Hosts(vec![HostAlias::new("web-1").unwrap()]);
    let path = file.to_str().unwrap().parse().unwrap();
    let spec = download(target, &path, Origin::new(Via::Api, "lictor-tests"));
    let client = world.client().unwrap();
    client.submit(&spec).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs())).job.id
}

fn files(folder: &Path) -> Vec<PathBuf> {
    fs::read_dir(folder).map_or_else(|_| Vec::new(), |all| all.map(|file| file.unwrap().path()).collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_file_that_breaks_off_on_its_way_to_the_controller_comes_whole_and_leaves_no_part() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let mut large = bytes(LARGE);
    // A host that logs what it executes has no file transfer.
    let world = World::prepare_unlogged(&["web-1"]).unwrap();
    let rule = format!(
        "  - {{id: down, effect: allow, where: all, commands: ['lictor:download <path:{}>'], limits: {{timeout: 600s, output: 64MiB}}}}\n",
        folder.path().display()
    );
    fs::write(world.home().join("policy.yml"), POLICY.to_owned() + &rule).unwrap();
    let links = Links::lay(&world).await.unwrap();
    let mut world = world.set_up().await.unwrap();
    let arriving = world.home().join("state/controller/arriving");
    let spool = world.home().join("state/agent/spool");
    let length = |part: &PathBuf| fs::metadata(part).map_or(0, |part| part.len());
    let came = || files(&arriving).iter().map(length).sum::<u64>();
    for (round, broken) in [Broken::Link, Broken::Controller].into_iter().enumerate() {
        let mut caught = None;
        for attempt in 0..TRIES {
            // What a store has already, it does not keep again.
            large[..2].copy_from_slice(&[u8::try_from(round).unwrap(), u8::try_from(attempt).unwrap()]);
            fs::write(&file, &large).unwrap();
            let job = ask(&world, &file).await;
            let ended = async || look(&world, job).await.outcome.is_some();
            let comes = async || came() > 0 || ended().await;
            within(LONG, "it comes", comes).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
            links.controller.set(Flow::None);
            if (1..LARGE as u64).contains(&came()) && !ended().await {
                caught = Some(job);
                break;
            }
            // It was faster.
            links.controller.set(Flow::Both);
            let over = async || ended().await && files(&arriving).is_empty();
            within(LONG, "it ends", over).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
        }
        let job = caught.unwrap_or_else(|| panic!("it is never caught in the middle\n{}", world.logs()));
        if matches!(broken, Broken::Controller) {
            world.controller.as_mut().unwrap().kill();
            world.start_controller().await.unwrap();
        }
        links.controller.set(Flow::Both);
        links.controller.cut();
        let ended = async || look(&world, job).await.outcome.is_some();
        within(LONG, "the job ends", ended).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
        let view = look(&world, job).await;
        assert_eq!(view.outcome, Some(Outcome::Succeeded), "{broken:?}\n{}", world.logs());
        assert_eq!((view.stdout.bytes_total, view.stdout.bytes_kept), (LARGE as u64, LARGE as u64));
        assert_eq!(view.stdout.digest, Some(Digest::of(&large)));
        let told = world.lictor(&["output", &job.to_string(), "--host", "web-1"]).unwrap();
        assert!(told.stdout == large, "{} bytes: {}", told.stdout.len(), world.logs());
        let told = world.lictor(&["output", &job.to_string(), "--grep", "x"]).unwrap();
        let words = String::from_utf8_lossy(&told.stderr).into_owned();
        assert!(!told.status.success() && words.contains("at most 4194304 are shown at once"), "{words}");
        let tidy = async || files(&arriving).is_empty() && files(&spool).is_empty();
        eventually("nothing of it is left where it passed", tidy).await.unwrap();
    }
}
