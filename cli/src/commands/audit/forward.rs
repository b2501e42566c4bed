//! Sending records to another system as they are written, at least once.

use std::path::PathBuf;

use clap::Args;
use lictor_core::audit::query::Query;
use lictor_runtime::exit::Exit;
use serde::Serialize;

use super::bounds::meant;
use crate::{
    Done,
    audit::formats::Format,
    context::Context,
    forward::{
        self, Receiver, Sent, Source, Syslog, Webhook, WebhookKey, cursor::Cursor, destination::Destination,
    },
    render::time::count,
    trouble::Trouble,
};

/// Send the log to a syslog server or a webhook
///
/// At least once: the cursor moves on when the receiver has taken a batch, so that after a crash some records are sent again,
/// with the same index. A webhook takes a batch with an answer 2xx; a syslog server by ending the connection behind it.
/// Webhooks are signed as Standard Webhooks has it (webhook-id, webhook-timestamp, webhook-signature). What is sent proves
/// nothing by itself: export a bundle for that.
#[derive(Debug, Args)]
#[command(
    after_help = "Examples:\n  lictor audit forward --to https://siem.example/lictor --secret-file siem.key --cursor siem.cursor --follow\n  \
    lictor audit forward --to syslog+tls://logs.example --ca logs-ca.pem --cursor logs.cursor"
)]
pub(super) struct Arguments {
    /// syslog://HOST:PORT, syslog+tls://HOST, https://HOST/PATH; http:// for this machine alone
    #[arg(long, value_name = "URL")]
    to: String,
    /// The form: jsonl (default) or ocsf for webhooks, syslog for syslog servers
    #[arg(long, value_enum, value_name = "FORMAT")]
    format: Option<Format>,
    /// Where to go on from; the file is made when there is none, and belongs to one receiver and form
    #[arg(long, value_name = "FILE")]
    cursor: PathBuf,
    /// Where to begin when there is no cursor yet; else with the first record
    #[arg(long, value_name = "INDEX")]
    from: Option<u64>,
    /// Only records that fit; others are left out for good
    #[arg(long, value_name = "QUERY", value_parser = meant)]
    filter: Option<Query>,
    /// Go on as records are written, and wait for a receiver or a controller that is away
    #[arg(long, short)]
    follow: bool,
    /// The key that webhooks are signed with: base64 in a file that only you may read
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// Certificate authorities that may vouch for the receiver (PEM), instead of the system's
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Take the end of a TLS connection as the syslog server's word even when it ends it without saying so: whoever is
    /// on the way could then lose records unseen
    #[arg(long)]
    untidy_close: bool,
}

#[derive(Debug, Serialize)]
struct Document {
    to: String,
    records: u64,
    batches: u64,
}

/// Sends until there is no more, or until it is interrupted.
pub(super) async fn run(arguments: Arguments, context: &Context) -> Done {
    let to = destination(&arguments.to)?;
    let format = format(&to, arguments.format)?;
    let receiver = receiver(&to, &arguments, context)?;
    let Arguments { cursor, from, filter, follow, .. } = &arguments;
    let connected = context.connect()?;
    let log = connected.settings.origin()?.to_string();
    let cursor = Cursor::open(cursor, &log, &to, format, *from)?;
    let filter = filter.clone().unwrap_or_default();
    let sending = async {
        let source = Source::open(&connected.operator, &log, &cursor, format, filter, *follow).await?;
        forward::run(source, &receiver, cursor, context).await
    };
    let Sent { records, batches } = tokio::select! {
        sent = sending => sent?,
        interrupt = tokio::signal::ctrl_c() => {
            interrupt?;
            context.note("interrupted; the cursor says where to go on");
            return Ok(Exit::Ok.into());
        }
    };
    let document = Document { to: to.to_string(), records, batches };
    context.show(&document, |_| {
        let number = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
        format!("{to} took {} in {}\n", count(number(records), "record"), batches_of(number(batches)))
    })?;
    Ok(Exit::Ok.into())
}

fn batches_of(number: usize) -> String {
    if number == 1 { "1 batch".to_owned() } else { format!("{number} batches") }
}

/// The receiver. What was given is not repeated: it may have a key in it.
fn destination(url: &str) -> Result<Destination, Trouble> {
    let usage = "write syslog://HOST:PORT, syslog+tls://HOST or https://HOST/PATH";
    url.parse().map_err(|why: String| Trouble::usage(format!("--to: {why}"), usage))
}

/// The form that the receiver understands.
fn format(to: &Destination, format: Option<Format>) -> Result<Format, Trouble> {
    match (to.is_syslog(), format) {
        (true, None | Some(Format::Syslog)) => Ok(Format::Syslog),
        (false, None) => Ok(Format::Jsonl),
        (false, Some(format @ (Format::Jsonl | Format::Ocsf))) => Ok(format),
        (true, Some(_)) => {
            Err(Trouble::usage("a syslog server takes the form syslog alone", "leave --format out"))
        }
        (false, Some(_)) => {
            Err(Trouble::usage("a webhook takes jsonl or ocsf", "say --format jsonl or --format ocsf"))
        }
    }
}

fn receiver(to: &Destination, arguments: &Arguments, context: &Context) -> Result<Receiver, Trouble> {
    let Arguments { secret_file, ca, untidy_close, .. } = arguments;
    if ca.is_some() && !to.is_tls() {
        return Err(Trouble::usage("--ca is for syslog+tls:// and https://", "leave it out"));
    }
    if !to.is_tls() && !to.is_here() {
        context.note("records go unencrypted over the network; syslog+tls:// encrypts them");
    }
    let line = to.clone().line(ca.as_deref());
    let line = line.map_err(|e| {
        Trouble::usage(e.to_string(), "check --ca, or install the system's certificate authorities")
    })?;
    match (to.is_syslog(), secret_file) {
        (true, None) => Ok(Receiver::Syslog(Syslog::new(line, *untidy_close))),
        (true, Some(_)) => {
            Err(Trouble::usage("syslog is not signed", "leave --secret-file out, and use syslog+tls://"))
        }
        (false, Some(file)) => Ok(Receiver::Webhook(Box::new(Webhook::new(line, WebhookKey::load(file)?)))),
        (false, None) => Err(Trouble::usage(
            "a webhook is signed, and no key is named",
            "name one with --secret-file; to make it: (umask 077; openssl rand -base64 32 > FILE)",
        )),
    }
}
