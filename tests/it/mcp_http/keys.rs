//! The issuer's keys by an https URL: believed because an authority of the operator's choosing vouches for the server, and
//! for no other reason.

use std::{
    net::Ipv4Addr,
    path::Path,
    sync::{Arc, Mutex},
};

use http::StatusCode;
use lictor_tests::{
    World,
    issuer::{ISSUER, Issuer, RESOURCE},
    mcp_http::{Era, HttpBridge, Sent},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::aws_lc_rs::default_provider, pki_types::PrivateKeyDer};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use tokio_rustls::TlsAcceptor;

/// An authority of its own, whose certificate is in `name`; what it vouches for localhost with.
fn authority(dir: &Path, name: &str) -> ServerConfig {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    std::fs::write(dir.join(name), ca.pem()).unwrap();
    let key = KeyPair::generate().unwrap();
    let leaf = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &ca).unwrap();
    ServerConfig::builder_with_provider(Arc::new(default_provider()))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap()
}

/// Serves what `set` is at the time over TLS, whatever it is asked for; answers its port.
async fn serve(config: ServerConfig, set: Arc<Mutex<String>>) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            // Who does not trust the authority goes away here.
            let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let set = set.lock().unwrap().clone();
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/jwk-set+json";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{set}", set.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

/// A bridge that fetches the keys from that port, if an authority in `ca` vouches for it.
async fn start(world: &World, ca: &str, port: u16) -> HttpBridge {
    let http = |address: &str| {
        format!(
            "\nhttp:\n  listen: {address}\n  tokens: {{ issuer: '{ISSUER}', audience: '{RESOURCE}', \
             keys: 'https://localhost:{port}/jwks', ca_file: {ca} }}\n"
        )
    };
    HttpBridge::start_with(world, Issuer::new("unused").unwrap(), http).await.unwrap()
}

/// What the bridge says to that token. Looking at the tools asks no controller.
async fn list(bridge: &HttpBridge, token: &str) -> StatusCode {
    let list = bridge.method(Era::Stateless, &Sent::by(token), "tools/list", json!({}));
    bridge.send(list.unwrap()).await.unwrap().status
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_over_tls_from_a_server_that_the_authority_of_the_file_vouches_for() {
    let world = World::prepare(&[]).unwrap();
    let home = world.home();
    let issuer = Issuer::new("key-1").unwrap();
    let port = serve(authority(&home, "ca.pem"), Arc::new(Mutex::new(issuer.key_set()))).await;
    drop(authority(&home, "other.pem"));
    let (good, forged) =
        (issuer.token("alice", "read"), Issuer::new("key-1").unwrap().token("alice", "read"));
    for (ca, token, status) in [
        ("ca.pem", &good, StatusCode::OK),
        ("ca.pem", &forged, StatusCode::UNAUTHORIZED),
        // Another authority: there are no keys then, not keys that anybody may have made.
        ("other.pem", &good, StatusCode::SERVICE_UNAVAILABLE),
        ("other.pem", &forged, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let bridge = start(&world, ca, port).await;
        assert_eq!(list(&bridge, token).await, status, "{ca}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rotated_key_set_is_taken_up_over_tls_and_what_was_removed_from_it_is_refused() {
    let world = World::prepare(&[]).unwrap();
    let [first, second] = ["key-1", "key-2"].map(|id| Issuer::new(id).unwrap());
    let (old, new) = (first.token("alice", "read"), second.token("alice", "read"));
    let set = Arc::new(Mutex::new(first.key_set()));
    let port = serve(authority(&world.home(), "ca.pem"), Arc::clone(&set)).await;
    let bridge = start(&world, "ca.pem", port).await;
    assert_eq!(list(&bridge, &old).await, StatusCode::OK);
    // Both, as an issuer that rotates has them for a while; then the new one alone. A token of a key that is not known asks
    // the issuer again.
    *set.lock().unwrap() = json!({ "keys": [first.key(), second.key()] }).to_string();
    assert_eq!(list(&bridge, &new).await, StatusCode::OK, "the new key is fetched");
    assert_eq!(list(&bridge, &old).await, StatusCode::OK, "the old one is there");

    let bridge = {
        *set.lock().unwrap() = first.key_set();
        start(&world, "ca.pem", port).await
    };
    assert_eq!(list(&bridge, &old).await, StatusCode::OK);
    *set.lock().unwrap() = second.key_set();
    assert_eq!(list(&bridge, &new).await, StatusCode::OK);
    assert_eq!(list(&bridge, &old).await, StatusCode::UNAUTHORIZED, "the old one is gone");
    let forged = Issuer::new("key-2").unwrap().token("alice", "read");
    assert_eq!(list(&bridge, &forged).await, StatusCode::UNAUTHORIZED);
}
