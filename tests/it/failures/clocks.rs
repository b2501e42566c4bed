//! The agent's clock is wrong, by libfaketime (Debian package `faketime`).

use std::process::Command;

use lictor_tests::{binaries, process::Process};

use super::*;

/// Where Debian has the library, by architecture.
pub(super) fn faketime() -> PathBuf {
    let folders = fs::read_dir("/usr/lib").unwrap().filter_map(Result::ok).map(|e| e.path());
    let mut found = folders.map(|dir| dir.join("faketime/libfaketimeMT.so.1"));
    found.find(|path| path.is_file()).expect("this test needs the package faketime: scripts/test installs it")
}

/// Starts the agent with a clock that is off by so many seconds.
async fn start_agent(world: &mut World, seconds: i64, library: &Path) {
    let mut agent = Command::new(binaries::path("lictor-agent").unwrap());
    agent.args(["run", "--config"]).arg(world.home().join("agent.yml"));
    // Time goes by as it does; only what time it is, is wrong.
    agent
        .env("LD_PRELOAD", library)
        .env("FAKETIME", format!("{seconds:+}s"))
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1");
    world.agent = Some(Process::spawn(&mut agent, &world.file("agent.log")).unwrap());
    world.agent_connected().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_more_than_30_s_off_makes_the_agent_refuse_grants_and_a_smaller_difference_does_not() {
    let library = faketime();
    let mut world = World::prepare(&["web-1"]).unwrap();
    world.scan().unwrap();
    world.start_controller().await.unwrap();
    world.join().unwrap();
    for seconds in [40, -40, 20, -20] {
        start_agent(&mut world, seconds, &library).await;
        let job = submit(&world, &["web-1"], &effect(":")).await;
        world.settle(&[job], PATIENCE).await.unwrap_or_else(|e| panic!("{seconds}: {e}"));
        let view = look(&world, job).await;
        let (outcome, seen) = (view.outcome.unwrap(), world.seen_of(&view.id.to_string()));
        if i64::abs(seconds) > 30 {
            let Outcome::Denied { code, reason } = &outcome else { panic!("{seconds}: {outcome}") };
            assert_eq!(code, "AGENT_CLOCK_SKEW");
            assert!(reason.contains("clocks") && reason.contains("NTP"), "{reason}");
            assert_eq!(seen.starts, 0);
        } else {
            assert_eq!((outcome, seen.starts), (Outcome::Succeeded, 1), "{seconds}");
        }
        world.agent.as_mut().unwrap().kill();
    }
}
