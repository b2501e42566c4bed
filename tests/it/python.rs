//! The official Python client (`mcp` from PyPI) uses every tool over both transports, in both eras of the protocol.

use std::path::Path;

use lictor_tests::{
    World, binaries,
    issuer::Issuer,
    mcp_http::{HttpBridge, let_bridge_act},
};
use tokio::process::Command;

async fn every_tool(files: &Path, transport: [&str; 3]) {
    let python = std::env::var("LICTOR_PYTHON")
        .unwrap_or_else(|_| format!("{}/../target/venv/bin/python", env!("CARGO_MANIFEST_DIR")));
    let script = format!("{}/python/every_tool.py", env!("CARGO_MANIFEST_DIR"));
    for mode in ["legacy", "2026-07-28", "auto"] {
        let mut command = Command::new(&python);
        command.arg(&script).arg(mode).arg(files).args(transport).kill_on_drop(true);
        let output =
            command.output().await.unwrap_or_else(|e| panic!("{python}: {e}; scripts/test prepares it"));
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success(), "{mode}: {said}");
        assert!(said.contains(&format!("{mode} {}: 19 tools used", transport[0])), "{mode}: {said}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_succeeds_for_the_python_client_over_stdio_in_both_eras() {
    let world = World::prepare(&["web-1", "web-2"]).unwrap();
    let files = world.allow_files().unwrap();
    let world = world.set_up().await.unwrap();
    let bridge = binaries::path("lictor-mcp-bridge").unwrap().display().to_string();
    let config = world.home().join("bridge.yml").display().to_string();
    every_tool(&files, ["stdio", &bridge, &config]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_succeeds_for_the_python_client_over_http_in_both_eras() {
    let issuer = Issuer::new("key-1").unwrap();
    let world = World::prepare(&["web-1", "web-2"]).unwrap();
    let files = world.allow_files().unwrap();
    let_bridge_act(&world, &issuer).unwrap();
    let world = world.set_up().await.unwrap();
    let bridge = HttpBridge::start(&world, issuer, true).await.unwrap();
    let url = format!("http://{}/mcp", bridge.address);
    every_tool(&files, ["http", &url, &bridge.token("alice")]).await;
}
