//! The way of a request: for which host and from which origin, which path, who, how many at a time, how long, whose session; then
//! MCP.

use std::{convert::Infallible, fmt, sync::Arc};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full, combinators::BoxBody};
use hyper::body::Incoming;
use lictor_oauth::{
    scope::{Scope, Scopes},
    token::{BearerToken, NoBearer},
    verify::Verifier,
};
use rmcp::{
    ServerHandler,
    model::ProtocolVersion,
    transport::{
        StreamableHttpServerConfig, StreamableHttpService,
        streamable_http_server::session::local::{LocalSessionManager, SessionConfig},
    },
};
use tokio_util::sync::CancellationToken;

use super::{
    answers::{self, Answer, Resource, WELL_KNOWN},
    arrivals::Arrivals,
    config::{ENDPOINT, HttpConfig},
    limits::{Limits, MAX_REQUESTS, MAX_REQUESTS_PER_PRINCIPAL},
    message::{self, MAX_MESSAGE_BYTES, NotTaken, Outline},
    origin::Allowed,
    sessions::{Found, Sessions},
};
use crate::auth::Caller;

/// The name under which sessions travel.
const SESSION_ID: &str = "mcp-session-id";
/// The name under which the version of the protocol travels.
const VERSION: &str = "mcp-protocol-version";
/// Who everybody is where there are no tokens: whoever reaches this machine's loopback.
const LOCAL: &str = "local";

/// What stands between the listener and MCP.
pub(super) struct Gate<H> {
    service: StreamableHttpService<H, LocalSessionManager>,
    allowed: Allowed,
    tokens: Option<(Arc<Verifier>, Resource)>,
    scope_of_tool: fn(&str) -> Option<Scope>,
    limits: Arc<Limits>,
    sessions: Arc<Sessions>,
    arrivals: Arc<Arrivals>,
}

/// Who sent a request.
struct Sender {
    name: Arc<str>,
    token: Option<BearerToken>,
    scopes: Option<Scopes>,
}

// === impl Gate ===

impl<H: ServerHandler + Send + 'static> Gate<H> {
    /// A gate to the handlers that `factory` makes, one for each session or request.
    pub(super) fn new(
        config: &HttpConfig,
        verifier: Option<Arc<Verifier>>,
        factory: impl Fn() -> H + Send + Sync + 'static,
        scope_of_tool: fn(&str) -> Option<Scope>,
        stop: CancellationToken,
    ) -> Self {
        let mut manager = LocalSessionManager::default();
        let mut session = SessionConfig::default();
        // A call may be silent for longer than any fixed time; `Sessions` ends those in which nothing runs.
        session.keep_alive = None;
        manager.session_config = session;
        let manager = Arc::new(manager);
        let options = StreamableHttpServerConfig::default()
            .with_allowed_hosts(config.allowed_hosts.clone())
            .with_allowed_origins(config.allowed_origins.clone())
            .enforce_origin_validation()
            .with_json_response(true)
            .with_max_request_body_bytes(MAX_MESSAGE_BYTES)
            .with_cancellation_token(stop);
        let tokens = config.tokens.as_ref().zip(verifier);
        Self {
            service: StreamableHttpService::new(move || Ok(factory()), Arc::clone(&manager), options),
            allowed: Allowed::new(&config.allowed_hosts, &config.allowed_origins),
            tokens: tokens.map(|(t, verifier)| (verifier, Resource::new(t.audience(), t.issuer()))),
            scope_of_tool,
            limits: Limits::new(MAX_REQUESTS, MAX_REQUESTS_PER_PRINCIPAL),
            sessions: Sessions::new(manager),
            arrivals: Arrivals::new(),
        }
    }

    /// The sessions, to be swept.
    pub(super) const fn sessions(&self) -> &Arc<Sessions> {
        &self.sessions
    }

    /// Answers a request.
    pub(super) async fn answer(&self, request: Request<Incoming>) -> Answer {
        let mut answer = match self.allowed.check(&request) {
            Ok(()) => self.at_its_path(request).await,
            Err(foreign) => {
                tracing::warn!(%foreign, "a request was refused");
                answers::text(foreign.status(), &foreign.to_string())
            }
        };
        let nosniff = http::HeaderValue::from_static("nosniff");
        answer.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, nosniff);
        answer
    }

    async fn at_its_path(&self, request: Request<Incoming>) -> Answer {
        match (request.uri().path(), &self.tokens) {
            (ENDPOINT, _) => self.mcp(request).await.unwrap_or_else(|refused| *refused),
            ("/healthz", _) => answers::text(StatusCode::OK, "ok"),
            (path, Some((_, resource))) if is_description(path) && request.method() == Method::GET => {
                resource.description()
            }
            _ => {
                answers::text(StatusCode::NOT_FOUND, &format!("there is nothing here; MCP is at {ENDPOINT}"))
            }
        }
    }

    async fn mcp(&self, request: Request<Incoming>) -> Result<Answer, Box<Answer>> {
        let sender = self.sender(&request).await?;
        let slot = self.limits.take(&sender.name).ok_or_else(|| {
            let what = "too many requests are running; wait for some to end";
            Box::new(answers::too_much(StatusCode::TOO_MANY_REQUESTS, what))
        })?;
        let (mut parts, body) = request.into_parts();
        let body = if parts.method == Method::POST {
            message::read(body, &self.arrivals, &sender.name).await.map_err(refused)?
        } else {
            Bytes::new()
        };
        let outline = (parts.method == Method::POST).then(|| message::outline(&body)).transpose();
        let outline = outline.map_err(refused)?;
        self.permitted(&sender, &parts.method, outline.as_ref())?;

        if is_stateless(&parts.headers) {
            parts.headers.remove(SESSION_ID);
        }
        let id = parts.headers.get(SESSION_ID).map(|id| id.to_str().unwrap_or_default().to_owned());
        let opens = id.is_none() && outline.as_ref().is_some_and(Outline::is_initialize);
        let session = match id.as_deref().map(|id| self.sessions.find(id, &sender.name)) {
            Some(Found::Foreign) => return Err(no_session()),
            Some(Found::Unknown) if parts.method == Method::DELETE => return Err(no_session()),
            Some(Found::Mine(session)) => Some(session),
            Some(Found::Unknown) => {
                self.sessions.disown(id.as_deref().unwrap_or_default()).await;
                None
            }
            None => None,
        };
        let opening = if opens {
            let what = "there are too many sessions; end some with DELETE";
            let refused = || Box::new(answers::too_much(StatusCode::SERVICE_UNAVAILABLE, what));
            Some(self.sessions.open(&sender.name).await.ok_or_else(refused)?)
        } else {
            None
        };
        let held = Arc::new((slot, session));
        // The token goes on in the extensions alone, which nothing prints or records.
        parts.headers.remove(header::AUTHORIZATION);
        parts.extensions.insert(Caller::new(sender.name, sender.token, Arc::clone(&held)));
        let answer = self.service.handle(Request::from_parts(parts, Full::new(body))).await;
        let opened = answer.headers().get(SESSION_ID).and_then(|id| id.to_str().ok());
        if let (Some(opening), Some(id)) = (opening, opened) {
            opening.opened(id);
        }
        Ok(answer.map(|body| while_it_lasts(body, held)))
    }

    /// Who sent it: by its token, which is looked for in its header alone.
    async fn sender(&self, request: &Request<Incoming>) -> Result<Sender, Box<Answer>> {
        let Some((verifier, resource)) = &self.tokens else {
            return Ok(Sender { name: LOCAL.into(), token: None, scopes: None });
        };
        let scope = Scope::Read;
        let token =
            BearerToken::of(request.headers()).map_err(|why| Box::new(resource.no_token(why, scope)))?;
        if has_token(request.uri().query()) {
            return Err(Box::new(resource.no_token(NoBearer::Malformed, scope)));
        }
        let verified = verifier.verify(&token).await.map_err(|why| {
            tracing::info!(%why, "a token was refused");
            Box::new(resource.bad_token(&why, scope))
        })?;
        Ok(Sender { name: verified.to_string().into(), token: Some(token), scopes: Some(verified.scopes) })
    }

    fn permitted(
        &self,
        sender: &Sender,
        method: &Method,
        outline: Option<&Outline<'_>>,
    ) -> Result<(), Box<Answer>> {
        let (Some(scopes), Some((_, resource))) = (sender.scopes, &self.tokens) else { return Ok(()) };
        let needed = match outline {
            Some(outline) => outline.scope(self.scope_of_tool),
            None if method == Method::GET => Some(Scope::Read),
            None => None,
        };
        match needed {
            Some(scope) if !scopes.has(scope) => Err(Box::new(resource.lacks(scope))),
            _ => Ok(()),
        }
    }
}

impl<H> fmt::Debug for Gate<H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gate").field("tokens", &self.tokens).finish_non_exhaustive()
    }
}

fn refused(why: NotTaken) -> Box<Answer> {
    Box::new(answers::not_taken(why))
}

/// For whom it does not belong to, a session does not exist.
fn no_session() -> Box<Answer> {
    Box::new(answers::text(StatusCode::NOT_FOUND, "there is no such session; initialize a new one"))
}

/// Whether a request says that it is of an era without sessions, in which the name of one means nothing. Where the message
/// says otherwise, it is refused later.
fn is_stateless(headers: &HeaderMap) -> bool {
    let version = headers.get(VERSION).and_then(|version| version.to_str().ok());
    ProtocolVersion::KNOWN_VERSIONS
        .iter()
        .any(|known| Some(known.as_str()) == version && !known.has_initialize())
}

fn is_description(path: &str) -> bool {
    path.strip_prefix(WELL_KNOWN).is_some_and(|rest| rest.is_empty() || rest == ENDPOINT)
}

/// Whether a query has a token, where other software writes it down.
fn has_token(query: Option<&str>) -> bool {
    query.unwrap_or_default().split('&').any(|pair| pair.split('=').next() == Some("access_token"))
}

/// The body, with something that is held until its end.
pub(super) fn while_it_lasts<T: Send + Sync + 'static>(
    body: BoxBody<Bytes, Infallible>,
    held: T,
) -> BoxBody<Bytes, Infallible> {
    body.map_frame(move |frame| {
        let _held = &held;
        frame
    })
    .boxed()
}
