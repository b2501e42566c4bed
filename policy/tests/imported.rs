//! What policies of mcp-ssh-orchestrator decide once they are taken over: the cases in `cases/v1` and `cases/v2`, the
//! law that nothing is allowed that was denied there, and what reading such a file finds.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "imported/findings.rs"]
mod findings;
#[path = "imported/laws.rs"]
mod laws;
#[path = "imported/old.rs"]
mod old;

use std::{fs, path::Path};

use lictor_core::{
    command::Command,
    job::CommandInput,
    label::Labels,
    name::{HostAlias, SiteName, Tag},
};
use lictor_policy::{
    HostFacts, Imported, PartVerdict,
    import::{self, ImportedPolicy},
    parse_command_with_globs,
};
use serde::Deserialize;

/// A line of a case file.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    host: String,
    tags: Vec<String>,
    command: String,
    expect: String,
}

fn host(alias: &str, tags: &[String]) -> HostFacts {
    HostFacts {
        alias: HostAlias::new(alias).unwrap(),
        site: SiteName::new("eu").unwrap(),
        tags: tags.iter().map(|tag| Tag::new(tag).unwrap()).collect(),
        labels: Labels::default(),
    }
}
fn read(yaml: &str) -> ImportedPolicy {
    import::policy(yaml, None).unwrap_or_else(|e| panic!("{yaml}\n{e}"))
}

/// Why the block denies the command; `Ok`: it allows it.
fn judge(block: &Imported, host: &HostFacts, command: &Command) -> Result<(), String> {
    if let Some((rule, why)) = block.judge_whole(host, command) {
        return Err(format!("{rule:?}: {why}"));
    }
    for simple in command.simples() {
        match block.judge_part(host, simple) {
            PartVerdict::Allow { .. } => {}
            PartVerdict::Deny { rule, why } => return Err(format!("{rule:?}: {why}")),
            PartVerdict::Silent => return Err(format!("nothing allows {simple:?}")),
        }
    }
    Ok(())
}
fn judge_line(block: &Imported, host: &HostFacts, line: &str) -> Result<(), String> {
    let command = parse_command_with_globs(&CommandInput::Line(line.into())).map_err(|e| e.to_string())?;
    judge(block, host, &command)
}

/// How many cases allow and how many deny; panics with every one that is decided otherwise.
fn run_cases(folder: &str) -> (usize, usize) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases").join(folder);
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let (mut allowed, mut denied, mut wrong) = (0, 0, Vec::new());
    for policy in files.iter().filter(|path| path.extension().is_some_and(|e| e == "yml")) {
        let read = read(&fs::read_to_string(policy).unwrap());
        let block = read.set().imported().unwrap();
        for line in fs::read_to_string(policy.with_extension("jsonl")).unwrap().lines() {
            let case: Case = serde_json::from_str(line).unwrap();
            let verdict = judge_line(block, &host(&case.host, &case.tags), &case.command);
            match (case.expect.as_str(), verdict) {
                ("allow", Ok(())) => allowed += 1,
                ("deny", Err(_)) => denied += 1,
                (_, verdict) => wrong.push(format!("{}: {line}: {verdict:?}", policy.display())),
            }
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n{}", wrong.len(), wrong.join("\n"));
    (allowed, denied)
}

#[test]
fn every_case_of_the_last_match_dialect_is_decided_as_its_policy_reads() {
    let (allowed, denied) = run_cases("v1");
    assert!(allowed >= 250 && denied >= 250, "{allowed} allowed, {denied} denied");
}

#[test]
fn every_case_of_the_first_match_dialect_is_decided_as_its_policy_reads() {
    let (allowed, denied) = run_cases("v2");
    assert!(allowed >= 30 && denied >= 50, "{allowed} allowed, {denied} denied");
}

#[test]
fn limits_come_from_the_alias_then_the_last_tag_then_the_file() {
    let yaml = "limits: {max_seconds: 10}\nrules: [{action: allow, commands: [ls]}]\noverrides:\n  aliases: {a: {max_seconds: 1}}\n  tags: {t1: {max_seconds: 5, max_output_bytes: 7}, t2: {max_seconds: 6}}\n";
    let policy = read(yaml);
    let block = policy.set().imported().unwrap();
    let limits = |alias: &str, tags: &[&str]| {
        let tags: Vec<String> = tags.iter().map(|t| (*t).to_owned()).collect();
        let limits = block.limits(&host(alias, &tags));
        (limits.timeout.unwrap().as_secs(), limits.output_bytes.unwrap())
    };
    assert_eq!(limits("x", &[]), (10, 1_048_576));
    assert_eq!(limits("x", &["t1", "t2"]), (6, 7));
    assert_eq!(limits("x", &["t2", "t1"]), (5, 7));
    assert_eq!(limits("a", &["t1", "t2"]), (1, 7));
}

#[test]
fn a_long_hostile_line_is_judged_at_once() {
    let globs: Vec<String> = (0..60).map(|n| format!("*a*[{}-z]?*b*", char::from(b'a' + n % 20))).collect();
    let deny: Vec<String> = globs.iter().map(|glob| format!("\"*{glob} *x*y*z*\"")).collect();
    let yaml = format!(
        "rules:\n  - {{action: allow, commands: ['*']}}\n  - {{action: deny, commands: [{}]}}\n",
        deny.join(", ")
    );
    let policy = read(&yaml);
    let line = format!("ls {}", "a*b?[a-c]*/".repeat(360));
    let many = format!("ls {}", "*a?b* ".repeat(126));
    for line in [line, many] {
        let command = parse_command_with_globs(&CommandInput::Line(line)).unwrap();
        let _ = judge(policy.set().imported().unwrap(), &host("a", &[]), &command);
    }
}
