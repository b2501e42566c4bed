//! Stopping: what takes too long and what is cancelled is gone, and that is looked at on the host.

use std::time::Duration;

use lictor_client::run::JobUpdate;
use lictor_core::outcome::Outcome;

use super::{Broken, LOOK, Screen, Stage, on_hosts, run_to_end, unlike_any_other};
use crate::{
    demo::{broken::ensure, processes},
    render::{invocations, style::Tone},
};

/// The time limit that is shown.
const LIMIT: Duration = Duration::from_secs(1);

fn is_running(seconds: u32) -> bool {
    !processes::running(&["sleep", &seconds.to_string()]).is_empty()
}

/// A command that runs too long.
pub(super) async fn timeout(stage: &mut Stage, screen: &mut Screen) -> Result<String, Broken> {
    let seconds = unlike_any_other();
    let command = format!("lictor run ber-web-1 --timeout 1s -- sleep {seconds}");
    screen.step("What runs too long is stopped", &command);
    let mut spec = on_hosts(&["ber-web-1"], &format!("sleep {seconds}"))?;
    spec.timeout = Some(LIMIT);
    let ran = run_to_end(stage, &spec).await?;
    let [(view, _)] = ran.hosts.as_slice() else { return Err(Broken("one host was asked".to_owned())) };
    screen.show(&invocations::line(view, screen.style));
    ensure(view.outcome == Some(Outcome::TimedOut), || view.state().to_owned())?;
    ensure(!is_running(seconds), || "the process is still there".to_owned())?;
    Ok("the process and its children are gone; otherwise it would have said UNKNOWN, not TIMED_OUT"
        .to_owned())
}

/// A command that is cancelled while it runs.
pub(super) async fn cancel(stage: &mut Stage, screen: &mut Screen) -> Result<String, Broken> {
    let seconds = unlike_any_other();
    let command = format!("lictor run ams-web-2 --detach -- sleep {seconds}\nlictor cancel JOB");
    screen.step("Cancel means gone, not forgotten", &command);
    let spec = on_hosts(&["ams-web-2"], &format!("sleep {seconds}"))?;
    let mut stream = stage.client().run(&spec).await?;
    let job = stream.job();
    while !is_running(seconds) {
        tokio::time::sleep(LOOK).await;
    }
    let pids = processes::running(&["sleep", &seconds.to_string()]);
    screen.show(&format!("{job}: sleep {seconds} runs on ams-web-2 as process {pids:?}"));
    stage.client().cancel(job).await?;
    let mut end = None;
    while let Some(update) = stream.next().await? {
        if let JobUpdate::Invocation(view) = update {
            end = Some(view);
        }
    }
    let view = end.ok_or_else(|| Broken("nothing was told of the invocation".to_owned()))?;
    screen.show(&invocations::line(&view, screen.style));
    ensure(view.outcome == Some(Outcome::Killed), || view.state().to_owned())?;
    ensure(!is_running(seconds), || "the process is still there".to_owned())?;
    screen.show(&screen.style.paint(Tone::Faint, "no such process on the host any more"));
    Ok("recorded first, then stopped, then looked at on the host".to_owned())
}
