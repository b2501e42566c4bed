//! What the hosts themselves recorded, held against what Lictor says: the exec log, and a file that commands append to.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use anyhow::{Context as _, ensure};
use lictor_client::{
    connect::Client,
    views::{InvocationView, Phase},
};
use lictor_core::{
    id::JobId,
    job::{Counts, JobState},
    outcome::{Outcome, Ran},
};

use crate::{World, process::within};

/// The file that [`effect`] appends to, on each host.
pub const EFFECTS: &str = "effects";
/// Most invocations of a job that these tests ask for.
const PAGE: u32 = 1000;

/// A command that says on its host that it began, does `body`, and says that it came to its end.
pub fn effect(body: &str) -> [String; 3] {
    let note = |what: &str| format!("echo {what} $LICTOR_INVOCATION >> $HOME/{EFFECTS}");
    ["sh".into(), "-c".into(), format!("{} && {{ {body}; }} && {}", note("begin"), note("end"))]
}

/// As [`effect`], but it ends only once the file `go` is there.
pub fn effect_until(go: &std::path::Path) -> [String; 3] {
    effect(&format!("while test -d $HOME && ! test -e {}; do sleep 0.02; done", go.display()))
}

/// What the hosts recorded of one invocation.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Seen {
    /// Exec requests that start it.
    pub starts: usize,
    /// How often it said that it began.
    pub begun: usize,
    /// How often it said that it came to its end.
    pub done: usize,
}

/// How many invocations ended in which way, named as outcomes print themselves, without the detail.
pub type Tally = BTreeMap<String, usize>;

impl World {
    /// What every host recorded, by invocation.
    pub fn seen(&self) -> BTreeMap<String, Seen> {
        let mut seen: BTreeMap<String, Seen> = BTreeMap::new();
        for host in &self.hosts {
            for line in host.exec_log().lines() {
                if let Some(id) = started(line) {
                    seen.entry(id.to_owned()).or_default().starts += 1;
                }
            }
            let effects = std::fs::read_to_string(host.file(EFFECTS)).unwrap_or_default();
            for (what, id) in effects.lines().filter_map(|line| line.split_once(' ')) {
                let of = seen.entry(id.to_owned()).or_default();
                match what {
                    "begin" => of.begun += 1,
                    _ => of.done += 1,
                }
            }
        }
        seen
    }

    /// What the hosts recorded of one invocation.
    pub fn seen_of(&self, invocation: &str) -> Seen {
        self.seen().get(invocation).copied().unwrap_or_default()
    }

    /// Waits until each job has ended, then holds every invocation against the hosts' records and the audit.
    ///
    /// # Errors
    /// When one does not end in time, or anything contradicts anything.
    pub async fn settle(&self, jobs: &[JobId], patience: Duration) -> anyhow::Result<Tally> {
        let client = self.client()?;
        let mut all = Vec::new();
        for id in jobs {
            let ended = async || client.get_job(*id, 1, None).await.is_ok_and(|page| page.job.state.ended());
            let in_time = within(patience, &format!("job {id} ends"), ended).await;
            if in_time.is_err() {
                let page = client.get_job(*id, PAGE, None).await;
                in_time.with_context(|| format!("{page:#?}\n{}", self.logs()))?;
            }
            all.extend(self.counted(&client, *id).await?);
        }
        let seen = self.seen();
        let mut tally = Tally::new();
        for invocation in &all {
            let outcome = invocation.outcome.as_ref().context("an ended job has an open invocation")?;
            let id = invocation.id.to_string();
            agree(invocation, outcome, seen.get(&id).copied().unwrap_or_default())?;
            // Without the detail for people.
            let said = outcome.to_string();
            *tally.entry(said.split(": ").next().unwrap_or(&said).to_owned()).or_default() += 1;
        }
        let ours: BTreeSet<String> = all.iter().map(|i| i.id.to_string()).collect();
        self.audit_agrees(&ours).await?;
        Ok(tally)
    }

    /// The invocations of a job, whose counts must be theirs.
    async fn counted(&self, client: &Client, id: JobId) -> anyhow::Result<Vec<InvocationView>> {
        let (mut invocations, mut next) = (Vec::new(), None);
        let job = loop {
            let page = client.get_job(id, PAGE, next.as_deref()).await.map_err(anyhow::Error::msg)?;
            invocations.extend(page.invocations);
            next = page.next_page;
            if next.is_none() {
                break page.job;
            }
        };
        let mut counts = Counts::default();
        for invocation in &invocations {
            ensure!(invocation.phase == Phase::Ended, "{} of an ended job is open", invocation.id);
            invocation.outcome.iter().for_each(|outcome| counts.add(outcome));
        }
        ensure!(counts == job.counts, "job {id} counts {:?}, its invocations {counts:?}", job.counts);
        let halted = job.progress.as_ref().is_some_and(|progress| progress.halted.is_some());
        let state = if halted { JobState::Halted } else { counts.state() };
        ensure!(state == job.state, "job {id} is {:?} with {counts:?}", job.state);
        Ok(invocations)
    }

    /// Each of these ended once in the audit, which verifies.
    async fn audit_agrees(&self, invocations: &BTreeSet<String>) -> anyhow::Result<()> {
        crate::world::expect(&self.lictor(&["audit", "verify"])?)?;
        let mut ends: BTreeMap<String, usize> = BTreeMap::new();
        for record in self.audit().await? {
            if record["kind"] == "invocation_ended" {
                *ends.entry(record["invocation"].as_str().unwrap_or_default().to_owned()).or_default() += 1;
            }
        }
        for id in invocations {
            let count = ends.get(id).copied().unwrap_or_default();
            ensure!(count == 1, "{id} ended {count} times in the audit");
        }
        Ok(())
    }
}

/// Which invocation an exec request starts: as every command does, or as one does that is guarded on its host.
fn started(request: &str) -> Option<&str> {
    let ordinary = request.split_once("echo lictor:").and_then(|(_, rest)| rest.split(':').next());
    ordinary
        .or_else(|| request.split_once("lictor-detached start ").and_then(|(_, rest)| rest.split(' ').next()))
}

/// Whether an outcome can be true, given what the host recorded.
fn agree(invocation: &InvocationView, outcome: &Outcome, seen: Seen) -> anyhow::Result<()> {
    let id = invocation.id;
    ensure!(
        seen.starts <= 1 && seen.begun <= 1 && seen.done <= 1,
        "{id} is {outcome} and ran more than once: {seen:?}"
    );
    for claim in std::iter::once(outcome).chain(&invocation.resolution) {
        let holds = match claim.ran() {
            Ran::NotRun => seen == Seen::default(),
            Ran::Ran => seen.starts == 1 && invocation.started_at.is_some(),
            Ran::MayHaveRun => true,
        };
        ensure!(holds, "{id} is {claim}, but on its host: {seen:?}");
        ensure!(
            *claim != Outcome::Succeeded || (seen.begun, seen.done) == (1, 1),
            "{id} is {claim}, but on its host: {seen:?}"
        );
    }
    Ok(())
}
