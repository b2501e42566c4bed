//! A job from its request to its end: with progress, and with a cancellation that reaches the hosts.

use std::time::Duration;

use lictor_client::{
    collect::{Collector, Keep},
    run::JobUpdate,
};
use lictor_core::{
    error::{ErrorCode, Failure},
    job::{JobSpec, JobState},
    limits::{KILL_CONFIRM, TERM_GRACE},
};
use tokio::time::{Instant, sleep_until};

use crate::{
    arguments::one_host, ask::which_host, auth::stop, host_run::host_of, progress::Progress, tools::Call,
};

/// How long a cancelled call waits for its job to end: what stopping takes on a host, and as much again for the way.
const CANCEL_WAIT: Duration = TERM_GRACE.saturating_add(KILL_CONFIRM).saturating_add(Duration::from_secs(15));

/// Runs the job and collects what becomes of it; `keep` says how much output to keep for a number of hosts.
///
/// A job that waits for the consent of others is answered at once, without its hosts. Otherwise, the collected job has not
/// ended only if the call was cancelled and stopping took longer than [`CANCEL_WAIT`].
pub(crate) async fn follow(
    call: &Call<'_>,
    spec: &JobSpec,
    keep: fn(u32) -> Keep,
) -> Result<Collector, Failure> {
    let mut progress = Progress::new(&call.context);
    // Not given up when the call is cancelled meanwhile: only with the job's id can it be cancelled too.
    let stream = match progress.is_asked_for() {
        true => call.client.run_live(spec).await,
        false => call.client.run(spec).await,
    };
    let mut stream = stream.map_err(|failure| asking_again(failure, spec))?;
    let mut collector = Collector::new(keep(1));
    let mut give_up: Option<Instant> = None;
    loop {
        tokio::select! {
            update = stream.next() => match update.map_err(|failure| asking_again(failure, spec))? {
                Some(update) => {
                    if let JobUpdate::Submitted(submitted) = &update {
                        collector.set_keep(keep(submitted.job.counts.total()));
                    }
                    progress.note(&update).await;
                    let waits = waits_for_people(&update);
                    collector.take(update);
                    if let (Some(task), Some(job)) = (call.task, collector.job()) {
                        // It is recorded, and goes on without anybody waiting for it.
                        let _ = task.set(job.clone());
                        return Ok(collector);
                    }
                    if waits {
                        return Ok(collector);
                    }
                }
                None => return Ok(collector),
            },
            () = progress.told() => {}
            () = call.context.ct.cancelled(), if give_up.is_none() => {
                give_up = Some(Instant::now() + CANCEL_WAIT);
                if let Err(failure) = stop(call.client, stream.job()).await {
                    tracing::warn!(job = %stream.job(), %failure, "a cancelled call's job could not be cancelled");
                }
            }
            () = sleep_until(give_up.unwrap_or_else(Instant::now)), if give_up.is_some() => return Ok(collector),
        }
    }
}

/// As [`follow`], of a job on one host; where there is none of that name, a person may say which is meant.
pub(crate) async fn follow_on_host(
    call: &Call<'_>,
    mut spec: JobSpec,
    keep: fn(u32) -> Keep,
) -> Result<Collector, Failure> {
    let failure = match follow(call, &spec, keep).await {
        Err(failure) => failure,
        followed => return followed,
    };
    let host = which_host(call, host_of(&spec.target), failure).await?;
    spec.target = one_host(&host)?;
    follow(call, &spec, keep).await
}

/// Whether the job waits for consent: people may take hours, and no call waits for them.
fn waits_for_people(update: &JobUpdate) -> bool {
    matches!(update, JobUpdate::Submitted(submitted) if submitted.job.state == JobState::AwaitingApproval)
}

/// Where the failure leaves open whether a job was recorded, says how to ask for it without running it twice.
pub(crate) fn asking_again(mut failure: Failure, spec: &JobSpec) -> Failure {
    let open =
        matches!(failure.code, ErrorCode::Unavailable | ErrorCode::DeadlineExceeded | ErrorCode::Internal);
    if let (true, Some(key)) = (open, &spec.idempotency_key) {
        failure.next_step.push_str(
            "; then repeat the call with the idempotency_key of the details, which never runs it twice",
        );
        failure = failure.with("idempotency_key", key.as_str());
    }
    failure
}
