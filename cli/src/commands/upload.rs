//! `lictor upload`: puts a file on hosts.

use std::path::PathBuf;

use clap::Args;
use lictor_client::transfer::Upload;

use crate::{
    Done,
    context::{Context, origin},
    run::{
        follow::follow,
        grouping::Grouping,
        remote::{ManyHosts, RemotePath},
        rollout::RolloutArguments,
        stdin,
    },
    trouble::Trouble,
};

/// Put a file on hosts
///
/// It is a job whose command is `lictor:upload [--mode=MODE] PATH`: policy has to permit that, and the
/// rule has to have `stdin`. The file is written beside its place and then takes its name in one step,
/// so whoever reads it sees the old file or the new one, whole. A symbolic link at PATH is replaced.
///
///   lictor upload app.conf web-1,web-2:/etc/app/app.conf
///   lictor upload --mode 0755 deploy.sh --match 'tag:web and not site:eu' :/srv/app/deploy.sh
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Exit codes: 0 succeeded everywhere, 1 failed, 3 denied, 4 not run, 5 unknown; see lictor --help."
)]
pub(crate) struct Arguments {
    /// The file; - for standard input
    #[arg(value_name = "LOCAL")]
    local: PathBuf,
    /// Where it goes: HOST[,HOST]:PATH, or :PATH with --tag or --match; an absolute path
    #[arg(value_name = "HOST:PATH")]
    remote: RemotePath,
    /// Its permissions there, in octal; 0644 if left out
    #[arg(long, value_name = "MODE", value_parser = parse_mode)]
    mode: Option<u32>,
    #[command(flatten)]
    many: ManyHosts,
    #[command(flatten)]
    rollout: RolloutArguments,
    #[command(flatten)]
    grouping: Grouping,
}

fn parse_mode(text: &str) -> Result<u32, String> {
    let mode = u32::from_str_radix(text, 8).ok().filter(|mode| *mode <= 0o777 && !text.starts_with('+'));
    mode.ok_or_else(|| "write up to four octal digits, at most 0777".to_owned())
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    let Arguments { local, remote, mode, many, rollout, grouping } = arguments;
    let (target, path) = remote.with(many)?;
    if path.as_str() == "/" {
        return Err(Trouble::usage("`/` is no file", "name the file that it is to be on the hosts"));
    }
    let (_, bytes) = stdin::read(&local)?;
    let connected = context.connect()?;
    let client = connected.client();
    let mut spec = client.upload(Upload { target, path, mode, bytes: bytes.into() }, origin()).await?;
    spec.rollout = rollout.into_rollout();
    let stream = client.run(&spec).await?;
    Ok(follow(context, client, stream, grouping).await?.exit.into())
}
