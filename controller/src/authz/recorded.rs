//! What a recorded job asked for, permitted again as a whole: exactly what was planned, or nothing.

use lictor_core::{
    approval::Approval,
    clock::Timestamp,
    freeze::FreezeSet,
    job::{CommandInput, Job, JobSpec},
};
use lictor_policy::evaluate_briefly;

use super::{Permit, Refused, decide_command, permit_decided};
use crate::{authn::Authenticated, fleet::Fleet, policies::VersionedPolicy};

/// Permits what is to be consented to, by the policy, the freezes and the inventory in force now.
///
/// # Errors
/// [`Refused`] as stale when anything would be decided differently by now, or for what refuses it as a whole.
pub(crate) fn permit_recorded(
    job: &Job,
    approval: &Approval,
    policy: &VersionedPolicy,
    fleet: &Fleet,
    freezes: &FreezeSet,
    now: Timestamp,
) -> Result<Permit, Box<Refused>> {
    let caller = Authenticated::of_recorded(job);
    let spec = JobSpec {
        context: job.context.clone(),
        timeout: approval.timeout,
        output_bytes: approval.output_bytes,
        plan_digest: Some(approval.plan),
        rollout: job.rollout.clone(),
        detached: job.detached,
        // For messages: what is judged is the command as it was recorded.
        ..JobSpec::new(job.target.clone(), CommandInput::Line(job.command.render()), job.origin.clone())
    };
    let decided =
        decide_command(job.command.clone(), evaluate_briefly, &caller, &spec, &policy.set, fleet, now)?;
    permit_decided(decided.under(freezes), &caller, &spec, policy)
}
