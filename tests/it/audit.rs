//! Promises about the audit log outside of Lictor: exports, two verifiers that agree, searches, and the page of the format.

mod agreement;
mod complete;
mod erasures;
mod exports;
mod format;
mod forward;
mod mutations;
mod payloads;
mod reports;
mod samples;
mod scenario;

use std::{fs, path::Path, process::Command};

use lictor_certs::signer::PublicKey;
use lictor_tests::World;

/// The Python program that verifies, and the interpreter that has what it needs.
fn python(arguments: &[&str]) -> Command {
    let python = std::env::var("LICTOR_PYTHON")
        .unwrap_or_else(|_| format!("{}/../target/venv/bin/python", env!("CARGO_MANIFEST_DIR")));
    let mut command = Command::new(python);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/verify_audit.py")).args(arguments);
    command
}

/// How the Python verifier ends, and the line that it prints.
fn ask_python(file: &Path, key: &PublicKey) -> (Option<i32>, String) {
    let output = python(&[&file.display().to_string(), "--key", &key.to_string()]).output().unwrap();
    let said =
        format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (output.status.code(), said)
}

/// The key that a world's log is verified with.
fn key_of(world: &World) -> PublicKey {
    fs::read_to_string(world.home().join("audit.pub")).unwrap().trim().parse().unwrap()
}
