//! `ssh_run_on_tag`: a command on every host with a tag.

use std::collections::BTreeMap;

use lictor_client::{
    collect::{Collected, Collector, Keep},
    groups::{Group, groups},
    views::InvocationView,
};
use lictor_core::{
    error::{ErrorCode, Failure},
    id::InvocationId,
    job::Counts,
    outcome::{Outcome, Ran},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BridgeTool, Call, Effect};
use crate::{
    answer::{Answer, Refusal},
    arguments::{Asked, every_host, job_spec},
    follow::follow,
    group_run::GroupRun,
    host_run::{ran, refusal},
};

/// Most output that a result shows over all hosts: some 12,000 tokens.
const TOTAL_BUDGET: usize = 48 * 1024;
/// Least that is shown of each stream of a host that is shown at all: a few lines, with the mark for what was left out.
const LEAST_STREAM_BUDGET: usize = 512;
/// Most that is shown of each stream of a host, however few there are.
const MOST_STREAM_BUDGET: usize = 24 * 1024;
/// What a row takes beside its hosts and its output, roughly: names of fields, states and counts as JSON.
const ROW_BYTES: usize = 350;
/// Most output that a call holds over all hosts while it waits, so that what hosts have in common can be shown whole.
const COLLECTED_BYTES: usize = 16 * 1024 * 1024;

/// The tool.
#[derive(Debug)]
pub(super) enum RunOnTag {}

/// What to run where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// Every host with this tag.
    tag: String,
    /// The command as one line of literal words. Give either command or argv.
    #[serde(default)]
    command: Option<String>,
    /// The program and its arguments, each taken literally. Give either command or argv.
    #[serde(default)]
    argv: Option<Vec<String>>,
    /// Seconds the command may run on each host. Policy may lower it.
    #[serde(default)]
    timeout_seconds: Option<u64>,
    /// 1 to 128 printable characters. The same key with the same request never runs twice within 7 days and gives the
    /// result of the first time.
    #[serde(default)]
    idempotency_key: Option<String>,
}

/// What became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct TagResult {
    /// Identifier of the job; ssh_cancel takes it.
    job_id: String,
    /// The tag.
    tag: String,
    /// SUCCEEDED (everywhere), PARTIAL, FAILED, CANCELLED, UNKNOWN, or RUNNING if it has not ended.
    state: &'static str,
    /// Number of hosts.
    hosts_total: u32,
    /// Hosts on which it succeeded.
    succeeded: u32,
    /// Hosts on which it ran and failed or was killed at its time limit.
    failed: u32,
    /// Hosts on which it certainly did not run.
    not_run: u32,
    /// Hosts on which it was cancelled or killed on request.
    cancelled: u32,
    /// Hosts of which nobody can know.
    unknown: u32,
    /// Hosts on which it has not ended.
    unfinished: u32,
    /// What became of it: hosts where it ended alike and printed the same are one result. Those where it did not succeed
    /// come first, then the largest.
    results: Vec<GroupRun>,
    /// Number of hosts that results leaves out to stay readable.
    results_left_out: usize,
    /// Number of different results, with those left out.
    results_total: usize,
    /// The hosts left out, counted by state.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    left_out_by_state: BTreeMap<&'static str, usize>,
    /// Whether this is the result of an earlier request with the same idempotency key.
    replayed: bool,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<&'static str>,
}

impl BridgeTool for RunOnTag {
    const NAME: &'static str = "ssh_run_on_tag";
    const TITLE: &'static str = "Run a command on every host with a tag";
    const DESCRIPTION: &'static str = "Runs a command on every host with a tag, in parallel, where policy allows it, and waits \
        for the end on all of them. Hosts with the same result are told together. Plan it first with ssh_plan. \
        Cancelling the request stops the command everywhere.";
    const EFFECT: Effect = Effect::Runs;
    type Parameters = Parameters;
    type Result = TagResult;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<TagResult>, Failure> {
        let Parameters { tag, command, argv, timeout_seconds, idempotency_key } = parameters;
        let asked = Asked { target: every_host(&tag)?, command, argv, timeout_seconds, idempotency_key };
        let spec = job_spec(call, asked)?;
        answer(tag, &follow(call, &spec, keep).await?)
    }
}

/// What became of the job that was followed.
pub(super) fn answer(tag: String, collector: &Collector) -> Result<Answer<TagResult>, Failure> {
    let refusal = nothing_ran(collector);
    Ok(Answer::refused(result(tag, collector)?, refusal))
}

/// What is kept of each stream of so many hosts until it is known which printed the same.
pub(super) fn keep(hosts: u32) -> Keep {
    let hosts = usize::try_from(hosts).unwrap_or(usize::MAX).max(1);
    Keep::at_most((COLLECTED_BYTES / 2 / hosts).clamp(LEAST_STREAM_BUDGET, MOST_STREAM_BUDGET))
}

/// What is shown of each stream when `results` results share the whole.
fn stream_budget(results: usize) -> usize {
    (TOTAL_BUDGET / (2 * results.max(1))).clamp(LEAST_STREAM_BUDGET, MOST_STREAM_BUDGET)
}

fn result(tag: String, collector: &Collector) -> Result<TagResult, Failure> {
    let (Some(submitted), Some(job)) = (collector.submitted(), collector.job()) else {
        let next_step = "use bridge and controller of the same version";
        return Err(Failure::new(ErrorCode::Internal, "the controller told of no job", next_step));
    };
    let invocations = collector.invocations();
    let mut groups = groups(invocations.iter().map(|(invocation, _)| *invocation));
    // Stable: the largest stay first among those that succeeded, and among those that did not.
    groups.sort_by_key(|group| {
        group.first().is_some_and(|invocation| invocation.outcome == Some(Outcome::Succeeded))
    });
    let (results, left_out_by_state) = rows(&groups, &invocations);
    let counts = counts(job.counts, &invocations, collector.finished().is_some());
    let retry = counts.not_run > 0 && counts.succeeded + counts.failed > 0;
    Ok(TagResult {
        job_id: job.id.to_string(),
        tag,
        state: counts.state().as_str(),
        hosts_total: counts.total(),
        succeeded: counts.succeeded,
        failed: counts.failed,
        not_run: counts.not_run,
        cancelled: counts.cancelled,
        unknown: counts.unknown,
        unfinished: counts.queued + counts.active,
        results_left_out: left_out_by_state.values().sum(),
        results,
        results_total: groups.len(),
        left_out_by_state,
        replayed: submitted.replayed,
        next_step: retry
            .then_some("where ran is not_run, asking again with ssh_run is safe once the reason is mended"),
    })
}

/// The controller's counts once the job has ended; until then, those of what was told.
fn counts(told: Counts, invocations: &[(&InvocationView, &Collected)], finished: bool) -> Counts {
    if finished {
        return told;
    }
    let mut counts = Counts::default();
    invocations
        .iter()
        .filter_map(|(invocation, _)| invocation.outcome.as_ref())
        .for_each(|outcome| counts.add(outcome));
    counts.active = told.total().saturating_sub(counts.total());
    counts
}

/// As many rows as fit, and the rest counted by state.
fn rows(
    groups: &[Group<'_>],
    invocations: &[(&InvocationView, &Collected)],
) -> (Vec<GroupRun>, BTreeMap<&'static str, usize>) {
    let budget = stream_budget(groups.len());
    let collected: BTreeMap<InvocationId, &Collected> =
        invocations.iter().map(|(invocation, collected)| (invocation.id, *collected)).collect();
    let (mut rows, mut left_out) = (Vec::new(), BTreeMap::new());
    let mut room = TOTAL_BUDGET;
    for group in groups {
        let Some(first) = group.first() else { continue };
        let shown = collected.get(&first.id).filter(|_| room > 0);
        match shown.and_then(|collected| GroupRun::show(group, collected, budget)) {
            Some(row) => {
                room = room.saturating_sub(ROW_BYTES + row.text_bytes());
                rows.push(row);
            }
            None => *left_out.entry(first.state()).or_insert(0) += group.members().len(),
        }
    }
    (rows, left_out)
}

/// It is an error only if it ran on no host at all; the first host stands for why.
fn nothing_ran(collector: &Collector) -> Option<Refusal> {
    let invocations = collector.invocations();
    if invocations.iter().any(|(invocation, _)| ran(invocation) == Ran::Ran) {
        return None;
    }
    let (first, _) = invocations.first()?;
    let mut refusal = refusal(first)?;
    if invocations.len() > 1 {
        refusal.message = format!(
            "it is not known to have run on any of {} hosts; the first: {}",
            invocations.len(),
            refusal.message
        );
    }
    Some(refusal)
}
