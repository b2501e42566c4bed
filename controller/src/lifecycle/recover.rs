//! After a restart and after a reconnect: what is recorded, what the agent has, and what follows from the difference.

use std::{collections::HashMap, sync::Arc};

use lictor_core::{
    audit::AuditEvent,
    id::InvocationId,
    invocation::{Invocation, InvocationEvent, InvocationState},
    name::HostAlias,
    outcome::{Outcome, Unknown},
};
use lictor_proto::pb;
use lictor_store::{Change, StoreError, Write};

use super::{Lifecycle, close::is_queued};
use crate::{
    authz::{self, PermittedHost},
    dispatch::Offered,
    live::{LiveJob, Slot},
    session::Session,
};

/// Invocations read at a time while a job is loaded.
const PAGE: usize = 1000;

/// A queued invocation with the permission it has just earned again.
struct Reoffer {
    slot: Slot,
    offered: Invocation,
    permitted: PermittedHost,
}

impl Lifecycle {
    /// Loads every job that has not ended. What is queued waits for its agent again; what was offered waits for word.
    ///
    /// # Errors
    /// [`StoreError`] when the store cannot be read.
    pub async fn recover(&self) -> Result<usize, StoreError> {
        let mut jobs = std::collections::BTreeSet::new();
        for id in self.store.open_invocations().await? {
            if let Some(invocation) = self.store.invocation(id).await? {
                jobs.insert(invocation.job);
            }
        }
        let now = self.clock.now();
        for id in &jobs {
            let Some(kept) = self.store.job(*id).await? else { continue };
            let mut invocations: Vec<Invocation> = Vec::new();
            let mut after: Option<HostAlias> = None;
            loop {
                let page = self.store.invocation_ids(*id, after.as_ref(), PAGE).await?;
                if page.is_empty() {
                    break;
                }
                for id in page {
                    let Some(mut invocation) = self.store.invocation(id).await? else { continue };
                    // Output stays in the store; watchers read it from there.
                    invocation.output = lictor_core::output::Output::default();
                    after = Some(invocation.host.clone());
                    invocations.push(invocation);
                }
            }
            self.jobs.insert(&Arc::new(LiveJob::new(kept.job, kept.version, invocations, now)));
        }
        Ok(jobs.len())
    }

    /// Settles what the agent of a new session has against what is recorded: cancels first, then new work.
    ///
    /// # Errors
    /// [`StoreError`] when what follows cannot be recorded; the session must not go on then.
    pub async fn reconcile(
        &self,
        session: &Session,
        journal: &HashMap<InvocationId, pb::JournalPhase>,
        journal_lost: bool,
    ) -> Result<(), StoreError> {
        let (mut lost, mut absent, mut known) = (Vec::new(), Vec::new(), Vec::new());
        for job in self.jobs.jobs() {
            job.for_each(|index, invocation| {
                let kept = &invocation.kept;
                if kept.site != *session.site() || kept.state.agent() != Some(session.agent()) {
                    return;
                }
                // What was offered to this very session came after its hello.
                if matches!(&kept.state, InvocationState::Offered { epoch, .. } if *epoch == session.epoch())
                {
                    return;
                }
                let slot = Slot { job: Arc::clone(&job), index };
                match journal.get(&kept.id) {
                    Some(phase) => known.push((slot, kept.id, *phase)),
                    None if journal_lost => lost.push(slot),
                    None => absent.push(slot),
                }
            });
        }
        let mut cancelled = Vec::new();
        for (slot, id, phase) in known {
            match phase {
                pb::JournalPhase::Running => slot.job.observe(slot.index, InvocationEvent::Start),
                pb::JournalPhase::Accepted => slot.job.observe(slot.index, InvocationEvent::Accept),
                pb::JournalPhase::Ended | pb::JournalPhase::Unspecified => {}
            }
            if slot.job.cancel_requested() {
                cancelled.push(id);
            }
        }
        if !cancelled.is_empty() {
            session.stop(&cancelled);
        }
        // Without its journal nobody can tell what arrived and was started from what was not.
        self.end_without_agent(&lost, &Outcome::Unknown(Unknown::AgentLost)).await?;
        self.take_offers_back(session, absent).await?;
        self.offer_waiting(session).await
    }

    /// Queues again what certainly did not arrive: the agent's journal, which it syncs before it accepts, lacks it.
    async fn take_offers_back(&self, session: &Session, absent: Vec<Slot>) -> Result<(), StoreError> {
        let now = self.clock.now();
        let mut change: Option<Change> = None;
        let mut returned = Vec::new();
        for slot in absent {
            let kept = slot.job.with(slot.index, |invocation, _| {
                let state = match &invocation.kept.state {
                    // It said before that it had it; a journal that has forgotten that is not to be built upon.
                    InvocationState::Accepted { .. } | InvocationState::Running { .. } => return Err(()),
                    state => state.step(InvocationEvent::Return).map_err(|_| ())?,
                };
                Ok(Invocation { state, version: invocation.kept.version + 1, ..invocation.kept.clone() })
            });
            match kept {
                Some(Ok(kept)) => {
                    let event = AuditEvent::InvocationReturned {
                        invocation: kept.id,
                        agent: session.agent().clone(),
                    };
                    let so_far = match change {
                        Some(change) => change.event(event),
                        None => Change::new(now, event),
                    };
                    change = Some(so_far.write(Write::UpdateInvocation(kept.clone())));
                    returned.push((slot, kept));
                }
                _ => self.end_without_agent(&[slot], &Outcome::Unknown(Unknown::AgentLost)).await?,
            }
        }
        let Some(change) = change else { return Ok(()) };
        let _recorded = self.store.commit(change).await?;
        for (slot, kept) in returned {
            let site = kept.site.clone();
            slot.job.requeued(slot.index, kept, now);
            self.jobs.enqueue(site, slot);
        }
        Ok(())
    }

    /// Offers everything that waits at the session's site to it, after policy has permitted it again.
    ///
    /// # Errors
    /// [`StoreError`] when the offers cannot be recorded; they stay queued.
    pub async fn offer_waiting(&self, session: &Session) -> Result<(), StoreError> {
        let (policy, fleet, now) = (self.policies.now(), self.fleet.now(), self.clock.now());
        let mut change: Option<Change> = None;
        let mut offers: Vec<Reoffer> = Vec::new();
        for slot in self.jobs.take_waiting(session.site()) {
            let Some((kept, job)) = slot.job.with(slot.index, |i, job| (i.kept.clone(), job.clone())) else {
                continue;
            };
            if !is_queued(&kept.state) {
                continue;
            }
            if job.cancel_requested.is_some() {
                self.end_without_agent(&[slot], &Outcome::Cancelled).await?;
                continue;
            }
            let Some(host) = fleet.host(&kept.host) else {
                let reason = lictor_core::outcome::Unreachable::NoSuchHost;
                let detail = "its site no longer has the host".to_owned();
                self.end_without_agent(&[slot], &Outcome::Unreachable { reason, detail }).await?;
                continue;
            };
            let permitted = match authz::permit_again(&job, &kept, host, &policy) {
                Ok(permitted) => permitted,
                Err(decision) => {
                    let outcome =
                        Outcome::Denied { code: decision.code.as_str().to_owned(), reason: decision.reason };
                    self.end_without_agent(&[slot], &outcome).await?;
                    continue;
                }
            };
            let event = InvocationEvent::Offer { agent: session.agent().clone(), epoch: session.epoch() };
            let Ok(state) = kept.state.step(event) else { continue };
            let offered = Invocation { state, version: kept.version + 1, ..kept };
            let event = AuditEvent::InvocationOffered {
                invocation: offered.id,
                agent: session.agent().clone(),
                epoch: session.epoch(),
            };
            let so_far = match change {
                Some(change) => change.event(event),
                None => Change::new(now, event),
            };
            change = Some(so_far.write(Write::UpdateInvocation(offered.clone())));
            offers.push(Reoffer { slot, offered, permitted });
        }
        let Some(change) = change else { return Ok(()) };
        let recorded = match self.store.commit(change).await {
            Ok(recorded) => recorded,
            Err(error) => {
                for offer in offers {
                    self.jobs.enqueue(offer.offered.site.clone(), offer.slot);
                }
                return Err(error);
            }
        };
        let mut by_job: HashMap<lictor_core::id::JobId, (Slot, Vec<Offered>)> = HashMap::new();
        for Reoffer { slot, offered, permitted } in offers {
            let item = Offered { invocation: offered.id, attempt: offered.attempt, permitted };
            by_job.entry(offered.job).or_insert_with(|| (slot.clone(), Vec::new())).1.push(item);
            slot.job.requeued(slot.index, offered, now);
        }
        for (slot, list) in by_job.into_values() {
            let (job, _, _) = slot.job.snapshot();
            self.dispatcher.send(&job, list, session, &recorded, now);
        }
        Ok(())
    }

    /// An agent may have connected between placing a job and making it live; then nobody would offer it.
    pub(super) fn offer_to_newcomers(&self, job: &Arc<LiveJob>) {
        let now = self.clock.now();
        for (_, _, waits_at) in job.index() {
            if let Some(session) = waits_at.and_then(|site| self.sessions.choose(&site, now)) {
                session.look();
            }
        }
    }
}
