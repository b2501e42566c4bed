//! `lictor agent`: letting agents of other sites join, and revoking them.

use std::{
    fs,
    path::{Path, PathBuf},
};

use clap::{Args, Subcommand};
use lictor_core::{
    clock::Clock as _,
    name::{AgentName, SiteName},
    revocation::RevocationReason,
    secret::Secret,
};
use lictor_runtime::{clock::SystemClock, exit::Exit};
use serde::Serialize;

use crate::{
    Done,
    context::Context,
    init::{make_private, put_in_place, stage, templates, write},
    render::{fleet, json::RevocationDocument, style::Tone, time},
    site,
    trouble::Trouble,
};

/// Let agents of other sites join, and revoke them
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a one-time token with which one named agent can join
    Token {
        /// The site that it will serve
        #[arg(long, value_name = "SITE")]
        site: SiteName,
        /// Its name, unique within the site
        #[arg(long, value_name = "NAME")]
        name: AgentName,
    },
    /// On the machine of a site: make its directory and join with a token
    Init {
        /// The directory; it must be absent or empty
        #[arg(value_name = "DIRECTORY")]
        target: PathBuf,
        /// The token
        #[arg(
            long,
            value_name = "TOKEN",
            env = "LICTOR_JOIN_TOKEN",
            hide_env_values = true,
            required_unless_present = "token_file"
        )]
        token: Option<String>,
        /// A file with the token; keeps it out of the list of processes
        #[arg(long, value_name = "FILE", conflicts_with = "token")]
        token_file: Option<PathBuf>,
    },
    /// Revoke an agent: it is refused until it joins anew
    ///
    /// Its connections are closed at once, and every certificate and join token is refused that was made for it before, also
    /// after a restart of the controller. What it has started runs on at its site; what it had only accepted it turns away
    /// once it hears of this. Its jobs are handled as those of an agent that is away. It comes back by joining with a new
    /// token.
    Revoke {
        /// The site that it serves
        #[arg(long, value_name = "SITE")]
        site: SiteName,
        /// Its name
        #[arg(long, value_name = "NAME")]
        name: AgentName,
        /// Why; it is recorded, and whoever is refused sees it
        #[arg(long, value_name = "TEXT")]
        reason: RevocationReason,
    },
}

#[derive(Debug, Serialize)]
struct TokenDocument<'a> {
    site: &'a str,
    agent: &'a str,
    token: &'a str,
    expires_at: String,
    command: String,
}

#[derive(Debug, Serialize)]
struct RevokedDocument<'a> {
    site: &'a str,
    agent: &'a str,
    revocation: RevocationDocument,
    already_revoked: bool,
}

#[derive(Debug, Serialize)]
struct JoinedDocument {
    directory: PathBuf,
    identity: String,
    controller: String,
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    match arguments.verb {
        Verb::Token { site, name } => token(&site, &name, context).await,
        Verb::Revoke { site, name, reason } => revoke(&site, &name, &reason, context).await,
        Verb::Init { target, token, token_file } => {
            let token = match (token, token_file) {
                (Some(token), _) => Secret::new(token.into_bytes()),
                (None, Some(path)) => {
                    Secret::new(fs::read(&path).map_err(|e| Trouble::file("read", &path, &e))?)
                }
                (None, None) => {
                    return Err(Trouble::usage("there is no token", "add --token or --token-file"));
                }
            };
            init(&target, &token, context).await
        }
    }
}

async fn token(site: &SiteName, name: &AgentName, context: &Context) -> Done {
    let made = context.connect()?.operator.create_join_token(site, name).await?;
    let text = made.token.expose_str().unwrap_or_default();
    let command = format!("lictor agent init lictor-{site} --token {text}");
    let left = time::minutes_left(made.expires_at.since(SystemClock.now()));
    let document = TokenDocument {
        site: site.as_str(),
        agent: name.as_str(),
        token: text,
        expires_at: made.expires_at.to_string(),
        command: command.clone(),
    };
    context.show(&document, |style| {
        format!(
            "A token for agent {name} of site {site}; it is good once, for {left}. Whoever has it can be that agent.\n\n\
             On the site's machine, run:\n\n{}\n\nthen edit hosts.yml and credentials.yml there, and run:\n\n{}\n{}\n\n\
             Where the agent has its directory already, run instead, with the token alone in FILE:\n\n{}\n",
            style.paint(Tone::Accent, &command),
            style.paint(Tone::Accent, &format!("lictor --dir lictor-{site} host scan --all")),
            style.paint(Tone::Accent, &format!("lictor-agent run --config lictor-{site}/agent.yml")),
            style.paint(Tone::Accent, "lictor-agent join --config agent.yml --token-file FILE"),
        )
    })?;
    Ok(Exit::Ok.into())
}

async fn revoke(site: &SiteName, name: &AgentName, reason: &RevocationReason, context: &Context) -> Done {
    let done = context.connect()?.operator.revoke_agent(site, name, reason).await?;
    let document = RevokedDocument {
        site: site.as_str(),
        agent: name.as_str(),
        revocation: (&done.revocation).into(),
        already_revoked: done.already_revoked,
    };
    context.show(&document, |style| fleet::revoked((site, name), &done, style))?;
    Ok(Exit::Ok.into())
}

async fn init(target: &Path, token: &Secret, context: &Context) -> Done {
    let staged = stage(target)?;
    let dir = staged.path();
    let identity = dir.join("identity").join("agent");
    make_private(&dir.join("identity"))?;
    make_private(&dir.join("state"))?;
    let joined = site::join(token, &identity).await?;
    write(&dir.join("agent.yml"), &templates::agent(&joined.controller)?, 0o644)?;
    write(&dir.join("hosts.yml"), &templates::hosts(), 0o644)?;
    write(&dir.join("known_hosts"), templates::KNOWN_HOSTS, 0o644)?;
    write(&dir.join("credentials.yml"), &templates::credentials(), 0o600)?;
    put_in_place(&staged, target)?;
    let directory = target.canonicalize().unwrap_or_else(|_| target.to_owned());
    let shown = directory.display().to_string();
    let document = JoinedDocument {
        directory,
        identity: joined.identity.to_string(),
        controller: joined.controller.clone(),
    };
    context.show(&document, |style| {
        let steps = [
            format!("edit {shown}/hosts.yml and credentials.yml"),
            style.paint(Tone::Accent, &format!("lictor --dir {shown} host scan --all")),
            style.paint(Tone::Accent, &format!("lictor-agent run --config {shown}/agent.yml")),
        ];
        let steps: String = (1..).zip(steps).map(|(number, step)| format!("  {number}. {step}\n")).collect();
        format!("joined {} as {}\n\n{}\n{steps}", joined.controller, joined.identity, style.strong("Next:"))
    })?;
    Ok(Exit::Ok.into())
}
