//! Every invocation this agent knows, and what the controller has yet to be told of them. The one shared state.

use std::{
    collections::{HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use lictor_core::{clock::Timestamp, id::InvocationId};
use lictor_proto::{
    limits::{MAX_IDS_PER_MESSAGE, MAX_RESULTS_PER_MESSAGE},
    pb,
};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use crate::{ended::Ended, journal::tombstones::Tombstones};

/// Invocations known at once: twice the largest fan-out. Bounds the memory of an agent whose controller is away.
pub(crate) const MAX_KNOWN: usize = 20_000;

/// The shared state.
#[derive(Debug, Default)]
pub(crate) struct Work {
    inner: Mutex<Inner>,
    outgoing: Notify,
    uploads: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    entries: HashMap<InvocationId, Entry>,
    tombstones: Tombstones,
    accepted: Vec<InvocationId>,
    started: Vec<InvocationId>,
    results: VecDeque<InvocationId>,
    to_upload: VecDeque<InvocationId>,
    in_flight: u32,
}

#[derive(Debug)]
enum Entry {
    Waiting(CancellationToken),
    Running(CancellationToken),
    Ended(Arc<Ended>),
}

/// What a stop met.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Stopping {
    /// It was told; its end will follow.
    Told,
    /// It has ended, or is settled.
    Over,
    /// It is not known: it was taken now, so that a late offer never starts it.
    Taken,
}

impl Work {
    /// Takes over what the journal said: ends that the controller may not have, and what must never start again.
    pub(crate) fn restore(ended: impl IntoIterator<Item = Ended>, tombstones: Tombstones) -> Self {
        let entries = ended.into_iter().map(|e| (e.invocation, Entry::Ended(Arc::new(e)))).collect();
        Self { inner: Mutex::new(Inner { entries, tombstones, ..Inner::default() }), ..Self::default() }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes `id` if it was never seen; if it was, what is known of it is reported again.
    pub(crate) fn claim(&self, id: InvocationId) -> bool {
        let mut inner = self.lock();
        if inner.tombstones.contains(id) {
            return false;
        }
        if inner.entries.contains_key(&id) {
            inner.report_again(id);
            self.outgoing.notify_one();
            self.uploads.notify_one();
            return false;
        }
        inner.entries.insert(id, Entry::Waiting(CancellationToken::new()));
        inner.in_flight += 1;
        true
    }

    /// Whether there is room for more.
    pub(crate) fn full(&self) -> bool {
        self.lock().entries.len() >= MAX_KNOWN
    }

    /// The token by which `id` is told to stop.
    pub(crate) fn stop_token(&self, id: InvocationId) -> CancellationToken {
        match self.lock().entries.get(&id) {
            Some(Entry::Waiting(token) | Entry::Running(token)) => token.clone(),
            _ => CancellationToken::new(),
        }
    }

    /// Notes that `id` is about to start.
    pub(crate) fn running(&self, id: InvocationId) {
        let mut inner = self.lock();
        if let Some(entry) = inner.entries.get_mut(&id)
            && let Entry::Waiting(token) = entry
        {
            *entry = Entry::Running(token.clone());
        }
    }

    /// Queues the acknowledgement of journalled invocations.
    pub(crate) fn acknowledge(&self, accepted: &[InvocationId], started: &[InvocationId]) {
        let mut inner = self.lock();
        inner.accepted.extend_from_slice(accepted);
        inner.started.extend_from_slice(started);
        drop(inner);
        self.outgoing.notify_one();
    }

    /// Notes an end that is on disk, and queues it.
    pub(crate) fn ended(&self, ended: Ended) {
        let id = ended.invocation;
        let spooled = ended.is_spooled();
        let mut inner = self.lock();
        let before = inner.entries.insert(id, Entry::Ended(Arc::new(ended)));
        if matches!(before, Some(Entry::Waiting(_) | Entry::Running(_))) {
            inner.in_flight = inner.in_flight.saturating_sub(1);
        }
        if spooled {
            inner.to_upload.push_back(id);
        } else {
            inner.results.push_back(id);
        }
        drop(inner);
        if spooled { self.uploads.notify_one() } else { self.outgoing.notify_one() }
    }

    /// Queues the result of `id`, whose output the controller has taken.
    pub(crate) fn uploaded(&self, id: InvocationId) {
        self.lock().results.push_back(id);
        self.outgoing.notify_one();
    }

    /// Tells `id` to stop, or takes it so that it never starts.
    pub(crate) fn stop(&self, id: InvocationId) -> Stopping {
        let mut inner = self.lock();
        if inner.tombstones.contains(id) {
            return Stopping::Over;
        }
        match inner.entries.get(&id) {
            Some(Entry::Waiting(token) | Entry::Running(token)) => {
                token.cancel();
                Stopping::Told
            }
            Some(Entry::Ended(_)) => {
                inner.report_again(id);
                drop(inner);
                self.outgoing.notify_one();
                Stopping::Over
            }
            None => {
                inner.entries.insert(id, Entry::Waiting(CancellationToken::new()));
                inner.in_flight += 1;
                Stopping::Taken
            }
        }
    }

    /// Forgets an end that the controller has; the identifier stays taken. Tells whether there was something to forget.
    pub(crate) fn committed(&self, id: InvocationId, now: Timestamp) -> Option<Arc<Ended>> {
        let mut inner = self.lock();
        if !matches!(inner.entries.get(&id), Some(Entry::Ended(_))) {
            return None;
        }
        let Some(Entry::Ended(ended)) = inner.entries.remove(&id) else { return None };
        inner.tombstones.bury(id, now);
        inner.tombstones.expire(now);
        Some(ended)
    }

    /// Starts over for a new session: everything known goes into its `Hello`, every end is queued again.
    pub(crate) fn begin_session(&self) -> Vec<pb::JournalEntry> {
        let mut inner = self.lock();
        inner.accepted.clear();
        inner.started.clear();
        inner.results.clear();
        inner.to_upload.clear();
        let ids: Vec<InvocationId> = inner.entries.keys().copied().collect();
        ids.into_iter()
            .map(|id| {
                let phase = match inner.entries.get(&id) {
                    Some(Entry::Running(_)) => pb::JournalPhase::Running,
                    Some(Entry::Ended(_)) => {
                        inner.report_again(id);
                        pb::JournalPhase::Ended
                    }
                    Some(Entry::Waiting(_)) | None => pb::JournalPhase::Accepted,
                };
                pb::JournalEntry { invocation_id: id.to_string(), phase: phase.into() }
            })
            .collect()
    }

    /// Invocations that are waiting or running.
    pub(crate) fn in_flight(&self) -> u32 {
        self.lock().in_flight
    }

    /// Waits until there may be something to send.
    pub(crate) async fn something_to_send(&self) {
        self.outgoing.notified().await;
    }

    /// The next message, of everything that is queued now; `None` when nothing is.
    pub(crate) fn next_message(&self) -> Option<pb::AgentMessage> {
        use pb::agent_message::Message;
        let mut inner = self.lock();
        if !inner.accepted.is_empty() || !inner.started.is_empty() {
            let mut take = |list: fn(&mut Inner) -> &mut Vec<InvocationId>| {
                let list = list(&mut inner);
                let count = list.len().min(MAX_IDS_PER_MESSAGE);
                list.drain(..count).map(|id| id.to_string()).collect::<Vec<_>>()
            };
            let progress =
                pb::Progress { accepted: take(|i| &mut i.accepted), started: take(|i| &mut i.started) };
            return Some(pb::AgentMessage { message: Some(Message::Progress(progress)) });
        }
        let mut results = Vec::new();
        while results.len() < MAX_RESULTS_PER_MESSAGE
            && let Some(id) = inner.results.pop_front()
        {
            // An end that was committed meanwhile needs no report.
            if let Some(Entry::Ended(ended)) = inner.entries.get(&id) {
                results.push(ended.to_wire());
            }
        }
        (!results.is_empty())
            .then_some(pb::AgentMessage { message: Some(Message::Results(pb::Results { results })) })
    }

    /// Waits for an end whose output has to be sent first.
    pub(crate) async fn next_upload(&self) -> Arc<Ended> {
        loop {
            let notified = self.uploads.notified();
            {
                let mut inner = self.lock();
                while let Some(id) = inner.to_upload.pop_front() {
                    if let Some(Entry::Ended(ended)) = inner.entries.get(&id) {
                        return Arc::clone(ended);
                    }
                }
            }
            notified.await;
        }
    }
}

impl Inner {
    fn report_again(&mut self, id: InvocationId) {
        match self.entries.get(&id) {
            Some(Entry::Ended(ended)) if ended.is_spooled() => self.to_upload.push_back(id),
            Some(Entry::Ended(_)) => self.results.push_back(id),
            // Its acknowledgement is on its way, or was part of this session's `Hello`.
            Some(Entry::Waiting(_) | Entry::Running(_)) | None => {}
        }
    }
}
