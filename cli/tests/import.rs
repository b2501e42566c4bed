//! `lictor import` on a whole directory: what it writes is what the agent and the policy read.
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use lictor_agent::{AgentConfig, site::Site};
use lictor_policy::PolicySet;

/// What the owner of the fixture would accept after a look.
const ACCEPTED: &str = "duplicate-alias,inline-password,no-credential,unusable-alias,unusable-key-path";

fn fixture() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../import/tests/fixture")
}

fn import(source: &Path, out: &Path, more: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_lictor"))
        .arg("import")
        .arg(source)
        .arg("--out")
        .arg(out)
        .args(more)
        .env("NO_COLOR", "1")
        .env_remove("LICTOR_DIR")
        .output()
        .unwrap()
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o777
}

fn secret(path: &Path) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, "x").unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Puts into place what the report says has to be.
fn follow_the_report(out: &Path) {
    let report = fs::read_to_string(out.join("import-report.md")).unwrap();
    for line in report.lines().filter(|line| line.starts_with("- [ ] ")) {
        let Some(text) = line.split('`').nth(1) else { continue };
        secret(&out.join(text.rsplit(' ').next().unwrap()));
    }
}

#[test]
fn what_was_imported_is_read_by_the_agent_and_the_policy() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("new");
    let done = import(&fixture(), &out, &["--accept", ACCEPTED, "--site", "vienna"]);
    assert_eq!(done.status.code(), Some(0), "{}", said(&done));
    assert!(said(&done).contains("lictor host scan --all"), "{}", said(&done));
    assert!(!said(&done).contains("correct-horse"), "{}", said(&done));
    for (name, expected) in
        [("hosts.yml", 0o644), ("credentials.yml", 0o600), ("policy.yml", 0o644), ("import-report.md", 0o600)]
    {
        assert_eq!(mode(&out.join(name)), expected, "{name}");
        assert!(!fs::read_to_string(out.join(name)).unwrap().contains("correct-horse"), "{name}");
    }
    follow_the_report(&out);
    let agent = "controller: 127.0.0.1:7443\nstate_dir: state\nidentity_dir: identity\nhosts: hosts.yml\n\
                 credentials: credentials.yml\nknown_hosts: known_hosts\n";
    fs::write(out.join("agent.yml"), agent).unwrap();
    let config = AgentConfig::load(&out.join("agent.yml")).unwrap();
    let site = Site::load(&config.site, 1).unwrap_or_else(|problems| panic!("{problems}"));
    assert_eq!(site.hosts.len(), 10);
    let host = |alias: &str| site.hosts.get(&alias.parse().unwrap()).unwrap();
    let db = host("prod-db-1");
    assert_eq!((db.port, db.user.as_str(), db.tags.len()), (2222, "dbadmin", 3));
    assert_eq!(host("bastion").address, "2001:db8::7");
    assert_eq!(host("switch-1").description, "Core switch, second rack");
    PolicySet::parse(&fs::read_to_string(out.join("policy.yml")).unwrap()).unwrap();
}

#[test]
fn nothing_is_written_while_an_error_is_not_accepted_and_all_are_told_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("new");
    let refused = import(&fixture(), &out, &["--accept", "duplicate-alias"]);
    assert_eq!(refused.status.code(), Some(2));
    let said = said(&refused);
    for code in ACCEPTED.split(',') {
        assert!(said.contains(code), "{code} is not in {said}");
    }
    assert!(said.contains(&format!("--accept {ACCEPTED}")), "{said}");
    assert!(!out.exists());
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0, "something was left behind");
}

#[test]
fn what_is_there_is_replaced_by_force_alone_and_only_what_is_imported() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path();
    fs::write(out.join("precious"), "x").unwrap();
    let refused = import(&fixture(), out, &["--accept", ACCEPTED]);
    assert_eq!(refused.status.code(), Some(2), "{}", said(&refused));
    assert_eq!(fs::read_dir(out).unwrap().count(), 1);
    for _ in 0..2 {
        let done = import(&fixture(), out, &["--accept", ACCEPTED, "--force"]);
        assert_eq!(done.status.code(), Some(0), "{}", said(&done));
        assert_eq!(mode(&out.join("credentials.yml")), 0o600);
        assert_eq!(mode(&out.join("hosts.yml")), 0o644);
    }
    assert_eq!(fs::read_to_string(out.join("precious")).unwrap(), "x");
}

#[test]
fn the_directory_that_is_imported_is_never_written_to() {
    let dir = tempfile::tempdir().unwrap();
    fs::write(dir.path().join("servers.yml"), "hosts: []\n").unwrap();
    let refused = import(dir.path(), dir.path(), &["--force"]);
    assert_eq!(refused.status.code(), Some(2));
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn a_missing_or_unreadable_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("new");
    let source = dir.path().join("old");
    fs::create_dir(&source).unwrap();
    let missing = import(&source, &out, &[]);
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        said(&missing).contains("there is no") && said(&missing).contains("servers.yml"),
        "{}",
        said(&missing)
    );
    fs::write(source.join("servers.yml"), [0xff, 0xfe]).unwrap();
    assert!(said(&import(&source, &out, &[])).contains("not UTF-8"));
    fs::remove_file(source.join("servers.yml")).unwrap();
    fs::create_dir(source.join("servers.yml")).unwrap();
    assert!(said(&import(&source, &out, &[])).contains("not a regular file"));
    assert!(!out.exists());
}

#[test]
fn scripts_read_the_findings_as_json() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("new");
    let done = import(&fixture(), &out, &["--accept", ACCEPTED, "--output", "json"]);
    let document: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!(document["hosts"], 10);
    assert!(document["findings"].as_array().unwrap().iter().any(|f| f["code"] == "inline-password"));
}
