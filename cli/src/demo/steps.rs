//! The promises that the demo shows, in the order in which a newcomer meets them.

mod impostors;
mod look;
mod model;
mod prove;
mod refuse;
mod run;
mod stop;

use std::time::Duration;

use lictor_client::collect::{Collector, Keep};
use lictor_client::views::{InvocationView, JobView};
use lictor_core::{
    error::Failure,
    job::{CommandInput, JobSpec, Target},
    name::{HostAlias, InvalidName, Tag},
};

use super::{Broken, STEP_LIMIT, Screen, Stage};
use crate::context::origin;

/// Output that is looked at of each host.
const KEEP: Keep = Keep::at_most(4096);

/// Shows every promise. One that breaks does not keep the others from being shown.
pub(super) async fn all(stage: &mut Stage, screen: &mut Screen) {
    macro_rules! steps {
        ($($step:path),+ $(,)?) => {$(
            let result = tokio::time::timeout(STEP_LIMIT, $step(stage, screen)).await;
            screen.end(result.unwrap_or_else(|_| Err(Broken("it took too long".to_owned()))));
        )+};
    }
    steps!(
        look::hosts,
        look::plan,
        run::one,
        run::by_tag,
        refuse::denied,
        refuse::smuggled,
        stop::timeout,
        stop::cancel,
        model::assistant,
        impostors::agent,
        impostors::host,
        prove::verify,
        prove::tampered,
    );
}

/// A job that ended, with each invocation and what it printed to standard output.
struct Ran {
    job: JobView,
    hosts: Vec<(InvocationView, String)>,
}

/// A line for some hosts.
fn on_hosts(hosts: &[&str], line: &str) -> Result<JobSpec, Broken> {
    let hosts: Result<Vec<HostAlias>, InvalidName> = hosts.iter().map(|host| HostAlias::new(host)).collect();
    Ok(spec(Target::Hosts(hosts.map_err(|e| Broken(e.to_string()))?), line))
}

/// A line for all hosts with a tag.
fn on_tag(tag: &str, line: &str) -> Result<JobSpec, Broken> {
    Ok(spec(Target::Tag(Tag::new(tag).map_err(|e| Broken(e.to_string()))?), line))
}

fn spec(target: Target, line: &str) -> JobSpec {
    JobSpec::new(target, CommandInput::Line(line.to_owned()), origin())
}

/// Runs a job to its end.
async fn run_to_end(stage: &Stage, spec: &JobSpec) -> Result<Ran, Failure> {
    let mut stream = stage.client().run(spec).await?;
    let mut collector = Collector::new(KEEP);
    while let Some(update) = stream.next().await? {
        collector.take(update);
    }
    let hosts = collector.invocations().into_iter();
    let hosts =
        hosts.map(|(view, seen)| (view.clone(), String::from_utf8_lossy(seen.stdout.head()).into_owned()));
    let hosts: Vec<_> = hosts.collect();
    match collector.finished() {
        Some(job) => Ok(Ran { job: job.clone(), hosts }),
        None => Err(Failure::new(lictor_core::error::ErrorCode::Internal, "the job did not end", "")),
    }
}

/// A number of seconds that no other process sleeps, so that the process can be told from all others.
fn unlike_any_other() -> u32 {
    rand::random_range(100_000..1_000_000)
}

/// How often a process is looked for.
const LOOK: Duration = Duration::from_millis(20);
