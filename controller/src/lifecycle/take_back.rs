//! Taken back: what an agent says became of its invocations. Results are facts, whatever the epoch they come under.

use bytes::Bytes;
use lictor_core::{
    audit::AuditEvent,
    clock::Timestamp,
    id::InvocationId,
    invocation::{Invocation, InvocationEvent},
    outcome::{Outcome, Unknown},
    output::{Output, StreamName, StreamSummary},
};
use lictor_proto::{convert::Invalid, pb};
use lictor_store::{Change, StoreError, Write};

use super::{Lifecycle, close::Ending};
use crate::{
    live::{Claim, Pending, Slot},
    session::Session,
};

/// A result as it came, taken in.
struct Reported {
    id: InvocationId,
    outcome: Outcome,
    started_at: Option<Timestamp>,
    ended_at: Option<Timestamp>,
    address: Option<String>,
    output: Report,
}

enum Report {
    /// The kept bytes came along.
    Whole(Output),
    /// The kept bytes come apart from the result.
    Apart([(StreamName, Claim); 2]),
}

impl Lifecycle {
    /// Takes results in and answers which of them are durable now.
    ///
    /// # Errors
    /// [`StoreError`]: the agent keeps them and sends them again.
    pub async fn take_results(
        &self,
        session: &Session,
        results: Vec<pb::InvocationResult>,
    ) -> Result<Vec<String>, StoreError> {
        let mut endings = Vec::new();
        let mut durable = Vec::new();
        for wire in results {
            let text = wire.invocation_id.clone();
            let result = match Reported::try_from(wire) {
                Ok(result) => result,
                Err(invalid) => {
                    tracing::error!(agent = %session.agent(), invocation = text, %invalid, "an agent sent a result that cannot be read; it is refused");
                    continue;
                }
            };
            match self.place_result(session, result).await? {
                Placed::Ending(ending) => {
                    endings.push(*ending);
                    durable.push(text);
                }
                Placed::Settled => durable.push(text),
                Placed::Waits => {}
            }
        }
        self.close(endings).await?;
        Ok(durable)
    }

    /// Takes a piece of output in; if it was the last that a result waited for, answers the result's identifier.
    ///
    /// # Errors
    /// [`StoreError`] when the end it completes cannot be recorded.
    pub async fn take_output(
        &self,
        session: &Session,
        id: InvocationId,
        stream: StreamName,
        offset: u64,
        data: &Bytes,
    ) -> Result<Option<InvocationId>, StoreError> {
        let Some(slot) = self.jobs.invocation(id).filter(|slot| is_of(slot, session)) else {
            return Ok(None);
        };
        slot.job.output(slot.index, stream, offset, data);
        let Some(ending) = complete(&slot, false) else { return Ok(None) };
        self.close(vec![ending]).await?;
        Ok(Some(id))
    }

    async fn place_result(&self, session: &Session, result: Reported) -> Result<Placed, StoreError> {
        let Some(slot) = self.jobs.invocation(result.id).filter(|slot| !has_ended(slot)) else {
            return self.settle_late(session, &result).await;
        };
        if !is_of(&slot, session) {
            self.conflict(session, result.id, "it was offered to another agent", &result.outcome).await?;
            return Ok(Placed::Settled);
        }
        let Reported { outcome, started_at, ended_at, address, output, .. } = result;
        let fill = |ended: &mut Invocation| {
            ended.started_at = started_at;
            ended.ended_at = ended_at;
            ended.address = address;
        };
        match output {
            Report::Whole(output) => Ok(Ending::reserve(&slot, outcome, |ended| {
                fill(ended);
                ended.output = output;
            })
            .map_or(Placed::Waits, |ending| Placed::Ending(Box::new(ending)))),
            Report::Apart(claims) => {
                self.hold(&slot, outcome, claims, fill);
                Ok(complete(&slot, false).map_or(Placed::Waits, |ending| Placed::Ending(Box::new(ending))))
            }
        }
    }

    /// Keeps a result until its output has arrived.
    fn hold(
        &self,
        slot: &Slot,
        outcome: Outcome,
        claims: [(StreamName, Claim); 2],
        fill: impl FnOnce(&mut Invocation),
    ) {
        let since = self.clock.now();
        slot.job.with(slot.index, |invocation, _| {
            let Ok(state) = invocation.kept.state.step(InvocationEvent::End(outcome)) else { return };
            let mut ended =
                Invocation { state, version: invocation.kept.version + 1, ..invocation.kept.clone() };
            fill(&mut ended);
            invocation.pending = Some(Pending { ended, claims, since });
        });
    }

    /// A result for an invocation that has ended: the same again, evidence for an UNKNOWN, or a contradiction.
    async fn settle_late(&self, session: &Session, result: &Reported) -> Result<Placed, StoreError> {
        let Some(kept) = self.store.invocation(result.id).await? else {
            self.conflict(session, result.id, "no such invocation is recorded", &result.outcome).await?;
            return Ok(Placed::Settled);
        };
        let recorded = match kept.state.outcome() {
            // It is being closed at this moment; the agent asks again after it has reconnected.
            None => return Ok(Placed::Waits),
            Some(recorded) => recorded.clone(),
        };
        if recorded == result.outcome || kept.resolution.as_ref() == Some(&result.outcome) {
            return Ok(Placed::Settled);
        }
        if recorded == Outcome::Unknown(Unknown::AgentLost) && kept.resolution.is_none() {
            let event = AuditEvent::InvocationResolved {
                invocation: kept.id,
                agent: session.agent().clone(),
                outcome: result.outcome.clone(),
            };
            let version = kept.version + 1;
            let resolved = Invocation { version, resolution: Some(result.outcome.clone()), ..kept };
            let change = Change::new(self.clock.now(), event).write(Write::UpdateInvocation(resolved));
            let _recorded = self.store.commit(change).await?;
            return Ok(Placed::Settled);
        }
        self.conflict(session, result.id, recorded.name(), &result.outcome).await?;
        Ok(Placed::Settled)
    }

    async fn conflict(
        &self,
        session: &Session,
        id: InvocationId,
        recorded: &str,
        reported: &Outcome,
    ) -> Result<(), StoreError> {
        tracing::warn!(agent = %session.agent(), invocation = %id, recorded, reported = reported.name(), "an agent contradicts what is recorded; the record stands");
        let event = AuditEvent::ResultConflict {
            invocation: id,
            agent: format!("{}/{}", session.site(), session.agent()),
            recorded: recorded.to_owned(),
            reported: reported.name().to_owned(),
        };
        let _recorded = self.store.commit(Change::new(self.clock.now(), event)).await?;
        Ok(())
    }
}

enum Placed {
    /// It can be closed now.
    Ending(Box<Ending>),
    /// It is durable, or never will be.
    Settled,
    /// Not yet.
    Waits,
}

/// Ends an invocation whose result waits for output, if all of it is there; or with what is there, if `anyway`.
pub(super) fn complete(slot: &Slot, anyway: bool) -> Option<Ending> {
    let (pending, output) = slot.job.with(slot.index, |invocation, _| {
        let pending = invocation.pending.as_ref()?;
        let (output, whole) = invocation.assembly.finish(&pending.claims);
        (whole || anyway).then(|| (pending.ended.clone(), output))
    })??;
    let outcome = pending.state.outcome()?.clone();
    Ending::reserve(slot, outcome, |ended| {
        ended.started_at = pending.started_at;
        ended.ended_at = pending.ended_at;
        ended.address = pending.address;
        ended.output = output;
    })
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

impl TryFrom<pb::InvocationResult> for Reported {
    type Error = Invalid;
    fn try_from(wire: pb::InvocationResult) -> Result<Self, Invalid> {
        use lictor_proto::convert::{parse, required};
        let pb::InvocationResult {
            invocation_id,
            outcome,
            started_at,
            ended_at,
            address,
            output,
            output_inline,
        } = wire;
        let output = output.unwrap_or_default();
        let output = if output_inline {
            Report::Whole(output.try_into()?)
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
            Report::Apart([
                (StreamName::Stdout, claim(output.stdout)?),
                (StreamName::Stderr, claim(output.stderr)?),
            ])
        };
        let at = |micros: u64| (micros > 0).then(|| Timestamp::from_micros(micros));
        Ok(Self {
            id: parse("result.invocation_id", &invocation_id)?,
            outcome: required("result.outcome", outcome)?.try_into()?,
            started_at: at(started_at),
            ended_at: at(ended_at),
            address: (!address.is_empty()).then_some(address),
            output,
        })
    }
}
