//! One admitted invocation, from its place in the queue to its end on disk.
//!
//! The order is the promise: accepted on disk, then acknowledged; starting on disk, then the exec request; the end on
//! disk, then reported. The channel is opened while the disk works: opening one starts nothing.

use std::{sync::Arc, time::Duration};

use lictor_core::{
    clock::{Clock, Timestamp},
    guard::Guard,
    id::InvocationId,
    outcome::{Outcome, Unreachable},
    output::Output,
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

pub(crate) mod context;
pub(crate) mod detached;
pub(crate) mod drive;
mod keep;
pub(crate) mod marker;
pub(crate) mod started;
mod stdin;
pub(crate) mod stop;
mod transfer;
pub(crate) mod wrapper;

use crate::{
    admit::{self, Admitted, denied, expired},
    content::{Contents, Given},
    ended::{Ended, SpooledOutput},
    evidence::{Basis, Witness},
    frozen::Frozen,
    journal::{Journal, Ticket, record::Record, spool::Spool},
    output::{budget::Budget, uplink::Uplink},
    site::LiveSite,
    ssh::{host_key::Refused, pool::Pool, session::Session},
    work::{Stopping, Work},
};

/// Everything that an invocation needs; one per agent.
#[derive(Debug)]
pub(crate) struct Runner {
    pub(crate) pool: Arc<Pool>,
    pub(crate) journal: Journal,
    pub(crate) work: Arc<Work>,
    pub(crate) spool: Spool,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) budget: Arc<Budget>,
    pub(crate) uplink: Uplink,
    pub(crate) permits: Arc<Semaphore>,
    pub(crate) site: Arc<LiveSite>,
    pub(crate) witness: Witness,
    pub(crate) frozen: Arc<Frozen>,
    pub(crate) remains: detached::Remains,
    pub(crate) contents: Contents,
}

/// How a run ended, before it is written down.
pub(crate) struct Run {
    pub(crate) outcome: Outcome,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) address: String,
    pub(crate) output: Output,
    /// In place of the output, where it is in the spool already.
    pub(crate) spooled: Option<SpooledOutput>,
    /// How many secrets were masked in it.
    pub(crate) redactions: u64,
    pub(crate) guard: Guard,
    /// What it was last judged by.
    pub(crate) basis: Basis,
}

// === impl Runner ===

impl Runner {
    /// Takes over what was admitted: writes it down, acknowledges it, runs it. Returns at once.
    pub(crate) fn start(self: &Arc<Self>, admitted: Vec<Admitted>) {
        if admitted.is_empty() {
            return;
        }
        let now = self.clock.now();
        let (mut accepted, mut started, mut records, mut jobs) =
            (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for one in admitted {
            let id = one.invocation();
            let permit = Arc::clone(&self.permits).try_acquire_owned().ok();
            if permit.is_some() {
                // Starting says accepted, too: one record less on the fast path.
                self.work.running(id);
                started.push(id);
                records.push(detached::starting(&one, now));
            } else {
                accepted.push(id);
                records.push(Record::Accepted(id, now));
            }
            jobs.push((one, permit));
        }
        self.journal.expect_from(self.work.in_flight());
        let ticket = self.journal.append(records);
        for (one, permit) in jobs {
            let (this, ticket) = (Arc::clone(self), ticket.clone());
            let stop = self.work.stop_token(one.invocation());
            tokio::spawn(async move { this.run(one, permit, ticket, stop).await });
        }
        let work = Arc::clone(&self.work);
        tokio::spawn(async move {
            if ticket.synced().await.is_ok() {
                work.acknowledge(&accepted, &started);
            }
        });
    }

    /// Reports what for now cannot be taken; nothing of it is written down, because nothing will run.
    pub(crate) fn turn_away(&self, id: InvocationId, outcome: Outcome) {
        tracing::warn!(invocation = %id, %outcome, "not admitted");
        self.work.ended(Ended::not_run(id, outcome, self.clock.now()));
    }

    /// Reports refusals. What has to be proven is signed, and on disk before it is reported: what was stated once is
    /// stated the same for ever. Returns at once.
    pub(crate) fn refuse(self: &Arc<Self>, refused: Vec<admit::Refused>) {
        let (to_prove, plain): (Vec<_>, Vec<_>) =
            refused.into_iter().partition(|refused| refused.outcome.refuses_grant());
        plain.into_iter().for_each(|refused| self.turn_away(refused.invocation, refused.outcome));
        if to_prove.is_empty() {
            return;
        }
        let this = Arc::clone(self);
        let sign = move || {
            let now = this.clock.now();
            let ends = to_prove.into_iter().map(|refused| {
                let admit::Refused { invocation, outcome, basis } = refused;
                tracing::warn!(%invocation, %outcome, "not admitted");
                this.witness.prove(Ended::not_run(invocation, outcome, now), &basis)
            });
            (ends.collect::<Vec<_>>(), this)
        };
        tokio::spawn(async move {
            // A thousand signatures take long enough to keep a session waiting.
            if let Ok((ends, this)) = tokio::task::spawn_blocking(sign).await {
                this.end_all(ends).await;
            }
        });
    }

    /// Tells an invocation to stop. One that is not known is cancelled for good, so that a late offer never starts it.
    pub(crate) fn stop(self: &Arc<Self>, id: InvocationId) {
        if self.work.stop(id) != Stopping::Taken {
            return;
        }
        let this = Arc::clone(self);
        tokio::spawn(async move { this.end(Ended::not_run(id, Outcome::Cancelled, this.clock.now())).await });
    }

    /// Forgets an end that the controller has.
    pub(crate) fn committed(&self, id: InvocationId) {
        let now = self.clock.now();
        if let Some(ended) = self.work.committed(id, now) {
            if ended.is_spooled() {
                self.spool.remove(id);
            }
            // No need to wait: if it is lost, the controller says committed again.
            self.journal.append_later(Record::Forgotten(id, now));
            self.remains.clean(&self.pool, id);
        }
    }

    async fn run(
        self: Arc<Self>,
        admitted: Admitted,
        permit: Option<OwnedSemaphorePermit>,
        ticket: Ticket,
        stop: CancellationToken,
    ) {
        let id = admitted.invocation();
        let (permit, ticket) = match permit {
            Some(permit) => (permit, ticket),
            None => match Box::pin(self.wait_for_turn(&admitted, ticket, &stop)).await {
                Ok(turn) => turn,
                Err(outcome) => {
                    let ended = Ended::not_run(id, outcome, self.clock.now());
                    return self.end(self.witness.prove(ended, &admitted.basis())).await;
                }
            },
        };
        let host = admitted.host().clone();
        let run = self.execute(admitted, ticket, stop).await;
        drop(permit);
        let basis = run.basis;
        let ended = self.keep(id, run).await;
        tracing::debug!(invocation = %id, %host, outcome = %ended.outcome, "ended");
        self.end(self.witness.prove(ended, &basis)).await;
    }

    /// Accepted, and waiting for one of the places to become free.
    async fn wait_for_turn(
        &self,
        admitted: &Admitted,
        accepted: Ticket,
        stop: &CancellationToken,
    ) -> Result<(OwnedSemaphorePermit, Ticket), Outcome> {
        accepted.synced().await.map_err(|_| journal_down())?;
        let left = admitted.start_by().since(self.clock.now());
        let permit = tokio::select! {
            permit = Arc::clone(&self.permits).acquire_owned() => permit.map_err(|_| Outcome::Cancelled)?,
            () = stop.cancelled() => return Err(Outcome::Cancelled),
            frozen = self.frozen.hits(admitted.host()) => return Err(frozen),
            () = tokio::time::sleep(left) => return Err(expired(admitted.start_by(), self.clock.now())),
        };
        // A floor that was narrowed while it waited holds for it.
        self.site.look().await;
        self.work.running(admitted.invocation());
        let ticket = self.journal.append([detached::starting(admitted, self.clock.now())]);
        let (work, id, started) = (Arc::clone(&self.work), admitted.invocation(), ticket.clone());
        tokio::spawn(async move {
            if started.synced().await.is_ok() {
                work.acknowledge(&[], &[id]);
            }
        });
        Ok((permit, ticket))
    }

    /// From here on it may be started: the channel is opened while the intent is synced.
    async fn execute(&self, admitted: Admitted, starting: Ticket, stop: CancellationToken) -> Run {
        let basis = admitted.basis();
        let opening = self.pool.open(admitted.host(), admitted.networks());
        let all = async { tokio::join!(opening, starting.synced(), self.given(&admitted)) };
        let (opened, synced, given) = tokio::select! {
            all = all => all,
            // No exec request was sent, so nothing has to be stopped.
            () = stop.cancelled() => return Run::not_run(Outcome::Cancelled, basis),
        };
        let session = match (opened, synced) {
            (Ok(session), Ok(())) => session,
            (Ok(session), Err(_)) => {
                session.close().await;
                return Run::not_run(journal_down(), basis);
            }
            (Err(Refused { reason, detail }), _) => {
                return Run::not_run(Outcome::Unreachable { reason, detail }, basis);
            }
        };
        let given = match given {
            Ok(given) => given,
            Err(outcome) => {
                session.close().await;
                return Run { address: session.peer().to_string(), ..Run::not_run(outcome, basis) };
            }
        };
        match self.last_look(admitted, &session, &stop).await {
            Ok(admitted) => self.exec(admitted, session, given, stop).await,
            Err(not_run) => *not_run,
        }
    }

    /// What it is given, here and whole: nothing starts with a part of it, or with other bytes.
    async fn given(&self, admitted: &Admitted) -> Result<Option<Given>, Outcome> {
        let Some(content) = admitted.context().stdin else { return Ok(None) };
        let left = admitted.start_by().since(self.clock.now());
        let fetching = self.contents.fetch(admitted.invocation(), admitted.epoch(), content);
        match tokio::time::timeout(left, fetching).await {
            Ok(fetched) => fetched.map(Some),
            Err(_) => Err(expired(admitted.start_by(), self.clock.now())),
        }
    }

    /// Whether it may still start over a session that was just opened; closes the session of what may not.
    async fn last_look(
        &self,
        admitted: Admitted,
        session: &Session,
        stop: &CancellationToken,
    ) -> Result<Admitted, Box<Run>> {
        let (now, basis) = (self.clock.now(), admitted.basis());
        let (outcome, basis) = if stop.is_cancelled() {
            (Outcome::Cancelled, basis)
        } else if now > admitted.start_by() {
            (expired(admitted.start_by(), now), basis)
        } else {
            match self.judge_again(admitted, session) {
                Ok(admitted) => return Ok(admitted),
                Err(refused) => (refused.outcome, refused.basis),
            }
        };
        session.close().await;
        Err(Box::new(Run { address: session.peer().to_string(), ..Run::not_run(outcome, basis) }))
    }

    /// Before the exec request: the site may have changed since the first.
    fn judge_again(&self, admitted: Admitted, session: &Session) -> Result<Admitted, Box<admit::Refused>> {
        let admitted = admitted.judged_by(&self.site.current(), self.clock.now())?;
        if session.peer().permitted(admitted.networks()) {
            return Ok(admitted);
        }
        let detail = format!("{} lies outside the permitted networks by now", session.peer());
        let outcome = Outcome::Unreachable { reason: Unreachable::AddressDenied, detail };
        let (invocation, basis) = (admitted.invocation(), admitted.basis());
        Err(Box::new(admit::Refused { invocation, outcome, basis }))
    }

    async fn exec(
        &self,
        admitted: Admitted,
        session: Session,
        given: Option<Given>,
        stop: CancellationToken,
    ) -> Run {
        if let Some(transfer) = admitted.transfer() {
            return self.exec_transfer(&admitted, transfer, session, given, stop).await;
        }
        if admitted.detached() {
            return Box::pin(self.exec_detached(admitted, session, given, stop)).await;
        }
        self.exec_attached(&admitted, session, given, stop).await
    }

    /// The command ends with its channel.
    async fn exec_attached(
        &self,
        admitted: &Admitted,
        session: Session,
        given: Option<Given>,
        stop: CancellationToken,
    ) -> Run {
        let address = session.peer().to_string();
        let command = wrapper::render(admitted);
        // Nothing comes between this look and the request, so a freeze that is confirmed has missed nothing.
        let look = match self.frozen.look(admitted.host()) {
            Ok(look) => look,
            Err(frozen) => {
                session.close().await;
                return Run { address, ..Run::not_run(frozen, admitted.basis()) };
            }
        };
        let started_at = self.clock.now();
        let sent = match given {
            Some(_) => session.exec_with_input(command).await.map(Some),
            None => session.exec(command).await.map(|()| None),
        };
        drop(look);
        let Ok(input) = sent else {
            let detail = "the connection ended before the command was sent".to_owned();
            let outcome = Outcome::Unreachable { reason: Unreachable::ConnectFailed, detail };
            return Run { address, ..Run::not_run(outcome, admitted.basis()) };
        };
        let feeding = input.zip(given).map(|(input, given)| stdin::Feeding::start(input, given));
        let drive = drive::Drive::new(self, admitted, session, feeding, stop);
        let (outcome, output, redactions) = drive.run_to_end().await;
        let started_at = (outcome.ran() != lictor_core::outcome::Ran::NotRun).then_some(started_at);
        let (guard, basis) = (Guard::Journal, admitted.basis());
        Run { outcome, started_at, address, output, spooled: None, redactions, guard, basis }
    }

    /// Writes an end down, then queues its report.
    async fn end(&self, ended: Ended) {
        self.end_all(vec![ended]).await;
    }

    /// Writes ends down together, then queues their reports.
    async fn end_all(&self, ends: Vec<Ended>) {
        self.journal.expect_from(self.work.in_flight());
        let ticket = self.journal.append(ends.iter().map(|ended| Record::Done(Box::new(ended.clone()))));
        let written = ticket.synced().await.is_ok();
        for ended in ends {
            if !written {
                // What is known is reported all the same: after a crash it would be UNKNOWN, and this came first.
                tracing::error!(invocation = %ended.invocation, "the end could not be written down");
            }
            self.work.ended(ended);
        }
    }

    /// Waits until nothing runs any more, at most `deadline`.
    pub(crate) async fn drain(&self, deadline: Duration, places: usize) {
        let all = u32::try_from(places).unwrap_or(u32::MAX);
        // Time is up: what still runs will be reported as UNKNOWN by the next start.
        let _ = tokio::time::timeout(deadline, self.permits.acquire_many(all)).await;
    }
}

// === impl Run ===

impl Run {
    pub(crate) fn not_run(outcome: Outcome, basis: Basis) -> Self {
        let (address, output, guard) = (String::new(), Output::default(), Guard::Journal);
        Self { outcome, started_at: None, address, output, spooled: None, redactions: 0, guard, basis }
    }
}

/// Nothing starts that cannot be written down first.
pub(crate) fn journal_down() -> Outcome {
    denied(
        "AGENT_JOURNAL_UNAVAILABLE",
        "the agent cannot write its journal; free its disk and restart it".into(),
    )
}
