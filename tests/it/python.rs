//! The official Python client (`mcp` from PyPI) uses every tool over stdio, in both eras of the protocol.

use std::process::Command;

use lictor_tests::{World, binaries};

#[tokio::test(flavor = "multi_thread")]
async fn the_python_client_uses_every_tool_with_and_without_protocol_2026_07_28() {
    let python = std::env::var("LICTOR_PYTHON")
        .unwrap_or_else(|_| format!("{}/../target/venv/bin/python", env!("CARGO_MANIFEST_DIR")));
    let world = World::start(&["web-1", "web-2"]).await.unwrap();
    let bridge = binaries::path("lictor-mcp-bridge").unwrap();
    let config = world.home().join("bridge.yml");
    let script = format!("{}/python/every_tool.py", env!("CARGO_MANIFEST_DIR"));
    for mode in ["legacy", "2026-07-28", "auto"] {
        let output = Command::new(&python).arg(&script).arg(mode).arg(&bridge).arg(&config).output();
        let output = output.unwrap_or_else(|e| panic!("{python}: {e}; scripts/test prepares it"));
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{mode}: {said}");
        assert!(said.contains(&format!("{mode}: 19 tools used")), "{mode}: {said}");
    }
}
