//! One session: hello, welcome, then one loop over everything that can happen.

use std::{pin::pin, sync::Arc, time::Duration};

use lictor_core::{
    clock::Timestamp, error::Failure, id::InvocationId, limits::HEARTBEAT_INTERVAL, revocation::REVOKED,
};
use lictor_proto::{
    limits::MAX_IDS_PER_MESSAGE,
    pb::{self, agent_message::Message as Out, controller_message::Message as In},
    status::from_status,
};
use lictor_runtime::shutdown::Shutdown;
use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming};

use super::{Link, clocks::Clocks, dial::dial, epoch::EpochError};
use crate::{
    admit::denied,
    exec::journal_down,
    inventory,
    output::{feed, upload},
    work::MAX_KNOWN,
};

/// Messages handed to the connection and not yet sent; more wait where they can still be merged into one.
const OUTBOX: usize = 16;
/// Time for the controller to answer a hello.
const WELCOME_TIMEOUT: Duration = Duration::from_secs(10);
/// Heartbeats are never asked for faster than this, whatever a controller says …
const MIN_HEARTBEAT: Duration = Duration::from_millis(100);
/// … nor slower.
const MAX_HEARTBEAT: Duration = Duration::from_secs(60);

/// Why a session ended or did not come to be.
#[derive(Debug)]
pub(crate) enum SessionError {
    /// No connection.
    Dial(tonic::transport::Error),
    /// The controller refused, or the connection broke.
    Status(Status),
    /// It did not begin with a welcome.
    NoWelcome,
    /// Its epoch was refused.
    Epoch(EpochError),
    /// This agent is revoked.
    Revoked(Failure),
}

/// Everything that can happen in a session.
enum Event {
    Received(Result<Option<pb::ControllerMessage>, Status>),
    FreezeTaken(u64),
    SomethingToSend,
    CanSend,
    HeartbeatDue,
    SiteChanged,
    Witnessed(Option<pb::Cosignature>),
}

/// What is to be sent beside what the work has.
#[derive(Default)]
struct Due {
    work: bool,
    heartbeat: bool,
    inventory: bool,
    frozen: Option<u64>,
    cosignature: Option<pb::Cosignature>,
}

/// One session, to its end.
pub(crate) async fn run(
    link: &mut Link,
    welcomed: &mut bool,
    shutdown: &Shutdown,
) -> Result<(), SessionError> {
    let mut client = dial(&link.controller, &link.tls).await.map_err(SessionError::Dial)?;
    let mut site_changed = link.site.subscribe();
    let (outbox, messages) = mpsc::channel(OUTBOX);
    let hello = hello(link);
    // The queue is empty and its other end is here.
    let _ = outbox.try_send(pb::AgentMessage { message: Some(Out::Hello(hello)) });
    let asked = std::time::Instant::now();
    let opening = timeout(WELCOME_TIMEOUT, open(&mut client, messages)).await;
    let (mut inbound, welcome) = opening.map_err(|_| SessionError::NoWelcome)??;
    link.epoch.take(welcome.epoch).map_err(SessionError::Epoch)?;
    *welcomed = true;
    link.witness.welcomed();
    tracing::info!(epoch = welcome.epoch, "session with the controller is up");
    let clocks = Clocks::compare(asked, Timestamp::from_micros(welcome.now));
    if let Some(outcome) = clocks.refusal(link.clock.now()) {
        tracing::error!(%outcome, "whatever is offered will be refused");
    }
    link.client.send_replace(Some(client.clone()));
    let live = feed::send(link.runner.uplink.feed(), client.clone());
    let uploads = upload::run(Arc::clone(&link.runner.work), link.runner.spool.clone(), client);
    let talking = talk(link, &mut inbound, &outbox, (&welcome, &clocks), &mut site_changed);
    tokio::select! {
        ended = talking => ended,
        () = uploads => Ok(()),
        () = live => Ok(()),
        () = shutdown.stopping() => Ok(()),
    }
}

fn hello(link: &Link) -> pb::Hello {
    pb::Hello {
        version: env!("CARGO_PKG_VERSION").into(),
        inventory: Some(inventory::report(&link.site.current())),
        journal: link.runner.work.begin_session(),
        journal_id: link.runner.journal.identity().to_owned(),
        witness: Some(link.witness.begin_session()),
    }
}

async fn open(
    client: &mut pb::agent_link_client::AgentLinkClient<tonic::transport::Channel>,
    messages: mpsc::Receiver<pb::AgentMessage>,
) -> Result<(Streaming<pb::ControllerMessage>, pb::Welcome), SessionError> {
    let response = client.session(ReceiverStream::new(messages)).await.map_err(SessionError::of)?;
    let mut inbound = response.into_inner();
    match inbound.message().await.map_err(SessionError::of)? {
        Some(pb::ControllerMessage { message: Some(In::Welcome(welcome)) }) => Ok((inbound, welcome)),
        _ => Err(SessionError::NoWelcome),
    }
}

/// The loop. Nothing in it waits for the network, so a cancel is read while results are being sent.
async fn talk(
    link: &Link,
    inbound: &mut Streaming<pb::ControllerMessage>,
    outbox: &mpsc::Sender<pb::AgentMessage>,
    (welcome, clocks): (&pb::Welcome, &Clocks),
    site_changed: &mut tokio::sync::watch::Receiver<u64>,
) -> Result<(), SessionError> {
    let mut due = Due { work: true, ..Due::default() };
    let interval = heartbeat_interval(welcome.heartbeat_ms);
    let mut confirmed = link.runner.frozen.begin_session();
    let mut answers = link.witness.answers();
    let mut heartbeat = pin!(sleep_until(Instant::now() + jittered(interval)));
    loop {
        let next = link.runner.work.next_due();
        let event = tokio::select! {
            received = inbound.message() => Event::Received(received),
            permit = outbox.reserve(), if due.any() => match permit {
                Err(_) => return Ok(()),
                Ok(permit) => {
                    if let Some(message) = due.next(link) {
                        permit.send(message);
                    }
                    Event::CanSend
                }
            },
            () = link.runner.work.something_to_send(), if !due.work => Event::SomethingToSend,
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() && !due.work => Event::SomethingToSend,
            () = &mut heartbeat => Event::HeartbeatDue,
            changed = confirmed.changed() => match changed {
                Ok(()) => Event::FreezeTaken(*confirmed.borrow_and_update()),
                Err(_) => return Ok(()),
            },
            changed = answers.changed() => match changed {
                Ok(()) => Event::Witnessed(answers.borrow_and_update().clone()),
                Err(_) => return Ok(()),
            },
            changed = site_changed.changed() => match changed {
                Ok(()) => Event::SiteChanged,
                Err(_) => return Ok(()),
            },
        };
        match event {
            Event::Received(Ok(Some(message))) => receive(link, welcome.epoch, clocks, message),
            Event::Received(Ok(None)) => return Ok(()),
            Event::Received(Err(status)) => return Err(SessionError::of(status)),
            Event::SomethingToSend => due.work = true,
            Event::CanSend => {}
            Event::FreezeTaken(version) => due.frozen = Some(version),
            // The next session begins from the head that was accepted.
            Event::HeartbeatDue if link.witness.was_resolved() => return Ok(()),
            Event::HeartbeatDue => {
                due.heartbeat = true;
                heartbeat.as_mut().reset(Instant::now() + jittered(interval));
            }
            Event::SiteChanged => due.inventory = true,
            Event::Witnessed(answer) => due.cosignature = answer,
        }
    }
}

fn receive(link: &Link, epoch: u64, clocks: &Clocks, message: pb::ControllerMessage) {
    match message.message {
        Some(In::Offer(offer)) => take_offer(link, epoch, clocks, &offer),
        Some(In::Stop(stop)) => each_id(&stop.invocation_ids, |id| link.runner.stop(id)),
        Some(In::Committed(committed)) => each_id(&committed.invocation_ids, |id| link.runner.committed(id)),
        Some(In::Frozen(frozen)) => link.runner.frozen.take(frozen),
        Some(In::Checkpoint(checkpoint)) => link.witness.examine(&checkpoint),
        Some(In::Welcome(_)) | None => {
            tracing::warn!("the controller sent a message that is not understood; ignored")
        }
    }
}

fn each_id(texts: &[String], mut act: impl FnMut(InvocationId)) {
    if texts.len() > MAX_IDS_PER_MESSAGE {
        tracing::warn!(count = texts.len(), "a message with too many identifiers; the rest is ignored");
    }
    for text in texts.iter().take(MAX_IDS_PER_MESSAGE) {
        match text.parse() {
            Ok(id) => act(id),
            Err(_) => tracing::warn!("the controller sent something that is not an invocation; ignored"),
        }
    }
}

fn take_offer(link: &Link, epoch: u64, clocks: &Clocks, offer: &pb::Offer) {
    let runner = &link.runner;
    // A floor that was narrowed, or a key that was pinned, a moment ago holds for this offer already.
    link.site.reload_if_changed();
    let site = link.site.current();
    // Asked before anything is claimed: what this offer brings is not counted against itself.
    let full = runner.work.full();
    let verdict = link.gate.admit(offer, epoch, link.clock.now(), &site, |id| runner.work.claim(id));
    let verdict = match verdict {
        Ok(verdict) => verdict,
        Err(forged) => return link.note_forged(&forged),
    };
    runner.refuse(verdict.refused);
    let no_room = if !runner.journal.accepts() {
        Some(journal_down())
    } else if full {
        Some(denied("AGENT_BUSY", format!("the agent already knows {MAX_KNOWN} invocations")))
    } else {
        link.witness.refusal().or_else(|| clocks.refusal(link.clock.now()))
    };
    match no_room {
        None => {
            let mut admitted = verdict.admitted;
            for (id, outcome) in runner.frozen.sift(&mut admitted) {
                runner.turn_away(id, outcome);
            }
            runner.start(admitted);
        }
        Some(outcome) => {
            verdict.admitted.iter().for_each(|one| runner.turn_away(one.invocation(), outcome.clone()))
        }
    }
}

fn heartbeat_interval(millis: u32) -> Duration {
    match millis {
        0 => HEARTBEAT_INTERVAL,
        _ => Duration::from_millis(millis.into()).clamp(MIN_HEARTBEAT, MAX_HEARTBEAT),
    }
}

/// Up to a fifth more or less, so that the agents of a fleet do not beat together.
fn jittered(interval: Duration) -> Duration {
    interval.mul_f64(rand::random_range(0.8..=1.2))
}

// === impl Due ===

impl Due {
    const fn any(&self) -> bool {
        self.work || self.heartbeat || self.inventory || self.frozen.is_some() || self.cosignature.is_some()
    }

    /// The next message; a freeze first, for an operator waits for it; then results, for somebody waits for them.
    fn next(&mut self, link: &Link) -> Option<pb::AgentMessage> {
        if let Some(version) = self.frozen.take() {
            let taken = Out::FrozenTaken(pb::FrozenTaken { version });
            return Some(pb::AgentMessage { message: Some(taken) });
        }
        if let Some(answer) = self.cosignature.take() {
            return Some(pb::AgentMessage { message: Some(Out::Cosignature(answer)) });
        }
        if self.work {
            if let Some(message) = link.runner.work.next_message() {
                return Some(message);
            }
            self.work = false;
        }
        let message = if std::mem::take(&mut self.heartbeat) {
            Out::Heartbeat(pb::Heartbeat {
                in_flight: link.runner.work.in_flight(),
                now: link.clock.now().as_micros(),
            })
        } else if std::mem::take(&mut self.inventory) {
            Out::Inventory(inventory::report(&link.site.current()))
        } else {
            return None;
        };
        Some(pb::AgentMessage { message: Some(message) })
    }
}

// === impl SessionError ===

impl SessionError {
    fn of(status: Status) -> Self {
        let failure = from_status(&status);
        if failure.detail(REVOKED).is_some() { Self::Revoked(failure) } else { Self::Status(status) }
    }
}

impl std::fmt::Display for SessionError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Dial(error) => f.write_str(&crate::error_chain(error)),
            Self::Status(status) => write!(
                f,
                "{}: {} (if it goes on, this agent's certificate may be expired: see the controller's log)",
                status.code(),
                status.message()
            ),
            Self::NoWelcome => f.write_str("the controller did not answer with a welcome"),
            Self::Epoch(error) => f.write_str(&crate::error_chain(error)),
            Self::Revoked(failure) => write!(f, "{}; {}", failure.message, failure.next_step),
        }
    }
}
