//! Follows a detached command to its end, over as many connections as it takes, and stops it when its time is up.

use std::{sync::Arc, time::Duration};

use lictor_core::{
    guard::Guard,
    id::InvocationId,
    outcome::{Exit, Outcome, Unknown},
    output::Output,
};
use lictor_runtime::backoff::Backoff;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tokio_util::sync::CancellationToken;

use super::{
    answer::Answer,
    intake::Intake,
    look::look,
    nonce,
    script::{self, Ask, Begin, Launch, Stand, State},
};
use crate::{
    exec::{
        Runner,
        drive::Why,
        stop::{self, Quarry, Stopped},
    },
    journal::held::Held,
    ssh::session::{Event, Session},
};

/// First wait before another connection: a link that broke is often back at once.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest wait, so that a host is found again soon after it can be reached.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// How long past its time a host is tried that cannot be reached. With the ladder this stays below the silence after which
/// the controller settles an invocation itself.
const OUT_OF_REACH: Duration = Duration::from_secs(30);
/// Times the ladder is run: a command that had only just begun is found by the second, a host that was lost once is often
/// back, and more would keep the end from being told.
const MAX_LADDERS: u32 = 3;
/// Time for the rest of the output after a command was stopped; a gigabyte may be waiting.
const LAST_OUTPUT: Duration = Duration::from_secs(30);
/// Times the output of a command that has ended is asked for again in vain: no more came, or more than the host has.
const MAX_RETAKES: u32 = 5;

/// One detached invocation that is being followed.
pub(super) struct Follow<'a> {
    runner: &'a Runner,
    held: Held,
    deadline: Instant,
    stop: CancellationToken,
    /// Why nobody can know, where the host has no trace of it or cannot be reached.
    doubt: Unknown,
    intake: Intake,
    /// The host has its guard.
    found: bool,
    address: String,
    backoff: Backoff,
    retakes: u32,
    /// How much was here when it was last judged.
    judged_at: (u64, u64),
}

/// How it ended.
pub(in crate::exec) struct Followed {
    pub(in crate::exec) outcome: Outcome,
    pub(in crate::exec) output: Output,
    /// How many secrets were masked in it.
    pub(in crate::exec) redactions: u64,
    pub(in crate::exec) address: String,
    pub(in crate::exec) guard: Guard,
}

/// What became of a start.
pub(super) enum Went {
    /// The request was not handed over.
    NotSent,
    /// The host refused the request.
    Refused,
    /// The host has no place for a guard; nothing was started.
    Nowhere,
    /// The host could not enter the working directory, in its words; nothing was started.
    NoDirectory(String),
    /// The host does not have what the command was given; nothing was started.
    NotGiven,
    /// It was frozen before anything was sent.
    Frozen(Outcome),
    Ended(Box<Followed>),
}

/// Why an answer is not read on.
enum Attended {
    Closed,
    Halted(Why),
}

// === impl Follow ===

impl<'a> Follow<'a> {
    pub(super) fn new(
        runner: &'a Runner,
        held: Held,
        deadline: Instant,
        stop: CancellationToken,
        doubt: Unknown,
    ) -> Self {
        let intake = Intake::new(runner, held.invocation, held.limits.output_bytes);
        let backoff = Backoff::new(BACKOFF_MIN, BACKOFF_MAX);
        let (found, address, retakes, judged_at) = (false, String::new(), 0, (0, 0));
        Self { runner, held, deadline, stop, doubt, intake, found, address, backoff, retakes, judged_at }
    }

    /// Starts `launch` over `session`, and follows it.
    pub(super) async fn start(mut self, session: Session, launch: Launch<'_>) -> Went {
        let nonce = nonce();
        // Nothing comes between this look and the request, so a freeze that is confirmed has missed nothing.
        let look = match self.runner.frozen.look(&self.held.host) {
            Ok(look) => look,
            Err(frozen) => {
                session.close().await;
                return Went::Frozen(frozen);
            }
        };
        let sent = session.exec(script::render(self.id(), &nonce, Ask::Start(launch))).await;
        drop(look);
        if sent.is_err() {
            return Went::NotSent;
        }
        self.address = session.peer().to_string();
        let mut answer = Answer::new(session, &nonce);
        let attended = self.attend(&mut answer).await;
        match (attended, answer.begin) {
            (_, Some(Begin::Nowhere)) => {
                answer.session.close().await;
                Went::Nowhere
            }
            (_, Some(Begin::NoDirectory)) => {
                answer.session.close().await;
                Went::NoDirectory(answer.said.words())
            }
            (_, Some(Begin::NotGiven)) => {
                answer.session.close().await;
                Went::NotGiven
            }
            (Attended::Closed, None) if answer.refused => {
                answer.session.close().await;
                Went::Refused
            }
            (Attended::Closed, _) => {
                answer.session.close().await;
                Went::Ended(Box::new(self.run(true).await))
            }
            (Attended::Halted(why), _) => Went::Ended(Box::new(self.stop_it(why, Some(answer)).await)),
        }
    }

    /// Follows what was started before.
    pub(super) async fn find(self) -> Followed {
        self.run(false).await
    }

    const fn id(&self) -> InvocationId {
        self.held.invocation
    }

    /// In turn: ask how it stands, read on, until it has ended and everything it printed is here.
    async fn run(mut self, mut look: bool) -> Followed {
        loop {
            // Without an answer before, there is nothing to compare with what the host has.
            if look
                && let Some(stand) = self.look().await
                && let Some(outcome) = self.judge(&stand)
            {
                return self.finish(outcome, Some(&stand));
            }
            let mut answer = match self.reach().await {
                Ok(answer) => answer,
                Err(why) => return self.stop_it(why, None).await,
            };
            match self.attend(&mut answer).await {
                Attended::Halted(why) => return self.stop_it(why, Some(answer)).await,
                Attended::Closed if answer.begin == Some(Begin::Absent) => {
                    let outcome = Outcome::Unknown(self.doubt);
                    return self.finish(outcome, None);
                }
                Attended::Closed => answer.session.close().await,
            }
            look = true;
        }
    }

    /// Reads an answer until it ends, or until the command has to be stopped. All three are asked in turn.
    async fn attend(&mut self, answer: &mut Answer) -> Attended {
        let timer = sleep_until(self.intake.live().due().min(self.deadline));
        tokio::pin!(timer);
        while !answer.closed && !answer.refused {
            tokio::select! {
                event = answer.session.next() => self.take(answer, event),
                () = self.stop.cancelled() => return Attended::Halted(Why::Told),
                () = timer.as_mut() => {
                    if Instant::now() >= self.deadline {
                        return Attended::Halted(Why::TimeUp);
                    }
                    self.intake.live().open();
                    timer.as_mut().reset(self.deadline);
                }
            }
        }
        Attended::Closed
    }

    fn take(&mut self, answer: &mut Answer, event: Event) {
        answer.take(event, &mut self.intake);
        if matches!(answer.begin, Some(Begin::Started | Begin::Attached)) {
            self.found = true;
            self.backoff.reset();
        }
    }

    /// Another connection, on which the streams go on where they are.
    async fn reach(&mut self) -> Result<Answer, Why> {
        loop {
            let delay = self.backoff.next_delay();
            let (stop, deadline) = (self.stop.clone(), self.deadline);
            tokio::select! {
                () = stop.cancelled() => return Err(Why::Told),
                () = sleep_until(deadline) => return Err(Why::TimeUp),
                asked = async { sleep(delay).await; self.ask().await } => match asked {
                    Some(answer) => return Ok(answer),
                    None => tracing::debug!(invocation = %self.held.invocation, host = %self.held.host, "the host of a detached command is out of reach; it is tried again"),
                },
            }
        }
    }

    /// As [`Self::reach`], until a stop is not worth trying any more.
    async fn reach_to_stop(&mut self, until: Instant) -> Option<Answer> {
        loop {
            match timeout_at(until, self.ask()).await {
                Ok(Some(answer)) => return Some(answer),
                Ok(None) if Instant::now() < until => sleep(self.backoff.next_delay()).await,
                Ok(None) | Err(_) => return None,
            }
        }
    }

    async fn ask(&mut self) -> Option<Answer> {
        let session = self.runner.pool.open(&self.held.host, &self.held.networks).await.ok()?;
        let ((stdout, stderr), nonce) = (self.intake.offsets(), nonce());
        session.exec(script::render(self.id(), &nonce, Ask::Follow { stdout, stderr })).await.ok()?;
        self.address = session.peer().to_string();
        Some(Answer::new(session, &nonce))
    }

    /// How it stands on its host, if the host says so.
    async fn look(&self) -> Option<Stand> {
        look(self.runner, &self.held).await
    }

    /// As [`Self::look`], and goes on reading the while: an unread channel blocks its connection.
    async fn look_beside(&mut self, answer: &mut Answer) -> Option<Stand> {
        let (runner, held) = (self.runner, self.held.clone());
        let mut looking = Box::pin(look(runner, &held));
        loop {
            tokio::select! {
                stand = &mut looking => return stand,
                event = answer.session.next(), if !answer.closed => self.take(answer, event),
            }
        }
    }

    /// The outcome, once it has ended and everything it printed is here.
    fn judge(&mut self, stand: &Stand) -> Option<Outcome> {
        let outcome = match stand.state {
            // Nothing is said of what is absent before it is seen to that it never starts: that is the next request's.
            State::Running | State::Absent => return None,
            State::Never => return Some(Outcome::Unknown(self.doubt)),
            State::Ended(0) => Outcome::Succeeded,
            State::Ended(code) => Outcome::Failed(Exit::Code(code)),
            State::Vanished => Outcome::Unknown(Unknown::Vanished),
            State::Rebooted => Outcome::Unknown(Unknown::HostRebooted),
        };
        let (Some(stdout), Some(stderr)) = (stand.stdout.bytes, stand.stderr.bytes) else {
            // Cleaned away: there is nothing more to read.
            return Some(outcome);
        };
        let have = self.intake.offsets();
        if have == (stdout, stderr) || self.retakes >= MAX_RETAKES {
            return Some(outcome);
        }
        let too_much = have.0 > stdout || have.1 > stderr;
        if too_much || have == self.judged_at {
            self.retakes += 1;
        }
        self.judged_at = have;
        if too_much {
            tracing::warn!(invocation = %self.id(), "more came than the host has; its output is read anew");
            self.intake.start_over();
        }
        None
    }

    /// Stops it, and goes on reading while the host works; then reads the rest.
    async fn stop_it(mut self, why: Why, answer: Option<Answer>) -> Followed {
        tracing::info!(invocation = %self.id(), ?why, "stopping");
        let until = self.deadline.max(Instant::now()) + OUT_OF_REACH;
        let (mut reached, mut ladders) = (answer, 0);
        let (stopped, answer) = loop {
            let answer = match reached.take() {
                Some(answer) => Some(answer),
                None => self.reach_to_stop(until).await,
            };
            let Some(mut answer) = answer else {
                let reason = match why {
                    Why::TimeUp if ladders == 0 => self.doubt,
                    Why::TimeUp | Why::Told => Unknown::KillUnconfirmed,
                };
                return self.finish(Outcome::Unknown(reason), None);
            };
            let (stopped, stand) = self.ladder(&mut answer).await;
            ladders += 1;
            if ladders == MAX_LADDERS || Instant::now() >= until || !once_more(&stopped, stand) {
                break (stopped, answer);
            }
            tracing::info!(invocation = %self.id(), ?stopped, ?stand, "is stopped once more");
            answer.session.close().await;
            sleep(self.backoff.next_delay()).await;
        };
        let stand = self.rest(answer).await;
        let outcome = match (stopped, why) {
            (Stopped::Unconfirmed(detail) | Stopped::OutOfReach(detail), _) => {
                let (detail, _) = self.runner.site.redactor().text(&detail);
                tracing::warn!(invocation = %self.id(), %detail, "could not be confirmed gone");
                Outcome::Unknown(Unknown::KillUnconfirmed)
            }
            (Stopped::Gone, Why::TimeUp) => Outcome::TimedOut,
            (Stopped::Gone, Why::Told) => Outcome::Killed,
            (Stopped::NothingLeft, _) => match &stand {
                Some(stand) if stand.state == State::Running => Outcome::Unknown(Unknown::KillUnconfirmed),
                Some(stand) => {
                    self.retakes = MAX_RETAKES;
                    self.judge(stand).unwrap_or(Outcome::Unknown(self.doubt))
                }
                None => Outcome::Unknown(self.doubt),
            },
        };
        self.finish(outcome, stand.as_ref())
    }

    /// Runs the ladder, and reads on the while; where it finds nothing, the host is asked how the command stands.
    async fn ladder(&mut self, answer: &mut Answer) -> (Stopped, Option<State>) {
        let quarry = Quarry { invocation: self.id(), session: None };
        let (pool, beside) = (Arc::clone(&self.runner.pool), answer.session.beside());
        let mut ladder = Box::pin(stop::stop(pool, beside, self.held.networks.clone(), quarry, None));
        let stopped = loop {
            tokio::select! {
                stopped = &mut ladder => break stopped,
                event = answer.session.next(), if !answer.closed => self.take(answer, event),
            }
        };
        let stand = match stopped {
            Stopped::NothingLeft => self.look_beside(answer).await.map(|stand| stand.state),
            _ => None,
        };
        (stopped, stand)
    }

    /// Reads what is left of the output of a command that is gone; for so long, then what is here has to do.
    async fn rest(&mut self, first: Answer) -> Option<Stand> {
        let until = Instant::now() + LAST_OUTPUT;
        let mut next = Some(first);
        let mut stand = None;
        while let Some(mut answer) = next.take() {
            while !answer.closed
                && let Ok(event) = timeout_at(until, answer.session.next()).await
            {
                self.take(&mut answer, event);
            }
            answer.session.close().await;
            stand = self.look().await.or(stand);
            let here = stand
                .as_ref()
                .is_some_and(|stand| stand.state == State::Absent || self.judge(stand).is_some());
            if !here && Instant::now() < until {
                sleep(BACKOFF_MIN).await;
                next = timeout_at(until, self.ask()).await.ok().flatten();
            }
        }
        stand
    }

    fn finish(self, outcome: Outcome, stand: Option<&Stand>) -> Followed {
        let guard = if self.found { Guard::Host } else { Guard::Journal };
        let (output, redactions) = self.intake.finish(stand.map(|stand| [stand.stdout, stand.stderr]));
        Followed { outcome, output, redactions, address: self.address, guard }
    }
}

/// Whether a ladder has to be run once more: the host could not be asked, or nothing was found of what had only just
/// begun, or of a start still on its way, which the next request takes the guard from.
fn once_more(stopped: &Stopped, stand: Option<State>) -> bool {
    match stopped {
        Stopped::OutOfReach(_) => true,
        Stopped::NothingLeft => {
            matches!(stand, None | Some(State::Running | State::Absent | State::Vanished))
        }
        Stopped::Gone | Stopped::Unconfirmed(_) => false,
    }
}
