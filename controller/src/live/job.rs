//! One live job: its invocations, its counts, and the log of what watchers are told.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use lictor_core::{
    clock::Timestamp,
    id::{InvocationId, JobId},
    invocation::{Invocation, InvocationEvent, InvocationState},
    job::{Counts, Job},
    name::SiteName,
    outcome::Outcome,
    output::StreamName,
    principal::{Principal, Via},
    rollout::Tally,
};
use lictor_proto::limits::MAX_CHUNK_BYTES;
use lictor_store::{KeptOutput, Outline, outline::is_unreadable};
use tokio::sync::watch;

use super::{
    assembly::Assembly,
    closing::{Closing, Ending},
    held::Held,
    invocation::{LiveInvocation, Report, held_until, longest_silence, waits_until},
    log::{Entry, Log},
    pace::{count, note_end},
    room::{Pool, Pools},
    shown::Shown,
    turn::{Turn, Turns},
};
use crate::served::Now;

/// A job that has not ended (or just has).
#[derive(Debug)]
pub struct LiveJob {
    id: JobId,
    state: Mutex<State>,
    pub(super) turns: Turns,
    /// Grows with the log; whoever waits for more listens here.
    length: watch::Sender<u64>,
    /// What its live output takes of the memory for it.
    room: Arc<Pool>,
}

#[derive(Debug)]
pub(super) struct State {
    pub(super) job: Job,
    pub(super) version: u64,
    pub(super) counts: Counts,
    /// Hosts on which it may run.
    pub(super) hosts: u32,
    pub(super) tally: Tally,
    pub(super) held: Held,
    /// A health check could not be begun; until then it is left alone.
    pub(super) check_after: Option<Timestamp>,
    pub(super) invocations: Vec<LiveInvocation>,
    pub(super) log: Log,
}

/// Output up to this size stays in memory after its invocation has ended, so that most watchers need no read.
const KEEP_IN_MEMORY_BYTES: u64 = 8 * 1024;

// === impl LiveJob ===

impl LiveJob {
    /// A job whose invocations were just recorded.
    pub fn new(job: Job, version: u64, invocations: Vec<Invocation>, now: Now) -> Self {
        let in_memory = invocations.into_iter().map(|kept| (kept, None));
        Self::of(job, version, in_memory, now)
    }

    /// A job with its invocations as they are in the store, which keeps their output.
    pub fn recovered(job: Job, version: u64, invocations: Vec<Outline>, now: Now) -> Self {
        let in_store = invocations.into_iter().map(|outline| (outline.invocation, Some(outline.kept)));
        Self::of(job, version, in_store, now)
    }

    fn of(
        job: Job,
        version: u64,
        invocations: impl Iterator<Item = (Invocation, Option<KeptOutput>)>,
        now: Now,
    ) -> Self {
        let id = job.id;
        let mut counts = Counts::default();
        let mut log = Log::default();
        let (mut tally, mut held, mut hosts) = (Tally::default(), Held::default(), 0);
        let holds = !job.rollout.is_immediate() || job.progress.paused.is_some() || job.awaits_approval();
        let live: Vec<LiveInvocation> = invocations
            .enumerate()
            .map(|(index, (kept, in_store))| {
                match &kept.state {
                    InvocationState::Queued => counts.queued += 1,
                    InvocationState::Offered { .. }
                    | InvocationState::Accepted { .. }
                    | InvocationState::Running { .. } => counts.active += 1,
                    InvocationState::Ended(outcome) => counts.add(outcome),
                }
                count(&mut tally, &kept);
                hosts += u32::from(kept.wave > 0);
                let holds = holds && kept.state == InvocationState::Queued;
                if holds {
                    held.hold(kept.site.clone(), kept.wave, index);
                }
                let wait_until = if holds { held_until(&job, now) } else { waits_until(&job, now) };
                let lost_at = kept.state.agent().map(|_| now.served.plus(longest_silence(&kept)));
                let in_store = in_store.filter(|_| kept.state.outcome().is_some());
                if in_store.is_some_and(|kept| kept.bytes() > 0) {
                    log.push(Entry::Output { index, stream: StreamName::Stdout });
                    log.push(Entry::Output { index, stream: StreamName::Stderr });
                }
                log.push(Entry::Phase { index });
                LiveInvocation {
                    kept,
                    quarantined: false,
                    wait_until,
                    held: holds,
                    lost_at,
                    assembly: Assembly::default(),
                    shown: Shown::default(),
                    pending: None,
                    in_store,
                }
            })
            .collect();
        // Where not even the index is left, nobody can know either.
        counts.unknown += job.invocations.saturating_sub(u32::try_from(live.len()).unwrap_or(u32::MAX));
        let length = watch::Sender::new(log.next());
        let check_after = None;
        let state = State { job, version, counts, hosts, tally, held, check_after, invocations: live, log };
        let state = Mutex::new(state);
        Self { id, state, turns: Turns::default(), length, room: Arc::default() }
    }

    /// Its identifier.
    pub const fn id(&self) -> JobId {
        self.id
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn listen(&self) -> watch::Receiver<u64> {
        self.length.subscribe()
    }

    /// Each invocation: its place, its identifier, and the site at which it waits if it does.
    pub fn index(&self) -> Vec<(usize, InvocationId, Option<SiteName>)> {
        let state = self.state();
        let waits = |i: &LiveInvocation| {
            (i.kept.state == InvocationState::Queued && !i.held).then(|| i.kept.site.clone())
        };
        state.invocations.iter().enumerate().map(|(n, i)| (n, i.kept.id, waits(i))).collect()
    }

    /// The job, its version and its counts, as they stand.
    pub fn snapshot(&self) -> (Job, u64, Counts) {
        let state = self.state();
        (state.job.clone(), state.version, state.counts)
    }

    /// Reads (or prepares to change) one invocation.
    pub fn with<T>(&self, index: usize, look: impl FnOnce(&mut LiveInvocation, &Job) -> T) -> Option<T> {
        let state = &mut *self.state();
        state.invocations.get_mut(index).map(|invocation| look(invocation, &state.job))
    }

    /// Who asked for it, and by which door.
    pub fn asked_by(&self) -> (Principal, Via) {
        let state = self.state();
        (state.job.principal.clone(), state.job.origin.via)
    }

    /// On how many hosts it has run, runs or would run: all but those that were denied.
    pub fn hosts(&self) -> usize {
        let denied = |i: &&LiveInvocation| matches!(i.kept.state.outcome(), Some(Outcome::Denied { .. }));
        let state = self.state();
        state.invocations.len() - state.invocations.iter().filter(denied).count()
    }

    /// Whether somebody asked to cancel it.
    pub fn cancel_requested(&self) -> bool {
        self.state().job.cancel_requested.is_some()
    }

    /// Whether every invocation has ended, durably.
    pub fn has_ended(&self) -> bool {
        self.state().log.is_finished()
    }

    /// Looks at every invocation.
    pub fn for_each(&self, mut look: impl FnMut(usize, &LiveInvocation)) {
        for (index, invocation) in self.state().invocations.iter().enumerate() {
            look(index, invocation);
        }
    }

    /// Looks at every invocation, and may note what is known beside the record.
    pub fn for_each_mut(&self, look: impl FnMut(&mut LiveInvocation)) {
        self.state().invocations.iter_mut().for_each(look);
    }

    /// Takes over that what an invocation printed is not kept any more.
    pub(super) fn output_removed(&self, now: Outline) {
        self.for_each_mut(|invocation| {
            if invocation.kept.id == now.invocation.id {
                (invocation.kept, invocation.in_store) = (now.invocation.clone(), Some(now.kept));
            }
        });
    }

    /// Replaces the job itself, as it was recorded.
    pub fn job_recorded(&self, _turn: &Turn, job: Job, version: u64, now: Now) {
        let mut state = self.state();
        state.job = job;
        state.version = version;
        let State { job, invocations, held, .. } = &mut *state;
        // It may have been consented to just now.
        let held_until = held_until(job, now);
        for invocation in invocations.iter_mut().filter(|invocation| invocation.held) {
            invocation.wait_until = held_until;
        }
        if job.is_stopped() {
            held.clear();
        } else if job.progress.paused.is_some() {
            for (index, invocation) in invocations.iter_mut().enumerate() {
                if invocation.kept.state == InvocationState::Queued {
                    held.hold(invocation.kept.site.clone(), invocation.kept.wave, index);
                    (invocation.held, invocation.wait_until) = (true, held_until);
                }
            }
        }
        self.tell(&mut state, [Entry::Job]);
    }

    /// Moves an invocation as its agent says it moved (accepted, started); what does not fit is ignored.
    pub fn observe(&self, index: usize, event: InvocationEvent) {
        let mut state = self.state();
        let Some(invocation) = state.invocations.get_mut(index) else { return };
        let Ok(next) = invocation.kept.state.step(event) else { return };
        if next == invocation.kept.state {
            return;
        }
        invocation.kept.state = next;
        self.tell(&mut state, [Entry::Phase { index }]);
    }

    /// Takes over an invocation that was recorded as queued or offered again.
    pub fn requeued(&self, _turn: &Turn, index: usize, kept: Invocation, now: Now) {
        let mut guard = self.state();
        let state = &mut *guard;
        let Some(invocation) = state.invocations.get_mut(index) else { return };
        let was_queued = invocation.kept.state == InvocationState::Queued;
        let is_queued = kept.state == InvocationState::Queued;
        invocation.lost_at = kept.state.agent().map(|_| now.served.plus(longest_silence(&kept)));
        invocation.kept = kept;
        if is_queued && !state.job.rollout.is_immediate() {
            // It waits from now on, and not since its job was asked for.
            invocation.wait_until = now.served.plus(state.job.queue_wait());
        }
        if is_queued && state.job.progress.paused.is_some() {
            invocation.held = true;
            invocation.wait_until = held_until(&state.job, now);
            state.held.hold(invocation.kept.site.clone(), invocation.kept.wave, index);
        }
        match (was_queued, is_queued) {
            (true, false) => {
                state.counts.queued = state.counts.queued.saturating_sub(1);
                state.counts.active += 1;
            }
            (false, true) => {
                state.counts.active = state.counts.active.saturating_sub(1);
                state.counts.queued += 1;
            }
            (true, true) | (false, false) => {}
        }
        self.tell(state, [Entry::Phase { index }]);
    }

    /// Takes kept output that arrived before its result: at most twice what is kept and a chunk, because pieces that are
    /// sent again after a cut may overlap those from before.
    pub fn output(&self, index: usize, stream: StreamName, offset: u64, data: &Bytes) {
        let mut state = self.state();
        let Some(invocation) = state.invocations.get_mut(index) else { return };
        if invocation.kept.state.outcome().is_some() {
            return;
        }
        let cap =
            invocation.kept.limits.output_bytes.saturating_mul(2).saturating_add(MAX_CHUNK_BYTES as u64);
        invocation.assembly.push(stream, offset, data, cap);
    }

    /// Shows watchers what a running command printed; `room` is what all jobs take of the memory for it.
    pub(crate) fn show(&self, index: usize, stream: StreamName, offset: u64, data: &Bytes, room: &Arc<Pool>) {
        let mut state = self.state();
        let Some(invocation) = state.invocations.get_mut(index) else { return };
        if invocation.kept.state.outcome().is_some() {
            return;
        }
        let pools = Pools { of_job: Arc::clone(&self.room), of_all: Arc::clone(room) };
        if invocation.shown.push(stream, offset, data, &pools) {
            self.tell(&mut state, [Entry::Output { index, stream }]);
        }
    }

    /// What ending these invocations would make of the job. Changes nothing; those that have ended are left out.
    pub fn closing(&self, turn: &Turn, ends: Vec<(usize, InvocationEvent, Option<Report>)>) -> Closing {
        debug_assert!(turn.is_of(self.id), "a job is moved only in its turn");
        let state = self.state();
        let mut counts = state.counts;
        let mut closing = Closing::default();
        let mut taken = HashSet::with_capacity(ends.len());
        for (index, event, report) in ends {
            let Some(invocation) = state.invocations.get(index) else { continue };
            let Ok(next) = invocation.kept.state.step(event) else { continue };
            if !taken.insert(index) {
                continue;
            }
            let queued = invocation.kept.state == InvocationState::Queued;
            let slot = if queued { &mut counts.queued } else { &mut counts.active };
            *slot = slot.saturating_sub(1);
            if let Some(outcome) = next.outcome() {
                counts.add(outcome);
            }
            let mut ended = Invocation {
                state: next,
                version: invocation.kept.version + 1,
                last_agent: invocation.kept.state.agent().cloned(),
                ..invocation.kept.clone()
            };
            let mut file = None;
            if let Some(report) = report {
                file = report.file;
                ended.started_at = report.started_at;
                ended.ended_at = report.ended_at;
                ended.address = report.address;
                ended.output = report.output;
                ended.guard = report.guard;
                ended.redactions = report.redactions;
            }
            closing.ended.push(Ending { index, invocation: Arc::new(ended), file });
        }
        if counts.ended() && !closing.ended.is_empty() {
            closing.job = Some((state.job.clone(), state.version + 1, counts));
            let before = state.invocations.iter().map(|invocation| invocation.kept_bytes());
            let now = closing.ended.iter().map(|ending| ending.kept().bytes());
            closing.output_bytes = before.chain(now).sum();
        }
        closing
    }

    /// What stands for records that cannot be read. Their ends are recorded with that of the job, so once.
    pub fn unreadable(&self) -> Vec<Invocation> {
        let state = self.state();
        let kept = state.invocations.iter().map(|invocation| &invocation.kept);
        kept.filter(|kept| is_unreadable(kept)).cloned().collect()
    }

    /// The end of the job, if every invocation has ended and the job has not: what was left of it cannot be read.
    pub fn end_of_rest(&self) -> Closing {
        let state = self.state();
        if !state.counts.ended() {
            return Closing::default();
        }
        let output_bytes = state.invocations.iter().map(LiveInvocation::kept_bytes).sum();
        let job = Some((state.job.clone(), state.version + 1, state.counts));
        Closing { job, output_bytes, ..Closing::default() }
    }

    /// Takes over what was recorded. Tells watchers, once, of invocations whose end is durable, and of the end of the job if
    /// that is one.
    pub fn closed(&self, turn: &Turn, closing: Closing) {
        debug_assert!(turn.is_of(self.id), "a job is moved only in its turn");
        let mut state = self.state();
        let mut entries = Vec::new();
        for ending in closing.ended {
            entries.extend(ended(&mut state, ending));
        }
        if let Some((_, version, _)) = closing.job {
            state.version = version;
        }
        self.tell(&mut state, entries);
    }

    /// Takes over what was recorded of an invocation after its end.
    pub(crate) fn resolved(&self, _turn: &Turn, index: usize, now: Invocation) {
        let mut state = self.state();
        let Some(invocation) = state.invocations.get_mut(index) else { return };
        let kept = KeptOutput::of(&now.output);
        let entries = taken_over(invocation, index, now, kept);
        self.tell(&mut state, entries);
    }

    fn tell(&self, state: &mut State, entries: impl IntoIterator<Item = Entry>) {
        for entry in entries {
            state.log.push(entry);
        }
        self.length.send_replace(state.log.next());
    }
}

/// Takes over the end of an invocation, and says what there is to tell of it.
fn ended(state: &mut State, ending: Ending) -> Vec<Entry> {
    let (index, kept) = (ending.index, ending.kept());
    let Some(invocation) = state.invocations.get_mut(index) else { return Vec::new() };
    let was_queued = invocation.kept.state == InvocationState::Queued;
    let mut entries = taken_over(invocation, index, Arc::unwrap_or_clone(ending.invocation), kept);
    invocation.held = false;
    invocation.pending = None;
    invocation.assembly = Assembly::default();
    invocation.shown = Shown::default();
    note_end(&mut state.tally, &invocation.kept);
    let slot = if was_queued { &mut state.counts.queued } else { &mut state.counts.active };
    *slot = slot.saturating_sub(1);
    if let Some(outcome) = invocation.kept.state.outcome() {
        state.counts.add(outcome);
    }
    if state.counts.ended() && !state.invocations.iter().any(|i| i.kept.state.outcome().is_none()) {
        entries.push(Entry::Finished);
    }
    entries
}

/// Takes over what was recorded of one that has ended, with what is kept of it, and says what there is to tell of it.
fn taken_over(
    invocation: &mut LiveInvocation,
    index: usize,
    now: Invocation,
    kept: KeptOutput,
) -> Vec<Entry> {
    let printed = [StreamName::Stdout, StreamName::Stderr].into_iter();
    let printed = printed.filter(|stream| kept.stream(*stream).next(0, 1).is_some());
    let mut entries: Vec<Entry> = printed.map(|stream| Entry::Output { index, stream }).collect();
    entries.push(Entry::Phase { index });
    invocation.kept = now;
    let in_store = kept.bytes() > KEEP_IN_MEMORY_BYTES;
    if in_store {
        KeptOutput::take_from(&mut invocation.kept.output);
    }
    invocation.in_store = in_store.then_some(kept);
    entries
}
