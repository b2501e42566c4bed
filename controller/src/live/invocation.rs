//! One invocation of a live job: what is recorded of it, and what is known beside that.

use std::{sync::Arc, time::Duration};

use lictor_core::{
    audit::AuditEvent,
    clock::Timestamp,
    guard::Guard,
    invocation::Invocation,
    job::Job,
    limits::{AGENT_LOST_GRACE, GRANT_VALIDITY, KILL_CONFIRM, MAX_OUTPUT_BYTES, TERM_GRACE},
    outcome::Outcome,
    output::{Output, StreamName},
    rollout::MAX_ROLLOUT,
};
use lictor_store::{KeptOutput, KeptStream};

use super::{
    assembly::{Assembly, Claim},
    shown::Shown,
};
use crate::{
    arrivals::Arriving,
    served::{Moment, Now},
};

/// One invocation of a live job.
#[derive(Debug)]
pub struct LiveInvocation {
    /// As recorded; its output only once it has ended.
    pub kept: Invocation,
    /// Its end cannot be recorded; it is left alone until a restart, so that others are not held up by it.
    pub quarantined: bool,
    /// Until when it may wait for an agent; of one that is held back, until when it may be.
    pub wait_until: Moment,
    /// It may not begin yet.
    pub held: bool,
    /// When its agent is given up, if it says nothing of it; of what no agent has, nothing.
    pub lost_at: Option<Moment>,
    /// Kept output that has arrived.
    pub assembly: Assembly,
    /// What it prints while it runs.
    pub(super) shown: Shown,
    /// A result whose output is still on its way: (the end, what it claims, since when).
    pub pending: Option<Pending>,
    /// Its output was dropped from memory; these bytes the store has.
    pub in_store: Option<KeptOutput>,
}

/// What an agent reported beside the outcome.
#[derive(Debug, Clone, Default)]
pub struct Report {
    /// When the exec request was sent.
    pub started_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// The address that was connected to.
    pub address: Option<String>,
    /// What it printed.
    pub output: Output,
    /// Its whole standard output, where that came as a file and is not in `output`.
    pub file: Option<Arc<Arriving>>,
    /// What kept it from starting twice.
    pub guard: Guard,
    /// How many secrets were masked in what its host said.
    pub redactions: u64,
    /// What is recorded beside the end, in the same commit.
    pub beside: Option<Box<AuditEvent>>,
}

/// A result that waits for its output.
#[derive(Debug, Clone)]
pub struct Pending {
    /// How it ended.
    pub outcome: Outcome,
    /// The rest of the report, without output.
    pub report: Report,
    /// What the result says of the output.
    pub claims: [(StreamName, Claim); 2],
    /// Since when it waits.
    pub since: Moment,
}

/// An agent that honours its grant has reported by then: start at the last moment, run for the whole timeout, be killed.
pub(crate) fn longest_silence(kept: &Invocation) -> Duration {
    GRANT_VALIDITY + kept.limits.timeout + TERM_GRACE + KILL_CONFIRM + AGENT_LOST_GRACE
}

/// Until when what may begin now waits for its agent.
pub(super) fn waits_until(job: &Job, now: Now) -> Moment {
    now.until(job.waits_until(), job.queue_wait())
}

/// Until when what may not begin yet may be held back.
pub(super) fn held_until(job: &Job, now: Now) -> Moment {
    now.until(job.held_until(), MAX_ROLLOUT)
}

// === impl LiveInvocation ===

impl LiveInvocation {
    /// Whether its output comes as a file: more may be kept of it than goes through memory, so it is a download.
    pub(crate) const fn brings_a_file(&self) -> bool {
        self.kept.limits.output_bytes > MAX_OUTPUT_BYTES
    }

    /// How many bytes are kept of what it printed, once it has ended.
    pub(crate) fn kept_bytes(&self) -> u64 {
        self.in_store.unwrap_or_else(|| KeptOutput::of(&self.kept.output)).bytes()
    }

    /// Which bytes of a stream are kept, once it has ended.
    pub(super) fn stream(&self, name: StreamName) -> KeptStream {
        if self.kept.state.outcome().is_none() {
            return KeptStream::default();
        }
        let in_memory = || KeptOutput::of(&self.kept.output);
        *self.in_store.unwrap_or_else(in_memory).stream(name)
    }
}
