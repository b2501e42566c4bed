//! Running: one host, and many at once.

use lictor_core::job::JobState;

use super::{Broken, Screen, Stage, on_hosts, on_tag, run_to_end};
use crate::{
    demo::broken::ensure,
    render::{bytes::one_line, invocations},
};

/// A command on one host.
pub(super) async fn one(stage: &mut Stage, screen: &mut Screen) -> Result<String, Broken> {
    screen.step("Run a command on one host", "lictor run ams-web-1 -- 'whoami; uname -sr'");
    let ran = run_to_end(stage, &on_hosts(&["ams-web-1"], "whoami; uname -sr")?).await?;
    let [(view, output)] = ran.hosts.as_slice() else {
        return Err(Broken(format!("{} hosts answered", ran.hosts.len())));
    };
    screen.show(output);
    screen.show(&invocations::line(view, screen.style));
    ensure(ran.job.state == JobState::Succeeded, || view.state().to_owned())?;
    ensure(output.lines().count() == 2, || "the output is not what the commands print".to_owned())?;
    Ok("both parts were judged word by word; the intent was on disk before the first byte went to the host"
        .to_owned())
}

/// A command on every host with a tag.
pub(super) async fn by_tag(stage: &mut Stage, screen: &mut Screen) -> Result<String, Broken> {
    screen
        .step("Run it everywhere at once, through both sites", "lictor run --tag all -- printenv DEMO_HOST");
    let ran = run_to_end(stage, &on_tag("all", "printenv DEMO_HOST")?).await?;
    for (view, output) in &ran.hosts {
        screen.show(&format!("{:<9} | {}", view.host, one_line(output.trim_end())));
        ensure(output.trim_end() == view.host.as_str(), || {
            format!("{} answered for {}", output.trim_end(), view.host)
        })?;
    }
    screen.show(&invocations::summary(&ran.job, screen.style));
    ensure(ran.job.state == JobState::Succeeded && ran.hosts.len() == 6, || invocations::counts(&ran.job))?;
    Ok("six hosts, each started exactly once, each with exactly one outcome".to_owned())
}
