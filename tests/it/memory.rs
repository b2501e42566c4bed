//! Memory stays bounded, whatever a command prints or does not print.

use std::{fs, io::Write as _, time::Duration};

use lictor_core::{digest::Sha256Stream, job::JobSpec, outcome::Outcome};
use lictor_tests::{World, process::resident_kib, world::spec};
use serde_json::json;

/// What a process may grow above its idle size.
const GROWTH_KIB: u64 = 64 * 1024;
/// How often sizes are looked at.
const LOOK_EVERY: Duration = Duration::from_millis(50);

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_of_output_and_a_silent_command_leave_every_process_small() {
    let world = World::prepare(&["web-1"]).unwrap();
    world.allow_ten_minutes().unwrap();
    let world = world.set_up().await.unwrap();
    let mut mcp = world.mcp().await.unwrap();
    mcp.call("ssh_run", json!({"alias": "web-1", "command": "true"})).await.unwrap();
    let ids = [
        ("controller", world.controller.as_ref().unwrap().id()),
        ("agent", world.agent.as_ref().unwrap().id()),
        ("bridge", mcp.bridge_id().unwrap()),
    ];
    let idle: Vec<u64> = ids.iter().map(|(_, id)| resident_kib(*id).unwrap()).collect();
    let watcher = tokio::spawn(async move {
        let mut most = [0; 3];
        loop {
            for (slot, (_, id)) in most.iter_mut().zip(ids) {
                *slot = resident_kib(id).unwrap_or(0).max(*slot);
            }
            tokio::select! {
                () = tokio::time::sleep(LOOK_EVERY) => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            if STOP.load(std::sync::atomic::Ordering::SeqCst) {
                return most;
            }
        }
    });

    let silent =
        JobSpec { timeout: Some(Duration::from_secs(2)), ..spec(&["web-1"], &["sleep", "60"]).unwrap() };
    let client = world.client().unwrap();
    let ended = lictor_tests::world::follow(&client, &silent).await.unwrap();
    assert_eq!(ended.invocations()[0].0.outcome, Some(Outcome::TimedOut));

    let call = json!({"alias": "web-1", "command": "head -c 1073741824 /dev/zero", "timeout_seconds": 600});
    let answer = mcp.call("ssh_run", call).await.unwrap();
    let result = &answer["structuredContent"];
    assert_eq!(
        (&result["state"], &result["stdout_bytes_total"]),
        (&json!("SUCCEEDED"), &json!(1_073_741_824u64)),
        "{}",
        result["message"]
    );

    STOP.store(true, std::sync::atomic::Ordering::SeqCst);
    let most = watcher.await.unwrap();
    for ((name, _), (idle, most)) in ids.iter().zip(idle.iter().zip(most)) {
        eprintln!("{name}: {idle} KiB idle, {most} KiB at most");
        assert!(most < idle + GROWTH_KIB, "{name} grew from {idle} to {most} KiB");
    }
}

/// The most that a process has had so far.
fn peak_kib(id: u32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{id}/status")).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_of_200_mib_comes_whole_and_leaves_agent_and_controller_small() {
    /// Bytes written at once.
    const PIECE: usize = 1 << 20;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    let mut hash = Sha256Stream::default();
    let mut writing = fs::File::create(&file).unwrap();
    for number in 0..200u8 {
        let piece = vec![number; PIECE];
        hash.update(&piece);
        writing.write_all(&piece).unwrap();
    }
    // A host that logs what it executes has no file transfer.
    let world = World::prepare_unlogged(&["web-1"]).unwrap();
    let rule = format!(
        "version: 1\nrules:\n  - {{id: down, effect: allow, where: all, commands: ['lictor:download <path:{}>'], limits: {{timeout: 600s, output: 256MiB}}}}\n",
        folder.path().display()
    );
    fs::write(world.home().join("policy.yml"), rule).unwrap();
    let world = world.set_up().await.unwrap();
    let ids = [
        ("controller", world.controller.as_ref().unwrap().id()),
        ("agent", world.agent.as_ref().unwrap().id()),
    ];
    let before = ids.map(|(_, id)| peak_kib(id));
    let here = world.file("here");
    let remote = format!("web-1:{}", file.display());
    let told = world.lictor(&["download", &remote, here.to_str().unwrap()]).unwrap();
    let said = String::from_utf8_lossy(&told.stdout).into_owned();
    assert_eq!(told.status.code(), Some(0), "{}\n{}", String::from_utf8_lossy(&told.stderr), world.logs());
    assert!(said.starts_with(&hash.finish().to_string()), "{said}");
    assert!(fs::read(&here).unwrap() == fs::read(&file).unwrap());
    for ((name, id), before) in ids.into_iter().zip(before) {
        let most = peak_kib(id);
        eprintln!("{name}: {before} KiB before, {most} KiB at most");
        assert!(most < before + GROWTH_KIB, "{name} grew from {before} to {most} KiB");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_100_mib_and_json_a_million_deep_leave_a_bridge_small_and_serving() {
    /// Bytes in one write to the pipe.
    const PIECE: usize = 1 << 20;
    let world = World::prepare(&[]).unwrap();
    let mut mcp = world.mcp().await.unwrap();
    let id = mcp.bridge_id().unwrap();
    mcp.request("tools/list", json!({})).await.unwrap();
    let idle = resident_kib(id).unwrap();
    let mut most = idle;
    for piece in [b'x', b'[', b'"', b' '] {
        for _ in 0..100 {
            mcp.send_bytes(&vec![piece; PIECE]).await.unwrap();
            most = most.max(resident_kib(id).unwrap());
        }
        mcp.send_bytes(b"\n").await.unwrap();
    }
    for deep in ["[".repeat(1_000_000), format!("{{\"jsonrpc\":\"2.0\",\"id\":{}", "[".repeat(1_000_000))] {
        mcp.send_bytes(format!("{deep}\n").as_bytes()).await.unwrap();
        most = most.max(resident_kib(id).unwrap());
    }
    // It has read all of that before it answers.
    mcp.request("tools/list", json!({})).await.unwrap();
    most = most.max(resident_kib(id).unwrap());
    eprintln!("bridge: {idle} KiB idle, {most} KiB at most");
    assert!(most < idle + GROWTH_KIB, "the bridge grew from {idle} to {most} KiB");
}

static STOP: std::sync::atomic::AtomicBool = std::sync::atomic::AtomicBool::new(false);
