//! One invocation of a live job: what is recorded of it, and what is known beside that.

use lictor_core::{
    audit::AuditEvent,
    clock::Timestamp,
    guard::Guard,
    invocation::Invocation,
    outcome::Outcome,
    output::{Output, StreamName},
};
use lictor_store::{KeptOutput, KeptStream};

use super::assembly::{Assembly, Claim};

/// One invocation of a live job.
#[derive(Debug)]
pub struct LiveInvocation {
    /// As recorded; its output only once it has ended.
    pub kept: Invocation,
    /// Its end cannot be recorded; it is left alone until a restart, so that others are not held up by it.
    pub quarantined: bool,
    /// Until when it may wait for an agent; of one that is held back, until when it may be.
    pub wait_until: Timestamp,
    /// It may not begin yet.
    pub held: bool,
    /// When it was last offered.
    pub offered_at: Option<Timestamp>,
    /// Output that has arrived.
    pub assembly: Assembly,
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
    pub since: Timestamp,
}

// === impl LiveInvocation ===

impl LiveInvocation {
    /// How many bytes are kept of what it printed, once it has ended.
    pub(super) fn kept_bytes(&self) -> u64 {
        self.in_store.unwrap_or_else(|| KeptOutput::of(&self.kept.output)).bytes()
    }

    /// Which bytes of a stream there are: those that have arrived without a gap, or once it has ended those that are kept.
    pub(super) fn stream(&self, name: StreamName) -> KeptStream {
        if self.kept.state.outcome().is_none() {
            let head = self.assembly.head_len(name);
            return KeptStream { total: head, head, tail: 0 };
        }
        let in_memory = || KeptOutput::of(&self.kept.output);
        *self.in_store.unwrap_or_else(in_memory).stream(name)
    }
}
