//! A small MCP client over HTTP: the messages of both eras, nothing of our code in between; and a bridge to talk to.

use std::{
    fs,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::Context as _;
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Full};
use hyper::{body::Incoming, client::conn::http1};
use hyper_util::rt::TokioIo;
use lictor_cli::demo::ports::free_port;
use serde_json::{Value, json};
use tokio::net::TcpStream;

use crate::{
    World, binaries,
    issuer::{ISSUER, Issuer, RESOURCE},
    process::{Process, eventually},
};

/// An era of the protocol.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// 2025-11-25: a session.
    Sessions,
    /// 2026-07-28: every request for itself.
    Stateless,
}

impl Era {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::Sessions, Self::Stateless];

    const fn version(self) -> &'static str {
        match self {
            Self::Sessions => "2025-11-25",
            Self::Stateless => "2026-07-28",
        }
    }
}

/// An answer.
#[derive(Debug)]
pub struct Answer {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub text: String,
}

impl Answer {
    /// A header as text; empty without it.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The last JSON-RPC message of the body, be it JSON or an event stream.
    ///
    /// # Errors
    /// When there is none.
    pub fn message(&self) -> anyhow::Result<Value> {
        if let Ok(value) = serde_json::from_str(&self.text) {
            return Ok(value);
        }
        let last = self
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("data:"))
            .rfind(|data| data.contains("jsonrpc"));
        Ok(serde_json::from_str(last.with_context(|| format!("no message in {self:?}"))?)?)
    }
}

/// What a request differs in from a good one.
#[derive(Debug, Clone, Default)]
pub struct Sent {
    /// The token.
    pub token: Option<String>,
    /// The session.
    pub session: Option<String>,
    /// Further headers; one of the same name is replaced.
    pub headers: Vec<(&'static str, String)>,
    /// What follows the path.
    pub query: String,
}

impl Sent {
    /// With this token.
    pub fn by(token: &str) -> Self {
        Self { token: Some(token.to_owned()), ..Self::default() }
    }
}

/// A bridge that serves HTTP, in a system whose controller lets it act for users.
#[derive(Debug)]
pub struct HttpBridge {
    /// The process.
    pub process: Process,
    /// `host:port`.
    pub address: String,
    /// Who makes its tokens.
    pub issuer: Issuer,
    ids: AtomicU64,
}

/// Prepares the controller's file of `world`, before it is started, so that its bridge may act for users.
///
/// # Errors
/// When a file cannot be written.
pub fn let_bridge_act(world: &World, issuer: &Issuer) -> anyhow::Result<()> {
    let home = world.home();
    fs::write(home.join("keys.json"), issuer.key_set())?;
    let path = home.join("controller.yml");
    let acting = format!(
        "\nacting: {{ services: [mcp], tokens: {{ issuer: '{ISSUER}', audience: '{RESOURCE}', keys: keys.json }} }}\n"
    );
    Ok(fs::write(&path, fs::read_to_string(&path)? + &acting)?)
}

impl HttpBridge {
    /// A system of these hosts, with such a bridge.
    ///
    /// # Errors
    /// When a part of it does not start.
    pub async fn with_world(aliases: &[&str]) -> anyhow::Result<(World, Self)> {
        let issuer = Issuer::new("key-1")?;
        let world = World::prepare(aliases)?;
        let_bridge_act(&world, &issuer)?;
        let world = world.set_up().await?;
        let bridge = Self::start(&world, issuer, true).await?;
        Ok((world, bridge))
    }

    /// Starts a bridge; without `tokens` it serves its own identity.
    ///
    /// # Errors
    /// When it does not serve.
    pub async fn start(world: &World, issuer: Issuer, tokens: bool) -> anyhow::Result<Self> {
        let http = |address: &str| {
            let listen =
                format!("\nhttp:\n  listen: {address}\n  allowed_origins: ['https://console.example:443']\n");
            let keys =
                format!("  tokens: {{ issuer: '{ISSUER}', audience: '{RESOURCE}', keys: keys.json }}\n");
            if tokens { listen + &keys } else { listen }
        };
        Self::start_with(world, issuer, http).await
    }

    /// Starts a bridge whose file says what `http` makes of its address.
    ///
    /// # Errors
    /// When it does not serve.
    pub async fn start_with(
        world: &World,
        issuer: Issuer,
        http: impl FnOnce(&str) -> String,
    ) -> anyhow::Result<Self> {
        let port = free_port()?;
        let address = format!("127.0.0.1:{port}");
        let text = fs::read_to_string(world.home().join("bridge.yml"))? + &http(&address);
        let config = world.home().join(format!("http-{port}.yml"));
        fs::write(&config, text)?;
        let program = binaries::path("lictor-mcp-bridge")?;
        let config = config.display().to_string();
        let log = world.file("http-bridge.log");
        let process = Process::start(&program, &["--http", "--config", &config], &log)?;
        let bridge = Self { process, address, issuer, ids: AtomicU64::new(0) };
        let healthy = async || matches!(bridge.get("/healthz").await, Ok(a) if a.status == StatusCode::OK);
        eventually("the bridge serves HTTP", healthy).await.with_context(|| bridge.process.log())?;
        Ok(bridge)
    }

    /// A token for a user.
    pub fn token(&self, user: &str) -> String {
        self.issuer.token(user, "read run")
    }

    /// Sends a request; its answer is still to be read.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn open(&self, request: Request<Full<Bytes>>) -> anyhow::Result<http::Response<Incoming>> {
        let tcp = TcpStream::connect(&self.address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(tcp)).await?;
        tokio::spawn(connection);
        Ok(sender.send_request(request).await?)
    }

    /// Sends a request and reads all of its answer.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> anyhow::Result<Answer> {
        let (parts, body) = self.open(request).await?.into_parts();
        let text = String::from_utf8_lossy(&body.collect().await?.to_bytes()).into_owned();
        Ok(Answer { status: parts.status, headers: parts.headers, text })
    }

    /// Gets a path.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn get(&self, path: &str) -> anyhow::Result<Answer> {
        self.send(Request::get(path).header("host", &self.address).body(Full::default())?).await
    }

    /// A POST of `body` to the endpoint.
    ///
    /// # Errors
    /// When a header is none.
    pub fn post(
        &self,
        era: Era,
        sent: &Sent,
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        self.request(Method::POST, era, sent, body)
    }

    /// A request to the endpoint.
    ///
    /// # Errors
    /// When a header is none.
    pub fn request(
        &self,
        method: Method,
        era: Era,
        sent: &Sent,
        body: impl Into<Bytes>,
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("/mcp{}", sent.query))
            .header("content-type", "application/json")
            .header("accept", "application/json, text/event-stream")
            .header("mcp-protocol-version", era.version())
            .body(Full::new(body.into()))?;
        let headers = request.headers_mut();
        headers.insert("host", self.address.parse()?);
        if let Some(token) = &sent.token {
            headers.insert("authorization", format!("Bearer {token}").parse()?);
        }
        if let Some(session) = &sent.session {
            headers.insert("mcp-session-id", session.parse()?);
        }
        for (name, value) in &sent.headers {
            headers.insert(*name, value.parse()?);
        }
        Ok(request)
    }

    /// Opens a session; `None` in the era that has none.
    ///
    /// # Errors
    /// When it is refused.
    pub async fn session(&self, era: Era, token: Option<&str>) -> anyhow::Result<Option<String>> {
        if era == Era::Stateless {
            return Ok(None);
        }
        let sent = Sent { token: token.map(str::to_owned), ..Sent::default() };
        let hello = json!({"jsonrpc": "2.0", "id": self.id(), "method": "initialize", "params": {
            "protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "lictor-tests", "version": "1"}}});
        let answer = self.send(self.post(era, &sent, hello.to_string())?).await?;
        let session = answer.header("mcp-session-id").to_owned();
        anyhow::ensure!(answer.status == StatusCode::OK && !session.is_empty(), "{answer:?}");
        let sent = Sent { session: Some(session.clone()), ..sent };
        let ready = json!({"jsonrpc": "2.0", "method": "notifications/initialized"}).to_string();
        let answer = self.send(self.post(era, &sent, ready)?).await?;
        anyhow::ensure!(answer.status == StatusCode::ACCEPTED, "{answer:?}");
        Ok(Some(session))
    }

    fn id(&self) -> u64 {
        self.ids.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// The request of a method in an era.
    ///
    /// # Errors
    /// When a header is none.
    pub fn method(
        &self,
        era: Era,
        sent: &Sent,
        method: &'static str,
        mut params: Value,
    ) -> anyhow::Result<Request<Full<Bytes>>> {
        let mut sent = sent.clone();
        if era == Era::Stateless {
            let name = params["name"].as_str().or(params["uri"].as_str()).or(params["taskId"].as_str());
            if let Some(name) = name {
                sent.headers.push(("mcp-name", name.to_owned()));
            }
            sent.headers.push(("mcp-method", method.to_owned()));
            let meta = &mut params["_meta"];
            meta["io.modelcontextprotocol/protocolVersion"] = era.version().into();
            meta["io.modelcontextprotocol/clientInfo"] = json!({"name": "lictor-tests", "version": "1"});
            if meta["io.modelcontextprotocol/clientCapabilities"].is_null() {
                meta["io.modelcontextprotocol/clientCapabilities"] = json!({});
            }
        }
        let id = self.id();
        self.post(
            era,
            &sent,
            json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params}).to_string(),
        )
    }

    /// Calls a tool and answers what HTTP says.
    ///
    /// # Errors
    /// When the connection breaks.
    pub async fn try_call(
        &self,
        era: Era,
        sent: &Sent,
        tool: &str,
        arguments: Value,
    ) -> anyhow::Result<Answer> {
        let params = json!({"name": tool, "arguments": arguments});
        self.send(self.method(era, sent, "tools/call", params)?).await
    }

    /// Calls a tool and answers its structured result.
    ///
    /// # Errors
    /// When HTTP or the protocol refuse it; a tool's own error is a result.
    pub async fn call(&self, era: Era, sent: &Sent, tool: &str, arguments: Value) -> anyhow::Result<Value> {
        let answer = self.try_call(era, sent, tool, arguments).await?;
        anyhow::ensure!(answer.status == StatusCode::OK, "{answer:?}");
        let message = answer.message()?;
        anyhow::ensure!(message["error"].is_null(), "{message}");
        Ok(message["result"]["structuredContent"].clone())
    }
}
