//! Forwarding to receivers that misbehave: nothing is lost, what comes twice is the same, and what is signed can be verified.

use std::{
    fs,
    io::{BufRead as _, BufReader},
    os::unix::fs::PermissionsExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use lictor_tests::{
    World, binaries,
    process::{PATIENCE, eventually},
    world::expect,
};
use rustls::pki_types::PrivatePkcs8KeyDer;
use serde_json::Value;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;

/// The receiver of webhooks in Python, which ends with the test.
struct Receiver {
    child: Child,
    port: u16,
}

impl Receiver {
    fn start(port: u16, key: &str, out: &Path, plan: &str) -> Self {
        let python = std::env::var("LICTOR_PYTHON")
            .unwrap_or_else(|_| format!("{}/../target/venv/bin/python", env!("CARGO_MANIFEST_DIR")));
        let mut child = Command::new(python)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/python/webhook_receiver.py"))
            .args([&port.to_string(), key, &out.display().to_string(), plan])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        Self { child, port: line.trim().parse().unwrap() }
    }
    fn url(&self) -> String {
        format!("http://127.0.0.1:{}/lictor", self.port)
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// `lictor audit forward`, with whatever goes before and behind.
struct Forwarder {
    home: PathBuf,
    cursor: PathBuf,
    secret: PathBuf,
}

impl Forwarder {
    fn new(world: &World, name: &str, key: &str) -> Self {
        let secret = world.file(&format!("{name}.key"));
        fs::write(&secret, key).unwrap();
        fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
        Self { home: world.home(), cursor: world.file(&format!("{name}.cursor")), secret }
    }
    fn command(&self, to: &str, more: &[&str]) -> Command {
        let mut command = Command::new(binaries::path("lictor").unwrap());
        command.env_remove("LICTOR_DIR").env("NO_COLOR", "1").arg("--dir").arg(&self.home);
        command.args(["audit", "forward", "--to", to, "--cursor"]).arg(&self.cursor).args(more);
        if to.starts_with("http") {
            command.arg("--secret-file").arg(&self.secret);
        }
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }
    fn run(&self, to: &str, more: &[&str]) -> Output {
        self.command(to, more).output().unwrap()
    }
    fn next(&self) -> u64 {
        let cursor: Value = serde_json::from_str(&fs::read_to_string(&self.cursor).unwrap()).unwrap();
        cursor["next"].as_u64().unwrap()
    }
}

fn key(byte: u8) -> String {
    STANDARD.encode([byte; 32])
}

fn indices(out: &Path) -> Vec<u64> {
    let text = fs::read_to_string(out).unwrap_or_default();
    let record = |line: &str| serde_json::from_str::<Value>(line).unwrap()["index"].as_u64().unwrap();
    text.lines().map(record).collect()
}

/// Every index below `next` is there, and each line of an index is the same.
fn assert_whole(out: &Path, next: u64) {
    let text = fs::read_to_string(out).unwrap();
    let mut lines: Vec<Option<&str>> = vec![None; usize::try_from(next).unwrap()];
    for line in text.lines() {
        let index = serde_json::from_str::<Value>(line).unwrap()["index"].as_u64().unwrap();
        let before = lines[usize::try_from(index).unwrap()].replace(line);
        assert!(before.is_none_or(|before| before == line), "{index} came twice and not the same");
    }
    assert!(lines.iter().all(Option::is_some), "a record is missing: {:?}", indices(out));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_that_fails_and_dies_gets_every_record_signed_at_least_once() {
    let world = World::start(&["web-1"]).await.unwrap();
    let _ = world.run("web-1", &["echo", "1"]).await.unwrap();
    let out = world.file("received.jsonl");
    let forwarder = Forwarder::new(&world, "siem", &key(1));

    // It is busy, then it takes a batch and dies before it says so; another one comes in its place.
    let mut receiver = Receiver::start(0, &key(1), &out, "503,429,die");
    let (port, url) = (receiver.port, receiver.url());
    let sending = forwarder.command(&url, &[]).spawn().unwrap();
    let died = tokio::task::spawn_blocking(move || receiver.child.wait().map(|_| ())).await.unwrap();
    died.unwrap();
    let receiver = Receiver::start(port, &key(1), &out, "ok");
    let sent = tokio::task::spawn_blocking(move || sending.wait_with_output()).await.unwrap().unwrap();
    expect(&sent).unwrap();
    let told = String::from_utf8_lossy(&sent.stderr).into_owned();
    assert!(told.contains("503") && told.contains("trying again") && !told.contains('\u{1b}'), "{told}");
    let first = forwarder.next();
    assert_whole(&out, first);
    assert!(indices(&out).len() as u64 > first, "the batch came twice");

    // The next time only what is new goes.
    let before = indices(&out).len();
    let _ = world.run("web-1", &["echo", "2"]).await.unwrap();
    expect(&forwarder.run(&url, &[])).unwrap();
    assert!(indices(&out)[before..].iter().all(|index| *index >= first));
    assert_whole(&out, forwarder.next());

    // While it follows, it is killed; nothing is missing afterwards.
    let mut following = forwarder.command(&url, &["--follow"]).spawn().unwrap();
    let come = indices(&out).len();
    let _ = world.run("web-1", &["echo", "3"]).await.unwrap();
    eventually("records come while it follows", async || indices(&out).len() > come).await.unwrap();
    following.kill().unwrap();
    following.wait().unwrap();
    let _ = world.run("web-1", &["echo", "4"]).await.unwrap();
    expect(&forwarder.run(&url, &[])).unwrap();
    assert_whole(&out, forwarder.next());
    assert!(forwarder.next() > first + 8);
    drop(receiver);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receiver_refuses_stays_and_a_cursor_of_something_else_is_refused() {
    let world = World::start(&["web-1"]).await.unwrap();
    let _ = world.run("web-1", &["echo", "1"]).await.unwrap();
    let out = world.file("received.jsonl");

    // Another key than the sender's: refused, and told as it is.
    let forwarder = Forwarder::new(&world, "siem", &key(1));
    let other = Receiver::start(0, &key(2), &out, "ok");
    let refused = forwarder.run(&other.url(), &[]);
    let told = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(refused.status.code() == Some(2) && told.contains("401"), "{told}");
    assert!(told.contains("the signature is not of this key"), "{told}");
    assert!(!forwarder.cursor.exists() && indices(&out).is_empty());
    // A redirect is not followed; what answers is not HTTP is tried again, and given up.
    let redirects = Receiver::start(0, &key(1), &out, "302");
    assert_eq!(forwarder.run(&redirects.url(), &[]).status.code(), Some(2));
    // Whoever else may read the key, it is not used.
    fs::set_permissions(&forwarder.secret, fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(forwarder.run(&redirects.url(), &[]).status.code(), Some(2));
    fs::set_permissions(&forwarder.secret, fs::Permissions::from_mode(0o600)).unwrap();

    // A selection in another form goes; the cursor is then of that form and receiver alone.
    let takes = Receiver::start(0, &key(1), &out, "ok");
    let ended = ["--format", "ocsf", "--filter", "kind:invocation_ended"];
    expect(&forwarder.run(&takes.url(), &ended)).unwrap();
    let events = fs::read_to_string(&out).unwrap();
    let event: Value = serde_json::from_str(events.lines().next().unwrap()).unwrap();
    assert_eq!((events.lines().count(), event["process"]["cmd_line"].as_str()), (1, Some("echo 1")));
    assert_eq!(forwarder.run(&takes.url(), &[]).status.code(), Some(2), "another form");
    // What ended after a restart of the sender still says what was run.
    let _ = world.run("web-1", &["echo", "2"]).await.unwrap();
    expect(&forwarder.run(&takes.url(), &ended)).unwrap();
    assert!(fs::read_to_string(&out).unwrap().lines().nth(1).unwrap().contains("echo 2"));

    // A log that is not the one of the cursor is found.
    let cursor = fs::read_to_string(&forwarder.cursor).unwrap();
    let leaf = serde_json::from_str::<Value>(&cursor).unwrap()["last_leaf"].as_str().unwrap().to_owned();
    fs::write(&forwarder.cursor, cursor.replace(&leaf, &"0".repeat(64))).unwrap();
    assert_eq!(forwarder.run(&takes.url(), &ended).status.code(), Some(8));
}

/// The messages of a connection, read to its end.
async fn messages(stream: &mut (impl AsyncRead + Unpin)) -> Vec<String> {
    let mut bytes = Vec::new();
    stream.read_to_end(&mut bytes).await.unwrap();
    let mut rest = bytes.as_slice();
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let blank = rest.iter().position(|b| *b == b' ').unwrap();
        let length: usize = std::str::from_utf8(&rest[..blank]).unwrap().parse().unwrap();
        let (message, behind) = rest[blank + 1..].split_at(length);
        messages.push(String::from_utf8(message.to_vec()).unwrap());
        rest = behind;
    }
    messages
}

fn index_of(message: &str) -> u64 {
    let json = message.split_once(" - {").unwrap().1;
    serde_json::from_str::<Value>(&format!("{{{json}")).unwrap()["index"].as_u64().unwrap()
}

async fn connection(listener: &TcpListener) -> TcpStream {
    tokio::time::timeout(PATIENCE, listener.accept()).await.unwrap().unwrap().0
}

/// Takes one connection as a good server does.
async fn take(mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Vec<String> {
    let messages = messages(&mut stream).await;
    stream.shutdown().await.unwrap();
    messages
}

#[tokio::test(flavor = "multi_thread")]
async fn a_syslog_server_that_drops_a_connection_gets_its_messages_again_over_tcp_and_over_tls() {
    let world = World::start(&["web-1"]).await.unwrap();
    let _ = world.run("web-1", &["echo", "1"]).await.unwrap();

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let to = format!("syslog://{}", listener.local_addr().unwrap());
    let forwarder = Forwarder::new(&world, "logs", &key(1));
    let sending = forwarder.command(&to, &[]).spawn().unwrap();
    // The first connection is reset with bytes in it that nobody has read.
    let mut stream = connection(&listener).await;
    let mut some = [0; 16];
    stream.read_exact(&mut some).await.unwrap();
    socket2::SockRef::from(&stream).set_linger(Some(std::time::Duration::ZERO)).unwrap();
    drop(stream);
    let stream = connection(&listener).await;
    let got = take(stream).await;
    let sent = tokio::task::spawn_blocking(move || sending.wait_with_output()).await.unwrap().unwrap();
    expect(&sent).unwrap();
    let indices: Vec<u64> = got.iter().map(|message| index_of(message)).collect();
    assert_eq!(indices, (0..forwarder.next()).collect::<Vec<_>>());
    assert!(got.iter().all(|message| message.starts_with('<') && message.contains(">1 ")), "{got:?}");

    // Over TLS, with a certificate that is named; one that is not vouched for gets nothing.
    let issued = rcgen::generate_simple_self_signed(vec!["127.0.0.1".into()]).unwrap();
    let ca = world.file("logs-ca.pem");
    fs::write(&ca, issued.cert.pem()).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(
            vec![issued.cert.der().clone()],
            PrivatePkcs8KeyDer::from(issued.signing_key.serialize_der()).into(),
        )
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let to = format!("syslog+tls://{}", listener.local_addr().unwrap());
    let forwarder = Forwarder::new(&world, "tls", &key(1));
    let ca = ca.display().to_string();
    let sending = forwarder.command(&to, &["--ca", &ca]).spawn().unwrap();
    let stream = connection(&listener).await;
    let got = take(acceptor.accept(stream).await.unwrap()).await;
    let sent = tokio::task::spawn_blocking(move || sending.wait_with_output()).await.unwrap().unwrap();
    expect(&sent).unwrap();
    assert_eq!(got.len() as u64, forwarder.next());
}
