//! `lictor-agent`: runs, enrols and checks the agent of one site.

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand, ValueEnum};
use lictor_agent::{AgentConfig, AgentError, config::Problems, enroll, host_key, site::Site, witness};
use lictor_certs::{checkpoint::Origin, files::IdentityFiles, token::JoinToken};
use lictor_core::{digest::Digest, principal::Identity};
use lictor_runtime::{
    exit::{self, Exit},
    logging,
    shutdown::Shutdown,
    workers,
};

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
    /// Look at what this agent has seen of the audit log, and go on from another head.
    #[command(subcommand)]
    Witness(WitnessCommand),
    /// Read all files and say everything that is wrong with them.
    Check(ConfigArg),
}

#[derive(Debug, Subcommand)]
enum WitnessCommand {
    /// Show the newest head that was proved, and one that was refused.
    Show(ConfigArg),
    /// Go on from the head that was refused: only after the controller was restored from a backup on purpose.
    Accept {
        #[command(flatten)]
        config: ConfigArg,
        /// The root of the head that was refused, as `show` has it.
        #[arg(long, value_name = "HASH")]
        root: Digest,
    },
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
        exit::say(format_args!("lictor-agent: {error}"));
        return Exit::Usage.into();
    }
    match workers::run(dispatch(args.command)) {
        Err(error) => {
            exit::say(format_args!("lictor-agent: {error}"));
            Exit::Internal.into()
        }
        Ok(Ok(())) => Exit::Ok.into(),
        Ok(Err(Failed(exit, text))) => {
            exit::say(format_args!("lictor-agent: {text}"));
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
        Command::Witness(command) => witness(command),
        Command::Check(arg) => check(&AgentConfig::load(&arg.config)?, &arg.config),
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

fn witness(command: WitnessCommand) -> Result<(), Failed> {
    let (arg, root) = match command {
        WitnessCommand::Show(config) => (config, None),
        WitnessCommand::Accept { config, root } => (config, Some(root)),
    };
    let config = AgentConfig::load(&arg.config)?;
    let origin = log_origin(&config)?;
    let standing = witness::show(&config.state_dir, &origin).map_err(|e| Failed(Exit::Usage, chain(&e)))?;
    print!("{standing}");
    if let Some(root) = root {
        let accepted =
            witness::accept(&config.state_dir, &origin, &root).map_err(|e| Failed(Exit::Refused, e))?;
        println!(
            "\naccepted: this agent goes on from {} records; a running one connects again with its next heartbeat, and the controller records who accepted it",
            accepted.size
        );
    }
    Ok(())
}

/// The log of the tenant that this agent's certificate names.
fn log_origin(config: &AgentConfig) -> Result<Origin, Failed> {
    let files = IdentityFiles::in_dir(&config.identity_dir, enroll::IDENTITY_STEM);
    let identity = files.load().map_err(|e| Failed(Exit::Usage, chain(&e)))?;
    match &identity.peer().identity {
        Identity::Agent { tenant, .. } => {
            Origin::of_tenant(identity.domain(), tenant).map_err(|e| Failed(Exit::Usage, chain(&e)))
        }
        other => Err(Failed(Exit::Usage, format!("the certificate is for {other}, not for an agent"))),
    }
}

fn check(config: &AgentConfig, file: &Path) -> Result<(), Failed> {
    let site = Site::load(&config.site, 0)?;
    println!("{} hosts", site.hosts.len());
    for host in site.hosts.values() {
        if site.known_hosts.trust_named(&host.key_name()).pinned.is_empty() {
            let (alias, file) = (&host.alias, file.display());
            println!("{alias}: no key is pinned; run: lictor-agent host-scan --config {file} {alias}");
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
