//! Looking: which hosts there are, and what would be decided.

use lictor_client::policy::Effect;

use super::{Broken, Screen, Stage, on_hosts};
use crate::{
    demo::broken::ensure,
    render::{fleet, plan},
};

/// Every host is there, with an agent and a pinned key.
pub(super) async fn hosts(stage: &mut Stage, screen: &mut Screen) -> Result<String, Broken> {
    screen.step("Six hosts at two sites, known by name", "lictor hosts");
    let hosts = stage.client().hosts(None).await?;
    screen.show(&fleet::hosts(&hosts, screen.style));
    ensure(hosts.len() == 6, || format!("there are {} hosts", hosts.len()))?;
    ensure(hosts.iter().all(|host| host.agent_connected), || "a host has no agent".to_owned())?;
    ensure(hosts.iter().all(|host| host.host_key_pinned), || "a host has no pinned key".to_owned())?;
    Ok("each has an agent that dialled out to the controller, and a pinned host key".to_owned())
}

/// What would be decided, without running it.
pub(super) async fn plan(stage: &mut Stage, screen: &mut Screen) -> Result<String, Broken> {
    screen.step(
        "Ask before you run: what would be decided, and why",
        "lictor plan ams-web-1,ams-db-1 -- sleep 60",
    );
    let plan = stage.client().plan(&on_hosts(&["ams-web-1", "ams-db-1"], "sleep 60")?).await?;
    screen.show(&plan::text(&plan, screen.style));
    let effects: Vec<(&str, Effect)> =
        plan.hosts.iter().map(|host| (host.host.as_str(), host.effect)).collect();
    let expected = [("ams-db-1", Effect::Deny), ("ams-web-1", Effect::Allow)];
    ensure(effects == expected, || format!("decided {effects:?}"))?;
    Ok("allowed on the web server, denied on the database; nothing ran, nothing was recorded as a job"
        .to_owned())
}
