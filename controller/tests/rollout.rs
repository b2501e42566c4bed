//! A job that goes out in steps: what begins when, what stops it, and that a restart goes on where it was.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop where it fails")]

#[path = "support/world.rs"]
#[allow(dead_code, reason = "each file of tests needs another part of it")]
mod world;

use std::{sync::Arc, time::Duration};

use lictor_controller::live::LiveJob;
use lictor_core::{
    audit::AuditEvent,
    clock::Clock as _,
    error::ErrorCode,
    id::InvocationId,
    invocation::{Invocation, InvocationState},
    job::{CommandInput, JobSpec, JobState},
    outcome::{Exit, Outcome, Unknown, Unreachable},
    rollout::{HaltReason, Rollout, Share},
};
use lictor_store::{Change, Store as _, Write};
use world::{Agent, World, operator, result, spec};

const POLICY: &str =
    "version: 1\nrules:\n  - { id: basics, effect: allow, where: all, commands: [uptime, id] }\n";
const HOSTS: [&str; 6] = ["web-1", "web-2", "web-3", "web-4", "web-5", "web-6"];

async fn system() -> (World, Agent) {
    let world = World::under(POLICY, &HOSTS).await;
    // Epochs are counted from the start of each controller here; a session after a restart must have another.
    let _earlier = world.connect(&[], false).await;
    let agent = world.connect(&[], false).await;
    (world, agent)
}

fn rolled(rollout: Rollout) -> JobSpec {
    JobSpec { rollout, ..spec(&HOSTS, "uptime") }
}

fn waves(waves: &[u32]) -> Rollout {
    Rollout { waves: waves.iter().map(|n| Share::Count(*n)).collect(), ..Rollout::default() }
}

fn failed() -> Outcome {
    Outcome::Failed(Exit::Code(1))
}

/// What is offered now, after the session has looked at what waits.
async fn offered(world: &World, agent: &Agent) -> Vec<InvocationId> {
    world.lifecycle.offer_waiting(&agent.session).await.unwrap();
    agent.offers()
}

async fn end(world: &World, agent: &Agent, id: InvocationId, outcome: &Outcome) {
    let durable = world.lifecycle.take_results(&agent.session, vec![result(id, outcome)]).await.unwrap();
    assert_eq!(durable, [id.to_string()]);
}

async fn end_all(world: &World, agent: &Agent, ids: Vec<InvocationId>, outcome: &Outcome) {
    for id in ids {
        end(world, agent, id, outcome).await;
    }
}

fn state(job: &LiveJob) -> JobState {
    let (record, _, counts) = job.snapshot();
    record.state(&counts)
}

async fn states(world: &World, job: &LiveJob) -> Vec<String> {
    let mut states = Vec::new();
    for (_, id, _) in job.index() {
        states.push(world.state(id).await);
    }
    states
}

#[tokio::test]
async fn a_wave_begins_when_the_one_before_has_ended_and_rested() {
    let (world, agent) = system().await;
    let soak = Duration::from_secs(60);
    let job = world.submit(&rolled(Rollout { soak, ..waves(&[1, 3]) })).await.unwrap();
    let first = offered(&world, &agent).await;
    assert_eq!(first.len(), 1, "the canary alone");
    end_all(&world, &agent, first, &Outcome::Succeeded).await;
    world.lifecycle.sweep().await;
    assert!(offered(&world, &agent).await.is_empty(), "it rests");
    world.pass(soak);
    world.lifecycle.sweep().await;
    let second = offered(&world, &agent).await;
    assert_eq!(second.len(), 2);
    end(&world, &agent, second[0], &Outcome::Succeeded).await;
    world.pass(soak * 2);
    world.lifecycle.sweep().await;
    assert!(offered(&world, &agent).await.is_empty(), "one of the wave has not ended");
    end(&world, &agent, second[1], &failed()).await;
    world.pass(soak * 2);
    world.lifecycle.sweep().await;
    let third = offered(&world, &agent).await;
    assert_eq!(third.len(), 3);
    end_all(&world, &agent, third, &Outcome::Succeeded).await;
    assert!(job.has_ended());
    assert_eq!(state(&job), JobState::Partial);
    let kinds = world.kinds().await;
    assert_eq!(kinds.iter().filter(|kind| *kind == "wave_begun").count(), 2);
    assert_eq!(kinds.iter().filter(|kind| *kind == "wave_ended").count(), 2);
}

#[tokio::test]
async fn no_more_than_the_budget_and_one_can_fail_and_the_rest_is_skipped() {
    let (world, agent) = system().await;
    let rollout = Rollout { max_errors: Some(Share::Count(1)), ..Rollout::default() };
    let job = world.submit(&rolled(rollout)).await.unwrap();
    let first = offered(&world, &agent).await;
    assert_eq!(first.len(), 2, "what is left of the budget, plus one");
    end(&world, &agent, first[0], &Outcome::Unknown(Unknown::ConnectionLost)).await;
    assert_eq!(offered(&world, &agent).await, [], "one error is borne; one is under way");
    end(&world, &agent, first[1], &failed()).await;
    assert_eq!(offered(&world, &agent).await, []);
    assert!(job.has_ended());
    assert_eq!(state(&job), JobState::Halted);
    let states = states(&world, &job).await;
    assert_eq!(states.iter().filter(|state| *state == "SKIPPED").count(), 4, "{states:?}");
    let audit = world.audit().await;
    let halt = audit.iter().find(|event| event["kind"] == "job_halted").unwrap();
    assert_eq!((&halt["reason"], &halt["by"]), (&"too_many_errors".into(), &serde_json::Value::Null));
}

#[tokio::test]
async fn unreachable_hosts_have_a_budget_of_their_own() {
    let (world, agent) = system().await;
    let rollout = Rollout {
        max_errors: Some(Share::Count(0)),
        max_unreachable: Some(Share::Count(1)),
        ..Rollout::default()
    };
    let job = world.submit(&rolled(rollout)).await.unwrap();
    let unreachable =
        Outcome::Unreachable { reason: Unreachable::ConnectFailed, detail: "nobody answers".into() };
    for _ in 0..2 {
        let one = offered(&world, &agent).await;
        assert_eq!(one.len(), 1, "with no error borne, one at a time");
        end_all(&world, &agent, one, &unreachable).await;
    }
    assert!(job.has_ended());
    assert_eq!(job.snapshot().0.progress.halted.unwrap().reason, HaltReason::TooManyUnreachable);
}

#[tokio::test]
async fn at_most_so_many_are_under_way_at_once_even_across_a_restart() {
    let (world, agent) = system().await;
    let rollout = Rollout { max_concurrency: Some(Share::Count(2)), ..Rollout::default() };
    world.submit(&rolled(rollout)).await.unwrap();
    let first = offered(&world, &agent).await;
    assert_eq!(first.len(), 2);
    let world = world.restarted().await;
    let journal = [(first[0], lictor_proto::pb::JournalPhase::Running)];
    let agent = world.connect(&journal, false).await;
    let again = offered(&world, &agent).await;
    assert_eq!(again, [first[1]], "what did not arrive is offered again and still counts");
    end(&world, &agent, first[0], &Outcome::Succeeded).await;
    let next = offered(&world, &agent).await;
    assert_eq!(next.len(), 1);
    assert!(!first.contains(&next[0]));
}

#[tokio::test]
async fn paused_nothing_begins_until_it_is_resumed_and_a_restart_does_not_resume_it() {
    let (world, agent) = system().await;
    let rollout = Rollout { max_concurrency: Some(Share::Count(1)), ..Rollout::default() };
    let job = world.submit(&rolled(rollout)).await.unwrap();
    let id = job.id();
    let first = offered(&world, &agent).await;
    world.lifecycle.pause(id, &operator()).await.unwrap();
    world.lifecycle.pause(id, &operator()).await.unwrap();
    assert_eq!(state(&job), JobState::Paused);
    end_all(&world, &agent, first, &Outcome::Succeeded).await;
    world.pass(Duration::from_secs(3600));
    world.lifecycle.sweep().await;
    assert_eq!(offered(&world, &agent).await, [], "and what is held back does not expire");
    let world = world.restarted().await;
    let agent = world.connect(&[], false).await;
    world.lifecycle.sweep().await;
    assert_eq!(offered(&world, &agent).await, []);
    world.lifecycle.resume(id, &operator()).await.unwrap();
    assert_eq!(offered(&world, &agent).await.len(), 1);
    assert_eq!(world.kinds().await.iter().filter(|kind| *kind == "job_paused").count(), 1);
}

#[tokio::test]
async fn a_job_that_waits_for_its_agent_can_be_paused_too() {
    let world = World::under(POLICY, &HOSTS).await;
    let job = world.submit(&spec(&HOSTS, "uptime")).await.unwrap();
    world.lifecycle.pause(job.id(), &operator()).await.unwrap();
    let agent = world.connect(&[], false).await;
    assert_eq!(offered(&world, &agent).await, []);
    world.lifecycle.resume(job.id(), &operator()).await.unwrap();
    assert_eq!(offered(&world, &agent).await.len(), HOSTS.len());
}

#[tokio::test]
async fn aborted_what_runs_goes_on_and_what_waits_is_skipped() {
    let (world, agent) = system().await;
    let job = world.submit(&rolled(waves(&[2]))).await.unwrap();
    let first = offered(&world, &agent).await;
    world.lifecycle.abort(job.id(), &operator()).await.unwrap();
    assert_eq!(state(&job), JobState::Halting);
    assert!(agent.stops().is_empty(), "nothing is stopped");
    end_all(&world, &agent, first, &Outcome::Succeeded).await;
    assert_eq!(state(&job), JobState::Halted);
    let refused = world.lifecycle.abort(job.id(), &operator()).await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::Conflict);
}

#[tokio::test]
async fn a_wave_that_proved_nothing_stops_the_job() {
    let (world, agent) = system().await;
    let job = world.submit(&rolled(waves(&[1]))).await.unwrap();
    let canary = offered(&world, &agent).await;
    end_all(&world, &agent, canary, &failed()).await;
    assert_eq!(state(&job), JobState::Halted);
    assert_eq!(job.snapshot().0.progress.halted.unwrap().reason, HaltReason::WaveWithoutSuccess);
    assert_eq!(offered(&world, &agent).await, []);
}

fn checked() -> JobSpec {
    rolled(Rollout { health_check: Some(CommandInput::Line("id".into())), ..waves(&[2]) })
}

/// A job whose first wave has ended, and what its health check runs.
async fn in_check(world: &World, agent: &Agent) -> (Arc<LiveJob>, Vec<InvocationId>) {
    let job = world.submit(&checked()).await.unwrap();
    let first = offered(world, agent).await;
    assert_eq!(first.len(), 2);
    end(world, agent, first[0], &Outcome::Succeeded).await;
    end(world, agent, first[1], &failed()).await;
    let checks = agent.offers();
    assert_eq!(checks.len(), 1, "only where the wave succeeded");
    (job, checks)
}

#[tokio::test]
async fn the_next_wave_waits_for_the_health_check_and_begins_when_it_succeeds() {
    let (world, agent) = system().await;
    let (job, checks) = in_check(&world, &agent).await;
    world.lifecycle.sweep().await;
    assert_eq!(offered(&world, &agent).await, []);
    let check = job.snapshot().0.progress.health_job.unwrap();
    let record = world.lifecycle.jobs.job(check).unwrap().snapshot().0;
    assert_eq!(record.command.to_string(), "id");
    assert_eq!(record.principal, job.snapshot().0.principal);
    end_all(&world, &agent, checks, &Outcome::Succeeded).await;
    world.lifecycle.sweep().await;
    assert_eq!(offered(&world, &agent).await.len(), 4);
}

#[tokio::test]
async fn a_health_check_that_fails_halts_the_job_even_across_a_restart() {
    let (world, agent) = system().await;
    let (job, checks) = in_check(&world, &agent).await;
    let id = job.id();
    let world = world.restarted().await;
    let agent = world.connect(&[(checks[0], lictor_proto::pb::JournalPhase::Running)], false).await;
    world.lifecycle.sweep().await;
    assert_eq!(offered(&world, &agent).await, [], "the check is not run again");
    end_all(&world, &agent, checks, &failed()).await;
    let job = world.lifecycle.jobs.job(id).unwrap();
    world.lifecycle.sweep().await;
    assert_eq!(state(&job), JobState::Halted);
    assert_eq!(job.snapshot().0.progress.halted.unwrap().reason, HaltReason::HealthCheckFailed);
}

#[tokio::test]
async fn a_health_check_that_policy_denies_refuses_the_job_before_anything_begins() {
    let (world, agent) = system().await;
    let check = Some(CommandInput::Line("reboot".into()));
    let refused = world.submit(&rolled(Rollout { health_check: check, ..waves(&[1]) })).await;
    assert_eq!(refused.unwrap_err(), ErrorCode::PolicyDenied);
    assert_eq!(offered(&world, &agent).await, []);
    assert!(world.kinds().await.contains(&"request_denied".to_owned()));
}

#[tokio::test]
async fn a_cancelled_job_ends_what_is_held_back() {
    let (world, agent) = system().await;
    let job = world.submit(&rolled(waves(&[1]))).await.unwrap();
    let canary = offered(&world, &agent).await;
    world.lifecycle.cancel(job.id(), &operator()).await.unwrap();
    assert_eq!(state(&job), JobState::Cancelling);
    assert_eq!(agent.stops().len(), 1);
    end_all(&world, &agent, canary, &Outcome::Killed).await;
    assert_eq!(state(&job), JobState::Cancelled);
}

#[tokio::test]
async fn what_is_held_back_for_longer_than_any_rollout_may_take_expires() {
    let (world, agent) = system().await;
    let job = world.submit(&rolled(waves(&[1]))).await.unwrap();
    let canary = offered(&world, &agent).await;
    world.lifecycle.pause(job.id(), &operator()).await.unwrap();
    end_all(&world, &agent, canary, &Outcome::Succeeded).await;
    world.pass(lictor_core::rollout::MAX_ROLLOUT + Duration::from_secs(1));
    world.lifecycle.sweep().await;
    assert!(job.has_ended());
    assert_eq!(states(&world, &job).await.iter().filter(|state| *state == "EXPIRED").count(), 5);
}

#[tokio::test]
async fn what_comes_back_to_a_paused_or_aborted_job_does_not_begin() {
    for abort in [false, true] {
        let (world, agent) = system().await;
        let job = world.submit(&rolled(waves(&[2]))).await.unwrap();
        assert_eq!(offered(&world, &agent).await.len(), 2);
        let id = job.id();
        let by = operator();
        if abort {
            world.lifecycle.abort(id, &by).await.unwrap();
        } else {
            world.lifecycle.pause(id, &by).await.unwrap();
        }
        let again = world.connect(&[], false).await;
        assert_eq!(again.offers(), [], "the agent comes back without what was offered");
        world.lifecycle.sweep().await;
        assert_eq!(offered(&world, &again).await, []);
        if abort {
            assert_eq!(state(&job), JobState::Halted);
        } else {
            world.lifecycle.resume(id, &by).await.unwrap();
            assert_eq!(offered(&world, &again).await.len(), 2, "nothing was lost by it");
        }
    }
}

#[tokio::test]
async fn what_comes_back_after_a_long_while_waits_anew_and_does_not_halt_the_job() {
    let (world, agent) = system().await;
    let rollout = Rollout { max_unreachable: Some(Share::Count(0)), ..waves(&[1]) };
    let job = world.submit(&rolled(rollout)).await.unwrap();
    let canary = offered(&world, &agent).await;
    world.pass(Duration::from_secs(3600));
    let again = world.connect(&[], false).await;
    assert_eq!(again.offers(), canary);
    world.lifecycle.sweep().await;
    assert_eq!(state(&job), JobState::Running);
}

#[tokio::test]
async fn a_budget_that_is_used_up_leaves_no_room_before_the_halt_is_recorded() {
    let (world, agent) = system().await;
    let rollout = Rollout { max_errors: Some(Share::Count(0)), ..Rollout::default() };
    let job = world.submit(&rolled(rollout)).await.unwrap();
    let first = offered(&world, &agent).await;
    // The end alone is recorded, as when the controller is killed before it can halt the job.
    let invocation = world.store.invocation(first[0]).await.unwrap().unwrap();
    let ended =
        Invocation { state: InvocationState::Ended(failed()), version: invocation.version + 1, ..invocation };
    let event = AuditEvent::InvocationEnded { invocation: ended.clone().into(), agent: None };
    let change = Change::new(world.clock.now(), event).write(Write::UpdateInvocation(ended.into()));
    let _ = world.store.commit(change).await.unwrap();
    let id = job.id();
    let world = world.restarted().await;
    let agent = world.connect(&[], false).await;
    assert_eq!((agent.offers(), offered(&world, &agent).await), (vec![], vec![]));
    world.lifecycle.sweep().await;
    assert!(world.lifecycle.jobs.job(id).is_none(), "it is halted, and with that it has ended");
}
