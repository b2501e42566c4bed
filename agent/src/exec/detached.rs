//! A command that its host guards against a second start, and that outlives the SSH connection and this agent.
//!
//! The host gets a directory named after the invocation, in which the command's output and its status end up
//! ([`script`]); [`follow`] reads them from there, over as many connections as it takes. What the command is [`given`] is
//! there before it starts. A host without a place for that runs the command in the ordinary way, and the result says so.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use lictor_core::{
    clock::Timestamp,
    id::InvocationId,
    name::HostAlias,
    outcome::{Outcome, Ran, Unknown, Unreachable},
};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

mod answer;
mod begin;
mod follow;
mod given;
mod intake;
mod look;
mod script;
#[cfg(test)]
mod tests;

use super::{Run, Runner, wrapper};
use crate::{
    admit::Admitted,
    content::Given,
    journal::{held::Held, record::Record},
    ssh::{
        address::Networks,
        pool::Pool,
        session::{Event, Session},
    },
};
pub(super) use follow::Followed;
use follow::{Follow, Went};
use given::Handed;
use script::{Ask, Launch, Parcel};

/// Time for a host to clean up; what is left stays.
const CLEAN_TIMEOUT: Duration = Duration::from_secs(60);
/// Hosts that clean up at once: when a large job is committed, its cleaning must not take the connections of what runs.
const CLEAN_AT_ONCE: usize = 8;

/// What ended invocations left on their hosts, until the controller has their results.
#[derive(Debug)]
pub(crate) struct Remains {
    places: Mutex<HashMap<InvocationId, (HostAlias, Networks)>>,
    /// Who may clean now.
    turns: Arc<Semaphore>,
}

// === impl Runner ===

impl Runner {
    /// Starts it under the host's guard and follows it to its end; without a guard if the host has no place for one.
    pub(super) async fn exec_detached(
        &self,
        admitted: Admitted,
        mut session: Session,
        given: Option<Given>,
        stop: CancellationToken,
    ) -> Run {
        if !given::is_given(&admitted, given.as_ref()) {
            return self.exec_guarded(admitted, session, None, stop).await;
        }
        // What the host is handed is cleaned away there, too, where nothing is started in the end.
        self.remains.note(&held(&admitted, self.clock.now()));
        let handed = self.hand_over(&admitted, &mut session, given.as_ref(), &stop).await;
        session.close().await;
        let address = session.peer().to_string();
        drop(session);
        match handed {
            Handed::Kept(parcel) => {
                // The host has it now: what follows may take days.
                drop(given);
                match self.open_again(admitted, &stop).await {
                    Ok((admitted, session)) => self.exec_guarded(admitted, session, Some(parcel), stop).await,
                    Err(not_run) => *not_run,
                }
            }
            Handed::Nowhere => self.exec_without_guard(admitted, given, stop).await,
            Handed::Not(outcome) => Run { address, ..Run::not_run(outcome, admitted.basis()) },
        }
    }

    /// As [`Self::exec_detached`], with what it is given on its host already.
    async fn exec_guarded(
        &self,
        admitted: Admitted,
        session: Session,
        parcel: Option<Parcel>,
        stop: CancellationToken,
    ) -> Run {
        let (address, started_at) = (session.peer().to_string(), self.clock.now());
        let (held, basis) = (held(&admitted, started_at), admitted.basis());
        let deadline = Instant::now() + held.limits.timeout;
        let not_run = |reason, detail: &str| {
            let outcome = Outcome::Unreachable { reason, detail: detail.to_owned() };
            Run { address: address.clone(), ..Run::not_run(outcome, basis) }
        };
        let follow = Follow::new(self, held.clone(), deadline, stop.clone(), Unknown::ConnectionLost);
        let directory = admitted.context().working_directory.as_ref().map(|directory| directory.as_str());
        let launch = Launch {
            command: wrapper::command(&admitted),
            shaped: admitted.context().shapes_process(),
            directory,
            parcel: parcel.as_ref(),
        };
        let went = follow.start(session, launch).await;
        match went {
            Went::NotSent => {
                not_run(Unreachable::ConnectFailed, "the connection ended before the command was sent")
            }
            Went::Refused => {
                not_run(Unreachable::SessionRefused, "the host refused to run a command (see its sshd log)")
            }
            Went::NoDirectory(said) => {
                let directory = directory.unwrap_or_default();
                let detail = format!("the working directory {directory} cannot be entered: {said}");
                not_run(Unreachable::WorkingDirectory, &detail)
            }
            Went::NotGiven => not_run(
                Unreachable::SessionRefused,
                "the host does not have what the command was given any more; nothing was started",
            ),
            Went::Frozen(frozen) => Run { address, ..Run::not_run(frozen, basis) },
            Went::Nowhere if parcel.is_some() => not_run(
                Unreachable::SessionRefused,
                "the host kept what the command is given, and has no place for its guard (see its disk); nothing was started",
            ),
            Went::Nowhere => self.exec_without_guard(admitted, None, stop).await,
            Went::Ended(followed) => {
                let Followed { outcome, output, redactions, address, guard } = *followed;
                self.remains.note(&held);
                let started_at = (outcome.ran() != Ran::NotRun).then_some(started_at);
                Run { outcome, started_at, address, output, spooled: None, redactions, guard, basis }
            }
        }
    }

    /// Nothing was started yet, so this is a first start all the same.
    async fn exec_without_guard(
        &self,
        admitted: Admitted,
        given: Option<Given>,
        stop: CancellationToken,
    ) -> Run {
        tracing::warn!(
            invocation = %admitted.invocation(),
            host = %admitted.host(),
            "the host has no place for a guard; the journal alone guards this one"
        );
        match self.open_again(admitted, &stop).await {
            Ok((admitted, session)) => self.exec_attached(&admitted, session, given, stop).await,
            Err(not_run) => *not_run,
        }
    }

    /// Another channel, on which what nothing was started of yet may still start.
    async fn open_again(
        &self,
        admitted: Admitted,
        stop: &CancellationToken,
    ) -> Result<(Admitted, Session), Box<Run>> {
        let session = match self.pool.open(admitted.host(), admitted.networks()).await {
            Ok(session) => session,
            Err(refused) => {
                let outcome = Outcome::Unreachable { reason: refused.reason, detail: refused.detail };
                return Err(Box::new(Run::not_run(outcome, admitted.basis())));
            }
        };
        // Asking the host took time: what was narrowed meanwhile holds.
        let admitted = self.last_look(admitted, &session, stop).await?;
        Ok((admitted, session))
    }

    /// Finds again what an earlier run of this agent started. Returns at once.
    pub(crate) fn resume(self: &Arc<Self>, held: Vec<Held>) {
        for one in held {
            let (this, stop) = (Arc::clone(self), self.work.resume(one.invocation));
            tokio::spawn(async move { this.resume_one(one, stop).await });
        }
    }

    async fn resume_one(&self, held: Held, stop: CancellationToken) {
        tracing::info!(invocation = %held.invocation, host = %held.host, "was started before the last stop; its host is asked what became of it");
        let left = held.limits.timeout.saturating_sub(self.clock.now().since(held.at));
        let follow = Follow::new(self, held.clone(), Instant::now() + left, stop, Unknown::AgentRestarted);
        let followed = follow.find().await;
        self.remains.note(&held);
        let ended = self.kept(held.invocation, Some(held.at), followed).await;
        self.end(ended).await;
    }
}

// === impl Remains ===

impl Default for Remains {
    fn default() -> Self {
        Self { places: Mutex::default(), turns: Arc::new(Semaphore::new(CLEAN_AT_ONCE)) }
    }
}

impl Remains {
    fn note(&self, held: &Held) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        places.insert(held.invocation, (held.host.clone(), held.networks.clone()));
    }

    /// Removes what `id` left on its host, but for the guard. Returns at once; needs no success.
    pub(super) fn clean(&self, pool: &Arc<Pool>, id: InvocationId) {
        let left = self.places.lock().unwrap_or_else(PoisonError::into_inner).remove(&id);
        let Some((host, networks)) = left else { return };
        let (pool, turns) = (Arc::clone(pool), Arc::clone(&self.turns));
        tokio::spawn(async move {
            // The semaphore is never closed.
            let Ok(_turn) = turns.acquire_owned().await else { return };
            if timeout(CLEAN_TIMEOUT, clean(&pool, &host, &networks, id)).await.is_err() {
                tracing::debug!(invocation = %id, %host, "a host did not clean up in time");
            }
        });
    }
}

/// The record that must be on disk before the exec request is sent.
pub(super) fn starting(admitted: &Admitted, now: Timestamp) -> Record {
    if admitted.detached() {
        return Record::Detached(Box::new(held(admitted, now)));
    }
    Record::Starting(admitted.invocation(), now)
}

/// By which a detached one is found again.
fn held(admitted: &Admitted, now: Timestamp) -> Held {
    Held {
        invocation: admitted.invocation(),
        at: now,
        host: admitted.host().clone(),
        limits: admitted.limits(),
        networks: admitted.networks().clone(),
    }
}

async fn clean(pool: &Pool, host: &HostAlias, networks: &Networks, id: InvocationId) {
    let Ok(mut session) = pool.open(host, networks).await else { return };
    if session.exec(script::render(id, &nonce(), Ask::Clean)).await.is_ok() {
        while !matches!(session.next().await, Event::Closed { .. } | Event::Refused) {}
    }
    session.close().await;
}

/// Marks one answer; nobody guesses it.
fn nonce() -> String {
    format!("{:032x}", rand::random::<u128>())
}
