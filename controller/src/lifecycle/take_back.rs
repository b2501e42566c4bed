//! Taken back: what an agent says became of its invocations. Results are facts, whatever the epoch they come under.

use std::{io, sync::Arc};

use bytes::Bytes;
use lictor_core::{
    audit::AuditEvent,
    clock::Timestamp,
    id::InvocationId,
    invocation::Invocation,
    outcome::{Outcome, cut},
    output::{Output, StreamName, StreamSummary},
};
use lictor_proto::{convert::Invalid, pb};
use lictor_runtime::panics::Interrupted;
use lictor_store::{Change, EndedJob, KeptOutput, Outline, StoreError, Write};

use super::{Lifecycle, close::End};
use crate::{
    arrivals::{Piece, only_counts},
    live::{Claim, Pending, Report, Slot, Turn},
    session::{Session, evidence},
};

/// Longest address that an agent says it connected to.
const MAX_ADDRESS_CHARS: usize = 64;
/// What is said to be recorded where an agent reports what another one had.
const ANOTHERS: &str = "it was offered to another agent";

/// A result as it came, taken in.
struct Reported {
    id: InvocationId,
    outcome: Outcome,
    report: Report,
    output: Came,
    /// What the agent signed of it.
    evidence: Option<pb::Evidence>,
}

/// How the kept output came.
enum Came {
    /// Along with the result.
    Whole(Output),
    /// Apart from it.
    Apart([(StreamName, Claim); 2]),
}

impl Lifecycle {
    /// Takes results in and answers which of them are durable now. Stops where the agent is revoked.
    ///
    /// # Errors
    /// [`StoreError`] when nothing can be written: the agent keeps them and sends them again.
    pub async fn take_results(
        self: &Arc<Self>,
        session: &Session,
        results: Vec<pb::InvocationResult>,
    ) -> Result<Vec<String>, StoreError> {
        let (mut ends, mut ending, mut durable, mut late) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for wire in results {
            let text = wire.invocation_id.clone();
            let reported = match Reported::try_from(wire) {
                Ok(reported) => reported,
                Err(invalid) => {
                    tracing::error!(agent = %session.agent(), invocation = text, %invalid, "an agent sent a result that cannot be read; it is refused");
                    continue;
                }
            };
            if session.is_revoked() {
                return Ok(durable);
            }
            match self.place(session, reported).await? {
                Placed::Ends(end) => {
                    ending.push((text, end.slot.clone()));
                    ends.push(*end);
                }
                Placed::Late(reported) => late.push((text, reported)),
                Placed::Settled => durable.push(text),
                Placed::Waits => {}
            }
        }
        if session.is_revoked() {
            return Ok(durable);
        }
        self.close(ends).await?;
        durable.extend(ending.into_iter().filter(|(_, slot)| has_ended(slot)).map(|(text, _)| text));
        for (text, reported) in late {
            if session.is_revoked() {
                break;
            }
            match self.settle_late(session, &reported).await {
                Ok(true) => durable.push(text),
                Ok(false) => {}
                Err(error @ StoreError::Unavailable(_)) => return Err(error),
                Err(error) => tracing::error!(%error, invocation = text, "late evidence cannot be recorded"),
            }
        }
        Ok(durable)
    }

    /// Takes a piece of output in; if it was the last that a result waited for, the result is closed, and this answers
    /// its identifier.
    ///
    /// # Errors
    /// [`StoreError`] when the end it completes cannot be recorded.
    pub async fn take_output(
        self: &Arc<Self>,
        session: &Session,
        id: InvocationId,
        stream: StreamName,
        offset: u64,
        data: &Bytes,
    ) -> Result<Option<InvocationId>, StoreError> {
        let Some(slot) = self.jobs.invocation(id).filter(|slot| is_of(slot, session)) else {
            return Ok(None);
        };
        let most = slot.job.with(slot.index, |invocation, _| {
            let comes = invocation.brings_a_file() && invocation.kept.state.outcome().is_none();
            comes.then_some(invocation.kept.limits.output_bytes)
        });
        match (most.flatten(), stream) {
            (Some(most), StreamName::Stdout) => {
                self.take_file(session, &slot, id, offset, data, most).await?
            }
            // A transfer says little beside its file, and that comes with its result.
            (Some(_), StreamName::Stderr) => {}
            (None, StreamName::Stdout | StreamName::Stderr) => {
                slot.job.output(slot.index, stream, offset, data);
            }
        }
        let Some(end) = self.complete(&slot, false) else { return Ok(None) };
        self.close(vec![end]).await?;
        Ok(Some(id))
    }

    /// Writes a piece of a file, apart from what answers others.
    async fn take_file(
        &self,
        session: &Session,
        slot: &Slot,
        id: InvocationId,
        offset: u64,
        data: &Bytes,
        most: u64,
    ) -> Result<(), StoreError> {
        let (arrivals, at) = (Arc::clone(&self.arrivals), self.served.now().served);
        let (from, data) = ((session.site().clone(), session.agent().clone()), data.clone());
        let taking = tokio::task::spawn_blocking(move || {
            arrivals.take(from, id, &Piece { offset, data: &data, most, at })
        });
        let taken = taking.await.unwrap_or_else(|error| Err(io::Error::other(Interrupted::from(error))));
        if matches!(taken, Ok(true)) {
            // A result waits for its file as long as more of it comes.
            slot.job.with(slot.index, |invocation, _| {
                if let Some(pending) = &mut invocation.pending {
                    pending.since = pending.since.max(at);
                }
            });
        }
        if has_ended(slot) {
            // It ended while this was written: nobody else will tidy it up.
            self.arrivals.forget(std::iter::once(id));
        }
        taken.map(|_longer| ()).map_err(|error| StoreError::Unavailable(format!("a file of a host: {error}")))
    }

    async fn place(&self, session: &Session, reported: Reported) -> Result<Placed, StoreError> {
        let Some(slot) = self.jobs.invocation(reported.id).filter(|slot| !has_ended(slot)) else {
            return Ok(Placed::Late(Box::new(reported)));
        };
        if !is_of(&slot, session) {
            self.conflict(session, &reported, ANOTHERS).await?;
            return Ok(Placed::Settled);
        }
        let beside = reported.beside(session).map(Box::new);
        let Reported { outcome, report, output, .. } = reported;
        let report = Report { beside, ..report };
        let end = match output {
            Came::Whole(output) => {
                let report = Report { output, ..report };
                Some(End { slot, outcome, report: Some(report) })
            }
            Came::Apart(claims) => {
                let since = self.served.now().served;
                slot.job.with(slot.index, |invocation, _| {
                    invocation.pending = Some(Pending { outcome, report, claims, since });
                });
                self.complete(&slot, false)
            }
        };
        Ok(end.map_or(Placed::Waits, |end| Placed::Ends(Box::new(end))))
    }

    /// The end of an invocation whose result waits for output, if all of it is there; or with what is there, if `anyway`.
    pub(super) fn complete(&self, slot: &Slot, anyway: bool) -> Option<End> {
        let (outcome, report) = slot.job.with(slot.index, |invocation, _| {
            let pending = invocation.pending.as_ref()?;
            let (output, file, whole) = if invocation.brings_a_file() {
                if pending.outcome == Outcome::Succeeded {
                    self.arrivals.finish(invocation.kept.id, &pending.claims)
                } else {
                    // Of a download that failed there is no file, whatever came.
                    (only_counts(&pending.claims), None, true)
                }
            } else {
                let (output, whole) = invocation.assembly.finish(&pending.claims);
                (output, None, whole)
            };
            let output = Output { timing: pending.report.output.timing.clone(), ..output };
            let report = Report { output, file, ..pending.report.clone() };
            (whole || anyway).then(|| (pending.outcome.clone(), report))
        })??;
        Some(End { slot: slot.clone(), outcome, report: Some(report) })
    }

    /// A result for an invocation that has ended: the same again, evidence for an UNKNOWN, or a contradiction.
    /// Answers whether the agent may forget it.
    async fn settle_late(&self, session: &Session, reported: &Reported) -> Result<bool, StoreError> {
        // Its job does not end meanwhile: what it kept is counted with this, or this is counted with it.
        let live = self.jobs.invocation(reported.id);
        let turn = match &live {
            Some(slot) => Some(Turn::of([&slot.job]).await),
            None => None,
        };
        let Some(Outline { invocation: kept, .. }) = self.store.outline(reported.id).await? else {
            self.conflict(session, reported, "no such invocation is recorded").await?;
            return Ok(true);
        };
        if kept.site != *session.site() {
            self.conflict(session, reported, "it is another site's").await?;
            return Ok(true);
        }
        // Two agents of a site may serve the same host: what the other one says of this is no evidence.
        if kept.last_agent.as_ref().is_some_and(|agent| agent != session.agent()) {
            self.conflict(session, reported, ANOTHERS).await?;
            return Ok(true);
        }
        // It is not live and has not ended: its record cannot be moved any more. The agent keeps the evidence.
        let Some(recorded) = kept.state.outcome().cloned() else { return Ok(false) };
        if recorded == reported.outcome || kept.resolution.as_ref() == Some(&reported.outcome) {
            return Ok(true);
        }
        if matches!(recorded, Outcome::Unknown(_)) && kept.resolution.is_none() {
            // Only here are the bytes wanted, and nothing that ended so has a file's worth of them.
            let Some(kept) = self.store.invocation(reported.id).await? else { return Ok(false) };
            let event = AuditEvent::InvocationResolved {
                invocation: kept.id,
                agent: session.agent().clone(),
                outcome: reported.outcome.clone(),
            };
            // What was recorded with the end stays, too.
            let (output, output_removed, more) = if kept.output == Output::default() {
                let output = reported.to_output();
                let more = KeptOutput::of(&output).bytes();
                (output, None, more)
            } else {
                (kept.output, kept.output_removed, 0)
            };
            let resolved = Invocation {
                version: kept.version + 1,
                resolution: Some(reported.outcome.clone()),
                output,
                output_removed,
                ..kept
            };
            let job = resolved.job;
            let mut change =
                Change::new(self.clock.now(), event).write(Write::UpdateInvocation(resolved.clone().into()));
            if more > 0
                && let Some(ended) = self.store.ended_job(job).await?
            {
                let output_bytes = ended.output_bytes.saturating_add(more);
                let ended = EndedJob { output_bytes, version: ended.version + 1, ..ended };
                change = change.write(Write::PutEnded(ended));
            }
            let _recorded = self.store.commit(reported.with_evidence(session, change)).await?;
            if let (Some(slot), Some(turn)) = (&live, &turn) {
                slot.job.resolved(turn, slot.index, resolved);
            }
            return Ok(true);
        }
        self.conflict(session, reported, recorded.name()).await?;
        Ok(true)
    }

    async fn conflict(
        &self,
        session: &Session,
        reported: &Reported,
        recorded: &str,
    ) -> Result<(), StoreError> {
        tracing::warn!(agent = %session.agent(), invocation = %reported.id, recorded, reported = reported.outcome.name(), "an agent contradicts what is recorded; the record stands");
        let event = AuditEvent::ResultConflict {
            invocation: reported.id,
            agent: format!("{}/{}", session.site(), session.agent()),
            recorded: recorded.to_owned(),
            reported: reported.outcome.name().to_owned(),
        };
        let change = Change::new(self.clock.now(), event);
        let _recorded = self.store.commit(reported.with_evidence(session, change)).await?;
        Ok(())
    }
}

enum Placed {
    /// It can be closed now.
    Ends(Box<End>),
    /// It has ended before, or is not live.
    Late(Box<Reported>),
    /// It is settled; the agent may forget it.
    Settled,
    /// Its output is still on its way.
    Waits,
}

fn has_ended(slot: &Slot) -> bool {
    slot.job.with(slot.index, |invocation, _| invocation.kept.state.outcome().is_some()).unwrap_or(true)
}

/// Whether the invocation was offered to this agent of this site.
fn is_of(slot: &Slot, session: &Session) -> bool {
    slot.job
        .with(slot.index, |invocation, _| {
            invocation.kept.site == *session.site() && invocation.kept.state.agent() == Some(session.agent())
        })
        .unwrap_or(false)
}

// === impl Reported ===

impl Reported {
    /// What is known of its output once nothing more of it can be taken.
    fn to_output(&self) -> Output {
        match &self.output {
            Came::Whole(output) => output.clone(),
            // Its bytes have nowhere to go any more; what is known of them is kept.
            Came::Apart([(_, stdout), (_, stderr)]) => Output {
                stdout: stdout.summary.clone(),
                stderr: stderr.summary.clone(),
                timing: self.report.output.timing.clone(),
            },
        }
    }

    /// What is to be recorded beside its end.
    fn beside(&self, session: &Session) -> Option<AuditEvent> {
        evidence::beside(session, self.id, &self.outcome, self.evidence.as_ref())
    }
    /// The change, with what is to be recorded beside it.
    fn with_evidence(&self, session: &Session, change: Change) -> Change {
        match self.beside(session) {
            Some(event) => change.event(event),
            None => change,
        }
    }
}

impl TryFrom<pb::InvocationResult> for Reported {
    type Error = Invalid;
    fn try_from(wire: pb::InvocationResult) -> Result<Self, Invalid> {
        use lictor_proto::convert::{guard_from_wire, parse, required, timing_from_wire};
        let pb::InvocationResult {
            invocation_id,
            outcome,
            started_at,
            ended_at,
            address,
            output,
            output_inline,
            evidence,
            guard,
            redactions,
        } = wire;
        let output = output.unwrap_or_default();
        let timing = timing_from_wire(&output.timing);
        let output = if output_inline {
            Came::Whole(output.try_into()?)
        } else {
            let claim = |stream: Option<pb::StreamSummary>| -> Result<Claim, Invalid> {
                let wire = stream.unwrap_or_default();
                let (head_bytes, tail_bytes) = (wire.head_bytes, wire.tail_bytes);
                let summary = StreamSummary::try_from(wire)?;
                let (head_bytes, tail_bytes) = if head_bytes.saturating_add(tail_bytes) > summary.bytes_total
                {
                    return Err(Invalid::new("output.head_bytes", "more bytes were kept than printed"));
                } else {
                    (head_bytes, tail_bytes)
                };
                Ok(Claim { summary, head_bytes, tail_bytes })
            };
            Came::Apart([
                (StreamName::Stdout, claim(output.stdout)?),
                (StreamName::Stderr, claim(output.stderr)?),
            ])
        };
        let at = |micros: u64| (micros > 0).then(|| Timestamp::from_micros(micros));
        Ok(Self {
            id: parse("result.invocation_id", &invocation_id)?,
            outcome: Outcome::try_from(required("result.outcome", outcome)?)?.bounded(),
            report: Report {
                started_at: at(started_at),
                ended_at: at(ended_at),
                address: (!address.is_empty()).then(|| cut(&address, MAX_ADDRESS_CHARS)),
                guard: guard_from_wire("result.guard", guard)?,
                redactions,
                // Of what travels apart; what came whole has its own.
                output: Output { timing, ..Output::default() },
                ..Report::default()
            },
            output,
            evidence,
        })
    }
}
