//! `lictor-agent`: runs, enrols and checks the agent of one site.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, ValueEnum};
use lictor_agent::{AgentConfig, AgentError, config::Problems, enroll, host_key, site::Site};
use lictor_certs::token::JoinToken;
use lictor_runtime::{exit::Exit, logging, shutdown::Shutdown, workers};

/// Runs commands on the hosts of one site, as the controller grants and the site's floor allows.
#[derive(Debug, Parser)]
#[command(name = "lictor-agent", version)]
struct Args {
    /// How log lines look.
    #[arg(long, value_enum, default_value = "text", global = true)]
    log_format: LogFormat,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run until told to stop.
    Run(ConfigArg),
    /// Spend a join token and get this agent's first certificate.
    Join {
        #[command(flatten)]
        config: ConfigArg,
        /// The token.
        #[arg(
            long,
            env = "LICTOR_JOIN_TOKEN",
            hide_env_values = true,
            required_unless_present = "token_file"
        )]
        token: Option<String>,
        /// A file with the token; keeps it out of the list of processes.
        #[arg(long, conflicts_with = "token")]
        token_file: Option<PathBuf>,
    },
    /// Show the keys of a host, and pin them with --accept.
    HostScan {
        #[command(flatten)]
        config: ConfigArg,
        /// The host's alias in hosts.yml.
        alias: String,
        /// Pin the keys that were shown.
        #[arg(long)]
        accept: bool,
        /// Drop what was pinned for the host before.
        #[arg(long, requires = "accept")]
        replace: bool,
    },
    /// Read all files and say everything that is wrong with them.
    Check(ConfigArg),
}

#[derive(Debug, clap::Args)]
struct ConfigArg {
    /// The agent's settings.
    #[arg(long, value_name = "FILE", default_value = "agent.yml")]
    config: PathBuf,
}

/// What to say, and how to end.
struct Failed(Exit, String);

fn main() -> ExitCode {
    let args = Args::parse();
    let format = match args.log_format {
        LogFormat::Text => logging::Format::Text,
        LogFormat::Json => logging::Format::Json,
    };
    if let Err(error) = logging::init(format, tracing::Level::INFO) {
        eprintln!("lictor-agent: {error}");
        return Exit::Usage.into();
    }
    match workers::run(dispatch(args.command)) {
        Err(error) => {
            eprintln!("lictor-agent: {error}");
            Exit::Internal.into()
        }
        Ok(Ok(())) => Exit::Ok.into(),
        Ok(Err(Failed(exit, text))) => {
            eprintln!("lictor-agent: {text}");
            exit.into()
        }
    }
}

async fn dispatch(command: Command) -> Result<(), Failed> {
    match command {
        Command::Run(arg) => run(AgentConfig::load(&arg.config)?).await,
        Command::Join { config, token, token_file } => {
            join(&AgentConfig::load(&config.config)?, token, token_file).await
        }
        Command::HostScan { config, alias, accept, replace } => {
            host_scan(&AgentConfig::load(&config.config)?, &alias, accept, replace).await
        }
        Command::Check(arg) => check(&AgentConfig::load(&arg.config)?),
    }
}

async fn run(config: AgentConfig) -> Result<(), Failed> {
    let shutdown = Shutdown::on_signals().map_err(|e| Failed(Exit::Internal, e.to_string()))?;
    lictor_agent::run(config, shutdown.clone()).await?;
    if shutdown.has_failed() {
        Err(Failed(Exit::Internal, "stopped because of a failure; see the log".into()))
    } else {
        Ok(())
    }
}

async fn join(config: &AgentConfig, token: Option<String>, file: Option<PathBuf>) -> Result<(), Failed> {
    let text = match (token, file) {
        (Some(token), _) => token,
        (None, Some(file)) => std::fs::read_to_string(&file)
            .map_err(|e| Failed(Exit::Usage, format!("{}: {e}", file.display())))?,
        (None, None) => return Err(Failed(Exit::Usage, "give --token or --token-file".into())),
    };
    let token: JoinToken = text.trim().parse().map_err(|e| Failed(Exit::Usage, format!("{e}")))?;
    let joined =
        enroll::join(&token, &config.identity_dir).await.map_err(|e| Failed(Exit::Refused, chain(&e)))?;
    println!("joined as {}", joined.identity);
    if joined.controller_address != config.controller {
        println!(
            "the controller asks to be called at {}; write this as `controller:` in agent.yml",
            joined.controller_address
        );
    }
    Ok(())
}

async fn host_scan(config: &AgentConfig, alias: &str, accept: bool, replace: bool) -> Result<(), Failed> {
    let keys = host_key::scan(config, alias).await.map_err(|e| Failed(Exit::NotRun, chain(&e)))?;
    for key in &keys {
        let state = match (key.known, key.changed) {
            (true, _) => "pinned",
            (false, true) => "CHANGED: another key is pinned",
            (false, false) => "not pinned",
        };
        println!("{} {} ({state})", key.algorithm, key.fingerprint);
    }
    if accept {
        host_key::pin(config, alias, &keys, replace).map_err(|e| Failed(Exit::NotRun, chain(&e)))?;
        println!("pinned in {}", config.site.known_hosts.display());
    } else if keys.iter().any(|key| !key.known) {
        println!("compare with the host's own console, then run this again with --accept");
    }
    Ok(())
}

fn check(config: &AgentConfig) -> Result<(), Failed> {
    let site = Site::load(&config.site, 0)?;
    println!("{} hosts", site.hosts.len());
    for host in site.hosts.values() {
        if site.known_hosts.trust_named(&host.key_name()).pinned.is_empty() {
            println!("{}: no key is pinned; run: lictor-agent host-scan {}", host.alias, host.alias);
        }
    }
    Ok(())
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        next = cause.source();
    }
    text
}

impl From<Problems> for Failed {
    fn from(problems: Problems) -> Self {
        Self(Exit::Usage, problems.to_string())
    }
}

impl From<AgentError> for Failed {
    fn from(error: AgentError) -> Self {
        Self(Exit::Usage, chain(&error))
    }
}
