//! `lictor policy explain`: why a command is decided as it is, rule by rule.

use std::path::PathBuf;

use clap::Args;
use lictor_core::{
    error::{ErrorCode, Failure},
    name::HostAlias,
};
use lictor_policy::{Effect, HostFacts};
use lictor_runtime::exit::Exit;

use super::{circumstances::CircumstancesArguments, source};
use crate::{
    Done,
    context::Context,
    render::policy::explain::{self, Asked},
    run::request,
    trouble::Trouble,
};

/// Say why a command is allowed or denied, rule by rule
///
///   lictor policy explain policy.yml --as user:alice --host web-1 --tag web -- uptime
///   lictor policy explain --live web-1 --as service:ci --via api -- 'df -h; uptime'
///
/// With --live the policy and the facts about the host come from the controller; it is judged here,
/// so quotas and what is running now have no say. `lictor plan` asks the controller itself.
///
/// Ends with 3 if it is denied.
#[derive(Debug, Args)]
#[command(verbatim_doc_comment)]
pub(super) struct Arguments {
    /// The policy
    #[arg(value_name = "FILE", required_unless_present = "live", conflicts_with = "live")]
    file: Option<PathBuf>,
    /// The policy in force, on this host
    #[arg(long, value_name = "HOST", conflicts_with_all = ["host", "site", "tags", "labels"])]
    live: Option<HostAlias>,
    #[command(flatten)]
    circumstances: CircumstancesArguments,
    /// Program and arguments, each taken literally; or one quoted line, e.g. 'uptime; df -h'
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<String>,
}

/// Explains.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Done {
    let (name, set, circumstances) = match (&arguments.file, &arguments.live) {
        (Some(file), _) => {
            (file.display().to_string(), source::file(file)?, arguments.circumstances.on(None)?)
        }
        (None, Some(alias)) => live(alias, &arguments.circumstances, context).await?,
        (None, None) => return Err(Trouble::usage("no policy is named", "name a file, or --live HOST")),
    };
    let input = request::command(arguments.command);
    let asked = Asked { policy: &name, set: &set, circumstances: &circumstances };
    let document = explain::Document::new(&asked, &input);
    context.show(&document, |style| explain::text(&document, style))?;
    Ok(if document.effect() == Effect::Deny { Exit::Denied } else { Exit::Ok }.into())
}

/// The policy in force and the facts about a host; without a name, for whoever asks.
async fn live(
    alias: &HostAlias,
    arguments: &CircumstancesArguments,
    context: &Context,
) -> Result<(String, lictor_policy::PolicySet, lictor_policy::verdict::Circumstances), Trouble> {
    let connected = context.connect()?;
    let view = connected.operator.policy(None).await?;
    let host = connected.client().host(alias).await?.ok_or_else(|| {
        Failure::new(
            ErrorCode::NotFound,
            format!("there is no host {alias}"),
            "see which there are: lictor hosts",
        )
    })?;
    let facts = HostFacts { alias: host.alias, site: host.site, tags: host.tags, labels: host.labels };
    let mut circumstances = arguments.on(Some(facts))?;
    if arguments.principal.is_none() {
        let identity = connected.settings.identity.load().map_err(|e| Trouble::internal(e.to_string()))?;
        circumstances.principal = identity.peer().identity.principal().unwrap_or(circumstances.principal);
    }
    Ok((format!("version {}, in force", view.version), source::of_controller(&view)?, circumstances))
}
