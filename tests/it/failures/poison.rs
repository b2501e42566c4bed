//! A record that cannot be read: it is left alone and said so, and everything else goes on.

use lictor_core::job::JobState;
use lictor_store::embedded::EmbeddedStore;

use super::*;

/// The version that stands before each record of the store.
const VERSION_BYTES: usize = 8;

/// Damages the record under this key while nothing has the store open.
fn damage(world: &World, kind: u8, id: &[u8; 16]) {
    let state = world.home().join("state/controller");
    // Opened and closed once, so that nothing is left in the journal that would write the record again.
    drop(reopen(|| EmbeddedStore::open(&state)));
    let db = reopen(|| sled::open(state.join("state")));
    let tree = db.open_tree("lictor").unwrap();
    let key = [&[kind], id.as_slice()].concat();
    let mut value = tree.get(&key).unwrap().expect("the record is there").to_vec();
    value.truncate(VERSION_BYTES + 5);
    tree.insert(&key, value).unwrap();
    db.flush().unwrap();
    drop((tree, db));
    let file = fs::File::open(state.join("state/db")).unwrap();
    reopen(|| file.try_lock());
}

/// sled's threads let go of its lock a moment after they are dropped.
fn reopen<T, E: std::fmt::Debug>(mut open: impl FnMut() -> Result<T, E>) -> T {
    for _ in 0..6_000 {
        if let Ok(opened) = open() {
            return opened;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    open().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_invocation_in_the_store_is_left_alone_and_the_rest_goes_on() {
    let mut world = World::start(&["web-1", "web-2"]).await.unwrap();
    world.agent.as_mut().unwrap().kill();
    // The last of a job, everything of another, and nothing of a third.
    let two = submit(&world, &["web-1", "web-2"], &effect(":")).await;
    let all = submit(&world, &["web-2"], &effect(":")).await;
    let one = submit(&world, &["web-1"], &effect(":")).await;
    let on_web_2 = async |job| {
        let page = world.client().unwrap().get_job(job, 0, None).await.unwrap();
        page.invocations.into_iter().find(|i| i.host.as_str() == "web-2").unwrap().id
    };
    let (poisoned, alone) = (on_web_2(two).await, on_web_2(all).await);
    world.controller.as_mut().unwrap().kill();
    damage(&world, b'i', poisoned.as_bytes());
    damage(&world, b'i', alone.as_bytes());
    world.start_controller().await.unwrap();
    let log = world.controller.as_ref().unwrap().log();
    assert!(log.contains("a record cannot be read") && log.contains(&poisoned.to_string()), "{log}");
    world.start_agent().await.unwrap();
    assert_eq!(world.settle(&[one], PATIENCE).await.unwrap(), tally(&Outcome::Succeeded));
    let beside = async || world.seen().values().filter(|seen| seen.done == 1).count() == 2;
    eventually("the other of its job runs", beside).await.unwrap();
    assert_eq!(world.seen_of(&poisoned.to_string()).starts, 0);
    // Both of its job are accounted for: one of two is not success.
    let unreadable = Outcome::Unknown(Unknown::RecordUnreadable);
    let both = [tally(&Outcome::Succeeded), tally(&unreadable)].into_iter().flatten().collect();
    assert_eq!(world.settle(&[two], PATIENCE).await.unwrap(), both);
    assert_eq!(world.settle(&[all], PATIENCE).await.unwrap(), tally(&unreadable));
    for (job, state, hosts) in [(two, JobState::Partial, 2), (all, JobState::Unknown, 1)] {
        let page = world.client().unwrap().get_job(job, 0, None).await.unwrap();
        assert_eq!((page.job.state, page.invocations.len()), (state, hosts));
    }
    let audit = world.audit().await.unwrap();
    assert_eq!(audit.iter().filter(|record| record["kind"] == "records_unreadable").count(), 2);
    works(&world, "web-2").await;
    assert!(world.client().unwrap().list_jobs(10, None).await.unwrap().jobs.len() >= 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_poisoned_job_in_the_store_is_left_alone_and_the_rest_goes_on() {
    let mut world = World::start(&["web-1"]).await.unwrap();
    world.agent.as_mut().unwrap().kill();
    let bad = submit(&world, &["web-1"], &effect(":")).await;
    let good = submit(&world, &["web-1"], &effect(":")).await;
    world.controller.as_mut().unwrap().kill();
    damage(&world, b'j', bad.as_bytes());
    world.start_controller().await.unwrap();
    let log = world.controller.as_ref().unwrap().log();
    assert!(log.contains("a record cannot be read") && log.contains(&bad.to_string()), "{log}");
    world.start_agent().await.unwrap();
    assert_eq!(world.settle(&[good], PATIENCE).await.unwrap(), tally(&Outcome::Succeeded));
    works(&world, "web-1").await;
    let listed = world.client().unwrap().list_jobs(10, None).await.unwrap().jobs;
    assert_eq!(listed.len(), 2, "every job that can be read is listed");
    assert!(
        world.client().unwrap().get_job(bad, 0, None).await.is_err(),
        "who asks for it by itself is told"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_damaged_line_in_the_agents_journal_is_put_aside_and_what_it_had_is_unknown() {
    let mut world = World::start(&["web-1"]).await.unwrap();
    works(&world, "web-1").await;
    let (job, id, go) = running(&world, "web-1").await;
    world.agent.as_mut().unwrap().kill();
    let journal = world.agent_state().join("journal");
    let mut bytes = fs::read(&journal).unwrap();
    // The first line, so that acknowledged ones lie behind the damage.
    let (start, length) = world.agent_journal()[0].place;
    bytes[start + length / 2] ^= 0x20;
    fs::write(&journal, &bytes).unwrap();
    world.start_agent().await.unwrap();
    assert_eq!(fs::read(world.agent_state().join("journal.damaged")).unwrap(), bytes, "kept as it was");
    assert!(world.agent.as_ref().unwrap().log().contains("the journal is damaged"));
    let lost = tally(&Outcome::Unknown(Unknown::AgentLost));
    assert_eq!(world.settle(&[job], PATIENCE).await.unwrap(), lost);
    finish(&world, &id, &go).await;
    works(&world, "web-1").await;
}
