//! Invocations out, as the API shows them.

use lictor_core::invocation::{Invocation, InvocationState};

use super::output::summary_without_bytes;
use crate::pb;

/// The invocation as the API shows it; its address only if `show_address`.
pub fn invocation_to_wire(invocation: &Invocation, show_address: bool) -> pb::Invocation {
    let phase = match &invocation.state {
        InvocationState::Queued => pb::InvocationPhase::Queued,
        InvocationState::Offered { .. } => pb::InvocationPhase::Offered,
        InvocationState::Accepted { .. } => pb::InvocationPhase::Accepted,
        InvocationState::Running { .. } => pb::InvocationPhase::Running,
        InvocationState::Ended(_) => pb::InvocationPhase::Ended,
    };
    pb::Invocation {
        id: invocation.id.to_string(),
        job_id: invocation.job.to_string(),
        host: invocation.host.to_string(),
        site: invocation.site.to_string(),
        attempt: invocation.attempt,
        phase: phase.into(),
        outcome: invocation.state.outcome().map(Into::into),
        rule: invocation.rule.as_ref().map(ToString::to_string).unwrap_or_default(),
        limits: Some((&invocation.limits).into()),
        agent: invocation.state.agent().map(ToString::to_string).unwrap_or_default(),
        address: invocation.address.clone().filter(|_| show_address).unwrap_or_default(),
        started_at: invocation.started_at.map(lictor_core::clock::Timestamp::as_micros),
        ended_at: invocation.ended_at.map(lictor_core::clock::Timestamp::as_micros),
        output: Some(summary_without_bytes(&invocation.output)),
        resolution: invocation.resolution.as_ref().map(Into::into),
        wave: invocation.wave,
        guard: pb::Guard::from(invocation.guard).into(),
        output_removed: invocation.output_removed.as_ref().map(Into::into),
        redactions: invocation.redactions,
    }
}
