//! An upload is cut off in the middle: nothing half-written is ever under the file's name, and what is said of it is true.

use bytes::Bytes;
use lictor_client::transfer::Upload;
use lictor_core::{
    job::{Origin, Target},
    name::HostAlias,
    outcome::Exit,
    principal::Via,
};
use lictor_tests::{binaries, disk::SmallDisk, links::Links, proxy::Flow, world::POLICY};

use super::*;

/// Takes long enough on any link to be caught in the middle.
const LARGE: usize = 48 * 1024 * 1024;
/// What is there before.
const OLD: &[u8] = b"as it was\n";
/// Tries to catch an upload in the middle.
const TRIES: usize = 20;
/// Less than the upload.
const HOST_DISK: u64 = 4 * 1024 * 1024;
const UPLOAD: usize = 8 * 1024 * 1024;
/// Room for the agent's journal and reserve, and not for the upload.
const AGENT_DISK: u64 = 12 * 1024 * 1024;

/// A system that is not started yet, where files may be put into `folder`.
fn prepare(folder: &Path) -> World {
    // A host that logs what it executes has no file transfer.
    let world = World::prepare_unlogged(&["web-1"]).unwrap();
    let rule = format!(
        "  - {{id: up, effect: allow, where: all, commands: ['lictor:upload <path:{}>'], stdin: true, limits: {{timeout: 600s}}}}\n",
        folder.display()
    );
    fs::write(world.home().join("policy.yml"), POLICY.to_owned() + &rule).unwrap();
    world
}

async fn upload(world: &World, file: &Path, bytes: usize) -> JobId {
    let client = world.client().unwrap();
    let upload = Upload {
        target: Target::Hosts(vec![HostAlias::new("web-1").unwrap()]),
        path: file.to_str().unwrap().parse().unwrap(),
        mode: None,
        bytes: Bytes::from(vec![b'n'; bytes]),
    };
    let spec = client.upload(upload, Origin::new(Via::Api, "lictor-tests")).await.unwrap();
    client.submit(&spec).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs())).job.id
}

/// How a job on one host ends.
async fn end(world: &World, job: JobId) -> Outcome {
    let ended = async || look(world, job).await.outcome.is_some();
    within(LONG, "the job ends", ended).await.unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
    look(world, job).await.outcome.unwrap()
}

/// The files that an upload writes beside the place.
fn beside(folder: &Path) -> Vec<PathBuf> {
    let files = fs::read_dir(folder).unwrap().map(|file| file.unwrap().path());
    files.filter(|file| file.file_name().unwrap().to_str().unwrap().starts_with(".lictor-")).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_killed_in_the_middle_of_an_upload_leaves_the_file_as_it_was_and_says_unknown() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let world = prepare(folder.path());
    let links = Links::lay(&world).await.unwrap();
    let mut world = world.set_up().await.unwrap();
    let mut caught = None;
    for _ in 0..TRIES {
        fs::write(&file, OLD).unwrap();
        let job = upload(&world, &file, LARGE).await;
        let under_way =
            async || !beside(folder.path()).is_empty() || look(&world, job).await.outcome.is_some();
        eventually("it is being written", under_way)
            .await
            .unwrap_or_else(|e| panic!("{e}\n{}", world.logs()));
        links.host("web-1").unwrap().set(Flow::None);
        if let [half] = beside(folder.path()).as_slice()
            && fs::metadata(half).is_ok_and(|half| half.len() < LARGE as u64)
        {
            caught = Some(job);
            break;
        }
        // It was faster.
        links.host("web-1").unwrap().set(Flow::Both);
        assert_eq!(end(&world, job).await, Outcome::Succeeded);
    }
    let job = caught.unwrap_or_else(|| panic!("it is never caught in the middle\n{}", world.logs()));
    world.agent.as_mut().unwrap().kill();
    links.host("web-1").unwrap().set(Flow::Both);
    links.host("web-1").unwrap().cut();
    world.start_agent().await.unwrap();
    let ended = end(&world, job).await;
    assert_eq!(ended, Outcome::Unknown(Unknown::AgentRestarted));
    assert_eq!(fs::read(&file).unwrap(), OLD);

    // Whoever asks again gets it whole.
    let job = upload(&world, &file, LARGE).await;
    let ended = end(&world, job).await;
    assert_eq!(ended, Outcome::Succeeded);
    assert!(fs::read(&file).unwrap() == vec![b'n'; LARGE]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_whose_disk_is_full_in_the_middle_of_an_upload_keeps_the_file_as_it_was() {
    let place = tempfile::tempdir().unwrap();
    let disk = SmallDisk::mount(place.path(), HOST_DISK).unwrap();
    let folder = disk.path();
    let file = folder.join("file");
    fs::write(&file, OLD).unwrap();
    let world = prepare(&folder).set_up().await.unwrap();
    let job = upload(&world, &file, UPLOAD).await;
    let ended = end(&world, job).await;
    assert_eq!(ended, Outcome::Failed(Exit::Code(1)));
    assert_eq!(fs::read(&file).unwrap(), OLD);
    assert_eq!(beside(&folder), [] as [PathBuf; 0], "what was written is tidied up");
    let told = world.lictor(&["output", &job.to_string()]).unwrap();
    let told = String::from_utf8_lossy(&told.stderr).into_owned();
    assert!(told.contains("what is there is as it was"), "{told}");
    // What fits goes.
    let job = upload(&world, &file, 1024 * 1024).await;
    assert_eq!(end(&world, job).await, Outcome::Succeeded);
    assert_eq!(fs::read(&file).unwrap().len(), 1024 * 1024);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_without_room_for_the_content_starts_nothing_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, OLD).unwrap();
    let mut world = prepare(folder.path());
    world.scan().unwrap();
    world.start_controller().await.unwrap();
    world.join().unwrap();
    let disk = SmallDisk::mount(&world.agent_state(), AGENT_DISK).unwrap();
    let config = world.home().join("agent.yml").display().to_string();
    let program = binaries::path("lictor-agent").unwrap();
    let agent = disk.start(&program, &["run", "--config", &config], &world.file("agent.log")).unwrap();
    world.agent = Some(agent);
    world.agent_connected().await.unwrap();
    let job = upload(&world, &file, UPLOAD).await;
    let outcome = end(&world, job).await;
    assert_eq!(outcome.reason_code(), Some("AGENT_CONTENT_UNAVAILABLE"), "{outcome:?}");
    assert_eq!(fs::read(&file).unwrap(), OLD);
    assert_eq!(beside(folder.path()), [] as [PathBuf; 0]);
    let job = submit(&world, &["web-1"], &effect(":")).await;
    assert_eq!(end(&world, job).await, Outcome::Succeeded, "all else goes on");
}
