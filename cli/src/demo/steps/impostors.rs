//! Impostors: an agent with a certificate of another authority, a host with another key.

use std::time::Duration;

use lictor_certs::{
    ca::Authority,
    client::{LiveClientTls, connect},
    csr,
    files::IdentityFiles,
};
use lictor_client::operator::AgentState;
use lictor_core::{
    clock::Clock as _,
    name::{AgentName, SiteName},
    outcome::{Outcome, Unreachable},
    principal::Identity,
    secret::Secret,
};
use lictor_runtime::clock::SystemClock;
use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{Broken, Screen, Stage, on_hosts, run_to_end};
use crate::{
    commands::serve::chain,
    demo::broken::ensure,
    render::{bytes::one_line, invocations, style::Tone},
};

/// Life of the false certificate; the demo is over long before.
const VALIDITY: Duration = Duration::from_secs(3600);

/// Somebody who claims to be the agent of Amsterdam, with everything right but the authority.
pub(super) async fn agent(stage: &mut Stage, screen: &mut Screen) -> Result<String, Broken> {
    screen.step("An impostor of an agent does not get in", "");
    screen.show("somebody connects as agent-1 of amsterdam: right name, right domain, another authority");
    let tls = LiveClientTls::load(false_identity(stage)?)
        .map_err(|e| Broken::doing("the false identity", &chain(&e)))?;
    let connected = connect(&stage.connected().settings.controller, &tls).await;
    let connected = connected.map_err(|e| Broken::doing("the impostor did not get to the controller", &e))?;
    let refused = refusal(connected).await?;
    screen.show(&format!("{} {refused}", screen.style.paint(Tone::Bad, "connection closed:")));
    let agents = stage.connected().operator.agents().await?;
    let real = agents.iter().filter(|agent| agent.state == AgentState::Connected).count();
    ensure(real == 2, || format!("{real} of the real agents are connected"))?;
    Ok("refused in the TLS handshake, before a single call; the real agents did not notice".to_owned())
}

/// What the controller says to a certificate that it does not take. With TLS 1.3 it says so when the handshake has ended
/// for the other side, so the first read brings it.
async fn refusal(mut stream: impl AsyncRead + Unpin) -> Result<String, Broken> {
    match stream.read(&mut [0; 1]).await {
        Err(error) => Ok(one_line(&error.to_string())),
        Ok(_) => Err(Broken("the impostor was let in".to_owned())),
    }
}

/// An identity like that of the agent of Amsterdam, from an authority of its own.
fn false_identity(stage: &Stage) -> Result<IdentityFiles, Broken> {
    let doing = |error: &dyn std::fmt::Display| Broken::doing("cannot make a false identity", error);
    let dir = stage.directory("impostor")?;
    let (passphrase, now) = (Secret::new(b"another authority".to_vec()), SystemClock.now());
    let settings = &stage.connected().settings;
    Authority::create(&dir.join("pki"), &settings.trust_domain, &passphrase, now).map_err(|e| doing(&e))?;
    let authority = Authority::load(&dir.join("pki"), &passphrase).map_err(|e| doing(&e))?;
    let claimed = Identity::Agent {
        tenant: settings.tenant.clone(),
        site: SiteName::new("amsterdam").map_err(|e| doing(&e))?,
        name: AgentName::new("agent-1").map_err(|e| doing(&e))?,
    };
    let request = csr::new_key_request().map_err(|e| doing(&e))?;
    let issued = authority.issue(&request.csr_pem, &claimed, VALIDITY, now).map_err(|e| doing(&e))?;
    // It trusts the real controller; only the other way round it does not hold.
    let root = std::fs::read_to_string(&settings.identity.roots).map_err(|e| doing(&e))?;
    let files = IdentityFiles::in_dir(&dir, "agent");
    files.write(&issued.chain_pem, &request.key_pem, &root).map_err(|e| doing(&e))?;
    Ok(files)
}

/// Another machine in the place of a host.
pub(super) async fn host(stage: &mut Stage, screen: &mut Screen) -> Result<String, Broken> {
    screen.step("An impostor of a host learns nothing", "lictor run ber-db-1 -- whoami");
    stage.host("ber-db-1")?.impersonate().await?;
    screen.show("another machine answers at the address of ber-db-1, with another host key");
    let ran = run_to_end(stage, &on_hosts(&["ber-db-1"], "whoami")?).await;
    let tried = stage.host("ber-db-1")?.saw_a_login();
    stage.host("ber-db-1")?.restore().await?;
    let ran = ran?;
    let [(view, _)] = ran.hosts.as_slice() else { return Err(Broken("one host was asked".to_owned())) };
    screen.show(&invocations::line(view, screen.style));
    let refused =
        matches!(view.outcome, Some(Outcome::Unreachable { reason: Unreachable::HostKeyChanged, .. }));
    ensure(refused, || view.outcome.as_ref().map(|o| one_line(&o.to_string())).unwrap_or_default())?;
    ensure(!tried, || "the impostor's log shows an attempt to log in".to_owned())?;
    Ok("refused before any login was tried: the impostor's own log shows a connection and no user".to_owned())
}
