//! Every invocation this agent knows, and what the controller has yet to be told of them. The one shared state.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use lictor_core::{clock::Timestamp, id::InvocationId, limits::MAX_HOSTS_PER_JOB};
use lictor_proto::{
    limits::{MAX_IDS_PER_MESSAGE, MAX_RESULTS_PER_MESSAGE, RESULT_BYTES_PER_MESSAGE},
    pb,
};
use prost::Message as _;
use tokio::{sync::Notify, time::Instant};
use tokio_util::sync::CancellationToken;

use crate::{ended::Ended, journal::tombstones::Tombstones};

#[cfg(test)]
mod tests;

/// Invocations known at once: a hello names each of them, and the controller refuses one that names more. Also bounds the
/// memory of an agent whose controller is away.
pub(crate) const MAX_KNOWN: usize = MAX_IDS_PER_MESSAGE;

/// New work is turned away from here on: what is left is for the refusals themselves, which are known until they are
/// committed, and for stops of what is not known; a grant has at most 1,000 hosts.
pub(crate) const BUSY_AT: usize = MAX_KNOWN - 1_000;
const _: () = assert!(BUSY_AT > MAX_HOSTS_PER_JOB, "an agent that has nothing to do takes the largest job");

/// How long acknowledgements wait to be sent: most commands have ended by then, and their result says as much. Shorter
/// than a command runs before it is shown live (100 ms), so that what is shown is known to run.
pub(crate) const PROGRESS_HOLD: Duration = Duration::from_millis(80);
/// From so many invocations under way, results wait for each other: they share messages, and at the controller commits and
/// their syncs. Below it nothing waits.
const MANY_IN_FLIGHT: u32 = 64;
/// How long a result waits then: in the time of a commit or two, tens of others come.
const RESULTS_HOLD: Duration = Duration::from_millis(2);
/// So many are enough to go at once.
const RESULTS_TO_GO: usize = 256;

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
    /// When the oldest acknowledgement may go.
    progress_due: Option<Instant>,
    results: VecDeque<InvocationId>,
    /// When the results may go.
    results_due: Option<Instant>,
    to_upload: VecDeque<InvocationId>,
    /// Those that are to be uploaded and those that just are: each goes once at a time.
    uploading: HashSet<InvocationId>,
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
    /// It has ended, or is settled, or there is no room to note it.
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
        // Dropped without an answer: it was not taken, so it may be offered again.
        if inner.entries.len() >= MAX_KNOWN {
            return false;
        }
        inner.entries.insert(id, Entry::Waiting(CancellationToken::new()));
        inner.in_flight += 1;
        true
    }

    /// Whether there is no room for more; to be asked before [`Self::claim`].
    pub(crate) fn full(&self) -> bool {
        self.lock().entries.len() >= BUSY_AT
    }

    /// The token by which `id` is told to stop.
    pub(crate) fn stop_token(&self, id: InvocationId) -> CancellationToken {
        match self.lock().entries.get(&id) {
            Some(Entry::Waiting(token) | Entry::Running(token)) => token.clone(),
            _ => CancellationToken::new(),
        }
    }

    /// Takes over what an earlier run of this agent started and will find again; gives the token by which it is stopped.
    pub(crate) fn resume(&self, id: InvocationId) -> CancellationToken {
        let token = CancellationToken::new();
        let mut inner = self.lock();
        if inner.entries.insert(id, Entry::Running(token.clone())).is_none() {
            inner.in_flight += 1;
        }
        token
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
        inner.progress_due.get_or_insert_with(|| Instant::now() + PROGRESS_HOLD);
        drop(inner);
        // Nothing goes yet; the session has to learn by when.
        self.outgoing.notify_one();
    }

    /// When the next message is to be sent, if there is something to say.
    pub(crate) fn next_due(&self) -> Option<Instant> {
        let inner = self.lock();
        inner.progress_due.into_iter().chain(inner.results_due).min()
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
            inner.upload(id);
            self.uploads.notify_one();
        } else if inner.report(id) {
            self.outgoing.notify_one();
        }
    }

    /// Queues the result of `id`, whose output the controller has taken, or will not have.
    pub(crate) fn uploaded(&self, id: InvocationId) {
        let mut inner = self.lock();
        inner.uploading.remove(&id);
        let is_earlier = inner.report(id);
        drop(inner);
        if is_earlier {
            self.outgoing.notify_one();
        }
    }

    /// Whether the controller is still to have this end.
    pub(crate) fn is_awaited(&self, id: InvocationId) -> bool {
        matches!(self.lock().entries.get(&id), Some(Entry::Ended(_)))
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
                self.uploads.notify_one();
                Stopping::Over
            }
            None if inner.entries.len() >= MAX_KNOWN => Stopping::Over,
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
        inner.uploading.remove(&id);
        inner.tombstones.bury(id, now);
        inner.tombstones.expire(now);
        Some(ended)
    }

    /// Starts over for a new session: everything known goes into its `Hello`, every end is queued again.
    pub(crate) fn begin_session(&self) -> Vec<pb::JournalEntry> {
        let mut inner = self.lock();
        inner.accepted.clear();
        inner.started.clear();
        inner.progress_due = None;
        inner.results.clear();
        inner.results_due = None;
        // The uploads of the session before ended with it.
        inner.to_upload.clear();
        inner.uploading.clear();
        let ids: Vec<InvocationId> = inner.entries.keys().copied().collect();
        ids.into_iter()
            .take(MAX_KNOWN)
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

    /// The next message, of everything that is due now; `None` when nothing is.
    pub(crate) fn next_message(&self) -> Option<pb::AgentMessage> {
        use pb::agent_message::Message;
        let mut inner = self.lock();
        let now = Instant::now();
        let due = inner.progress_due.is_some_and(|at| at <= now);
        if due {
            inner.drop_settled_progress();
        }
        if due && inner.accepted.is_empty() && inner.started.is_empty() {
            inner.progress_due = None;
        } else if due {
            let mut take = |list: fn(&mut Inner) -> &mut Vec<InvocationId>| {
                let list = list(&mut inner);
                let count = list.len().min(MAX_IDS_PER_MESSAGE);
                list.drain(..count).map(|id| id.to_string()).collect::<Vec<_>>()
            };
            let progress =
                pb::Progress { accepted: take(|i| &mut i.accepted), started: take(|i| &mut i.started) };
            return Some(pb::AgentMessage { message: Some(Message::Progress(progress)) });
        }
        if inner.results_due.is_none_or(|at| at > now) {
            return None;
        }
        let (mut results, mut bytes) = (Vec::new(), 0);
        while results.len() < MAX_RESULTS_PER_MESSAGE
            && bytes < RESULT_BYTES_PER_MESSAGE
            && let Some(id) = inner.results.pop_front()
        {
            // An end that was committed meanwhile needs no report.
            if let Some(Entry::Ended(ended)) = inner.entries.get(&id) {
                let result = ended.to_wire();
                bytes += result.encoded_len();
                results.push(result);
            }
        }
        if inner.results.is_empty() {
            inner.results_due = None;
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
    /// The result of what has ended says as much as its acknowledgement.
    fn drop_settled_progress(&mut self) {
        let Self { entries, accepted, started, .. } = self;
        let under_way =
            |id: &InvocationId| matches!(entries.get(id), Some(Entry::Waiting(_) | Entry::Running(_)));
        accepted.retain(under_way);
        started.retain(under_way);
    }

    /// Queues a result; tells whether the session has to learn of it, because results are to go earlier than it knows.
    fn report(&mut self, id: InvocationId) -> bool {
        self.results.push_back(id);
        let now = Instant::now();
        let waits = self.in_flight >= MANY_IN_FLIGHT && self.results.len() < RESULTS_TO_GO;
        let due = if waits { now + RESULTS_HOLD } else { now };
        let is_earlier = self.results_due.is_none_or(|known| due < known);
        if is_earlier {
            self.results_due = Some(due);
        }
        is_earlier
    }

    /// Queues an upload, unless that is queued or under way.
    fn upload(&mut self, id: InvocationId) {
        if self.uploading.insert(id) {
            self.to_upload.push_back(id);
        }
    }

    fn report_again(&mut self, id: InvocationId) {
        match self.entries.get(&id) {
            Some(Entry::Ended(ended)) if ended.is_spooled() => self.upload(id),
            Some(Entry::Ended(_)) => _ = self.report(id),
            // Its acknowledgement is on its way, or was part of this session's `Hello`.
            Some(Entry::Waiting(_) | Entry::Running(_)) | None => {}
        }
    }
}
