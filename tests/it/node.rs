//! What runs with Node: the official TypeScript client uses every tool over both transports in both eras, the official Inspector
//! lists and calls, and the job view keeps its promises in a real browser.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
};

use futures_util::future::join_all;
use lictor_tests::{
    World, binaries,
    issuer::Issuer,
    mcp_http::{HttpBridge, let_bridge_act},
};
use serde_json::{Value, json};
use tokio::process::Command;

/// Below this is what `scripts/node` installed.
const PACKAGES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../target/node/node_modules");
const SCRIPTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/node");

/// Node, which knows where the packages are.
fn node(script: &Path, arguments: &[impl AsRef<OsStr>]) -> Command {
    let mut command = Command::new(format!("{PACKAGES}/node/bin/node"));
    command.arg("--import").arg(format!("{SCRIPTS}/packages.mjs")).arg(script).args(arguments);
    command.kill_on_drop(true);
    command
}

/// Runs to the end, which has to be a good one; answers what was said.
async fn said(mut command: Command) -> String {
    let output = command.output().await.unwrap_or_else(|e| panic!("{e}; scripts/node prepares it"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{command:?}\n{said}{}", String::from_utf8_lossy(&output.stderr));
    said
}

fn script(name: &str) -> PathBuf {
    Path::new(SCRIPTS).join(name)
}

async fn every_tool(files: &Path, transport: &[String]) {
    let runs = ["legacy", "auto", "2026-07-28"].iter().map(|mode| async move {
        let mut arguments = vec![(*mode).to_owned(), files.display().to_string()];
        arguments.extend_from_slice(transport);
        let said = said(node(&script("every_tool.mjs"), &arguments)).await;
        // All that are listed, which the script checks itself.
        assert!(
            said.starts_with(&format!("{mode} {}: ", transport[0])) && said.contains(" tools used"),
            "{said}"
        );
    });
    join_all(runs).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_succeeds_for_the_typescript_client_over_stdio_in_both_eras() {
    let world = World::prepare(&["web-1", "web-2"]).unwrap();
    let files = world.allow_files().unwrap();
    let world = world.set_up().await.unwrap();
    let bridge = binaries::path("lictor-mcp-bridge").unwrap().display().to_string();
    let config = world.home().join("bridge.yml").display().to_string();
    every_tool(&files, &["stdio".into(), bridge, config]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_tool_succeeds_for_the_typescript_client_over_http_in_both_eras() {
    let issuer = Issuer::new("key-1").unwrap();
    let world = World::prepare(&["web-1", "web-2"]).unwrap();
    let files = world.allow_files().unwrap();
    let_bridge_act(&world, &issuer).unwrap();
    let world = world.set_up().await.unwrap();
    let bridge = HttpBridge::start(&world, issuer, true).await.unwrap();
    let url = format!("http://{}/mcp", bridge.address);
    every_tool(&files, &["http".into(), url, bridge.token("alice")]).await;
}

/// A verb of the Inspector, in an era.
async fn inspected(world: &World, server: &[String], era: &str, arguments: &[&str]) -> Value {
    let inspector = format!("{PACKAGES}/@modelcontextprotocol/inspector/clients/launcher/build/index.js");
    let mut command = node(Path::new(&inspector), &["--cli"]);
    command.args(server).args(["--format", "json", "--quiet", "--protocol-era", era]);
    // What it keeps, it keeps at home.
    command.args(arguments).env("HOME", world.file("inspector"));
    serde_json::from_str(&said(command).await).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_inspector_lists_and_calls_over_both_transports_and_finds_the_view() {
    let world = World::start(&["web-1", "web-2"]).await.unwrap();
    let bridge = binaries::path("lictor-mcp-bridge").unwrap();
    let servers = json!({"mcpServers": {"lictor": {"command": bridge, "args": ["--config", world.home().join("bridge.yml")]}}});
    let config = world.file("inspector.json");
    fs::write(&config, servers.to_string()).unwrap();
    let stdio = ["--config", config.to_str().unwrap(), "--server", "lictor"].map(ToOwned::to_owned);
    let http = HttpBridge::start(&world, Issuer::new("key-1").unwrap(), false).await.unwrap();
    let url = format!("http://{}/mcp", http.address);
    let http = [url.as_str(), "--transport", "http"].map(ToOwned::to_owned);
    for server in [&stdio[..], &http] {
        lists_and_calls(&world, server).await;
    }
}

async fn lists_and_calls(world: &World, server: &[String]) {
    let inspect = async |era: &str, arguments: &[&str]| inspected(world, server, era, arguments).await;
    for era in ["legacy", "modern"] {
        let listed = inspect(era, &["--method", "tools/list", "--strict"]).await;
        let tools = listed["result"]["tools"].as_array().unwrap();
        assert!(tools.iter().any(|tool| tool["name"] == "ssh_run"), "{era}: {listed}");
        assert!(tools.iter().all(|tool| tool["_meta"].is_null()), "{era}: nobody asked for the view");
        let call = [
            "--method",
            "tools/call",
            "--tool-name",
            "ssh_run",
            "--tool-arg",
            "alias=web-1",
            "command=echo hi",
        ];
        let called = inspect(era, &call).await;
        assert_eq!(called["result"]["structuredContent"]["stdout"], "hi\n", "{era}: {called}");
        let read = inspect(era, &["--method", "resources/read", "--uri", "ssh://hosts"]).await;
        assert!(read.to_string().contains("web-2"), "{era}: {read}");
        let view =
            ["--advertise-apps", "--app-info", "--method", "tools/call", "--tool-name", "ssh_run_async"];
        let view = inspect(era, &view).await;
        assert_eq!(view["appInfo"]["hasApp"], true, "{era}: {view}");
        assert!(view.to_string().contains("ui://lictor/job"), "{era}: {view}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_job_view_keeps_its_promises_in_a_browser() {
    let world = World::start(&["web-1", "web-2", "web-3"]).await.unwrap();
    let bridge = binaries::path("lictor-mcp-bridge").unwrap();
    let arguments = [bridge, world.home().join("bridge.yml"), world.file("go")];
    let said = said(node(&script("job_view.mjs"), &arguments)).await;
    assert!(said.contains("job view: 8 promises kept"), "{said}");
}
