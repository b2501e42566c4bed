//! The issuer's keys by an https URL: believed because an authority of the operator's choosing vouches for the server, and
//! for no other reason.

use std::{net::Ipv4Addr, path::Path, sync::Arc};

use http::StatusCode;
use lictor_tests::{
    World,
    issuer::{ISSUER, Issuer, RESOURCE},
    mcp_http::{Era, HttpBridge, Sent},
};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, crypto::aws_lc_rs::default_provider, pki_types::PrivateKeyDer};
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

/// Serves `set` over TLS, whatever it is asked for; answers its port.
async fn serve(config: ServerConfig, set: String) -> u16 {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((tcp, _)) = listener.accept().await {
            // Who does not trust the authority goes away here.
            let Ok(mut stream) = acceptor.accept(tcp).await else { continue };
            let mut asked = [0; 1024];
            let _ = stream.read(&mut asked).await;
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/jwk-set+json";
            let answer = format!("{head}\r\ncontent-length: {}\r\n\r\n{set}", set.len());
            let _ = stream.write_all(answer.as_bytes()).await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_come_over_tls_from_a_server_that_the_authority_of_the_file_vouches_for() {
    let world = World::prepare(&[]).unwrap();
    let home = world.home();
    let issuer = Issuer::new("key-1").unwrap();
    let port = serve(authority(&home, "ca.pem"), issuer.key_set()).await;
    drop(authority(&home, "other.pem"));
    let tokens = |ca: &str| {
        format!(
            "\nhttp:\n  listen: 127.0.0.1:0\n  tokens: {{ issuer: '{ISSUER}', audience: '{RESOURCE}', \
             keys: 'https://localhost:{port}/jwks', ca_file: {ca} }}\n"
        )
    };
    let start = async |ca: &str| {
        let http = |address: &str| tokens(ca).replace("127.0.0.1:0", address);
        HttpBridge::start_with(&world, Issuer::new("unused").unwrap(), http).await.unwrap()
    };
    let (good, forged) =
        (issuer.token("alice", "read"), Issuer::new("key-1").unwrap().token("alice", "read"));
    for (ca, token, status) in [
        ("ca.pem", &good, StatusCode::OK),
        ("ca.pem", &forged, StatusCode::UNAUTHORIZED),
        // Another authority: there are no keys then, not keys that anybody may have made.
        ("other.pem", &good, StatusCode::SERVICE_UNAVAILABLE),
        ("other.pem", &forged, StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let bridge = start(ca).await;
        // Looking at the tools asks no controller.
        let list = bridge.method(Era::Stateless, &Sent::by(token), "tools/list", serde_json::json!({}));
        assert_eq!(bridge.send(list.unwrap()).await.unwrap().status, status, "{ca}");
    }
}
