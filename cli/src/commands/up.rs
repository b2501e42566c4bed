//! `lictor up`: controller and local agent in one process, on the files of one directory.

use std::{
    fs::{self, File, TryLockError},
    io,
    path::PathBuf,
    time::Duration,
};

use clap::Args;
use lictor_agent::{AgentConfig, AgentError, site::Site};
use lictor_client::operator::{AgentState, Operator};
use lictor_controller::{ControllerConfig, Running};
use lictor_core::{
    error::{ErrorCode, Failure},
    name::{AgentName, SiteName},
};
use lictor_runtime::{exit::Exit, panics::Interrupted, shutdown::Shutdown};
use serde_json::json;
use tokio::task::JoinHandle;
use tracing::Level;

use super::serve::{chain, files, signals, start_logging};
use crate::{
    Done,
    context::{Connected, Context},
    home::{CLIENT_FILE, Home},
    init::LOCAL,
    render::time::count,
    site::{self, JoinedAs},
    trouble::Trouble,
};

/// Time for the local agent to connect: it does so within a second unless its identity is refused.
const READY_WAIT: Duration = Duration::from_secs(60);
/// How often it is looked at until then.
const READY_LOOK: Duration = Duration::from_millis(50);

/// Run controller and local agent in one process
///
/// Works on the directory made by `lictor init` and runs until it is interrupted (Ctrl-C). What was
/// running then is settled at the next start: nothing runs twice, nothing is forgotten.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The directory; else as --dir says
    #[arg(value_name = "DIRECTORY")]
    directory: Option<PathBuf>,
}

type Agent = JoinHandle<Result<(), AgentError>>;

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    let home = match &arguments.directory {
        Some(dir) => Home::existing(dir, CLIENT_FILE)?,
        None => context.home()?,
    };
    start_logging(Level::WARN)?;
    let _lock = lock(&home)?;
    let controller = ControllerConfig::load(&home.controller_file()).map_err(files)?;
    let agent = AgentConfig::load(&home.agent_file()).map_err(files)?;
    // A slip in the site's files is said before anything listens.
    Site::load(&agent.site, 0).map_err(files)?;
    let stop = signals()?;
    let listen = controller.listen;
    let controller_stop = Shutdown::new();
    let running = lictor_controller::start(controller, &controller_stop).await;
    let running = running.map_err(|error| not_started(&error, &listen.to_string()))?;
    let served = serve(context, &home, agent, &running, &stop, &controller_stop).await;
    controller_stop.begin();
    running.wait().await;
    served?;
    if controller_stop.has_failed() {
        return Err(Trouble::internal("the controller stopped because of a failure; see the log above"));
    }
    Ok(Exit::Ok.into())
}

/// Runs the local agent beside the controller until something says stop.
async fn serve(
    context: &Context,
    home: &Home,
    config: AgentConfig,
    running: &Running,
    stop: &Shutdown,
    controller_stop: &Shutdown,
) -> Result<(), Trouble> {
    let connected = Connected::to(home.clone())?;
    join_once(&connected.operator, &config).await?;
    let agent_stop = Shutdown::new();
    let mut agent = tokio::spawn(lictor_agent::run(config, agent_stop.clone()));
    let ready = tokio::select! {
        ready = until_connected(&connected) => ready,
        ended = &mut agent => return Err(agent_ended(ended.map_err(Interrupted::from))),
        () = stop.stopping() => Ok(None),
        () = controller_stop.stopping() => Ok(None),
    };
    if let Ok(Some(hosts)) = &ready {
        let document = json!({ "ready": true, "controller": running.listen, "site": LOCAL, "hosts": hosts });
        let line =
            format!("ready: controller on {}, site {LOCAL} with {}\n", running.listen, count(*hosts, "host"));
        context.show(&document, |_| line)?;
        tokio::select! {
            ended = &mut agent => return Err(agent_ended(ended.map_err(Interrupted::from))),
            () = stop.stopping() => {}
            () = controller_stop.stopping() => {}
        }
    }
    // The agent first: what it still has to report finds the controller there.
    agent_stop.begin();
    finish(agent).await?;
    ready.map(drop).map_err(Trouble::from)
}

async fn finish(agent: Agent) -> Result<(), Trouble> {
    match agent.await {
        Ok(Ok(())) => Ok(()),
        other => Err(agent_ended(other.map_err(Interrupted::from))),
    }
}

fn agent_ended(ended: Result<Result<(), AgentError>, Interrupted>) -> Trouble {
    match ended {
        Ok(Ok(())) => Trouble::internal("the local agent stopped by itself; see the log above"),
        Ok(Err(error)) => {
            Trouble::usage(format!("the local agent failed: {}", chain(&error)), "see lictor doctor")
        }
        Err(interrupted) => Trouble::internal(format!("the local agent failed: {interrupted}")),
    }
}

/// Lets the local agent join, if it never has.
async fn join_once(operator: &Operator, config: &AgentConfig) -> Result<(), Trouble> {
    if site::has_joined(config) {
        return Ok(());
    }
    let name = |e: lictor_core::name::InvalidName| Trouble::internal(e.to_string());
    let (site, agent) = (SiteName::new(LOCAL).map_err(name)?, AgentName::new(LOCAL).map_err(name)?);
    let token = operator.create_join_token(&site, &agent).await?;
    let JoinedAs { .. } = site::join(&token.token, &config.identity_dir).await?;
    Ok(())
}

/// Waits until the local agent is connected; gives how many hosts its site has.
async fn until_connected(connected: &Connected) -> Result<Option<usize>, Failure> {
    let look = async {
        loop {
            let agents = connected.operator.agents().await?;
            if agents.iter().any(|a| a.site.as_str() == LOCAL && a.state == AgentState::Connected) {
                let hosts = connected.client().hosts(None).await?;
                return Ok(Some(hosts.iter().filter(|host| host.site.as_str() == LOCAL).count()));
            }
            tokio::time::sleep(READY_LOOK).await;
        }
    };
    let waited = tokio::time::timeout(READY_WAIT, look).await;
    waited.unwrap_or_else(|_| {
        Err(Failure::new(
            ErrorCode::DeadlineExceeded,
            format!("the local agent did not connect within {} s", READY_WAIT.as_secs()),
            "start again with LICTOR_LOG=info to see why",
        ))
    })
}

/// Keeps a second `up` from working on the same directory, until the file is closed.
fn lock(home: &Home) -> Result<File, Trouble> {
    let path = home.up_lock();
    let opened = fs::create_dir_all(home.state())
        .and_then(|()| File::options().create(true).truncate(false).write(true).open(&path));
    let file = opened.map_err(|e| Trouble::file("open", &path, &e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Trouble::new(
            Exit::Usage,
            ErrorCode::AlreadyExists,
            format!("lictor up runs already for {}", home.dir().display()),
            "use it from another terminal, or stop it there with Ctrl-C",
        )),
        Err(TryLockError::Error(error)) => Err(Trouble::file("lock", &path, &error)),
    }
}

fn not_started(error: &anyhow::Error, listen: &str) -> Trouble {
    let taken = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::AddrInUse)
    };
    if error.chain().any(taken) {
        let next_step = "stop the other program, or choose another port for listen and enroll_listen in controller.yml \
                         (and controller: in lictor.yml, agent.yml, bridge.yml)";
        return Trouble::usage(
            format!("another program listens on {listen} or on the port above it already"),
            next_step,
        );
    }
    Trouble::usage(format!("the controller did not start: {error:#}"), "see lictor doctor")
}
