//! What the client promises about its connection, over real TLS: it calls the controller, and says plainly why it cannot.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::{
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use lictor_certs::{
    ca::Authority,
    csr::new_key_request,
    files::IdentityFiles,
    identity::{TrustDomain, parse_uri},
    live::Live,
    server::{LiveServerTls, TlsConnection, accept_loop},
};
use lictor_client::connect::{Client, ClientConfig};
use lictor_core::{clock::Timestamp, error::ErrorCode, secret::Secret};
use lictor_proto::pb::{
    self,
    fleet_service_server::{FleetService, FleetServiceServer},
};
use tempfile::TempDir;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpListener,
};
use tokio_stream::StreamExt as _;
use tokio_util::sync::CancellationToken;
use tonic::{
    Request, Response, Status,
    transport::{Server, server::Connected},
};

/// A CA with its identities.
struct World {
    dir: TempDir,
    ca: Authority,
    domain: TrustDomain,
}

impl World {
    fn new() -> Self {
        let (dir, domain) = (tempfile::tempdir().unwrap(), TrustDomain::new("fleet.example").unwrap());
        let passphrase = Secret::new(b"correct horse battery staple".to_vec());
        let ca_dir = dir.path().join("ca");
        Authority::create(&ca_dir, &domain, &passphrase, now()).unwrap();
        Self { ca: Authority::load(&ca_dir, &passphrase).unwrap(), dir, domain }
    }

    fn issue(&self, stem: &str, path: &str) -> IdentityFiles {
        let identity = parse_uri(&format!("spiffe://{}/{path}", self.domain), &self.domain).unwrap();
        let request = new_key_request().unwrap();
        let issued = self.ca.issue(&request.csr_pem, &identity, Duration::from_secs(3600), now()).unwrap();
        let files = IdentityFiles::in_dir(self.dir.path(), stem);
        files.write(&issued.chain_pem, &request.key_pem, self.ca.root_pem()).unwrap();
        files
    }

    /// A controller on loopback; its address.
    async fn controller(&self) -> String {
        let tls: Arc<LiveServerTls> =
            Arc::new(Live::load(self.issue("controller", "controller/c1")).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let connections = accept_loop(listener, tls, self.domain.clone(), CancellationToken::new());
        let connections = connections.map(|connection| connection.map(Tls));
        tokio::spawn(
            Server::builder().add_service(FleetServiceServer::new(Fleet)).serve_with_incoming(connections),
        );
        address
    }
}

fn now() -> Timestamp {
    let since = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
    Timestamp::from_micros(u64::try_from(since.as_micros()).unwrap())
}

struct Fleet;

#[tonic::async_trait]
impl FleetService for Fleet {
    async fn list_sites(
        &self,
        _: Request<pb::ListSitesRequest>,
    ) -> Result<Response<pb::ListSitesResponse>, Status> {
        let sites = vec![pb::Site { name: "berlin".into(), hosts: 2, agents_connected: 1 }];
        Ok(Response::new(pb::ListSitesResponse { sites }))
    }
    async fn list_hosts(
        &self,
        _: Request<pb::ListHostsRequest>,
    ) -> Result<Response<pb::ListHostsResponse>, Status> {
        // Tokens without end.
        Ok(Response::new(pb::ListHostsResponse { hosts: Vec::new(), next_page_token: "again".into() }))
    }
    async fn list_agents(
        &self,
        _: Request<pb::ListAgentsRequest>,
    ) -> Result<Response<pb::ListAgentsResponse>, Status> {
        Err(Status::permission_denied("agents are for operators"))
    }
    async fn create_join_token(
        &self,
        _: Request<pb::CreateJoinTokenRequest>,
    ) -> Result<Response<pb::CreateJoinTokenResponse>, Status> {
        Err(Status::unimplemented("token"))
    }
    async fn revoke_agent(
        &self,
        _: Request<pb::RevokeAgentRequest>,
    ) -> Result<Response<pb::RevokeAgentResponse>, Status> {
        Err(Status::unimplemented("revocation"))
    }
}

/// A connection as tonic wants it.
struct Tls(TlsConnection);

impl Connected for Tls {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}
impl AsyncRead for Tls {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}
impl AsyncWrite for Tls {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[tokio::test]
async fn calls_reach_the_controller_and_its_refusals_come_back() {
    let world = World::new();
    let address = world.controller().await;
    let identity = world.issue("bridge", "tenant/acme/service/bridge");
    let client = Client::connect(ClientConfig { address, identity }).unwrap();
    assert_eq!(client.sites().await.unwrap()[0].name.as_str(), "berlin");
    let refused = lictor_client::operator::Operator::new(client.clone()).agents().await.unwrap_err();
    assert_eq!((refused.code, refused.message.as_str()), (ErrorCode::Forbidden, "agents are for operators"));
    assert_eq!(client.hosts(None).await.unwrap_err().code, ErrorCode::Internal);
}

#[tokio::test]
async fn nobody_at_the_address_is_said_so() {
    let world = World::new();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let identity = world.issue("bridge", "tenant/acme/service/bridge");
    let client = Client::connect(ClientConfig { address: address.clone(), identity }).unwrap();
    let failure = client.sites().await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::Unavailable);
    assert_eq!(
        failure.message,
        format!("the controller at {address} cannot be reached: nothing listens there")
    );
    assert!(failure.next_step.contains("lictor doctor"));
}

#[tokio::test]
async fn a_refused_certificate_is_said_so() {
    let (world, other) = (World::new(), World::new());
    let address = world.controller().await;
    // A certificate of another CA, with the controller's root.
    let identity = other.issue("bridge", "tenant/acme/service/bridge");
    std::fs::write(&identity.roots, world.ca.root_pem()).unwrap();
    let client = Client::connect(ClientConfig { address, identity }).unwrap();
    let failure = client.sites().await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::Unauthenticated, "{failure}");
    assert!(failure.message.ends_with("refuses this client's certificate"), "{failure}");
}

#[tokio::test]
async fn somebody_who_is_not_our_controller_is_never_called() {
    let (world, other) = (World::new(), World::new());
    let address = world.controller().await;
    let identity = other.issue("bridge", "tenant/acme/service/bridge");
    let client = Client::connect(ClientConfig { address, identity }).unwrap();
    let failure = client.sites().await.unwrap_err();
    assert_eq!(failure.code, ErrorCode::Unavailable, "{failure}");
    assert!(failure.message.contains("did not prove to be our controller"), "{failure}");
}

#[tokio::test]
async fn a_missing_identity_is_said_at_once() {
    let config = ClientConfig::in_dir("127.0.0.1:1".into(), Path::new("/nowhere"), "bridge");
    let failure = Client::connect(config).unwrap_err();
    assert_eq!(failure.code, ErrorCode::Unauthenticated);
    assert!(failure.message.contains("/nowhere/"), "{failure}");
}
