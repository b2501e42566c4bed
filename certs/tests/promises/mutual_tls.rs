//! Promises of the mutual listener and its callers: who gets in, and what new connections use.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

use std::{fs, io, sync::Arc, time::Duration};

use crate::support::{HOUR, Listening, World, now, who};
use lictor_certs::{
    client::{ControllerStream, LiveClientTls, connect},
    csr,
    files::IdentityFiles,
    live::{Live, Reload},
    provider::provider,
};
use lictor_core::principal::Role;
use rustls::{
    ClientConfig, NamedGroup, ProtocolVersion,
    pki_types::{ServerName, pem::PemObject as _},
    version::TLS13,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_util::sync::CancellationToken;

fn client(files: IdentityFiles) -> LiveClientTls {
    Live::load(files).unwrap()
}

/// What a caller sees who is let in or not: with TLS 1.3, a refusal arrives with the first read.
async fn first_read(stream: io::Result<ControllerStream>) -> io::Result<u8> {
    stream?.read_u8().await
}

#[tokio::test]
async fn an_agent_is_known_by_its_certificate_over_post_quantum_tls_1_3() {
    let world = World::new();
    let mut server = world.listen().await;
    let agent = who("tenant/acme/agent/berlin/a1");
    let (files, issued) = world.issue("a1", &agent);
    let mut stream = connect(&server.address.to_string(), &client(files)).await.unwrap();
    let mut connection = server.admitted.recv().await.unwrap();

    assert_eq!((connection.peer.identity.role(), &connection.peer.identity), (Role::Agent, &agent));
    assert_eq!(connection.peer.serial, issued.serial);
    assert_eq!(connection.remote, stream.get_ref().0.local_addr().unwrap());
    let tls = connection.tls();
    assert_eq!(tls.protocol_version(), Some(ProtocolVersion::TLSv1_3));
    assert_eq!(tls.negotiated_key_exchange_group().map(|g| g.name()), Some(NamedGroup::X25519MLKEM768));
    assert_eq!(tls.alpn_protocol(), Some(&b"h2"[..]));

    stream.write_all(b"ping").await.unwrap();
    stream.flush().await.unwrap();
    let mut heard = [0; 4];
    connection.read_exact(&mut heard).await.unwrap();
    connection.write_u8(heard[0]).await.unwrap();
    connection.flush().await.unwrap();
    assert_eq!(stream.read_u8().await.unwrap(), b'p');
}

#[tokio::test]
async fn callers_without_certificate_of_another_ca_expired_or_of_another_domain_are_refused() {
    let world = World::new();
    let mut server = world.listen().await;
    let address = server.address.to_string();
    let user = who("tenant/acme/user/alice");

    // Another CA: its client must trust our root for the handshake to get as far as our server's judgement.
    let other = World::new();
    let (foreign, _) = other.issue("alice", &user);
    fs::write(&foreign.roots, world.ca.root_pem()).unwrap();
    assert!(first_read(connect(&address, &client(foreign)).await).await.is_err());

    let (expired, _) = world.issue_at("alice", &user, now().minus(3 * HOUR));
    assert!(first_read(connect(&address, &client(expired)).await).await.is_err());

    // No certificate at all.
    let mut roots = rustls::RootCertStore::empty();
    roots
        .add(rustls::pki_types::CertificateDer::from_pem_slice(world.ca.root_pem().as_bytes()).unwrap())
        .unwrap();
    let mut bare = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13])
        .unwrap()
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(AnyServer))
        .with_no_client_auth();
    bare.alpn_protocols = vec![b"h2".to_vec()];
    let tcp = TcpStream::connect(&address).await.unwrap();
    let name = ServerName::try_from("any.example").unwrap();
    let stream = tokio_rustls::TlsConnector::from(Arc::new(bare)).connect(name, tcp).await;
    assert!(first_read(stream).await.is_err());

    // The last caller is admitted, and is the first one that the server hands out.
    let (good, issued) = world.issue("alice", &user);
    let stream = connect(&address, &client(good)).await.unwrap();
    assert_eq!(server.admitted.recv().await.unwrap().peer.serial, issued.serial);
    drop(stream);
}

#[tokio::test]
async fn a_caller_refuses_a_server_that_is_not_a_controller_of_its_root() {
    let world = World::new();
    let (files, _) = world.issue("a1", &who("tenant/acme/agent/berlin/a1"));
    let agent = client(files);

    // An agent's certificate may not serve at all.
    let (impostor, _) = world.issue("a2", &who("tenant/acme/agent/berlin/a2"));
    let server = Listening::with(impostor).await;
    let error = connect(&server.address.to_string(), &agent).await.unwrap_err();
    assert!(error.to_string().contains("certificate"), "{error}");

    // Nor may a controller of another CA.
    let other = World::new();
    let server = other.listen().await;
    let error = connect(&server.address.to_string(), &agent).await.unwrap_err();
    assert!(error.to_string().contains("pinned root"), "{error}");
}

#[tokio::test]
async fn a_server_with_a_users_name_is_refused_even_if_its_certificate_may_serve() {
    // A CA of our own making, which signs what the real one does not: a user's certificate for serving.
    let dir = tempfile::tempdir().unwrap();
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut params = rcgen::CertificateParams::default();
    params.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let ca = rcgen::CertifiedIssuer::self_signed(params, ca_key).unwrap();
    let make = |stem: &str, path: &str| {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut params = rcgen::CertificateParams::default();
        let uri = format!("spiffe://fleet.example/{path}");
        params.subject_alt_names = vec![rcgen::SanType::URI(uri.as_str().try_into().unwrap())];
        params.extended_key_usages =
            vec![rcgen::ExtendedKeyUsagePurpose::ServerAuth, rcgen::ExtendedKeyUsagePurpose::ClientAuth];
        let leaf = params.signed_by(&key, &ca).unwrap();
        let files = IdentityFiles::in_dir(dir.path(), stem);
        files.write(&leaf.pem(), &key.serialize_pem(), &ca.pem()).unwrap();
        files
    };
    let caller = client(make("caller", "tenant/acme/user/alice"));
    let server = Listening::with(make("mallory", "tenant/acme/user/mallory")).await;
    let error = connect(&server.address.to_string(), &caller).await.unwrap_err();
    assert!(error.to_string().contains("not a controller"), "{error}");
    let server = Listening::with(make("real", "controller/c1")).await;
    assert!(connect(&server.address.to_string(), &caller).await.is_ok());
}

#[tokio::test]
async fn new_connections_use_new_files_and_broken_files_change_nothing() {
    let world = World::new();
    let mut server = world.listen().await;
    let address = server.address.to_string();
    let (files, _) = world.issue("a1", &who("tenant/acme/agent/berlin/a1"));
    let agent = client(files.clone());
    let shown = |stream: &ControllerStream| stream.get_ref().1.peer_certificates().unwrap()[0].to_vec();

    let before = connect(&address, &agent).await.unwrap();
    assert_eq!(server.tls.reload_if_changed(), Reload::Unchanged);
    let (_, issued) = world.issue("controller", &who("controller/c1"));
    assert_eq!(server.tls.reload_if_changed(), Reload::Replaced);
    assert_eq!(server.tls.own().serial, issued.serial);
    let after = connect(&address, &agent).await.unwrap();
    assert_ne!(shown(&before), shown(&after));

    fs::write(world.files("controller").chain, "half a certifi").unwrap();
    assert_eq!(server.tls.reload_if_changed(), Reload::KeptOld);
    assert_eq!(server.tls.reload_if_changed(), Reload::KeptOld);
    let still = connect(&address, &agent).await.unwrap();
    assert_eq!(shown(&still), shown(&after));
    let (_, issued) = world.issue("controller", &who("controller/c1"));
    assert_eq!(server.tls.reload_if_changed(), Reload::Replaced);
    assert_eq!(server.tls.own().serial, issued.serial);

    // The caller's end follows its files as well.
    for _ in 0..3 {
        server.admitted.recv().await.unwrap();
    }
    let (_, issued) = world.issue("a1", &who("tenant/acme/agent/berlin/a1"));
    assert_eq!(agent.reload_if_changed(), Reload::Replaced);
    let _stream = connect(&address, &agent).await.unwrap();
    assert_eq!(server.admitted.recv().await.unwrap().peer.serial, issued.serial);
}

#[tokio::test]
async fn callers_that_say_nothing_or_rubbish_hold_up_nobody() {
    let world = World::new();
    let mut server = world.listen().await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(TcpStream::connect(server.address).await.unwrap());
    }
    idle[0].write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    let (files, issued) = world.issue("alice", &who("tenant/acme/user/alice"));
    let _stream = connect(&server.address.to_string(), &client(files)).await.unwrap();
    assert_eq!(server.admitted.recv().await.unwrap().peer.serial, issued.serial);
}

#[tokio::test]
async fn a_key_of_another_certificate_is_not_taken_over() {
    let world = World::new();
    let (files, _) = world.issue("c1", &who("controller/c1"));
    let live: Live<lictor_certs::server::MutualServer> = Live::load(files.clone()).unwrap();
    let serial = live.own().serial;
    let stranger = csr::new_key_request().unwrap();
    fs::write(&files.key, stranger.key_pem.as_str()).unwrap();
    assert_eq!(live.reload_if_changed(), Reload::KeptOld);
    assert_eq!(live.own().serial, serial);
}

#[tokio::test]
async fn the_listener_and_the_watcher_end_when_told_to() {
    let world = World::new();
    let mut server = world.listen().await;
    let stop = CancellationToken::new();
    let watcher = tokio::spawn(Arc::clone(&server.tls).watch(Duration::from_millis(1), stop.clone()));
    let (_, issued) = world.issue("controller", &who("controller/c1"));
    while server.tls.own().serial != issued.serial {
        tokio::task::yield_now().await;
    }
    stop.cancel();
    watcher.await.unwrap();
    server.cancel.cancel();
    assert!(server.admitted.recv().await.is_none());
    assert!(TcpStream::connect(server.address).await.is_err());
}

#[derive(Debug)]
struct AnyServer;

impl rustls::client::danger::ServerCertVerifier for AnyServer {
    fn verify_server_cert(
        &self,
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &[rustls::pki_types::CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: rustls::pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls::pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        provider().signature_verification_algorithms.supported_schemes()
    }
}
