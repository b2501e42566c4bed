//! House rules that a machine can check: one concept a file, who may depend on whom, what must not be pulled in.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// Longest source file; longer ones hold more than one concept.
const MAX_LINES: usize = 450;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn sources() -> Vec<(PathBuf, String)> {
    let mut files = Vec::new();
    let mut folders: Vec<PathBuf> = members().iter().map(|m| root().join(m)).collect();
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                files.push((path.strip_prefix(root()).unwrap().to_owned(), text));
            }
        }
    }
    assert!(files.len() > 150);
    files
}

fn members() -> Vec<String> {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let list = manifest.split("members = [").nth(1).unwrap().split("]\n").next().unwrap();
    list.lines().filter_map(|l| l.trim().strip_prefix('"')?.strip_suffix("\",").map(str::to_owned)).collect()
}

#[test]
fn every_file_says_what_it_is_and_holds_one_concept() {
    let mut wrong = Vec::new();
    for (path, text) in sources() {
        let tests = path.components().any(|c| c.as_os_str() == "tests" || c.as_os_str() == "it");
        if !text.starts_with("//!") {
            wrong.push(format!("{}: does not start with //!", path.display()));
        }
        if text.lines().count() > MAX_LINES && !tests {
            wrong.push(format!("{}: {} lines", path.display(), text.lines().count()));
        }
        if path.file_name().is_some_and(|n| n == "mod.rs") {
            wrong.push(format!("{}: name it after its folder", path.display()));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn invariant_10_no_queue_is_unbounded() {
    let is_test = |p: &Path| p.components().any(|c| c.as_os_str() == "tests" || c.as_os_str() == "it");
    for (path, text) in sources().into_iter().filter(|(p, _)| !is_test(p)) {
        for unbounded in ["unbounded_channel", "unbounded()", "std::sync::mpsc::channel("] {
            assert!(!text.contains(unbounded), "{}: {unbounded}", path.display());
        }
    }
}

#[test]
fn crates_depend_on_each_other_only_as_the_architecture_page_says() {
    let page = fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let mut allowed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for line in page.lines().filter(|l| l.starts_with("| `")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, _, depends, ..] = cells[..] else { continue };
        let depends = depends.split(", ").filter(|d| *d != "–").map(|d| d.trim_matches('`').to_owned());
        allowed.insert(name.trim_matches('`').to_owned(), depends.collect());
    }
    for member in members() {
        let manifest = fs::read_to_string(root().join(&member).join("Cargo.toml")).unwrap();
        let normal = manifest.split("[dependencies]").nth(1).unwrap_or_default().split("\n[").next().unwrap();
        let allowed =
            allowed.get(&member).unwrap_or_else(|| panic!("docs/architecture.md has no row for {member}"));
        for line in normal.lines().filter_map(|l| l.strip_prefix("lictor-")) {
            let other = line.split(['.', ' ']).next().unwrap();
            assert!(allowed.contains(other) || allowed.contains("all"), "{member} may not depend on {other}");
        }
    }
}

#[test]
fn one_of_each_and_none_of_what_is_banned_is_built() {
    let tree = Command::new(env!("CARGO"))
        .args([
            "tree",
            "--workspace",
            "--locked",
            "--offline",
            "--edges",
            "normal,build",
            "--prefix",
            "none",
            "--format",
            "{p}",
        ])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(tree.status.success(), "{}", String::from_utf8_lossy(&tree.stderr));
    let tree = String::from_utf8_lossy(&tree.stdout).into_owned();
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for line in tree.lines() {
        let mut words = line.split(' ');
        if let (Some(name), Some(version)) = (words.next(), words.next()) {
            versions.entry(name).or_default().insert(version);
        }
    }
    for one in ["tonic", "prost", "rustls", "tokio", "russh", "rmcp", "sled", "aws-lc-rs", "hyper", "rcgen"] {
        assert_eq!(versions.get(one).map(BTreeSet::len), Some(1), "{one}");
    }
    for banned in ["ring", "openssl", "openssl-sys", "native-tls", "bincode", "rsa"] {
        assert_eq!(versions.get(banned), None, "{banned}");
    }
}

#[test]
fn links_between_pages_lead_somewhere() {
    let mut pages: Vec<PathBuf> =
        vec![root().join("README.md"), root().join("CONTRIBUTING.md"), root().join("SECURITY.md")];
    let mut folders = vec![root().join("docs")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|e| e == "md") {
                pages.push(path);
            }
        }
    }
    for page in pages {
        let text = fs::read_to_string(&page).unwrap_or_else(|e| panic!("{}: {e}", page.display()));
        for link in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let target = link.split('#').next().unwrap();
            if target.is_empty() || target.contains("://") {
                continue;
            }
            assert!(page.parent().unwrap().join(target).exists(), "{}: {link}", page.display());
        }
    }
}

#[test]
fn the_examples_for_deployment_are_the_ones_that_the_programs_carry() {
    let example =
        |name: &str| fs::read_to_string(root().join(format!("deploy/config/{name}.example.yml"))).unwrap();
    for (name, carried) in [
        ("controller", lictor_controller::EXAMPLE_CONTROLLER),
        ("agent", lictor_agent::EXAMPLE_AGENT),
        ("hosts", lictor_agent::EXAMPLE_HOSTS),
        ("credentials", lictor_agent::EXAMPLE_CREDENTIALS),
        ("floor", lictor_agent::EXAMPLE_FLOOR),
    ] {
        assert!(example(name) == carried, "deploy/config/{name}.example.yml is not what the program carries");
    }
    for name in ["policy", "floor"] {
        lictor_policy::PolicySet::parse(&example(name)).unwrap_or_else(|e| panic!("{name}: {e}"));
    }
}

#[test]
fn every_code_of_a_denial_is_known_to_whoever_shows_denials() {
    let mut codes: BTreeSet<String> = lictor_policy::DecisionCode::ALL
        .iter()
        .filter(|code| **code != lictor_policy::DecisionCode::Allowed)
        .map(ToString::to_string)
        .collect();
    for (path, text) in sources() {
        let shipped = ["agent/src", "controller/src"].iter().any(|folder| path.starts_with(folder));
        let production = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
        if !shipped || path.components().any(|c| c.as_os_str() == "tests" || c.as_os_str() == "tests.rs") {
            continue;
        }
        for call in ["denied(", "Denied { code: "] {
            let given = production.split(call).skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
            codes.extend(given.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
    assert!(codes.len() > 20, "{codes:?}");
    let unknown: Vec<&String> =
        codes.iter().filter(|code| lictor_core::denial::denial_code(code).is_none()).collect();
    assert!(unknown.is_empty(), "not in DENIAL_CODES: {unknown:?}");
}
