//! After a reconnect: what is recorded, what the agent has, and what follows from the difference.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use lictor_core::{
    approval::Approval,
    audit::AuditEvent,
    id::{InvocationId, JobId},
    invocation::{Invocation, InvocationEvent, InvocationState},
    name::{AgentName, SiteName},
    outcome::{Outcome, Unknown, Unreachable},
};
use lictor_proto::pb;
use lictor_store::{Change, StoreError, Write};

use super::{
    Lifecycle,
    close::{End, is_queued, to_its_end},
};
use crate::{
    authz::{self, NoLonger, PermittedHost},
    dispatch::Offered,
    live::{LiveJob, Slot, Turn, longest_silence},
    session::Session,
};

/// A queued invocation with the permission it has just earned again.
struct Reoffer {
    slot: Slot,
    offered: Invocation,
    permitted: PermittedHost,
}

impl Lifecycle {
    /// Settles what the agent of a new session has against what is recorded: cancels first, then new work.
    ///
    /// # Errors
    /// [`StoreError`] when what follows cannot be recorded; the session must not go on then.
    pub async fn reconcile(
        self: &Arc<Self>,
        session: &Session,
        journal: &HashMap<InvocationId, pb::JournalPhase>,
    ) -> Result<(), StoreError> {
        let (mut absent, mut cancelled) = (Vec::new(), Vec::new());
        for slot in self.at_agent(session.site(), session.agent()) {
            let Some((id, epoch)) = slot.job.with(slot.index, |i, _| (i.kept.id, epoch_of(&i.kept.state)))
            else {
                continue;
            };
            // What was offered to this very session came after its hello.
            if epoch == Some(session.epoch()) {
                continue;
            }
            match journal.get(&id) {
                Some(phase) => {
                    let now = self.served.now().served;
                    slot.job.with(slot.index, |invocation, _| {
                        invocation.lost_at = Some(now.plus(longest_silence(&invocation.kept)));
                    });
                    match phase {
                        pb::JournalPhase::Running => slot.job.observe(slot.index, InvocationEvent::Start),
                        pb::JournalPhase::Accepted => slot.job.observe(slot.index, InvocationEvent::Accept),
                        pb::JournalPhase::Ended | pb::JournalPhase::Unspecified => {}
                    }
                    if slot.job.cancel_requested() {
                        cancelled.push(id);
                    }
                }
                None => absent.push(slot),
            }
        }
        if !cancelled.is_empty() {
            session.stop(&cancelled);
        }
        self.take_offers_back(session, absent).await?;
        self.offer_waiting(session).await
    }

    /// Settles what an agent had when it comes without its journal: nobody can tell what arrived and was started.
    ///
    /// # Errors
    /// [`StoreError`] when that cannot be recorded; the agent must not get a session then.
    pub async fn settle_lost_journal(
        self: &Arc<Self>,
        site: &SiteName,
        agent: &AgentName,
    ) -> Result<(), StoreError> {
        self.end_without_agent(self.at_agent(site, agent), &Outcome::Unknown(Unknown::AgentLost)).await
    }

    /// Everything live that was offered to this agent and has not ended.
    fn at_agent(&self, site: &SiteName, agent: &AgentName) -> Vec<Slot> {
        let mut slots = Vec::new();
        for job in self.jobs.jobs() {
            job.for_each(|index, invocation| {
                if invocation.kept.site == *site && invocation.kept.state.agent() == Some(agent) {
                    slots.push(Slot { job: Arc::clone(&job), index });
                }
            });
        }
        slots
    }

    /// Queues again what certainly did not arrive: the agent's journal, which it syncs before it accepts, lacks it.
    ///
    /// Runs to its end even if the caller goes away.
    pub(super) async fn take_offers_back(
        self: &Arc<Self>,
        session: &Session,
        absent: Vec<Slot>,
    ) -> Result<(), StoreError> {
        if absent.is_empty() {
            return Ok(());
        }
        let (this, agent, epoch) = (Arc::clone(self), session.agent().clone(), session.epoch());
        to_its_end(async move {
            let turn = Turn::of(absent.iter().map(|slot| &slot.job)).await;
            this.take_offers_back_in(&turn, &agent, epoch, absent).await
        })
        .await
    }

    async fn take_offers_back_in(
        &self,
        turn: &Turn,
        agent: &AgentName,
        epoch: u64,
        absent: Vec<Slot>,
    ) -> Result<(), StoreError> {
        let now = self.clock.now();
        let (mut change, mut returned, mut forgotten): (Option<Change>, _, _) =
            (None, Vec::new(), Vec::new());
        for slot in absent {
            let Some(kept) = slot.job.with(slot.index, |invocation, _| invocation.kept.clone()) else {
                continue;
            };
            match &kept.state {
                InvocationState::Offered { epoch: of, .. } if *of != epoch => {}
                // It said before that it had it; a journal that has forgotten that is not to be built upon.
                InvocationState::Accepted { .. } | InvocationState::Running { .. } => {
                    forgotten.push(End { slot, outcome: Outcome::Unknown(Unknown::AgentLost), report: None });
                    continue;
                }
                InvocationState::Offered { .. } | InvocationState::Queued | InvocationState::Ended(_) => {
                    continue;
                }
            }
            let Ok(state) = kept.state.step(InvocationEvent::Return) else { continue };
            let kept = Invocation { state, version: kept.version + 1, ..kept };
            let event = AuditEvent::InvocationReturned { invocation: kept.id, agent: agent.clone() };
            let so_far = match change {
                Some(change) => change.event(event),
                None => Change::new(now, event),
            };
            change = Some(so_far.write(Write::UpdateInvocation(kept.clone().into())));
            returned.push((slot, kept));
        }
        self.close_in(turn, forgotten).await?;
        let Some(change) = change else { return Ok(()) };
        let _recorded = self.store.commit(change).await?;
        for (slot, kept) in returned {
            let site = kept.site.clone();
            slot.job.requeued(turn, slot.index, kept, self.served.now());
            self.jobs.enqueue(site, slot);
        }
        Ok(())
    }

    /// Offers everything that waits at the session's site to it, after policy has permitted it again.
    ///
    /// Runs to its end even if the caller goes away.
    ///
    /// # Errors
    /// [`StoreError`] when the offers cannot be recorded; they stay queued.
    pub async fn offer_waiting(self: &Arc<Self>, session: &Session) -> Result<(), StoreError> {
        let Some(session) = self
            .sessions
            .of(session.site(), session.agent())
            .filter(|s| s.epoch() == session.epoch() && s.witness_refusal().is_none())
        else {
            return Ok(());
        };
        let slots = self.jobs.take_waiting(session.site());
        if slots.is_empty() {
            return Ok(());
        }
        let this = Arc::clone(self);
        to_its_end(async move {
            let turn = Turn::of(slots.iter().map(|slot| &slot.job)).await;
            let offered = this.offer_in(&turn, &session, &slots).await;
            if offered.is_err() {
                for slot in slots {
                    this.jobs.enqueue(session.site().clone(), slot);
                }
            }
            offered
        })
        .await
    }

    async fn offer_in(&self, turn: &Turn, session: &Session, slots: &[Slot]) -> Result<(), StoreError> {
        let _in_force = self.policies.hold().await;
        let now = self.clock.now();
        let (mut change, mut offers, mut ends): (Option<Change>, Vec<Reoffer>, _) =
            (None, Vec::new(), Vec::new());
        let mut hosts: HashMap<JobId, usize> = HashMap::new();
        for slot in slots {
            let hosts = *hosts.entry(slot.job.id()).or_insert_with(|| slot.job.hosts());
            match self.offer_again(slot, hosts, session) {
                Again::No => {}
                Again::End(outcome) => ends.push(End { slot: slot.clone(), outcome, report: None }),
                Again::Offer(offer) => {
                    let event = AuditEvent::InvocationOffered {
                        invocation: offer.offered.id,
                        agent: session.agent().clone(),
                        epoch: session.epoch(),
                    };
                    let so_far = match change {
                        Some(change) => change.event(event),
                        None => Change::new(now, event),
                    };
                    change = Some(so_far.write(Write::UpdateInvocation(offer.offered.clone().into())));
                    offers.push(*offer);
                }
            }
        }
        self.close_in(turn, ends).await?;
        let Some(change) = change else { return Ok(()) };
        let recorded = self.store.commit(change).await?;
        let mut by_job: HashMap<JobId, (Slot, Vec<Offered>)> = HashMap::new();
        for Reoffer { slot, offered, permitted } in offers {
            let item = Offered { invocation: offered.id, attempt: offered.attempt, permitted };
            by_job.entry(offered.job).or_insert_with(|| (slot.clone(), Vec::new())).1.push(item);
            slot.job.requeued(turn, slot.index, offered, self.served.now());
        }
        for (slot, list) in by_job.into_values() {
            let (job, _, _) = slot.job.snapshot();
            self.dispatcher.send(&job, list, session, &recorded, now);
        }
        Ok(())
    }

    /// What becomes of one invocation that waits: offered, ended, or left as it is because it has moved on.
    fn offer_again(&self, slot: &Slot, hosts: usize, session: &Session) -> Again {
        let look = slot.job.with(slot.index, |i, job| (i.kept.clone(), i.held, i.wait_until, job.clone()));
        let Some((kept, held, wait_until, job)) = look else { return Again::No };
        if !is_queued(&kept.state) {
            return Again::No;
        }
        if job.progress.halted.is_some() {
            return Again::End(Outcome::Skipped);
        }
        if job.cancel_requested.is_some() {
            return Again::End(Outcome::Cancelled);
        }
        if let Some(refusal) = job.approval.as_ref().and_then(Approval::refusal) {
            return Again::End(refusal);
        }
        if held || job.awaits_approval() || job.progress.paused.is_some() {
            return Again::No;
        }
        if self.served.now().served > wait_until {
            return Again::End(Outcome::Expired);
        }
        let fleet = self.fleet.now();
        let Some(host) = fleet.host(&kept.host) else {
            let detail = "its site no longer has the host".to_owned();
            return Again::End(Outcome::Unreachable { reason: Unreachable::NoSuchHost, detail });
        };
        let (policy, now) = (self.policies.now(), self.clock.now());
        let freezes = self.freezes.now();
        let permitted = match authz::permit_again(&job, &kept, host, hosts, &policy, &freezes.set, now) {
            Ok(permitted) => permitted,
            Err(NoLonger { code, reason }) => return Again::End(Outcome::Denied { code, reason }),
        };
        let event = InvocationEvent::Offer { agent: session.agent().clone(), epoch: session.epoch() };
        let Ok(state) = kept.state.step(event) else { return Again::No };
        let offered = Invocation { state, version: kept.version + 1, ..kept };
        Again::Offer(Box::new(Reoffer { slot: slot.clone(), offered, permitted }))
    }

    /// While a job was recorded, its agents may have come or reconnected; then what was recorded for an older session
    /// is taken back, and what waits is offered.
    pub(super) async fn offer_to_newcomers(self: &Arc<Self>, job: &Arc<LiveJob>) -> Result<(), StoreError> {
        let mut stale: HashMap<(SiteName, AgentName), Vec<Slot>> = HashMap::new();
        let mut waiting = BTreeSet::new();
        job.for_each(|index, invocation| match &invocation.kept.state {
            InvocationState::Queued => drop(waiting.insert(invocation.kept.site.clone())),
            InvocationState::Offered { agent, epoch } => {
                let newest = self.sessions.of(&invocation.kept.site, agent).map(|s| s.epoch());
                if newest.is_some_and(|newest| newest != *epoch) {
                    let slot = Slot { job: Arc::clone(job), index };
                    stale.entry((invocation.kept.site.clone(), agent.clone())).or_default().push(slot);
                }
            }
            InvocationState::Accepted { .. }
            | InvocationState::Running { .. }
            | InvocationState::Ended(_) => {}
        });
        for ((site, agent), slots) in stale {
            if let Some(session) = self.sessions.of(&site, &agent) {
                if let Err(error) = self.take_offers_back(&session, slots).await {
                    // Settled when the agent comes back; until then nothing of it can be told.
                    session.end();
                    return Err(error);
                }
                waiting.insert(site);
            }
        }
        let now = self.clock.now();
        for site in waiting {
            if let Some(session) = self.sessions.choose(&site, now) {
                self.offer_waiting(&session).await?;
            }
        }
        Ok(())
    }
}

/// What becomes of an invocation that waits when an agent is there.
enum Again {
    No,
    End(Outcome),
    Offer(Box<Reoffer>),
}

const fn epoch_of(state: &InvocationState) -> Option<u64> {
    match state {
        InvocationState::Offered { epoch, .. } => Some(*epoch),
        InvocationState::Queued
        | InvocationState::Accepted { .. }
        | InvocationState::Running { .. }
        | InvocationState::Ended(_) => None,
    }
}
