//! The corpus: under every example policy of the repository, no hostile line runs, and what operators type does.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use lictor_core::{
    clock::Timestamp,
    command::Command,
    job::CommandInput,
    label::Labels,
    name::{HostAlias, PrincipalName, SiteName, Tag, TenantName},
    principal::{Principal, PrincipalKind, Via},
};
use lictor_policy::{
    Decision, HostFacts, PolicySet, RefusalCode, Request, RequestedLimits, check_command, evaluate,
    parse_command,
};

#[path = "cases/read.rs"]
mod cases;

use cases::{benign_operations, hostile, hostile_classes};

/// Every example policy of the repository: the name by which the cases refer to it, and where it is.
const POLICIES: [(&str, &str); 6] = [
    ("production", "deploy/config/policy.production.example.yml"),
    ("example", "deploy/config/policy.example.yml"),
    ("floor", "deploy/config/floor.example.yml"),
    ("init", "cli/src/init/templates/policy.yml"),
    ("demo", "cli/src/demo/policy.yml"),
    ("readme", "policy/README.md"),
];
/// Where no example policies are: what is built, what other tests are made of.
const NOT_SEARCHED: [&str; 5] = ["target", "tests", "fuzz", ".git", ".tools"];

const FEWEST_HOSTILE: usize = 500;
const FEWEST_BENIGN: usize = 300;
const FEWEST_OF_A_CLASS: usize = 8;

/// The classes of published weaknesses that a line can have; the others are about servers.
const CLASSES: [&str; 13] =
    ["K1", "K2", "K3", "K4", "K5", "K6", "K7", "K8", "K9", "K14", "K15", "K16", "K18"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn is_policy(text: &str) -> bool {
    let has = |start: &str| text.lines().any(|line| line.starts_with(start));
    has("version: 1") && has("rules:")
}

/// The policies in a file: the whole of it, or the blocks of a page.
fn policies_in(path: &Path) -> Vec<String> {
    let text = fs::read_to_string(path).unwrap();
    let found: Vec<String> = match path.extension().and_then(|e| e.to_str()) {
        Some("yml" | "yaml") => vec![text],
        Some("md") => {
            let blocks = text.split("```yaml\n").skip(1);
            blocks.filter_map(|block| block.split_once("```")).map(|(inside, _)| inside.to_owned()).collect()
        }
        _ => Vec::new(),
    };
    found.into_iter().filter(|text| is_policy(text)).collect()
}

fn files_below(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
        let (path, kind) = (entry.path(), entry.file_type().unwrap());
        if kind.is_file() {
            found.push(path);
        } else if kind.is_dir() && !NOT_SEARCHED.contains(&entry.file_name().to_str().unwrap_or_default()) {
            files_below(&path, found);
        }
    }
}

/// Each policy with its name.
fn policies() -> Vec<(&'static str, PolicySet)> {
    let parse = |(name, path): &(&'static str, &str)| {
        let texts = policies_in(&root().join(path));
        assert!(!texts.is_empty(), "{path} has no policy");
        let sets = texts.into_iter().map(|t| PolicySet::parse(&t).unwrap_or_else(|e| panic!("{path}: {e}")));
        sets.map(|set| (*name, set)).collect::<Vec<_>>()
    };
    POLICIES.iter().flat_map(parse).collect()
}

/// Whoever may most: every person and service that an example names, and every door, at a host that has every tag.
struct Asker {
    who: Vec<(Principal, Via)>,
    host: HostFacts,
}

impl Asker {
    fn new() -> Self {
        let tenant = || TenantName::new("acme").unwrap();
        let principal =
            |kind, name: &str| Principal { tenant: tenant(), kind, name: PrincipalName::new(name).unwrap() };
        let tags = ["web", "app", "db", "docker", "kube", "edge", "prod", "production", "local"];
        Self {
            who: vec![
                (principal(PrincipalKind::User, "alice"), Via::Cli),
                (principal(PrincipalKind::User, "alice"), Via::Mcp),
                (principal(PrincipalKind::User, "carol"), Via::Cli),
                (principal(PrincipalKind::User, "ops"), Via::Api),
                (principal(PrincipalKind::Service, "ci"), Via::Api),
            ],
            host: HostFacts {
                alias: HostAlias::new("web-1").unwrap(),
                site: SiteName::new("eu").unwrap(),
                tags: tags.map(|tag| Tag::new(tag).unwrap()).into(),
                labels: Labels::default(),
            },
        }
    }

    /// What is decided for each of them.
    fn decisions<'a>(
        &'a self,
        set: &'a PolicySet,
        command: &'a Command,
    ) -> impl Iterator<Item = Decision> + 'a {
        self.who.iter().map(move |(principal, via)| {
            let requested = RequestedLimits::default();
            evaluate(
                set,
                &Request {
                    principal,
                    via: *via,
                    host: &self.host,
                    command,
                    context: lictor_core::context::Context::none(),
                    requested,
                    at: Timestamp::default(),
                },
            )
        })
    }
}

fn parse(line: &str) -> Result<Command, lictor_policy::Refusal> {
    parse_command(&CommandInput::Line(line.to_owned()))
}

#[test]
fn every_example_policy_of_the_repository_is_judged() {
    let mut found = Vec::new();
    files_below(&root(), &mut found);
    let missing: Vec<&PathBuf> = found
        .iter()
        .filter(|path| matches!(path.extension().and_then(|e| e.to_str()), Some("yml" | "yaml" | "md")))
        .filter(|path| !policies_in(path).is_empty())
        .filter(|path| !POLICIES.iter().any(|(_, known)| path.ends_with(known)))
        .collect();
    assert!(missing.is_empty(), "add them to the list in this test: {missing:?}");
}

#[test]
fn no_hostile_line_runs_under_any_example_policy() {
    let asker = Asker::new();
    let policies = policies();
    let mut wrong = Vec::new();
    let (mut refused, mut denied) = (0, 0);
    for case in hostile() {
        let Ok(command) = parse(&case.line) else {
            refused += 1;
            if case.code == "DENY" {
                wrong.push(format!("{:?} is refused, so write its code", case.line));
            }
            continue;
        };
        denied += 1;
        assert_eq!(check_command(&command), Ok(()), "{:?}", case.line);
        for (name, set) in &policies {
            if let Some(allowed) = asker.decisions(set, &command).find(Decision::is_allowed) {
                wrong.push(format!("{:?} is allowed under {name}: {}", case.line, allowed.reason));
            }
        }
    }
    println!(
        "hostile: {refused} refused, {denied} denied under each of {} policies, {} wrong",
        policies.len(),
        wrong.len()
    );
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(refused + denied >= FEWEST_HOSTILE, "only {} hostile lines", refused + denied);
}

#[test]
fn what_operators_type_runs_where_it_is_said_to() {
    let asker = Asker::new();
    let policies = policies();
    let mut wrong = Vec::new();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut total = 0;
    for case in benign_operations() {
        total += 1;
        let command = match parse(&case.line) {
            Ok(command) => command,
            Err(refusal) => {
                wrong.push(format!("{:?}: {refusal}", case.line));
                continue;
            }
        };
        for name in &case.policies {
            let sets: Vec<&PolicySet> =
                policies.iter().filter(|(n, _)| n == name).map(|(_, set)| set).collect();
            assert!(!sets.is_empty(), "there is no policy {name}");
            *counts.entry(name).or_default() += 1;
            let allowed = sets.iter().any(|set| asker.decisions(set, &command).any(|d| d.is_allowed()));
            if !allowed {
                let why = sets.iter().flat_map(|set| asker.decisions(set, &command)).next().unwrap();
                wrong.push(format!("{:?} under {name}: {}; {}", case.line, why.reason, why.hint));
            }
        }
    }
    println!("benign: {total} lines, {counts:?}, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(counts["production"] >= FEWEST_BENIGN, "only {counts:?}");
    assert!(POLICIES.iter().all(|(name, _)| counts.contains_key(name)), "{counts:?}");
}

#[test]
fn the_corpus_has_no_line_twice_and_each_class_several_times() {
    let lines: Vec<String> = hostile().map(|case| case.line).collect();
    let mut seen = BTreeSet::new();
    let twice: Vec<&String> = lines.iter().filter(|line| !seen.insert(line.as_str())).collect();
    assert!(twice.is_empty(), "twice: {twice:?}");
    let operations: Vec<String> = benign_operations().map(|case| case.line).collect();
    let twice: Vec<&String> = operations.iter().filter(|line| !seen.insert(line.as_str())).collect();
    assert!(twice.is_empty(), "twice, or hostile as well: {twice:?}");
    let classes = hostile_classes();
    for class in CLASSES {
        let count = classes.get(class).copied().unwrap_or_default();
        assert!(count >= FEWEST_OF_A_CLASS, "{class} has {count} lines");
    }
    let reached: BTreeSet<String> = hostile().map(|case| case.code).collect();
    for code in RefusalCode::ALL.into_iter().filter(|code| *code != RefusalCode::Rendering) {
        assert!(reached.contains(code.as_str()), "{code}");
    }
}
