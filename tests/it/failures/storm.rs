//! Many jobs in a storm of faults. Whatever fails: every invocation ends once, none is started twice, and what is said
//! of it is what its host recorded. Some jobs are detached, some go out in waves or within a budget of errors.
//!
//! Few jobs by default; `scripts/test --storm JOBS` asks for more. `LICTOR_STORM_SEED` repeats the jobs and the faults.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Instant,
};

use lictor_client::connect::Client;
use lictor_core::{
    error::{ErrorCode, Failure},
    job::IdempotencyKey,
    rollout::{Rollout, Share},
};
use lictor_tests::{links::Links, proxy::Flow, signals::Stopped};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use tokio::time::sleep;

use super::*;

/// Jobs when nothing else is asked for.
const JOBS: usize = 60;
/// Who ask at the same time.
const CALLERS: usize = 4;
/// How long a caller waits before its next job, so that the storm has time to meet it.
const PACE: Duration = Duration::from_millis(1600);
/// Timeout of most jobs, so that what nobody hears of again is settled soon.
const TIMEOUT: Duration = Duration::from_secs(20);
/// An agent that is never heard of again is given up after the validity of its grant, the timeout, the time to kill and
/// a grace, together less than three minutes; and then some.
const SETTLES: Duration = Duration::from_secs(300);
const HOSTS: [&str; 3] = ["web-1", "web-2", "web-3"];

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Fault {
    KillController,
    KillAgent,
    KillBoth,
    StopController,
    StopAgent,
    CutController,
    RefuseController,
    SilenceController,
    SilenceAnswers,
    CutHost,
    RefuseHost,
    SilenceHost,
    StopSshd,
}

const FAULTS: [Fault; 13] = [
    Fault::KillController,
    Fault::KillAgent,
    Fault::KillBoth,
    Fault::StopController,
    Fault::StopAgent,
    Fault::CutController,
    Fault::RefuseController,
    Fault::SilenceController,
    Fault::SilenceAnswers,
    Fault::CutHost,
    Fault::RefuseHost,
    Fault::SilenceHost,
    Fault::StopSshd,
];

/// What one caller asks for.
struct Wish {
    spec: JobSpec,
    cancel_after: Option<Duration>,
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|n| n.parse().ok())
}

fn wish(seed: u64, index: usize) -> Wish {
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(index as u64));
    let (mut timeout, mut cancel_after) = (TIMEOUT, None);
    let command = match random.random_range(0..100) {
        0..35 => effect(":"),
        35..70 => effect(&format!("sleep {:.2}", random.random_range(0.0..2.5))),
        70..80 => effect("exit 3"),
        80..87 => effect("head -c 40000 /dev/zero"),
        87..93 => {
            timeout = Duration::from_secs(1);
            effect("sleep 30")
        }
        _ => {
            cancel_after = Some(Duration::from_millis(random.random_range(0..1500)));
            effect("sleep 15")
        }
    };
    let mut hosts: Vec<&str> = HOSTS.into_iter().filter(|_| random.random_bool(0.6)).collect();
    if hosts.is_empty() {
        hosts.push(HOSTS[0]);
    }
    let detached = random.random_bool(0.25);
    let rollout = match random.random_range(0..100) {
        0..15 => Rollout { waves: vec![Share::Count(1)], ..Rollout::default() },
        15..30 => Rollout { max_errors: Some(Share::Count(0)), ..Rollout::default() },
        30..40 => Rollout {
            waves: vec![Share::Count(1), Share::Count(2)],
            max_concurrency: Some(Share::Count(1)),
            max_errors: Some(Share::Count(1)),
            ..Rollout::default()
        },
        _ => Rollout::default(),
    };
    let argv: Vec<&str> = command.iter().map(String::as_str).collect();
    let spec = JobSpec {
        detached,
        rollout,
        idempotency_key: Some(IdempotencyKey::new(&format!("storm-{seed}-{index}")).unwrap()),
        queue_wait: Some(QUEUE_WAIT),
        timeout: Some(timeout),
        ..spec(&hosts, &argv).unwrap()
    };
    Wish { spec, cancel_after }
}

/// Whether it may be asked for again: the controller was not there, or could not say.
fn passes(failure: &Failure) -> bool {
    matches!(
        failure.code,
        ErrorCode::Unavailable
            | ErrorCode::AuditUnavailable
            | ErrorCode::Internal
            | ErrorCode::DeadlineExceeded
    )
}

async fn insist<T, F>(mut ask: impl FnMut() -> F) -> T
where
    F: Future<Output = Result<T, Failure>>,
{
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(failure) if passes(&failure) => sleep(Duration::from_millis(100)).await,
            Err(failure) => panic!("{failure:?}"),
        }
    }
}

/// Asks for every job that nobody has asked for yet; answers those that were acknowledged.
async fn call(client: Client, next: Arc<AtomicUsize>, jobs: usize, seed: u64) -> Vec<JobId> {
    let mut asked = Vec::new();
    loop {
        let index = next.fetch_add(1, Ordering::SeqCst);
        if index >= jobs {
            return asked;
        }
        let Wish { spec, cancel_after } = wish(seed, index);
        let job = insist(|| client.submit(&spec)).await.job.id;
        asked.push(job);
        if let Some(after) = cancel_after {
            sleep(after).await;
            insist(|| client.cancel(job)).await;
        }
        sleep(PACE).await;
    }
}

async fn inflict(fault: Fault, world: &mut World, links: &Links, random: &mut StdRng) {
    let host = HOSTS[random.random_range(0..HOSTS.len())];
    let proxy = links.host(host).unwrap();
    let lasts = Duration::from_millis(random.random_range(100..2500));
    let for_a_while = async |proxy: &lictor_tests::proxy::Proxy, flow: Flow| {
        proxy.set(flow);
        sleep(lasts).await;
        proxy.set(Flow::Both);
    };
    let stop = async |id: u32| {
        let stopped = Stopped::new(id);
        sleep(lasts).await;
        drop(stopped);
    };
    match fault {
        Fault::KillController | Fault::KillAgent | Fault::KillBoth => {
            let (controller, agent) = (fault != Fault::KillAgent, fault != Fault::KillController);
            if controller {
                world.controller.as_mut().unwrap().kill();
            }
            if agent {
                world.agent.as_mut().unwrap().kill();
                world.spawn_agent().unwrap();
            }
            if controller {
                world.start_controller().await.unwrap();
            }
        }
        Fault::StopController => stop(world.controller.as_ref().unwrap().id()).await,
        Fault::StopAgent => stop(world.agent.as_ref().unwrap().id()).await,
        Fault::StopSshd => stop(world.host(host).sshd_id()).await,
        Fault::CutController => links.controller.cut(),
        Fault::RefuseController => {
            links.controller.down();
            for_a_while(&links.controller, Flow::Refused).await;
        }
        Fault::SilenceController => for_a_while(&links.controller, Flow::None).await,
        Fault::SilenceAnswers => for_a_while(&links.controller, Flow::ToServer).await,
        Fault::CutHost => proxy.cut(),
        Fault::RefuseHost => {
            proxy.down();
            for_a_while(proxy, Flow::Refused).await;
        }
        Fault::SilenceHost => for_a_while(proxy, Flow::None).await,
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn in_a_storm_of_faults_every_invocation_ends_once_and_agrees_with_its_host() {
    let seed = number("LICTOR_STORM_SEED").unwrap_or_else(rand::random);
    let jobs = number("LICTOR_STORM_JOBS").map_or(JOBS, |n| usize::try_from(n).unwrap());
    eprintln!("LICTOR_STORM_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let (mut world, links) = World::start_with_links(&HOSTS).await.unwrap();
    let next = Arc::new(AtomicUsize::new(0));
    let call = |_| tokio::spawn(call(world.client().unwrap(), Arc::clone(&next), jobs, seed));
    let callers: Vec<_> = (0..CALLERS).map(call).collect();

    let (begun, mut faults) = (Instant::now(), BTreeMap::<Fault, usize>::new());
    while callers.iter().any(|caller| !caller.is_finished()) {
        sleep(Duration::from_millis(random.random_range(200..1500))).await;
        let fault = FAULTS[random.random_range(0..FAULTS.len())];
        inflict(fault, &mut world, &links, &mut random).await;
        *faults.entry(fault).or_default() += 1;
    }
    let count: usize = faults.values().sum();
    let minutes = begun.elapsed().as_secs_f64() / 60.0;
    eprintln!("{count} faults in {minutes:.1} min, {:.0} a minute: {faults:?}", count as f64 / minutes);

    let mut ids = Vec::new();
    for caller in callers {
        ids.extend(caller.await.unwrap());
    }
    assert_eq!(ids.len(), jobs);
    world.agent_connected().await.unwrap();
    let ended = world.settle(&ids, SETTLES).await.unwrap_or_else(|e| panic!("{e:#}"));
    let asked: usize = (0..jobs).map(|index| hosts_of(&wish(seed, index))).sum();
    let of = |is: fn(&JobSpec) -> bool| (0..jobs).filter(|index| is(&wish(seed, *index).spec)).count();
    let (detached, careful) = (of(|spec| spec.detached), of(|spec| !spec.rollout.is_immediate()));
    eprintln!(
        "{jobs} jobs ({detached} detached, {careful} not all at once), {asked} invocations: {ended:#?}"
    );
    assert_eq!(ended.values().sum::<usize>(), asked);
    for host in HOSTS {
        works(&world, host).await;
    }
}

fn hosts_of(wish: &Wish) -> usize {
    match &wish.spec.target {
        lictor_core::job::Target::Hosts(hosts) => hosts.len(),
        _ => 0,
    }
}
