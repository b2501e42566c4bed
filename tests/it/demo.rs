//! The demo holds every step, and leaves nothing behind.

use std::process::Command;

use lictor_tests::binaries;

#[test]
fn the_demo_holds_every_step_and_leaves_nothing_running() {
    let temp = tempfile::tempdir().unwrap();
    let output = Command::new(binaries::path("lictor").unwrap())
        .arg("demo")
        .env("TMPDIR", temp.path())
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(
        output.status.success(),
        "{}\n{said}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let left: Vec<_> = std::fs::read_dir(temp.path()).unwrap().map(|e| e.unwrap().path()).collect();
    assert!(left.is_empty(), "the demo left {left:?}");
    // Every process of the demo has its folder on its command line or in its environment.
    let mark = temp.path().display().to_string();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let text = String::from_utf8_lossy(&line).into_owned();
        assert!(!text.contains(&mark), "still running: {}", text.replace('\0', " "));
    }
}
