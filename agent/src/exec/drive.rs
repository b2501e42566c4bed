//! A running command: drains its channel into bounded memory, shows it live, and ends it when its time is up.

use std::{future::Future, pin::Pin, sync::Arc, time::Duration};

use lictor_core::{
    context::LoginName,
    id::InvocationId,
    outcome::{Exit, Outcome, Unknown, Unreachable},
    output::{Output, StreamName},
};
use tokio::time::{Instant, Sleep, sleep_until};
use tokio_util::sync::CancellationToken;

use super::{
    Runner,
    marker::MarkerFilter,
    started::StartFilter,
    stdin::Feeding,
    stop::{self, Quarry, Stopped},
};
use crate::{
    admit::Admitted,
    output::{live::Live, streams::Streams},
    redact::Redactor,
    ssh::{
        address::Networks,
        pool::Pool,
        session::{Event, Session},
    },
};

/// Time for the last bytes and the exit status after everything is known to be gone.
const LAST_WORDS: Duration = Duration::from_secs(3);

/// A command under way.
pub(crate) struct Drive {
    id: InvocationId,
    pool: Arc<Pool>,
    networks: Networks,
    session: Session,
    /// Until it has ended or is stopped; what it did not read by then nobody reads.
    feeding: Option<Feeding>,
    stop: CancellationToken,
    deadline: Instant,
    redactor: Arc<Redactor>,
    streams: Streams,
    marker: MarkerFilter,
    start: StartFilter,
    /// As whom it runs, and as whom it has to be stopped.
    login: Option<LoginName>,
    exit: Option<Outcome>,
    refused: bool,
    closed: bool,
    /// The host itself ended the channel: everything that it said is here.
    all_said: bool,
    /// The ladder found something and ended it.
    killed: bool,
}

/// Why a command is being stopped.
#[derive(Debug, Clone, Copy)]
pub(super) enum Why {
    TimeUp,
    Told,
}

type Ladder = Pin<Box<dyn Future<Output = Stopped> + Send>>;

/// The one thing that happened next.
enum Happened {
    Said(Event),
    Told,
    Timer,
}

// === impl Drive ===

impl Drive {
    pub(crate) fn new(
        runner: &Runner,
        admitted: &Admitted,
        session: Session,
        feeding: Option<Feeding>,
        stop: CancellationToken,
    ) -> Self {
        let (id, redactor) = (admitted.invocation(), runner.site.redactor());
        let live = Live::new(id, runner.uplink.clone());
        let cap = admitted.limits().output_bytes;
        Self {
            id,
            pool: Arc::clone(&runner.pool),
            networks: admitted.networks().clone(),
            session,
            feeding,
            stop,
            deadline: Instant::now() + admitted.limits().timeout,
            streams: Streams::new(Arc::clone(&redactor), runner.budget.charge(), live, cap),
            redactor,
            marker: MarkerFilter::new(id),
            start: StartFilter::new(admitted),
            login: admitted.context().run_as.clone(),
            exit: None,
            refused: false,
            closed: false,
            all_said: false,
            killed: false,
        }
    }

    /// Until it has ended or cannot be followed any more: how, what it printed, and how many secrets were masked in it.
    pub(crate) async fn run_to_end(mut self) -> (Outcome, Output, u64) {
        let outcome = match self.follow().await {
            None => {
                self.session.close().await;
                self.ended_by_itself()
            }
            // Seldom, and large: kept out of what every command carries.
            Some(why) => Box::pin(self.stop_it(why)).await,
        };
        let rest = self.start.push(self.marker.finish().into()).into_owned();
        self.streams.push(StreamName::Stderr, &rest);
        let outcome = match self.not_started(&outcome) {
            Some(not_started) if self.all_said => return (not_started, Output::default(), 0),
            // The line that it started may have been lost with the connection, and the status be the command's or not.
            Some(_) => Outcome::Unknown(Unknown::ConnectionLost),
            None => outcome,
        };
        self.streams.push(StreamName::Stderr, &self.start.finish());
        let (output, masked) = self.streams.finish();
        (outcome, output, masked)
    }

    /// Follows it to its end, or until it has to be stopped.
    async fn follow(&mut self) -> Option<Why> {
        let timer = sleep_until(self.streams.live.due().min(self.deadline));
        tokio::pin!(timer);
        while !self.closed && !self.refused {
            match self.next(timer.as_mut()).await {
                Happened::Said(event) => self.take(event),
                Happened::Told => return Some(Why::Told),
                Happened::Timer if Instant::now() >= self.deadline => return Some(Why::TimeUp),
                Happened::Timer => {
                    self.streams.live.open();
                    timer.as_mut().reset(self.deadline);
                }
            }
        }
        None
    }

    /// All three are asked in turn: a command that never stops printing cannot keep its stop from being heard.
    async fn next(&mut self, timer: Pin<&mut Sleep>) -> Happened {
        tokio::select! {
            event = self.session.next() => Happened::Said(event),
            () = self.stop.cancelled() => Happened::Told,
            () = timer => Happened::Timer,
        }
    }

    fn take(&mut self, event: Event) {
        match event {
            Event::Stdout(bytes) => self.streams.push(StreamName::Stdout, &bytes),
            Event::Stderr(bytes) => {
                let own = self.start.push(self.marker.push(&bytes)).into_owned();
                self.streams.push(StreamName::Stderr, &own);
            }
            Event::Exited(0) => self.exit = Some(Outcome::Succeeded),
            Event::Exited(code) => self.exit = Some(Outcome::Failed(Exit::Code(code))),
            Event::Signalled(signal) => self.exit = Some(Outcome::Failed(Exit::Signal(signal))),
            Event::Refused => self.refused = true,
            Event::Closed { by_host } => (self.closed, self.all_said) = (true, by_host),
        }
    }

    /// What ended without its command ever having started, as the host's own words prove: it was the wrapper that ended.
    /// Only where the host itself ended the channel is that proof.
    fn not_started(&self, outcome: &Outcome) -> Option<Outcome> {
        let not_started = self.start.not_started().filter(|_| self.marker.pid().is_some())?;
        // What had to be killed ran, and its outcome says so.
        let ended = !self.killed && matches!(outcome, Outcome::Succeeded | Outcome::Failed(_));
        ended.then_some(not_started)
    }

    fn ended_by_itself(&mut self) -> Outcome {
        match self.exit.take() {
            Some(exit) => exit,
            None if self.refused => Outcome::Unreachable {
                reason: Unreachable::SessionRefused,
                detail: "the host refused to run a command (see its sshd log)".into(),
            },
            None => Outcome::Unknown(Unknown::ConnectionLost),
        }
    }

    /// Stops it, and goes on draining while the host works: an unread channel would block the stop itself.
    async fn stop_it(&mut self, why: Why) -> Outcome {
        tracing::info!(invocation = %self.id, ?why, "stopping");
        // What is being stopped is not given more to do.
        self.feeding = None;
        let ended_before = self.exit.is_some();
        // After its end the number may be another's; then only the variable tells who belongs to it.
        let session = self.marker.pid().filter(|_| !ended_before);
        let quarry = Quarry { invocation: self.id, session };
        let mut ladder: Ladder = Box::pin(stop::stop(
            Arc::clone(&self.pool),
            self.session.beside(),
            self.networks.clone(),
            quarry,
            self.login.clone(),
        ));
        let stopped = loop {
            tokio::select! {
                stopped = &mut ladder => break stopped,
                event = self.session.next(), if !self.closed => self.take(event),
            }
        };
        self.killed = stopped == Stopped::Gone;
        self.last_words().await;
        match (stopped, why) {
            (Stopped::Unconfirmed(detail) | Stopped::OutOfReach(detail), _) => {
                let (detail, _) = self.redactor.text(&detail);
                tracing::warn!(invocation = %self.id, %detail, "could not be confirmed gone");
                Outcome::Unknown(Unknown::KillUnconfirmed)
            }
            (Stopped::NothingLeft, _) if self.refused => self.ended_by_itself(),
            (Stopped::NothingLeft, _) => {
                self.exit.take().unwrap_or(Outcome::Unknown(Unknown::KillUnconfirmed))
            }
            (Stopped::Gone, _) if ended_before => {
                self.exit.take().unwrap_or(Outcome::Unknown(Unknown::KillUnconfirmed))
            }
            (Stopped::Gone, Why::TimeUp) => Outcome::TimedOut,
            (Stopped::Gone, Why::Told) => Outcome::Killed,
        }
    }

    async fn last_words(&mut self) {
        let until = Instant::now() + LAST_WORDS;
        while !self.closed && !self.refused {
            match tokio::time::timeout_at(until, self.session.next()).await {
                Ok(event) => self.take(event),
                Err(_) => break,
            }
        }
        self.session.close().await;
    }
}
