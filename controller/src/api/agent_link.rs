//! AgentLink: sessions, output and renewal of agents.

use std::sync::Arc;

use lictor_certs::ca::Authority;
use lictor_core::{audit::AuditEvent, error::Failure, principal::Identity};
use lictor_proto::{
    convert::{Invalid, known, parse},
    limits::MAX_CHUNK_BYTES,
    pb::{self, agent_link_server::AgentLink},
};
use lictor_store::{Change, KeptAgent, Write};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{content, enroll::issue, status};
use crate::{
    authn::{AuthenticatedAgent, Caller},
    checkpoint::Checkpoints,
    failure::of_store,
    lifecycle::Lifecycle,
    session::{evidence::signers_of, link},
};

/// The service.
#[derive(Debug)]
pub struct Link {
    lifecycle: Arc<Lifecycle>,
    authority: Arc<Authority>,
    checkpoints: Arc<Checkpoints>,
}

impl Link {
    /// The service of this lifecycle.
    pub const fn new(
        lifecycle: Arc<Lifecycle>,
        authority: Arc<Authority>,
        checkpoints: Arc<Checkpoints>,
    ) -> Self {
        Self { lifecycle, authority, checkpoints }
    }

    async fn take_chunk(&self, agent: &AuthenticatedAgent, chunk: pb::OutputChunk) -> Result<(), Failure> {
        let pb::OutputChunk { invocation_id, stream, offset, data } = chunk;
        if data.len() > MAX_CHUNK_BYTES {
            return Err(
                Invalid::new("data", format_args!("a chunk has at most {MAX_CHUNK_BYTES} bytes")).into()
            );
        }
        let id = parse("invocation_id", &invocation_id)?;
        let stream: pb::StreamName = known("stream", stream)?;
        // Output without a session cannot be placed; it is sent again after the next hello.
        let Some(session) = self.lifecycle.sessions.of(agent.site(), agent.name()) else { return Ok(()) };
        let done = self
            .lifecycle
            .take_output(&session, id, stream.try_into()?, offset, &data)
            .await
            .map_err(of_store)?;
        if let Some(id) = done {
            session.committed(vec![id.to_string()]);
        }
        Ok(())
    }

    async fn renewed(
        &self,
        agent: &AuthenticatedAgent,
        identity: &Identity,
        csr_pem: &str,
    ) -> Result<String, Failure> {
        let issued = issue(&self.lifecycle, &self.authority, csr_pem, identity)?;
        let kept = self.lifecycle.store.agent(agent.site(), agent.name()).await.map_err(of_store)?;
        let event =
            AuditEvent::CertificateRenewed { identity: identity.clone(), serial: issued.serial.clone() };
        let mut change = Change::new(self.lifecycle.clock.now(), event);
        if let Some(kept) = kept {
            let version = kept.version + 1;
            change = change.write(Write::PutAgent(KeptAgent { serial: issued.serial, version, ..kept }));
        }
        let _recorded = self.lifecycle.store.commit(change).await.map_err(of_store)?;
        Ok(issued.chain_pem)
    }
}

#[tonic::async_trait]
impl AgentLink for Link {
    type SessionStream = ReceiverStream<Result<pb::ControllerMessage, Status>>;
    type FetchContentStream = ReceiverStream<Result<pb::FetchContentResponse, Status>>;

    async fn session(
        &self,
        request: Request<Streaming<pb::AgentMessage>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let agent = AuthenticatedAgent::from_call(&request).map_err(status)?;
        // To its end, even if the agent goes away in the middle: what is recorded must also be applied.
        let signers = signers_of(&request, &self.authority).map_err(status)?;
        let (lifecycle, checkpoints) = (Arc::clone(&self.lifecycle), Arc::clone(&self.checkpoints));
        let opening = tokio::spawn(link::open(lifecycle, checkpoints, agent, signers, request.into_inner()));
        let opened = opening.await.map_err(|_| Status::internal("the session could not be opened"))?;
        Ok(Response::new(ReceiverStream::new(opened.map_err(status)?)))
    }

    async fn send_output(
        &self,
        request: Request<Streaming<pb::OutputChunk>>,
    ) -> Result<Response<pb::SendOutputResponse>, Status> {
        let agent = AuthenticatedAgent::from_call(&request).map_err(status)?;
        let mut chunks = request.into_inner();
        while let Some(chunk) = chunks.message().await? {
            self.take_chunk(&agent, chunk).await.map_err(status)?;
        }
        Ok(Response::new(pb::SendOutputResponse {}))
    }

    async fn fetch_content(
        &self,
        request: Request<pb::FetchContentRequest>,
    ) -> Result<Response<Self::FetchContentStream>, Status> {
        let agent = AuthenticatedAgent::from_call(&request).map_err(status)?;
        let file = content::for_agent(&self.lifecycle, &agent, request.get_ref()).await.map_err(status)?;
        Ok(Response::new(content::send(file)))
    }

    async fn renew(&self, request: Request<pb::RenewRequest>) -> Result<Response<pb::RenewResponse>, Status> {
        let agent = AuthenticatedAgent::from_call(&request).map_err(status)?;
        let caller = request.extensions().get::<Caller>().cloned();
        let identity =
            caller.map(|c| c.peer.identity).ok_or_else(|| Status::unauthenticated("no certificate"))?;
        let chain_pem = self.renewed(&agent, &identity, &request.get_ref().csr_pem).await.map_err(status)?;
        Ok(Response::new(pb::RenewResponse { chain_pem }))
    }
}
