//! The API: one service a file, behind one guard; and the listeners on which they are served.

pub mod agent_link;
pub mod approvals;
pub mod audit;
mod content;
mod cursor;
pub mod enroll;
pub mod erasures;
pub mod fleet;
pub mod freezes;
pub mod guard;
pub mod jobs;
mod own_records;
mod pages;
pub mod policies;
mod traced;
mod transport;

use std::{
    io,
    pin::Pin,
    task::{Context, Poll},
};

use futures_util::StreamExt as _;
use lictor_certs::{peer::Peer, server::Connection};
use lictor_core::error::Failure;
use lictor_proto::{
    DESCRIPTORS,
    limits::{MAX_LINK_MESSAGE_BYTES, MAX_MESSAGE_BYTES, MAX_POLICY_MESSAGE_BYTES},
    pb,
    status::to_status,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_stream::Stream;
use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};
use tonic::{Status, transport::server::Connected};

use self::guard::GuardLayer;
use crate::authn::Caller;

/// The services of the main listener.
#[derive(Debug)]
pub struct Services {
    /// Jobs.
    pub jobs: jobs::Jobs,
    /// Policy.
    pub policies: policies::PolicyApi,
    /// Fleet.
    pub fleet: fleet::FleetApi,
    /// Audit.
    pub audit: audit::AuditApi,
    /// Consent.
    pub approvals: approvals::ApprovalApi,
    /// Erasing payloads.
    pub erasures: erasures::ErasureApi,
    /// Freezes.
    pub freezes: freezes::FreezeApi,
    /// Agents' sessions.
    pub link: agent_link::Link,
}

/// A connection as tonic takes it: with who is at its other end, and until they are revoked.
#[derive(Debug)]
struct Conn<P> {
    io: Connection<P>,
    cut: CancellationToken,
    /// Wakes whoever waits to read.
    until_cut: Pin<Box<WaitForCancellationFutureOwned>>,
}

/// A server that cannot be built or has failed.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Reflection.
    #[error("the descriptors of the API are damaged")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// Transport.
    #[error("the server failed")]
    Transport(#[from] tonic::transport::Error),
}

/// Serves callers and agents until `stop`.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(
    services: Services,
    guard: GuardLayer,
    connections: impl Stream<Item = io::Result<Connection<Peer>>> + Send + Unpin + 'static,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<pb::job_service_server::JobServiceServer<jobs::Jobs>>().await;
    let reflection = tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .build_v1()?;
    let Services { jobs, policies, fleet, audit, approvals, erasures, freezes, link } = services;
    let revocations = link.revocations();
    let connections = connections.map(move |opened| {
        opened.map(|io| {
            let cut = revocations.cut_of(&io.peer);
            Conn::new(io, cut)
        })
    });
    transport::server()
        .trace_fn(traced::span)
        .layer(guard)
        .add_service(bounded(pb::job_service_server::JobServiceServer::new(jobs)))
        .add_service(bounded(pb::policy_service_server::PolicyServiceServer::new(policies)))
        .add_service(bounded(pb::fleet_service_server::FleetServiceServer::new(fleet)))
        .add_service(bounded(pb::audit_service_server::AuditServiceServer::new(audit)))
        .add_service(bounded(pb::approval_service_server::ApprovalServiceServer::new(approvals)))
        .add_service(bounded(pb::erasure_service_server::ErasureServiceServer::new(erasures)))
        .add_service(bounded(pb::freeze_service_server::FreezeServiceServer::new(freezes)))
        .add_service(
            pb::agent_link_server::AgentLinkServer::new(link)
                .max_decoding_message_size(MAX_LINK_MESSAGE_BYTES)
                .max_encoding_message_size(MAX_LINK_MESSAGE_BYTES),
        )
        .add_service(health_service)
        .add_service(reflection)
        .serve_with_incoming_shutdown(connections, stop.cancelled_owned())
        .await?;
    Ok(())
}

/// Serves agents that join, until `stop`.
///
/// # Errors
/// [`ServeError`].
pub async fn serve_enrolment(
    enroll: enroll::Enroll,
    connections: impl Stream<Item = io::Result<Connection<()>>> + Send + Unpin + 'static,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    // Nobody has a certificate yet that could be revoked.
    let connections = connections.map(|opened| opened.map(|io| Conn::new(io, CancellationToken::new())));
    transport::server()
        .add_service(bounded(pb::enroll_service_server::EnrollServiceServer::new(enroll)))
        .serve_with_incoming_shutdown(connections, stop.cancelled_owned())
        .await?;
    Ok(())
}

/// A service whose messages are bounded.
trait Bounded {
    fn bounded(self) -> Self;
}

macro_rules! bounded {
    ($($module:ident::$server:ident<$implementation:ty>: $bytes:expr),* $(,)?) => {$(
        impl Bounded for pb::$module::$server<$implementation> {
            fn bounded(self) -> Self {
                self.max_decoding_message_size($bytes).max_encoding_message_size($bytes)
            }
        }
    )*};
}

bounded! {
    job_service_server::JobServiceServer<jobs::Jobs>: MAX_MESSAGE_BYTES,
    policy_service_server::PolicyServiceServer<policies::PolicyApi>: MAX_POLICY_MESSAGE_BYTES,
    fleet_service_server::FleetServiceServer<fleet::FleetApi>: MAX_MESSAGE_BYTES,
    audit_service_server::AuditServiceServer<audit::AuditApi>: MAX_MESSAGE_BYTES,
    approval_service_server::ApprovalServiceServer<approvals::ApprovalApi>: MAX_MESSAGE_BYTES,
    erasure_service_server::ErasureServiceServer<erasures::ErasureApi>: MAX_MESSAGE_BYTES,
    freeze_service_server::FreezeServiceServer<freezes::FreezeApi>: MAX_MESSAGE_BYTES,
    enroll_service_server::EnrollServiceServer<enroll::Enroll>: MAX_MESSAGE_BYTES,
}

fn bounded<S: Bounded>(service: S) -> S {
    service.bounded()
}

/// A failure as a status, for `map_err`.
fn status<F: Into<Failure>>(failure: F) -> Status {
    to_status(&failure.into())
}

// === impl Conn ===

impl<P> Conn<P> {
    fn new(io: Connection<P>, cut: CancellationToken) -> Self {
        let until_cut = Box::pin(cut.clone().cancelled_owned());
        Self { io, cut, until_cut }
    }
}

fn was_cut() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "its certificate was revoked")
}

impl Connected for Conn<Peer> {
    type ConnectInfo = Caller;
    fn connect_info(&self) -> Caller {
        Caller { peer: self.io.peer.clone(), remote: self.io.remote }
    }
}

impl Connected for Conn<()> {
    type ConnectInfo = std::net::SocketAddr;
    fn connect_info(&self) -> std::net::SocketAddr {
        self.io.remote
    }
}

impl<P: Unpin> AsyncRead for Conn<P> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.until_cut.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Err(was_cut()));
        }
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl<P: Unpin> AsyncWrite for Conn<P> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if self.cut.is_cancelled() {
            return Poll::Ready(Err(was_cut()));
        }
        Pin::new(&mut self.io).poll_write(cx, buf)
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}
