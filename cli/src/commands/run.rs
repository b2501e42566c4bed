//! `lictor run`: asks for a job and shows it as it happens.

use clap::Args;
use lictor_core::{digest::Digest, job::IdempotencyKey};
use lictor_runtime::exit::Exit;
use serde::Serialize;

use crate::{
    Done,
    context::Context,
    render::{approvals, json::JobDocument},
    run::{
        follow::{begin, follow},
        grouping::Grouping,
        request::RequestArguments,
    },
};

/// Run a command on hosts and show what it prints
///
/// Everything behind `--` is the command. Several words are program and arguments, each taken
/// literally: no shell reads them. One word with blanks in it is a line: literal words, joined by
/// `|`, `&&`, `||` or `;`, where policy allows every part.
///
///   lictor run web-1 -- systemctl status nginx
///   lictor run web-1,web-2 -- 'uptime; df -h'
///   lictor run --tag web --timeout 30s -- journalctl -n 20 --no-pager
///   lictor run --match 'tag:web and not site:eu' -- uptime
///
/// One host's output is passed through as it comes. Of several hosts, each line has its host's name
/// before it, and a table at the end says how each ended. Of more than 8, each different result is
/// shown once when all have ended, with the hosts that have it.
///
/// Where policy asks for the consent of others, it says so and waits for it; nothing runs before.
///
/// An interrupt (Ctrl-C) cancels the job and waits until the hosts confirm; a second one leaves.
#[derive(Debug, Args)]
#[command(
    verbatim_doc_comment,
    after_help = "Exit codes: 0 succeeded everywhere, 1 failed, 3 denied, 4 not run, 5 unknown; see lictor --help."
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    request: RequestArguments,
    #[command(flatten)]
    grouping: Grouping,
    /// Makes a repetition of this very request give the same job instead of running twice (7 days)
    #[arg(long, value_name = "KEY", value_parser = parse_key)]
    idempotency_key: Option<IdempotencyKey>,
    /// Run exactly what this plan decided (lictor plan), or fail as stale if anything is decided otherwise by now
    #[arg(long, value_name = "DIGEST", value_parser = parse_plan)]
    plan: Option<Digest>,
    /// Print the job's id and leave it to run; see it with lictor watch
    #[arg(long)]
    no_wait: bool,
    /// With one host: end with the command's own exit status where it has one, as ssh does
    #[arg(long, conflicts_with = "no_wait")]
    exit_status: bool,
}

/// A job that was left to run.
#[derive(Debug, Serialize)]
struct Left {
    job: JobDocument,
    replayed: bool,
}

fn parse_key(text: &str) -> Result<IdempotencyKey, String> {
    IdempotencyKey::new(text).map_err(|e| e.to_string())
}

fn parse_plan(text: &str) -> Result<Digest, String> {
    text.parse()
        .map_err(|_| "a plan is named by the 64 hexadecimal digits that lictor plan prints".to_owned())
}

/// Runs the verb.
pub(crate) async fn run(arguments: Arguments, context: &Context) -> Done {
    let Arguments { request, grouping, idempotency_key, plan, no_wait, exit_status } = arguments;
    let connected = context.connect()?;
    let client = connected.client();
    let (spec, given) = request.into_spec(idempotency_key, plan)?;
    if let Some(bytes) = given {
        client.put_content(bytes.into()).await?;
    }
    if no_wait {
        let submitted = client.submit(&spec).await?;
        let document = Left { job: (&submitted.job).into(), replayed: submitted.replayed };
        if let Some(text) = approvals::waits(&submitted.job, context.err) {
            context.note(&text);
        }
        context.show(&document, |_| format!("{}\n", submitted.job.id))?;
        return Ok(Exit::Ok.into());
    }
    let stream = begin(context, client, &spec).await?;
    let followed = follow(context, client, stream, grouping).await?;
    match followed.own_status {
        Some(status) if exit_status => Ok(status.into()),
        _ => Ok(followed.exit.into()),
    }
}
