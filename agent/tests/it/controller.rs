//! A controller that does what a test says: real gRPC over real mutual TLS, nothing behind it.

use std::{
    collections::BTreeMap,
    io,
    path::Path,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    time::Duration,
};

use lictor_certs::{
    ca::Authority,
    csr,
    files::IdentityFiles,
    identity::TrustDomain,
    server::{LiveServerTls, accept_loop},
};
use lictor_core::{
    clock::{Clock, Timestamp},
    error::{ErrorCode, Failure},
    principal::Identity,
    revocation::REVOKED,
    secret::Secret,
};
use lictor_proto::{
    pb::{
        self,
        agent_link_server::{AgentLink, AgentLinkServer},
        agent_message::Message as FromAgent,
        controller_message::Message as ToAgent,
    },
    status::to_status,
};
use lictor_runtime::clock::SystemClock;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpListener,
    sync::mpsc,
};
use tokio_stream::{Stream, StreamExt as _, wrappers::ReceiverStream};
use tokio_util::sync::CancellationToken;
use tonic::{Request, Response, Status, Streaming, transport::server::Connected};

pub(crate) type Streams = BTreeMap<(String, i32), BTreeMap<u64, Vec<u8>>>;

/// What the service shares with the test.
#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) epoch: AtomicU64,
    pub(crate) output: Mutex<Streams>,
    /// What was sent live.
    pub(crate) live: Mutex<Streams>,
    pub(crate) refuse_output: AtomicBool,
    pub(crate) renewals: AtomicU64,
    /// The agent is revoked: no session is opened.
    pub(crate) revoked: AtomicBool,
    /// How many sessions were refused for that.
    pub(crate) refused: AtomicU64,
    /// What is sent to whoever fetches content.
    pub(crate) content: Mutex<Vec<u8>>,
    /// For which invocations it was.
    pub(crate) fetched: Mutex<Vec<String>>,
}

pub(crate) struct FakeController {
    pub(crate) address: String,
    pub(crate) authority: Arc<Authority>,
    pub(crate) shared: Arc<Shared>,
    sessions: mpsc::Receiver<Session>,
    _cancel: tokio_util::sync::DropGuard,
}

/// One session of the agent, as the controller sees it.
pub(crate) struct Session {
    pub(crate) epoch: u64,
    pub(crate) hello: pb::Hello,
    inbound: Streaming<pb::AgentMessage>,
    out: mpsc::Sender<Result<pb::ControllerMessage, Status>>,
    pub(crate) progress: pb::Progress,
    waiting: Vec<pb::InvocationResult>,
}

pub(crate) fn domain() -> TrustDomain {
    TrustDomain::new("test.example").unwrap()
}

pub(crate) fn now() -> Timestamp {
    SystemClock.now()
}

/// Issues an identity into `dir`.
pub(crate) fn identity(
    authority: &Authority,
    dir: &Path,
    stem: &str,
    identity: &Identity,
    ttl: Duration,
) -> IdentityFiles {
    std::fs::create_dir_all(dir).unwrap();
    let request = csr::new_key_request().unwrap();
    let issued = authority.issue(&request.csr_pem, identity, ttl, now()).unwrap();
    let files = IdentityFiles::in_dir(dir, stem);
    files.write(&issued.chain_pem, &request.key_pem, authority.root_pem()).unwrap();
    files
}

impl FakeController {
    pub(crate) async fn start(dir: &Path) -> Self {
        let passphrase = Secret::new(b"a long test passphrase".to_vec());
        Authority::create(&dir.join("ca"), &domain(), &passphrase, now()).unwrap();
        let authority = Arc::new(Authority::load(&dir.join("ca"), &passphrase).unwrap());
        let who = Identity::Controller { name: "c1".parse().unwrap() };
        let files =
            identity(&authority, &dir.join("controller"), "controller", &who, Duration::from_secs(3600));
        let tls = Arc::new(LiveServerTls::load(files).unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shared = Arc::new(Shared::default());
        let (sender, sessions) = mpsc::channel(16);
        let cancel = CancellationToken::new();
        let incoming = accept_loop(listener, tls, domain(), cancel.clone()).map(|io| io.map(Io));
        let service =
            Service { shared: Arc::clone(&shared), sessions: sender, authority: Arc::clone(&authority) };
        let service = AgentLinkServer::new(service).max_decoding_message_size(4 << 20);
        tokio::spawn(tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming));
        Self { address, authority, shared, sessions, _cancel: cancel.drop_guard() }
    }

    pub(crate) async fn session(&mut self) -> Session {
        tokio::time::timeout(Duration::from_secs(120), self.sessions.recv())
            .await
            .expect("a session in time")
            .unwrap()
    }

    /// The bytes that came for one stream, put together by offset; panics on a gap.
    pub(crate) fn output(&self, invocation: &str, stream: pb::StreamName) -> BTreeMap<u64, Vec<u8>> {
        pieces(&self.shared.output, invocation, stream)
    }

    /// The bytes that came live for one stream, by offset.
    pub(crate) fn live(&self, invocation: &str, stream: pb::StreamName) -> BTreeMap<u64, Vec<u8>> {
        pieces(&self.shared.live, invocation, stream)
    }
}

fn pieces(all: &Mutex<Streams>, invocation: &str, stream: pb::StreamName) -> BTreeMap<u64, Vec<u8>> {
    all.lock().unwrap().get(&(invocation.to_owned(), stream.into())).cloned().unwrap_or_default()
}

async fn collect(mut chunks: Streaming<pb::OutputChunk>, into: &Mutex<Streams>) -> Result<(), Status> {
    while let Some(chunk) = chunks.message().await? {
        let mut streams = into.lock().unwrap();
        let stream = streams.entry((chunk.invocation_id, chunk.stream)).or_default();
        stream.insert(chunk.offset, chunk.data.to_vec());
    }
    Ok(())
}

impl Session {
    pub(crate) async fn say(&self, message: ToAgent) {
        self.out.send(Ok(pb::ControllerMessage { message: Some(message) })).await.unwrap();
    }

    pub(crate) async fn commit(&self, ids: &[&str]) {
        let invocation_ids = ids.iter().map(|id| (*id).to_owned()).collect();
        self.say(ToAgent::Committed(pb::Committed { invocation_ids })).await;
    }

    pub(crate) async fn stop(&self, id: &str) {
        self.say(ToAgent::Stop(pb::Stop { invocation_ids: vec![id.to_owned()] })).await;
    }

    /// The next message that is not a heartbeat; progress is collected.
    pub(crate) async fn next(&mut self) -> FromAgent {
        loop {
            let message = tokio::time::timeout(Duration::from_secs(120), self.inbound.message()).await;
            match message.expect("a message in time").unwrap().expect("the session is up").message.unwrap() {
                FromAgent::Heartbeat(_) => {}
                FromAgent::Progress(progress) => {
                    self.progress.accepted.extend(progress.accepted.clone());
                    self.progress.started.extend(progress.started.clone());
                    return FromAgent::Progress(progress);
                }
                other => return other,
            }
        }
    }

    /// Keeps results that came while something else was waited for.
    pub(crate) fn keep(&mut self, results: pb::Results) {
        self.waiting.extend(results.results);
    }

    pub(crate) async fn started(&mut self, id: &str) {
        while !self.progress.started.iter().any(|s| s == id) {
            if let FromAgent::Results(results) = self.next().await {
                self.waiting.extend(results.results);
            }
        }
    }

    /// Waits until the agent has hung up.
    pub(crate) async fn ends(&mut self) {
        while let Ok(Some(_)) = self.inbound.message().await {}
    }

    pub(crate) async fn inventory(&mut self) -> pb::Inventory {
        loop {
            if let FromAgent::Inventory(inventory) = self.next().await {
                return inventory;
            }
        }
    }

    pub(crate) async fn result(&mut self, id: &str) -> pb::InvocationResult {
        loop {
            if let Some(at) = self.waiting.iter().position(|r| r.invocation_id == id) {
                return self.waiting.remove(at);
            }
            if let FromAgent::Results(results) = self.next().await {
                self.waiting.extend(results.results);
            }
        }
    }

    /// Whether nothing is said for a while that a committed no-op would have overtaken.
    pub(crate) fn seen_result(&self, id: &str) -> bool {
        self.waiting.iter().any(|r| r.invocation_id == id)
    }
}

struct Service {
    shared: Arc<Shared>,
    sessions: mpsc::Sender<Session>,
    authority: Arc<Authority>,
}

#[tonic::async_trait]
impl AgentLink for Service {
    type FetchContentStream = Pin<Box<dyn Stream<Item = Result<pb::FetchContentResponse, Status>> + Send>>;
    type SessionStream = Pin<Box<dyn Stream<Item = Result<pb::ControllerMessage, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<pb::AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        if self.shared.revoked.load(Ordering::SeqCst) {
            self.shared.refused.fetch_add(1, Ordering::SeqCst);
            let failure = Failure::new(ErrorCode::Unauthenticated, "agent eu/a1 was revoked", "join anew");
            return Err(to_status(&failure.with(REVOKED, "true")));
        }
        let mut inbound = request.into_inner();
        let Some(pb::AgentMessage { message: Some(FromAgent::Hello(hello)) }) = inbound.message().await?
        else {
            return Err(Status::invalid_argument("no hello"));
        };
        let epoch = self.shared.epoch.fetch_add(1, Ordering::SeqCst) + 1;
        let (out, receiver) = mpsc::channel(64);
        let welcome = pb::Welcome { epoch, now: now().as_micros(), heartbeat_ms: 200 };
        out.send(Ok(pb::ControllerMessage { message: Some(ToAgent::Welcome(welcome)) })).await.unwrap();
        let session =
            Session { epoch, hello, inbound, out, progress: pb::Progress::default(), waiting: Vec::new() };
        self.sessions.send(session).await.map_err(|_| Status::unavailable("the test is over"))?;
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn send_output(
        &self,
        request: Request<Streaming<pb::OutputChunk>>,
    ) -> Result<Response<pb::SendOutputResponse>, Status> {
        if self.shared.refuse_output.load(Ordering::SeqCst) {
            return Err(Status::unavailable("not now"));
        }
        collect(request.into_inner(), &self.shared.output).await?;
        Ok(Response::new(pb::SendOutputResponse {}))
    }

    async fn send_live(
        &self,
        request: Request<Streaming<pb::OutputChunk>>,
    ) -> Result<Response<pb::SendLiveResponse>, Status> {
        collect(request.into_inner(), &self.shared.live).await?;
        Ok(Response::new(pb::SendLiveResponse {}))
    }

    async fn fetch_content(
        &self,
        request: Request<pb::FetchContentRequest>,
    ) -> Result<Response<Self::FetchContentStream>, Status> {
        let asked = request.into_inner();
        let bytes = self.shared.content.lock().unwrap().clone();
        self.shared.fetched.lock().unwrap().push(asked.invocation_id);
        let (sender, receiver) = mpsc::channel(64);
        tokio::spawn(async move {
            for piece in bytes.chunks(lictor_proto::limits::MAX_CHUNK_BYTES) {
                let data = piece.to_vec().into();
                if sender.send(Ok(pb::FetchContentResponse { data })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(Box::pin(ReceiverStream::new(receiver))))
    }

    async fn renew(&self, request: Request<pb::RenewRequest>) -> Result<Response<pb::RenewResponse>, Status> {
        self.shared.renewals.fetch_add(1, Ordering::SeqCst);
        let agent = crate::world::agent_identity();
        let issued = self.authority.issue(
            &request.into_inner().csr_pem,
            &agent,
            Duration::from_secs(24 * 3600),
            now(),
        );
        let issued = issued.map_err(|e| Status::internal(e.to_string()))?;
        Ok(Response::new(pb::RenewResponse { chain_pem: issued.chain_pem }))
    }
}

/// A connection as tonic wants it.
pub(crate) struct Io<T>(pub(crate) T);

impl<T> Connected for Io<T> {
    type ConnectInfo = ();
    fn connect_info(&self) {}
}
impl<T: AsyncRead + Unpin> AsyncRead for Io<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}
impl<T: AsyncWrite + Unpin> AsyncWrite for Io<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}
