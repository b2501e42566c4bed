//! AgentLink: sessions, output and renewal of agents.

use std::sync::Arc;

use bytes::Bytes;
use lictor_certs::ca::Authority;
use lictor_core::{
    audit::AuditEvent, error::Failure, id::InvocationId, output::StreamName, principal::Identity,
};
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
    revocations::{Revocations, refusal_by},
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

    /// Which certificates of agents count.
    pub(super) fn revocations(&self) -> Arc<Revocations> {
        Arc::clone(&self.lifecycle.revocations)
    }

    async fn take_chunk(&self, agent: &AuthenticatedAgent, chunk: pb::OutputChunk) -> Result<(), Failure> {
        let (id, stream, offset, data) = read(chunk)?;
        // Output without a session cannot be placed; it is sent again after the next hello.
        let Some(session) = self.lifecycle.sessions.of(agent.site(), agent.name()) else { return Ok(()) };
        let done = self.lifecycle.take_output(&session, id, stream, offset, &data).await.map_err(of_store)?;
        if let Some(id) = done {
            session.committed(vec![id.to_string()]);
        }
        Ok(())
    }

    /// Never waits: nothing that is shown live may hold up what else the connection carries.
    fn show_chunk(&self, agent: &AuthenticatedAgent, chunk: pb::OutputChunk) -> Result<(), Failure> {
        let (id, stream, offset, data) = read(chunk)?;
        if let Some(slot) = self.lifecycle.jobs.invocation(id) {
            let (site, name) = (agent.site(), agent.name());
            let runs = slot.job.with(slot.index, |invocation, _| {
                invocation.kept.site == *site && invocation.kept.state.agent() == Some(name)
            });
            if runs == Some(true) {
                self.lifecycle.jobs.show(&slot, stream, offset, &data);
            }
        }
        Ok(())
    }

    async fn renewed(
        &self,
        agent: &AuthenticatedAgent,
        identity: &Identity,
        csr_pem: &str,
    ) -> Result<String, Failure> {
        let kept = self.lifecycle.store.agent(agent.site(), agent.name()).await.map_err(of_store)?;
        // Revoked since the call was let in, or being revoked; the commit notices if it is from here on.
        let recorded = kept.as_ref().and_then(|kept| refusal_by(kept, agent.generation()));
        let refusal = || self.lifecycle.revocations.refusal(agent.site(), agent.name(), agent.generation());
        if let Some(refusal) = recorded.or_else(refusal) {
            return Err(refusal);
        }
        let generation = kept.as_ref().map_or(0, |kept| kept.generation);
        let issued = issue(&self.lifecycle, &self.authority, csr_pem, identity, generation)?;
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

/// Whose output it is, of which stream, its place and its bytes.
fn read(chunk: pb::OutputChunk) -> Result<(InvocationId, StreamName, u64, Bytes), Invalid> {
    let pb::OutputChunk { invocation_id, stream, offset, data } = chunk;
    if data.len() > MAX_CHUNK_BYTES {
        return Err(Invalid::new("data", format_args!("a chunk has at most {MAX_CHUNK_BYTES} bytes")));
    }
    // Positions are counted on from it.
    if offset.checked_add(data.len() as u64).is_none() {
        return Err(Invalid::new("offset", "no stream is that long"));
    }
    let stream: pb::StreamName = known("stream", stream)?;
    Ok((parse("invocation_id", &invocation_id)?, stream.try_into()?, offset, data))
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

    async fn send_live(
        &self,
        request: Request<Streaming<pb::OutputChunk>>,
    ) -> Result<Response<pb::SendLiveResponse>, Status> {
        let agent = AuthenticatedAgent::from_call(&request).map_err(status)?;
        let mut chunks = request.into_inner();
        while let Some(chunk) = chunks.message().await? {
            self.show_chunk(&agent, chunk).map_err(status)?;
        }
        Ok(Response::new(pb::SendLiveResponse {}))
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
