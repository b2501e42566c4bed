//! An agent that says what a test tells it to, over the real link, with the real agent's certificate.

use std::time::Duration;

use anyhow::{Context as _, bail};
use lictor_core::outcome::Outcome;
use lictor_proto::pb::{
    self, agent_link_client::AgentLinkClient, agent_message::Message as Out,
    controller_message::Message as In,
};
use prost::Message as _;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use crate::{World, process::PATIENCE, wire};

/// Messages that may wait; tests say a few.
const OUTBOX: usize = 64;

/// One session.
#[derive(Debug)]
pub struct FakeAgent {
    out: mpsc::Sender<pb::AgentMessage>,
    inbound: Streaming<pb::ControllerMessage>,
    /// The epoch that the controller gave.
    pub epoch: u64,
}

impl FakeAgent {
    /// Opens a session for the agent that has joined; it has these hosts and nothing in its journal.
    ///
    /// # Errors
    /// When the controller refuses.
    pub async fn connect(world: &World, journal_id: &str) -> anyhow::Result<Self> {
        let identity = world.home().join("identity/agent");
        let channel = wire::channel(world.address(), &identity, "agent")?;
        let hosts = world.hosts.iter().map(|host| pb::InventoryHost {
            alias: host.alias.clone(),
            tags: vec!["all".into()],
            address: format!("127.0.0.1:{}", host.port()),
            user: "fake".into(),
            ..Default::default()
        });
        let hello = pb::Hello {
            version: "fake".into(),
            inventory: Some(pb::Inventory { hosts: hosts.collect() }),
            journal: Vec::new(),
            journal_id: journal_id.into(),
            witness: None,
        };
        let (out, messages) = mpsc::channel(OUTBOX);
        out.send(message(Out::Hello(hello))).await?;
        let response = AgentLinkClient::new(channel).session(ReceiverStream::new(messages)).await?;
        let mut this = Self { out, inbound: response.into_inner(), epoch: 0 };
        match this.next().await? {
            In::Welcome(welcome) => this.epoch = welcome.epoch,
            other => bail!("no welcome but {other:?}"),
        }
        Ok(this)
    }

    /// Says that something was started.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn started(&self, invocation: &str) -> anyhow::Result<()> {
        let progress = pb::Progress { accepted: Vec::new(), started: vec![invocation.into()] };
        Ok(self.out.send(message(Out::Progress(progress))).await?)
    }

    /// Says how something ended.
    ///
    /// # Errors
    /// When the session is over.
    pub async fn report(&self, invocation: &str, outcome: &Outcome) -> anyhow::Result<()> {
        let result = pb::InvocationResult {
            invocation_id: invocation.into(),
            outcome: Some(outcome.into()),
            started_at: 1,
            ended_at: 2,
            address: "127.0.0.1:22".into(),
            output: Some(pb::Output::default()),
            output_inline: true,
            guard: pb::Guard::Journal.into(),
            redactions: 0,
            evidence: None,
        };
        Ok(self.out.send(message(Out::Results(pb::Results { results: vec![result] }))).await?)
    }

    /// Waits for an offer; the invocations in it.
    ///
    /// # Errors
    /// When none comes.
    pub async fn offered(&mut self) -> anyhow::Result<Vec<String>> {
        loop {
            if let In::Offer(offer) = self.next().await? {
                let grant = pb::Grant::decode(&*offer.grant)?;
                return Ok(grant.targets.into_iter().map(|target| target.invocation_id).collect());
            }
        }
    }

    /// Waits until the controller says that it has this end.
    ///
    /// # Errors
    /// When it never does.
    pub async fn committed(&mut self, invocation: &str) -> anyhow::Result<()> {
        loop {
            if let In::Committed(committed) = self.next().await?
                && committed.invocation_ids.iter().any(|id| id == invocation)
            {
                return Ok(());
            }
        }
    }

    async fn next(&mut self) -> anyhow::Result<In> {
        let heartbeat = Out::Heartbeat(pb::Heartbeat { in_flight: 0, now: 0 });
        let _ = self.out.try_send(message(heartbeat));
        let message = tokio::time::timeout(PATIENCE + Duration::from_secs(1), self.inbound.message()).await;
        let message = message.context("the controller says nothing")??;
        message.context("the controller ended the session")?.message.context("an empty message")
    }
}

const fn message(message: Out) -> pb::AgentMessage {
    pb::AgentMessage { message: Some(message) }
}
