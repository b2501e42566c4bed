//! What the listener takes: foreign hosts and origins, long and deep messages, and what it refuses to serve at all.

use http::StatusCode;
use lictor_tests::{
    World, binaries,
    issuer::Issuer,
    mcp_http::{Era, HttpBridge, Sent},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// What a bridge may grow by while it refuses what is too much: a few messages of the greatest length, and no more.
const GROWTH_KIB: u64 = 64 * 1024;

/// How deep a message may be by its length alone.
const LEVELS: usize = 1_000_000;

/// A request that is good but for its depth.
fn deep_call() -> String {
    let call =
        r#"{"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":"ssh_ping","arguments":{"a":"#;
    call.to_owned() + &"[".repeat(LEVELS - 1_000)
}

#[tokio::test(flavor = "multi_thread")]
async fn foreign_hosts_and_origins_and_too_much_of_anything_are_refused_in_bounded_memory() {
    let world = World::start(&[]).await.unwrap();
    let issuer = Issuer::new("key-1").unwrap();
    std::fs::write(world.home().join("keys.json"), issuer.key_set()).unwrap();
    for tokens in [true, false] {
        let bridge = HttpBridge::start(&world, Issuer::new("key-1").unwrap(), tokens).await.unwrap();
        let token = tokens.then(|| issuer.token("alice", "read run"));
        for era in Era::BOTH {
            let session = bridge.session(era, token.as_deref()).await.unwrap();
            let good = Sent { token: token.clone(), session, ..Sent::default() };
            let list = async |headers: Vec<(&'static str, String)>| {
                let sent = Sent { headers, ..good.clone() };
                let request = bridge.method(era, &sent, "tools/list", json!({})).unwrap();
                bridge.send(request).await.unwrap().status
            };
            assert_eq!(list(vec![]).await, StatusCode::OK);
            assert_eq!(list(vec![("origin", "https://console.example".into())]).await, StatusCode::OK);
            for origin in [
                "https://evil.example",
                "http://console.example",
                "https://console.example:8443",
                "https://console.example.evil.example",
                "http://127.0.0.1",
                "null",
                "nonsense",
            ] {
                let status = list(vec![("origin", origin.into())]).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{era:?} {tokens} {origin}");
            }
            for host in
                ["evil.example", "lictor.example.evil.example", "127.0.0.1.evil.example:80", "10.0.0.1"]
            {
                let status = list(vec![("host", host.into())]).await;
                assert_eq!(status, StatusCode::FORBIDDEN, "{era:?} {tokens} {host}");
            }
        }
        // Before anything else: at every path, without a token, whatever the method and the body.
        let address = bridge.address.clone();
        for path in ["/mcp", "/healthz", "/.well-known/oauth-protected-resource/mcp", "/nothing"] {
            for (method, body) in [("GET", ""), ("POST", "{"), ("DELETE", ""), ("OPTIONS", "")] {
                let status = async |host: &str, origin: &str| {
                    let request = http::Request::builder().method(method).uri(path).header("host", host);
                    let request = request.header("origin", origin).body(body.into()).unwrap();
                    bridge.send(request).await.unwrap().status
                };
                let foreign = status(&address, "https://evil.example").await;
                assert_eq!(foreign, StatusCode::FORBIDDEN, "{tokens} {method} {path}");
                let rebound = status("evil.example", "https://console.example").await;
                assert_eq!(rebound, StatusCode::FORBIDDEN, "{tokens} {method} {path}");
                let ours = status(&address, "https://console.example").await;
                assert_ne!(ours, StatusCode::FORBIDDEN, "{tokens} {method} {path}");
            }
        }
        let before = bridge.process.resident_kib().unwrap();
        let good = Sent { token: token.clone(), ..Sent::default() };
        for (what, body, status) in [
            ("a million levels", "[".repeat(LEVELS), StatusCode::BAD_REQUEST),
            ("a message with nearly a million levels", deep_call(), StatusCode::BAD_REQUEST),
            ("closed again", "[".repeat(LEVELS / 2) + &"]".repeat(LEVELS / 2), StatusCode::BAD_REQUEST),
            ("deep objects", "{\"a\":".repeat(180_000), StatusCode::BAD_REQUEST),
            ("a batch", format!("[{}]", "{},".repeat(300_000)), StatusCode::BAD_REQUEST),
            ("no JSON", "x".repeat(1_000), StatusCode::BAD_REQUEST),
            ("100 MiB", "x".repeat(100 << 20), StatusCode::PAYLOAD_TOO_LARGE),
        ] {
            for era in Era::BOTH {
                let request = bridge.post(era, &good, body.clone()).unwrap();
                // A listener that has refused may close before all was sent.
                if let Ok(answer) = bridge.send(request).await {
                    assert_eq!(answer.status, status, "{what}: {answer:?}");
                } else {
                    assert_eq!(status, StatusCode::PAYLOAD_TOO_LARGE, "{what}");
                }
            }
        }
        let grown = bridge.process.resident_kib().unwrap().saturating_sub(before);
        assert!(grown < GROWTH_KIB, "it grew by {grown} KiB");
        assert_eq!(bridge.get("/healthz").await.unwrap().status, StatusCode::OK);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gibibyte_is_refused_before_it_has_come_and_leaves_the_bridge_small() {
    /// A piece, as HTTP/1.1 has it: its length in hexadecimal, the bytes, an end.
    const PIECE: usize = 64 * 1024;
    /// What may be on its way when the answer comes: what the bridge takes, and the kernel's buffers at both ends.
    const TAKEN: usize = 64 << 20;
    let world = World::prepare(&[]).unwrap();
    let bridge = HttpBridge::start(&world, Issuer::new("key-1").unwrap(), false).await.unwrap();
    let before = bridge.process.resident_kib().unwrap();
    let head = |rest: &str| {
        format!(
            "POST /mcp HTTP/1.1\r\nhost: {}\r\ncontent-type: application/json\r\n\
             accept: application/json, text/event-stream\r\n{rest}\r\n\r\n",
            bridge.address
        )
    };
    for era in ["2025-11-25", "2026-07-28"] {
        // Announced: refused by its head alone.
        let mut tcp = TcpStream::connect(&bridge.address).await.unwrap();
        let announced = head(&format!("mcp-protocol-version: {era}\r\ncontent-length: 1073741824"));
        tcp.write_all(announced.as_bytes()).await.unwrap();
        let mut answer = [0; 12];
        tcp.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"HTTP/1.1 413");

        // Not announced: refused when it is too long, long before its end.
        let tcp = TcpStream::connect(&bridge.address).await.unwrap();
        let (mut from, mut to) = tcp.into_split();
        let unannounced = head(&format!("mcp-protocol-version: {era}\r\ntransfer-encoding: chunked"));
        to.write_all(unannounced.as_bytes()).await.unwrap();
        let piece = [format!("{PIECE:x}\r\n").as_bytes(), &[b' '; PIECE], b"\r\n"].concat();
        let mut sent = 0;
        while sent < 1 << 30 && to.write_all(&piece).await.is_ok() {
            sent += PIECE;
            let grown = bridge.process.resident_kib().unwrap().saturating_sub(before);
            assert!(grown < GROWTH_KIB, "it grew by {grown} KiB");
        }
        assert!(sent < TAKEN, "{sent} bytes were taken");
        let mut answer = [0; 12];
        // The connection may have been reset before the answer was read.
        if from.read_exact(&mut answer).await.is_ok() {
            assert_eq!(&answer, b"HTTP/1.1 413");
        }
    }
    assert_eq!(bridge.get("/healthz").await.unwrap().status, StatusCode::OK);
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_beyond_this_machine_is_served_without_tls_and_tokens() {
    let world = World::prepare(&[]).unwrap();
    let bridge = std::fs::read_to_string(world.home().join("bridge.yml")).unwrap();
    for (http, says) in [
        ("http: { listen: '0.0.0.0:0' }", "set `tls`"),
        ("http: { listen: '0.0.0.0:0', tls: { certificate: a, key: b } }", "set `tokens`"),
        ("http: { listen: '127.0.0.1:0', tls: { certificate: a, key: b } }", "http.tls: cannot read"),
        ("", "no `http`"),
    ] {
        let config = world.home().join("refused.yml");
        std::fs::write(&config, format!("{bridge}\n{http}\n")).unwrap();
        let output = std::process::Command::new(binaries::path("lictor-mcp-bridge").unwrap())
            .args(["--http", "--config", &config.display().to_string()])
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && error.contains(says), "{http}: {error}");
    }
}
