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
    job::{Counts, IdempotencyKey, JobState, Target},
    outcome::{Outcome, Ran},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{BridgeTool, Call, Effect};
use crate::{
    answer::{Answer, Refusal},
    arguments::{Asked, ContextArguments, RolloutArguments, hosts_of, job_spec},
    ask::go_on,
    follow::follow,
    group_run::GroupRun,
    host_run::{ran, refusal},
    waiting::{WAITING_STEP, Waiting},
};

/// Hosts above which a result is a summary: what is shown of each is for ssh_job_output.
const FEW_HOSTS: usize = 16;
/// Most bytes of rows that a result about few hosts shows: some 12,000 tokens.
const TOTAL_BUDGET: usize = 48 * 1024;
/// Most bytes of rows that a summary shows: with what stands beside them, less than 2,000 tokens, also of digests, which take a
/// token for less than two bytes.
const SUMMARY_BUDGET: usize = 2560;
/// Least that is shown of each stream of a host that is shown at all: a few lines, with the mark for what was left out.
const LEAST_STREAM_BUDGET: usize = 512;
/// Most that is shown of each stream of a host, however few there are.
const MOST_STREAM_BUDGET: usize = 24 * 1024;
/// Most that a summary shows of each stream of its largest group: what most hosts have in common is worth telling.
const COMMON_STREAM_BUDGET: usize = 1536;
/// Least that a row takes: names of fields, states and counts as JSON.
const ROW_BYTES: usize = 300;
/// Most output that a call holds over all hosts while it waits, so that what hosts have in common can be shown whole.
const COLLECTED_BYTES: usize = 16 * 1024 * 1024;

/// The tool.
#[derive(Debug)]
pub(super) enum RunOnTag {}

/// What to run where.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Parameters {
    /// Every host with this tag; or else match.
    #[serde(default)]
    tag: Option<String>,
    /// Hosts by expression, as "tag:web and not site:eu".
    #[serde(default, rename = "match")]
    expression: Option<String>,
    /// Literal words; or else argv.
    #[serde(default)]
    command: Option<String>,
    /// Program and arguments, each literal.
    #[serde(default)]
    argv: Option<Vec<String>>,
    /// In what it runs, if policy permits.
    #[serde(default)]
    context: Option<ContextArguments>,
    /// How it goes out over the hosts.
    #[serde(default)]
    rollout: Option<RolloutArguments>,
    /// Seconds it may run on each host; policy may lower it.
    #[serde(default)]
    timeout_seconds: Option<u64>,
    /// Repeated with this key, it never runs twice.
    #[serde(default)]
    idempotency_key: Option<String>,
}

/// What became of it.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct TagResult {
    /// Identifier of the job; ssh_cancel takes it.
    job_id: String,
    /// The tag, if one was given.
    #[serde(skip_serializing_if = "Option::is_none")]
    tag: Option<String>,
    /// The expression, if one was given.
    #[serde(rename = "match", skip_serializing_if = "Option::is_none")]
    expression: Option<String>,
    /// SUCCEEDED (everywhere), PARTIAL, FAILED, CANCELLED, UNKNOWN, or RUNNING or AWAITING_APPROVAL if it has not ended.
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
    /// There only while the state is AWAITING_APPROVAL: whose consent all of the job waits for.
    #[serde(skip_serializing_if = "Option::is_none")]
    waiting: Option<Waiting>,
    /// What to do next.
    #[serde(skip_serializing_if = "Option::is_none")]
    next_step: Option<&'static str>,
}

impl BridgeTool for RunOnTag {
    const NAME: &'static str = "ssh_run_on_tag";
    const TITLE: &'static str = "Run a command on every host with a tag";
    const DESCRIPTION: &'static str = "Runs a command on every host with a tag or of an expression, where policy allows it, at \
        once or in waves, and waits for the end. ssh_job_output has what it leaves out. Plan it first. Cancelling the \
        request stops it everywhere.";
    const EFFECT: Effect = Effect::Runs;
    const UNTRUSTED: &'static [&'static str] = &["stdout", "stderr"];
    type Parameters = Parameters;
    type Result = TagResult;

    async fn call(call: &Call<'_>, parameters: Parameters) -> Result<Answer<TagResult>, Failure> {
        let Parameters { tag, expression, command, argv, context, rollout, timeout_seconds, idempotency_key } =
            parameters;
        let target = hosts_of(tag.as_deref(), expression.as_deref())?;
        let detached = false;
        let asked =
            Asked { target, command, argv, context, rollout, detached, timeout_seconds, idempotency_key };
        let spec = job_spec(call, asked)?;
        go_on(call, &spec).await?;
        answer(&follow(call, &spec, keep).await?, spec.idempotency_key.as_ref())
    }
}

/// What became of the job that was followed.
pub(super) fn answer(
    collector: &Collector,
    key: Option<&IdempotencyKey>,
) -> Result<Answer<TagResult>, Failure> {
    if let Some(waiting) = Waiting::of(collector, key) {
        return Ok(Answer::done(TagResult {
            state: JobState::AwaitingApproval.as_str(),
            waiting: Some(waiting),
            next_step: Some(WAITING_STEP),
            ..result(collector)?
        }));
    }
    let refusal = nothing_ran(collector);
    Ok(Answer::refused(result(collector)?, refusal))
}

/// What is kept of each stream of so many hosts until it is known which printed the same.
pub(crate) fn keep(hosts: u32) -> Keep {
    let hosts = usize::try_from(hosts).unwrap_or(usize::MAX).max(1);
    Keep::at_most((COLLECTED_BYTES / 2 / hosts).clamp(LEAST_STREAM_BUDGET, MOST_STREAM_BUDGET))
}

/// What is shown of each stream of a group: in a summary, more of what most hosts have in common.
fn stream_budget(summary: bool, groups: usize, largest: bool) -> usize {
    match (summary, largest) {
        (true, true) => COMMON_STREAM_BUDGET,
        (true, false) => LEAST_STREAM_BUDGET,
        (false, _) => (TOTAL_BUDGET / (2 * groups.max(1))).clamp(LEAST_STREAM_BUDGET, MOST_STREAM_BUDGET),
    }
}

/// What became of the collected job.
pub(crate) fn result(collector: &Collector) -> Result<TagResult, Failure> {
    let (Some(submitted), Some(job)) = (collector.submitted(), collector.job()) else {
        let next_step = "use bridge and controller of the same version";
        return Err(Failure::new(ErrorCode::Internal, "the controller told of no job", next_step));
    };
    let invocations = collector.invocations();
    let mut groups = groups(invocations.iter().map(|(invocation, _)| *invocation));
    let most = groups.first().map_or(0, |group| group.members().len());
    // Stable: the largest stay first among those that succeeded, and among those that did not.
    groups.sort_by_key(|group| {
        group.first().is_some_and(|invocation| invocation.outcome == Some(Outcome::Succeeded))
    });
    let (results, left_out_by_state) = rows(&groups, most, &invocations);
    let counts = counts(job.counts, &invocations, collector.finished().is_some());
    let retry = counts.not_run > 0 && counts.succeeded + counts.failed > 0;
    Ok(TagResult {
        job_id: job.id.to_string(),
        tag: match &job.target {
            Target::Tag(tag) => Some(tag.to_string()),
            Target::Hosts(_) | Target::Expression(_) => None,
        },
        expression: match &job.target {
            Target::Expression(expression) => Some(expression.to_string()),
            Target::Hosts(_) | Target::Tag(_) => None,
        },
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
        waiting: None,
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

/// As many rows as fit, and the rest counted by state. The largest groups have `most` hosts.
fn rows(
    groups: &[Group<'_>],
    most: usize,
    invocations: &[(&InvocationView, &Collected)],
) -> (Vec<GroupRun>, BTreeMap<&'static str, usize>) {
    let collected: BTreeMap<InvocationId, &Collected> =
        invocations.iter().map(|(invocation, collected)| (invocation.id, *collected)).collect();
    let summary = invocations.len() > FEW_HOSTS;
    let mut room = if summary { SUMMARY_BUDGET } else { TOTAL_BUDGET };
    let (mut rows, mut left_out) = (Vec::new(), BTreeMap::new());
    for group in groups {
        let Some(first) = group.first() else { continue };
        let largest = group.members().len() == most && most > 1;
        let budgets = [stream_budget(summary, groups.len(), largest), LEAST_STREAM_BUDGET];
        let fits = collected.get(&first.id).filter(|_| room > ROW_BYTES).and_then(|collected| {
            budgets.into_iter().find_map(|budget| {
                let row = GroupRun::show(group, collected, budget)?;
                // As it is sent: what has to be escaped takes more room.
                let bytes = serde_json::to_string(&row).map_or(usize::MAX, |text| text.len());
                (bytes <= room).then_some((row, bytes))
            })
        });
        match fits {
            Some((row, bytes)) => {
                room -= bytes;
                rows.push(row);
            }
            None => *left_out.entry(first.state()).or_insert(0) += group.members().len(),
        }
    }
    (rows, left_out)
}

/// It is an error only if it ran on no host at all; the first host stands for why.
pub(crate) fn nothing_ran(collector: &Collector) -> Option<Refusal> {
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
