//! The connection to the controller: lazy, mutual TLS with an identity that follows its files, and kept alive.

use std::{fmt, io, path::Path, sync::Arc, time::Duration};

use hyper_util::rt::TokioIo;
use lictor_certs::{
    client::{LiveClientTls, connect},
    files::IdentityFiles,
};
use lictor_core::{
    error::{ErrorCode, Failure},
    trace::TraceContext,
};
use lictor_proto::{
    limits::{MAX_MESSAGE_BYTES, MAX_POLICY_MESSAGE_BYTES},
    pb::{
        approval_service_client::ApprovalServiceClient, audit_service_client::AuditServiceClient,
        erasure_service_client::ErasureServiceClient, fleet_service_client::FleetServiceClient,
        freeze_service_client::FreezeServiceClient, job_service_client::JobServiceClient,
        policy_service_client::PolicyServiceClient,
    },
};
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{
    Response, Status,
    service::interceptor::InterceptedService,
    transport::{Channel, Endpoint},
};
use tower::service_fn;

use crate::{
    behalf::OnBehalf,
    carried::{Carried, Trace},
    failure::{NotConnected, deadline_exceeded, explain, with_sources},
};

/// Interval of keepalive pings, sent while idle too: a dead connection is found before the next call needs it.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(10);
/// How long the answer to a ping may take.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(5);
/// How often the identity's files are looked at; certificates are renewed hours before they end.
const IDENTITY_INTERVAL: Duration = Duration::from_secs(30);
/// Longest wait for the answer to a call that only reads or records something.
pub const CALL_DEADLINE: Duration = Duration::from_secs(15);
/// tonic wants a URI; nothing of it is sent or compared, the connector has the address.
const PLACEHOLDER_URI: &str = "http://controller.invalid";

/// Where the controller is and as whom to call it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientConfig {
    /// `host:port`.
    pub address: String,
    /// The caller's certificate, key and root. The trust domain is the certificate's own.
    pub identity: IdentityFiles,
}

/// The calls that everybody may make. Cheap to clone; clones share one connection.
#[derive(Debug, Clone)]
pub struct Client {
    link: Arc<Link>,
    carried: Carried,
}

/// The connection, with what every call carries.
pub(crate) type Wire = InterceptedService<Channel, Carried>;

/// What the calls share.
struct Link {
    channel: Channel,
    address: String,
    /// Ends the watch over the identity's files with the last clone.
    _watch: Option<DropGuard>,
}

// === impl ClientConfig ===

impl ClientConfig {
    /// The identity `<name>.pem` and `<name>.key` in `dir`, with `root.pem` beside them.
    pub fn in_dir(address: String, dir: &Path, name: &str) -> Self {
        Self { address, identity: IdentityFiles::in_dir(dir, name) }
    }
}

// === impl Client ===

impl Client {
    /// Reads the identity and prepares the connection, which is made when the first call needs it and made again when
    /// it breaks. Must be called within a tokio runtime.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` when the identity's files are missing or broken.
    pub fn connect(config: ClientConfig) -> Result<Self, Failure> {
        let ClientConfig { address, identity } = config;
        let tls = Arc::new(LiveClientTls::load(identity).map_err(|error| {
            let next_step = "check the identity's directory and name in the configuration, or have an identity issued (lictor doctor)";
            Failure::new(ErrorCode::Unauthenticated, format!("no identity: {}", with_sources(&error)), next_step)
        })?);
        let cancel = CancellationToken::new();
        tokio::spawn(Arc::clone(&tls).watch(IDENTITY_INTERVAL, cancel.clone()));
        let target = address.clone();
        let connector = service_fn(move |_| {
            let (target, tls) = (target.clone(), Arc::clone(&tls));
            async move {
                let stream = connect(&target, &tls).await;
                stream.map(TokioIo::new).map_err(|source: io::Error| NotConnected { address: target, source })
            }
        });
        let channel = Endpoint::from_static(PLACEHOLDER_URI)
            .http2_keep_alive_interval(KEEPALIVE_INTERVAL)
            .keep_alive_timeout(KEEPALIVE_TIMEOUT)
            .keep_alive_while_idle(true)
            .connect_with_connector_lazy(connector);
        let link = Arc::new(Link { channel, address, _watch: Some(cancel.drop_guard()) });
        Ok(Self { link, carried: Carried::default() })
    }

    /// A client over a channel that somebody else made, e.g. one in memory; `address` is for messages.
    pub fn over(channel: Channel, address: &str) -> Self {
        let link = Arc::new(Link { channel, address: address.to_owned(), _watch: None });
        Self { link, carried: Carried::default() }
    }

    /// The same connection, calling for the user of this access token. The controller proves the token; this side only
    /// brings it.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` for text that no header can carry.
    pub fn on_behalf(&self, token: &str) -> Result<Self, Failure> {
        let carried = Carried { behalf: OnBehalf::new(token)?, trace: self.carried.trace.clone() };
        Ok(Self { link: Arc::clone(&self.link), carried })
    }

    /// The same connection, calling as the service itself.
    pub fn as_itself(&self) -> Self {
        let carried = Carried { behalf: OnBehalf::default(), trace: self.carried.trace.clone() };
        Self { link: Arc::clone(&self.link), carried }
    }

    /// The same connection and for the same user; the calls belong to this trace.
    #[must_use]
    pub fn in_trace(&self, context: &TraceContext) -> Self {
        let carried = Carried { behalf: self.carried.behalf.clone(), trace: Trace::new(context) };
        Self { link: Arc::clone(&self.link), carried }
    }

    fn wire(&self) -> Wire {
        InterceptedService::new(self.link.channel.clone(), self.carried.clone())
    }

    /// The controller's address, as configured.
    pub fn address(&self) -> &str {
        &self.link.address
    }

    /// Awaits the answer to a unary call for at most `deadline`.
    pub(crate) async fn answer<T>(
        &self,
        deadline: Duration,
        call: impl Future<Output = Result<Response<T>, Status>>,
    ) -> Result<T, Failure> {
        match tokio::time::timeout(deadline, call).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(self.failure(&status)),
            Err(_) => Err(deadline_exceeded(self.address(), deadline)),
        }
    }

    /// The failure that `status` is.
    pub(crate) fn failure(&self, status: &Status) -> Failure {
        explain(status, self.address())
    }

    pub(crate) fn job_service(&self) -> JobServiceClient<Wire> {
        JobServiceClient::new(self.wire())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }
    pub(crate) fn fleet_service(&self) -> FleetServiceClient<Wire> {
        FleetServiceClient::new(self.wire())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }
    pub(crate) fn policy_service(&self) -> PolicyServiceClient<Wire> {
        PolicyServiceClient::new(self.wire())
            .max_decoding_message_size(MAX_POLICY_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_POLICY_MESSAGE_BYTES)
    }
    pub(crate) fn erasure_service(&self) -> ErasureServiceClient<Wire> {
        ErasureServiceClient::new(self.wire())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }
    pub(crate) fn freeze_service(&self) -> FreezeServiceClient<Wire> {
        FreezeServiceClient::new(self.wire())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }
    pub(crate) fn approval_service(&self) -> ApprovalServiceClient<Wire> {
        ApprovalServiceClient::new(self.wire())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }
    pub(crate) fn audit_service(&self) -> AuditServiceClient<Wire> {
        AuditServiceClient::new(self.wire())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Link").field("address", &self.address).finish_non_exhaustive()
    }
}
