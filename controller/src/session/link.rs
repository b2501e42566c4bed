//! One session, from hello to goodbye: a closed set of things that can happen, handled one after another.

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use lictor_certs::evidence::Signers;
use lictor_core::{
    audit::AuditEvent,
    error::{ErrorCode, Failure},
    id::InvocationId,
    invocation::InvocationEvent,
    limits::MAX_HOSTS_PER_SITE,
};
use lictor_proto::{
    convert::{Invalid, at_most, known, parse},
    limits::{MAX_IDS_PER_MESSAGE, MAX_MESSAGE_BYTES, MAX_RESULTS_PER_MESSAGE},
    pb,
};
use lictor_store::{Change, KeptAgent, Write};
use prost::Message as _;
use tokio::sync::mpsc;
use tonic::{Status, Streaming};

use super::{
    OUTBOX, Session,
    witness::{Claim, Witnessing},
};
use crate::{
    authn::AuthenticatedAgent, checkpoint::Checkpoints, failure::of_store, inventory, lifecycle::Lifecycle,
    revocations::refusal_by,
};

/// How long an agent may take for its first message.
const HELLO_WAIT: Duration = Duration::from_secs(10);

/// Longest version, and longest identity of a journal.
const MAX_TEXT_BYTES: usize = 64;

/// Results that one commit takes in when an agent sends message after message: large enough to share a sync among many,
/// and far below what a change may have …
const RESULTS_AT_ONCE: usize = 4 * MAX_RESULTS_PER_MESSAGE;
/// … unless they have so many bytes, as those with much output do.
const RESULT_BYTES_AT_ONCE: usize = MAX_MESSAGE_BYTES;

/// What can happen in a session.
enum Event {
    Message(Box<pb::agent_message::Message>),
    Look,
    CheckpointDue,
    End(Option<Status>),
}

/// The messages to the agent, as the call answers them.
pub type Outbox = mpsc::Receiver<Result<pb::ControllerMessage, Status>>;

/// Opens a session: hello, a higher epoch, welcome, reconciling; then it goes on by itself until the agent leaves.
///
/// # Errors
/// [`Failure`] when the hello does not come or cannot be taken.
pub async fn open(
    lifecycle: Arc<Lifecycle>,
    checkpoints: Arc<Checkpoints>,
    agent: AuthenticatedAgent,
    signers: Signers,
    mut inbound: Streaming<pb::AgentMessage>,
) -> Result<Outbox, Failure> {
    let hello = first_message(&mut inbound).await?;
    let journal = journal_of(&hello)?;
    for (field, text) in [("hello.version", &hello.version), ("hello.journal_id", &hello.journal_id)] {
        if text.len() > MAX_TEXT_BYTES || text.chars().any(char::is_control) {
            return Err(Invalid::new(field, "it is too long or has control characters").into());
        }
    }
    let claim = Claim::of(&hello, &agent, &checkpoints)?;
    let cut = lifecycle.revocations.cut_of_session(agent.site(), agent.name(), agent.generation())?;
    let kept = next_epoch(&lifecycle, &agent, &hello.journal_id, claim.as_ref()).await?;
    let (sender, receiver) = mpsc::channel(OUTBOX);
    let now = lifecycle.clock.now();
    let key = (agent.site().clone(), agent.name().clone());
    let address = agent.remote().to_string();
    let session = Session::new(key, kept.epoch, address, hello.version, sender, now);
    let session = Arc::new(session.trusting(signers).cut_by(cut));
    session.welcome(now);
    let witnessing =
        Witnessing::begin(checkpoints, claim, &*lifecycle.store, &session).await.map_err(of_store)?;
    inventory::take(&lifecycle, &session, hello.inventory.unwrap_or_default()).await?;
    lifecycle.admit_session(&session);
    // Whoever revokes looks for the session after it has said so: one of the two sees the other.
    if let Some(refusal) = lifecycle.revocations.refusal(agent.site(), agent.name(), agent.generation()) {
        lifecycle.sessions.remove(&session);
        return Err(refusal);
    }
    if let Err(error) = lifecycle.reconcile(&session, &journal).await {
        lifecycle.sessions.remove(&session);
        return Err(of_store(error));
    }
    tracing::info!(site = %session.site(), agent = %session.agent(), epoch = session.epoch(), "an agent is connected");
    tokio::spawn(serve(lifecycle, session, witnessing, inbound));
    Ok(receiver)
}

async fn serve(
    lifecycle: Arc<Lifecycle>,
    session: Arc<Session>,
    mut witnessing: Witnessing,
    mut inbound: Streaming<pb::AgentMessage>,
) {
    let mut next = None;
    let ended = loop {
        let event = tokio::select! {
            biased;
            () = session.revoked() => Event::End(Some(Status::unauthenticated("it was revoked"))),
            message = received(&mut next, &mut inbound) => gathered(message, &mut next, &mut inbound),
            () = session.told_to_look() => Event::Look,
            () = witnessing.due() => Event::CheckpointDue,
            () = session.fell_behind() => Event::End(Some(Status::resource_exhausted("it fell too far behind"))),
        };
        if !matches!(event, Event::CheckpointDue) {
            session.heard(lifecycle.clock.now());
        }
        match event {
            Event::Message(message) => {
                if let Err(failure) = handle(&lifecycle, &session, &mut witnessing, *message).await {
                    break Some(failure.to_string());
                }
            }
            Event::Look => {
                if let Err(error) = lifecycle.offer_waiting(&session).await {
                    break Some(error.to_string());
                }
            }
            Event::CheckpointDue => {
                if let Err(error) = witnessing.show_newest(&*lifecycle.store, &session).await {
                    break Some(error.to_string());
                }
            }
            Event::End(status) => break status.map(|s| s.message().to_owned()),
        }
    };
    lifecycle.sessions.remove(&session);
    let why = ended.unwrap_or_else(|| "it left".into());
    tracing::info!(site = %session.site(), agent = %session.agent(), epoch = session.epoch(), why, "an agent is disconnected");
}

/// What was received already and not looked at, or what is received next.
async fn received(next: &mut Option<Event>, inbound: &mut Streaming<pb::AgentMessage>) -> Event {
    match next.take() {
        Some(event) => event,
        None => inbound.message().await.into(),
    }
}

/// With results come those of the messages behind them that are here already; the first that has none is `next`.
fn gathered(event: Event, next: &mut Option<Event>, inbound: &mut Streaming<pb::AgentMessage>) -> Event {
    use pb::agent_message::Message;
    let Event::Message(mut first) = event else { return event };
    if let Message::Results(all) = &mut *first {
        let mut bytes = all.encoded_len();
        while all.results.len() < RESULTS_AT_ONCE
            && bytes < RESULT_BYTES_AT_ONCE
            && next.is_none()
            && let Some(message) = inbound.message().now_or_never()
        {
            match Event::from(message) {
                Event::Message(more) => match *more {
                    Message::Results(more) => {
                        bytes += more.encoded_len();
                        all.results.extend(more.results);
                    }
                    other => *next = Some(Event::Message(Box::new(other))),
                },
                other => *next = Some(other),
            }
        }
    }
    Event::Message(first)
}

impl From<Result<Option<pb::AgentMessage>, Status>> for Event {
    fn from(message: Result<Option<pb::AgentMessage>, Status>) -> Self {
        match message {
            Ok(Some(pb::AgentMessage { message: Some(message) })) => Self::Message(Box::new(message)),
            Ok(Some(pb::AgentMessage { message: None })) => Self::End(Some(Status::invalid_argument(
                "a message of a kind that this version does not know",
            ))),
            Ok(None) => Self::End(None),
            Err(status) => Self::End(Some(status)),
        }
    }
}

async fn handle(
    lifecycle: &Arc<Lifecycle>,
    session: &Session,
    witnessing: &mut Witnessing,
    message: pb::agent_message::Message,
) -> Result<(), Failure> {
    use pb::agent_message::Message;
    match message {
        Message::Hello(_) => Err(Failure::from(Invalid::new("hello", "it comes once, first"))),
        Message::Heartbeat(pb::Heartbeat { in_flight, now: _ }) => {
            session.runs(in_flight);
            Ok(())
        }
        Message::Progress(pb::Progress { accepted, started }) => {
            observe(lifecycle, session, &accepted, &InvocationEvent::Accept)?;
            observe(lifecycle, session, &started, &InvocationEvent::Start)
        }
        Message::Results(pb::Results { results }) => {
            let durable = lifecycle.take_results(session, results).await.map_err(of_store)?;
            if !durable.is_empty() {
                session.committed(durable);
            }
            Ok(())
        }
        Message::Inventory(inventory) => inventory::take(lifecycle, session, inventory).await,
        Message::FrozenTaken(pb::FrozenTaken { version }) => {
            session.took_frozen(version);
            Ok(())
        }
        Message::Cosignature(answer) => witnessing.answered(lifecycle, session, answer).await,
    }
}

fn observe(
    lifecycle: &Lifecycle,
    session: &Session,
    ids: &[String],
    event: &InvocationEvent,
) -> Result<(), Failure> {
    at_most("progress", ids, MAX_IDS_PER_MESSAGE)?;
    for id in ids {
        let id: InvocationId = parse("progress", id)?;
        let Some(slot) = lifecycle.jobs.invocation(id) else { continue };
        let theirs = slot.job.with(slot.index, |i, _| {
            i.kept.state.agent() == Some(session.agent()) && i.kept.site == *session.site()
        });
        if theirs == Some(true) {
            slot.job.observe(slot.index, event.clone());
        }
    }
    Ok(())
}

async fn first_message(inbound: &mut Streaming<pb::AgentMessage>) -> Result<pb::Hello, Failure> {
    let silent = || {
        Failure::new(
            ErrorCode::InvalidArgument,
            "the first message is not a hello",
            "use an agent of this version",
        )
    };
    let message = tokio::time::timeout(HELLO_WAIT, inbound.message()).await.map_err(|_| silent())?;
    match message {
        Ok(Some(pb::AgentMessage { message: Some(pb::agent_message::Message::Hello(hello)) })) => Ok(hello),
        _ => Err(silent()),
    }
}

fn journal_of(hello: &pb::Hello) -> Result<HashMap<InvocationId, pb::JournalPhase>, Failure> {
    at_most("hello.journal", &hello.journal, MAX_IDS_PER_MESSAGE)?;
    at_most("hello.inventory", &hello.inventory.clone().unwrap_or_default().hosts, MAX_HOSTS_PER_SITE)?;
    let entries = hello.journal.iter().map(|entry| {
        Ok((parse("hello.journal", &entry.invocation_id)?, known("hello.journal.phase", entry.phase)?))
    });
    entries.collect::<Result<_, Invalid>>().map_err(Failure::from)
}

/// Records the session with the next epoch. If the agent comes with another journal than before, what it had is
/// settled first: once the new journal is recorded, nobody would know any more that one was lost.
async fn next_epoch(
    lifecycle: &Arc<Lifecycle>,
    agent: &AuthenticatedAgent,
    journal_id: &str,
    claim: Option<&Claim>,
) -> Result<KeptAgent, Failure> {
    let kept = lifecycle.store.agent(agent.site(), agent.name()).await.map_err(of_store)?;
    let kept = kept.ok_or_else(|| not_enrolled(agent))?;
    // After the record was read: whoever is revoking it then sees at most what was let in before.
    let refusal = || lifecycle.revocations.refusal(agent.site(), agent.name(), agent.generation());
    if let Some(refusal) = refusal_by(&kept, agent.generation()).or_else(refusal) {
        return Err(refusal);
    }
    if !kept.journal_id.is_empty() && kept.journal_id != journal_id {
        tracing::error!(site = %agent.site(), agent = %agent.name(), "an agent comes without its journal; what it had is UNKNOWN");
        lifecycle.settle_lost_journal(agent.site(), agent.name()).await.map_err(of_store)?;
    }
    let mut next = KeptAgent {
        epoch: kept.epoch + 1,
        version: kept.version + 1,
        journal_id: journal_id.to_owned(),
        ..kept
    };
    let event = AuditEvent::AgentConnected {
        site: next.site.clone(),
        agent: next.name.clone(),
        epoch: next.epoch,
        address: agent.remote().to_string(),
    };
    let mut change = Change::new(lifecycle.clock.now(), event);
    if let Some(claim) = claim {
        (change, next.witness_key) = claim.record(change, &next);
    }
    let change = change.write(Write::PutAgent(next.clone()));
    let _recorded = lifecycle.store.commit(change).await.map_err(of_store)?;
    Ok(next)
}

fn not_enrolled(agent: &AuthenticatedAgent) -> Failure {
    Failure::new(
        ErrorCode::Forbidden,
        format!("the agent {}/{} is not enrolled with this controller", agent.site(), agent.name()),
        "make a join token for it and let it join (lictor agent token)",
    )
}
