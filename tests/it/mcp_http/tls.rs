//! TLS: nothing is served in the clear beside it, and a renewed certificate is used without a restart.

use std::{fs::Permissions, os::unix::fs::PermissionsExt as _, process::Command, sync::Arc};

use bytes::Bytes;
use http::{Request, StatusCode};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use lictor_cli::demo::ports::free_port;
use lictor_tests::{World, binaries, process::Process, process::eventually};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::aws_lc_rs::default_provider,
    pki_types::{CertificateDer, ServerName},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_rustls::TlsConnector;

/// Writes a certificate for localhost; answers it.
fn issue(dir: &std::path::Path) -> CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let key = dir.join("tls.key");
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(&key, Permissions::from_mode(0o600)).unwrap();
    std::fs::write(dir.join("tls.pem"), made.cert.pem()).unwrap();
    made.cert.der().clone()
}

async fn healthy(address: &str, trusted: &CertificateDer<'static>) -> bool {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    let Ok(tcp) = TcpStream::connect(address).await else { return false };
    let name = ServerName::try_from("localhost").unwrap();
    let Ok(stream) = TlsConnector::from(Arc::new(config)).connect(name, tcp).await else { return false };
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("/healthz").header("host", "localhost").body(Empty::<Bytes>::new()).unwrap();
    sender.send_request(request).await.is_ok_and(|answer| answer.status() == StatusCode::OK)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_listener_speaks_tls_alone_and_takes_up_a_renewed_certificate() {
    let world = World::prepare(&[]).unwrap();
    let home = world.home();
    let first = issue(&home);
    let port = free_port().unwrap();
    let address = format!("127.0.0.1:{port}");
    let config = home.join("tls.yml");
    let bridge = std::fs::read_to_string(home.join("bridge.yml")).unwrap();
    let http = format!("http: {{ listen: '{address}', tls: {{ certificate: tls.pem, key: tls.key }} }}");
    std::fs::write(&config, format!("{bridge}\n{http}\n")).unwrap();
    let program = binaries::path("lictor-mcp-bridge").unwrap();
    let log = world.file("tls.log");
    let _bridge =
        Process::start(&program, &["--http", "--config", &config.display().to_string()], &log).unwrap();
    eventually("it answers over TLS", async || healthy(&address, &first).await).await.unwrap();

    let mut clear = TcpStream::connect(&address).await.unwrap();
    clear.write_all(b"GET /healthz HTTP/1.1\r\nhost: localhost\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    let _ = clear.read_to_end(&mut answer).await;
    assert!(!String::from_utf8_lossy(&answer).contains("HTTP"), "{answer:?}");

    let second = issue(&home);
    eventually("the new certificate is used", async || healthy(&address, &second).await).await.unwrap();
    assert!(!healthy(&address, &first).await);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_others_can_read_is_refused() {
    let world = World::prepare(&[]).unwrap();
    let home = world.home();
    issue(&home);
    let key = home.join("tls.key");
    let config = home.join("open-key.yml");
    let bridge = std::fs::read_to_string(home.join("bridge.yml")).unwrap();
    let http = "http: { listen: '127.0.0.1:0', tls: { certificate: tls.pem, key: tls.key } }";
    std::fs::write(&config, format!("{bridge}\n{http}\n")).unwrap();
    for mode in [0o644, 0o640, 0o606] {
        std::fs::set_permissions(&key, Permissions::from_mode(mode)).unwrap();
        let mut command = Command::new(binaries::path("lictor-mcp-bridge").unwrap());
        let ended = command.args(["--http", "--config", &config.display().to_string()]).output().unwrap();
        let error = String::from_utf8_lossy(&ended.stderr).into_owned();
        let words = format!("it can be read by others; run: chmod 600 {}", key.display());
        assert!(!ended.status.success() && error.contains(&words), "{mode:o}: {error}");
    }
}
