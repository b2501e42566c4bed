//! What the documentation shows is what happens: every file and every command of `docs/policy.md` is tried.
//!
//! A fenced block whose first line says `yaml NAME` or `json NAME` is a file; one that says `console` has commands, each
//! behind `$ `, with what they print below. `LICTOR_UPDATE_DOCS=1` writes what they print into the page.

use std::{fs, path::Path, process::Command};

use lictor_core::job::CommandInput;
use lictor_tests::binaries;

const PAGE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/policy.md");

/// A piece of the page.
#[derive(Debug)]
enum Block {
    /// Lines outside of what is tried.
    Prose(String),
    File {
        fence: String,
        name: String,
        text: String,
    },
    Console {
        steps: Vec<Step>,
    },
}

/// A command and what it prints.
#[derive(Debug)]
struct Step {
    command: String,
    printed: String,
}

fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        let words: Vec<&str> = line.strip_prefix("```").unwrap_or_default().split(' ').collect();
        match words.as_slice() {
            ["yaml" | "json", name] => {
                let text = body(&mut lines);
                blocks.push(Block::File { fence: line.into(), name: (*name).into(), text });
            }
            ["console"] => blocks.push(Block::Console { steps: steps(&body(&mut lines)) }),
            _ => blocks.push(Block::Prose(format!("{line}\n"))),
        }
    }
    blocks
}

fn body<'a>(lines: &mut impl Iterator<Item = &'a str>) -> String {
    lines.take_while(|line| *line != "```").map(|line| format!("{line}\n")).collect()
}

fn steps(body: &str) -> Vec<Step> {
    let mut steps: Vec<Step> = Vec::new();
    for line in body.lines() {
        match (line.strip_prefix("$ "), steps.last_mut()) {
            (Some(command), _) => steps.push(Step { command: command.into(), printed: String::new() }),
            (None, Some(step)) => step.printed += &format!("{line}\n"),
            (None, None) => panic!("a console block starts with `$ `, not with {line}"),
        }
    }
    for step in &mut steps {
        step.printed = step.printed.trim_end().to_owned();
    }
    steps
}

/// Runs `lictor …` in `dir`; both outputs, as a person would see them.
fn run(command: &str, dir: &Path) -> String {
    let command = lictor_policy::parse_command(&CommandInput::Line(command.into())).unwrap();
    let words: Vec<&str> = command.simples().next().unwrap().words().iter().map(|w| w.as_str()).collect();
    assert_eq!(words[0], "lictor", "only lictor is run");
    let output = Command::new(binaries::path("lictor").unwrap())
        .args(&words[1..])
        .current_dir(dir)
        .env_remove("LICTOR_DIR")
        .env("COLUMNS", "110")
        .output()
        .unwrap();
    let text = [output.stdout, output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    // The page cannot know what time it is; where the time matters, the command says it.
    let now = |line: &str| if line.starts_with("at  ") { "at       now".into() } else { line.to_owned() };
    let is_timed = words.contains(&"--at");
    let lines = text.lines().map(str::trim_end).map(|line| if is_timed { line.into() } else { now(line) });
    lines.collect::<Vec<_>>().join("\n").trim_end().to_owned()
}

fn written(blocks: &[Block]) -> String {
    let mut page = String::new();
    for block in blocks {
        match block {
            Block::Prose(text) => page += text,
            Block::File { fence, text, .. } => page += &format!("{fence}\n{text}```\n"),
            Block::Console { steps } => {
                page += "```console\n";
                for Step { command, printed } in steps {
                    page += &format!("$ {command}\n");
                    if !printed.is_empty() {
                        page += &format!("{printed}\n");
                    }
                }
                page += "```\n";
            }
        }
    }
    page
}

#[test]
fn every_example_of_the_policy_page_does_what_it_says() {
    let page = fs::read_to_string(PAGE).unwrap();
    let mut blocks = blocks(&page);
    assert_eq!(written(&blocks), page, "the page is read as it is");
    let dir = tempfile::tempdir().unwrap();
    let (mut files, mut commands, mut wrong) = (0, 0, Vec::new());
    for block in &mut blocks {
        match block {
            Block::Prose(_) => {}
            Block::File { name, text, .. } => {
                files += 1;
                fs::write(dir.path().join(&*name), &*text).unwrap();
                if name == "policy.yml" {
                    lictor_policy::PolicySet::parse(text).unwrap_or_else(|e| panic!("{text}\n{e}"));
                }
            }
            Block::Console { steps } => {
                for step in steps {
                    commands += 1;
                    let printed = run(&step.command, dir.path());
                    if printed != step.printed {
                        wrong.push(format!(
                            "$ {}\n--- the page\n{}\n--- here\n{printed}",
                            step.command, step.printed
                        ));
                        step.printed = printed;
                    }
                }
            }
        }
    }
    assert!(files >= 15 && commands >= 20, "{files} files, {commands} commands");
    if std::env::var_os("LICTOR_UPDATE_DOCS").is_some() {
        fs::write(PAGE, written(&blocks)).unwrap();
        return;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[test]
fn the_policy_page_lists_every_code_key_and_finding() {
    let page = fs::read_to_string(PAGE).unwrap();
    let mut names: Vec<String> = lictor_policy::RefusalCode::ALL.iter().map(ToString::to_string).collect();
    names.extend(lictor_policy::DecisionCode::ALL.iter().map(ToString::to_string));
    names.extend(lictor_policy::Finding::ALL.iter().map(|finding| finding.as_str().to_owned()));
    let schema = lictor_policy::json_schema();
    let keys = |object: &serde_json::Value| -> Vec<String> {
        object["properties"].as_object().unwrap().keys().cloned().collect()
    };
    names.extend(keys(&schema));
    names.extend(keys(&schema["$defs"]["Rule"]));
    let missing: Vec<&String> = names.iter().filter(|name| !page.contains(&format!("`{name}`"))).collect();
    assert!(names.len() > 60 && missing.is_empty(), "docs/policy.md does not speak of {missing:?}");
}
