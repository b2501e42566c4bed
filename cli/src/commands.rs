//! The verbs, one a file; and what starts them.

pub(crate) mod agent;
pub(crate) mod agents;
pub(crate) mod approvals;
pub(crate) mod approve;
pub(crate) mod audit;
pub(crate) mod cancel;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod download;
pub(crate) mod freeze;
pub(crate) mod host;
pub(crate) mod hosts;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod jobs;
pub(crate) mod mcp;
pub(crate) mod output;
pub(crate) mod plan;
pub(crate) mod policy;
pub(crate) mod replay;
pub(crate) mod retry;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod sites;
pub(crate) mod steer;
pub(crate) mod up;
pub(crate) mod upload;
pub(crate) mod watch;

use tokio::runtime::{Builder, Runtime};

use crate::{Done, arguments::Verb, context::Context, trouble::Trouble};

/// Runs a verb to its end.
pub(crate) fn start(verb: Verb, context: &Context) -> Done {
    match verb {
        // These need no runtime.
        Verb::Init(arguments) => init::run(arguments, context),
        Verb::Import(arguments) => import::run(arguments, context),
        Verb::Completions(arguments) => completions::run(&arguments, context),
        verb => runtime()?.block_on(perform(verb, context)),
    }
}

async fn perform(verb: Verb, context: &Context) -> Done {
    match verb {
        Verb::Demo(arguments) => demo::run(arguments, context).await,
        Verb::Up(arguments) => up::run(arguments, context).await,
        Verb::Run(arguments) => run::run(arguments, context).await,
        Verb::Upload(arguments) => upload::run(arguments, context).await,
        Verb::Download(arguments) => download::run(arguments, context).await,
        Verb::Plan(arguments) => plan::run(arguments, context).await,
        Verb::Hosts(arguments) => hosts::run(arguments, context).await,
        Verb::Host(arguments) => host::run(arguments, context).await,
        Verb::Sites => sites::run(context).await,
        Verb::Agents => agents::run(context).await,
        Verb::Agent(arguments) => agent::run(arguments, context).await,
        Verb::Jobs(arguments) => jobs::run(arguments, context).await,
        Verb::Output(arguments) => output::run(arguments, context).await,
        Verb::Replay(arguments) => replay::run(arguments, context).await,
        Verb::Watch(arguments) => watch::run(arguments, context).await,
        Verb::Approvals(arguments) => approvals::run(arguments, context).await,
        Verb::Approve(arguments) => approve::approve(arguments, context).await,
        Verb::Deny(arguments) => approve::deny(arguments, context).await,
        Verb::Cancel(arguments) => cancel::run(arguments, context).await,
        Verb::Pause(arguments) => steer::pause(arguments, context).await,
        Verb::Resume(arguments) => steer::resume(arguments, context).await,
        Verb::Abort(arguments) => steer::abort(arguments, context).await,
        Verb::Retry(arguments) => retry::run(arguments, context).await,
        Verb::Freeze(arguments) => freeze::run(arguments, context).await,
        Verb::Audit(arguments) => audit::run(arguments, context).await,
        Verb::Policy(arguments) => policy::run(arguments, context).await,
        Verb::Mcp(arguments) => mcp::run(arguments, context).await,
        Verb::Doctor => doctor::run(context).await,
        Verb::ServeAgent(arguments) => serve::agent(arguments).await,
        Verb::ServeController(arguments) => serve::controller(arguments).await,
        Verb::Init(arguments) => init::run(arguments, context),
        Verb::Import(arguments) => import::run(arguments, context),
        Verb::Completions(arguments) => completions::run(&arguments, context),
    }
}

fn runtime() -> Result<Runtime, Trouble> {
    let built = Builder::new_multi_thread().enable_all().build();
    built.map_err(|e| Trouble::internal(format!("cannot start the runtime: {e}")))
}
