//! What is secret at a site is nowhere else: unique secrets are planted, hosts print them in every form, and every place
//! where anything is kept is searched, with everything logged that can be.

mod panics;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use aho_corasick::AhoCorasick;
use base64::{
    Engine as _,
    engine::general_purpose::{STANDARD, URL_SAFE},
};
use lictor_client::views::{InvocationView, Phase};
use lictor_core::id::JobId;
use lictor_tests::{
    World, binaries,
    disk::copy,
    journal::Line,
    mcp::McpClient,
    process::{Process, eventually},
    world::{POLICY, expect, spec},
};
use serde_json::json;

/// Everything, also what libraries say.
const LOG_ALL: (&str, &str) = ("LICTOR_LOG", "trace,russh=trace");
/// What a loss of one's way in a directory is asked with.
const NOWHERE: &str = "/nowhere/at/all";

/// A secret that must not be found.
struct Canary {
    text: String,
    /// The agent is told of it, and finds it encoded, too; others it knows by their looks.
    told: bool,
    /// The ways in which it could be found.
    needles: Vec<String>,
}

impl Canary {
    fn new(text: impl Into<String>, told: bool) -> Self {
        let text = text.into();
        let mut needles = in_one_piece(&text);
        for before in ["", "x", "xy"] {
            for alphabet in [STANDARD, URL_SAFE] {
                // The characters at either end depend on what is beside it.
                let encoded = alphabet.encode(format!("{before}{text}"));
                let encoded = encoded.trim_end_matches('=');
                needles.push(encoded[4..encoded.len() - 2].to_owned());
            }
        }
        Self { text, told, needles }
    }

    /// As programs print it.
    fn printed(&self) -> Vec<String> {
        let text = &self.text;
        if !self.told {
            return vec![text.clone()];
        }
        let mut all = in_one_piece(text);
        for before in ["", "u:", "x"] {
            for alphabet in [STANDARD, URL_SAFE] {
                all.push(alphabet.encode(format!("{before}{text}, and more")));
            }
        }
        // As base64 has it by default: in lines of 76 characters.
        let long = STANDARD.encode(format!("{}{text}{}", "f".repeat(50), "g".repeat(50)));
        all.push(format!("{}\n{}", &long[..76], &long[76..]));
        all
    }
}

/// Finds secrets in any of their forms, in one pass: logs of everything are long.
struct Search {
    automaton: AhoCorasick,
    /// Whose each needle is.
    owners: Vec<usize>,
}

impl Search {
    fn of<'a>(canaries: impl IntoIterator<Item = &'a Canary>) -> Self {
        let (mut needles, mut owners) = (Vec::new(), Vec::new());
        for (index, canary) in canaries.into_iter().enumerate() {
            owners.extend(canary.needles.iter().map(|_| index));
            needles.extend(&canary.needles);
        }
        Self { automaton: AhoCorasick::new(needles).unwrap(), owners }
    }

    /// The first that is there, as it is or without the ends of lines.
    fn find(&self, bytes: &[u8]) -> Option<usize> {
        let joined: Vec<u8> = bytes.split(|b| matches!(b, b'\n' | b'\r')).flatten().copied().collect();
        let found = self.automaton.find(bytes).or_else(|| self.automaton.find(&joined))?;
        self.owners.get(found.pattern().as_usize()).copied()
    }
}

/// As it is, in hexadecimal, and escaped for URLs and JSON as encoders differ in it.
fn in_one_piece(text: &str) -> Vec<String> {
    let (upper, lower) = (url(text, |b| format!("%{b:02X}")), url(text, |b| format!("%{b:02x}")));
    let json = quoted(text);
    let solidus = json.replace('/', "\\/");
    vec![text.to_owned(), hex(text), hex(text).to_uppercase(), upper, lower, json, solidus]
}

fn hex(text: &str) -> String {
    text.bytes().map(|b| format!("{b:02x}")).collect()
}

fn url(text: &str, escape: fn(u8) -> String) -> String {
    let encode = |b: u8| if b.is_ascii_alphanumeric() { char::from(b).to_string() } else { escape(b) };
    text.bytes().map(encode).collect()
}

fn quoted(text: &str) -> String {
    json!(text).to_string().trim_matches('"').to_owned()
}

fn random() -> String {
    format!("{:032x}", rand::random::<u128>())
}

fn secret_file(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Starts a program with everything logged.
fn start_logging(world: &World, program: &str, arguments: &[&str], config: &str, log: &str) -> Process {
    let (name, value) = LOG_ALL;
    let mut command = Command::new(binaries::path(program).unwrap());
    command.args(arguments).arg("--config").arg(world.home().join(config)).env(name, value);
    Process::spawn(&mut command, &world.file(log)).unwrap()
}

async fn start_controller(world: &mut World) {
    let started = start_logging(world, "lictor-controller", &[], "controller.yml", "controller.log");
    world.controller = Some(started);
    world.controller_answers().await.unwrap();
}

async fn start_agent(world: &mut World) {
    world.agent = Some(start_logging(world, "lictor-agent", &["run"], "agent.yml", "agent.log"));
    world.agent_connected().await.unwrap();
}

/// A site with secrets of every kind, and hosts that print them.
struct Site {
    world: World,
    mcp: McpClient,
    canaries: Vec<Canary>,
    /// The same, of nobody's concern: it shows that the search finds what is there.
    control: Canary,
    search: Search,
    /// The files in which the secrets are.
    secret_files: Vec<PathBuf>,
    answers: usize,
}

impl Site {
    async fn start() -> Self {
        let world = World::prepare(&["web-1"]).unwrap();
        let home = world.home();
        let (password, passphrase) = (format!("p/w \"{}", random()), format!("phrase+{}", random()));
        let (literal, own) = (format!("literal&{}", random()), format!("acme-{}", random()));
        let token = format!("ghp_{}abcd", random());
        let sealed = home.join("sealed.key");
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", &passphrase, "-f"]).arg(&sealed);
        expect(&keygen.output().unwrap()).unwrap();
        secret_file(&home.join("sealed.phrase"), &format!("{passphrase}\n"));
        secret_file(&home.join("redact.txt"), &format!("{literal}\n"));
        let mut credentials = fs::read_to_string(home.join("credentials.yml")).unwrap();
        credentials += "  - { name: sealed, key_file: sealed.key, passphrase_file: sealed.phrase }\n";
        credentials += &format!("  - {{ name: switch, password: '{password}' }}\n");
        secret_file(&home.join("credentials.yml"), &credentials);
        let settings = fs::read_to_string(home.join("agent.yml")).unwrap();
        let redact = "redact: { secrets_file: redact.txt, patterns: ['acme-[0-9a-f]{32}'] }\n";
        fs::write(home.join("agent.yml"), format!("{settings}{redact}")).unwrap();
        let elsewhere = "  - { id: elsewhere, effect: allow, where: all, commands: [pwd], working_directory: ['<path:/nowhere>'] }\n";
        fs::write(home.join("policy.yml"), format!("{POLICY}{elsewhere}")).unwrap();
        let mut canaries: Vec<_> = [password, passphrase, literal].map(|text| Canary::new(text, true)).into();
        canaries.extend([own, token].map(|text| Canary::new(text, false)));
        for key in ["login.key", "sealed.key"] {
            let key = fs::read_to_string(home.join(key)).unwrap();
            // The first line says what kind of key it is; the last has but a few characters.
            canaries.extend(
                key.lines().skip(2).filter(|line| line.len() > 60).map(|line| Canary::new(line, true)),
            );
        }
        assert!(canaries.len() > 8);
        let secret_files = ["login.key", "sealed.key", "sealed.phrase", "redact.txt", "credentials.yml"]
            .map(|name| home.join(name))
            .into();
        let (world, mcp) = Self::start_logging_all(world).await;
        let control = Canary::new(format!("control/{}", random()), true);
        let search = Search::of(&canaries);
        let mut site = Self { world, mcp, canaries, control, search, secret_files, answers: 0 };
        site.teach_host();
        site
    }

    /// Starts every process with everything logged.
    async fn start_logging_all(mut world: World) -> (World, McpClient) {
        world.scan().unwrap();
        start_controller(&mut world).await;
        world.join().unwrap();
        start_agent(&mut world).await;
        let (name, value) = LOG_ALL;
        let bridge = format!(
            "export {name}={value}; exec '{}' --config '{}' 2>>'{}'",
            binaries::path("lictor-mcp-bridge").unwrap().display(),
            world.home().join("bridge.yml").display(),
            world.file("bridge.log").display()
        );
        let mcp = McpClient::start(Path::new("/bin/sh"), &["-c", &bridge]).await.unwrap();
        (world, mcp)
    }

    /// Gives the host files with the secrets, and start-up noise that has one, too.
    fn teach_host(&mut self) {
        let host = &self.world.hosts[0];
        let mut all = String::new();
        for canary in self.canaries.iter().chain([&self.control]) {
            for printed in canary.printed() {
                all += &format!("value={printed};\n");
            }
        }
        fs::write(host.file("all"), &all).unwrap();
        let filler = "nothing of interest in this line\n".repeat(2000);
        fs::write(host.file("large"), format!("{all}{filler}{all}{filler}{all}")).unwrap();
        fs::write(host.file("noise"), format!("welcome {}\n", self.canaries[2].text)).unwrap();
        let script = fs::read_to_string(host.file("log-exec")).unwrap();
        let noise = format!("#!/bin/sh\ncat '{}' >&2\n", host.file("noise").display());
        fs::write(host.file("log-exec"), script.replacen("#!/bin/sh\n", &noise, 1)).unwrap();
    }

    /// Keeps what somebody was told where it is searched like everything else.
    fn keep(&mut self, bytes: &[u8]) {
        self.answers += 1;
        fs::write(self.world.file(&format!("answer-{}", self.answers)), bytes).unwrap();
    }

    fn lictor(&mut self, arguments: &[&str]) -> Output {
        let output = self.world.lictor(arguments).unwrap();
        self.keep(&output.stdout);
        self.keep(&output.stderr);
        output
    }

    fn path(&self, name: &str) -> String {
        self.world.hosts[0].file(name).display().to_string()
    }

    /// Every file of the system but those of the host and the secrets' own.
    fn sinks(&self) -> Vec<PathBuf> {
        let (mut files, mut folders) = (Vec::new(), vec![self.world.file("")]);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() && !path.ends_with("hosts") {
                    folders.push(path);
                } else if path.is_file() && !self.secret_files.contains(&path) {
                    files.push(path);
                }
            }
        }
        files
    }

    async fn first(&self, job: JobId) -> InvocationView {
        self.world.client().unwrap().get_job(job, 0, None).await.unwrap().invocations.remove(0)
    }

    /// Lets a command that prints this file end while nobody is there to be told, and copies everything that the agent keeps
    /// then: what it holds for its controller is gone once that has it.
    async fn copy_what_the_agent_holds(&mut self, printed: &str) -> PathBuf {
        let go = self.world.file(&format!("go-{}", random()));
        let script = format!("while ! test -e {}; do sleep 0.02; done; cat {printed}", go.display());
        let wanted = spec(&["web-1"], &["sh", "-c", &script]).unwrap();
        let job = self.world.client().unwrap().submit(&wanted).await.unwrap().job.id;
        eventually("it runs", async || self.first(job).await.phase == Phase::Running).await.unwrap();
        let id = self.first(job).await.id.to_string();
        self.world.controller.as_mut().unwrap().kill();
        fs::write(&go, "").unwrap();
        eventually("it ends", async || self.world.journal_of(&id).contains(&Line::Done)).await.unwrap();
        self.world.agent.as_mut().unwrap().kill();
        let held = self.world.file(&format!("held-{id}"));
        copy(&self.world.agent_state(), &held).unwrap();
        start_controller(&mut self.world).await;
        start_agent(&mut self.world).await;
        eventually("it is told", async || self.first(job).await.phase == Phase::Ended).await.unwrap();
        held
    }

    fn assert_clean(&self, what: &str, bytes: &[u8]) {
        assert_eq!(self.search.find(bytes), None, "this secret is in {what}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn invariant_9_no_secret_of_a_site_is_anywhere_but_at_the_site() {
    let mut site = Site::start().await;
    let (all, large) = (site.path("all"), site.path("large"));

    let ran = site.lictor(&["run", "web-1", "--", "sh", "-c", &format!("cat {all}; cat {all} >&2; exit 3")]);
    let said = String::from_utf8_lossy(&ran.stderr).into_owned();
    assert!(!ran.status.success(), "{said}");
    assert!(said.contains("secrets masked"), "{said}");
    let told = String::from_utf8_lossy(&ran.stdout).into_owned();
    for mark in ["credential", "secret", "pattern", "github_token"] {
        assert!(told.contains(&format!("value=[redacted:{mark}];")), "{mark}: {told}");
    }
    assert!(told.contains(&site.control.text), "what is no secret stays: {told}");
    // In writes of a few bytes each, and more than travels with a result.
    site.lictor(&["run", "web-1", "--", "sh", "-c", &format!("dd if={all} bs=7 status=none")]);
    site.lictor(&["run", "web-1", "--", "cat", &large]);
    site.lictor(&["--output", "json", "run", "web-1", "--", "cat", &all]);
    let detached = site.lictor(&["run", "--detached", "web-1", "--", "cat", &all]);
    assert!(detached.status.success(), "{}", String::from_utf8_lossy(&detached.stderr));
    for call in [format!("cat {all}"), "rm it".to_owned(), format!("cat {large}")] {
        let answer = site.mcp.call("ssh_run", json!({"alias": "web-1", "command": call})).await.unwrap();
        site.keep(answer.to_string().as_bytes());
    }
    let denied = site.lictor(&["run", "web-1", "--", "rm", "-rf", "/"]);
    assert!(!denied.status.success());
    let lost = site.lictor(&["run", "--cwd", NOWHERE, "web-1", "--", "pwd"]);
    let lost = String::from_utf8_lossy(&[lost.stdout, lost.stderr].concat()).into_owned();
    assert!(lost.contains("cannot be entered: welcome [redacted:secret]; "), "{lost}");

    // In the journal, as what is short is kept, and in a file of its own.
    let held = [site.copy_what_the_agent_holds(&all).await, site.copy_what_the_agent_holds(&large).await];

    let logs = site.world.logs();
    assert!(logs.contains("TRACE"), "everything is logged: {logs}");
    let records = site.world.audit().await.unwrap();
    let masked = |record: &&serde_json::Value| record["redactions"].as_u64().is_some_and(|count| count > 0);
    assert!(records.iter().filter(|r| r["kind"] == "invocation_ended").filter(masked).count() >= 6);
    let bundle = site.world.file("log.lictor").display().to_string();
    expect(&site.world.lictor(&["audit", "export", "--out", &bundle]).unwrap()).unwrap();
    expect(&site.world.lictor(&["audit", "verify", &bundle]).unwrap()).unwrap();

    let pids = [
        site.world.controller.as_ref().unwrap().id(),
        site.world.agent.as_ref().unwrap().id(),
        site.mcp.bridge_id().unwrap(),
    ];
    for pid in pids {
        for part in ["cmdline", "environ"] {
            let bytes = fs::read(format!("/proc/{pid}/{part}")).unwrap();
            assert!(!bytes.is_empty());
            site.assert_clean(&format!("the {part} of a process"), &bytes);
        }
    }
    // What is held in memory is written when the processes end.
    for process in [site.world.agent.take(), site.world.controller.take()].into_iter().flatten() {
        drop(process);
    }
    let (control, mut kept_control) = (Search::of([&site.control]), Vec::new());
    for sink in site.sinks() {
        let bytes = fs::read(&sink).unwrap();
        site.assert_clean(&sink.display().to_string(), &bytes);
        if control.find(&bytes).is_some() {
            kept_control.push(sink);
        }
    }
    // The search finds what is there: a value that is no secret where output is kept, and the secrets in their own files.
    let home = site.world.home();
    assert!(kept_control.iter().any(|path| path.starts_with(&home)), "{kept_control:?}");
    assert!(kept_control.iter().filter(|path| !path.starts_with(&home)).count() >= 5, "{kept_control:?}");
    for held in &held {
        assert!(kept_control.iter().any(|path| path.starts_with(held)), "{kept_control:?}");
    }
    for file in &site.secret_files {
        let bytes = fs::read(file).unwrap();
        assert!(site.search.find(&bytes).is_some(), "{}", file.display());
    }
}
