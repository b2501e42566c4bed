//! `lictor mcp install` on files of clients, as the program does it; and what the doctor says of them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use serde_json::{Value, json};

struct Place {
    dir: tempfile::TempDir,
}

impl Place {
    fn new() -> Self {
        let place = Self { dir: tempfile::tempdir().unwrap() };
        // Nobody listens on port 1.
        let made = place.lictor(&["init", &place.lab().display().to_string(), "--listen", "127.0.0.1:1"]);
        assert!(made.status.success(), "{}", said(&made));
        place
    }
    fn lab(&self) -> PathBuf {
        self.dir.path().join("lab")
    }
    fn file(&self, path: &str) -> PathBuf {
        self.dir.path().join("home").join(path)
    }
    fn lictor(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lictor"));
        for name in ["LICTOR_DIR", "XDG_CONFIG_HOME", "CODEX_HOME"] {
            command.env_remove(name);
        }
        if arguments.first() != Some(&"init") {
            command.arg("--dir").arg(self.lab());
        }
        let home = self.dir.path().join("home");
        command.args(arguments).env("HOME", home).env("NO_COLOR", "1").output().unwrap()
    }
    fn given(&self, path: &str, text: &str) {
        let file = self.file(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }
    fn text(&self, path: &str) -> String {
        fs::read_to_string(self.file(path)).unwrap()
    }
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> =
        fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into()).collect();
    names.sort();
    names
}

#[cfg(target_os = "linux")]
const FILES: [(&str, &str, &str); 5] = [
    ("claude-desktop", ".config/Claude/claude_desktop_config.json", "mcpServers"),
    ("claude-code", ".claude.json", "mcpServers"),
    ("cursor", ".cursor/mcp.json", "mcpServers"),
    ("vscode", ".config/Code/User/mcp.json", "servers"),
    ("gemini", ".gemini/settings.json", "mcpServers"),
];

#[cfg(target_os = "linux")]
#[test]
fn every_client_gets_its_entry_and_keeps_what_it_has() {
    let place = Place::new();
    for (client, path, section) in FILES {
        let before = json!({ section: { "other": { "command": "x" } }, "mine": [1, 2.50, null] });
        place.given(path, &before.to_string());
        let done = place.lictor(&["mcp", "install", client]);
        assert!(done.status.success(), "{}", said(&done));
        let mut after: Value = serde_json::from_str(&place.text(path)).unwrap();
        let entry = after[section].as_object_mut().unwrap().remove("lictor").unwrap();
        assert_eq!(after, before, "{client}");
        assert_eq!(entry["command"], env!("CARGO_BIN_EXE_lictor"));
        assert_eq!((&entry["args"][0], &entry["args"][2]), (&json!("--dir"), &json!("mcp")));
        let backup = fs::read_to_string(place.file(&format!("{path}.before-lictor-1"))).unwrap();
        assert_eq!(backup, before.to_string());
        let again = place.lictor(&["mcp", "install", client]);
        assert!(said(&again).contains("set up already"), "{}", said(&again));
        assert!(!place.file(&format!("{path}.before-lictor-2")).exists());
    }
}

#[test]
fn codex_keeps_its_comments_and_a_new_file_is_made() {
    let place = Place::new();
    let before = "# mine\nmodel = \"x\" # why\n\n[mcp_servers.other]\ncommand = \"y\"\n";
    place.given(".codex/config.toml", before);
    assert!(place.lictor(&["mcp", "install", "codex"]).status.success());
    let after = place.text(".codex/config.toml");
    let added = after.strip_prefix(before).unwrap_or_else(|| panic!("{after}"));
    assert!(added.contains("[mcp_servers.lictor]\n") && added.contains("\ncommand = "), "{after}");
    let again = place.lictor(&["mcp", "install", "codex"]);
    assert!(said(&again).contains("set up already") && place.text(".codex/config.toml") == after);

    assert!(place.lictor(&["mcp", "install", "cursor"]).status.success());
    let made: Value = serde_json::from_str(&place.text(".cursor/mcp.json")).unwrap();
    assert!(made["mcpServers"]["lictor"].is_object());
    assert_eq!(names(&place.file(".cursor")), ["mcp.json"], "there was nothing to keep");
}

#[test]
fn a_broken_file_is_left_alone_and_print_changes_nothing() {
    let place = Place::new();
    for (client, path, broken) in [
        ("cursor", ".cursor/mcp.json", "{\n  \"mcpServers\": {\n"),
        ("cursor", ".cursor/mcp.json", "{\"mcpServers\": []}"),
        ("codex", ".codex/config.toml", "[mcp_servers\n"),
        ("codex", ".codex/config.toml", "mcp_servers = 1\n"),
    ] {
        place.given(path, broken);
        let refused = place.lictor(&["mcp", "install", client]);
        assert!(said(&refused).contains("left as it is"), "{}", said(&refused));
        assert!(!refused.status.success());
        assert_eq!(place.text(path), broken);
        assert_eq!(names(place.file(path).parent().unwrap()).len(), 1);
    }
    let printed = place.lictor(&["mcp", "install", "gemini", "--print"]);
    assert!(printed.status.success() && !place.file(".gemini").exists());
    let printed: Value = serde_json::from_slice(&printed.stdout).unwrap();
    assert!(printed["mcpServers"]["lictor"]["command"].is_string());
}

#[test]
fn the_doctor_says_what_keeps_a_client_from_connecting() {
    let place = Place::new();
    let nothing = place.lictor(&["mcp", "doctor"]);
    assert!(said(&nothing).contains("lictor mcp install CLIENT"), "{}", said(&nothing));
    assert!(
        !nothing.status.success() && said(&nothing).contains("nothing listens there"),
        "{}",
        said(&nothing)
    );

    assert!(place.lictor(&["mcp", "install", "cursor"]).status.success());
    let answers = place.lictor(&["mcp", "doctor"]);
    assert!(said(&answers).contains("Cursor: what it starts answers"), "{}", said(&answers));

    let gone = place.text(".cursor/mcp.json").replace(env!("CARGO_BIN_EXE_lictor"), "/nowhere/lictor");
    place.given(".cursor/mcp.json", &gone);
    let gone = place.lictor(&["mcp", "doctor"]);
    assert!(said(&gone).contains("/nowhere/lictor, which is not there"), "{}", said(&gone));
    assert!(said(&gone).contains("lictor mcp install cursor"), "{}", said(&gone));
}

#[cfg(target_os = "linux")]
#[test]
fn a_bridge_over_http_is_put_into_the_files_of_clients_that_know_http_and_the_doctor_looks_there() {
    let place = Place::new();
    let url = "http://127.0.0.1:1/mcp";
    for (client, path, section) in FILES {
        let done = place.lictor(&["mcp", "install", client, "--http", url]);
        if client == "claude-desktop" {
            assert!(!done.status.success() && said(&done).contains("connector"), "{}", said(&done));
            assert!(!place.file(path).exists());
            continue;
        }
        assert!(done.status.success(), "{}", said(&done));
        let entry = serde_json::from_str::<Value>(&place.text(path)).unwrap()[section]["lictor"].clone();
        let wanted = match client {
            "cursor" => json!({ "url": url }),
            "gemini" => json!({ "httpUrl": url }),
            _ => json!({ "type": "http", "url": url }),
        };
        assert_eq!(entry, wanted, "{client}");
        let again = place.lictor(&["mcp", "install", client, "--http", url]);
        assert!(said(&again).contains("set up already"), "{}", said(&again));
    }
    assert!(place.lictor(&["mcp", "install", "codex", "--http", url]).status.success());
    let codex = place.text(".codex/config.toml");
    assert!(codex.contains(&format!("[mcp_servers.lictor]\nurl = \"{url}\"")), "{codex}");
    assert!(said(&place.lictor(&["mcp", "install", "codex", "--http", url])).contains("set up already"));

    let doctor = place.lictor(&["mcp", "doctor"]);
    for title in ["Claude Code", "Cursor", "Visual Studio Code", "Codex", "Gemini CLI"] {
        assert!(said(&doctor).contains(&format!("{title} uses {url}")), "{}", said(&doctor));
    }
    for wrong in [
        "http://example.com/mcp",
        "https://example.com/",
        "https://example.com/mcp?x=1",
        "mcp",
        "ftp://a/mcp",
    ] {
        let refused = place.lictor(&["mcp", "install", "cursor", "--http", wrong]);
        assert!(!refused.status.success(), "{wrong}");
    }
}

#[test]
fn the_doctor_looks_at_what_the_bridge_needs_to_serve_http() {
    let place = Place::new();
    let file = place.lab().join("bridge.yml");
    let before = fs::read_to_string(&file).unwrap();
    let section = |text: &str| {
        fs::write(&file, format!("{before}{text}")).unwrap();
        said(&place.lictor(&["mcp", "doctor"]))
    };
    let nobody = section("\nhttp: { listen: '127.0.0.1:1' }\n");
    assert!(
        nobody.contains("nothing listens on 127.0.0.1:1") && nobody.contains("lictor-mcp-bridge --http"),
        "{nobody}"
    );
    let keys = "\nhttp:\n  listen: 127.0.0.1:1\n  tls: { certificate: none.pem, key: none.key }\n  tokens: { issuer: 'https://login.example/', audience: 'https://lictor.example/mcp', keys: none.json }\n";
    let missing = section(keys);
    assert!(missing.contains("none.pem") && missing.contains("http.tls"), "{missing}");
    assert!(missing.contains("none.json") && missing.contains("http.tokens.keys"), "{missing}");
    let refused = section("\nhttp: { listen: '0.0.0.0:1' }\n");
    assert!(refused.contains("can be reached from other machines"), "{refused}");
}
