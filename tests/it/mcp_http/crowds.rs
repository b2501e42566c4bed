//! What one user may have under way: requests, sessions and messages that arrive. Beyond it they are told so or wait; what ends
//! makes room, and nobody else notices.

use http::{Method, StatusCode};
use hyper::body::Incoming;
use lictor_tests::{
    World,
    issuer::Issuer,
    mcp_http::{Era, HttpBridge, Sent},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

/// Requests and streams of one user at a time.
const REQUESTS: usize = 512;
/// Sessions of one user.
const SESSIONS: usize = 256;
/// Messages of one user that arrive at a time.
const ARRIVING: usize = 32;

/// A bridge whose controller is not there: nothing here asks for it.
async fn bridge() -> (World, HttpBridge) {
    let world = World::prepare(&[]).unwrap();
    let issuer = Issuer::new("key-1").unwrap();
    std::fs::write(world.home().join("keys.json"), issuer.key_set()).unwrap();
    let bridge = HttpBridge::start(&world, issuer, true).await.unwrap();
    (world, bridge)
}

/// A stream that stays open until it is dropped.
async fn stream(bridge: &HttpBridge, who: &Sent) -> http::Response<Incoming> {
    let params = json!({"notifications": {"toolsListChanged": true}});
    let request = bridge.method(Era::Stateless, who, "subscriptions/listen", params).unwrap();
    bridge.open(request).await.unwrap()
}

async fn list(bridge: &HttpBridge, who: &Sent) -> StatusCode {
    let request = bridge.method(Era::Stateless, who, "tools/list", json!({})).unwrap();
    bridge.send(request).await.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_with_as_many_requests_as_there_may_be_is_told_so_and_the_others_go_on() {
    let (_world, bridge) = bridge().await;
    let (ada, bob) = (Sent::by(&bridge.token("ada")), Sent::by(&bridge.token("bob")));
    let mut open = Vec::new();
    for n in 0..REQUESTS {
        let answer = stream(&bridge, &ada).await;
        assert_eq!(answer.status(), StatusCode::OK, "{n}");
        open.push(answer);
    }
    let refused = bridge.method(Era::Stateless, &ada, "tools/list", json!({})).unwrap();
    let refused = bridge.send(refused).await.unwrap();
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS, "{refused:?}");
    assert!(!refused.header("retry-after").is_empty());
    assert_eq!(list(&bridge, &bob).await, StatusCode::OK);
    assert_eq!(bridge.get("/healthz").await.unwrap().status, StatusCode::OK);
    drop(open.pop());
    let room = async || list(&bridge, &ada).await == StatusCode::OK;
    lictor_tests::process::eventually("what ended makes room", room).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_may_have_so_many_sessions_and_only_their_own_idle_one_makes_room() {
    let (_world, bridge) = bridge().await;
    let (ada, bob) = (bridge.token("ada"), bridge.token("bob"));
    let bobs = bridge.session(Era::Sessions, Some(&bob)).await.unwrap();
    let mut sessions = Vec::new();
    for _ in 0..SESSIONS {
        let session = bridge.session(Era::Sessions, Some(&ada)).await.unwrap();
        sessions.push(Sent { session, ..Sent::by(&ada) });
    }
    let ping = async |sent: &Sent| {
        let request = bridge.method(Era::Sessions, sent, "ping", json!({})).unwrap();
        bridge.send(request).await.unwrap().status
    };
    let further = bridge.session(Era::Sessions, Some(&ada)).await.unwrap();
    assert_eq!(ping(&sessions[0]).await, StatusCode::NOT_FOUND, "the oldest idle one made room");
    assert_eq!(ping(&sessions[1]).await, StatusCode::OK);
    sessions[0].session = further;

    // All of them in use: there is no room to be made.
    let mut used = Vec::new();
    for sent in &sessions {
        let request = bridge.request(Method::GET, Era::Sessions, sent, "").unwrap();
        let answer = bridge.open(request).await.unwrap();
        assert_eq!(answer.status(), StatusCode::OK);
        used.push(answer);
    }
    let hello = json!({"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "t", "version": "1"}});
    let open = async || {
        let request = bridge.method(Era::Sessions, &Sent::by(&ada), "initialize", hello.clone()).unwrap();
        bridge.send(request).await.unwrap().status
    };
    assert_eq!(open().await, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(ping(&Sent { session: bobs, ..Sent::by(&bob) }).await, StatusCode::OK);
    drop(used.pop());
    let room = async || open().await == StatusCode::OK;
    lictor_tests::process::eventually("what ended makes room", room).await.unwrap();
}

/// A message of which only the beginning has come. It is being taken in: the bridge has asked for the rest.
async fn slow(bridge: &HttpBridge, token: &str) -> TcpStream {
    let mut tcp = TcpStream::connect(&bridge.address).await.unwrap();
    let head = format!(
        "POST /mcp HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer {token}\r\ncontent-type: application/json\r\n\
         accept: application/json, text/event-stream\r\nmcp-protocol-version: 2026-07-28\r\ncontent-length: 2\r\n\
         expect: 100-continue\r\n\r\n",
        bridge.address
    );
    tcp.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    tcp.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    tcp.write_all(b"{").await.unwrap();
    tcp
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_who_sends_slowly_waits_for_their_own_messages_and_nobody_else_does() {
    let (_world, bridge) = bridge().await;
    let bridge = std::sync::Arc::new(bridge);
    let (ada, bob) = (bridge.token("ada"), Sent::by(&bridge.token("bob")));
    let mut arriving = Vec::new();
    for _ in 0..ARRIVING {
        arriving.push(slow(&bridge, &ada).await);
    }
    let waits = tokio::spawn({
        let (bridge, ada) = (std::sync::Arc::clone(&bridge), Sent::by(&ada));
        async move { list(&bridge, &ada).await }
    });
    for _ in 0..ARRIVING {
        assert_eq!(list(&bridge, &bob).await, StatusCode::OK);
    }
    assert!(!waits.is_finished(), "it waits for one of those before it");
    let mut first = arriving.remove(0);
    first.write_all(b"}").await.unwrap();
    assert_eq!(waits.await.unwrap(), StatusCode::OK);
}
